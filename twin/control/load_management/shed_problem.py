"""What a plan of cuts has to solve: circuits, order, losses along the supply graph.

Losses are hours of a site's production times its value. A site whose circuits are open stands
still by their share from the first minute. Its customers live on their stock of what it makes;
what they lack beyond that stands still with them, and so on down the graph:

    V_u = h y_u + sum of w_e Z_e over inputs e of u       production that u misses [h]   (1)
    Z_e = max(0, V_u - h y_v - tau_e)                     what v lacks of u's goods [h]  (2)
    loss = sum of L_v (h y_v + sum of w_e Z_e)                                           (3)

with h hours, y the share cut, w the part of v's production that needs the input, tau its
stock [h], L the value of an hour. It is exact where the shortage of an input never turns within
the order: constant cuts, no refill meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.record.exchange import Inventory

__all__ = ["Loss", "ShedProblem", "live_edges", "loss_of", "marginal_cny_kw", "shed_problem"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

CIRCUITS = 4
TIE = 1e-3  # of a price: so much dearer is the most burdened circuit (the project's choice)
SWEEPS = 200  # along the longest chain; a loop's remainder shrinks by its shares each time
STILL_H = 1e-9  # smaller changes of lost hours end the sweeps


def _no_floats() -> Floats:
    return np.empty(0)


def _no_rows() -> Rows:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class ShedProblem:
    """Choose circuits to open so that the order is met with the least loss.

    Protected customers and security load are in no circuit, so they cannot be chosen.

    Attributes
    ----------
    need_kw : reduction that is ordered
    hours : for how long
    kw : float64[c]  demand behind each circuit
    site : int64[c]  its site
    share : float64[c]  part of its site's production that stands still while it is open
    loss_cny_h : float64[sites]  value of an hour of each site's whole production
    supplier, customer : int64[e]  sites of each edge of the supply graph
    edge_share : float64[e]  part of the customer's production that needs this input; at most
        one in sum over the inputs of a customer
    stock_h : float64[e]  the customer's stock of it, hours of full use
    district : int64[c]
    least_share, most_share : float64[districts]  bounds on the opened part of each district's
        demand in `kw`, or None
    must_stay : bool[c]  opened so short a time ago that they stay open; default: none
    burden : float64[c], 0 to 1: among circuits of one price the less burdened ones go first;
        default: a site's first circuit before its second, so that many are cut a little
    flow_rows, flow_room : float64[m, c] and float64[m], network limits: rows times the choice
        (1 open) stay at or below the room; or None

    Raises ValueError where lengths do not fit or a figure is not finite or negative.
    """

    need_kw: float
    hours: float
    kw: Floats
    site: Rows
    share: Floats
    loss_cny_h: Floats
    district: Rows
    supplier: Rows = field(default_factory=_no_rows)
    customer: Rows = field(default_factory=_no_rows)
    edge_share: Floats = field(default_factory=_no_floats)
    stock_h: Floats = field(default_factory=_no_floats)
    least_share: Floats | None = None
    most_share: Floats | None = None
    must_stay: Flags | None = None
    burden: Floats | None = None
    flow_rows: NDArray[np.float64] | None = None
    flow_room: Floats | None = None

    def __post_init__(self) -> None:
        n, edges = len(self.kw), len(self.supplier)
        lengths = (len(self.site), len(self.share), len(self.district))
        if lengths != (n, n, n) or len(self.stay) != n:
            raise ValueError(f"circuits: {n} kw beside {lengths}, {len(self.stay)}")
        ends = (len(self.customer), len(self.edge_share), len(self.stock_h))
        if ends != (edges, edges, edges):
            raise ValueError(f"edges: {edges} suppliers beside {ends}")
        if self.burden is not None and not ((self.burden >= 0.0) & (self.burden <= 1.0)).all():
            raise ValueError("burden: 0 to 1")
        if (self.flow_rows is None) != (self.flow_room is None):
            raise ValueError("flow_rows and flow_room come together")
        for name in ("kw", "share", "loss_cny_h", "edge_share", "stock_h"):
            values = getattr(self, name)
            if not (np.isfinite(values).all() and (values >= 0.0).all()):
                raise ValueError(f"{name}: finite and 0 or more")
        if not (np.isfinite(self.need_kw) and np.isfinite(self.hours) and self.hours >= 0.0):
            raise ValueError(f"need {self.need_kw} kW for {self.hours} h")

    @property
    def n(self) -> int:
        """Number of circuits."""
        return len(self.kw)

    @property
    def stay(self) -> Flags:
        """bool[c], which circuits have to stay open."""
        return np.zeros(len(self.kw), np.bool_) if self.must_stay is None else self.must_stay

    def premium(self) -> Floats:
        """Return float64[c], the factor by which `burden` raises a price, 1 to 1 + TIE."""
        burden = self.burden
        if burden is None:
            order = np.argsort(self.site, kind="stable")
            first = np.searchsorted(self.site[order], self.site[order])
            burden = np.empty(self.n)
            burden[order] = np.minimum((np.arange(self.n) - first) / CIRCUITS, 1.0)
        return np.asarray(1.0 + TIE * burden, np.float64)

    def by_site(self, open_: Flags) -> Floats:
        """Return float64[sites], the share of each site's production that `open_` cuts."""
        cut = np.bincount(self.site, np.where(open_, self.share, 0.0), len(self.loss_cny_h))
        return np.asarray(np.minimum(cut, 1.0), np.float64)


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of a choice: of the sites cut, of those that go without input, and who they are.

    Attributes
    ----------
    direct_cny, downstream_cny : over the hours of the problem
    lost_h : float64[sites]  hours of production lost for want of an input
    """

    direct_cny: float
    downstream_cny: float
    lost_h: Floats

    @property
    def total_cny(self) -> float:
        """Both together."""
        return self.direct_cny + self.downstream_cny

    @property
    def stops(self) -> int:
        """Number of sites that lose production for want of an input."""
        return int((self.lost_h > STILL_H).sum())


def live_edges(problem: ShedProblem) -> Rows:
    """Return the edges that may run dry whatever is opened; the others can be left out exactly.

    Worst case of (1) and (2): all circuits of suppliers open, none of the customer.
    """
    most_h = problem.hours * problem.by_site(np.ones(problem.n, np.bool_))
    missed = _missed_h(problem, most_h, np.zeros_like(most_h), np.arange(len(problem.supplier)))
    return np.flatnonzero(missed > 0.0)


def loss_of(problem: ShedProblem, open_: Flags) -> Loss:
    """Return the loss of opening `open_`, bool[c], by equations (1) to (3)."""
    cut_h = problem.hours * problem.by_site(open_)
    live = live_edges(problem)
    missed_h = problem.edge_share[live] * _missed_h(problem, cut_h, cut_h, live)
    lost_h = np.asarray(np.bincount(problem.customer[live], missed_h, len(cut_h)), np.float64)
    value = problem.loss_cny_h
    return Loss(float(value @ cut_h), float(value @ lost_h), lost_h)


def _missed_h(problem: ShedProblem, cut_h: Floats, spared_h: Floats, edges: Rows) -> Floats:
    """Return float64[edges], Z of (2): the least solution, swept up from nothing.

    `spared_h` is what each customer does not need since it stands still itself.
    """
    supplier, customer = problem.supplier[edges], problem.customer[edges]
    share, stock_h = problem.edge_share[edges], problem.stock_h[edges]
    lack = np.zeros(len(edges))
    for _ in range(SWEEPS):
        missing_h = cut_h + np.bincount(customer, share * lack, len(cut_h))
        missing_h = np.minimum(missing_h, problem.hours)
        more = np.maximum(missing_h[supplier] - spared_h[customer] - stock_h, 0.0)
        if not (np.abs(more - lack) > STILL_H).any():
            return more
        lack = more
    return lack


def marginal_cny_kw(problem: ShedProblem) -> Floats:
    """Return float64[c], loss per kW of opening a circuit with its whole site: (2) one step down.

    For small corrections of a plan, and for the order of the greedy choice.
    """
    most = problem.by_site(np.ones(problem.n, np.bool_))
    hours = problem.hours
    beyond = np.maximum(hours * most[problem.supplier] - problem.stock_h, 0.0)
    value = problem.loss_cny_h[problem.customer] * problem.edge_share * beyond
    down = np.bincount(problem.supplier, value, len(most)) / np.maximum(most, 1e-9)
    per_share = hours * problem.loss_cny_h + down
    return np.asarray(problem.share * per_share[problem.site] / np.maximum(problem.kw, 1e-9))


def shed_problem(
    inventory: Inventory,
    need_kw: float,
    hours: float,
    circuit: Rows,
    row: Rows,
    kw: Floats,
    *,
    least_share: Floats | None = None,
    most_share: Floats | None = None,
    must_stay: Flags | None = None,
    burden: Floats | None = None,
    flow_rows: NDArray[np.float64] | None = None,
    flow_room: Floats | None = None,
) -> ShedProblem:
    """Return the problem for circuits of terminals as they are registered.

    Parameters
    ----------
    circuit, row : int64[c]  number (0 to 3) and terminal row of each circuit that may be opened;
        circuits of protected customers raise ValueError
    kw : float64[c]  demand behind them now
    """
    columns, sites = inventory.kinds["terminal"].columns, inventory.sites
    site = columns.i8("site")[row]
    if sites.flag("protected")[site].any():
        raise ValueError("a circuit of a protected customer cannot be planned")
    shares = np.stack([columns.f8(f"circuit_share_{i}") for i in range(1, CIRCUITS + 1)])
    value = sites.f8("value_cny_kwh") if "value_cny_kwh" in sites else np.ones(sites.n)
    chain = inventory.chain
    edges: dict[str, NDArray[np.generic]] = {}
    if chain.n > 0:
        edges = {
            "supplier": chain.i8("supplier"),
            "customer": chain.i8("customer"),
            "edge_share": chain.f8("share"),
            "stock_h": chain.f8("stock_h"),
        }
    return ShedProblem(
        need_kw,
        hours,
        kw,
        site,
        shares[circuit, row],
        value * sites.f8("demand_kw"),
        columns.i8("district")[row],
        least_share=least_share,
        most_share=most_share,
        must_stay=must_stay,
        burden=burden,
        flow_rows=flow_rows,
        flow_room=flow_room,
        **edges,  # type: ignore[arg-type]
    )
