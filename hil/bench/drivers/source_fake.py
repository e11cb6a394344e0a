"""A grid source that goes where it is told at once and records what it was asked."""

from __future__ import annotations

from hil.bench.clock import Clock
from hil.bench.drivers.asked import Asked
from hil.bench.drivers.reach import Course, Reach
from hil.bench.roles import About, Applied, InstrumentSilent, Measured

__all__ = ["SourceFake"]


REACH = Reach(0.9, 1.1, 49.0, 51.0, 0.1, 1.0)  # of a fake that is told none


class SourceFake:
    """A `GridSource` on nothing; it begins at 1 pu and 50 Hz.

    `errors` are the half widths of its readings' errors, (pu, Hz).

    Attributes
    ----------
    broken : while true, every call but `about` and `release` raises InstrumentSilent
    asked : every call in order, with what was asked for
    sent : every step that it took
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        reach: Reach | None = None,
        errors: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.clock, self.errors = clock, errors
        self.course = Course(REACH if reach is None else reach, 1.0, 50.0, clock.now_s())
        self.broken = False
        self.asked: list[Asked] = []
        self.sent: list[Applied] = []
        self._about = About(name, "source_fake", "fake", 100.0 * errors[0])

    def about(self) -> About:
        """Return what a report says of it."""
        return self._about

    def apply(self, voltage_pu: float, frequency_hz: float) -> Applied:
        """Take one step; see `GridSource.apply`."""
        now_s = self._note("apply", voltage_pu, frequency_hz)
        applied = self.course.step(voltage_pu, frequency_hz, now_s)
        self.course.moved(applied, now_s)
        self.sent.append(applied)
        return applied

    def voltage_pu(self) -> Measured:
        """Return where it stands [pu]."""
        now_s = self._note("voltage_pu")
        return Measured(self.course.voltage_pu, now_s, self.errors[0], 0.0)

    def frequency_hz(self) -> Measured:
        """Return where it stands [Hz]."""
        now_s = self._note("frequency_hz")
        return Measured(self.course.frequency_hz, now_s, self.errors[1], 0.0)

    def release(self) -> None:
        """Record that it was released."""
        self.asked.append(Asked(self.clock.now_s(), "release"))

    def _note(self, method: str, *values: float) -> float:
        now_s = self.clock.now_s()
        self.asked.append(Asked(now_s, method, values))
        if self.broken:
            raise InstrumentSilent(f"{self._about.name}: no answer (a fake that is broken)")
        return now_s
