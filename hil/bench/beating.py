"""Progress as beats: every request of a run in one thread, and every wait, beats the guard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hil.bench.clock import Clock
from hil.bench.guard import Guard
from hil.bench.lease import Timers
from hil.bench.line import Speaking
from hil.registers.schema import TableName

__all__ = ["BeatingClock", "BeatingLine", "Pulse"]


class Pulse:
    """Beats the guard and refreshes the devices' own timers; `timers` may be added to."""

    def __init__(self, guard: Guard) -> None:
        self.timers: list[Timers] = []
        self._guard, self._refreshing = guard, False

    def __call__(self) -> None:
        """Beat; raises what `Guard.beat` and `Timers.refresh` raise."""
        self._guard.beat()
        if self._refreshing:
            return  # a refresh writes, and what writes beats
        self._refreshing = True
        try:
            for timers in self.timers:
                timers.refresh()
        finally:
            self._refreshing = False


class BeatingClock:
    """A clock that beats while it sleeps, at least every `slice_s` of its own time."""

    def __init__(self, inner: Clock, beat: Callable[[], None], slice_s: float) -> None:
        self._inner, self._beat, self._slice_s = inner, beat, slice_s

    def now_s(self) -> float:
        """Return the inner clock's time [s]."""
        return self._inner.now_s()

    def sleep(self, seconds: float) -> None:
        """Let time pass [s]; raises what the beat raises."""
        end_s = self._inner.now_s() + seconds
        self._beat()
        while (left_s := end_s - self._inner.now_s()) > 0.0:
            self._inner.sleep(min(left_s, self._slice_s))
            self._beat()


class BeatingLine:
    """A line on which every request is a beat, since it ends within its time-out."""

    def __init__(self, inner: Speaking, beat: Callable[[], None]) -> None:
        self._inner, self._beat = inner, beat

    @property
    def name(self) -> str:
        """Return where it leads, for people."""
        return self._inner.name

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        """Return registers or bits."""
        self._beat()
        return self._inner.read(table, address, count)

    def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
        """Write registers or bits, with one request."""
        self._inner.write(table, address, words)
        self._beat()

    def raw(self, function: int, data: bytes) -> bytes:
        """Return what a function was answered with, its code left out."""
        self._beat()
        return self._inner.raw(function, data)

    def close(self) -> None:
        """End the connection."""
        self._inner.close()
