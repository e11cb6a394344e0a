"""The plan of cuts as a mixed-integer program (HiGHS), and a greedy choice beside it.

Circuits are binary; what customers lack is continuous. Equations (1) and (2) of
`twin.control.load_management.shed_problem` stand as inequalities, which the least loss makes
tight. First the relaxation is solved: it bounds every plan, and rounded it is one. Where that
plan is not near enough to the bound, the circuits of which the relaxation is least sure are
branched on. There is a limit on their number and on nodes, and none on wall time, so that a
plan repeats. Where nothing meets the order within its bounds the greedy choice stands in and
says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog, milp

from twin.control.load_management.shed_problem import (
    TIE,
    Loss,
    ShedProblem,
    live_edges,
    loss_of,
    marginal_cny_kw,
    shed_problem,
)

__all__ = ["ShedPlan", "ShedProblem", "greedy", "loss_of", "marginal_cny_kw", "shed_problem",
           "solve"]  # fmt: skip

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GAP = 0.01  # a plan within 1 % of the bound is good enough (the project's choice)
CORE = 4_000  # circuits that are branched on at most (the project's choice)
NODES = 200  # of the search tree; the city's case ends at the first (the project's choice)
SLACK = 1e-7  # of the order, for sums in another sequence
WHOLE = 1e-6  # a circuit of the relaxation counts as open from one less this


@dataclass(frozen=True, slots=True)
class ShedPlan:
    """Which circuits to open.

    Attributes
    ----------
    open : bool[c]
    loss : by the graph, at registered stocks
    loss_cny, bound_cny : loss of this plan; no plan within the constraints has less
    gap : loss over bound less one; NaN where there is no bound above zero
    how : ``milp`` or ``greedy``
    nodes : of the search tree
    short_kw : what is missing to the order, 0 where it is met
    """

    open: Flags
    loss: Loss
    loss_cny: float
    bound_cny: float
    gap: float
    how: Literal["milp", "greedy"]
    nodes: int
    short_kw: float


def solve(problem: ShedProblem, *, gap: float = GAP, nodes: int = NODES) -> ShedPlan:
    """Return the plan with the least loss that meets the order.

    Parameters
    ----------
    gap : the search ends when the plan is this near to the bound
    nodes : the search ends after so many nodes with the best plan so far
    """
    plain = greedy(problem)
    if problem.n == 0:
        return plain
    program = _program(problem)
    relaxed = linprog(  # type: ignore[call-overload]  # its types know no sparse matrix
        program.cost, A_ub=program.matrix, b_ub=program.limit,
        bounds=np.column_stack([program.low, program.high]), method="highs-ds",
    )  # fmt: skip
    if relaxed.status != 0:
        return plain
    bound_cny = _bound(relaxed.fun)
    best = _best(problem, [_rounded(problem, relaxed.x[: problem.n]), plain.open], bound_cny)
    if best is not None and best.loss_cny <= (1.0 + gap) * bound_cny:
        return best
    branched = _branch(problem, program, relaxed, best, gap, nodes)
    return plain if branched is None else branched


def _best(problem: ShedProblem, choices: Sequence[Flags], bound_cny: float) -> ShedPlan | None:
    """Return the cheapest of the choices that meet the order, the earlier one of equals."""
    plans = [_plan(problem, open_, bound_cny, "milp", 0) for open_ in choices]
    met = [plan for plan in plans if plan.short_kw <= SLACK * problem.need_kw]
    return min(met, key=lambda plan: plan.loss_cny) if met else None


def _branch(
    problem: ShedProblem, program: Program, relaxed: OptimizeResult, best: ShedPlan | None,
    gap: float, nodes: int,
) -> ShedPlan | None:  # fmt: skip
    """Return the plan of the tree where it is better than `best`; None where there is neither.

    Branched on are the circuits of which the relaxation is least sure, by reduced cost; the
    others stay as it has them. Where that leaves none out the tree's own bound holds as well.
    """
    low, high, n = program.low.copy(), program.high.copy(), problem.n
    part = relaxed.x[:n]
    sure = np.abs(relaxed.lower.marginals[:n] + relaxed.upper.marginals[:n])
    sure = np.where((part > WHOLE) & (part < 1.0 - WHOLE), -1.0, sure)
    kept = np.lexsort((np.arange(n), sure))[CORE:]
    low[kept] = high[kept] = np.round(part[kept])
    found = milp(
        program.cost,
        integrality=program.whole,
        bounds=Bounds(low, high),
        constraints=LinearConstraint(program.matrix, -np.inf, program.limit),
        options={"mip_rel_gap": 0.5 * gap, "node_limit": nodes},
    )
    tree = 0 if found.mip_node_count is None else int(found.mip_node_count)
    bound_cny = _bound(relaxed.fun)
    inner = found.mip_dual_bound
    if len(kept) == 0 and inner is not None and np.isfinite(inner):
        bound_cny = max(bound_cny, _bound(inner))
    choices = [] if best is None else [best.open]
    if found.x is not None:
        choices.insert(0, np.asarray(found.x[:n] > 0.5))
    chosen = _best(problem, choices, bound_cny)
    return None if chosen is None else replace(chosen, nodes=tree)


def _bound(value: float) -> float:
    """Return what no loss lies below, from a bound on prices with their premium."""
    return max(float(value), 0.0) / (1.0 + TIE)


def _rounded(problem: ShedProblem, part: Floats) -> Flags:
    """Return a choice near the relaxation's `part`, float64[c] of 0 to 1, within the bounds."""
    price = marginal_cny_kw(problem) * problem.premium()
    has, least, most = _shares(problem)
    open_ = problem.stay | (part > 1.0 - WHOLE)
    return _completed(problem, np.lexsort((price, -part)), open_, least, most, has)


