"""Sensitivities against the solved load flow: shifted demand, lost branches, a day as planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.grid.cases import peak
from tests.grid.meshed import flow_mw, meshed, solved, view_of
from twin.grid import GridOperation
from twin.grid.sensitivity import POWER_FACTOR


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


def test_infeeds_are_known_by_their_branches() -> None:
    view, *_ = solved()
    ends = {n: e for n, e in zip(view.branch, view.infeed_end, strict=True) if e.any()}
    assert sorted(ends) == [
        f"I{i} - {at} 500 kV #{n}" for i, at in ((1, "Haizhu"), (2, "Mumian")) for n in (1, 2)
    ]
    assert view.infeed_share.tolist() == [0.6, 0.4]
    # What an infeed gives beside the reference leaves it by its own branches.
    given = view.infeed_end.T @ view.infeed_ptdf
    np.testing.assert_allclose(given, np.eye(2) - view.infeed_share[:, None], atol=1e-9)


def test_infeeds_that_all_hold_an_angle_share_by_their_angles() -> None:
    network, point = meshed(), peak(meshed())
    stiff = replace(
        network, sources=replace(network.sources, slack=network.sources.kind == "infeed")
    )
    view = view_of(stiff, point)
    assert not view.infeed_end.any()
    operation = GridOperation(stiff)
    assert operation.settle(0, *point.arguments).converged
    rows = np.array([int(np.flatnonzero(network.branches.name == b)[0]) for b in view.branch])
    before = flow_mw(operation, rows)
    less = point.demand_mw.copy()
    less[3] -= 10.0
    operation.settle_losses(less, *point.arguments[1:])
    np.testing.assert_allclose(flow_mw(operation, rows) - before, 10.0 * view.ptdf[:, 3], atol=0.4)


def test_a_network_of_low_voltage_alone_has_nothing_to_watch() -> None:
    network, point = meshed(), peak(meshed())
    low = replace(network, branches=replace(network.branches, kv=0.0 * network.branches.kv + 10.0))
    view = view_of(low, point)
    assert len(view.branch) == 0
    assert view.ptdf.shape == (0, network.n_busbar)
    assert view.lodf.shape == (0, 0)
