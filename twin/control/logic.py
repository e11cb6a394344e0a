"""The base class of a platform logic.

A logic has five methods (`twin.record.exchange.Logic`); `BaseLogic` gives all of them, so that
the shortest useful one writes a single method. This one stops every charging station that
takes part while an order is in force:

>>> from twin.control.logic import BaseLogic
>>> from twin.record.exchange import Actions, SetPoint
>>> class StopChargers(BaseLogic):
...     def digest(self, now_ms, readings, notices):
...         order = self.order_in_force(now_ms, notices)
...         if order is None:
...             return Actions()
...         rows = self.enrolled("charging")
...         return Actions([SetPoint("charging", "limit_kw", rows, 0.0 * rows)])

It runs with ``twin run tiny --logic package.module:StopChargers``. Devices return to their
owner's control by themselves an hour after the last write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.control.book import OrderBook
from twin.control.memory import pack, unpack
from twin.record.exchange import Actions, Calendar, Inventory, Reading
from twin.record.orders import News, Order
from twin.record.table import Table


class BaseLogic:
    """A logic that does nothing and forgets nothing.

    Attributes
    ----------
    inventory, calendar : as `start` got them
    book : the orders that are known
    memory : tables that `save` keeps and `load` brings back; a subclass adds its own to it
        at the end of its `start`
    watcher : the class that watches the day before a run with a history and whose `learned` this
        one finds in its calendar as ``watched``; None: nobody watches
    """

    watcher: ClassVar[type[BaseLogic] | None] = None
    inventory: Inventory
    calendar: Calendar

    def start(self, inventory: Inventory, calendar: Calendar) -> None:
        """Learn what is registered; forget everything else."""
        self.inventory = inventory
        self.calendar = calendar
        self.book = OrderBook()
        self.memory: dict[str, Table] = {}

    def plan(self, now_ms: int) -> Sequence[str]:
        """Read every kind."""
        return tuple(self.inventory.kinds)

    def digest(
        self, now_ms: int, readings: Mapping[str, Reading], notices: Sequence[News]
    ) -> Actions:
        """Take notice of orders and do nothing."""
        self.book.take(notices)
        return Actions()

    def save(self) -> bytes:
        """Return `memory` and the order book."""
        return pack(self.memory, {"orders": self.book.plain(), "own": self.save_plain()})

    def load(self, state: bytes) -> None:
        """Take what `save` gave."""
        plain = unpack(state, self.memory)
        if not isinstance(plain, dict):
            raise ValueError("this is not the state of a logic")
        self.book = OrderBook.from_plain(plain["orders"])
        self.load_plain(plain["own"])

    def save_plain(self) -> object:
        """Return numbers and texts that evolve (JSON-able); a subclass overrides the pair."""
        return None

    def load_plain(self, plain: object) -> None:
        """Take what `save_plain` gave."""

    def learned(self) -> dict[str, NDArray[np.generic]]:
        """Return what is worth knowing on the next day, by names of one's own."""
        return {}

    # -- conveniences ----------------------------------------------------------------------

    def order_in_force(self, now_ms: int, notices: Sequence[News]) -> Order | None:
        """Take `notices` and return the first order between its start and end, if any."""
        self.book.take(notices)
        return next((o for o in self.book.live() if o.start_ms <= now_ms < o.end_ms), None)

    def enrolled(self, kind: str) -> NDArray[np.int64]:
        """Return the rows of `kind` that take part in demand response."""
        columns = self.inventory.kinds[kind].columns
        return np.flatnonzero(columns.flag("enrolled"))
