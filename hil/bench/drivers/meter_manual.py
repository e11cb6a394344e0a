"""A meter that a person reads."""

from __future__ import annotations

from dataclasses import dataclass

from hil.bench.clock import Clock
from hil.bench.drivers.accuracy import Accuracy
from hil.bench.roles import About, Energy, Measured, Person

__all__ = ["MeterManual"]


@dataclass(frozen=True, slots=True)
class MeterManual:
    """A `Meter` whose display somebody reads out.

    Attributes
    ----------
    accuracy : of the display; what a person adds by reading late is in `about_it.sampling_s`
    counters : whether the display shows energy too
    """

    about_it: About
    clock: Clock
    person: Person
    accuracy: Accuracy
    counters: bool = False

    def about(self) -> About:
        """Return what a report says of it."""
        return self.about_it

    def power_kw(self) -> Measured:
        """Ask for the power [kW, positive into the grid]."""
        return self._read("power, positive into the grid (有功功率，送出为正)", "kW")

    def energy_kwh(self) -> Energy | None:
        """Ask for both counters [kWh]."""
        if not self.counters:
            return None
        into = self._read("energy into the grid (反向有功电能)", "kWh")
        return Energy(into, self._read("energy from the grid (正向有功电能)", "kWh"))

    def release(self) -> None:
        """Nothing to end."""

    def _read(self, what: str, unit: str) -> Measured:
        value = self.person.number(f"{self.about_it.name}: {what}", unit)
        sampling_s = self.about_it.sampling_s
        return Measured(value, self.clock.now_s(), self.accuracy.at(value), sampling_s)
