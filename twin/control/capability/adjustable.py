"""The platform's answers to "what have you got": tables, and the judge's sustained calls.

A table of groups each quarter of an hour while an order is known, each hour otherwise; a table
by device when an order becomes known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.baselines.habits import Habits
from twin.control.capability.calls import SustainedCall
from twin.control.capability.owner_plans import OwnerPlans
from twin.control.capability.sustained import Capability
from twin.control.capability.tables import CapabilityTables
from twin.control.pacing import Desk
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Calendar, Inventory, SetPoint
from twin.record.orders import Notice, NoticeKind, Order, OrderKind
from twin.record.table import Table

Floats = NDArray[np.float64]
QUARTER_MS = 15 * MINUTE_MS


class Adjustable:
    """Capability of the fleet as one part of a platform.

    Parameters
    ----------
    without_order : by kind demand without the order in force [kW], None where there is none
    behind_open : by kind who stands behind an open circuit, None where nobody does
    """

    def __init__(
        self, inventory: Inventory, calendar: Calendar, habits: Habits, fleet: Supervision,
        desk: Desk,
        without_order: Callable[[str], Floats | None],
        behind_open: Callable[[str], NDArray[np.bool_] | None],
    ) -> None:  # fmt: skip
        self.without_order = without_order
        self.plans, self.fleet = OwnerPlans(inventory, calendar), fleet
        self.capability = Capability(
            inventory, habits, self.plans, fleet, self._baseline, behind_open
        )
        self.rows = CapabilityTables(self.capability)
        self.call = SustainedCall(self.capability, desk)

    def _baseline(self, kind: str) -> Floats | None:
        called = self.call.baseline(kind)
        return self.without_order(kind) if called is None else called

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return self.call.tables() | self.plans.tables()

    def learn(
        self, now_ms: int, touched: Callable[[str], NDArray[np.bool_]], read: Iterable[str]
    ) -> None:
        """Learn owners' plans from the kinds that were `read` just now."""
        self.plans.learn(now_ms, self.fleet, touched, read)

    def touched(self, kind: str) -> NDArray[np.bool_]:
        """Return which devices of `kind` a sustained call holds."""
        return self.call.touched(kind)

    def serve(self, now_ms: int, orders: Sequence[Order]) -> list[SetPoint] | None:
        """Return the set-points of a sustained call among `orders`, None where there is none."""
        mine = [o for o in orders if o.kind is OrderKind.SUSTAINED and now_ms < o.end_ms]
        if not mine and not self.call.busy:
            return None
        return self.call.run(now_ms, mine[0] if mine else None)

    def due(self, now_ms: int, alert: bool) -> bool:
        """Return whether the table of groups is due; `alert` where an order is known."""
        return bool(self.capability.kinds) and now_ms % (QUARTER_MS if alert else HOUR_MS) == 0

    def report(
        self, now_ms: int, notices: Sequence[Notice], alert: bool
    ) -> dict[str, Mapping[str, NDArray[np.generic]]]:
        """Return the tables that are due, by name; `alert` where an order is known."""
        out: dict[str, Mapping[str, NDArray[np.generic]]] = {}
        if not self.capability.kinds:
            return out
        if self.due(now_ms, alert):
            out["capability"] = self.rows.table(now_ms)
        news = [n.order for n in notices if n.kind is NoticeKind.ORDER]
        if news:
            parts = [self.rows.device_table(now_ms, order) for order in news]
            out["capability_device"] = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
        return out


__all__ = ["Adjustable"]
