"""A user's own pandapower network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twin.errors import InputProblems
from twin.grid import GridOperation, from_pandapower


@pytest.fixture(scope="module")
def pp() -> Any:
    import pandapower

    return pandapower


@pytest.fixture(scope="module")
def example(pp: Any) -> Any:
    """Two infeeds, a generator, an open switch, a tapped transformer pair and a shunt."""
    net = pp.create_empty_network(sn_mva=50.0)
    high = [pp.create_bus(net, 110.0, name=f"north {k}") for k in range(3)]
    spare = pp.create_bus(net, 110.0, name="spare", in_service=False)
    low = [pp.create_bus(net, 10.0, name="town") for _ in range(2)]
    pp.create_ext_grid(net, high[0], vm_pu=1.03)
    pp.create_gen(net, high[2], p_mw=20.0, vm_pu=1.02, min_q_mvar=-5.0, max_q_mvar=6.0)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        pp.create_line_from_parameters(
            net, high[a], high[b], 12.0, 0.08, 0.4, 9.1, 0.66, name=f"line {a}-{b}"
        )
    pp.create_line_from_parameters(net, high[0], spare, 5.0, 0.08, 0.4, 9.1, 0.66)
    net.line.loc[3, "in_service"] = False
    for _ in range(2):
        pp.create_transformer_from_parameters(
            net, high[1], low[0], 40.0, 110.0, 10.5, 0.4, 16.0, 24.0, 0.15, shift_degree=30.0,
            tap_side="hv", tap_neutral=9, tap_min=1, tap_max=17, tap_pos=8,
            tap_step_percent=1.25, tap_changer_type="Ratio",
        )  # fmt: skip
    pp.create_switch(net, low[0], low[1], et="b", closed=True)
    pp.create_load(net, low[0], 20.0, 6.0)
    pp.create_load(net, low[1], 15.0, 5.0, scaling=0.9)
    pp.create_load(net, high[2], 8.0, 2.0)
    pp.create_sgen(net, low[1], 3.0, 0.5)
    pp.create_shunt(net, low[0], q_mvar=-4.0)
    return net


def test_a_users_network_solves_as_pandapower_does(pp: Any, example: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    pp.to_json(example, str(path))
    network = from_pandapower(path)
    assert network.n_bus == 4  # the closed switch joins two, one is out of service
    assert network.n_busbar == 2
    assert network.design_mw.tolist() == pytest.approx([8.0, 33.5])
    assert len(network.taps.bus) == 1  # both transformers move together
    assert network.taps.start.tolist() == [-1]
    operation = GridOperation(network)
    operation.state["tap"][0] = 2  # that is position 11 of the file
    demand, reactive = network.design_mw * 1.2, network.design_mvar * 1.3
    none = np.zeros(0)
    operation.settle_losses(demand, reactive, none, 0.0)
    solution, source_mw, _ = operation.solve(demand, reactive, none, 0.0)
    assert solution.converged
    example.trafo["tap_pos"] = 11
    loads = example.load
    before = loads.copy()
    loads["p_mw"], loads["q_mvar"] = loads.p_mw * 1.2, loads.q_mvar * 1.3
    example.gen["p_mw"] = source_mw[1]
    pp.runpp(example, tolerance_mva=1e-9, enforce_q_lims=True, trafo_model="t")
    example.load = before
    # the generator has hit a limit, so this tests limits of a user's network too
    assert solution.mode.tolist() != [0]
    for name, index in (("north 0", 0), ("north 1", 1), ("north 2", 2)):
        v = solution.v[network.bus_row(name)]
        assert abs(v) == pytest.approx(example.res_bus.vm_pu[index], abs=1e-8)
    v = solution.v[network.busbars.bus[network.design_mw > 10.0]]
    assert abs(v[0]) == pytest.approx(example.res_bus.vm_pu[4], abs=1e-8)
    loading = operation.flow.loading_pct(solution.v)
    assert loading[0] == pytest.approx(example.res_line.loading_percent[0], abs=1e-4)
    trafo = network.branches.kind == "transformer"
    expected = example.res_trafo.loading_percent.to_numpy()
    np.testing.assert_allclose(loading[trafo], expected, atol=1e-4)


def test_a_users_network_regulates_its_taps(pp: Any, example: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    pp.to_json(example, str(path))
    network = from_pandapower(path)
    operation = GridOperation(network)
    shot = operation.settle(0, network.design_mw, network.design_mvar, np.zeros(0), 0.0)
    assert shot.converged
    regulated = shot.vm_pu[network.taps.bus]
    error = np.abs(regulated - network.taps.target_vm_pu)
    assert (error <= network.taps.half_band_vm_pu).all()


def test_a_published_case(pp: Any, tmp_path: Path) -> None:
    """IEEE 118 with its reactive limits, as pandapower ships it."""
    import pandapower.networks as cases

    net = cases.case118()
    path = tmp_path / "case118.json"
    pp.to_json(net, str(path))
    network = from_pandapower(path)
    operation = GridOperation(network)
    none = np.zeros(0)
    for _ in range(3):
        operation.settle_losses(network.design_mw, network.design_mvar, none, 0.0)
    solution, source_mw, _ = operation.solve(network.design_mw, network.design_mvar, none, 0.0)
    assert solution.converged
    assert np.any(solution.mode != 0)
    for k, name in enumerate(network.sources.name.tolist()):
        table, index = name.split()
        if table == "gen":
            net.gen.loc[int(index), "p_mw"] = source_mw[k]
    net.trafo["tap_dependency_table"] = False  # the shipped net is from before pandapower 3
    pp.runpp(net, tolerance_mva=1e-8, enforce_q_lims=True, calculate_voltage_angles=True)
    vm = net.res_bus.vm_pu.to_numpy()
    np.testing.assert_allclose(np.abs(solution.v), vm, atol=1e-8)


def write(pp: Any, net: Any, tmp_path: Path) -> Path:
    path = tmp_path / "broken.json"
    pp.to_json(net, str(path))
    return path


def test_what_is_no_network_is_refused(pp: Any, example: Any, tmp_path: Path) -> None:
    with pytest.raises(InputProblems, match="not found"):
        from_pandapower(tmp_path / "missing.json")
    path = tmp_path / "text.json"
    path.write_text("{ this is no json", encoding="utf-8")
    with pytest.raises(InputProblems, match="saved as JSON"):
        from_pandapower(path)
    path.write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(InputProblems, match="saved as JSON"):
        from_pandapower(path)


def test_what_is_missing_is_listed_at_once(pp: Any, example: Any, tmp_path: Path) -> None:
    net = pp.pandapowerNet(example)
    net.ext_grid = net.ext_grid.drop(net.ext_grid.index)
    net.load = net.load.drop(net.load.index)
    net.line.loc[0, "from_bus"] = 99
    with pytest.raises(InputProblems) as caught:
        from_pandapower(write(pp, net, tmp_path))
    places = {p.place for p in caught.value.problems}
    assert places == {"ext_grid", "load", "line[0].from_bus"}


def test_an_unsolvable_network_is_refused(pp: Any, example: Any, tmp_path: Path) -> None:
    net = pp.pandapowerNet(example)
    net.load["p_mw"] = net.load.p_mw * 50.0
    with pytest.raises(InputProblems, match="no solution"):
        from_pandapower(write(pp, net, tmp_path))