def _plan(
    problem: ShedProblem,
    open_: Flags,
    bound_cny: float,
    how: Literal["milp", "greedy"],
    nodes: int,
) -> ShedPlan:
    loss = loss_of(problem, open_)
    total = loss.total_cny
    gap = total / bound_cny - 1.0 if bound_cny > 0.0 else float("nan")
    gap = 0.0 if total <= bound_cny else gap
    short = max(problem.need_kw - float(problem.kw @ open_), 0.0)
    return ShedPlan(open_, loss, total, bound_cny, gap, how, nodes, short)


# -- the program -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Program:
    """The program: circuits first, then what is lacking on each live edge; matrix x <= limit."""

    cost: Floats
    whole: NDArray[np.int64]
    low: Floats
    high: Floats
    matrix: sparse.csr_array
    limit: Floats


def _program(problem: ShedProblem) -> Program:
    live, n = live_edges(problem), problem.n
    edges, hours = len(live), problem.hours
    customer, value = problem.customer[live], problem.loss_cny_h
    direct = hours * value[problem.site] * problem.share * problem.premium()
    cost = np.concatenate([direct, value[customer] * problem.edge_share[live]])
    blocks = [_need(problem), *_districts(problem), *_flows(problem)]
    rows = [(_wide(block, edges), limit) for block, limit in blocks]
    if edges > 0:
        rows.append(_stocks(problem, live))
    return Program(
        cost,
        np.concatenate([np.ones(n, np.int64), np.zeros(edges, np.int64)]),
        np.concatenate([problem.stay.astype(np.float64), np.zeros(edges)]),
        np.concatenate([np.ones(n), np.full(edges, hours)]),
        sparse.csr_array(sparse.vstack([block for block, _ in rows])),
        np.concatenate([limit for _, limit in rows]),
    )


Block: TypeAlias = tuple[sparse.csr_array, Floats]


def _wide(block: sparse.csr_array, edges: int) -> sparse.csr_array:
    """Return `block` over circuits with empty columns for the edges."""
    rows = block.shape[0]
    return sparse.csr_array(sparse.hstack([block, sparse.csr_array((rows, edges))]))


def _need(problem: ShedProblem) -> Block:
    return sparse.csr_array(-problem.kw[None, :]), np.array([-problem.need_kw])


def _shares(problem: ShedProblem) -> tuple[Floats, Floats, Floats]:
    """Return what each district has, and the least and most that may be open there [kW].

    What has to stay open widens a bound that it breaks.
    """
    n = int(problem.district.max(initial=-1)) + 1
    for given in (problem.least_share, problem.most_share):
        n = n if given is None else max(n, len(given))
    has = np.asarray(np.bincount(problem.district, problem.kw, n), np.float64)
    stays = np.bincount(problem.district, np.where(problem.stay, problem.kw, 0.0), n)
    least, most = np.zeros(n), np.full(n, np.inf)
    if problem.least_share is not None:
        least = problem.least_share * has
    if problem.most_share is not None:
        most = np.maximum(problem.most_share * has, stays)
    return has, least, most


def _districts(problem: ShedProblem) -> list[Block]:
    if problem.least_share is None and problem.most_share is None:
        return []
    has, least, most = _shares(problem)
    block = sparse.csr_array(
        (problem.kw, (problem.district, np.arange(problem.n))), shape=(len(has), problem.n)
    )
    bound = np.isfinite(most)
    return [(sparse.csr_array(block[bound]), most[bound]), (sparse.csr_array(-block), -least)]


