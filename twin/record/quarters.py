"""Energy of every device by quarter of an hour: what estimates by device are judged on.

Clock-aligned quarters, kWh into the grid. A forked run shares what its parent wrote and keeps
its own from the quarter of the fork on, which begins with the parent's part of it.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.units import SECONDS_PER_HOUR

QUARTER_MS = 15 * MINUTE_MS


class Quarters:
    """Energies by kind, float32[quarters, n], in memory that a forked process writes for all.

    Parameters
    ----------
    start_ms, end_ms : of the run
    widths : number of devices by kind
    parent, first : the record this one continues, and its first own quarter
    """

    def __init__(
        self, start_ms: int, end_ms: int, widths: Mapping[str, int],
        parent: Quarters | None = None, first: int = 0,
    ) -> None:  # fmt: skip
        self.start_ms, self.end_ms, self.widths = start_ms, end_ms, dict(widths)
        self.parent, self.first = parent, first
        self.begin_ms = start_ms - start_ms % QUARTER_MS
        self.count = max(-(-(end_ms - self.begin_ms) // QUARTER_MS), 0)
        own = max(self.count - first, 0)
        self._kwh = {kind: _shared(own, n) for kind, n in self.widths.items()}

    def index(self, now_ms: int) -> int:
        """Return the quarter that holds `now_ms`."""
        return int((now_ms - self.begin_ms) // QUARTER_MS)

    def add(self, at_ms: int, kind: str, mean_kw: NDArray[np.float64], seconds: int) -> None:
        """Book `seconds` of `mean_kw` that lie within the quarter of `at_ms`."""
        row = self.index(at_ms)
        if kind in self._kwh and self.first <= row < self.count:
            self._kwh[kind][row - self.first] += mean_kw * (seconds / SECONDS_PER_HOUR)

    def fork(self, now_ms: int) -> Quarters:
        """Return a record that continues from `now_ms`."""
        first = min(max(self.index(now_ms), self.first), self.count)
        other = Quarters(self.start_ms, self.end_ms, self.widths, self, first)
        for kind, kwh in other._kwh.items():
            if len(kwh) > 0:
                kwh[0] = self._kwh[kind][first - self.first]
        return other

    def kwh(self, kind: str, from_ms: int, to_ms: int) -> NDArray[np.float64]:
        """Return float64[quarters, n], the whole quarters within [from, to), kWh into the grid.

        Raises KeyError for a kind that is not kept.
        """
        first = max(self.index(from_ms + QUARTER_MS - 1), 0)
        stop = min(self.index(to_ms), self.count)
        return np.asarray(self._rows(kind, first, max(stop, first)), np.float64)

    def _rows(self, kind: str, first: int, stop: int) -> NDArray[np.float32]:
        own = self._kwh[kind][max(first - self.first, 0) : max(stop - self.first, 0)]
        if self.parent is None or first >= self.first:
            return own
        before = self.parent._rows(kind, first, min(stop, self.first))  # noqa: SLF001 - own class
        return np.concatenate([before, own])


def _shared(rows: int, n: int) -> NDArray[np.float32]:
    memory = mmap.mmap(-1, max(rows * n * 4, 1))
    return np.frombuffer(memory, np.float32, rows * n).reshape(rows, n)


__all__ = ["QUARTER_MS", "Quarters"]
