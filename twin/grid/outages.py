"""Single outages (n-1): every circuit, transformer, plant and infeed at 220 kV and above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twin.grid.flow import LoadFlow, Solution
from twin.grid.network import Network, Sources
from twin.grid.operation import GridOperation
from twin.record.columns import Columns

__all__ = ["single_outages"]

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Case:
    """One outage: solved or not, worst loading, lowest and highest voltage."""

    element: str
    kind: str
    solved: bool
    max_loading_pct: float
    worst_branch: int
    overloads: int
    min_vm_pu: float
    max_vm_pu: float


def single_outages(
    operation: GridOperation,
    demand_mw: F8,
    demand_mvar: F8,
    plant_mw: F8,
    pumped_mw: float,
    *,
    above_kv: float = 200.0,
    limit_pct: float = 100.0,
) -> Columns:
    """Solve every single outage at the operation's present taps, steps and voltages.

    Taps and capacitors stand still (the minute after the outage); a lost plant or infeed is
    made up by the others' shares of the imports. `operation` is not changed.

    Parameters
    ----------
    demand_mw, demand_mvar, plant_mw, pumped_mw : as in `GridOperation.step`
    above_kv : elements with both ends above this nominal voltage are lost, transformers where
        their high side is
    limit_pct : above this a branch counts as overloaded

    Returns
    -------
    Columns
        one row an outage: ``element``, ``kind`` (line, transformer, infeed, plant,
        pumped_storage), ``solved``, ``max_loading_pct``, ``worst_branch`` (row), ``overloads``
        (branches above the limit), ``min_vm_pu``, ``max_vm_pu``; NaN and -1 where not solved
    """
    own = operation.fork()
    own.settle_losses(demand_mw, demand_mvar, plant_mw, pumped_mw)
    cases = [
        *_branch_cases(own, (demand_mw, demand_mvar, plant_mw, pumped_mw), above_kv, limit_pct),
        *_source_cases(own, (demand_mw, demand_mvar, plant_mw, pumped_mw), above_kv, limit_pct),
    ]
    return Columns(
        {
            "element": np.array([c.element for c in cases], dtype=np.str_),
            "kind": np.array([c.kind for c in cases], dtype=np.str_),
            "solved": np.array([c.solved for c in cases], dtype=bool),
            "max_loading_pct": np.array([c.max_loading_pct for c in cases], dtype=np.float64),
            "worst_branch": np.array([c.worst_branch for c in cases], dtype=np.int64),
            "overloads": np.array([c.overloads for c in cases], dtype=np.int64),
            "min_vm_pu": np.array([c.min_vm_pu for c in cases], dtype=np.float64),
            "max_vm_pu": np.array([c.max_vm_pu for c in cases], dtype=np.float64),
        }
    )


_Point = tuple[F8, F8, F8, float]


def _case(element: str, kind: str, solution: Solution, loading: F8, limit_pct: float) -> _Case:
    if not solution.converged:
        return _Case(element, kind, False, np.nan, -1, 0, np.nan, np.nan)
    worst = int(loading.argmax())
    vm = np.abs(solution.v)
    over = int(np.count_nonzero(loading > limit_pct))
    low, high = float(vm.min()), float(vm.max())
    return _Case(element, kind, True, float(loading[worst]), worst, over, low, high)


def _branch_cases(
    operation: GridOperation, point: _Point, above_kv: float, limit_pct: float
) -> Iterator[_Case]:
    """Lose each circuit and transformer: take its four admittances out of Ybus."""
    network, flow = operation.network, operation.flow
    source_mw, power = operation.injections(*point)
    limits = operation.reactive_limits(source_mw)
    operation.write_positions()
    b, v, mode = network.branches, operation.v, operation.reactive_mode
    out = operation.branches_out
    # circuits between the same two buses stand in for each other
    pair = np.minimum(b.from_bus, b.to_bus) * network.n_bus + np.maximum(b.from_bus, b.to_bus)
    alive = int(flow.reached(out).sum())
    kv = network.buses.kv
    low_side = np.where(b.kind == "transformer", b.kv, np.minimum(kv[b.from_bus], kv[b.to_bus]))
    for k in np.setdiff1d(np.flatnonzero(low_side > above_kv), out):
        name, kind = str(b.name[k]), str(b.kind[k])
        same = np.count_nonzero(pair == pair[k]) - np.count_nonzero(pair[out] == pair[k])
        if same == 1 and int(flow.reached(np.append(out, k)).sum()) < alive:
            yield _Case(name, kind, False, np.nan, -1, 0, np.nan, np.nan)
            continue
        with flow.without_branch(int(k)):
            solution = flow.solve(power, v, mode, *limits)
            loading = flow.loading_pct(solution.v)
        yield _case(name, kind, solution, loading, limit_pct)


def _source_cases(
    operation: GridOperation, point: _Point, above_kv: float, limit_pct: float
) -> Iterator[_Case]:
    """Lose each infeed, plant and the pumped storage: the other infeeds take over."""
    network = operation.network
    sources = network.sources
    mode_at = dict(zip(operation.flow.regulated.tolist(), operation.reactive_mode, strict=True))
    for k in np.flatnonzero(network.buses.kv[sources.bus] > above_kv):
        name, kind = str(sources.name[k]), str(sources.kind[k])
        reduced = _without_source(network, int(k))
        if reduced is None:
            yield _Case(name, kind, False, np.nan, -1, 0, np.nan, np.nan)
            continue
        demand_mw, demand_mvar, plant_mw, pumped_mw = point
        left = plant_mw[network.plant_rows != k]
        other = GridOperation(reduced, flow=LoadFlow(reduced, like=operation.flow))
        other.take(operation.state)
        other.reactive_mode[:] = [mode_at.get(int(bus), 0) for bus in other.flow.regulated]
        at = (demand_mw, demand_mvar, left, pumped_mw)
        other.settle_losses(*at)
        solution, _, _ = other.solve(*at)
        loading = other.flow.loading_pct(solution.v)
        yield _case(name, kind, solution, loading, limit_pct)


def _without_source(network: Network, lost: int) -> Network | None:
    """Return the network without one source, or None when no infeed is left."""
    s = network.sources
    keep = np.arange(len(s.bus)) != lost
    columns = {name: getattr(s, name)[keep] for name in Sources.__dataclass_fields__}
    if not columns["share"].sum() > 0.0:
        return None
    columns["share"] = columns["share"] / columns["share"].sum()
    if not columns["slack"].any():
        slack = np.zeros(len(columns["slack"]), dtype=bool)
        slack[int(np.where(columns["kind"] == "infeed", columns["share"], -1.0).argmax())] = True
        columns["slack"] = slack
    return replace(network, sources=Sources(**columns))
