"""The simulation on wall time: when a tick is due, and how late it was.

Time is the system's monotonic clock, which all processes of a machine share. A tick is due at
``begin + (now_ms - start_ms) / rate``; nothing is added up, so nothing drifts, and after an
overrun the next ticks catch up.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from twin.clock import SECOND_MS

__all__ = ["Lateness", "Pacer", "Timebase"]

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Timebase:
    """How wall time and simulated time go together.

    Attributes
    ----------
    begin_ns : monotonic time of the start
    start_ms : simulated time of the start
    rate : simulated seconds a wall second
    """

    begin_ns: int
    start_ms: int
    rate: float

    def due_ns(self, now_ms: int) -> int:
        """Return when simulated `now_ms` is due."""
        return self.begin_ns + int((now_ms - self.start_ms) * NS_PER_MS / self.rate)

    def now_ms(self, wall_ns: int) -> int:
        """Return the simulated time at monotonic `wall_ns`."""
        return self.start_ms + int((wall_ns - self.begin_ns) * self.rate / NS_PER_MS)


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late ticks were [ms of wall time].

    `overruns` counts ticks that began later than the one after them was due; `drift_ms` is the
    lateness of the last tick, over the whole run.
    """

    rate: float
    ticks: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    overruns: int
    drift_ms: float
    limit_ms: float

    @property
    def within(self) -> bool:
        """Return whether the 99th percentile keeps the limit."""
        return self.p99_ms <= self.limit_ms

    def to_dict(self) -> dict[str, float | int | bool]:
        """Return what ``summary.json`` shows."""
        return {
            "rate": self.rate,
            "ticks": self.ticks,
            "lateness_p50_ms": round(self.p50_ms, 3),
            "lateness_p99_ms": round(self.p99_ms, 3),
            "lateness_max_ms": round(self.max_ms, 3),
            "overruns": self.overruns,
            "drift_ms": round(self.drift_ms, 3),
            "lateness_limit_ms": self.limit_ms,
            "within_limit": self.within,
        }


class Pacer:
    """Holds a run to wall time.

    Parameters
    ----------
    start_ms : simulated time at the start
    rate : simulated seconds a wall second
    limit_ms : what the 99th percentile of lateness may be
    tick_ms : simulated time between two ticks, by which overruns are counted
    """

    def __init__(
        self, start_ms: int, rate: float, limit_ms: float, tick_ms: int = SECOND_MS
    ) -> None:
        self.start_ms, self.rate, self.limit_ms, self.tick_ms = start_ms, rate, limit_ms, tick_ms
        self.base = Timebase(time.monotonic_ns(), start_ms, rate)
        self._late_ns: list[int] = []

    def begin(self) -> Timebase:
        """Start the clock now; return the time base."""
        self.base = Timebase(time.monotonic_ns(), self.start_ms, self.rate)
        self._late_ns.clear()
        return self.base

    def wait(self, now_ms: int) -> int:
        """Wait until `now_ms` is due; return the wall time [ns] at which it was."""
        due_ns = self.base.due_ns(now_ms)
        left_ns = due_ns - time.monotonic_ns()
        if left_ns > 0:
            time.sleep(left_ns * 1e-9)
        return due_ns

    def mark(self, now_ms: int) -> None:
        """Book the tick at `now_ms` as shown now."""
        self._late_ns.append(time.monotonic_ns() - self.base.due_ns(now_ms))

    def lateness(self) -> Lateness:
        """Return the tally of all ticks so far."""
        late = np.array(self._late_ns or [0], np.float64) / NS_PER_MS
        p50, p99 = np.percentile(late, (50, 99))
        return Lateness(
            rate=self.rate,
            ticks=len(self._late_ns),
            p50_ms=float(p50),
            p99_ms=float(p99),
            max_ms=float(late.max()),
            overruns=int((late > self.tick_ms / self.rate).sum()),
            drift_ms=float(late[-1]),
            limit_ms=self.limit_ms,
        )
