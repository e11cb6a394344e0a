"""Frames as they went over the wire, kept as evidence."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from hil.bench.clock import Clock

__all__ = ["Frame", "FrameLog"]

MOST = 200_000


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes
    ----------
    wall_s : float  wall time since the epoch [s]
    line : str  where
    sent : bool  by us, else by the other end
    data : bytes  as on the wire: header or checksum included, under TLS what is inside
    at_s : float  of the device's clock, None: not known
    """

    wall_s: float
    line: str
    sent: bool
    data: bytes
    at_s: float | None = None

    def row(self) -> Mapping[str, object]:
        """Return it as JSON can hold it."""
        when = {} if self.at_s is None else {"at_s": round(self.at_s, 3)}
        return {
            "wall_s": round(self.wall_s, 6), **when, "line": self.line,
            "way": "out" if self.sent else "in", "hex": self.data.hex(),
        }  # fmt: skip


class FrameLog:
    """The last frames of one or more lines, for any thread.

    Parameters
    ----------
    most : how many are kept; older ones are counted in `dropped`
    clock : the device's, for `Frame.at_s`
    """

    def __init__(self, most: int = MOST, clock: Clock | None = None) -> None:
        self.dropped = 0
        self._clock = clock
        self._frames: deque[Frame] = deque(maxlen=most)
        self._lock = threading.Lock()

    def add(self, line: str, sent: bool, data: bytes) -> None:
        """Keep a frame that went just now."""
        at_s = None if self._clock is None else self._clock.now_s()
        with self._lock:
            self.dropped += len(self._frames) == self._frames.maxlen
            self._frames.append(Frame(time.time(), line, sent, data, at_s))

    def __len__(self) -> int:
        return len(self._frames)

    def take(self) -> list[Frame]:
        """Return the frames that are kept, and forget them."""
        with self._lock:
            found = list(self._frames)
            self._frames.clear()
        return found
