"""How a real device and its twin differ, register by register: by value and by delay.

The twin runs beside the device under the same set-points. Each grid period both are written
down; what is compared is the twin's true value with what the device's register says, in the
twin's unit and size (a quantity that grows with the device is multiplied by the bench's scale).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Compared", "Row", "compare", "delay_s", "grows"]

F8 = NDArray[np.float64]

# Units of what is twice as much in a device of twice the size.
_GROWING = frozenset(("kW", "kWh", "kvar", "kVA", "kg", "kg/h", "A"))
# How far apart steps are looked for, and how alike two series must be for a delay to be told:
# our choice. Fewer periods than that say nothing of it either.
MOST_DELAY_S = 60.0
ALIKE = 0.5
LEAST_PERIODS = 8


def grows(unit: str) -> bool:
    """Return whether a quantity of `unit` is scaled with the device's rating.

    >>> grows("kWh"), grows("C"), grows("1")
    (True, False, False)
    """
    return unit in _GROWING


@dataclass(frozen=True, slots=True)
class Row:
    """One point at the end of one grid period.

    Attributes
    ----------
    now_ms : simulated time
    device, point, register : bench device; the kind's point; the map's point it was read from
    unit : of the values
    twin, bench : NaN where there is none
    age_s : of the bench's value, simulated seconds
    commanded : the twin was under remote control
    """

    now_ms: int
    device: str
    point: str
    register: str
    unit: str
    twin: float
    bench: float
    age_s: float
    commanded: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """Figures of one point of one device; differences are twin minus bench, in `unit`.

    Attributes
    ----------
    periods : in which both had a value
    mean, p95_abs, max_abs : of the difference; None without a period
    mean_commanded, p95_abs_commanded : of the periods under remote control alone
    delay_s : by which the bench's steps come after the twin's [simulated s], None where neither
        moved or they are not alike
    resolution_s : of the delay: the grid period, or the interval at which the bench is read
    """

    device: str
    point: str
    register: str
    unit: str
    periods: int
    mean: float | None
    p95_abs: float | None
    max_abs: float | None
    mean_commanded: float | None
    p95_abs_commanded: float | None
    delay_s: float | None
    resolution_s: float

    def to_dict(self) -> dict[str, object]:
        """Return what ``summary.json`` shows."""
        return {name: getattr(self, name) for name in self.__slots__}


def compare(rows: Sequence[Row], period_s: float) -> list[Compared]:
    """Return the figures of every point of every device, in the order in which they came.

    Parameters
    ----------
    rows : by time
    period_s : grid period [simulated s]
    """
    by_point: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_point.setdefault((row.device, row.point), []).append(row)
    return [_figures(mine, period_s) for mine in by_point.values()]


def _figures(rows: Sequence[Row], period_s: float) -> Compared:
    twin, bench = np.array([r.twin for r in rows]), np.array([r.bench for r in rows])
    commanded = np.array([r.commanded for r in rows])
    both = np.isfinite(twin) & np.isfinite(bench)
    off = twin - bench
    ages = np.array([r.age_s for r in rows])[both]
    oldest = float(np.percentile(ages, 95)) if len(ages) > 0 else 0.0
    first = rows[0]
    return Compared(
        first.device,
        first.point,
        first.register,
        first.unit,
        int(both.sum()),
        _mean(off[both]),
        _p95(off[both]),
        float(np.abs(off[both]).max()) if both.any() else None,
        _mean(off[both & commanded]),
        _p95(off[both & commanded]),
        delay_s(twin, bench, period_s),
        max(period_s, oldest),
    )


def _mean(values: F8) -> float | None:
    return float(values.mean()) if len(values) > 0 else None


def _p95(values: F8) -> float | None:
    return float(np.percentile(np.abs(values), 95)) if len(values) > 0 else None


def delay_s(twin: F8, bench: F8, period_s: float) -> float | None:
    """Return by how much the steps of `bench` come after those of `twin`.

    The delay is the shift at which the cross-correlation of the two series' steps (their first
    differences) is greatest; it is negative where the bench moves first.

    Parameters
    ----------
    twin, bench : float64[periods], NaN where unknown (no step is counted there)
    period_s : between two values

    Returns None where one of them never moves, and where at no shift within `MOST_DELAY_S` the
    steps correlate by `ALIKE` or more.
    """
    n = len(twin)
    if n < LEAST_PERIODS:
        return None
    ours, theirs = np.nan_to_num(np.diff(twin)), np.nan_to_num(np.diff(bench))
    norm = float(np.sqrt((ours @ ours) * (theirs @ theirs)))
    if norm == 0.0:
        return None
    most = min(n - 2, int(MOST_DELAY_S / period_s))
    shifts = np.arange(-most, most + 1)
    alike = np.array([_product(ours, theirs, int(k)) for k in shifts]) / norm
    # Among equals the smallest shift: a periodic signal fits at several.
    best = max(range(len(shifts)), key=lambda i: (round(float(alike[i]), 9), -abs(shifts[i])))
    return float(shifts[best] * period_s) if alike[best] >= ALIKE else None


def _product(ours: F8, theirs: F8, shift: int) -> float:
    """Return the sum over i of ours[i] * theirs[i + shift]."""
    if shift < 0:
        return float(ours[-shift:] @ theirs[:shift])
    return float(ours[: len(ours) - shift] @ theirs[shift:])
