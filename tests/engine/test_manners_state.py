"""Manners are state: forks, resumed runs and replays carry them to the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.manner_runs import (
    START_MS,
    at,
    manner,
)
from tests.engine.tiny_city import history_of
from tests.engine.wire_runs import drawn_write, same_history, same_state, wire_run
from twin.assets.manners import Manner
from twin.assets.remote import RemoteKind
from twin.chance import generator
from twin.engine.replay import entries_of
from twin.engine.simulation import Simulation
from twin.engine.timeline import Entry
from twin.record.exchange import Refusal
from twin.scenario.build import Built


def drawn_manners(seed: int) -> tuple[Entry, ...]:
    """Return manners of every sort, on and off at drawn seconds of 20 minutes."""
    sorts = (
        Manner(local=True), Manner(heartbeat_s=20), Manner(revert_s=45), Manner(ignore_writes=True),
        Manner(readback_lag_s=13), Manner(frozen=True), Manner(min_off_s=50), Manner(wear_limit=4),
        Manner(drift_per_h=3.0, point="power_kw"),
    )  # fmt: skip
    entries: list[Entry] = []
    kinds = ("storage", "aircon", "charging", "industry", "hydrogen", "swap")
    for number in range(18):
        draw = generator(seed, "test.manners", number)
        begin, end = np.sort(draw.integers(0, 1200, 2)).tolist()
        kind = kinds[draw.integers(len(kinds))]
        how = sorts[number % len(sorts)]
        entries += manner(kind, how, begin, end + 1, number=number, share=0.6)
    return tuple(sorted(entries))


def drive(run: Simulation, first_s: int, last_s: int) -> None:
    """Write at drawn seconds of a span, and look at what is shown."""
    seconds = generator(9, "test.drive").integers(0, 1200, 150)
    for second in np.unique(seconds[(seconds >= first_s) & (seconds < last_s)]).tolist():
        run.run(at(second))
        run.write([drawn_write(run, 2 * second), drawn_write(run, 2 * second + 1)])
        run.readings(sorted(run.channels))
    run.run(at(last_s))


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_with_manners_fork_resume_and_replay_bit_for_bit(tiny: Built, seed: int) -> None:
    trouble = drawn_manners(seed)
    run = wire_run(trouble)
    cuts = np.sort(generator(seed, "test.cuts").integers(1, 1199, 3)).tolist()
    done = 0
    for cut in cuts:
        drive(run, done, cut)
        done = cut
        fork = run.fork(None)
        fresh = tiny.simulation(run.world, START_MS)
        fresh.timeline = run.timeline
        for name, table in fresh.tables().items():
            table.restore(run.tables()[name].arrays())
        fresh.now_ms = run.now_ms
        assert fresh.digest() == fork.digest() == run.digest()
        until = min(cut + 60, 1200)
        for each in (fork, fresh):
            drive(each, cut, until)
        assert fresh.digest() == fork.digest()
    drive(run, done, 1200)
    log = history_of(run).events("commands")
    assert {int(o) for o in log["outcome"]} == {0, 1, 2, 3}
    again = wire_run((*trouble, *entries_of(log)), tick_s=5)
    again.run(at(1200))
    assert same_state(run, again) == []
    assert same_history(run, again) == []


def test_a_fork_knows_manners_of_its_own() -> None:
    run = wire_run()
    run.run(at(45))
    fork = run.fork(None, manner("storage", Manner(local=True), 45))
    for each in (run, fork):
        each.run(at(61))
    assert (fork.kinds["storage"].refusal() == Refusal.LOCAL).all()
    assert (run.kinds["storage"].refusal() == Refusal.NONE).all()


def test_every_kind_with_a_limit_takes_all_of_it() -> None:
    run = wire_run()
    for name, kind in run.kinds.items():
        points = [p.name for p in kind.setpoints]
        if isinstance(kind, RemoteKind):
            assert points[-3:] == ["release", "heartbeat", "revert_s"], name
