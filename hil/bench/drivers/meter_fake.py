"""A meter that shows what it is told and records what it was asked."""

from __future__ import annotations

from collections.abc import Callable

from hil.bench.clock import Clock
from hil.bench.drivers.accuracy import Accuracy
from hil.bench.drivers.asked import Asked
from hil.bench.roles import About, Energy, InstrumentSilent, Measured

__all__ = ["MeterFake"]


class MeterFake:
    """A `Meter` on nothing.

    Parameters
    ----------
    power : what it shows [kW, positive into the grid], a number or a function of the time [s]
    accuracy : of its readings; by default it makes no error
    sampling_s : interval at which it is taken to renew its reading

    Attributes
    ----------
    power : may be set at any time
    energy_kwh_shown : (into, from) the grid; None: it has no counters
    broken : while true, every reading raises InstrumentSilent
    asked : every call in order
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        power: float | Callable[[float], float] = 0.0,
        accuracy: Accuracy | None = None,
        sampling_s: float = 0.0,
    ) -> None:
        self.clock, self.power = clock, power
        self.accuracy = Accuracy(0.0, 1.0) if accuracy is None else accuracy
        self.energy_kwh_shown: tuple[float, float] | None = None
        self.broken = False
        self.asked: list[Asked] = []
        self._about = About(name, "meter_fake", "fake", self.accuracy.class_pct, sampling_s, None)

    def about(self) -> About:
        """Return what a report says of it."""
        return self._about

    def power_kw(self) -> Measured:
        """Return the power it was told to show [kW]."""
        now_s = self._note("power_kw")
        power = self.power
        return self._measured(power(now_s) if callable(power) else power, now_s)

    def energy_kwh(self) -> Energy | None:
        """Return the counters it was told to show [kWh]."""
        now_s, shown = self._note("energy_kwh"), self.energy_kwh_shown
        if shown is None:
            return None
        return Energy(self._measured(shown[0], now_s), self._measured(shown[1], now_s))

    def release(self) -> None:
        """Record that it was released."""
        self.asked.append(Asked(self.clock.now_s(), "release"))

    def _note(self, method: str) -> float:
        now_s = self.clock.now_s()
        self.asked.append(Asked(now_s, method))
        if self.broken:
            raise InstrumentSilent(f"{self._about.name}: no answer (a fake that is broken)")
        return now_s

    def _measured(self, value: float, now_s: float) -> Measured:
        return Measured(value, now_s, self.accuracy.at(value), self._about.sampling_s)
