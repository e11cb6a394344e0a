"""Devices whose power the load flow takes from elsewhere.

storage 2 ── measured 250 kW ──► meter of its site ──► busbar ──► city load
    └─ the twin's own state goes on as if nothing were measured
"""

from __future__ import annotations

import numpy as np

from tests.engine.tiny_city import MINUTE_MS, idle_run
from twin.engine.simulation import Simulation

ROW, POWER_KW = 2, 250.0


def measured(run: Simulation) -> None:
    run.replaced = {"storage": (np.array([ROW]), np.array([POWER_KW]))}


def two_runs() -> tuple[Simulation, Simulation]:
    plain, bench = idle_run(), idle_run()
    measured(bench)
    for run in (plain, bench):
        run.run(run.now_ms + 3 * MINUTE_MS)
    return plain, bench


def test_measured_power_stands_in_meter_busbar_and_load() -> None:
    plain, bench = two_runs()
    site = int(plain.sites.device_site["storage"][ROW])
    twin_kw = float(plain.kinds["storage"].power_kw[ROW])
    assert abs(POWER_KW - twin_kw) > 50.0  # else this would show nothing
    moved = plain.sites.state["demand_kw"] - bench.sites.state["demand_kw"]
    others = np.delete(moved, site)
    assert abs(moved[site] - (POWER_KW - twin_kw)) < 2.0  # within the minute the twin moves little
    assert np.all(others == 0.0)
    busbar = int(plain.sites.columns.i8("busbar")[site])
    fed = (plain.injections["demand_mw"] - bench.injections["demand_mw"]) * 1_000.0
    assert abs(fed[busbar] - moved[site]) < 1e-6
    assert plain.snapshot is not None
    assert bench.snapshot is not None
    less_kw = (plain.snapshot.load_mw - bench.snapshot.load_mw) * 1_000.0
    assert abs(less_kw - moved[site]) < 0.1 * moved[site]  # with less losses


def test_the_twin_itself_does_not_feel_it() -> None:
    plain, bench = two_runs()
    assert plain.kinds["storage"].state.digest() == bench.kinds["storage"].state.digest()


def test_a_fork_goes_on_with_the_twin_s_own_power() -> None:
    base = idle_run()
    base.run(base.now_ms + MINUTE_MS)
    alone = base.fork(None)
    measured(base)
    other = base.fork(None)
    for run in (alone, other):
        run.run(run.now_ms + MINUTE_MS)
    assert alone.digest() == other.digest()
