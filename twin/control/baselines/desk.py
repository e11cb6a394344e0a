"""Customer baselines in operation: today's meters, and the report at an order's end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from twin.control.baselines.customer import METHODS, QUARTER_MS, CustomerBaselines
from twin.record.exchange import Calendar, Inventory, Reading
from twin.record.metering import QUARTERS
from twin.record.orders import Order, OrderKind
from twin.record.table import Table

__all__ = ["BaselineDesk", "TodayMeters", "baseline_table", "quarters_of"]

Floats = NDArray[np.float64]


class TodayMeters:
    """Quarter-hour means of what meters have shown today, from the platform's own readings.

    A reading stands for the minute before it; a quarter that was not read is NaN.
    """

    def __init__(self, sites: int) -> None:
        self.memory = Table(
            ("sum_kw", "seen"),
            sites,
            {
                "kw": np.full((QUARTERS, sites), np.nan, np.float32),
                "quarter": np.full(1, -1, np.int64),
            },
        )

    def take(self, now_ms: int, readings: Mapping[str, Reading]) -> None:
        """Take the meters' readings of `now_ms`, where there are any that are good."""
        quarter = (now_ms - 1) // QUARTER_MS
        if quarter != int(self.memory.extra["quarter"][0]):
            self._close()
            self.memory["quarter"] = quarter
        meter = readings.get("meter")
        if meter is None or meter.value.ndim != 2 or meter.value.shape[1:] != (self.memory.n,):
            return
        demand, begin_ms = meter.value[0], quarter * QUARTER_MS
        good = (meter.quality == 0) & np.isfinite(demand)
        good &= (meter.time_ms > begin_ms) & (meter.time_ms <= now_ms)
        self.memory["sum_kw"][good] += demand[good]
        self.memory["seen"][good] += 1.0

    def _close(self) -> None:
        quarter = int(self.memory.extra["quarter"][0])
        if 0 <= quarter < QUARTERS:
            self.memory["kw"][quarter] = self._running()
        self.memory["sum_kw"], self.memory["seen"] = 0.0, 0.0

    def _running(self) -> Floats:
        seen, mean = self.memory["seen"], np.full(self.memory.n, np.nan)
        np.divide(self.memory["sum_kw"], seen, out=mean, where=seen > 0.0)
        return mean

    def kw(self) -> Floats:
        """Return float64[96, sites], today's quarters as far as they were metered, NaN else."""
        found = self.memory["kw"].astype(np.float64)
        quarter = int(self.memory.extra["quarter"][0])
        if 0 <= quarter < QUARTERS:
            found[quarter] = self._running()
        return found


class BaselineDesk:
    """The customer baselines of the platform: what it meters today, and one report an order.

    Without a history it does nothing.
    """

    def __init__(self, inventory: Inventory, calendar: Calendar) -> None:
        self.baselines = CustomerBaselines(inventory, calendar)
        self.has_history = calendar.history is not None
        self.today = TodayMeters(inventory.sites.n if self.has_history else 0)
        self.looked = Table((), 0, {"ms": np.full(1, calendar.start_ms, np.int64)})

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {"baselines.today": self.today.memory, "baselines.looked": self.looked}

    def meters(
        self, method: str, first_quarter: int, quarters: int
    ) -> tuple[Floats, Floats] | None:
        """Return baseline and meter of all sites, float64[quarters, sites] each [kW].

        NaN where unknown; None without a history.
        """
        if not self.has_history:
            return None
        today = self.today.kw()
        rows = np.arange(first_quarter, first_quarter + quarters)
        inside = (rows >= 0) & (rows < QUARTERS)
        metered = np.full((quarters, self.baselines.sites), np.nan)
        metered[inside] = today[rows[inside]]
        return self.baselines.load_kw(method, first_quarter, quarters, today), metered

    def report(
        self, now_ms: int, orders: Iterable[Order]
    ) -> dict[str, dict[str, NDArray[np.generic]]]:
        """Return table ``baselines`` of the demand response orders that ended since last time."""
        before = int(self.looked.extra["ms"][0])
        self.looked["ms"] = now_ms
        over = [
            order
            for order in orders
            if order.kind is OrderKind.DEMAND_RESPONSE and before < order.end_ms <= now_ms
        ]
        if not over or not self.has_history:
            return {}
        today = self.today.kw()
        parts = [baseline_table(self.baselines, order, today) for order in over]
        return {"baselines": {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}}


def quarters_of(order: Order) -> tuple[int, int]:
    """Return first quarter and number of quarters of the day that hold the order's window."""
    first = order.start_ms // QUARTER_MS
    return int(first), int(-(-order.end_ms // QUARTER_MS) - first)


def baseline_table(
    baselines: CustomerBaselines, order: Order, today_kw: Floats
) -> dict[str, NDArray[np.generic]]:
    """Return the rows of table ``baselines`` for one order: every method, quarter and site."""
    first, quarters = quarters_of(order)
    sites = np.flatnonzero(baselines.metered)
    load = [
        baselines.load_kw(method, first, quarters, today_kw)[:, sites].ravel() for method in METHODS
    ]
    rows = quarters * len(sites)
    begin = (first + np.arange(quarters, dtype=np.int64)) * QUARTER_MS
    return {
        "order": np.full(len(METHODS) * rows, order.id),
        "method": np.repeat(METHODS, rows),
        "site": np.tile(sites.astype(np.int32), quarters * len(METHODS)),
        "quarter_ms": np.tile(np.repeat(begin, len(sites)), len(METHODS)),
        "kw": np.concatenate(load).astype(np.float32),
    }
