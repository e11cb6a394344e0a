"""The hot path against pandapower.runpp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.grid.cases import Point, city_spec, peak, tiny_spec, valley
from twin.chance import generator
from twin.grid import GridOperation, Network, NetworkSpec
from twin.grid.build import draw
from twin.grid.equipment import load_equipment
from twin.grid.flow import AT_MAX, AT_MIN, REGULATING

VOLTAGE_PU = 1e-8
OF_RATING = 1e-6


def reference(spec: NetworkSpec, operation: GridOperation, point: Point) -> Any:
    """Solve the same operating point by pandapower."""
    from twin.grid.pandapower_net import Case, pandapower_net, solve_net, write_case

    draft = draw(spec)
    net = pandapower_net(draft, load_equipment())
    source_mw, _ = operation.injections(*point.arguments)
    sources = operation.network.sources
    write_case(
        net,
        Case(
            demand_mw=point.demand_mw,
            demand_mvar=point.demand_mvar,
            source_mw=source_mw,
            slack=int(np.flatnonzero(sources.slack)[0]),
            q_min_mvar=sources.q_min_per_p * np.abs(source_mw)
            + np.maximum(sources.q_min_mvar, -1e9),
            q_max_mvar=sources.q_max_per_p * np.abs(source_mw)
            + np.minimum(sources.q_max_mvar, 1e9),
            transformer_tap=np.array(
                [
                    operation.tap_position[t.group] if t.group >= 0 else t.type.tap_fixed
                    for t in draft.transformers
                ]
            ),
            capacitor_step=operation.capacitor_step,
        ),
    )
    solve_net(net, enforce_q_lims=True)
    return net


def assert_equal(operation: GridOperation, net: Any, point: Point) -> np.ndarray:
    """Compare voltages and branch flows; return the modes of the regulated buses."""
    solution, _, _ = operation.solve(*point.arguments)
    assert solution.converged
    angle = np.deg2rad(net.res_bus.va_degree.to_numpy())
    v = net.res_bus.vm_pu.to_numpy() * np.exp(1j * angle)
    assert np.abs(solution.v - v).max() < VOLTAGE_PU
    flow = operation.flow.branch_mva(solution.v)
    line, trafo = net.res_line, net.res_trafo
    from_mva = np.concatenate(
        [line.p_from_mw + 1j * line.q_from_mvar, trafo.p_hv_mw + 1j * trafo.q_hv_mvar]
    )
    to_mva = np.concatenate(
        [line.p_to_mw + 1j * line.q_to_mvar, trafo.p_lv_mw + 1j * trafo.q_lv_mvar]
    )
    rating = operation.network.branches.rating_mva
    assert (np.abs(flow[0] - from_mva) / rating).max() < OF_RATING
    assert (np.abs(flow[1] - to_mva) / rating).max() < OF_RATING
    loading = np.concatenate([line.loading_percent, trafo.loading_percent])
    np.testing.assert_allclose(operation.flow.loading_pct(solution.v), loading, rtol=0, atol=1e-4)
    return solution.mode


@pytest.mark.parametrize("case", ["peak", "valley", "drawn"])
def test_city_equals_runpp(city: Network, case: str) -> None:
    """Six infeeds, taps and capacitors off their start, reactive limits active on both sides."""
    operation = GridOperation(city)
    point = valley(city) if case == "valley" else peak(city)
    operation.settle(0, *point.arguments)
    if case == "drawn":
        chance = generator(7, "tests.flow")
        operation.tap_position[:] += chance.integers(-1, 2, len(operation.tap_position))
        operation.capacitor_step[:] = city.capacitors.step_max // 2
        demand = point.demand_mw * chance.uniform(0.8, 1.0, city.n_busbar)
        point = Point(demand, 0.33 * demand, point.plant_mw, -1200.0)
    assert np.any(operation.tap_position != city.taps.start)
    operation.settle_losses(*point.arguments)
    net = reference(city_spec(), operation, point)
    mode = assert_equal(operation, net, point)
    assert np.count_nonzero(mode == REGULATING) >= 5  # the infeeds besides the slack
    if case == "drawn":
        assert np.any(mode == AT_MAX)
    if case == "valley":
        assert np.any(mode == AT_MIN)


def test_district_equals_runpp(tiny: Network) -> None:
    operation, point = GridOperation(tiny), peak(tiny)
    operation.settle(0, *point.arguments)
    operation.settle_losses(*point.arguments)
    assert_equal(operation, reference(tiny_spec(), operation, point), point)


def test_ybus_after_many_moves_equals_the_one_built_at_once(city: Network) -> None:
    """Positions are written anew each time: no error gathers, no trace is left."""
    operation = GridOperation(city)
    flow, chance = operation.flow, generator(3, "tests.taps")
    first = flow.ybus.data.copy()
    for _ in range(300):
        tap = chance.integers(city.taps.tap_min, city.taps.tap_max + 1)
        step = chance.integers(city.capacitors.step_min, city.capacitors.step_max + 1)
        flow.set_positions(tap, step)
    moved = flow.ybus.data.copy()
    assert np.abs(moved - first).max() > 1.0
    other = GridOperation(city).flow
    other.set_positions(tap, step)
    np.testing.assert_array_equal(moved, other.ybus.data)
    flow.set_positions(city.taps.start, city.capacitors.start)
    np.testing.assert_allclose(flow.ybus.data, city.matrix.data, rtol=1e-12, atol=1e-9)


def test_result_depends_on_arguments_only(city: Network) -> None:
    """What was solved before leaves no trace in the solver, a failure included."""
    used, fresh = GridOperation(city), GridOperation(city)
    point = peak(city)
    assert not used.solve(*point.scaled(4.0).arguments)[0].converged
    for factor in (0.7, 0.9):
        used.solve(*point.scaled(factor).arguments)
    a, b = used.solve(*point.arguments)[0], fresh.solve(*point.arguments)[0]
    np.testing.assert_array_equal(a.v, b.v)


def test_a_branch_taken_out_comes_back(city: Network) -> None:
    flow = GridOperation(city).flow
    before = flow.ybus.data.copy()
    row = int(np.flatnonzero(city.branches.kind == "transformer")[0])
    with flow.without_branch(row):
        assert np.count_nonzero(flow.ybus.data != before) == 4
        assert flow.loading_pct(city.v_start)[row] == 0.0
    np.testing.assert_array_equal(flow.ybus.data, before)
