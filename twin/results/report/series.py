"""Minute series as the figures want them: present or None, cut to a common length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.record.history import History

__all__ = [
    "FLEXIBLE",
    "KINDS",
    "difference",
    "fan",
    "kind_power",
    "quarter_means",
    "scalar",
    "since",
    "table",
]

KINDS = (
    "storage",
    "aircon",
    "icestore",
    "charging",
    "swap",
    "solar",
    "industry",
    "hydrogen",
    "shorepower",
    "terminal",
)
"""Columns of ``kind.power_mw`` and ``kind.enrolled_power_mw``, in this order."""

FLEXIBLE = tuple(k for k in KINDS if k not in ("solar", "terminal"))
"""Kinds that take part in demand response."""

FAN_PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)

Series = NDArray[np.float64]


def scalar(history: History, name: str) -> Series | None:
    """Return a scalar series float64[filled], or None where it was not recorded at all."""
    if name not in history.scalars or history.filled == 0:
        return None
    values = history.series(name)
    return values if bool(np.isfinite(values).any()) else None


def table(history: History, name: str) -> NDArray[np.generic] | None:
    """Return a table [filled, n], or None where it was not recorded or has no column."""
    if name not in history.tables or history.tables[name][0] == 0 or history.filled == 0:
        return None
    return history.table(name)


def kind_power(history: History, enrolled: bool = False) -> Series | None:
    """Return float64[filled, kinds], power into the grid by kind [MW]."""
    values = table(history, "kind.enrolled_power_mw" if enrolled else "kind.power_mw")
    return None if values is None else np.asarray(values, dtype=np.float64)


def difference(run: Series | None, without: Series | None) -> Series | None:
    """Return run minus counterfactual over the minutes that both have."""
    if run is None or without is None:
        return None
    n = min(run.shape[0], without.shape[0])
    return run[:n] - without[:n]


def since(history: History, now_ms: int) -> int:
    """Return the row of the minute that begins at `now_ms`."""
    return history.index(now_ms)


def quarter_means(values: Series, start_ms: int) -> tuple[int, Series]:
    """Return clock-aligned 15-minute means and the row at which the first whole one begins."""
    lead = int(-(start_ms // MINUTE_MS) % 15)
    whole = max((values.shape[0] - lead) // 15, 0)
    return lead, values[lead : lead + whole * 15].reshape(whole, 15).mean(axis=1)


def fan(values: NDArray[np.generic], wanted: NDArray[np.bool_] | None = None) -> Series:
    """Return float64[5, minutes]: p5, p25, median, p75, p95 over the columns.

    Parameters
    ----------
    values : [minutes, n]
    wanted : bool[minutes, n], columns that count; a minute in which none does is NaN
    """
    held = np.array(values, dtype=np.float32)
    if wanted is not None:
        held[~wanted] = np.nan
    held.sort(axis=1)  # NaN sorts last
    count = held.shape[1] - np.isnan(held).sum(axis=1)
    out = np.full((len(FAN_PERCENTILES), held.shape[0]), np.nan)
    rows = np.flatnonzero(count > 0)
    for i, percent in enumerate(FAN_PERCENTILES):
        place = percent / 100.0 * (count[rows] - 1)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, count[rows] - 1)
        part = place - low
        out[i, rows] = held[rows, low] * (1.0 - part) + held[rows, high] * part
    return out
