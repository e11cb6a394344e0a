"""A day before the event as a share of an event day of the same city, and what coarse steps cost.

Both run the same afternoon hours of `summer-peak-2027` (or the scenario named) after one hour to
settle: the day before as `twin.scenario.history_run` runs it (no load flow, no logic, coarse inner
steps, meters kept), the event day as `twin run` does (load flow, logic, record, no order). Times
are this process's own, so that a busy machine spoils the ratio little. Beside it: how far the
quarter-hour meters of coarse steps lie from those of the usual ones.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np

from twin.assets import KINDS
from twin.clock import DAY_MS, HOUR_MS
from twin.control.platform import Platform
from twin.engine.meter_sink import MeterSink
from twin.engine.simulation import Simulation
from twin.scenario.build import Built, build, calibrated
from twin.scenario.files import find_scenario, load_scenario
from twin.scenario.history_run import coarse

SCENARIO = sys.argv[1] if len(sys.argv) > 1 else "summer-peak-2027"
SETTLE_H, HOURS = 1, 2
FROM_MS = -DAY_MS + 12 * HOUR_MS  # of the day before


def timed(run: Simulation, until_ms: int) -> float:
    begun = time.process_time()
    run.run(until_ms)
    return time.process_time() - begun


def day_before(built: Built, tick_s: int) -> tuple[float, np.ndarray]:
    world = replace(built.world, timeline=())
    sorts = coarse(KINDS, tick_s)
    run = built.simulation(world, FROM_MS, with_grid=False, sorts=sorts)
    sink = MeterSink(1, np.flatnonzero(built.sites.flag("enrolled")))
    run.recorder = sink
    run.run(FROM_MS + SETTLE_H * HOUR_MS)
    spent = timed(run, FROM_MS + (SETTLE_H + HOURS) * HOUR_MS)
    return spent, sink.demand_kw[0, 4 * (12 + SETTLE_H) : 4 * (12 + SETTLE_H + HOURS)]


def event_day(built: Built) -> float:
    start_ms = FROM_MS + DAY_MS
    run = replace(built, world=replace(built.world, start_ms=start_ms, timeline=())).start(
        Platform()
    )
    run.run(start_ms + SETTLE_H * HOUR_MS)
    return timed(run, start_ms + (SETTLE_H + HOURS) * HOUR_MS)


def main() -> None:
    path = find_scenario(SCENARIO)
    built = calibrated(build(load_scenario(path, ["history.days=1"]), path))
    day_before(built, 60)  # kernels are loaded
    spent, meters = day_before(built, 60)
    fine_spent, fine = day_before(built, 1)
    event = event_day(built)
    total = np.abs(meters.sum(axis=1) / fine.sum(axis=1) - 1.0).max()
    site = np.abs(meters - fine).sum() / fine.sum()
    assert np.isfinite(meters).all()
    assert total < 0.005, f"coarse steps move the meters' sum by {100 * total:.2f} %"
    day = 24.0 / HOURS
    print(
        f"{SCENARIO}: a day before takes {spent * day:.1f} s, {spent / event:.2f} of an event day "
        f"({event * day:.1f} s); with usual steps {fine_spent / event:.2f}"
    )
    print(f"  meters by coarse steps: sum within {100 * total:.3f} %, sites {100 * site:.3f} %")


if __name__ == "__main__":
    main()
