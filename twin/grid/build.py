"""From a specification, or from a user's pandapower file, to a `Network`."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twin.errors import InputProblems, Problem
from twin.grid.city_form import draw_city
from twin.grid.district_form import draw_district
from twin.grid.draft import Draft, SourceRow
from twin.grid.equipment import Equipment, load_equipment
from twin.grid.network import (
    Branches,
    Busbars,
    Buses,
    Capacitors,
    Matrix,
    Network,
    Sources,
    TapGroups,
)
from twin.grid.spec import NetworkSpec

if TYPE_CHECKING:
    from twin.grid.pandapower_net import Admittances, Ends

__all__ = ["build_network", "draw", "network_key"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
_START_LOADING = 0.6  # of the design load: the case whose voltages are the first start


def draw(spec: NetworkSpec) -> Draft:
    """Draw what `spec` describes, without pandapower.

    Raises InputProblems when the specification is wrong.
    """
    spec.check()
    parts = load_equipment()
    return draw_city(spec, parts) if spec.form == "city" else draw_district(spec, parts)


def network_key(spec: NetworkSpec) -> str:
    """Return a hash of all that `build_network` depends on: specification, tables, code.

    For caches: two specifications with one key have the same network.
    """
    h = hashlib.blake2b(json.dumps(spec.as_dict(), sort_keys=True).encode(), digest_size=16)
    package = files("twin.grid")
    parts = [*package.iterdir(), *package.joinpath("data").iterdir()]
    for part in sorted(parts, key=lambda p: p.name):
        if part.name.endswith((".py", ".toml")):
            h.update(part.name.encode() + b"\0" + part.read_bytes())
    h.update(version("pandapower").encode())
    return h.hexdigest()


def build_network(spec: NetworkSpec) -> Network:
    """Build the network of a specification; the same one, bit for bit, every time.

    Takes a few seconds (pandapower): keep the result with `Network.save`.

    Raises InputProblems when the specification is wrong or its network has no solution.
    """
    draft, parts = draw(spec), load_equipment()
    from pandapower.powerflow import LoadflowNotConverged

    from twin.grid.pandapower_net import admittances, ends, pandapower_net, solve_net

    net = pandapower_net(draft, parts)
    design_mw = np.array([b.weight_mw for b in draft.busbars])
    net.load["p_mw"] *= _START_LOADING
    net.load["q_mvar"] *= _START_LOADING
    feed = _starting_power(draft, float(design_mw.sum()) * _START_LOADING)
    net.gen["p_mw"] = feed
    try:
        solve_net(net)
    except LoadflowNotConverged as lost:
        problem = Problem("network", "specification", "no load-flow solution", "a solvable network")
        raise InputProblems([problem]) from lost
    found = admittances(net)
    if not np.array_equal(found.bus_of[: len(draft.buses)], np.arange(len(draft.buses))):
        raise AssertionError("pandapower renumbered the buses of a network without switches")
    kv = np.array([b.kv for b in draft.buses])
    return _assemble(spec, draft, parts, found, ends(net, found, kv))


def _starting_power(draft: Draft, load_mw: float) -> list[float]:
    """Return the power of every source but the slack in the starting case."""
    from twin.grid.pandapower_net import slack_row

    slack = slack_row([s.share if s.kind == "infeed" else -1.0 for s in draft.sources])
    total = sum(s.share for s in draft.sources)
    return [
        load_mw * s.share / total if s.kind == "infeed" else 0.0
        for k, s in enumerate(draft.sources)
        if k != slack
    ]


def _assemble(
    spec: NetworkSpec, draft: Draft, parts: Equipment, found: Admittances, limits: Ends
) -> Network:
    from twin.grid.pandapower_net import tangent

    buses = Buses(
        name=_text([b.name for b in draft.buses]),
        kv=np.array([b.kv for b in draft.buses]),
        station=_text([b.station for b in draft.buses]),
        district=_whole([b.district for b in draft.buses]),
        x_km=np.array([b.x_km for b in draft.buses]),
        y_km=np.array([b.y_km for b in draft.buses]),
    )
    group = np.full(len(found.from_bus), -1, dtype=np.int64)
    group[found.branch_of["trafo"]] = [t.group for t in draft.transformers]
    from_bus, to_bus = found.from_bus, found.to_bus
    branches = Branches(
        name=limits.name,
        kind=limits.kind,
        from_bus=from_bus,
        to_bus=to_bus,
        kv=buses.kv[from_bus],
        district=np.where(
            buses.district[to_bus] >= 0, buses.district[to_bus], buses.district[from_bus]
        ),
        rating_mva=limits.rating_mva,
        limit_from_pu=limits.limit_from_pu,
        limit_to_pu=limits.limit_to_pu,
        yff=found.yff,
        yft=found.yft,
        ytf=found.ytf,
        ytt=found.ytt,
        tap_group=group,
    )
    design_mw = np.array([b.weight_mw for b in draft.busbars])
    matrix = Matrix(
        np.asarray(found.ybus.data),
        found.ybus.indices.astype(np.int32),
        found.ybus.indptr.astype(np.int32),
    )
    return Network(
        base_mva=found.base_mva,
        buses=buses,
        branches=branches,
        busbars=_busbars(draft),
        sources=_sources(draft.sources, parts),
        taps=_taps(draft, parts),
        capacitors=_capacitors(draft, parts),
        matrix=matrix,
        fixed_mva=np.zeros(len(draft.buses), dtype=np.complex128),
        design_mw=design_mw,
        design_mvar=design_mw * tangent(parts.sizing["power_factor"]),
        v_start=found.v,
        origin=json.dumps(spec.as_dict(), sort_keys=True),
    )


def _busbars(draft: Draft) -> Busbars:
    rows = draft.busbars
    district = _whole([b.district for b in rows])
    weight = np.array([b.weight_mw for b in rows])
    total = np.bincount(district, weight)
    return Busbars(
        bus=_whole([b.bus for b in rows]),
        district=district,
        kind=_text([b.kind for b in rows]),
        weight=weight / total[district],
        capacity_mw=np.array([b.capacity_mw for b in rows]),
        parent=_whole([b.parent for b in rows]),
        feeder=_whole([b.feeder for b in rows]),
    )


def _sources(rows: list[SourceRow], parts: Equipment) -> Sources:
    share = np.array([s.share for s in rows])
    infeed = np.array([s.kind == "infeed" for s in rows])
    slack = np.zeros(len(rows), dtype=bool)
    slack[int(np.argmax(np.where(infeed, share, -1.0)))] = True
    return Sources(
        name=_text([s.name for s in rows]),
        kind=_text([s.kind for s in rows]),
        plant_kind=_text([s.plant_kind for s in rows]),
        bus=_whole([s.bus for s in rows]),
        share=share / share.sum(),
        rated_mw=np.array([s.rated_mw for s in rows]),
        slack=slack,
        vm_pu=np.array([s.vm_pu for s in rows]),
        q_min_mvar=np.where(infeed, -np.inf, 0.0),
        q_max_mvar=np.where(infeed, np.inf, 0.0),
        q_min_per_p=np.where(infeed, 0.0, parts.source["q_min_per_p"]),
        q_max_per_p=np.where(infeed, 0.0, parts.source["q_max_per_p"]),
    )


def _taps(draft: Draft, parts: Equipment) -> TapGroups:
    rules = [parts.tap_rules[name] for name in draft.group_rules]
    first = {t.group: t for t in reversed(draft.transformers) if t.group >= 0}
    units = [first[k] for k in range(len(rules))]
    return TapGroups(
        bus=_whole([t.lv_bus for t in units]),
        step=np.array([t.type.tap_step_percent / 100.0 for t in units]),
        tap_min=_whole([t.type.tap_min for t in units]),
        tap_max=_whole([t.type.tap_max for t in units]),
        start=_whole([t.type.tap_fixed for t in units]),
        target_vm_pu=np.array([r.target_vm_pu for r in rules]),
        half_band_vm_pu=np.array([r.half_band_vm_pu for r in rules]),
        delay_ms=_whole([round(1000.0 * r.delay_s) for r in rules]),
    )


def _capacitors(draft: Draft, parts: Equipment) -> Capacitors:
    rows = draft.capacitors
    rules = [parts.capacitor_rules[c.rule] for c in rows]
    step = np.array([c.step_mvar for c in rows], dtype=np.float64)
    return Capacitors(
        bus=_whole([c.bus for c in rows]),
        step_mvar=step,
        step_min=_whole([c.step_min for c in rows]),
        step_max=_whole([c.step_max for c in rows]),
        start=_whole([c.start for c in rows]),
        group=_whole([c.group for c in rows]),
        q_band_mvar=step * np.array([r.q_band_steps for r in rules], dtype=np.float64),
        low_vm_pu=np.array([r.low_vm_pu for r in rules], dtype=np.float64),
        high_vm_pu=np.array([r.high_vm_pu for r in rules], dtype=np.float64),
        delay_ms=_whole([round(1000.0 * r.delay_s) for r in rules]),
    )


def _whole(values: list[int]) -> I8:
    return np.array(values, dtype=np.int64)


def _text(values: list[str]) -> NDArray[np.str_]:
    return np.array(values, dtype=np.str_)
