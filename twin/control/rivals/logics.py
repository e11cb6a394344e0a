"""The three simpler logics: the reference's supervision, another choice of whom to take from."""

from __future__ import annotations

from typing import ClassVar

from twin.control.platform import Platform
from twin.control.response import Response
from twin.control.rivals.response import PlainResponse
from twin.control.rivals.splits import CheapestSplit, EqualSplit, ListedSplit, Split


class Rival(Platform):
    """Supervision, baseline and feedback of the reference, with another `split`."""

    split: ClassVar[type[Split]]

    def new_response(self, name: str) -> Response:
        """Return a response that splits as this logic does."""
        split = type(self).split(self.inventory)
        return PlainResponse(name, self.inventory, self.calendar, self.habits, self.desk, split)


class EqualShare(Rival):
    """Every enrolled device gives the same share of its rating."""

    split = EqualSplit


class PriorityList(Rival):
    """Kinds down a fixed list until the order is met."""

    split = ListedSplit


class PriceOrder(Rival):
    """The lowest asking price first."""

    split = CheapestSplit
