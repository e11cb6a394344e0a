"""From set-points to devices, whoever wrote them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from twin.assets.kind import Kind
from twin.engine.calendar import when
from twin.engine.timeline import Entry
from twin.record.exchange import Outcome, SetPoint


def setpoints_at(writes: Sequence[Entry], now_ms: int) -> list[SetPoint]:
    """Return what the timeline writes at `now_ms`; `writes` stand by time."""
    first = bisect_left(writes, now_ms, key=when)
    due = takewhile(lambda entry: entry.now_ms == now_ms, writes[first:])
    return [entry.what for entry in due if isinstance(entry.what, SetPoint)]


def deliver(
    write: SetPoint, kind: Kind, reached: NDArray[np.bool_], now_ms: int
) -> tuple[int, NDArray[np.uint8]]:
    """Hand a write to its devices; return the set-point's number and each row's `Outcome`.

    Parameters
    ----------
    reached : bool[n]  devices of the kind that have contact; the others' write is LOST
    """
    point = next(i for i, p in enumerate(kind.setpoints) if p.name == write.point)
    rows, values = np.asarray(write.rows, np.int64), np.asarray(write.values, np.float64)
    outcome = np.full(len(rows), Outcome.LOST, np.uint8)
    heard = reached[rows]
    outcome[heard] = kind.apply(point, rows[heard], values[heard], now_ms)
    return point, outcome
