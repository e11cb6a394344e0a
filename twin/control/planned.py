"""Circuits by the plan with the least loss along the supply graph.

A measure is opened up once those before it cannot give the order; within the measures that are
open the program chooses. Minute by minute circuits then follow by their loss per kW: those of
the plan first, the cheapest of them first, then the others as a reserve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.control.choice import Offer, Ranking, district_contract_kw, district_hours
from twin.control.measures import measure_of
from twin.control.shed_program import marginal_cny_kw, shed_problem, solve
from twin.record.exchange import Inventory

Floats = NDArray[np.float64]

HALVINGS = 50  # of the interval in which the level of hours lies


class LeastLoss:
    """The plan of `twin.control.shed_program`, districts kept near their fair share.

    Parameters
    ----------
    spread : part by which a district's share may be off the fair one, either way
    """

    def __init__(self, inventory: Inventory, spread: float) -> None:
        self.inventory, self.spread = inventory, spread

    def rank(self, offer: Offer) -> Ranking:
        """Return the plan's circuits by loss per kW, then the others by measure and loss."""
        rank = np.full(offer.kw.shape, np.inf)
        open_up = _opened_up(offer)
        circuit, row = np.nonzero(open_up | (offer.is_open & offer.stay))
        if len(row) == 0:
            return Ranking(rank, by_rank=True, plan={"how": "nothing to open"})
        kw, stay = offer.kw[circuit, row], offer.stay[circuit, row]
        has_kw = np.asarray(np.bincount(offer.district[row], kw, _width(offer)), np.float64)
        fair = fair_shares(offer, has_kw)
        problem = shed_problem(
            self.inventory,
            min(offer.need_kw, float(kw.sum())),
            offer.hours,
            circuit,
            row,
            kw,
            least_share=np.maximum(1.0 - self.spread, 0.0) * fair,
            most_share=np.minimum((1.0 + self.spread) * fair, 1.0),
            must_stay=stay,
        )
        plan = solve(problem)
        price = marginal_cny_kw(problem)
        rank[circuit, row] = _places(~plan.open, price, row)
        rest = offer.may & ~open_up
        others, at = np.nonzero(rest)
        turn = np.lexsort((at, others, offer.lot[at], offer.step[others, at]))
        rank[others[turn], at[turn]] = len(row) + np.arange(len(turn))
        return Ranking(
            rank,
            by_rank=True,
            plan={
                "how": plan.how,
                "loss_cny": plan.loss_cny,
                "bound_cny": plan.bound_cny,
                "gap": plan.gap,
                "nodes": float(plan.nodes),
            },
        )


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


def _places(after: NDArray[np.bool_], price: Floats, row: NDArray[np.int64]) -> Floats:
    """Return the place of each circuit: those not `after` first, the cheapest first."""
    places = np.empty(len(price))
    places[np.lexsort((row, price, after))] = np.arange(len(price), dtype=np.float64)
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
