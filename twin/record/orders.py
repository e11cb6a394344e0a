"""Orders from the dispatcher, and how they become known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class OrderKind(StrEnum):
    """What an order asks for."""

    DEMAND_RESPONSE = "demand_response"  # flexible means, the plan's 5 %
    LOAD_MANAGEMENT = "load_management"  # rigid control, the plan's 20 %
    CAPABILITY = "capability"  # "give all you have": the judge's call on a fork
    SUSTAINED = "sustained"  # "each device holds what it can": the judge's question on a fork


class OrderForm(StrEnum):
    """Against what an order is measured."""

    REDUCTION = "reduction"  # against the counterfactual
    CAP = "cap"  # on the load that the infeed meters show
    INCREASE = "increase"  # load to be added; of the judge's questions only


class NoticeKind(StrEnum):
    """What became known about an order."""

    ORDER = "order"
    CHANGE = "change"
    CANCELLATION = "cancellation"


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes
    ----------
    id, revision : identity; a change carries the same id and a higher revision
    kind, form : what is asked, against what it is measured
    mw : size in MW; None for a capability call, which has no upper bound
    level : warning level 1 (red) to 4 (blue) of load management, 0 for none
    notice_ms, start_ms, full_by_ms, end_ms : when it is known, begins, must be whole, ends
    warning_min : minutes of warning before `start_ms`; no trip is allowed earlier
    """

    id: str
    revision: int
    kind: OrderKind
    form: OrderForm
    mw: float | None
    level: int
    notice_ms: int
    start_ms: int
    full_by_ms: int
    end_ms: int
    warning_min: float = 0.0


@dataclass(frozen=True, slots=True)
class Notice:
    """An order, a change or a cancellation at the moment at which it becomes known."""

    now_ms: int
    kind: NoticeKind
    order: Order


@dataclass(frozen=True, slots=True)
class OutageNotice:
    """A branch of the network has tripped, or is back where `restored` says so.

    Attributes
    ----------
    branch : its name, as in `twin.record.network_view.NetworkView`
    """

    now_ms: int
    branch: str
    restored: bool = False


News: TypeAlias = Notice | OutageNotice
"""What a logic hears: orders and what becomes of them, and outages in the network."""
