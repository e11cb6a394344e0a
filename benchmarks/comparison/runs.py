"""The runs of one seed: the undisturbed day once, and every logic's day beside it.

The undisturbed day is shared where that is exact: a logic that wrote nothing before the first
notice leaves the same bits there, and the fleet goes on from them by itself.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from typing import Any

from twin.engine.simulation import Simulation
from twin.record.exchange import Logic
from twin.record.history import History
from twin.record.orders import Order
from twin.run import prepare
from twin.scenario.branches import recorder_of
from twin.scenario.build import Built, calibrated
from twin.scenario.files import find_scenario
from twin.scenario.own_logic import new_logic
from twin.scenario.timetable import notice_entry
from twin.scenario.warm_start import warmed
from twin.verify import Evidence, judge

REFERENCE = "twin.control.platform:Platform"
LOGICS = {
    "reference": REFERENCE,
    "equal share": "twin.control.rivals:EqualShare",
    "priority list": "twin.control.rivals:PriorityList",
    "price order": "twin.control.rivals:PriceOrder",
}


def code_key() -> str:
    """Return a hash of all code and data of `twin`: results of other code are not mixed."""
    h = blake2b(digest_size=8)
    root = files("twin")
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".toml", ".csv")):
        h.update(str(path.relative_to(root)).encode())
        h.update(path.read_bytes())
    return h.hexdigest()


@dataclass(frozen=True, slots=True)
class Shared:
    """The undisturbed day, and the state of the fleet at the first notice."""

    history: History
    at_notice: str


def built_for(scenario: str, seed: int, assignments: Sequence[str]) -> Built:
    """Return the scenario's city with the day of `seed`, calibrated and warm."""
    changes = [*assignments, f"seed={seed}"]
    prepared = prepare(find_scenario(scenario), changes)
    return warmed(calibrated(prepared.built), prepared.make)


def seed_rows(
    scenario: str, seed: int, assignments: Sequence[str], names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Run the logics `names` on one seed and yield what the judge says of each."""
    begun = time.perf_counter()
    built = built_for(scenario, seed, assignments)
    if not built.orders:
        raise SystemExit(f"{scenario} has no orders: there is nothing to compare")
    shared: Shared | None = None
    build_s = time.perf_counter() - begun
    for name in names:
        begun = time.perf_counter()
        runs, shared, own = _runs(built, LOGICS[name], shared)
        evidences = [
            Evidence(order, runs[i + 1], runs[i], None, runs[0], built.world.inventory,
                     built.world.end_ms)
            for i, order in enumerate(built.orders)
        ]  # fmt: skip
        verdicts = [v.to_dict() for v in judge(evidences, runs[-1])]
        yield {
            "scenario": scenario,
            "assignments": list(assignments),
            "seed": seed,
            "logic": name,
            "own_undisturbed_day": own,
            "build_s": build_s,
            "wall_s": time.perf_counter() - begun,
            "verdicts": [v for v in verdicts if not v["id"].startswith("dr.capability")],
        }
        del runs, evidences
        gc.collect()  # a day of records is hundreds of MiB


def _runs(built: Built, logic: str, shared: Shared | None) -> tuple[list[History], Shared, bool]:
    """Return R_0 to R_k, the undisturbed day to share, and whether it was this logic's own."""
    make, end_ms = new_logic(logic), built.world.end_ms
    run = built.start(make())
    run.run(built.orders[0].notice_ms)
    at_notice = _digest(run)
    runs: list[History] = []
    own = shared is None or shared.at_notice != at_notice
    for i, order in enumerate(built.orders):
        run.run(order.notice_ms)
        fresh: Logic = make()
        ordered = _forked(built, run, fresh, order)
        recorder_of(run).stop_supervision()
        if i > 0 or own:
            run.run(end_ms)
        runs.append(recorder_of(run).history)
        run = ordered
    run.run(end_ms)
    runs.append(recorder_of(run).history)
    if shared is not None and not own:
        runs[0] = shared.history
        return runs, shared, False
    return runs, Shared(runs[0], at_notice), True


def _forked(built: Built, run: Simulation, logic: Logic, order: Order) -> Simulation:
    logic.start(built.world.inventory, built.calendar())
    return run.fork(logic, (notice_entry(order),))


def _digest(run: Simulation) -> str:
    """Return a hash of the fleet and the network, the logic apart."""
    return "|".join(f"{name}:{table.digest()}" for name, table in sorted(run.tables().items()))
