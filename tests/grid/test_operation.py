"""Operation: voltages held at peak, valley and shed; forks; divergence."""

from __future__ import annotations

import numpy as np
import pytest

from tests.grid.cases import SHED, Point, city_spec, peak, valley
from twin.errors import InputProblems
from twin.grid import (
    GridOperation,
    GridSnapshot,
    Limits,
    Network,
    build_network,
    single_outages,
    violations,
)

MINUTE_MS = 60_000
LEVELS = {500.0: (1.00, 1.10), 220.0: (1.00, 1.10), 110.0: (0.97, 1.07), 10.0: (1.00, 1.07)}


def assert_bands(network: Network, shot: GridSnapshot) -> None:
    assert shot.converged
    for kv, (low, high) in LEVELS.items():
        vm = shot.vm_pu[network.buses.kv == kv]
        if len(vm) > 0:
            assert low <= vm.min(), (kv, vm.min())
            assert vm.max() <= high, (kv, vm.max())


def test_city_at_peak_and_in_the_valley(city: Network) -> None:
    assert np.unique(city.buses.station[city.buses.kv == 500]).size >= 8 + 6
    assert np.unique(city.buses.station[city.buses.kv == 220]).size >= 45 + 8
    assert np.count_nonzero(city.busbars.kind == "busbar") >= 200
    assert city.n_bus >= 500
    for point, most in ((peak(city), 90.0), (valley(city), 90.0)):
        shot = GridOperation(city).settle(0, *point.arguments)
        assert_bands(city, shot)
        assert shot.loading_pct.max() < most
        assert violations(shot, Limits(city)).buses == 0


def shed_factor(minute: int) -> float:
    """Down by a fifth over 15 minutes, an hour later back over 15 minutes."""
    return 1.0 - SHED * float(np.interp(minute, [0, 15, 60, 75], [0, 1, 1, 0]))


def test_city_during_a_shed(city: Network) -> None:
    operation, point = GridOperation(city), peak(city)
    operation.settle(0, *point.arguments)
    moves = 0
    for minute in range(90):
        at = point.scaled(shed_factor(minute))
        shot = operation.step(minute * MINUTE_MS, 60.0, *at.arguments)
        assert_bands(city, shot)
        assert shot.loading_pct.max() < 90.0
        # imports are re-scheduled, so the slack does not swing
        assert abs(shot.slack_mw) < 30.0
        moves += shot.tap_moves
    assert moves == operation.tap_moves.sum()
    assert moves > 0
    # regulators do not hunt: no tap moved more often than there and back by the shed's size
    assert operation.tap_moves.max() <= 12


def test_taps_are_quiet_under_constant_load(city: Network) -> None:
    operation, point = GridOperation(city), peak(city)
    operation.settle(0, *point.arguments)
    for minute in range(30):
        shot = operation.step(minute * MINUTE_MS, 60.0, *point.arguments)
        assert shot.tap_moves == 0
        assert shot.capacitor_moves == 0


def test_balance(city: Network) -> None:
    """Sent-out load is demand and losses; pumping is no load."""
    operation, point = GridOperation(city), valley(city)
    shot = operation.settle(0, *point.arguments)
    assert shot.load_mw == pytest.approx(point.demand_mw.sum() + shot.losses_mw, rel=1e-9)
    supplied = shot.infeed_mw.sum() + shot.plant_mw.sum()
    assert supplied == pytest.approx(shot.load_mw + 1800.0, rel=1e-9)
    assert 0.003 < shot.losses_mw / shot.load_mw < 0.03
    np.testing.assert_allclose(shot.infeed_mw, supplied_shares(city, shot), rtol=1e-3)


def supplied_shares(network: Network, shot: GridSnapshot) -> np.ndarray:
    return shot.infeed_mw.sum() * network.sources.share[network.infeed_rows]


def noisy(point: Point, minute: int) -> Point:
    wave = 1.0 + 0.1 * np.sin(0.7 * minute + np.arange(len(point.demand_mw)))
    return Point(point.demand_mw * wave, point.demand_mvar * wave, *point.arguments[2:])


def test_fork_continues_bit_for_bit(city: Network) -> None:
    """Forked while taps move; a divergence on one side leaves no trace on the other."""
    operation, point = GridOperation(city), peak(city)
    operation.settle(0, *point.arguments)
    for minute in range(40):
        base = point.scaled(shed_factor(minute))
        operation.step(minute * MINUTE_MS, 60.0, *noisy(base, minute).arguments)
        if minute in (5, 11, 30):
            twin = operation.fork()
            assert twin.state.digest() == operation.state.digest()
            operation.fork().step(0, 60.0, *point.scaled(4.0).arguments)
            ahead = operation.fork()
            for later in range(minute + 1, minute + 8):
                at = noisy(point.scaled(shed_factor(later)), later)
                a = twin.step(later * MINUTE_MS, 60.0, *at.arguments)
                b = ahead.step(later * MINUTE_MS, 60.0, *at.arguments)
                np.testing.assert_array_equal(a.vm_pu, b.vm_pu)
                np.testing.assert_array_equal(a.loading_pct, b.loading_pct)
                assert twin.state.digest() == ahead.state.digest()
    assert operation.tap_moves.sum() > 0


def test_forked_and_unforked_end_alike(city: Network) -> None:
    one, point = GridOperation(city), peak(city)
    one.settle(0, *point.arguments)
    other = one.fork()
    for minute in range(25):
        at = noisy(point.scaled(shed_factor(minute)), minute)
        one.step(minute * MINUTE_MS, 60.0, *at.arguments)
        other = other.fork()  # at every minute
        other.step(minute * MINUTE_MS, 60.0, *at.arguments)
    assert one.state.digest() == other.state.digest()


