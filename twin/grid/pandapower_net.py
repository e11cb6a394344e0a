"""pandapower's one home: a draft becomes a pandapower net, a solved net becomes arrays.

pandapower takes seconds to import, so this module is imported where a network is built, never
where one is loaded. Its private results (``net._ppc["internal"]``) are read in `admittances`
only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandapower as pp
from numpy.typing import NDArray
from scipy import sparse

from twin.grid.draft import Draft
from twin.grid.equipment import Equipment

__all__ = [
    "Admittances",
    "Case",
    "admittances",
    "ends",
    "pandapower_net",
    "solve_net",
    "write_case",
]

C16 = NDArray[np.complex128]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
BASE_MVA = 100.0


def pandapower_net(draft: Draft, parts: Equipment) -> Any:
    """Return the pandapower net of a draft: row k of each of the draft's lists is index k.

    The slack is an ``ext_grid``, every other source a ``gen`` in order; taps stand at their
    neutral (or fixed) position, capacitors at their start, loads are the design loads.
    """
    net = pp.create_empty_network(sn_mva=BASE_MVA)
    names = [b.name for b in draft.buses]
    pp.create_buses(net, len(names), vn_kv=[b.kv for b in draft.buses], name=names)
    _lines(net, draft)
    _transformers(net, draft)
    tan_phi = tangent(parts.sizing["power_factor"])
    pp.create_loads(
        net,
        buses=[b.bus for b in draft.busbars],
        p_mw=[b.weight_mw for b in draft.busbars],
        q_mvar=[b.weight_mw * tan_phi for b in draft.busbars],
    )
    if draft.capacitors:
        pp.create_shunts(
            net,
            buses=[c.bus for c in draft.capacitors],
            q_mvar=[-c.step_mvar for c in draft.capacitors],
            step=[c.start for c in draft.capacitors],
            max_step=[max(c.step_max, 1) for c in draft.capacitors],
        )
    slack = slack_row([s.share if s.kind == "infeed" else -1.0 for s in draft.sources])
    for k, source in enumerate(draft.sources):
        if k == slack:
            pp.create_ext_grid(net, source.bus, vm_pu=source.vm_pu, name=source.name)
        else:
            pp.create_gen(net, source.bus, p_mw=0.0, vm_pu=source.vm_pu, name=source.name)
    return net


def slack_row(shares: list[float]) -> int:
    """Return the source that holds the angle: the largest infeed, the first of equals."""
    return int(np.argmax(shares))


def tangent(power_factor: float) -> float:
    """Return reactive over active power."""
    return float(np.sqrt(1.0 / power_factor**2 - 1.0))


def _lines(net: Any, draft: Draft) -> None:
    rows = draft.lines
    pp.create_lines_from_parameters(
        net,
        from_buses=[r.from_bus for r in rows],
        to_buses=[r.to_bus for r in rows],
        length_km=[r.length_km for r in rows],
        r_ohm_per_km=[r.type.r_ohm_per_km for r in rows],
        x_ohm_per_km=[r.type.x_ohm_per_km for r in rows],
        c_nf_per_km=[r.type.c_nf_per_km for r in rows],
        max_i_ka=[r.type.max_i_ka for r in rows],
        parallel=[r.parallel for r in rows],
        name=[r.name for r in rows],
    )


def _transformers(net: Any, draft: Draft) -> None:
    rows = draft.transformers
    pp.create_transformers_from_parameters(
        net,
        hv_buses=[r.hv_bus for r in rows],
        lv_buses=[r.lv_bus for r in rows],
        sn_mva=[r.mva for r in rows],
        vn_hv_kv=[r.type.vn_hv_kv for r in rows],
        vn_lv_kv=[r.type.vn_lv_kv for r in rows],
        vkr_percent=[r.type.vkr_percent for r in rows],
        vk_percent=[r.type.vk_percent for r in rows],
        pfe_kw=[r.type.pfe_kw_per_mva * r.mva for r in rows],
        i0_percent=[r.type.i0_percent for r in rows],
        shift_degree=[r.type.shift_degree for r in rows],
        tap_side="hv",
        tap_neutral=0,
        tap_min=[r.type.tap_min for r in rows],
        tap_max=[r.type.tap_max for r in rows],
        tap_step_percent=[r.type.tap_step_percent for r in rows],
        tap_step_degree=0.0,
        tap_pos=[r.type.tap_fixed for r in rows],
        tap_changer_type="Ratio",
        parallel=[r.parallel for r in rows],
        name=[r.name for r in rows],
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One operating point, as the load flow sees it, for `write_case`.

    Attributes
    ----------
    demand_mw, demand_mvar : by busbar
    source_mw : by source (the slack's is not used)
    slack : row of the slack among the sources
    q_min_mvar, q_max_mvar : by source
    transformer_tap : position of every row of ``net.trafo``
    capacitor_step : by capacitor
    """

    demand_mw: F8
    demand_mvar: F8
    source_mw: F8
    slack: int
    q_min_mvar: F8
    q_max_mvar: F8
    transformer_tap: I8
    capacitor_step: I8


def write_case(net: Any, case: Case) -> None:
    """Write an operating point into a net that `pandapower_net` made."""
    net.load["p_mw"] = case.demand_mw
    net.load["q_mvar"] = case.demand_mvar
    others = np.delete(np.arange(len(case.source_mw)), case.slack)
    net.gen["p_mw"] = case.source_mw[others]
    net.gen["min_q_mvar"] = case.q_min_mvar[others]
    net.gen["max_q_mvar"] = case.q_max_mvar[others]
    net.trafo["tap_pos"] = case.transformer_tap
    if len(net.shunt) > 0:
        net.shunt["step"] = case.capacitor_step


