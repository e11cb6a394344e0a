"""The day before the run: it starts warm, and a platform in operation has watched it.

Without a history one day is run and forgotten but for its end. With one, the logic watches the
last of the days before: it reads what it would read and learns, with its hands tied, so that
what the city does is the same under any logic. Everything is cached by its inputs; what a logic
learned also by its source, and not at all where that is not ours to know.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.assets import KINDS
from twin.clock import DAY_MS
from twin.control.logic import BaseLogic
from twin.engine.meter_sink import MeterSink
from twin.engine.simulation import Simulation
from twin.errors import RunBroken
from twin.record.exchange import Actions, Calendar, Inventory, Logic, Reading
from twin.record.orders import News
from twin.scenario.build import Built, city_inputs, day_inputs
from twin.scenario.cache import key, read_arrays, write_arrays
from twin.scenario.history_run import coarse, kept, meter_history, run_days_before, taken_up

__all__ = ["warmed"]

Arrays = Mapping[str, NDArray[np.generic]]


class _Onlooker(BaseLogic):
    """A logic that reads and learns, and whose commands nobody hears."""

    def __init__(self, eyes: BaseLogic) -> None:
        self.eyes = eyes

    def start(self, inventory: Inventory, calendar: Calendar) -> None:
        """Start the one that watches."""
        super().start(inventory, calendar)
        self.eyes.start(inventory, calendar)

    def plan(self, now_ms: int) -> Sequence[str]:
        """Read what it reads."""
        return self.eyes.plan(now_ms)

    def digest(
        self, now_ms: int, readings: Mapping[str, Reading], notices: Sequence[News]
    ) -> Actions:
        """Let it learn, and drop what it would do."""
        self.eyes.digest(now_ms, readings, notices)
        return Actions()


def warmed(built: Built, make: Callable[[], Logic] | None = None) -> Built:
    """Return `built` with the state at its start, from the cache or by running the day before.

    Parameters
    ----------
    built : calibrated
    make : makes the logic that will be run; None where nobody watches

    Raises RunBroken when the network cannot be solved at all.
    """
    name = key({**city_inputs(built), **day_inputs(built)})
    watcher = None if make is None or built.scenario.history.days == 0 else _watcher(make())
    held: Arrays | None = read_arrays(f"warm-{name}")
    source = None if watcher is None else _source(type(watcher))
    learned: Arrays | None = None if source is None else read_arrays(f"watched-{name}-{source}")
    if held is None or (learned is None and watcher is not None):
        held, learned = _run(built, name, watcher)
        write_arrays(f"warm-{name}", held)
        if source is not None and learned is not None:
            write_arrays(f"watched-{name}-{source}", learned)
    return replace(built, warm=held, history=meter_history(held, built.world), watched=learned)


def _watcher(logic: Logic) -> BaseLogic | None:
    sort = logic.watcher if isinstance(logic, BaseLogic) else None
    return None if sort is None else sort()


def _source(sort: type[BaseLogic]) -> str | None:
    """Return a hash of the source of one of our own logics, None for another's."""
    package = Path(str(files("twin"))) / "control"
    if package not in Path(inspect.getfile(sort)).parents:
        return None
    h = hashlib.blake2b(sort.__qualname__.encode(), digest_size=8)
    for path in sorted(p for p in package.rglob("*") if p.suffix in (".py", ".toml", ".csv")):
        h.update(path.read_bytes())
    return h.hexdigest()


def _run(built: Built, name: str, watcher: BaseLogic | None) -> tuple[Arrays, Arrays | None]:
    """Run the day before; return the state at its end, and what `watcher` learned."""
    world = replace(built.world, timeline=())
    run = built.simulation(world, world.start_ms - DAY_MS)
    past = built.scenario.history
    meters = None
    if past.days > 0:
        meters = _days_before(built, run, name)
        run.recorder = meters
    if watcher is not None:
        logic = _Onlooker(watcher)
        span = replace(world, start_ms=world.start_ms - DAY_MS, end_ms=world.start_ms)
        logic.start(world.inventory, replace(built, world=span).calendar())
        run.logic = logic
    run.run(world.start_ms)
    if run.snapshot is None or not run.snapshot.converged:
        raise RunBroken("the network has no load flow solution at the start of the run")
    held = _state(run) | ({} if meters is None else kept(meters))
    return held, None if watcher is None else watcher.learned()


def _days_before(built: Built, run: Simulation, name: str) -> MeterSink:
    """Bring `run` to where the days before the last end, from the cache or by running them."""
    past, world = built.scenario.history, built.world
    held = read_arrays(f"before-{name}")
    if held is not None:
        return taken_up(run, held, past)
    sorts = coarse(KINDS, past.tick_s)
    start = partial(built.simulation, with_grid=False, sorts=sorts)
    meters = run_days_before(replace(world, timeline=()), run, start, past)
    write_arrays(f"before-{name}", _state(run) | kept(meters))
    return meters


def _state(run: Simulation) -> dict[str, NDArray[np.generic]]:
    return {
        f"{table}|{array}": values
        for table, content in run.tables().items()
        for array, values in content.arrays().items()
    }
