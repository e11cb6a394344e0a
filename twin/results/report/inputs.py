"""What the page is made of: plain records, handed over by whoever ran the scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin.clock import DAY_MS
from twin.record.exchange import Inventory
from twin.record.history import History
from twin.record.orders import Order, OrderKind
from twin.results.report.words import Words, number
from twin.verify.counterfactual import Pair

__all__ = ["Districts", "Histories", "NetworkFacts", "Outage", "Step"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Histories:
    """The runs behind one page.

    Attributes
    ----------
    ordered : the run with every order
    undisturbed : the run with none
    counterfactuals : by order id, the run without that order and without any later one
    """

    ordered: History
    undisturbed: History
    counterfactuals: Mapping[str, History] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Districts:
    """Where the districts lie, for the map.

    Attributes
    ----------
    names, names_zh : one a district, in the order of ``district.load_mw``
    x_km, y_km : float64[districts], east and north of any common origin
    """

    names: tuple[str, ...]
    names_zh: tuple[str, ...]
    x_km: NDArray[np.float64]
    y_km: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outage:
    """One single outage that overloads something or cannot be solved.

    Attributes
    ----------
    name : the element that is out
    kv : its nominal voltage [kV]
    solved : whether the load flow found a solution
    overloaded : number of branches above 100 %
    worst, worst_pct : the branch loaded highest and its loading [%]
    """

    name: str
    kv: float
    solved: bool
    overloaded: int
    worst: str
    worst_pct: float


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What the page says of the network beyond the minute records.

    Attributes
    ----------
    bands_pu : permitted voltage by level as in the scalar names: ``"10"``, ``"110"``, ...
    outages : those that overload something or were not solved
    outages_run : how many single outages were solved or tried, 0 when none was
    outages_at : when, as said on the page, e.g. ``"13:52"``
    """

    bands_pu: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    outages: Sequence[Outage] = ()
    outages_run: int = 0
    outages_at: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One judged order between the run that obeyed it and the run that never heard of it.

    Attributes
    ----------
    order : the order
    run : R_i, with orders 1 to i
    without : R_(i-1), its counterfactual
    """

    order: Order
    run: History
    without: History

    def judged_mw(self, inventory: Inventory, from_ms: int, to_ms: int) -> Floats | None:
        """Return float64[minutes], the reduction as the judge measures it, or None.

        At the meters of enrolled sites for demand response, of all sites for load management.
        """
        pair = Pair(self.run, self.without, inventory, DAY_MS * 366)
        if not pair.has("site.demand_kw"):
            return None
        demand_response = self.order.kind is OrderKind.DEMAND_RESPONSE
        return pair.reduction_mw(
            pair.span(from_ms, to_ms), pair.enrolled() if demand_response else None
        )


def steps(histories: Histories, orders: Sequence[Order]) -> list[Step]:
    """Return the judged orders by time of notice, each with its pair of runs.

    With orders 1..k the run of order i is the counterfactual of order i + 1, and the final run
    for the last one. An order without a counterfactual, or a capability call, is left out.
    """
    newest: dict[str, Order] = {}
    for order in orders:
        held = newest.get(order.id)
        if held is None or order.revision > held.revision:
            newest[order.id] = order
    judged = sorted(
        (
            o
            for o in newest.values()
            if o.kind is not OrderKind.CAPABILITY and o.id in histories.counterfactuals
        ),
        key=lambda o: (o.notice_ms, o.id),
    )
    runs = [histories.counterfactuals[o.id] for o in judged[1:]] + [histories.ordered]
    return [
        Step(order, run, histories.counterfactuals[order.id])
        for order, run in zip(judged, runs, strict=False)
    ]


@dataclass(frozen=True, slots=True)
class PageData:
    """Everything the figures and tables draw on."""

    summary: Mapping[str, object]
    histories: Histories
    inventory: Inventory
    orders: Sequence[Order]
    steps: Sequence[Step]
    districts: Districts | None
    network: NetworkFacts | None

    def mw(self, value: float | None, finer: int = 0) -> str:
        """Return a power or energy of the city's own order of size; `finer` adds digits.

        A city of 20 000 MW is told in whole MW, a district of 40 MW to 0.01 MW.
        """
        base = self.inventory.max_load_mw
        return number(value, (0 if base >= 1000.0 else 1 if base >= 100.0 else 2) + finer)

    def district_names(self, words: Words) -> tuple[str, ...]:
        """Return the districts' names in the reader's language, as far as they are known."""
        if self.districts is None:
            return tuple(self.inventory.districts)
        return self.districts.names_zh if words.lang == "zh" else self.districts.names
