"""A grid source whose knobs a person turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hil.bench.clock import Clock
from hil.bench.drivers.reach import Course, Reach
from hil.bench.roles import About, Applied, InstrumentRefused, Measured, Person

__all__ = ["SourceManual"]


@dataclass(slots=True)
class SourceManual:
    """A `GridSource` that somebody sets; where it stands at first is asked for as well.

    Attributes
    ----------
    nominal_v : what 1 pu is [V]
    errors : half widths of its displays' errors, (pu, Hz)
    before : told what the person is going to be asked to do; what it raises keeps it back
    """

    about_it: About
    clock: Clock
    person: Person
    nominal_v: float
    reach: Reach
    errors: tuple[float, float]
    before: Callable[[str], None] = lambda command: None
    _course: Course | None = None

    def about(self) -> About:
        """Return what a report says of it."""
        return self.about_it

    def apply(self, voltage_pu: float, frequency_hz: float) -> Applied:
        """Ask for one step; see `GridSource.apply`. A no is InstrumentRefused with code 0."""
        name = self.about_it.name
        if self._course is None:
            standing = self.voltage_pu().value, self.frequency_hz().value
            if not self.reach.holds(*standing):
                raise InstrumentRefused(f"{name}: it stands outside {self.reach}", 0)
            self._course = Course(self.reach, *standing, self.clock.now_s())
        now_s = self.clock.now_s()
        applied = self._course.step(voltage_pu, frequency_hz, now_s)
        volts = applied.voltage_pu * self.nominal_v
        asked = f"set {volts:.1f} V, {applied.frequency_hz:.3f} Hz (设定电压和频率)"
        self.before(asked)
        if not self.person.confirm(f"{name}: {asked}. Done? 完成？"):
            self._course = None
            raise InstrumentRefused(f"{name}: {asked} was not done", 0)
        self._course.moved(applied, now_s)
        return applied

    def voltage_pu(self) -> Measured:
        """Ask for the voltage; answered in volts, returned in pu."""
        volts = self.person.number(f"{self.about_it.name}: voltage (电压)", "V")
        return self._measured(volts / self.nominal_v, self.errors[0])

    def frequency_hz(self) -> Measured:
        """Ask for the frequency [Hz]."""
        value = self.person.number(f"{self.about_it.name}: frequency (频率)", "Hz")
        return self._measured(value, self.errors[1])

    def release(self) -> None:
        """Nothing to end."""

    def _measured(self, value: float, error: float) -> Measured:
        return Measured(value, self.clock.now_s(), error, self.about_it.sampling_s)
