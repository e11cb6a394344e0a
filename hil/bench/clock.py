"""Time as a bench sees it: the device's own, which an emulated device may run faster than ours."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "WallClock"]


class Clock(Protocol):
    """Everything that waits on a bench takes one of these.

    An emulated device is time-compressed: its clock steps the simulation in `sleep`. Times of
    one clock are told apart and subtracted, never held against another's.
    """

    def now_s(self) -> float:
        """Return the time of the device [s], which never runs backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let so much time pass for the device [s]; nothing or less returns at once."""
        ...


class WallClock:
    """The time of real hardware, in seconds since the clock was made."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()

    def now_s(self) -> float:
        """Return seconds since the clock was made."""
        return time.monotonic() - self._start_s

    def sleep(self, seconds: float) -> None:
        """Wait."""
        if seconds > 0.0:
            time.sleep(seconds)
