"""How a real device and its twin differ, register by register: by value and by delay.

The twin runs beside the device under the same set-points. Each grid period both are written
down; what is compared is the twin's true value with what the device's register says, in the
twin's unit and size (a quantity that grows with the device is multiplied by the bench's scale).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Compared", "Track", "columns", "compare", "delay_s", "grows", "thinned"]

F8 = NDArray[np.float64]

# Units of what is twice as much in a device of twice the size.
_GROWING = frozenset(("kW", "kWh", "kvar", "kVA", "kg", "kg/h", "A"))
# For a delay to be told, all our choice: how far apart steps are looked for, how alike two series
# must be, and what is a step at all, as a share of a series' range: what drifts has none.
MOST_DELAY_S = 60.0
ALIKE = 0.5
STEP = 0.05
LEAST_PERIODS = 8
MOST_SHOWN = 480  # on the page


def grows(unit: str) -> bool:
    """Return whether a quantity of `unit` is scaled with the device's rating.

    >>> grows("kWh"), grows("C"), grows("1")
    (True, False, False)
    """
    return unit in _GROWING


@dataclass(slots=True)
class Track:
    """One point of one device, grid period by grid period.

    Attributes
    ----------
    device, point, register : bench device; the kind's point; the map's point it was read from
    unit : of the values
    signal : the values are states (遥信), whose difference means nothing but that they differ
    now_ms : simulated time
    twin, bench : NaN where there is none
    age_s : of the bench's value, simulated seconds
    commanded : 1 while the twin was under remote control
    """

    device: str
    point: str
    register: str
    unit: str
    signal: bool = False
    now_ms: array[int] = field(default_factory=lambda: array("q"))
    twin: array[float] = field(default_factory=lambda: array("d"))
    bench: array[float] = field(default_factory=lambda: array("d"))
    age_s: array[float] = field(default_factory=lambda: array("d"))
    commanded: array[int] = field(default_factory=lambda: array("b"))

    def add(self, now_ms: int, twin: float, bench: float, age_s: float, commanded: bool) -> None:
        """Put down the end of one period; times ascend."""
        self.now_ms.append(now_ms)
        self.twin.append(twin)
        self.bench.append(bench)
        self.age_s.append(age_s)
        self.commanded.append(commanded)


@dataclass(frozen=True, slots=True)
class Compared:
    """Figures of one point of one device; differences are twin minus bench, in `unit`.

    Attributes
    ----------
    periods : in which both had a value
    mean, p95_abs, max_abs : of the difference; None without a period, and of states
    mean_commanded, p95_abs_commanded : of the periods under remote control alone
    unequal_pct : of states, the share of periods in which they differ [%]; else None
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
    unequal_pct: float | None
    delay_s: float | None
    resolution_s: float

    def to_dict(self) -> dict[str, object]:
        """Return what ``summary.json`` shows."""
        return {name: getattr(self, name) for name in self.__slots__}


def compare(track: Track, period_s: float) -> Compared:
    """Return the figures of a track; `period_s` is the grid period [simulated s]."""
    twin, bench = np.array(track.twin), np.array(track.bench)
    commanded = np.array(track.commanded, np.bool_)
    both = np.isfinite(twin) & np.isfinite(bench)
    off = twin - bench
    ages = np.array(track.age_s)[both]
    oldest = float(np.percentile(ages, 95)) if len(ages) > 0 else 0.0
    known = both & (not track.signal)
    unequal = 100.0 * float((off[both] != 0.0).mean()) if track.signal and both.any() else None
    return Compared(
        track.device,
        track.point,
        track.register,
        track.unit,
        int(both.sum()),
        _mean(off[known]),
        _p95(off[known]),
        float(np.abs(off[known]).max()) if known.any() else None,
        _mean(off[known & commanded]),
        _p95(off[known & commanded]),
        unequal,
        delay_s(twin, bench, period_s),
        max(period_s, oldest),
    )


def thinned(track: Track, period_s: float) -> dict[str, object]:
    """Return a track with `MOST_SHOWN` values at most, for the page; each a mean over its time.

    Keys ``start_ms``, ``step_ms``, and ``twin`` and ``bench`` with None where nothing is known.
    """
    n = len(track.now_ms)
    together = max(-(-n // MOST_SHOWN), 1)
    found: dict[str, object] = {
        "start_ms": track.now_ms[0] if n > 0 else 0,
        "step_ms": round(1000.0 * period_s * together),
    }
    for name in ("twin", "bench"):
        values = np.array(getattr(track, name))
        parts = (values[i : i + together] for i in range(0, n, together))
        known = (part[np.isfinite(part)] for part in parts)
        found[name] = [round(float(k.mean()), 3) if len(k) > 0 else None for k in known]
    return found


def columns(tracks: Sequence[Track]) -> dict[str, NDArray[np.generic]]:
    """Return all tracks as columns, one after the other, for ``bench.parquet``."""
    found: dict[str, NDArray[np.generic]] = {}
    for name in ("device", "point", "register", "unit"):
        texts = [np.full(len(t.now_ms), getattr(t, name)) for t in tracks]
        found[name] = np.concatenate(texts) if texts else np.zeros(0, "U1")
    for name, kind in (("now_ms", "i8"), ("twin", "f8"), ("bench", "f8"), ("age_s", "f8")):
        found[name] = np.concatenate(
            [np.zeros(0, kind), *(np.array(getattr(t, name)) for t in tracks)]
        )
    flags = [np.array(t.commanded, np.bool_) for t in tracks]
    found["commanded"] = np.concatenate([np.zeros(0, np.bool_), *flags])
    return found


def _mean(values: F8) -> float | None:
    return float(values.mean()) if len(values) > 0 else None


def _p95(values: F8) -> float | None:
    return float(np.percentile(np.abs(values), 95)) if len(values) > 0 else None


def delay_s(twin: F8, bench: F8, period_s: float) -> float | None:
    """Return by how much the steps of `bench` come after those of `twin`.

    The delay is the shift at which the cross-correlation of the two series' steps (their first
    differences, those of `STEP` and more) is greatest; negative where the bench moves first.

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
    ours, theirs = _steps(twin), _steps(bench)
    norm = float(np.sqrt((ours @ ours) * (theirs @ theirs)))
    if norm == 0.0:
        return None
    most = min(n - 2, int(MOST_DELAY_S / period_s))
    shifts = np.arange(-most, most + 1)
    alike = np.array([_product(ours, theirs, int(k)) for k in shifts]) / norm
    # Among equals the smallest shift: a periodic signal fits at several.
    best = max(range(len(shifts)), key=lambda i: (round(float(alike[i]), 9), -abs(shifts[i])))
    return float(shifts[best] * period_s) if alike[best] >= ALIKE else None


def _steps(values: F8) -> F8:
    """Return float64[periods - 1], changes that are steps; 0 where there is none."""
    known = values[np.isfinite(values)]
    least = STEP * float(np.ptp(known)) if len(known) > 0 else 0.0
    change = np.nan_to_num(np.diff(values))
    return np.where(np.abs(change) >= max(least, 1e-12), change, 0.0)


def _product(ours: F8, theirs: F8, shift: int) -> float:
    """Return the sum over i of ours[i] * theirs[i + shift]."""
    if shift < 0:
        return float(ours[-shift:] @ theirs[:shift])
    return float(ours[: len(ours) - shift] @ theirs[shift:])
