"""The three simpler logics: the reference's supervision, another choice of whom to take from."""

from __future__ import annotations

from typing import ClassVar

from twin.control.demand_response.response import Response
from twin.control.load_management.curtailment import Curtailment
from twin.control.platform import Platform
from twin.control.rivals.circuits import (
    ByKey,
    CheapestCustomer,
    EqualRounds,
    RoundAfterRound,
)
from twin.control.rivals.response import PlainResponse
from twin.control.rivals.splits import CheapestSplit, EqualSplit, ListedSplit, Split


class Rival(Platform):
    """Supervision, baseline and feedback of the reference.

    Attributes
    ----------
    split : shares the reduction of flexible means out
    circuits : ranks rigid circuits
    """

    split: ClassVar[type[Split]]
    circuits: ClassVar[type[ByKey]]

    def new_response(self, name: str) -> Response:
        """Return a response that splits as this logic does."""
        split = self.split(self.inventory)
        response = PlainResponse(name, self.inventory, self.calendar, self.habits, self.desk, split)
        if name == "response":
            response.market = self.market  # for who may take part; its awards are not followed
        return response

    def new_curtailment(self) -> Curtailment:
        """Return a curtailment that opens circuits in this logic's order."""
        choice = self.circuits(self.inventory)
        return Curtailment(self.inventory, self.flexible, choice)


class EqualShare(Rival):
    """Everybody gives the same: devices by rating, customers in every round by lot."""

    split = EqualSplit
    circuits = EqualRounds


class PriorityList(Rival):
    """Down a list: kind after kind, round after round."""

    split = ListedSplit
    circuits = RoundAfterRound


class PriceOrder(Rival):
    """The cheapest first: devices by asking price, customers by what a kWh is worth to them."""

    split = CheapestSplit
    circuits = CheapestCustomer
