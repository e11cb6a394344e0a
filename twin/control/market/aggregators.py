"""Aggregators (虚拟电厂, VPPs): who they are, and why one may not take part in an order."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.exchange import Inventory
from twin.record.market import DAY_AHEAD, DIRECT, HOUR_AHEAD, MarketRules
from twin.record.orders import Order
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Answer(StrEnum):
    """What a bid is answered."""

    ACCEPTED = "accepted"
    PARTLY = "partly accepted"
    DEARER = "dearer than the last accepted"
    LIMITED = "held back by a district or network limit"
    SMALL = "below the least size"
    BRIEF = "below the least duration"
    LATE = "notice too short for its type"
    SLOW = "answers too slowly"
    CAPPED = "above the price cap"


ANSWERS_ZH = {
    Answer.ACCEPTED: "中标",
    Answer.PARTLY: "部分中标",
    Answer.DEARER: "报价高于出清价",
    Answer.LIMITED: "受区域或断面限额约束",
    Answer.SMALL: "低于最小调节容量",
    Answer.BRIEF: "低于最短持续时间",
    Answer.LATE: "通知提前量不足",
    Answer.SLOW: "响应时间过长",
    Answer.CAPPED: "超过申报价格上限",
}


class Aggregators:
    """The registered VPPs, and whose each device is.

    Attributes
    ----------
    registered : whether any VPP is; where none is, no rule for them applies
    n : number of VPPs; sites without one are the group `n`
    site, agent : by kind the site and the VPP of each device, int64[devices]
    there : bool[n + 1], who leads any device
    type, response_min, hold_h : by VPP
    """

    def __init__(self, inventory: Inventory, kinds: tuple[str, ...]) -> None:
        sites, table = inventory.sites, inventory.aggregators
        by_site = sites.i8("aggregator") if "aggregator" in sites else np.full(sites.n, -1)
        self.registered = table.n > 0
        self.n = max(int(by_site.max(initial=-1)) + 1, table.n)
        self.by_site: Ints = np.where(by_site < 0, self.n, by_site)
        self.site = {k: inventory.kinds[k].columns.i8("site") for k in kinds}
        self.agent = {k: self.by_site[site] for k, site in self.site.items()}
        self.there = np.zeros(self.n + 1, np.bool_)
        for agent in self.agent.values():
            self.there[agent] = True
        self.type = self._column(inventory, "type", float(DIRECT)).astype(np.int64)
        self.response_min = self._column(inventory, "response_min", 0.0)
        self.hold_h = self._column(inventory, "hold_h", np.inf)

    def _column(self, inventory: Inventory, name: str, default: float) -> Floats:
        """Return float64[n + 1] of what is registered, `default` where nothing is."""
        found = np.full(self.n + 1, default)
        if name in inventory.aggregators:
            found[: inventory.aggregators.n] = inventory.aggregators.f8(name)
        return found

    def price_cap(self, rules: MarketRules) -> Floats:
        """Return the highest bid that each VPP may make, float64[n + 1] in CNY/kWh."""
        direct = self.type == DIRECT
        return np.where(direct, rules.direct_cap_cny_kwh, rules.invitation_cap_cny_kwh)

    def totals_kw(self, by_kind: Mapping[str, Floats]) -> Floats:
        """Return the sum over devices by VPP, float64[n + 1]."""
        total = np.zeros(self.n + 1)
        for kind, kw in by_kind.items():
            total += np.bincount(self.agent[kind], kw, self.n + 1)
        return total

    def refused(self, order: Order, total_kw: Floats, rules: MarketRules) -> dict[int, Answer]:
        """Return which VPPs may not take part in `order`, and why.

        Parameters
        ----------
        total_kw : float64[n + 1], what each can hold over the order's window
        """
        lead_h = (order.start_ms - order.notice_ms) / HOUR_MS
        there_min = (order.full_by_ms - order.notice_ms) / MINUTE_MS
        invited = rules.invited or lead_h >= rules.day_ahead_h
        late = ((self.type == DAY_AHEAD) & (not invited)) | (
            (self.type == HOUR_AHEAD) & (lead_h < rules.hour_ahead_h)
        )
        small = total_kw < rules.least_mw * KW_PER_MW * (1.0 - 1e-9)
        if not self.registered:
            return {}
        # The first rule that is broken is named.
        found: dict[int, Answer] = {}
        for broken, answer in (
            (late, Answer.LATE),
            (self.response_min > there_min, Answer.SLOW),
            (self.hold_h < rules.least_h, Answer.BRIEF),
            (small, Answer.SMALL),
        ):
            for a in np.flatnonzero((broken & self.there)[: self.n]).tolist():
                found.setdefault(a, answer)
        return found
