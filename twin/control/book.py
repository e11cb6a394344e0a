"""The order book: what is known of orders, their changes and cancellations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace

from twin.record.orders import News, Notice, NoticeKind, Order, OrderForm, OrderKind


class OrderBook:
    """Orders by identity in the order in which they became known.

    A change replaces the order if its revision is higher. A cancellation ends the order at the
    moment at which it becomes known; one that had not begun by then is void.
    """

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._cancelled_ms: dict[str, int] = {}

    def take(self, notices: Iterable[News]) -> bool:
        """Note what became known of orders; return True when anything did."""
        news = False
        for notice in notices:
            if not isinstance(notice, Notice):
                continue
            order, held = notice.order, self._orders.get(notice.order.id)
            if held is not None and order.revision < held.revision:
                continue
            news = True
            if notice.kind is NoticeKind.CANCELLATION:
                self._cancelled_ms[order.id] = notice.now_ms
                order = order if held is None else held
                order = replace(order, end_ms=min(order.end_ms, notice.now_ms))
            elif order.id in self._cancelled_ms:
                continue
            self._orders[order.id] = order
        return news

    def live(self) -> tuple[Order, ...]:
        """Return all orders that are not void, those that have ended included."""
        return tuple(o for o in self._orders.values() if o.end_ms > o.start_ms)

    def of_kind(self, *kinds: OrderKind) -> tuple[Order, ...]:
        """Return the live orders of `kinds`."""
        return tuple(o for o in self.live() if o.kind in kinds)

    def plain(self) -> object:
        """Return the book as JSON-able data."""
        return {
            "orders": [asdict(o) for o in self._orders.values()],
            "cancelled_ms": self._cancelled_ms,
        }

    @classmethod
    def from_plain(cls, plain: object) -> OrderBook:
        """Return a book from `plain`."""
        if not isinstance(plain, dict):
            raise ValueError("this is not an order book")
        book = cls()
        for row in plain["orders"]:
            kind, form = OrderKind(row["kind"]), OrderForm(row["form"])
            book._orders[row["id"]] = Order(**{**row, "kind": kind, "form": form})
        book._cancelled_ms = dict(plain["cancelled_ms"])
        return book
