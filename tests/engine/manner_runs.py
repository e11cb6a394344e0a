"""Manners on the small city: when they begin, what is written, what is seen of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.engine.tiny_city import MINUTE_MS, history_of
from tests.engine.wire_runs import SECOND_MS
from twin.assets.manners import Manner
from twin.engine.simulation import Simulation
from twin.engine.timeline import Entry, MannerChange, Phase
from twin.record.exchange import Outcome, SetPoint

START_MS = 13 * 60 * MINUTE_MS


def at(second: float) -> int:
    return START_MS + int(second * SECOND_MS)


def manner(
    kind: str, how: Manner, begin_s: int = 0, end_s: int | None = None, **whom: object
) -> tuple[Entry, ...]:
    begin = MannerChange(whom.pop("number", 0), kind, how, **whom)  # type: ignore[arg-type]
    entries = [Entry(at(begin_s), Phase.DISTURB, 2, 0, begin.number, begin)]
    if end_s is not None:
        end = replace(begin, ended=True)
        entries.append(Entry(at(end_s), Phase.DISTURB, 2, 0, begin.number, end))
    return tuple(entries)


def put(run: Simulation, kind: str, point: str, value: float, rows: object = None) -> list[int]:
    """Write to `rows` (all) as far as they have contact; return their outcomes."""
    run.channels[kind].answers = np.ones(run.kinds[kind].n, bool)  # nobody is deaf by chance
    chosen = np.arange(run.kinds[kind].n) if rows is None else np.asarray(rows)
    run.write([SetPoint(kind, point, chosen, np.full(len(chosen), value))])
    log = history_of(run).events("commands")["outcome"]
    return [int(o) for o in log[-len(chosen) :]]


def remote(run: Simulation, kind: str) -> list[float]:
    return run.kinds[kind].state["remote"].tolist()


def forced(run: Simulation, kind: str, point: str) -> np.ndarray:
    fleet = run.kinds[kind]
    out = np.empty((len(fleet.setpoints), fleet.n))
    fleet.in_force(out)
    return out[[p.name for p in fleet.setpoints].index(point)]


def shown(run: Simulation, kind: str, point: str) -> np.ndarray:
    names = [p.name for p in run.world.inventory.kinds[kind].points]
    return run.true_points(kind)[names.index(point)]


ALL_OK, ALL_REFUSED, ALL_IGNORED = ([int(o)] * 6 for o in (0, Outcome.REFUSED, Outcome.IGNORED))
