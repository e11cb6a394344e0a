"""How a twin device and the real one that takes its place differ in size.

The scale is the twin's rating over the real device's. What the real device does is multiplied by
it on the way into the load flow, what is ordered is divided by it. That holds only while both can
do the same per unit of their rating; otherwise the pair is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from hil.bench.meanings import FEED_IN_LIMITED, POWER_SETPOINTS
from hil.bench.schema import DeviceEntry
from hil.registers.kinds import catalogue
from twin.errors import InputProblems, Problem

__all__ = ["Scale", "scale_of"]

# The project's choice: more, and their states of charge part within a few cycles.
HOURS_TOLERANCE = 0.1
PER_UNIT = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of a pair.

    Attributes
    ----------
    twin_kw, bench_kw : ratings
    """

    twin_kw: float
    bench_kw: float

    @property
    def factor(self) -> float:
        """Twin's rating over the real device's."""
        return self.twin_kw / self.bench_kw

    def to_twin(self, bench_kw: float) -> float:
        """Return what a power of the real device is at the twin's size [kW]."""
        return bench_kw * self.factor

    def to_bench(self, twin_kw: float) -> float:
        """Return what a power of the twin is at the real device's size [kW]."""
        return twin_kw / self.factor


def scale_of(
    entry: DeviceEntry, twin_kw: float, twin_kwh: float | None = None, file: str = "bench"
) -> Scale:
    """Return the scale of a bench device and its twin.

    Parameters
    ----------
    entry : of the bench file
    twin_kw, twin_kwh : registered rating of the twin device, and its capacity where it stores
    file : named in problems

    Raises
    ------
    InputProblems : every limit that does not fit per unit of rating
    """
    place = f"devices ({entry.name})"
    found = [Problem(file, f"{place}{at}", value, allowed)
             for at, value, allowed in _misfits(entry, twin_kw, twin_kwh)]  # fmt: skip
    if found:
        raise InputProblems(found)
    return Scale(twin_kw, entry.rated_kw)


def _misfits(
    entry: DeviceEntry, twin_kw: float, twin_kwh: float | None
) -> Iterator[tuple[str, str, str]]:
    if not (twin_kw > 0.0 and math.isfinite(twin_kw)):
        yield ".replaces", f"the twin device is rated {twin_kw:g} kW", "a rating above 0"
        return
    low_pu, high_pu = _ordered_pu(entry.register_map().kind)
    limits = entry.limits
    if limits is not None:
        own_low, own_high = (
            limits.power_low_kw / entry.rated_kw,
            limits.power_high_kw / entry.rated_kw,
        )
        if own_low > low_pu + PER_UNIT:
            allowed = f"{low_pu:g} of rating: the twin may be ordered so far"
            yield ".limits.power_low_kw", f"{own_low:g} of rating", allowed
        if own_high < high_pu - PER_UNIT:
            allowed = f"{high_pu:g} of rating: the twin may be ordered so far"
            yield ".limits.power_high_kw", f"{own_high:g} of rating", allowed
    if entry.capacity_kwh is not None and twin_kwh is not None:
        own_h, twin_h = entry.capacity_kwh / entry.rated_kw, twin_kwh / twin_kw
        if abs(own_h / twin_h - 1.0) > HOURS_TOLERANCE:
            allowed = f"{twin_h:g} h as the twin's, within {100 * HOURS_TOLERANCE:g} %"
            yield ".capacity_kwh", f"{own_h:g} h at rated power", allowed


def _ordered_pu(kind: str) -> tuple[float, float]:
    """Return the power that a device of a kind may be ordered, per unit, into the grid."""
    low = high = 0.0
    for name, point in catalogue()[kind].setpoints.items():
        sign = POWER_SETPOINTS.get(name, 0.0)
        if name == "limit_kw" and kind in FEED_IN_LIMITED:
            sign = 1.0
        if sign == 0.0 or not point.per_rating:
            continue
        ends = (sign * point.low, sign * point.high)
        low, high = min(low, *ends), max(high, *ends)
    return low, high
