"""What a map's points mean for the power that flows, in kW and positive into the grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hil.registers.files import commands_of, reading_points
from hil.registers.schema import Command, RegisterMap, WirePoint

__all__ = ["Meanings", "from_twin", "to_twin"]

# Set-points that order or bound power, with the sign that turns them into the grid.
POWER_SETPOINTS = {"power_kw": 1.0, "limit_kw": -1.0, "v2g_kw": 1.0, "fuelcell_kw": 1.0}
FEED_IN_LIMITED = ("solar",)


def to_twin(point: WirePoint, value: float, rated_kw: float) -> float:
    """Return a point's value in the unit of what stands behind it in the twin."""
    source = point.source
    if source is None:
        return math.nan
    for own, code in source.values:
        if value == code:
            return own
    twin = (value - source.offset) / source.gain
    return twin * rated_kw if source.per_rating else twin


def from_twin(point: WirePoint, twin: float, rated_kw: float) -> float:
    """Return a twin's value in the unit of the point."""
    source = point.source
    if source is None:
        return math.nan
    for own, code in source.values:
        if twin == own:
            return code
    if source.per_rating:
        twin = twin / rated_kw
    return source.gain * twin + source.offset


@dataclass(frozen=True, slots=True)
class Meanings:
    """A map's points by what they order and show.

    Attributes
    ----------
    map : the register map
    rated_kw : the device's rating, which percentages are of
    setpoint : by point name the set-point that it carries the value of
    commands : by set-point how it is commanded
    enables : by point name the commands that it switches
    readings : by point of the twin's kind the map's point that shows it best
    """

    map: RegisterMap
    rated_kw: float
    setpoint: Mapping[str, str]
    commands: Mapping[str, Command]
    enables: Mapping[str, tuple[Command, ...]]
    readings: Mapping[str, str]

    @classmethod
    def of(cls, one: RegisterMap, rated_kw: float | None) -> Meanings:
        """Return the meanings of a map; ValueError where it needs a rating and has none."""
        commands = commands_of(one)
        setpoint = {
            p.name: p.source.setpoint
            for p in one.points
            if p.source is not None and p.source.setpoint is not None
        }
        enables: dict[str, tuple[Command, ...]] = {}
        for command in commands.values():
            for name in (command.value, command.low):
                if name is not None:
                    setpoint[name] = command.setpoint
            if command.enable is not None:
                enables[command.enable] = (*enables.get(command.enable, ()), command)
        relative = [p.name for p in one.points if p.source is not None and p.source.per_rating]
        if relative and (rated_kw is None or not rated_kw > 0.0):
            raise ValueError(
                f"map {one.name} has {relative[0]} in percent of rating: give rated_kw"
            )
        rated = math.nan if rated_kw is None else rated_kw
        return cls(one, rated, setpoint, commands, enables, reading_points(one))

    def sign(self, name: str) -> float:
        """Return the sign that turns a point's twin value into the grid; 0: it orders no power."""
        setpoint = self.setpoint.get(name, "")
        if setpoint == "limit_kw" and self.map.kind in FEED_IN_LIMITED:
            return 1.0
        return POWER_SETPOINTS.get(setpoint, 0.0)

    def power_kw(self, name: str, value: float) -> float:
        """Return the power that a point's value orders; NaN where it orders none."""
        sign = self.sign(name)
        if sign == 0.0:
            return math.nan
        return sign * to_twin(self.map.point(name), value, self.rated_kw)

    def value_of(self, name: str, power_kw: float) -> float:
        """Return the value of a point that orders a power."""
        return from_twin(self.map.point(name), self.sign(name) * power_kw, self.rated_kw)

    def step_kw(self, name: str) -> float:
        """Return the power that the least step of a point's register stands for; 0 for f32."""
        point = self.map.point(name)
        if point.type == "f32":
            return 0.0
        return abs(self.power_kw(name, point.scale) - self.power_kw(name, 0.0))

    def writable(self) -> tuple[WirePoint, ...]:
        """Return the points that can be written."""
        return tuple(p for p in self.map.points if "w" in p.access)

    def safe_state(self) -> dict[str, float]:
        """Return what a device of this map is told by default: no power, else its owner's control.

        A bench file says it for each device; this is for those that are emulated.
        """
        found: dict[str, float] = {}
        command = self.commands.get("power_kw")
        if command is not None:
            found |= command.also
            found[command.value] = 0.0
            if command.low is not None:
                found[command.low] = 0.0
            if command.enable is not None:
                found[command.enable] = float(command.on)
            return found
        release = self.commands.get("release")
        if release is not None:
            point = self.map.point(release.value)
            return {release.value: from_twin(point, 1.0, self.rated_kw)}
        return {name: float(ones[0].off) for name, ones in self.enables.items()}
