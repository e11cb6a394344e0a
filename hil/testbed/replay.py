"""A run's command log once more, without the wire: the same columns, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hil.testbed.bench_power import taken_of
from hil.testbed.setup import beats
from twin.engine.replay import entries_of
from twin.errors import InputProblems, Problem
from twin.record.exchange import Inventory, Outcome
from twin.record.history import History
from twin.record.monitor import DEVICE_KINDS
from twin.results.store import timeseries
from twin.run import prepare
from twin.scenario.branches import recorder_of
from twin.scenario.build import calibrated
from twin.scenario.timetable import notice_entry
from twin.scenario.warm_start import warmed

__all__ = ["Replayed", "commands_of", "replay_run"]

RUN = "ordered"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a replay: whether every column is equal, and what was compared."""

    equal: bool
    text: str


def replay_run(directory: Path) -> Replayed:
    """Run the command log of a run directory again and compare its columns.

    Raises InputProblems where the directory holds no finished run.
    """
    needed = ("scenario.toml", "orders.parquet", "timeseries/city.parquet")
    missing = [name for name in needed if not (directory / name).is_file()]
    if missing:
        allowed = "the directory of a finished run"
        raise InputProblems([Problem(str(directory), name, "missing", allowed) for name in missing])
    prepared = prepare(directory / "scenario.toml", [])
    built = beats(replace(prepared, built=warmed(calibrated(prepared.built)))).built
    commands = commands_of(directory / "orders.parquet", built.world.inventory)
    entries = [notice_entry(order) for order in built.orders] + list(entries_of(commands))
    world = replace(built.world, timeline=tuple(sorted((*built.world.timeline, *entries))))
    run = replace(built, world=world).start(None)
    for end_ms, taken in taken_of(directory):
        run.run(end_ms - world.grid_period_ms)
        run.replaced = taken
        run.run(end_ms)
        run.replaced = {}
    run.run(world.end_ms)
    return _compare(directory, recorder_of(run).history, world.inventory, len(entries))


def commands_of(path: Path, inventory: Inventory) -> dict[str, NDArray[np.generic]]:
    """Return the command log of ``orders.parquet`` as `History.events` holds it."""
    table = pq.read_table(path)
    if "number" not in table.column_names:
        return {}
    table = table.filter(pc.equal(table["record"].cast(pa.string()), "write"))
    kinds = table["kind"].cast(pa.string()).to_pylist()
    points = table["point"].cast(pa.string()).to_pylist()
    names = {k: [p.name for p in known.setpoints] for k, known in inventory.kinds.items()}
    outcomes = [o.name.lower() for o in Outcome]
    return {
        "now_ms": table["now_ms"].to_numpy().astype(np.int64),
        "number": table["number"].to_numpy().astype(np.int64),
        "kind": np.array([DEVICE_KINDS.index(k) for k in kinds], np.uint8),
        "point": np.array(
            [names[k].index(p) for k, p in zip(kinds, points, strict=True)], np.uint8
        ),
        "row": table["row"].to_numpy().astype(np.int32),
        "value": table["value"].to_numpy().astype(np.float64),
        "outcome": np.array(
            [outcomes.index(o) for o in table["outcome"].cast(pa.string()).to_pylist()], np.uint8
        ),
    }


def _compare(directory: Path, again: History, inventory: Inventory, entries: int) -> Replayed:
    columns = differing = 0
    first = ""
    for name, table in timeseries({RUN: again}, inventory).items():
        kept = pq.read_table(directory / "timeseries" / f"{name}.parquet")
        runs = kept["run"].cast(pa.string())
        # A run without orders is kept under the other name only.
        own = RUN if pc.any(pc.equal(runs, RUN)).as_py() else "undisturbed"
        kept = kept.filter(pc.equal(runs, own))
        for column in table.column_names:
            if column == "run":
                continue
            columns += 1
            if not _same(kept[column], table[column]):
                differing += 1
                first = first or f"{name}.{column}"
    text = f"{entries:,} entries replayed; {columns} columns of {again.filled} minutes"
    if differing == 0:
        return Replayed(True, f"{text}: equal, bit for bit")
    return Replayed(False, f"{text}: {differing} differ, the first is {first}")


def _same(kept: pa.ChunkedArray, again: pa.ChunkedArray) -> bool:
    """Return whether two columns hold the same bits; NaN is equal to NaN of the same bits."""
    if pa.types.is_floating(again.type):
        pair = [np.asarray(c.to_numpy(), np.float64) for c in (kept, again)]
        return len(pair[0]) == len(pair[1]) and pair[0].tobytes() == pair[1].tobytes()
    return bool(kept.to_pylist() == again.to_pylist())