def solve_net(net: Any, *, enforce_q_lims: bool = False) -> None:
    """Run pandapower's Newton from its DC solution to 1e-9 MVA.

    Raises pandapower's ``LoadflowNotConverged`` where there is no solution.
    """
    pp.runpp(
        net,
        init="dc",
        tolerance_mva=1e-9,
        max_iteration=30,
        enforce_q_lims=enforce_q_lims,
        calculate_voltage_angles=True,
        trafo_model="t",
    )


@dataclass(frozen=True, slots=True)
class Admittances:
    """What pandapower computed, on its internal numbering.

    Attributes
    ----------
    ybus : Ybus in compressed columns with sorted rows
    yff, yft, ytf, ytt : of every internal branch, from Yf and Yt
    from_bus, to_bus : of every internal branch
    v : solved complex voltages
    bus_of : internal row of each pandapower bus index (-1: out of service)
    branch_of : internal row of the first branch of each element table, and their number
    base_mva : base
    """

    ybus: sparse.csc_matrix
    yff: C16
    yft: C16
    ytf: C16
    ytt: C16
    from_bus: I8
    to_bus: I8
    v: C16
    sbus: C16
    bus_of: I8
    branch_of: dict[str, I8]
    base_mva: float


def admittances(net: Any) -> Admittances:
    """Read Ybus, Yf and Yt of a solved net from ``net._ppc["internal"]``."""
    internal = net._ppc["internal"]
    ybus = _symmetric_pattern(internal["Ybus"])
    branch = internal["branch"]
    from_bus = np.real(branch[:, 0]).astype(np.int64)
    to_bus = np.real(branch[:, 1]).astype(np.int64)
    each = np.arange(len(from_bus))
    yf, yt = sparse.csr_matrix(internal["Yf"]), sparse.csr_matrix(internal["Yt"])

    def entry(matrix: Any, column: I8) -> C16:
        return np.asarray(matrix[each, column], dtype=np.complex128).reshape(-1)

    in_service = np.asarray(internal["branch_is"], dtype=bool)
    numbered = np.where(in_service, np.cumsum(in_service) - 1, -1)
    branch_of = {
        table: numbered[first:last].astype(np.int64)
        for table, (first, last) in net._pd2ppc_lookups["branch"].items()
    }
    bus_of = np.asarray(net._pd2ppc_lookups["bus"], dtype=np.int64)
    n = ybus.shape[0]
    return Admittances(
        ybus=ybus,
        yff=entry(yf, from_bus),
        yft=entry(yf, to_bus),
        ytf=entry(yt, from_bus),
        ytt=entry(yt, to_bus),
        from_bus=from_bus,
        to_bus=to_bus,
        v=np.asarray(internal["V"], dtype=np.complex128),
        sbus=np.asarray(internal["Sbus"], dtype=np.complex128),
        bus_of=np.where(bus_of < n, bus_of, -1),
        branch_of=branch_of,
        base_mva=float(internal["baseMVA"]),
    )


def _symmetric_pattern(matrix: Any) -> sparse.csc_matrix:
    """Return the matrix with an entry, if need be 0, wherever its transpose has one."""
    given = sparse.coo_matrix(matrix, dtype=np.complex128)
    n, nothing = given.shape[0], np.zeros(given.nnz, dtype=np.complex128)
    each = np.arange(n)
    row = np.concatenate([given.row, given.col, each])
    column = np.concatenate([given.col, given.row, each])
    data = np.concatenate([given.data, nothing, np.zeros(n, dtype=np.complex128)])
    whole = sparse.csc_matrix((data, (row, column)), shape=given.shape)
    whole.sum_duplicates()
    whole.sort_indices()
    return whole


@dataclass(frozen=True, slots=True)
class Ends:
    """Names and ratings of every internal branch; limits are currents in per unit."""

    name: NDArray[np.str_]
    kind: NDArray[np.str_]
    rating_mva: F8
    limit_from_pu: F8
    limit_to_pu: F8


def ends(net: Any, found: Admittances, kv: F8) -> Ends:
    """Return names and ratings of the internal branches; `kv` is by internal bus."""
    n = len(found.from_bus)
    name = np.array([f"branch {k}" for k in range(n)], dtype=object)
    kind = np.full(n, "other", dtype="U12")
    rating, low, high = np.full(n, np.inf), np.full(n, np.inf), np.full(n, np.inf)
    if "line" in found.branch_of:
        rows = found.branch_of["line"]
        here = rows >= 0
        at, t = rows[here], net.line[here]
        amps = (t.max_i_ka * t.df * t.parallel).to_numpy(dtype=np.float64)
        name[at], kind[at] = t.name.astype(str).to_numpy(), "line"
        rating[at] = np.sqrt(3.0) * amps * kv[found.from_bus[at]]
        low[at] = rating[at] / found.base_mva
        high[at] = np.sqrt(3.0) * amps * kv[found.to_bus[at]] / found.base_mva
    if "trafo" in found.branch_of:
        rows = found.branch_of["trafo"]
        here = rows >= 0
        at, t = rows[here], net.trafo[here]
        rating[at] = (t.sn_mva * t.df * t.parallel).to_numpy(dtype=np.float64)
        name[at], kind[at] = t.name.astype(str).to_numpy(), "transformer"
        base = rating[at] / found.base_mva
        low[at] = base * kv[found.from_bus[at]] / t.vn_hv_kv.to_numpy(dtype=np.float64)
        high[at] = base * kv[found.to_bus[at]] / t.vn_lv_kv.to_numpy(dtype=np.float64)
    # a rating of 0 or none given is no limit
    for column in (rating, low, high):
        column[~(column > 0.0)] = np.inf
    return Ends(name.astype(np.str_), kind, rating, low, high)
