"""What owners do by themselves, learned from readings of the hours and days before.

`twin.control.baselines.owner` follows batteries minute by minute, `lines` batch lines. Here the
same hour of the day before tells how much ice is melted in it and what electrolysers and swap
stations draw, tariff included. Chargers and buildings have no owner's plan but a day: what those
of one use drew at this time. Learned while nobody commands; what was never seen says nothing
(NaN).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from twin.clock import DAY_MS, MINUTE_MS, minute_of_day
from twin.control.baselines.lines import LineOwners
from twin.control.capability.metered_days import unusual_share
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Calendar, Inventory
from twin.record.table import Table

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

QUARTERS = 96
QUARTER_MS = DAY_MS // QUARTERS
DAYS = 2  # today is written, yesterday is read
HOURS = 24
USES = {"charging": 3, "aircon": 5}  # of stations and buildings
KEPT = ("icestore", "hydrogen", "swap")  # kinds of which each hour of the day is kept


class OwnerPlans:
    """Memories by kind: a row an hour of the day, float64[n] each, NaN unseen.

    Ice stores: melted cooling [kW thermal]; the others: demand [kW].
    """

    def __init__(self, inventory: Inventory, calendar: Calendar) -> None:
        self.memory: dict[str, Table] = {}
        for kind in KEPT:
            if kind in inventory.kinds and inventory.kinds[kind].n > 0:
                names = tuple(str(hour) for hour in range(HOURS))
                self.memory[kind] = Table(names, inventory.kinds[kind].n)
                self.memory[kind].block[:] = np.nan
        self.lines: LineOwners | None = None
        if "industry" in inventory.kinds and inventory.kinds["industry"].n > 0:
            columns = inventory.kinds["industry"].columns
            self.lines = LineOwners(columns, calendar.tariff_period)
        self.use: dict[str, NDArray[np.int64]] = {}
        self.rated_kw: dict[str, Floats] = {}
        for kind, uses in USES.items():
            if kind in inventory.kinds and inventory.kinds[kind].n > 0:
                columns = inventory.kinds[kind].columns
                self.use[kind] = np.clip(columns.i8("use"), 0, uses - 1)
                self.rated_kw[kind] = columns.f8("rated_kw")
                extra = {
                    "days": np.full((DAYS, QUARTERS, uses), np.nan),
                    "quarter": np.full(1, np.iinfo(np.int64).min),
                    "readings": np.zeros(1, np.int64),
                }
                self.memory[kind] = Table((), 0, extra)
        self.unusual: dict[str, Floats] = {}
        if "charging" in self.use:
            args = inventory, calendar, "charging", self.use["charging"], USES["charging"]
            unusual = unusual_share(*args)
            if unusual is not None:
                self.unusual["charging"] = unusual

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        lines = {} if self.lines is None else {"plans.lines": self.lines.memory}
        return {f"plans.{k}": t for k, t in self.memory.items()} | lines

    def learn(
        self, now_ms: int, fleet: Supervision, touched: Callable[[str], Flags], read: Iterable[str]
    ) -> None:
        """Learn from what was `read` just now of devices that nobody commands.

        A reading shows the minute before it.
        """
        for kind in read:
            if kind not in self.memory and (kind != "industry" or self.lines is None):
                continue
            watch = fleet.watch[kind]
            seen = watch.fresh(now_ms, MINUTE_MS - 1) & ~touched(kind)
            if self.lines is not None and kind == "industry":
                self.lines.observe(now_ms, watch, seen)
                continue
            if kind in USES:
                self._learn_day(kind, now_ms, -watch.get("power_kw"), seen)
                continue
            value = watch.get("melt_kw") if kind == "icestore" else -watch.get("power_kw")
            hour, minute = divmod(minute_of_day(now_ms - MINUTE_MS), 60)
            known = self.memory[kind].block[hour]
            # The mean of the hour so far.
            forget = min(watch.period_ms / MINUTE_MS / (minute + 1), 1.0)
            news = np.where(np.isnan(known), value, known + forget * (value - known))
            np.copyto(known, news, where=seen & np.isfinite(news))

    def _learn_day(self, kind: str, now_ms: int, demand_kw: Floats, seen: Flags) -> None:
        """Add to the mean of this quarter what devices of each use draw for their rating."""
        seen = seen & np.isfinite(demand_kw)
        table, use = self.memory[kind], self.use[kind][seen]
        total = np.bincount(use, demand_kw[seen], USES[kind])
        rated = np.bincount(use, self.rated_kw[kind][seen], USES[kind])
        share = np.where(rated > 0.0, total / np.maximum(rated, 1e-9), np.nan)
        number = (now_ms - MINUTE_MS) // QUARTER_MS
        mean = table["days"][number // QUARTERS % DAYS, number % QUARTERS]
        if table["quarter"][0] != number:
            table["quarter"], table["readings"] = number, 0
            mean[:] = np.nan
        table["readings"] += 1
        step = (share - mean) / table["readings"]
        mean[:] = np.where(np.isnan(step), np.where(np.isnan(mean), share, mean), mean + step)

    # -- what follows --------------------------------------------------------------------------

    def at(self, kind: str, at_ms: int) -> Floats:
        """Return what was learned of `kind` for the hour of `at_ms`, NaN unseen."""
        row: Floats = self.memory[kind].block[minute_of_day(at_ms) // 60]
        return row

    def drawn_share(self, kind: str, at_ms: int) -> Floats:
        """Return float64[uses], what devices of `kind` drew for their rating a day before `at_ms`.

        Between the middles of two quarters on a straight line; where metered days tell what was
        not usual about that day, without it.
        """
        days = self.memory[kind]["days"]
        place = (at_ms - DAY_MS) / QUARTER_MS - 0.5
        number = math.floor(place)
        pair = number, number + 1
        before, after = (days[n // QUARTERS % DAYS, n % QUARTERS] for n in pair)
        if kind in self.unusual and 0 <= at_ms < DAY_MS:
            more = self.unusual[kind]
            before, after = before + more[pair[0] % QUARTERS], after + more[pair[1] % QUARTERS]
        between = before + (place - number) * (after - before)
        known = np.where(np.isnan(before), after, before)
        share: Floats = np.where(np.isnan(between), known, between)
        return np.maximum(share, 0.0)


__all__ = ["OwnerPlans"]
