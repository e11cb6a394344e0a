"""Aggregators (虚拟电厂): who gave what, and the rows of the settlement.

Each enrolled site belongs to one aggregator. While an order runs, every minute's believed
reduction of its devices is booked on the site; when it has ended, rows say what was ordered of
each aggregator and site and what it gave. A response is valid between 80 and 120 % of what was
ordered; nothing is paid below, no more than 120 % above (usual practice in Chinese rules,
general knowledge).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.control.response import Response
from twin.control.supervision import Supervision
from twin.record.exchange import Inventory
from twin.record.orders import Order
from twin.record.table import Table

VALID_FROM, VALID_TO = 0.8, 1.2


class Settlement:
    """Energy ordered of and delivered by each site under the running response.

    Rows of `memory`, one column a site: ``capability_kw`` at the start of the window,
    ``delivered_kwh``; extra ``minutes`` counted and ``ordered_kwh`` in all.
    """

    def __init__(self, inventory: Inventory, response: Response) -> None:
        self.response, self.inventory = response, inventory
        self.sites = inventory.sites
        self.site = {k: response.levers.columns[k].i8("site") for k in response.levers.kinds}
        extra = {"minutes": np.zeros(1), "ordered_kwh": np.zeros(1)}
        self.memory = Table(("capability_kw", "delivered_kwh"), self.sites.n, extra)

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"settlement.{self.response.name}": self.memory}

    def _by_site(self, kind: str, kw: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(self.site[kind], kw, self.sites.n).astype(np.float64)

    def count(self, now_ms: int, order: Order, fleet: Supervision) -> None:
        """Book one minute of `order`, from its deadline to its end."""
        if not order.full_by_ms <= now_ms < order.end_ms:
            return
        if float(self.memory["minutes"][0]) == 0.0:
            for kind, up in self.response.up.items():
                self.memory["capability_kw"] += self._by_site(kind, up)
        for kind in self.response.levers.kinds:
            cut = self.response.levers.reduction_kw(kind, fleet)
            self.memory["delivered_kwh"] += self._by_site(kind, cut) / 60.0
        self.memory["minutes"] += 1.0
        self.memory["ordered_kwh"] += self.response.numbers.target_kw / 60.0

    def close(self, order_id: str) -> list[Mapping[str, object]]:
        """Return the rows of the order that has ended, and forget it."""
        rows: list[Mapping[str, object]] = []
        if float(self.memory["minutes"][0]) > 0.0:
            rows = self._rows(order_id)
        self.memory.block[:] = 0.0
        self.memory["minutes"] = 0.0
        self.memory["ordered_kwh"] = 0.0
        return rows

    def _rows(self, order_id: str) -> list[Mapping[str, object]]:
        memory, sites = self.memory, self.sites
        capability, given = memory["capability_kw"], memory["delivered_kwh"]
        share = capability / max(float(capability.sum()), 1e-6)
        ordered = share * float(memory["ordered_kwh"][0])
        agent = sites.i8("aggregator") if "aggregator" in sites else np.full(sites.n, -1)
        take_part = (capability > 0.0) | (np.abs(given) > 1e-3)
        count = int(agent.max(initial=-1)) + 1
        mine = take_part & (agent >= 0)
        by_agent = [
            np.bincount(agent[mine], weights=v[mine], minlength=count) for v in (ordered, given)
        ]
        hours = float(memory["minutes"][0]) / 60.0
        out: list[Mapping[str, object]] = []
        for a in np.unique(agent[mine]):
            out.append(_row(order_id, int(a), None, by_agent[0][a], by_agent[1][a], hours))
        for s in np.flatnonzero(take_part):
            out.append(_row(order_id, int(agent[s]), int(s), ordered[s], given[s], hours))
        return out


def _row(
    order_id: str, aggregator: int, site: int | None, ordered_kwh: float, given_kwh: float,
    hours: float,
) -> Mapping[str, object]:  # fmt: skip
    """Return one settlement row; `site` None is the aggregator's sum."""
    share = given_kwh / ordered_kwh if ordered_kwh > 1e-6 else 0.0
    valid = min(share, VALID_TO) if share >= VALID_FROM else 0.0
    return {
        "order": order_id,
        "aggregator": aggregator,
        "site": -1 if site is None else site,
        "hours": round(hours, 4),
        "ordered_kwh": round(float(ordered_kwh), 3),
        "delivered_kwh": round(float(given_kwh), 3),
        "delivered_share": round(float(share), 4),
        "valid_share": round(float(valid), 4),
    }
