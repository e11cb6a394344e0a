"""`tiny`, calibrated and warm, built once for all tests of one process; and its runs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from twin.control.logic import BaseLogic
from twin.control.platform import Platform
from twin.engine.recorder import Recorder
from twin.engine.simulation import Simulation
from twin.engine.timeline import Entry
from twin.record.exchange import Logic
from twin.record.history import History
from twin.scenario.build import Built, build, calibrated
from twin.scenario.files import find_scenario, load_scenario
from twin.scenario.timetable import notice_entry
from twin.scenario.warm_start import warmed

MINUTE_MS = 60_000


@cache
def tiny_city() -> Built:
    path = find_scenario("tiny")
    return warmed(calibrated(build(load_scenario(path), path)))


@cache
def _at_start(logic: type[BaseLogic]) -> Simulation:
    return tiny_city().start(logic())


def first_run(logic: BaseLogic, entries: Iterable[Entry] = ()) -> Simulation:
    """Return a run of tiny from its start; a fork, since making the fleet takes a second."""
    base = _at_start(Platform if isinstance(logic, Platform) else BaseLogic)
    return base.fork(started(tiny_city(), logic), tuple(entries))


def ordered_run() -> Simulation:
    """Return a run with both orders on its timeline from the beginning."""
    return first_run(Platform(), map(notice_entry, tiny_city().orders))


def idle_run(entries: Iterable[Entry] = ()) -> Simulation:
    """Return a run under a logic that only reads."""
    return first_run(BaseLogic(), entries)


def started(built: Built, logic: Logic) -> Logic:
    logic.start(built.world.inventory, built.calendar())
    return logic


def history_of(run: Simulation) -> History:
    assert isinstance(run.recorder, Recorder)
    return run.recorder.history


def saved(run: Simulation) -> dict[str, np.ndarray]:
    """Return all tables of a run as plain arrays, as a file would keep them."""
    return {
        f"{name}|{array}": values.copy()
        for name, table in run.tables().items()
        for array, values in table.arrays().items()
    }


def restore(run: Simulation, arrays: dict[str, np.ndarray], now_ms: int) -> None:
    for name, table in run.tables().items():
        table.restore({a: arrays[f"{name}|{a}"] for a in table.arrays()})
    run.now_ms = now_ms
