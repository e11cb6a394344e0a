"""From a command log back to a timeline: the same writes give the same bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.assets import KINDS
from twin.engine.timeline import Entry, Phase
from twin.record.exchange import SetPoint
from twin.record.monitor import DEVICE_KINDS


def entries_of(commands: Mapping[str, NDArray[np.generic]]) -> tuple[Entry, ...]:
    """Return the writes of a command log as timeline entries, in their order.

    Parameters
    ----------
    commands : columns as ``History.events("commands")`` gives them, an empty mapping for an
        empty log. Every write is taken, whatever became of it: what was lost, refused or
        ignored will be again.

    Entries of one moment are told apart by the log's running number, so that they are applied
    in the order in which they were.
    """
    if not commands:
        return ()
    number = np.asarray(commands["number"], np.int64)
    order = np.argsort(number, kind="stable")
    first = np.flatnonzero(np.diff(number[order], prepend=number[order[0]] - 1))
    return tuple(_entry(commands, rows) for rows in np.split(order, first[1:]))


def _entry(commands: Mapping[str, NDArray[np.generic]], rows: NDArray[np.int64]) -> Entry:
    """Return the write that the log keeps in `rows`."""
    at = int(rows[0])
    kind = DEVICE_KINDS[int(commands["kind"][at])]
    point = KINDS[kind].setpoints[int(commands["point"][at])].name
    write = SetPoint(
        kind,
        point,
        np.asarray(commands["row"][rows], np.int64),
        np.asarray(commands["value"][rows], np.float64),
    )
    now_ms, number = int(commands["now_ms"][at]), int(commands["number"][at])
    return Entry(now_ms, Phase.SET_POINT, 0, 0, number, write)
