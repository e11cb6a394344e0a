"""Station meters show the load flow's own voltages and what is drawn at and below a busbar."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.engine.tiny_city import MINUTE_MS, first_run, idle_run, restore, saved
from twin.control.logic import BaseLogic
from twin.control.platform import Platform
from twin.engine.busbars import busbar_columns
from twin.engine.simulation import Simulation
from twin.engine.timeline import BranchOutage, Entry, Phase
from twin.record.alarms import conditions
from twin.record.exchange import PSEUDO_KINDS
from twin.record.monitor import MonitorTally
from twin.scenario.build import Built


@pytest.fixture
def run(tiny: Built) -> Simulation:
    fresh = idle_run()
    fresh.run(tiny.world.start_ms + 2 * MINUTE_MS)
    return fresh


def test_a_meter_shows_voltage_and_demand_of_the_last_flow(tiny: Built, run: Simulation) -> None:
    kv, mw, mvar = run.true_points("busbar")
    busbars, flow = tiny.network.busbars, run.snapshot
    assert flow is not None
    nominal = tiny.network.buses.kv[busbars.bus]
    np.testing.assert_array_equal(kv, flow.vm_pu[busbars.bus] * nominal)
    assert set(np.unique(nominal)) == {0.4, 10.0}
    stations = np.flatnonzero(busbars.kind == "busbar")
    for row in stations:
        below = busbars.parent == row
        assert mw[row] == pytest.approx(run.injections["demand_mw"][below].sum())
        assert mvar[row] == pytest.approx(run.injections["demand_mvar"][below].sum())
    own = np.flatnonzero(busbars.kind != "busbar")
    np.testing.assert_array_equal(mw[own], run.injections["demand_mw"][own])
    # Everything that is sent out is drawn below some station, or lost on the way.
    assert mw[stations].sum() == pytest.approx(flow.load_mw - flow.losses_mw, rel=1e-6)


def test_readings_keep_class_and_step(run: Simulation) -> None:
    reading = run.readings(["busbar"])["busbar"]
    true, good = run.true_points("busbar"), reading.quality == 0
    assert good.mean() > 0.98
    columns = run.world.inventory.kinds["busbar"].columns
    span = (columns.f8("nominal_kv"), columns.f8("rated_kw") / 1e3, columns.f8("rated_kw") / 1e3)
    for row, accuracy in enumerate((0.002, 0.005, 0.005)):
        error = np.abs(reading.value[row] - true[row])[good]
        assert (error <= accuracy * span[row][good] + 0.0005 + 1e-9).all()
        steps = reading.value[row, good] / 0.001
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-6)


def test_before_the_first_flow_nothing_is_known(tiny: Built) -> None:
    fresh = idle_run()
    assert np.isnan(fresh.true_points("busbar")).all()
    assert fresh.true_points("busbar").shape == (3, tiny.network.n_busbar)


def test_what_was_metered_last_is_state(tiny: Built, run: Simulation) -> None:
    fresh = tiny.simulation(run.world, tiny.world.start_ms)
    restore(fresh, saved(run), run.now_ms)
    assert fresh.true_points("busbar").tobytes() == run.true_points("busbar").tobytes()
    before = run.digest()
    run.period["busbar"][0, 0] += 0.001
    assert run.digest() != before


def test_a_dead_feeder_shows_no_voltage_and_draws_nothing(tiny: Built) -> None:
    branches = tiny.network.branches
    feeder = next(i for i, name in enumerate(branches.name) if " 10 kV" in str(name))
    out = BranchOutage(str(branches.name[feeder]))
    run = idle_run((Entry(tiny.world.start_ms, Phase.DISTURB, 1, 0, 1, out),))
    run.run(tiny.world.start_ms + MINUTE_MS)
    kv, mw, _ = run.true_points("busbar")
    dead = kv == 0.0
    assert 0 < dead.sum() < len(kv) / 2
    assert (mw[dead] == 0.0).all()
    assert run.snapshot is not None
    stations = tiny.network.busbars.kind == "busbar"
    supplied = run.snapshot.load_mw - run.snapshot.losses_mw
    assert mw[stations].sum() == pytest.approx(supplied, rel=1e-3)


def test_a_network_without_capacities_is_rated_by_its_loads(tiny: Built) -> None:
    busbars = replace(tiny.network.busbars, capacity_mw=np.full(tiny.network.n_busbar, np.inf))
    columns = busbar_columns(replace(tiny.network, busbars=busbars))
    assert np.isfinite(columns.f8("rated_kw")).all()
    assert columns.f8("rated_kw").sum() == pytest.approx(1e3 * tiny.network.design_mw.sum(), 0.01)


def test_pseudo_kinds_are_no_devices(tiny: Built) -> None:
    inventory = tiny.world.inventory
    assert tuple(inventory.kinds)[-3:] == PSEUDO_KINDS
    assert not set(MonitorTally(inventory).kinds) & set(PSEUDO_KINDS)
    everywhere = [c for c in conditions() if "*" in c.kinds]
    assert everywhere
    assert not any(c.applies(kind) for c in everywhere for kind in PSEUDO_KINDS)
    logic = first_run(Platform()).logic
    assert isinstance(logic, Platform)
    assert "busbar" not in logic.plan(tiny.world.start_ms)
    reader = first_run(BaseLogic()).logic
    assert reader is not None
    assert "busbar" in reader.plan(tiny.world.start_ms)
