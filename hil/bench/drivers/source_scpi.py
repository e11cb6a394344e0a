"""A grid source that speaks SCPI over a raw TCP socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hil.bench.clock import Clock
from hil.bench.drivers.reach import Course, Reach
from hil.bench.drivers.scpi import Scpi
from hil.bench.roles import About, Applied, InstrumentRefused, Measured

__all__ = ["ScpiWords", "SourceScpi"]


@dataclass(frozen=True, slots=True)
class ScpiWords:
    """How a source's maker spells what it can; `{}` takes the number.

    The defaults are what SCPI-99 sources have in common (general knowledge).
    """

    set_voltage: str = "VOLT {:.3f}"
    set_frequency: str = "FREQ {:.4f}"
    voltage_set: str = "VOLT?"
    frequency_set: str = "FREQ?"
    voltage: str = "MEAS:VOLT?"
    frequency: str = "MEAS:FREQ?"
    identity: str = "*IDN?"


@dataclass(slots=True)
class SourceScpi:
    """A `GridSource`; output on and off are a person's, this driver never switches it.

    Limits hold but for the rounding of the last digit that `words` send.

    On every new connection it asks where the source stands, and goes on from there. A source
    that stands outside its limits is not moved: InstrumentRefused with code 0.

    Attributes
    ----------
    scpi : connection
    nominal_v : what 1 pu is [V], phase to neutral as the source counts
    reach : limits and ramps
    errors : half widths of its readings' errors, (pu, Hz)
    before : told each command before it is sent; what it raises keeps the command back
    """

    about_it: About
    clock: Clock
    scpi: Scpi
    nominal_v: float
    reach: Reach
    errors: tuple[float, float]
    words: ScpiWords = field(default_factory=ScpiWords)
    before: Callable[[str], None] = lambda command: None
    _course: Course | None = None
    _identity: str | None = None

    def about(self) -> About:
        """Return what a report says of it; asks for its identity once."""
        if self._identity is None:
            self.scpi.connect()
            self._identity = self.scpi.ask(self.words.identity)
        one = self.about_it
        return About(
            one.name, one.driver, self._identity, one.class_pct, one.sampling_s, one.calibrated
        )

    def apply(self, voltage_pu: float, frequency_hz: float) -> Applied:
        """Send one step; see `GridSource.apply`."""
        course = self._where_it_stands()
        now_s = self.clock.now_s()
        applied = course.step(voltage_pu, frequency_hz, now_s)
        if applied.voltage_pu != course.voltage_pu:
            self._tell(self.words.set_voltage.format(applied.voltage_pu * self.nominal_v))
        if applied.frequency_hz != course.frequency_hz:
            self._tell(self.words.set_frequency.format(applied.frequency_hz))
        course.moved(applied, now_s)
        return applied

    def voltage_pu(self) -> Measured:
        """Return the measured voltage [pu]."""
        self.scpi.connect()
        value = self.scpi.number(self.words.voltage) / self.nominal_v
        return Measured(value, self.clock.now_s(), self.errors[0], self.about_it.sampling_s)

    def frequency_hz(self) -> Measured:
        """Return the measured frequency [Hz]."""
        self.scpi.connect()
        value = self.scpi.number(self.words.frequency)
        return Measured(value, self.clock.now_s(), self.errors[1], self.about_it.sampling_s)

    def release(self) -> None:
        """Close the connection; the source stays where it is."""
        self.scpi.release()

    def _where_it_stands(self) -> Course:
        """Return the course; after a new connection from what the source itself says."""
        if not self.scpi.connect() and self._course is not None:
            return self._course
        voltage_pu = self.scpi.number(self.words.voltage_set) / self.nominal_v
        frequency_hz = self.scpi.number(self.words.frequency_set)
        if not self.reach.holds(voltage_pu, frequency_hz):
            raise InstrumentRefused(
                f"{self.about_it.name}: it stands at {voltage_pu:.4g} pu, {frequency_hz:.5g} Hz, "
                f"outside {self.reach}: set it by hand first", 0,
            )  # fmt: skip
        self._course = Course(self.reach, voltage_pu, frequency_hz, self.clock.now_s())
        return self._course

    def _tell(self, command: str) -> None:
        self.before(command)
        try:
            self.scpi.tell(command)
        except InstrumentRefused:
            # Which of the two steps it took is not known: ask again where it stands.
            self._course = None
            raise
