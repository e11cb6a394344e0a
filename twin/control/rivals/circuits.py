"""Whose circuits open first: everybody's share, round after round, the cheapest customer.

All three leave circuits with enrolled devices behind them to the end, so that no kilowatt is
cut twice, and none looks at the supply graph, the network or what was cut on days before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.control.load_management.choice import Choice, Offer, Ranking
from twin.control.load_management.measures import BARRED
from twin.record.costs import costs
from twin.record.exchange import Inventory

Floats = NDArray[np.float64]


class ByKey(Choice):
    """Ranks circuits by one number each, the smallest first, then in drawn order."""

    name = ""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory

    def key(self, offer: Offer) -> Floats:
        """Return float64[4, n]."""
        raise NotImplementedError

    def rank(self, offer: Offer) -> Ranking:
        """Return the order in which circuits are opened."""
        rank = np.full(offer.kw.shape, np.inf)
        circuit, row = np.nonzero(offer.may & (offer.step < BARRED))
        key, late = self.key(offer)[circuit, row], offer.late[circuit, row]
        order = np.lexsort((row, offer.lot[row], key, late))
        rank[circuit[order], row[order]] = np.arange(len(order), dtype=np.float64)
        return Ranking(rank, plan={"how": self.name})


class EqualRounds(ByKey):
    """Every round gives the same share of all customers, each round other ones by lot."""

    name = "equal share"

    def key(self, offer: Offer) -> Floats:
        """Return the lot, turned by a quarter from round to round."""
        turn = np.arange(len(offer.kw))[:, None] / len(offer.kw)
        return np.asarray((offer.lot + turn) % 1.0)


class RoundAfterRound(ByKey):
    """The measures in their order, in each the first round of all, then the second, ..."""

    name = "priority list"

    def key(self, offer: Offer) -> Floats:
        """Return measure and round as one number."""
        rounds = np.arange(len(offer.kw))[:, None]
        return (offer.step * len(offer.kw) + rounds).astype(np.float64)


class CheapestCustomer(ByKey):
    """The customer that loses least with a kWh by what he registers; the graph is ignored."""

    name = "price order"

    def key(self, offer: Offer) -> Floats:
        """Return the value of a kWh at each customer."""
        value = costs().site_values(self.inventory)[offer.site]
        return np.broadcast_to(value, offer.kw.shape)