@pytest.mark.parametrize("which", ["city", "tiny"])
def test_trebled_load_is_a_typed_divergence(which: str, request: pytest.FixtureRequest) -> None:
    network: Network = request.getfixturevalue(which)
    operation, point = GridOperation(network), peak(network)
    before = operation.settle(0, *point.arguments)
    shot = operation.step(MINUTE_MS, 60.0, *point.scaled(3.0).arguments)
    assert not shot.converged
    assert shot.divergence is not None
    assert shot.divergence.now_ms == MINUTE_MS
    assert shot.divergence.mismatch_mw > 0.1
    assert 0 <= shot.divergence.worst_bus < network.n_bus
    np.testing.assert_array_equal(shot.vm_pu, before.vm_pu)
    for values in (shot.vm_pu, shot.va_rad, shot.loading_pct, shot.infeed_mw, shot.plant_mw):
        assert np.isfinite(values).all()
    assert np.isfinite([shot.load_mw, shot.losses_mw, shot.slack_mw]).all()
    after = operation.step(2 * MINUTE_MS, 60.0, *point.arguments)
    assert after.converged
    np.testing.assert_allclose(after.vm_pu, before.vm_pu, atol=1e-6)


def test_a_lost_circuit_is_the_network_without_it(city: Network) -> None:
    operation, point = GridOperation(city), peak(city)
    whole = operation.settle(0, *point.arguments)
    row = int(whole.loading_pct[: int((city.branches.kv == 500).sum())].argmax())
    name = str(city.branches.name[row])
    operation.switch_branch(name, in_service=False)
    shot = operation.step(MINUTE_MS, 60.0, *point.arguments)
    assert shot.converged
    assert shot.loading_pct[row] == 0.0
    assert (shot.vm_pu > 0.9).all()
    twin = operation.fork()
    a = operation.step(2 * MINUTE_MS, 60.0, *point.arguments)
    b = twin.step(2 * MINUTE_MS, 60.0, *point.arguments)
    np.testing.assert_array_equal(a.loading_pct, b.loading_pct)
    operation.switch_branch(name, in_service=True)
    again = operation.step(3 * MINUTE_MS, 60.0, *point.arguments)
    assert again.loading_pct[row] == pytest.approx(whole.loading_pct[row], abs=1.0)
    with pytest.raises(InputProblems, match="name of one branch"):
        operation.switch_branch("nowhere", in_service=False)


def test_what_a_lost_branch_cuts_off_is_dead(city: Network) -> None:
    """A station's 110/10 kV transformers trip: its busbar is dead, the rest goes on."""
    operation, point = GridOperation(city), peak(city)
    whole = operation.settle(0, *point.arguments)
    row = int(np.flatnonzero((city.branches.kv == 110) & (city.branches.kind != "line"))[0])
    bus = int(city.branches.to_bus[row])
    lost_mw = float(point.demand_mw[city.busbars.bus == bus].sum())
    name, before = str(city.branches.name[row]), operation.tap_position.copy()
    operation.switch_branch(name, in_service=False)
    for minute in range(1, 8):
        shot = operation.step(minute * MINUTE_MS, 60.0, *point.arguments)
        assert shot.converged
        assert shot.vm_pu[bus] == 0.0
        assert np.count_nonzero(shot.vm_pu < 0.9) == 1
    assert whole.load_mw - shot.load_mw == pytest.approx(lost_mw, rel=0.05)
    assert (
        operation.tap_position[city.branches.tap_group[row]] == before[city.branches.tap_group[row]]
    )
    assert violations(shot, Limits(city)).buses == 1
    operation.switch_branch(name, in_service=True)
    shot = operation.step(8 * MINUTE_MS, 60.0, *point.arguments)
    assert shot.vm_pu[bus] > 0.95


def test_demand_that_is_no_number_is_refused(tiny: Network) -> None:
    operation, point = GridOperation(tiny), peak(tiny)
    demand = point.demand_mw.copy()
    demand[3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        operation.step(0, 60.0, demand, *point.arguments[1:])


def test_tiny_holds_its_bands_through_the_day(tiny: Network) -> None:
    operation, point = GridOperation(tiny), peak(tiny)
    operation.settle(0, *point.scaled(0.58).arguments)
    limits = Limits(tiny)
    for minute in range(0, 600):
        factor = 0.79 - 0.21 * float(np.cos(2 * np.pi * minute / 600))
        shot = operation.step(minute * MINUTE_MS, 60.0, *point.scaled(factor).arguments)
        assert shot.converged
        assert violations(shot, limits).buses == 0
        assert shot.loading_pct.max() < 90.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
@pytest.mark.parametrize("load_mw", [22_489.0, 24_320.0])
def test_other_seeds_and_years(seed: int, load_mw: float) -> None:
    network = build_network(city_spec(load_mw, seed=seed))
    for point in (peak(network), valley(network)):
        shot = GridOperation(network).settle(0, *point.arguments)
        assert_bands(network, shot)
        assert shot.loading_pct.max() < 90.0
    operation, point = GridOperation(network), peak(network)
    operation.settle(0, *point.arguments)
    table = single_outages(operation, *point.arguments)
    assert table.flag("solved").all()
    assert np.count_nonzero(table.i8("overloads") > 0) <= 20
    assert table.f8("max_loading_pct").max() <= 115.0
