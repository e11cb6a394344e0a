"""What devices draw and feed between two polls: an estimate from all readings there are.

Three things are known beside a device's own last reading. Devices of a group (of a district's
sun, a sector's day, a kind of use) move together, so the median of their last change goes on.
The customer's meter is read in another minute than what stands behind it, and its balance
spreads over those who have changed most since they were read: a least-squares update by
variance, site by site (static state estimation; variances are learned from how far readings
were from what had been expected). And who never answers can still be told from that balance;
his figure is a substitute and is reported as one. Control uses it for one thing only: what a
device that has gone silent during an order may draw by now.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.memory import whole
from twin.control.supervision.fleet import Supervision
from twin.control.supervision.watch import NEVER_MS, ONLY_DRAW, ONLY_FEED, Watch
from twin.record.exchange import PSEUDO_KINDS, Inventory
from twin.record.table import Table

__all__ = ["Estimate"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]

CLASS = 0.003  # standard deviation of a class 0.5 meter, of its rating (assumed: even spread)
FIRST_SPREAD = 1e-4  # of rating squared per minute, until readings have told (assumed)
SILENT_SPREAD = 0.1  # of rating squared, of a device that never answered (assumed)
MOVING = 0.02  # of the rating: less power says nothing of a trend (assumed)
MOST_TREND = 0.5  # of the last value that a trend may add or take until the next poll (assumed)
SEEN_PERIODS = 3  # an older reading before says nothing of a trend; then a device is silent


class Unit:
    """Estimate of one kind's power.

    Attributes
    ----------
    memory : rows ``kw`` (estimate at ``at_ms``, positive into the grid) and ``variance``
        [kW²]; ``read_kw`` of the last own reading at ``read_ms``; ``trend`` float64[groups]
        (relative change per ms); ``spread`` float64[2], sum and weight of squared surprises
    """

    def __init__(self, watch: Watch, site: Numbers, group: Numbers) -> None:
        self.watch, self.n, self.site, self.group = watch, watch.n, site, group
        self.rated_kw = np.where(np.isfinite(watch.rated_kw), watch.rated_kw, 1e-3)
        name = watch.kind.name
        most = np.minimum(watch.most_kw, 1e9)
        self.low = np.zeros(self.n) if name in ONLY_FEED else -most
        self.high = np.zeros(self.n) if name in ONLY_DRAW else most
        self.least = CLASS**2 * self.rated_kw**2
        groups = int(group.max(initial=0)) + 1
        self.memory = Table(
            ("kw", "variance", "read_kw"),
            self.n,
            {
                "at_ms": np.full(self.n, NEVER_MS, np.int64),
                "read_ms": np.full(self.n, NEVER_MS, np.int64),
                "trend": np.zeros(groups),
                "spread": np.array([FIRST_SPREAD, 1.0]),
            },
        )
        self.memory["variance"] = SILENT_SPREAD * self.rated_kw**2

    def age_ms(self, now_ms: int) -> Floats:
        """Return how old each estimate is, 0 where there is none."""
        at = whole(self.memory, "at_ms")
        return np.where(at == NEVER_MS, 0.0, np.maximum(now_ms - at, 0).astype(np.float64))

    def power_kw(self, now_ms: int) -> Floats:
        """Return the power expected at `now_ms`, 0 where nothing is known."""
        change = self.memory["trend"][self.group] * self.age_ms(now_ms)
        power = self.memory["kw"] * (1.0 + np.clip(change, -MOST_TREND, MOST_TREND))
        return np.clip(power, self.low, self.high)

    def variance(self, now_ms: int) -> Floats:
        """Return the variance of `power_kw` [kW²]: it grows with the age, as a random walk."""
        total, weight = self.memory["spread"]
        grown = total / weight * self.rated_kw**2 * self.age_ms(now_ms) / MINUTE_MS
        return np.asarray(self.memory["variance"] + grown)

    def read(self, now_ms: int) -> None:
        """Take the devices' own readings: they rule, and say how good the estimate was."""
        memory = self.memory
        heard, before = whole(self.watch.memory, "time_ms"), whole(memory, "read_ms")
        new = heard > before
        if not new.any():
            return
        power = self.watch.get("power_kw")
        old_kw, passed = memory["read_kw"], heard - before
        paired = new & (passed <= SEEN_PERIODS * self.watch.period_ms)
        rows = np.flatnonzero(paired)
        if len(rows) > 0:
            missed = (power - self.power_kw(now_ms))[rows] / self.rated_kw[rows]
            minutes = float(self.age_ms(now_ms)[rows].sum()) / MINUTE_MS
            if minutes > 0.0:  # clocks that run ahead make no age
                # Half of what was known counts on: the evening does not live by the night.
                memory["spread"] *= 0.5
                memory["spread"] += np.array([0.5 * float((missed**2).sum()), 0.5 * minutes])
            self._learn_trend(rows[np.abs(old_kw[rows]) > MOVING * self.rated_kw[rows]], passed)
        for name, value in (("kw", power), ("read_kw", power), ("variance", self.least)):
            np.copyto(memory[name], value, where=new)
        np.copyto(before, heard, where=new)
        np.copyto(whole(memory, "at_ms"), heard, where=new)

    def _learn_trend(self, rows: Numbers, passed: Numbers) -> None:
        """Take the median relative change of each group; one without any stands still."""
        power, old = self.watch.get("power_kw")[rows], self.memory["read_kw"][rows]
        rate = (power / old - 1.0) / passed[rows]
        group, trend = self.group[rows], self.memory["trend"]
        order = np.argsort(group, kind="stable")
        edges = np.searchsorted(group[order], np.arange(len(trend) + 1))
        for g, (first, last) in enumerate(pairwise(edges.tolist())):
            trend[g] = np.median(rate[order[first:last]]) if last > first else 0.0

    def correct(self, now_ms: int, gain_kw: Floats, part: Floats, sites: Flags) -> None:
        """Take a site's balance: `gain_kw` per kW² of variance at each of the `sites`.

        Who was read just now is known better than a meter's mean over the minute can tell.

        Parameters
        ----------
        part : float64[sites]  one over the variance of the whole balance
        """
        read_ms = whole(self.memory, "read_ms")
        rows = np.flatnonzero(sites[self.site] & (read_ms < now_ms - MINUTE_MS // 2))
        if len(rows) == 0:
            return
        at, variance = self.site[rows], self.variance(now_ms)[rows]
        power = self.power_kw(now_ms)[rows] + variance * gain_kw[at]
        self.memory["kw"][rows] = np.clip(power, self.low[rows], self.high[rows])
        self.memory["variance"][rows] = variance * np.maximum(1.0 - variance * part[at], 0.0)
        whole(self.memory, "at_ms")[rows] = now_ms


class Estimate:
    """Estimates of the whole fleet.

    Parameters
    ----------
    fleet : what is believed

    Sites without a terminal have a load of their own that nobody reads; it is one more unknown
    of their balance.
    """

    def __init__(self, inventory: Inventory, fleet: Supervision) -> None:
        self.fleet, sites = fleet, inventory.sites
        self.n_sites = sites.n
        sector = sites.i8("sector") if "sector" in sites else np.zeros(sites.n, np.int64)
        self.units: dict[str, Unit] = {}
        for name, watch in fleet.watch.items():
            columns = watch.kind.columns
            if name in PSEUDO_KINDS or watch.n == 0 or not {"site"} <= columns.keys():
                continue
            if "power_kw" not in watch.index:
                continue
            site, group = columns.i8("site"), np.zeros(watch.n, np.int64)
            if name == "terminal":
                group = sector[site]
            elif name == "solar":
                group = columns.i8("district")
            elif "use" in columns:
                group = columns.i8("use")
            self.units[name] = Unit(watch, site, group)
        demand = sites.f8("demand_kw") if "demand_kw" in sites else np.ones(sites.n)
        own = np.ones(sites.n, np.bool_)
        if "terminal" in self.units:
            own[self.units["terminal"].site] = False
        # The load of sites without a terminal, in demand; elsewhere it is the terminal's.
        self.memory = Table(
            ("host_kw", "host_variance", "meter_kw"),
            sites.n,
            {"meter_ms": np.full(sites.n, NEVER_MS, np.int64)},
        )
        self.memory["host_variance"] = np.where(own, SILENT_SPREAD * demand**2, 0.0)
        self.own, self.demand_kw = own, np.maximum(demand, 1e-3)
        self.meter_variance = CLASS**2 * self.demand_kw**2

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        held = {f"estimate.{name}": unit.memory for name, unit in self.units.items()}
        return held | {"estimate.sites": self.memory}

    def read(self, now_ms: int, heard: Iterable[str]) -> None:
        """Take what was read of the kinds `heard`, meters last."""
        names = set(heard)
        for name, unit in self.units.items():
            if name in names:
                unit.read(now_ms)
        if "meter" in names and "meter" in self.fleet.watch:
            self._balance(now_ms, self.fleet.watch["meter"])

    def _balance(self, now_ms: int, meter: Watch) -> None:
        """Spread what meters show and nobody expected over those who may have caused it."""
        if meter.n != self.n_sites or "demand_kw" not in meter.index:
            return
        memory = self.memory
        shown, at = meter.get("demand_kw"), whole(meter.memory, "time_ms")
        before_ms, before_kw = whole(memory, "meter_ms"), memory["meter_kw"]
        # A meter that does not move at all stands still: it says nothing.
        use = (at > before_ms) & np.isfinite(shown) & (shown != before_kw)
        new = at > before_ms
        passed = np.where(before_ms == NEVER_MS, 0, at - before_ms) / MINUTE_MS
        np.copyto(before_kw, shown, where=new & np.isfinite(shown))
        np.copyto(before_ms, at, where=new)

        total, weight = (
            self.units["terminal"].memory["spread"] if "terminal" in self.units
            else (FIRST_SPREAD, 1.0)
        )  # fmt: skip
        host = memory["host_variance"] + self.own * total / weight * self.demand_kw**2 * passed
        expected, spread = memory["host_kw"].copy(), self.meter_variance + host
        for unit in self.units.values():
            expected -= np.bincount(unit.site, unit.power_kw(now_ms), self.n_sites)
            spread += np.bincount(unit.site, unit.variance(now_ms), self.n_sites)
        part = 1.0 / spread
        gain = np.where(use, shown - expected, 0.0) * part
        memory["host_kw"] += host * gain  # no change where there is no gain
        memory["host_variance"] = np.where(use, host * np.maximum(1.0 - host * part, 0.0), host)
        for unit in self.units.values():
            unit.correct(now_ms, -gain, part, use)

    def power_kw(self, kind: str, now_ms: int) -> tuple[Floats, Numbers, Flags]:
        """Return the power of `kind` at `now_ms`, the time of what it rests on, and substitutes.

        NaN and `NEVER_MS` where neither the device nor its site was ever read. A substitute
        stands for a device that has been silent for `SEEN_PERIODS` poll periods and whose
        site's meter has been read since.
        """
        unit = self.units[kind]
        heard, at = whole(unit.memory, "read_ms"), whole(unit.memory, "at_ms")
        silent = heard < now_ms - SEEN_PERIODS * unit.watch.period_ms
        substitute = silent & (at > heard)
        power = np.where(at == NEVER_MS, np.nan, unit.power_kw(now_ms))
        return power, np.where(substitute, at, heard), substitute
