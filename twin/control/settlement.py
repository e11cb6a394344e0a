"""Settlement (结算): what each VPP and site was called for, gave, and is paid.

While an order runs the platform books, by quarter of an hour and site, what was called of the
awards and what it believes was given. When it has ended, each whole quarter between deadline
and end is settled: a VPP's response is valid from 80 % of its call, paid up to 120 %, and
short of that pays a penalty (rules and grades in record/market.toml). A VPP's pay is split
among its sites by what they gave, its penalty by what they left short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.demand_response.response import Response
from twin.control.market.auction import Market
from twin.control.memory import whole
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Inventory
from twin.record.market import OWN_BASELINE, MarketRules
from twin.record.orders import Order, OrderForm, OrderKind
from twin.record.table import Table
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# Baseline and meter of all sites by method, first quarter of the day and number of quarters,
# each float64[quarters, sites] in kW, NaN where unknown; None where there is no history.
Meters = Callable[[str, int, int], tuple[Floats, Floats] | None]

QUARTER_MS = 15 * MINUTE_MS
QUARTER_H = QUARTER_MS / HOUR_MS
MOST_QUARTERS = 64  # of one order that are settled
WHOLE = 0.9  # of a quarter that must have been booked
EDGE = 1e-6  # relative: a response of exactly 80 % is valid whatever the rounding


@dataclass(frozen=True, slots=True)
class Settled:
    """Energy and money by quarter and site, float64[quarters, sites].

    Attributes
    ----------
    valid_kwh : paid
    short_kwh : penalised
    """

    valid_kwh: Floats
    short_kwh: Floats


def settle(called_kwh: Floats, given_kwh: Floats, agent: Ints, rules: MarketRules) -> Settled:
    """Settle quarters by VPP and split the result among sites.

    Parameters
    ----------
    called_kwh, given_kwh : float64[quarters, sites]
    agent : int64[sites], VPP of each

    Examples
    --------
    >>> from twin.record.market import market_rules
    >>> done = settle(np.array([[100.0, 100.0]]), np.array([[60.0, 120.0]]), np.zeros(2, int),
    ...               market_rules())
    >>> done.valid_kwh.tolist(), done.short_kwh.tolist()
    ([[60.0, 120.0]], [[0.0, 0.0]])
    """
    valid, short = np.zeros_like(given_kwh), np.zeros_like(given_kwh)
    n = int(agent.max(initial=-1)) + 1
    for q in range(len(called_kwh)):
        called = np.bincount(agent, called_kwh[q], n)
        given = np.bincount(agent, given_kwh[q], n)
        counts = (given >= rules.valid_from * called * (1.0 - EDGE)) & (called > 0.0)
        paid = np.where(counts, np.minimum(given, rules.valid_to * called), 0.0)
        missing = np.where(counts, 0.0, np.clip(called - given, 0.0, called))
        for out, total, own in (
            (valid, paid, np.maximum(given_kwh[q], 0.0)),
            (short, missing, np.maximum(called_kwh[q] - given_kwh[q], 0.0)),
        ):
            group = np.bincount(agent, own, n)
            out[q] = own * (total / np.where(group > 0.0, group, 1.0))[agent]
    return Settled(valid, short)


class Settlement:
    """Books the running order by quarter and settles it when it has ended.

    Parameters
    ----------
    market : whose awards and prices count

    Attributes
    ----------
    meters : baselines and meters of sites, where the platform has a history
    memory : row ``value_cny``, one column a site: called energy at its price; extra
        ``called_kwh`` and ``given_kwh`` float64[quarters, sites], ``booked_ms`` by quarter,
        ``first_ms`` of the first
    """

    def __init__(self, inventory: Inventory, response: Response, market: Market) -> None:
        self.response, self.market = response, market
        self.n = inventory.sites.n
        self.meters: Meters | None = None
        quarters = np.zeros((MOST_QUARTERS, self.n))
        extra = {
            "called_kwh": quarters,
            "given_kwh": quarters,
            "booked_ms": np.zeros(MOST_QUARTERS, np.int64),
            "first_ms": np.zeros(1, np.int64),
        }
        self.memory = Table(("value_cny",), self.n, {k: v.copy() for k, v in extra.items()})
        self._reports: dict[str, Mapping[str, NDArray[np.generic]]] = {}

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"settlement.{self.response.name}": self.memory}

    def take_reports(self) -> dict[str, Mapping[str, NDArray[np.generic]]]:
        """Return the quarters settled since the last call, and forget them."""
        reports, self._reports = self._reports, {}
        return reports

    def _by_site(self, kind: str, kw: Floats) -> Floats:
        site = self.market.aggregators.site[kind]
        return np.asarray(np.bincount(site, kw, self.n), np.float64)

    def count(self, now_ms: int, order: Order, fleet: Supervision, period_ms: int) -> None:
        """Book the control period that begins at `now_ms`, from the deadline to the end."""
        if not order.full_by_ms <= now_ms < order.end_ms:
            return
        memory = self.memory
        booked, first = whole(memory, "booked_ms"), whole(memory, "first_ms")
        if int(booked.sum()) == 0:
            first[0] = order.full_by_ms - order.full_by_ms % QUARTER_MS
        quarter = (now_ms - int(first[0])) // QUARTER_MS
        if not 0 <= quarter < MOST_QUARTERS:
            return
        booked[quarter] += period_ms
        hours = period_ms / HOUR_MS
        for kind in self.response.levers.kinds:
            cut = self.response.levers.reduction_kw(kind, fleet)
            memory["given_kwh"][quarter] += hours * self._by_site(kind, cut)
        called, value = self._called(order)
        memory["called_kwh"][quarter] += hours * called
        memory["value_cny"] += hours * value

    def _called(self, order: Order) -> tuple[Floats, Floats]:
        """Return what is called of each site now [kW], and at what price [CNY/h].

        In proportion to the awards, which may be more than the order; where the dispatch does
        not go by awards, to what devices can give.
        """
        market = self.market
        if market.followed:
            weights = {k: t["award_kw"] for k, t in market.memory.items()}
        else:
            weights = {k: up for k, up in self.response.up.items() if k in market.memory}
        total = sum(float(w.sum()) for w in weights.values())
        called_kw = self.response.numbers.target_kw
        fixed = order.kind is OrderKind.DEMAND_RESPONSE and order.form is OrderForm.REDUCTION
        if fixed and order.mw is not None:
            called_kw = order.mw * KW_PER_MW
        part = min(called_kw / total, 1.0) if total > 0.0 else 0.0
        called, value = np.zeros(self.n), np.zeros(self.n)
        for kind, weight in weights.items():
            called += part * self._by_site(kind, weight)
            value += part * self._by_site(kind, weight * market.memory[kind]["price_cny_kwh"])
        return called, value

    def close(self, order_id: str) -> list[Mapping[str, object]]:
        """Return the rows of the order that has ended, VPPs first, and forget it."""
        memory = self.memory
        quarters = np.flatnonzero(whole(memory, "booked_ms") >= WHOLE * QUARTER_MS)
        rows = self._rows(order_id, quarters) if len(quarters) > 0 else []
        memory.block[:] = 0.0
        for array in memory.extra.values():
            array[...] = 0
        return rows

    def _given(self, quarters: Ints) -> tuple[Floats, NDArray[np.str_]]:
        """Return what each site gave [kWh] in `quarters`, and by which baseline."""
        given = self.memory["given_kwh"][quarters]
        method = np.full(self.n, OWN_BASELINE, "U16")
        wanted = self.market.rules.baseline
        if self.meters is None or wanted == OWN_BASELINE:
            return given, method
        first_ms = int(whole(self.memory, "first_ms")[0])
        first = first_ms // QUARTER_MS + int(quarters[0])
        found = self.meters(wanted, first, int(quarters[-1] - quarters[0]) + 1)
        if found is None:
            return given, method
        cut = (found[0] - found[1])[quarters - quarters[0]] * QUARTER_H
        known = np.isfinite(cut).all(axis=0)
        return np.where(known, cut, given), np.where(known, wanted, method)

    def _rows(self, order_id: str, quarters: Ints) -> list[Mapping[str, object]]:
        """Return one row a VPP that takes part, then one a site; VPPs are sums of their sites."""
        memory, rules, agent = self.memory, self.market.rules, self.market.aggregators.by_site
        called_all = memory["called_kwh"]
        in_all = called_all.sum(axis=0)
        price = memory["value_cny"] / np.where(in_all > 0.0, in_all, 1.0)
        own = np.abs(memory["given_kwh"][quarters]).sum(axis=0) > 1e-3
        sites = np.flatnonzero((in_all > 0.0) | own)
        given, method = self._given(quarters)
        called, given, price = called_all[quarters][:, sites], given[:, sites], price[sites]
        done = settle(called, given, agent[sites], rules)
        paid = done.valid_kwh * price
        penalty = rules.penalty_factor * done.short_kwh * price
        self._report(
            order_id, quarters, agent[sites], [called, given, done.valid_kwh, paid, penalty]
        )
        # Rounded first, so that the rows of sites add up to those of VPPs.
        totals = [
            np.round(values.sum(axis=0), digits)
            for values, digits in ((called, 3), (given, 3), (done.valid_kwh, 3), (paid, 2),
                                   (penalty, 2), (called * price, 9))
        ]  # fmt: skip
        hours = round(len(quarters) * QUARTER_H, 4)
        names = np.where(agent[sites] == self.market.aggregators.n, -1, agent[sites])
        out: list[Mapping[str, object]] = []
        for a in np.unique(names[names >= 0]).tolist():
            mine = names == a
            sums = [float(v[mine].sum()) for v in totals]
            used = set(method[sites][mine].tolist())
            basis = used.pop() if len(used) == 1 else "mixed"
            out.append(_row((order_id, a, -1), hours, sums, basis))
        for i, site in enumerate(sites.tolist()):
            sums = [float(v[i]) for v in totals]
            out.append(_row((order_id, int(names[i]), site), hours, sums, str(method[site])))
        return out

    def _report(self, order_id: str, quarters: Ints, agent: Ints, values: list[Floats]) -> None:
        """Keep the table of VPPs by quarter."""
        n = self.market.aggregators.n
        first_ms = int(whole(self.memory, "first_ms")[0])
        there = np.unique(agent[agent < n])
        columns: dict[str, NDArray[np.generic]] = {
            "order": np.full(len(quarters) * len(there), order_id),
            "quarter_ms": np.repeat(first_ms + quarters * QUARTER_MS, len(there)),
            "aggregator": np.tile(there, len(quarters)),
        }
        names = ("called_kwh", "given_kwh", "valid_kwh", "paid_cny", "penalty_cny")
        for name, value in zip(names, values, strict=True):
            by_agent = [np.bincount(agent, row, n + 1)[there] for row in value]
            columns[name] = np.concatenate(by_agent)
        self._reports = {"settlement_quarter": columns}


def _row(
    who: tuple[str, int, int], hours: float, sums: list[float], baseline: str
) -> Mapping[str, object]:
    """Return one row of settlement.csv; site -1 is the VPP's sum."""
    called, given, valid, paid, penalty, value = sums
    some = called > 1e-6
    return {
        "order": who[0],
        "aggregator": who[1],
        "site": who[2],
        "hours": hours,
        "ordered_kwh": round(called, 3),
        "delivered_kwh": round(given, 3),
        "delivered_share": round(given / called, 4) if some else 0.0,
        "valid_share": round(valid / called, 4) if some else 0.0,
        "baseline": baseline,
        "price_cny_kwh": round(value / called, 4) if some else 0.0,
        "paid_cny": round(paid, 2),
        "penalty_cny": round(penalty, 2),
    }


__all__ = ["Settled", "Settlement", "settle"]
