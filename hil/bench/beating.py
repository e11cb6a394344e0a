"""Progress as beats: every request of a run in one thread, and every wait, beats the guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hil.bench.clock import Clock
from hil.bench.guard import Guard
from hil.bench.lease import Timers
from hil.bench.line import Speaking
from hil.registers.schema import TableName

__all__ = ["BeatingClock", "BeatingLine", "Pulse"]


class Pulse:
    """Beats the guard and refreshes the devices' own timers; `timers`, by device, may be added."""

    def __init__(self, guard: Guard) -> None:
        self.timers: dict[str, Timers] = {}
        self._guard, self._resting = guard, False

    def __call__(self) -> None:
        """Beat; raises what `Guard.beat` and `Timers.refresh` raise."""
        self._guard.beat()
        if self._resting:
            return  # a refresh writes, and what writes beats
        with self.silent():
            for timers in self.timers.values():
                timers.refresh()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Leave the devices' timers alone while inside, such as to see them run out."""
        before, self._resting = self._resting, True
        try:
            yield
        finally:
            self._resting = before

    def wrote(self, device: str, table: TableName, address: int, count: int) -> None:
        """Take note of what was written to a device."""
        if device in self.timers:
            self.timers[device].wrote(table, address, count)


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
    """A line on which every request is a beat, since it ends within its time-out.

    Parameters
    ----------
    inner : the line
    pulse : the run's
    device : whose line it is, empty for an instrument's
    """

    def __init__(self, inner: Speaking, pulse: Pulse, device: str = "") -> None:
        self._inner, self._beat, self._device = inner, pulse, device

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
        self._beat.wrote(self._device, table, address, len(words))
        self._beat()

    def raw(self, function: int, data: bytes) -> bytes:
        """Return what a function was answered with, its code left out."""
        self._beat()
        return self._inner.raw(function, data)

    def close(self) -> None:
        """End the connection."""
        self._inner.close()
