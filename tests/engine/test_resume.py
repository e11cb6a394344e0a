"""State is data: a run carried on from arrays alone equals the run that never stopped."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tests.engine.tiny_city import (
    MINUTE_MS,
    first_run,
    history_of,
    idle_run,
    ordered_run,
    restore,
    saved,
    started,
    tiny_city,
)
from twin.control.logic import BaseLogic
from twin.control.platform import Platform
from twin.engine.simulation import Simulation
from twin.record.exchange import PSEUDO_KINDS
from twin.scenario.build import Built

SECOND_MS = 1_000


def through_a_file(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


@pytest.mark.parametrize("at_s", [7 * 60, 20 * 60 + 17])  # inside the order; within a minute
def test_a_run_resumed_from_a_file_carries_on_bit_for_bit(tiny: Built, at_s: int) -> None:
    run = ordered_run()
    now_ms = tiny.world.start_ms + at_s * SECOND_MS
    run.run(now_ms)
    assert run.logic is not None
    arrays, words = through_a_file(saved(run)), run.logic.save()

    # A fleet that has never run, of another object, and a logic that knows nothing yet.
    logic = started(tiny, Platform())
    fresh = tiny.simulation(run.world, tiny.world.start_ms)
    fresh.timeline, fresh.logic = run.timeline, logic
    assert fresh.digest() != run.digest()
    restore(fresh, arrays, now_ms)
    logic.load(words)
    assert fresh.digest() == run.digest()
    for minute in (1, 6):
        for each in (run, fresh):
            each.run(now_ms + minute * MINUTE_MS)
        assert fresh.digest() == run.digest()
    assert fresh.snapshot is not None
    assert run.snapshot is not None
    assert fresh.snapshot.load_mw == run.snapshot.load_mw


def test_the_city_reading_is_state_too(tiny: Built) -> None:
    """What the infeed meters showed last is read at the next digest, in a resumed run as well."""
    run = idle_run()
    now_ms = tiny.world.start_ms + 3 * MINUTE_MS
    run.run(now_ms)
    fresh = tiny.simulation(run.world, tiny.world.start_ms)
    restore(fresh, saved(run), now_ms)
    shown = fresh.true_points("city")
    assert shown.tobytes() == run.true_points("city").tobytes()
    assert run.snapshot is not None
    assert shown[0, 0] == run.snapshot.load_mw


def test_restore_refuses_another_city(tiny: Built) -> None:
    run = idle_run()
    arrays = saved(run)
    arrays["kind.storage|block"] = arrays["kind.storage|block"][:, 1:]
    with pytest.raises(ValueError, match="block"):
        restore(run, arrays, tiny.world.start_ms)


def corrupted(run: Simulation, name: str) -> bool:
    """Change one value of one table and say whether the digest saw it."""
    table = run.tables()[name]
    before = run.digest()
    array = next(a for a in table.arrays().values() if a.size > 0)
    flat = array.reshape(-1).view(np.uint8)
    flat[0] ^= 1
    return run.digest() != before


@pytest.mark.parametrize("name", sorted(_n for _n in (
    "sites", "counters", "period", "grid", "kind.terminal", "channel.meter", "channel.storage",
)))  # fmt: skip
def test_every_table_is_part_of_the_digest(name: str) -> None:
    assert corrupted(idle_run(), name)


def test_every_kind_and_channel_is_among_the_tables(tiny: Built) -> None:
    tables = set(idle_run().tables())
    kinds = {k for k, plate in tiny.world.nameplates.items() if plate.n > 0}
    assert tables == (
        {f"kind.{k}" for k in kinds}
        | {f"channel.{k}" for k in (*kinds, *PSEUDO_KINDS)}
        | {"sites", "counters", "period", "grid", "chain"}
    )


def test_the_words_of_the_logic_are_part_of_the_digest(tiny: Built) -> None:
    run = first_run(BaseLogic())
    before = run.digest()
    run.logic = first_run(Platform()).logic
    assert run.digest() != before


def test_a_run_that_is_over_stays_as_it_is() -> None:
    run = idle_run()
    end_ms = tiny_city().world.start_ms + 2 * MINUTE_MS
    run.run(end_ms)
    before = run.digest()
    run.run(end_ms)
    run.run(end_ms - MINUTE_MS)
    assert run.digest() == before
    assert history_of(run).filled == 2
