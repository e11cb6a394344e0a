"""Sensitivities against the solved load flow: shifted demand, lost branches, a day as planned."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.grid.cases import Point, peak
from twin.grid import (
    DistrictSpec,
    GridOperation,
    InfeedSpec,
    Network,
    NetworkSpec,
    PlantSpec,
    build_network,
)
from twin.grid.sensitivity import POWER_FACTOR, network_view
from twin.record.network_view import NetworkView


@cache
def meshed() -> Network:
    """Three districts, two infeeds, one plant: 34 buses, rings at 220 and 500 kV."""
    places = (("A", 480.0, 0.0, 0.0), ("B", 420.0, 20.0, 5.0), ("C", 300.0, 10.0, -20.0))
    return build_network(
        NetworkSpec(
            tuple(DistrictSpec(name, mw, x, y, 8.0) for name, mw, x, y in places),
            (PlantSpec("P", 0, 200.0, 220.0, "gas"),),
            (InfeedSpec("I1", 0.6, -20.0, 0.0), InfeedSpec("I2", 0.4, 40.0, 0.0)),
            stations_500=3,
            stations_220=5,
            stations_110=8,
        )
    )


@cache
def solved() -> tuple[NetworkView, GridOperation, np.ndarray]:
    """The view of the peak, the operation there, and the rows of the watched branches."""
    network, point = meshed(), peak(meshed())
    view = view_of(network, point)
    operation = GridOperation(network)
    assert operation.settle(0, *point.arguments).converged
    operation.settle_losses(*point.arguments)
    return view, operation, np.array([row_of(network, name) for name in view.branch])


def view_of(network: Network, point: Point) -> NetworkView:
    day = (np.tile(a[:, None], (1, 96)) for a in (point.demand_mw, point.plant_mw))
    return network_view(network, *day, np.zeros(96))


def row_of(network: Network, name: str) -> int:
    return int(np.flatnonzero(network.branches.name == name)[0])


def flow_mw(operation: GridOperation, rows: np.ndarray) -> np.ndarray:
    return operation.flow.branch_mva(operation.v)[0].real[rows]


def shifted(by_mw: np.ndarray) -> np.ndarray:
    """Flows of the load flow with demand moved."""
    _, operation, rows = solved()
    point, other = peak(meshed()), operation.fork()
    other.settle_losses(point.demand_mw + by_mw, *point.arguments[1:])
    return flow_mw(other, rows)


def test_every_branch_of_110_kv_and_above_is_there() -> None:
    view, _, rows = solved()
    network = meshed()
    assert set(rows) == set(np.flatnonzero(network.branches.kv > 100.0))
    assert view.ptdf.shape == (len(rows), network.n_busbar)
    np.testing.assert_allclose(view.rating_mw, POWER_FACTOR * network.branches.rating_mva[rows])


@pytest.mark.parametrize("busbar", [0, 3, 7])
def test_ten_megawatts_less_at_a_busbar(busbar: int) -> None:
    view, *_ = solved()
    off = np.zeros(meshed().n_busbar)
    off[busbar] = -10.0
    change = shifted(off) - shifted(0.0 * off)
    assert np.abs(change).max() > 9.0
    np.testing.assert_allclose(change, 10.0 * view.ptdf[:, busbar], atol=0.3)  # 3 %


def test_a_lost_branch_leaves_its_flow_to_the_others() -> None:
    view, operation, rows = solved()
    network, point, base = meshed(), peak(meshed()), flow_mw(operation, rows)
    tried = 0
    for column in range(len(rows)):
        other = operation.fork()
        alive = int(other.flow.reached(np.array([rows[column]])).sum())
        split = alive < network.n_bus
        assert np.isnan(view.lodf[:, column]).all() == split, view.branch[column]
        if split or abs(base[column]) < 50.0:
            continue
        other.switch_branch(str(view.branch[column]), in_service=False)
        other.settle_losses(*point.arguments)
        found = flow_mw(other, rows)
        expected = base + view.lodf[:, column] * base[column]
        np.testing.assert_allclose(expected, found, atol=0.03 * abs(base[column]))
        assert expected[column] == pytest.approx(0.0, abs=1e-9)
        tried += 1
    assert tried > 10


def test_a_day_as_planned_is_near_the_load_flow() -> None:
    view, operation, rows = solved()
    error = view.expected_mw[:, 0] - flow_mw(operation, rows)
    assert (np.abs(error) / view.rating_mw).max() < 0.02  # losses are left out
    assert (view.expected_mw == view.expected_mw[:, :1]).all()
