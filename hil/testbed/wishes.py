"""From a set-point of the twin to writes of a real device of another size.

A set-point that grows with the device is divided by the bench's scale first; then the device's
own register map says which points carry it, as our head-end would ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.registers.files import commands_of
from hil.registers.kinds import catalogue
from hil.registers.schema import RegisterMap, WirePoint
from hil.testbed.difference import grows
from twin.record.exchange import Point

__all__ = ["Orders", "Wish", "register_value", "twin_value"]


@dataclass(frozen=True, slots=True)
class Wish:
    """One write that a set-point amounts to: a point of the map and a value in its own unit."""

    point: str
    value: float


def register_value(point: WirePoint, value: float, rated_kw: float) -> float:
    """Return a twin's `value` (already of the device's size) in the unit of `point`."""
    source = point.source
    if source is None:
        raise ValueError(f"{point.name}: nothing stands behind it")
    for own, code in source.values:
        if value == own:
            return float(code)
    return source.gain * (value / rated_kw if source.per_rating else value) + source.offset


def twin_value(point: WirePoint, value: float, rated_kw: float) -> float:
    """Return what a register's `value` says in the twin's unit; `register_value` turned round."""
    source = point.source
    if source is None:
        raise ValueError(f"{point.name}: nothing stands behind it")
    for own, code in source.values:
        if value == code:
            return float(own)
    twin = (value - source.offset) / source.gain
    return twin * rated_kw if source.per_rating else twin


class Orders:
    """What a device's map makes of the twin's set-points.

    Parameters
    ----------
    map : of the real device
    rated_kw : of the real device
    scale : rating of the twin's device over that of the real one
    """

    def __init__(self, map: RegisterMap, rated_kw: float, scale: float) -> None:
        self.map, self.rated_kw, self.scale = map, rated_kw, scale
        self.commands = commands_of(map)
        self.known: Mapping[str, Point] = catalogue()[map.kind].setpoints

    def scaled(self, setpoint: str, value: float) -> float:
        """Return a set-point's value at the real device's size, in the twin's unit."""
        return value / self.scale if grows(self.known[setpoint].unit) else value

    def wishes(self, setpoint: str, value: float) -> tuple[Wish, ...] | None:
        """Return the writes that a set-point amounts to, in their order; None: no register.

        Parameters
        ----------
        setpoint, value : of the twin's kind, at the twin's size
        """
        command = self.commands.get(setpoint)
        if command is None:
            return self._release(value) if setpoint == "release" else None
        own = self.scaled(setpoint, value)
        found = [Wish(name, float(also)) for name, also in command.also.items()]
        point = self.map.point(command.value)
        if command.low is not None:  # a window one point wide, in percent of rating
            found += [
                Wish(command.value, 100.0 * own / self.rated_kw),
                Wish(command.low, -100.0 * own / self.rated_kw),
            ]
        else:
            found.append(Wish(command.value, register_value(point, own, self.rated_kw)))
        if command.enable is not None:
            found.append(Wish(command.enable, float(command.on)))
        return tuple(found)

    def _release(self, value: float) -> tuple[Wish, ...] | None:
        """Return the switching off of every enable, for maps without a register of their own."""
        enables = {c.enable: c.off for c in self.commands.values() if c.enable is not None}
        if not enables:
            return None
        if value < 0.5:  # asks for nothing
            return ()
        return tuple(Wish(name, float(off)) for name, off in enables.items())
