"""Circuits by the plan with the least loss along the supply graph.

A measure is opened up once those before it cannot give the order; within the measures that are
open the program chooses. Minute by minute circuits then follow by their loss per kW: those of
the plan first, the cheapest of them first, then the others as a reserve.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twin.control.load_management.choice import Offer, Ranking, district_contract_kw, district_hours
from twin.control.load_management.measures import measure_of
from twin.control.load_management.shed_program import (
    ShedProblem,
    loss_of,
    marginal_cny_kw,
    shed_problem,
    solve,
)
from twin.control.supervision.network import NetworkWatch
from twin.record.exchange import Inventory
from twin.record.load_rules import LoadRules
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

HALVINGS = 50  # of the interval in which the level of hours lies


class LeastLoss:
    """The plan of `shed_program`, districts kept near their fair share.

    Parameters
    ----------
    rules : how far a district may be off its fair share, and what earlier cuts weigh
    network : knows which branches are near their limits; None plans without
    """

    def __init__(
        self, inventory: Inventory, rules: LoadRules, network: NetworkWatch | None = None
    ) -> None:
        self.inventory, self.rules, self.network = inventory, rules, network

    def rank(self, offer: Offer) -> Ranking:
        """Return the plan's circuits by loss per kW, then the others by measure and loss."""
        rank = np.full(offer.kw.shape, np.inf)
        open_up = _opened_up(offer)
        circuit, row = np.nonzero(open_up | (offer.is_open & offer.stay))
        if len(row) == 0:
            return Ranking(rank, by_rank=True, plan={"how": "nothing to open"})
        kw = offer.kw[circuit, row]
        has_kw = np.asarray(np.bincount(offer.district[row], kw, _width(offer)), np.float64)
        fair = fair_shares(offer, has_kw)
        problem = self._problem(offer, circuit, row, fair)
        plan = solve(problem)
        if plan.short_kw > 0.0 and problem.flow_room is not None:
            # The cut alone cannot bring every branch within its limit: then none gets worse.
            problem = replace(problem, flow_room=np.maximum(problem.flow_room, 0.0))
            plan = solve(problem)
        price = marginal_cny_kw(problem)
        loss_cny = loss_of(self._problem(offer, circuit, row, fair, weighted=False), plan.open)
        # What stays open is first, then the plan's, then what the measures hold beside it.
        after = np.where(problem.stay, 0, np.where(plan.open, 1, 2))
        rank[circuit, row] = _places(after, price, row)
        others, at = np.nonzero(offer.may & ~np.isfinite(rank))
        turn = np.lexsort((at, others, offer.lot[at], offer.step[others, at]))
        rank[others[turn], at[turn]] = len(row) + np.arange(len(turn))
        return Ranking(
            rank,
            by_rank=True,
            plan={
                "how": plan.how,
                "loss_cny": loss_cny.total_cny,
                "bound_cny": plan.bound_cny if offer.ledger_kwh.max() <= 0.0 else np.nan,
                "gap": plan.gap,
                "nodes": float(plan.nodes),
            },
        )

    def _problem(
        self, offer: Offer, circuit: Rows, row: Rows, fair: Floats, *, weighted: bool = True
    ) -> ShedProblem:
        """Return the program; `weighted`: who gave before counts for more than he loses."""
        spread = self.rules.district_spread
        kw = offer.kw[circuit, row]
        flow_rows, flow_room = self._flows(offer.busbar[row], kw)
        if flow_rows is not None and flow_room is not None:
            # Flows of now are without what is open already; the plan is counted from all closed.
            flow_room = flow_room + flow_rows @ offer.is_open[circuit, row].astype(np.float64)
        problem = shed_problem(
            self.inventory,
            min(offer.need_kw, float(kw.sum())),
            # Where turns are taken no circuit stays open for longer.
            min(offer.hours, self.rules.switching.most_off_min / 60.0),
            circuit,
            row,
            kw,
            least_share=np.maximum(1.0 - spread, 0.0) * fair,
            most_share=np.minimum((1.0 + spread) * fair, 1.0),
            must_stay=offer.stay[circuit, row],
            flow_rows=flow_rows,
            flow_room=flow_room,
        )
        if not weighted:
            return problem
        gave_h = offer.ledger_kwh / np.maximum(offer.contracted_kw, 1e-6)
        weight = np.ones(len(problem.loss_cny_h))
        weight[offer.site] += self.rules.ledger_weight_per_h * gave_h
        return replace(problem, loss_cny_h=weight * problem.loss_cny_h)

    def _flows(self, busbar: Rows, kw: Floats) -> tuple[Floats | None, Floats | None]:
        """Return what opening each circuit adds to branches near their limits, and their room."""
        if self.network is None:
            return None, None
        grows, room = self.network.rows()
        if len(room) == 0:
            return None, None
        known = (busbar >= 0) & (busbar < grows.shape[1])
        at = np.where(known, busbar, 0)
        return np.where(known, grows[:, at], 0.0) * kw / KW_PER_MW, room


def _width(offer: Offer) -> int:
    return int(offer.district.max(initial=0)) + 1


def _opened_up(offer: Offer) -> NDArray[np.bool_]:
    """Return bool[4, n]: circuits of the measures that are needed for the order."""
    measure = np.where(offer.may, measure_of(offer.step), -1)
    held = measure >= 0
    if not held.any():
        return held
    able_kw = np.cumsum(np.bincount(measure[held], offer.kw[held]))
    last = int(np.searchsorted(able_kw, offer.need_kw))
    return np.asarray(held & (measure <= last))


def _places(group: NDArray[np.int64], price: Floats, row: NDArray[np.int64]) -> Floats:
    """Return the place of each circuit: group by group, the cheapest first."""
    places = np.empty(len(price))
    places[np.lexsort((row, price, group))] = np.arange(len(price), dtype=np.float64)
    return places


def fair_shares(offer: Offer, has_kw: Floats) -> Floats:
    """Return float64[districts], the part of what each has that is fair to take.

    After the order all would have given the same hours of their contracted demand, earlier
    orders included, as far as what they have allows; the parts give the order together.

    Parameters
    ----------
    has_kw : float64[districts]  demand that may be cut
    """
    contract_kw, hours = district_contract_kw(offer), district_hours(offer)
    need_kw = min(offer.need_kw, float(has_kw.sum()))
    low, high = (
        float(hours.min()),
        float(hours.max()) + offer.hours * float((has_kw / contract_kw).max(initial=0.0)),
    )
    # The level of hours given that yields the order; what is given grows with it.
    for _ in range(HALVINGS):
        level = 0.5 * (low + high)
        given = np.clip((level - hours) * contract_kw / offer.hours, 0.0, has_kw)
        low, high = (level, high) if float(given.sum()) < need_kw else (low, level)
    given = np.clip((high - hours) * contract_kw / offer.hours, 0.0, has_kw)
    return np.divide(given, has_kw, out=np.zeros_like(given), where=has_kw > 0.0)
