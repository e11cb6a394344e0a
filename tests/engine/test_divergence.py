"""A network that cannot be solved is said so by name and minute, never by a silent NaN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.engine.tiny_city import MINUTE_MS, history_of, idle_run
from twin.engine.simulation import Simulation
from twin.record.history import Incident
from twin.scenario.build import Built

FIRST, LAST = 2, 4  # minutes of the run with more load than there is


def overloaded(tiny: Built, factor: float) -> Simulation:
    run, demand = idle_run(), tiny.world.demand
    minute = tiny.world.start_ms // MINUTE_MS
    free_kw, aircon_kw = demand.free_kw.copy(), demand.aircon_kw.copy()
    for curve in (free_kw, aircon_kw):
        curve[:, :, minute + FIRST : minute + LAST + 1] *= factor
    run.world = replace(run.world, demand=replace(demand, free_kw=free_kw, aircon_kw=aircon_kw))
    run.run(tiny.world.start_ms + 7 * MINUTE_MS)
    return run


def assert_told(run: Simulation, levels: set[int]) -> np.ndarray:
    """Check that what diverged is told, and that all that is recorded is a number."""
    history = history_of(run)
    converged = history.series("converged")
    lost = np.flatnonzero(converged == 0.0)
    assert [i.now_ms for i in history.incidents] == history.time_ms()[lost].tolist()
    for incident in history.incidents:
        assert isinstance(incident, Incident)
        assert incident.kind == "divergence"
        assert "mismatch" in incident.text
        assert "nan" not in incident.text
    for name in history.scalars:
        level = next((kv for kv in (10, 110, 220, 500) if f"{kv}_m" in name), None)
        if level is None or level in levels:
            assert np.isfinite(history.series(name)).all(), name
    for name in history.tables:
        assert np.isfinite(history.table(name)).all(), name
    for table in run.tables().values():
        if table is run.tables()["grid"]:
            assert all(np.isfinite(a).all() for a in table.arrays().values())
    return lost


@pytest.mark.parametrize(("factor", "solved"), [(3.0, None), (4.0, False), (8.0, False)])
def test_too_much_load_is_a_typed_incident(tiny: Built, factor: float, solved: bool | None) -> None:
    run = overloaded(tiny, factor)
    levels = {int(kv) for kv in np.unique(tiny.network.branches.kv)}
    lost = assert_told(run, levels)
    if solved is False:
        assert lost.tolist() == [FIRST, FIRST + 1, LAST]
    history = history_of(run)
    load_mw = history.series("load_mw")
    # Three times the load either solves as such or is told; it never passes as ordinary load.
    for minute in range(FIRST, LAST + 1):
        assert minute in lost or load_mw[minute] > 2.0 * load_mw[0]
    assert history.series("converged")[LAST + 1 :].all()  # and the network comes back
    assert load_mw[-1] == pytest.approx(load_mw[0], rel=0.05)
    # What was drawn stands in the record all the same.
    assert history.series("demand_mw")[FIRST] > 2.0 * history.series("demand_mw")[0]


def test_an_ordinary_run_has_no_incident(tiny: Built) -> None:
    run = overloaded(tiny, 1.0)
    assert history_of(run).incidents == []
    assert history_of(run).series("converged").all()


def test_a_fork_keeps_the_incidents_of_its_past(tiny: Built) -> None:
    run = overloaded(tiny, 8.0)
    fork = run.fork(None)
    fork.run(tiny.world.start_ms + 8 * MINUTE_MS)
    assert history_of(fork).incidents == history_of(run).incidents
    assert history_of(fork).incidents is not history_of(run).incidents
