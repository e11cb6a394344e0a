"""Runs the days before the scenario's: no load flow, no logic, meters kept.

Their end is where the day before goes on, which is run with its load flow as ever, so that tap
changers and capacitors stand where a network that is in operation has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twin.assets.kind import Kind
from twin.clock import DAY_MS, MINUTE_MS
from twin.engine.meter_sink import MeterSink
from twin.engine.simulation import Simulation
from twin.engine.world import World
from twin.record.metering import QUARTERS, MeterHistory
from twin.scenario.history_schema import HistorySection

__all__ = ["coarse", "kept", "meter_history", "run_days_before", "taken_up"]

# Longest inner steps [s] that meters bear (benchmarks/history_days.py); other kinds keep theirs,
# as they jump from event to event or nobody has shown that longer ones do no harm.
COARSE_S = {"aircon": 60, "charging": 60, "swap": 60, "storage": 10}
OWN = ("kind.", "sites")  # tables that the days before hand on
HELD = "history|"  # before the names of what is kept of the meters, beside the tables


def coarse(kinds: Mapping[str, type[Kind]], step_s: int) -> dict[str, type[Kind]]:
    """Return the kinds with inner steps of `step_s`, as far as each bears it."""
    steps = {name: max(min(step_s, COARSE_S.get(name, 1)), k.step_s) for name, k in kinds.items()}
    return {
        name: kind
        if steps[name] == kind.step_s
        else type(kind.__name__, (kind,), {"step_s": steps[name]})
        for name, kind in kinds.items()
    }


def run_days_before(
    world: World,
    run: Simulation,
    start: Callable[[World, int], Simulation],
    history: HistorySection,
) -> MeterSink:
    """Bring `run`, which stands at the begin of its warm-up, to the end of the days before.

    Parameters
    ----------
    world : of the days before
    run : with a fresh fleet; it takes over devices and sites, and goes on metering
    start : makes a simulation without load flow and with coarse kinds, at a moment
    """
    sink = MeterSink(history.days, np.flatnonzero(world.inventory.sites.flag("enrolled")))
    early = start(
        replace(world, grid_period_ms=MINUTE_MS, tick_ms=MINUTE_MS),
        run.now_ms - history.days * DAY_MS,
    )
    early.recorder = sink
    early.run(run.now_ms)
    own = run.tables()
    for name, table in early.tables().items():
        if name.startswith(OWN):
            own[name].restore(table.arrays())
    return sink


def taken_up(
    run: Simulation, held: Mapping[str, NDArray[np.generic]], history: HistorySection
) -> MeterSink:
    """Bring `run` to where `run_days_before` left another, from what was kept of both."""
    for name, table in run.tables().items():
        if name.startswith(OWN):
            mark = f"{name}|"
            table.restore({k[len(mark) :]: v for k, v in held.items() if k.startswith(mark)})
    sink = MeterSink(history.days, np.asarray(held[f"{HELD}rows"], np.int64))
    sink.demand_kw[:] = held[f"{HELD}demand_kw"]
    sink.seconds = int(held[f"{HELD}seconds"])
    sink.kws[:] = held[f"{HELD}kws"]
    return sink


def kept(sink: MeterSink) -> dict[str, NDArray[np.generic]]:
    """Return what a cache holds of the meters."""
    return {
        f"{HELD}demand_kw": sink.demand_kw,
        f"{HELD}rows": sink.rows,
        f"{HELD}seconds": np.array(sink.seconds),
        f"{HELD}kws": sink.kws,
    }


def meter_history(held: Mapping[str, NDArray[np.generic]], world: World) -> MeterHistory | None:
    """Return the meters of the days before as the logic gets them, None where there are none."""
    if world.days is None or f"{HELD}rows" not in held:
        return None
    some = np.asarray(held[f"{HELD}demand_kw"], np.float32)
    days = len(some)
    demand_kw = np.full((days, QUARTERS, world.inventory.sites.n), np.nan, np.float32)
    demand_kw[:, :, np.asarray(held[f"{HELD}rows"], np.int64)] = some
    air = world.weather.temperature_c[:-1].reshape(-1, QUARTERS, 15).mean(axis=2)
    return MeterHistory(
        demand_kw,
        world.days.workday[-1 - days : -1].copy(),
        air[-1 - days : -1].copy(),
        np.arange(-days, 0, dtype=np.int64),
    )