def _flows(problem: ShedProblem) -> list[Block]:
    if problem.flow_rows is None or problem.flow_room is None:
        return []
    return [(sparse.csr_array(problem.flow_rows), _room(problem))]


def _room(problem: ShedProblem) -> Floats:
    """Return the network's room; what has to stay open widens a limit that it breaks."""
    if problem.flow_rows is None or problem.flow_room is None:
        return np.empty(0)
    stays = np.asarray(problem.flow_rows @ problem.stay.astype(np.float64))
    return np.maximum(problem.flow_room, stays)


def _stocks(problem: ShedProblem, live: NDArray[np.int64]) -> Block:
    """Return (2) for the live edges: V_u - h y_v - Z_e <= tau_e."""
    sites, edges = len(problem.loss_cny_h), len(live)
    each = np.arange(edges)
    supplier, customer = problem.supplier[live], problem.customer[live]
    circuits = np.arange(problem.n)
    cut = sparse.csr_array(
        (problem.hours * problem.share, (problem.site, circuits)), shape=(sites, problem.n)
    )
    lost = sparse.csr_array((problem.edge_share[live], (customer, each)), shape=(sites, edges))
    block = sparse.hstack(
        [cut[supplier] - cut[customer], lost[supplier] - sparse.eye_array(edges, format="csr")]
    )
    return sparse.csr_array(block), problem.stock_h[live]


# -- the greedy choice -----------------------------------------------------------------------


def greedy(problem: ShedProblem) -> ShedPlan:
    """Return the plain choice: cheapest circuits first, within the same bounds.

    Districts get their least first. What is not needed in the end is closed again, the dearest
    first. Where the order cannot be met so, `short_kw` says by how much.
    """
    price = marginal_cny_kw(problem) * problem.premium()
    order = np.lexsort((np.arange(problem.n), price))
    has, least, most = _shares(problem)
    open_ = _completed(problem, order, problem.stay.copy(), least, most, has)
    return _plan(problem, open_, 0.0, "greedy", 0)


def _completed(
    problem: ShedProblem, order: NDArray[np.int64], open_: Flags, least: Floats, most: Floats,
    has: Floats,
) -> Flags:  # fmt: skip
    """Return `open_` with what the order still needs, in `order`, and without what it does not."""
    opened = np.where(open_, problem.kw, 0.0)
    in_district = np.asarray(np.bincount(problem.district, opened, len(has)), np.float64)
    room = _room(problem)
    if problem.flow_rows is not None:
        room = room - np.asarray(problem.flow_rows @ open_.astype(np.float64))
    _fill(problem, order, open_, in_district, room, least, most)
    _fill(problem, order, open_, in_district, room, None, most)
    _trim(problem, order[::-1], open_, in_district, room, least)
    return open_


def _fill(
    problem: ShedProblem, order: NDArray[np.int64], open_: Flags, in_district: Floats,
    room: Floats, least: Floats | None, most: Floats,
) -> None:  # fmt: skip
    """Open circuits in `order` until the districts have their `least`, or the order is met."""
    total = float(problem.kw @ open_)
    flows = problem.flow_rows
    for c in order[~open_[order]].tolist():
        kw, d = float(problem.kw[c]), int(problem.district[c])
        if least is None and total >= problem.need_kw:
            return
        if kw <= 0.0 or (least is not None and in_district[d] >= least[d]):
            continue
        if in_district[d] + kw > most[d]:
            continue
        if flows is not None:
            if (flows[:, c] > room).any():
                continue
            room -= flows[:, c]
        open_[c] = True
        in_district[d] += kw
        total += kw


def _trim(
    problem: ShedProblem, order: NDArray[np.int64], open_: Flags, in_district: Floats,
    room: Floats, least: Floats,
) -> None:  # fmt: skip
    """Close circuits in `order` that the order does not need."""
    over = float(problem.kw @ open_) - problem.need_kw
    flows = problem.flow_rows
    candidates = order[open_[order] & ~problem.stay[order]]
    small = candidates[problem.kw[candidates] <= over]
    for c in small.tolist():
        kw, d = float(problem.kw[c]), int(problem.district[c])
        if kw > over or in_district[d] - kw < least[d]:
            continue
        if flows is not None:
            if (-flows[:, c] > room).any():
                continue
            room += flows[:, c]
        open_[c] = False
        in_district[d] -= kw
        over -= kw
