"""A user's own network: any pandapower net saved as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import InputProblems, Problem
from twin.grid.equipment import TapRule, load_equipment
from twin.grid.import_check import import_problem, missing_parts, read_net, unsupplied_loads
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


def from_pandapower(
    path: Path | str,
    districts: Sequence[Sequence[str]] = (),
    district_mw: NDArray[np.float64] | None = None,
) -> Network:
    """Return the network of a pandapower JSON file.

    Buses with loads become places for load, external grids and generators become infeeds whose
    shares are those of the solved case; static generators, shunts and loads that feed in stay
    as they are. Ratio taps on the high side of transformers down to 6 kV are regulated by the
    rules of the synthetic network.

    Where the ``zone`` of a load bus names a district, the bus belongs to it. Buses without such
    a zone go, largest first, to the district that misses most of its share of the load.

    Parameters
    ----------
    districts : the names that each district goes by; none takes one district for everything
    district_mw : float64[districts], demand by which the load buses are shared out

    Raises InputProblems when the file cannot be read, is no pandapower network, has no bus, no
    load or no slack, names what does not exist, leaves a district without a load bus, or has no
    solution.
    """
    file = str(path)
    net = read_net(Path(path))
    problems = missing_parts(net, file)
    if problems:
        raise InputProblems(problems)
    problems = unsupplied_loads(net, file)
    if problems:
        raise InputProblems(problems)
    from pandapower.powerflow import LoadflowNotConverged

    from twin.grid.pandapower_net import admittances, ends, solve_net

    try:
        solve_net(net)
    except LoadflowNotConverged as lost:
        raise import_problem(
            file, "network", "load flow has no solution", "a solvable case"
        ) from lost
    except (KeyError, ValueError, TypeError, UserWarning, NotImplementedError) as broken:
        raise import_problem(
            file, "network", str(broken), "a complete pandapower network"
        ) from broken
    found = admittances(net)
    buses = _buses(net, found.bus_of, len(found.v))
    limits = ends(net, found, buses.kv)
    group, taps = _taps(net, found.branch_of.get("trafo", _none()), found.to_bus, buses)
    busbars, load = _busbars(net, found.bus_of)
    if len(districts) > 1 and district_mw is not None:
        district = _district_of_load(net, file, found.bus_of, busbars, districts, district_mw)
        busbars = _in_districts(busbars, district)
        buses.district[:] = -1
        buses.district[busbars.bus] = district
    demand = np.asarray(net._ppc["internal"]["bus"][:, 2:4], dtype=np.float64)  # PD, QD
    fixed = -(demand[:, 0] + 1j * demand[:, 1])
    fixed[busbars.bus] += load
    ybus = found.ybus
    return Network(
        base_mva=found.base_mva,
        buses=buses,
        branches=Branches(
            name=_branch_names(net, limits.name, found.branch_of),
            kind=limits.kind,
            from_bus=found.from_bus,
            to_bus=found.to_bus,
            kv=buses.kv[found.from_bus],
            district=np.maximum(buses.district[found.from_bus], buses.district[found.to_bus]),
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


def _branch_names(net: Any, name: NDArray[np.str_], branch_of: Mapping[str, I8]) -> Any:
    """Return names that tell branches apart; one without a name is called after its row."""
    own = name.astype(object)
    for table, rows in branch_of.items():
        index = net[table].index if table in net and len(net[table]) == len(rows) else range(0)
        for key, row in zip(index, rows, strict=False):
            if row >= 0 and own[row] in ("", "None", "nan", f"branch {row}"):
                own[row] = f"{table} {key}"
    unique, count = np.unique(own.astype(np.str_), return_counts=True)
    for twice in unique[count > 1]:
        for number, row in enumerate(np.flatnonzero(own == twice).tolist()):
            own[row] = f"{twice} ({number})"
    return own.astype(np.str_)


def _district_of_load(
    net: Any,
    file: str,
    bus_of: I8,
    busbars: Busbars,
    districts: Sequence[Sequence[str]],
    district_mw: F8,
) -> I8:
    """Return the district of each busbar: by zone, the rest in proportion to the demand."""
    row_of = {name: row for row, names in enumerate(districts) for name in names}
    zone = {int(bus_of[k]): str(z) for k, z in net.bus.zone.items() if bus_of[k] >= 0}
    zones = [zone.get(int(bus), "") for bus in busbars.bus]
    district = np.array([row_of.get(z, -1) for z in zones], dtype=np.int64)
    if (district >= 0).any():  # then zones mean districts, and others are slips of the pen
        known = ", ".join(names[-1] for names in districts)
        slips = sorted({z for z in zones if z not in ("", "None", "nan") and z not in row_of})
        if slips:
            raise InputProblems(
                Problem(file, "bus.zone", z, f"empty, or a district: {known}") for z in slips
            )
    wanted = district_mw / district_mw.sum()
    given = np.zeros(len(districts))
    np.add.at(given, district[district >= 0], busbars.weight[district >= 0])
    for row in np.argsort(-busbars.weight, kind="stable"):
        if district[row] < 0:
            district[row] = int(np.argmax(wanted - given))
            given[district[row]] += busbars.weight[row]
    empty = [names[-1] for k, names in enumerate(districts) if not (district == k).any()]
    if empty:
        text = f"no load bus for {', '.join(empty)}"
        allowed = f"a load bus for each of the {len(districts)} districts (bus.zone names them)"
        raise import_problem(file, "bus", text, allowed)
    return district


def _in_districts(busbars: Busbars, district: I8) -> Busbars:
    """Return the busbars in their districts, weights 1 in sum by district."""
    total = np.bincount(district, busbars.weight)
    return replace(busbars, district=district, weight=busbars.weight / total[district])


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
    # what feeds in is no place for load, it stays as it is
    bus, total = bus[total.real > 0.0], total[total.real > 0.0]
    size = total.real
    n = len(bus)
    busbars = Busbars(
        bus=bus.astype(np.int64),
        district=np.zeros(n, dtype=np.int64),
        kind=np.full(n, "busbar"),
        weight=size / size.sum(),
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
