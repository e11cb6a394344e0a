"""What a user's pandapower file must have before a network can be made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twin.errors import InputProblems, Problem

__all__ = ["import_problem", "imported_load_mw", "missing_parts", "read_net", "unsupplied_loads"]

# Ratings and lengths of elements in service; True: 0 stands for "no limit known".
_POSITIVE = (
    ("line", "length_km", False),
    ("line", "max_i_ka", True),
    ("trafo", "sn_mva", False),
    ("bus", "vn_kv", False),
)


def import_problem(file: str, place: str, value: str, allowed: str) -> InputProblems:
    """Return the one problem as an error."""
    return InputProblems([Problem(file, place, value, allowed)])


def read_net(path: Path) -> Any:
    """Return the pandapower net in a JSON file; raises InputProblems where there is none."""
    if not path.is_file():
        raise import_problem(str(path), "file", "not found", "a pandapower network saved as JSON")
    import pandapower as pp

    try:
        net = pp.from_json(str(path))
    except Exception as broken:  # pandapower raises whatever its decoder meets
        text = f"{type(broken).__name__}: {broken}"
        raise import_problem(
            str(path), "file", text, "a pandapower network saved as JSON"
        ) from broken
    if not isinstance(net, pp.pandapowerNet):
        raise import_problem(
            str(path), "file", type(net).__name__, "a pandapower network saved as JSON"
        )
    if "tap_dependency_table" not in net.trafo:  # nets from before pandapower 3
        net.trafo["tap_dependency_table"] = False
    return net


def missing_parts(net: Any, file: str) -> list[Problem]:
    """Return what the network lacks."""
    lacking = []
    if len(net.bus) == 0:
        lacking.append(Problem(file, "bus", "none", "at least one bus"))
    drawing = net.load[net.load.in_service.astype(bool)]
    if not (drawing.p_mw * drawing.scaling > 0.0).any():
        lacking.append(Problem(file, "load", "none in service", "a load above 0 MW"))
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
    for table, column, from_0 in _POSITIVE:
        if column not in net[table]:
            continue
        given = net[table][column][net[table].in_service.astype(bool)].astype(float)
        wrong = given.index[(given < 0.0) if from_0 else ~(given > 0.0)]
        allowed = "0 or more" if from_0 else "above 0"
        lacking += [
            Problem(file, f"{table}[{k}].{column}", f"{given[k]:g}", allowed) for k in wrong
        ]
    return lacking


def unsupplied_loads(net: Any, file: str) -> list[Problem]:
    """Return the loads that no slack reaches."""
    from pandapower.topology import unsupplied_buses

    dark = unsupplied_buses(net)
    there = net.bus.index[net.bus.in_service.astype(bool)]
    loads = net.load[net.load.in_service & net.load.bus.isin(there) & net.load.bus.isin(dark)]
    allowed = "a bus that is connected to a slack"
    return [
        Problem(file, f"load[{k}].bus", f"{bus}, not supplied", allowed)
        for k, bus in loads.bus.items()
    ]


def imported_load_mw(path: Path) -> float:
    """Return the sum of the loads in service of a pandapower file [MW].

    Raises InputProblems when it cannot be read or has no such load.
    """
    net = read_net(path)
    problems = missing_parts(net, str(path))
    if problems:
        raise InputProblems(problems)
    loads = net.load[net.load.in_service.astype(bool)]
    return float((loads.p_mw * loads.scaling).sum())
