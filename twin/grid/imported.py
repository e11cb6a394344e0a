"""A user's own network: any pandapower net saved as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import InputProblems, Problem
from twin.grid.equipment import TapRule, load_equipment
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

__all__ = ["from_pandapower"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
_REGULATED_KV = 6.0  # transformers with a lower low side have no on-load tap changer
_UPPER_KV = 35.0  # regulated from here on by the 220/110 kV rule, below by the 110/10 kV rule


def from_pandapower(path: Path | str) -> Network:
    """Return the network of a pandapower JSON file.

    Buses with loads become places for load (all in district 0), external grids and generators
    become infeeds whose shares are those of the solved case, static generators and shunts stay
    as they are. Ratio taps on the high side of transformers down to 6 kV are regulated by the
    rules of the synthetic network.

    Raises InputProblems when the file cannot be read, is no pandapower network, has no bus, no
    load or no slack, or has no solution.
    """
    file = str(path)
    net = _read(Path(path))
    problems = _missing(net, file)
    if problems:
        raise InputProblems(problems)
    from pandapower.powerflow import LoadflowNotConverged

    from twin.grid.pandapower_net import admittances, ends, solve_net

    try:
        solve_net(net)
    except LoadflowNotConverged as lost:
        raise _problem(file, "network", "load flow has no solution", "a solvable case") from lost
    except (KeyError, ValueError, TypeError, UserWarning, NotImplementedError) as broken:
        raise _problem(file, "network", str(broken), "a complete pandapower network") from broken
    found = admittances(net)
    buses = _buses(net, found.bus_of, len(found.v))
    limits = ends(net, found, buses.kv)
    group, taps = _taps(net, found.branch_of.get("trafo", _none()), found.to_bus, buses)
    busbars, load = _busbars(net, found.bus_of)
    demand = np.asarray(net._ppc["internal"]["bus"][:, 2:4], dtype=np.float64)  # PD, QD
    fixed = -(demand[:, 0] + 1j * demand[:, 1])
    fixed[busbars.bus] += load
    ybus = found.ybus
    return Network(
        base_mva=found.base_mva,
        buses=buses,
        branches=Branches(
            name=limits.name,
            kind=limits.kind,
            from_bus=found.from_bus,
            to_bus=found.to_bus,
            kv=buses.kv[found.from_bus],
            district=np.zeros(len(found.from_bus), dtype=np.int64),
            rating_mva=limits.rating_mva,
            limit_from_pu=limits.limit_from_pu,
            limit_to_pu=limits.limit_to_pu,
            yff=found.yff,
            yft=found.yft,
            ytf=found.ytf,
            ytt=found.ytt,
            tap_group=group,
        ),
        busbars=busbars,
        sources=_sources(net, found.bus_of),
        taps=taps,
        capacitors=_no_capacitors(),
        matrix=Matrix(
            np.asarray(ybus.data), ybus.indices.astype(np.int32), ybus.indptr.astype(np.int32)
        ),
        fixed_mva=fixed,
        design_mw=load.real.copy(),
        design_mvar=load.imag.copy(),
        v_start=found.v,
        origin=json.dumps({"form": "pandapower", "file": Path(path).name}),
    )


def _problem(file: str, place: str, value: str, allowed: str) -> InputProblems:
    return InputProblems([Problem(file, place, value, allowed)])


def _read(path: Path) -> Any:
    """Read the file, or say why not."""
    if not path.is_file():
        raise _problem(str(path), "file", "not found", "a pandapower network saved as JSON")
    import pandapower as pp

    try:
        net = pp.from_json(str(path))
    except Exception as broken:  # pandapower raises whatever its decoder meets
        text = f"{type(broken).__name__}: {broken}"
        raise _problem(str(path), "file", text, "a pandapower network saved as JSON") from broken
    if not isinstance(net, pp.pandapowerNet):
        raise _problem(str(path), "file", type(net).__name__, "a pandapower network saved as JSON")
    if "tap_dependency_table" not in net.trafo:  # nets from before pandapower 3
        net.trafo["tap_dependency_table"] = False
    return net


def _missing(net: Any, file: str) -> list[Problem]:
    """Return what the network lacks."""
    lacking = []
    if len(net.bus) == 0:
        lacking.append(Problem(file, "bus", "none", "at least one bus"))
    if len(net.load) == 0 or not net.load.in_service.any():
        lacking.append(Problem(file, "load", "none in service", "at least one load"))
    slack = net.ext_grid.in_service.any() or (net.gen.in_service & net.gen.slack.astype(bool)).any()
    if not slack:
        lacking.append(
            Problem(file, "ext_grid", "none in service", "a slack: ext_grid or slack gen")
        )
    for table in ("line", "trafo", "load", "gen", "ext_grid"):
        frame = net[table]
        for column in [
            c for c in frame.columns if c in ("bus", "from_bus", "to_bus", "hv_bus", "lv_bus")
        ]:
            unknown = frame.index[~frame[column].isin(net.bus.index)]
            lacking += [
                Problem(
                    file,
                    f"{table}[{k}].{column}",
                    str(frame[column][k]),
                    "an index of the bus table",
                )
                for k in unknown
            ]
    return lacking


def _none() -> I8:
    return np.zeros(0, dtype=np.int64)


def _buses(net: Any, bus_of: I8, n: int) -> Buses:
    """Name each internal bus after its first pandapower bus."""
    name = np.array([f"bus {k}" for k in range(n)], dtype=object)
    kv = np.ones(n)
    for index in net.bus.index[::-1]:
        row = int(bus_of[index])
        if row >= 0:
            given = net.bus.at[index, "name"]
            name[row] = str(given) if given is not None and str(given) != "nan" else f"bus {index}"
            kv[row] = float(net.bus.at[index, "vn_kv"])
    unique, count = np.unique(name, return_counts=True)
    for twice in unique[count > 1]:  # names must tell buses apart
        for again in np.flatnonzero(name == twice).tolist():
            name[again] = f"{twice} ({again})"
    zero = np.zeros(n)
    text = name.astype(np.str_)
    return Buses(text, kv, text.copy(), np.zeros(n, dtype=np.int64), zero, zero.copy())


def _busbars(net: Any, bus_of: I8) -> tuple[Busbars, NDArray[np.complex128]]:
    loads = net.load[net.load.in_service]
    at = bus_of[loads.bus.to_numpy(dtype=np.int64)]
    scaling = loads.scaling.to_numpy(dtype=np.float64)
    power = scaling * (loads.p_mw.to_numpy(dtype=float) + 1j * loads.q_mvar.to_numpy(dtype=float))
    bus, row = np.unique(at[at >= 0], return_inverse=True)
    total = np.zeros(len(bus), dtype=np.complex128)
    np.add.at(total, row, power[at >= 0])
    size = np.abs(total.real)
    n = len(bus)
    busbars = Busbars(
        bus=bus.astype(np.int64),
        district=np.zeros(n, dtype=np.int64),
        kind=np.full(n, "busbar"),
        weight=size / size.sum() if size.sum() > 0.0 else np.full(n, 1.0 / n),
        capacity_mw=np.full(n, np.inf),
        parent=np.arange(n),
        feeder=np.full(n, -1),
    )
    return busbars, total


def _sources(net: Any, bus_of: I8) -> Sources:
    grids, gens = net.ext_grid[net.ext_grid.in_service], net.gen[net.gen.in_service]
    n_grid, n_gen = len(grids), len(gens)
    bus = bus_of[np.concatenate([grids.bus, gens.bus]).astype(np.int64)]
    slack = np.concatenate([np.ones(n_grid, dtype=bool), gens.slack.astype(bool).to_numpy()])
    power = np.concatenate([net.res_ext_grid.p_mw[grids.index], net.res_gen.p_mw[gens.index]])
    share = np.maximum(power, 0.0)
    share = share / share.sum() if share.sum() > 0.0 else slack / slack.sum()
    names = [f"ext_grid {k}" for k in grids.index] + [f"gen {k}" for k in gens.index]
    n = n_grid + n_gen

    def limit(column: str, missing: float) -> F8:
        given = np.full(n, missing)
        if column in gens:
            own = gens[column].to_numpy(dtype=np.float64)
            given[n_grid:] = np.where(np.isnan(own), missing, own)
        return np.where(slack, missing, given)

    return Sources(
        name=np.array(names, dtype=np.str_),
        kind=np.full(n, "infeed"),
        plant_kind=np.full(n, ""),
        bus=bus.astype(np.int64),
        share=share,
        rated_mw=np.abs(power).astype(np.float64),
        slack=slack,
        vm_pu=np.concatenate([grids.vm_pu, gens.vm_pu]).astype(np.float64),
        q_min_mvar=limit("min_q_mvar", -np.inf),
        q_max_mvar=limit("max_q_mvar", np.inf),
        q_min_per_p=np.zeros(n),
        q_max_per_p=np.zeros(n),
    )


def _taps(net: Any, trafo: I8, to_bus: I8, buses: Buses) -> tuple[I8, TapGroups]:
    """Find ratio taps that can be regulated; parallel transformers move together."""
    group = np.full(len(to_bus), -1, dtype=np.int64)
    seen: dict[tuple[Any, ...], int] = {}
    rows: list[tuple[int, float, int, int, int, TapRule]] = []
    rules = load_equipment().tap_rules
    for k, (_, t) in enumerate(net.trafo.iterrows()):
        numbers = [
            t.get(c) for c in ("tap_pos", "tap_neutral", "tap_min", "tap_max", "tap_step_percent")
        ]
        if trafo[k] < 0 or any(v is None or not np.isfinite(float(v)) for v in numbers):
            continue
        position, neutral, lowest, highest = (round(float(v)) for v in numbers[:4])
        step = float(numbers[4]) / 100.0
        low = int(to_bus[trafo[k]])
        ratio_tap = (
            t.get("tap_side") == "hv" and t.get("tap_changer_type") == "Ratio" and step > 0.0
        )
        turned = t.get("tap_step_degree")
        if turned is not None and np.isfinite(float(turned)) and float(turned) != 0.0:
            ratio_tap = False
        if not ratio_tap or buses.kv[low] < _REGULATED_KV or lowest >= highest:
            continue
        key = (int(t.hv_bus), int(t.lv_bus), position, neutral, lowest, highest, step)
        if key not in seen:
            seen[key] = len(rows)
            rule = rules["t220" if buses.kv[low] >= _UPPER_KV else "t110"]
            # positions are counted from neutral
            own = (low, step, lowest - neutral, highest - neutral, position - neutral, rule)
            rows.append(own)
        group[trafo[k]] = seen[key]
    return group, TapGroups(
        bus=np.array([r[0] for r in rows], dtype=np.int64),
        step=np.array([r[1] for r in rows], dtype=np.float64),
        tap_min=np.array([r[2] for r in rows], dtype=np.int64),
        tap_max=np.array([r[3] for r in rows], dtype=np.int64),
        start=np.array([r[4] for r in rows], dtype=np.int64),
        target_vm_pu=np.array([r[5].target_vm_pu for r in rows], dtype=np.float64),
        half_band_vm_pu=np.array([r[5].half_band_vm_pu for r in rows], dtype=np.float64),
        delay_ms=np.array([round(1000.0 * r[5].delay_s) for r in rows], dtype=np.int64),
    )


def _no_capacitors() -> Capacitors:
    """Shunts of a user's network stay as they are."""
    real, whole = np.zeros(0), _none()
    return Capacitors(whole, real, whole, whole, whole, whole, real, real, real, whole)
