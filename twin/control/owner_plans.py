"""What owners of ice stores, tanks and lines do in each tariff period, learned from readings.

`twin.control.owner` follows batteries minute by minute; here the last time a period was seen
tells what is done in it: how much ice is melted, up to where a tank is filled, how much of the
time a line works. Chargers have no owner's plan but a day: what their group drew at this time.
Learned while nobody commands; a period never seen says nothing (NaN).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, minute_of_day
from twin.control.supervision import Supervision, Watch
from twin.record.exchange import Calendar, Inventory
from twin.record.table import Table

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PERIODS = 4
QUARTERS = 96
FORGET = 1.0 / 30.0  # per minute, as other habits by tariff period (assumed)
RUNS = 0.3  # of the rating from which an electrolyser is at work (assumed)
GROUPS = 3  # uses of charging stations
# What is kept by tariff period, by kind.
KEPT = {"icestore": "melt_kw", "hydrogen": "fill", "swap": "demand_kw", "industry": "demand_kw"}


class OwnerPlans:
    """Memories by kind: rows ``0`` to ``3``, one a tariff period; float64[n] each, NaN unseen."""

    def __init__(self, inventory: Inventory, calendar: Calendar) -> None:
        self.calendar = calendar
        self.memory: dict[str, Table] = {}
        for kind in KEPT:
            if kind in inventory.kinds and inventory.kinds[kind].n > 0:
                self.memory[kind] = Table(tuple("0123"), inventory.kinds[kind].n)
                self.memory[kind].block[:] = np.nan
        self.tank_kg: Floats = np.zeros(0)
        if "hydrogen" in self.memory:
            self.tank_kg = np.maximum(inventory.kinds["hydrogen"].columns.f8("tank_kg"), 1e-6)
        charging = inventory.kinds.get("charging")
        if charging is not None and charging.n > 0:
            use = np.clip(charging.columns.i8("use"), 0, GROUPS - 1)
            self.use, self.rated_kw = use, charging.columns.f8("rated_kw")
            day = np.full((GROUPS, QUARTERS), np.nan)
            self.memory["charging"] = Table((), 0, {"day": day})

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"plans.{k}": t for k, t in self.memory.items()}

    def period(self, now_ms: int) -> int:
        """Return the tariff period at `now_ms`."""
        return int(np.clip(self.calendar.tariff_period[minute_of_day(now_ms)], 0, PERIODS - 1))

    def learn(
        self, now_ms: int, fleet: Supervision, touched: Callable[[str], Flags], read: Iterable[str]
    ) -> None:
        """Learn from what was `read` just now of devices that nobody commands.

        A reading shows the minute before it.
        """
        period = self.period(now_ms - MINUTE_MS)
        for kind in read:
            if kind not in self.memory:
                continue
            watch = fleet.watch[kind]
            seen = watch.fresh(now_ms, MINUTE_MS - 1) & ~touched(kind)
            if kind == "charging":
                self._learn_day(now_ms, -watch.get("power_kw"), seen)
                continue
            value = self._value(kind, watch)
            known = self.memory[kind][str(period)]
            forget = 1.0 - (1.0 - FORGET) ** (watch.period_ms / MINUTE_MS)
            if kind == "hydrogen":  # the fullest at which it was still filling, slowly forgotten
                news = np.fmax(value, known - 0.1 * forget)
            else:
                news = known + forget * (value - known)
                news = np.where(np.isnan(known), value, news)
            np.copyto(known, news, where=seen & np.isfinite(news))

    def _value(self, kind: str, watch: Watch) -> Floats:
        demand = -watch.get("power_kw")
        if kind == "icestore":
            return watch.get("melt_kw")
        if kind == "hydrogen":
            return np.where(demand > RUNS * watch.rated_kw, watch.get("tank_kg") / self.tank_kg,
                            np.nan)  # fmt: skip
        return demand

    def _learn_day(self, now_ms: int, demand_kw: Floats, seen: Flags) -> None:
        """Note what the stations of each use draw for their rating at this time of day."""
        seen = seen & np.isfinite(demand_kw)
        day = self.memory["charging"]["day"]
        total = np.bincount(self.use[seen], demand_kw[seen], GROUPS)
        rated = np.bincount(self.use[seen], self.rated_kw[seen], GROUPS)
        quarter = minute_of_day(now_ms - MINUTE_MS) // 15
        day[:, quarter] = np.where(rated > 0.0, total / np.maximum(rated, 1e-9), day[:, quarter])

    # -- what follows --------------------------------------------------------------------------

    def by_period(self, kind: str, at_ms: int) -> Floats:
        """Return what was learned of `kind` for the tariff period at `at_ms`, NaN unseen."""
        return self.memory[kind][str(self.period(at_ms))]

    def drawn_share(self, at_ms: int) -> Floats:
        """Return float64[uses], what charging stations draw for their rating at `at_ms`."""
        return self.memory["charging"]["day"][:, minute_of_day(at_ms) // 15]


__all__ = ["OwnerPlans"]
