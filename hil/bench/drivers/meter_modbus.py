"""A meter on Modbus, read through a register map."""

from __future__ import annotations

from dataclasses import dataclass

from hil.bench.clock import Clock
from hil.bench.drivers.accuracy import Accuracy
from hil.bench.drivers.modbus import heard, identified
from hil.bench.line import Speaking
from hil.bench.roles import About, Energy, InstrumentGarbage, Measured
from hil.registers.codec import decode
from hil.registers.schema import RegisterMap, WirePoint

__all__ = ["Counters", "MeterModbus", "kilo"]

# From a register's unit to kW or kWh.
KILO = {"W": 1e-3, "kW": 1.0, "MW": 1e3, "Wh": 1e-3, "kWh": 1.0, "MWh": 1e3}


def kilo(point: WirePoint) -> float:
    """Return the factor from a point's unit to kW or kWh; ValueError for another unit."""
    if point.unit not in KILO:
        raise ValueError(f"{point.name} is in {point.unit or '1'}, not {', '.join(KILO)}")
    return KILO[point.unit]


@dataclass(frozen=True, slots=True)
class Counters:
    """Names of the points that count energy into the grid and from it."""

    into_grid: str
    from_grid: str


@dataclass(slots=True)
class MeterModbus:
    """A `Meter` behind a line.

    Attributes
    ----------
    line : to the meter, its own or one that it shares
    map : what stands where
    power : point of the active power
    sign : 1 where the meter counts power into the grid as positive, else -1
    class_pct, range_kw : its accuracy class, and its nominal power
    counters : points of energy, None: it has none
    """

    about_it: About
    clock: Clock
    line: Speaking
    map: RegisterMap
    power: str
    sign: int
    class_pct: float
    range_kw: float
    counters: Counters | None = None
    _said: About | None = None

    def about(self) -> About:
        """Return what a report says of it; asks who it is once, whatever comes of it."""
        if self._said is None:
            self._said = identified(self.about_it, self.line)
        return self._said

    def power_kw(self) -> Measured:
        """Return the power that it shows [kW, positive into the grid]."""
        point = self.map.point(self.power)
        resolution = self._resolution(point)
        return self._measured(
            self.sign * self._value(point), Accuracy(self.class_pct, self.range_kw, resolution)
        )

    def energy_kwh(self) -> Energy | None:
        """Return its counters [kWh]; their error is that of the class, of what they show."""
        if self.counters is None:
            return None
        shown = []
        for name in (self.counters.into_grid, self.counters.from_grid):
            point = self.map.point(name)
            accuracy = Accuracy(self.class_pct, 0.0, self._resolution(point))
            shown.append(self._measured(self._value(point), accuracy))
        return Energy(*shown)

    def release(self) -> None:
        """End the connection."""
        self.line.close()

    def _value(self, point: WirePoint) -> float:
        name = self.about_it.name
        with heard(name):
            words = self.line.read(point.table, point.address, point.width)
        value = decode(point, self.map.order, words)
        if not isinstance(value, float):
            raise InstrumentGarbage(f"{name}: {point.name} shows no value ({words})")
        return value * kilo(point)

    def _resolution(self, point: WirePoint) -> float:
        return 0.0 if point.type == "f32" else point.scale * kilo(point)

    def _measured(self, value: float, accuracy: Accuracy) -> Measured:
        sampling_s = self.about_it.sampling_s
        return Measured(value, self.clock.now_s(), accuracy.at(value), sampling_s)
