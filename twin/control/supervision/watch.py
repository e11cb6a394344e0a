"""Belief on one kind: the last plausible reading of each device, with its own time stamp.

A reading that cannot be true (not finite, out of the point's range, half as much again as the
rating, stamped ahead of now or before what is known) is not believed; power of the wrong sign,
as from a swapped transformer, is turned where status or kind betray it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.memory import whole
from twin.record.alarms import poll_period_ms
from twin.record.exchange import KindInventory, Quality, Reading
from twin.record.table import Table

__all__ = ["FRESH_MS", "NEVER_MS", "Watch", "well_formed"]

NEVER_MS = -(10**15)
GOOD = int(Quality.GOOD)
PLAUSIBLE_RATINGS = 1.5  # more than this times the rating is no measurement (assumed)
PLAUSIBLE_DEMANDS = 3.0  # the same for a customer, whose "rating" is his registered demand
PLAUSIBLE = 1e9  # no point of a device reaches this in its unit (assumed)
SIGN_DEAD_BAND = 0.02  # of the rating: below it a sign says nothing (assumed)
FRESH_MS = 3 * MINUTE_MS  # older readings are no basis for closed-loop control (assumed)
AHEAD_MS = MINUTE_MS  # by which a device's clock may be ahead (assumed)

# Kinds that can only draw, or only feed: the other sign is a swapped transformer.
ONLY_DRAW = ("aircon", "icestore", "industry", "shorepower", "terminal")
ONLY_FEED = ("solar",)


def well_formed(kind: KindInventory, reading: Reading) -> bool:
    """Return whether `reading` has the shapes and types of a reading of `kind`."""
    given = (reading.value, reading.time_ms, reading.quality)
    shapes = ((len(kind.points), kind.n), (kind.n,), (kind.n,))
    return all(
        isinstance(a, np.ndarray) and a.shape == shape and a.dtype.kind in kinds
        for a, shape, kinds in zip(given, shapes, ("fiu", "iu", "iu"), strict=True)
    )


class Watch:
    """Belief on one kind.

    Attributes
    ----------
    memory : extra arrays ``value`` float64[points, n], ``time_ms`` int64[n], ``soc_step``
        float64[n] (last change of SOC), ``mended`` and ``refused`` bool[n] (the last reading was
        believed after mending, was not believed), and ``first_ms`` of the first look
    clean : float64[points, n]  the values with 0 where nothing is known
    """

    def __init__(self, kind: KindInventory, sites: Mapping[str, NDArray[np.float64]]) -> None:
        self.kind, self.n = kind, kind.n
        self.index = {p.name: i for i, p in enumerate(kind.points)}
        columns = kind.columns
        self.sites = sites
        rated = columns.f8("rated_kw") if "rated_kw" in columns else np.full(self.n, np.inf)
        self.rated_kw = np.where(rated > 0.0, rated, np.inf)
        most = PLAUSIBLE_DEMANDS if kind.name == "terminal" else PLAUSIBLE_RATINGS
        self.most_kw = np.minimum(most * self.rated_kw, PLAUSIBLE)
        low = np.full((len(kind.points), 1), -PLAUSIBLE)
        high = -low
        for i, point in enumerate(kind.points):
            span = point.high - point.low
            if not point.per_rating and np.isfinite(span):
                low[i], high[i] = point.low - 0.05 * span, point.high + 0.05 * span
        self.low, self.high = low, high
        self.memory = Table(
            (),
            0,
            {
                "value": np.full((len(kind.points), self.n), np.nan),
                "time_ms": np.full(self.n, NEVER_MS, np.int64),
                "soc_step": np.zeros(self.n),
                "mended": np.zeros(self.n, np.bool_),
                "refused": np.zeros(self.n, np.bool_),
                "first_ms": np.full(1, NEVER_MS, np.int64),
            },
        )
        self.clean = np.zeros((len(kind.points), self.n))
        self.band_kw = SIGN_DEAD_BAND * self.rated_kw
        self.period_ms = poll_period_ms(kind.name)

    def get(self, point: str) -> NDArray[np.float64]:
        """Return the believed values of `point`, NaN where never read (a view)."""
        row: NDArray[np.float64] = self.memory["value"][self.index[point]]
        return row

    def or_zero(self, point: str) -> NDArray[np.float64]:
        """Return the believed values of `point`, 0 where never read or not shown by the kind."""
        if point not in self.index:
            return np.zeros(self.n)
        row: NDArray[np.float64] = self.clean[self.index[point]]
        return row

    def fresh(self, now_ms: int, within_ms: int = FRESH_MS) -> NDArray[np.bool_]:
        """Return which devices were read within `within_ms` before `now_ms`."""
        return np.asarray(self.memory["time_ms"] >= now_ms - within_ms)

    def silent_periods(self, now_ms: int) -> NDArray[np.float64]:
        """Return for how many poll periods each device has been silent.

        One that never answered is silent since the platform first looked.
        """
        heard, first = whole(self.memory, "time_ms"), int(self.memory.extra["first_ms"][0])
        return np.asarray((now_ms - np.where(heard == NEVER_MS, first, heard)) / self.period_ms)

    def flags(self, name: str) -> NDArray[np.bool_]:
        """Return ``mended`` or ``refused`` (a view)."""
        return cast("NDArray[np.bool_]", self.memory.extra[name])

    def refresh(self) -> None:
        """Work out `clean` (unknown is 0) from what is believed."""
        np.copyto(self.clean, self.memory["value"])
        self.clean[np.isnan(self.clean)] = 0.0

    def take(self, now_ms: int, reading: Reading) -> NDArray[np.bool_] | None:
        """Believe what is believable of `reading`; return of which devices that is.

        None: it was of another shape or type and is left aside.
        """
        if not well_formed(self.kind, reading):
            return None
        held, value, stamp = self.memory["value"], reading.value, reading.time_ms
        answered = reading.quality == GOOD
        good = answered & (np.abs(value[0]) <= self.most_kw)  # NaN is no less than anything
        inside = value >= self.low
        inside &= value <= self.high
        if not inside.all():
            good &= inside.all(axis=0)
        known_ms = whole(self.memory, "time_ms")
        good &= (stamp >= known_ms) & (stamp <= now_ms + AHEAD_MS)
        if "soc" in self.index:
            step = np.abs(value[self.index["soc"]] - self.get("soc"))
            self.memory["soc_step"] = np.where(good & (step >= 0.0), step, 0.0)
        np.copyto(held, value, where=good)
        np.copyto(known_ms, stamp, where=good, casting="same_kind")
        self.memory["refused"] = answered & ~good
        self._repair(held[0], good)
        np.copyto(self.clean, held, where=good)
        return np.asarray(good)

    def _repair(self, power_kw: NDArray[np.float64], good: NDArray[np.bool_]) -> None:
        """Turn power of an impossible sign, in place; keep where the last reading needed it."""
        mended = self.flags("mended")
        np.copyto(mended, False, where=good)
        name = self.kind.name
        if name in ONLY_DRAW:
            wrong = power_kw > self.band_kw
        elif name in ONLY_FEED:
            wrong = power_kw < -self.band_kw
        elif name == "storage" and "status" in self.index:
            status = self.get("status")
            wrong = (status == 1) & (power_kw > self.band_kw)
            wrong |= (status == 2) & (power_kw < -self.band_kw)
            standing = (status == 0) & (np.abs(power_kw) > 0.1 * self.rated_kw)
            power_kw[standing] = 0.0  # a frozen sensor: the status word is another one
            mended |= standing
        else:
            return
        if wrong.any():
            power_kw[wrong] *= -1.0
            mended |= wrong

    def energy_today_kwh(self) -> NDArray[np.float64] | None:
        """Return charged plus discharged energy of the day, None for kinds without counters.

        A device that never answered gets a substitute value, the mean of the others by
        registered capacity, as metering practice fills gaps (general knowledge).
        """
        counters = ("charged_today_kwh", "discharged_today_kwh")
        if not set(counters) <= self.index.keys():
            return None
        energy = self.get(counters[0]) + self.get(counters[1])
        known = np.isfinite(energy)
        if known.all() or "capacity_kwh" not in self.kind.columns:
            return energy
        capacity = self.kind.columns.f8("capacity_kwh")
        per_kwh = float(energy[known].sum()) / max(float(capacity[known].sum()), 1e-6)
        return np.where(known, energy, per_kwh * capacity)
