"""Runs of `tiny` as the wire has them: no logic, writes from outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.engine.tiny_city import history_of, idle_run
from twin.chance import generator
from twin.engine.simulation import Simulation
from twin.engine.timeline import Entry
from twin.record.exchange import SetPoint

SECOND_MS = 1_000


def wire_run(entries: tuple[Entry, ...] = (), tick_s: int = 60) -> Simulation:
    """Return a run as the wire has it: without a logic."""
    run = idle_run(entries)
    run.logic = None
    run.world = replace(run.world, tick_ms=tick_s * SECOND_MS)
    return run


def drawn_write(run: Simulation, number: int) -> SetPoint:
    """Return a write of any kind, point and size; some are out of range, some to the deaf."""
    draw = generator(5, "test.replay", number)
    name = sorted(run.kinds)[draw.integers(len(run.kinds))]
    kind = run.kinds[name]
    spec = kind.setpoints[draw.integers(len(kind.setpoints))]
    rows = np.flatnonzero(draw.random(kind.n) < 0.7)
    scale = kind.rated_kw[rows] if spec.per_rating else 1.0
    low, high = spec.low, spec.high if np.isfinite(spec.high) else 100.0
    if spec.name == "revert_s":
        high = 120.0  # so that it happens within the run
    return SetPoint(name, spec.name, rows, scale * draw.uniform(low, 1.2 * high, len(rows)))


def same_state(one: Simulation, two: Simulation) -> list[str]:
    """Return the tables in which two runs differ; channels are read by logics only."""
    here, there = one.tables(), two.tables()
    names = [n for n in here if not n.startswith("channel.")]
    return [n for n in names if here[n].digest() != there[n].digest()]


def same_history(one: Simulation, two: Simulation) -> list[str]:
    here, there = history_of(one), history_of(two)
    assert here.filled == there.filled > 0
    found = [n for n in here.tables if here.table(n).tobytes() != there.table(n).tobytes()]
    found += [n for n in here.scalars if here.series(n).tobytes() != there.series(n).tobytes()]
    logs = [h.events("commands") for h in (here, there)]
    return found + [c for c in logs[0] if logs[0][c].tobytes() != logs[1][c].tobytes()]
