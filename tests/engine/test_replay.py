"""Writes from outside: applied between two calls of `run`, and replayed from the log.

::

    live    run(T) ▸ write ▸ run(T + 1 s)           the same bits,
    replay  timeline: log's entries at T            however the run is cut
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.tiny_city import MINUTE_MS, history_of
from tests.engine.wire_runs import drawn_write, same_history, same_state, wire_run
from twin.chance import generator
from twin.engine.replay import entries_of
from twin.engine.timeline import ContactLoss, Entry, Phase
from twin.record.exchange import Outcome, SetPoint
from twin.record.monitor import DEVICE_KINDS
from twin.scenario.build import Built

SECOND_MS = 1_000


def lost(at_ms: int, *, restored: bool) -> Entry:
    what = ContactLoss("x", "charging", 0.5, restored)
    return Entry(at_ms, Phase.DISTURB, 1, 0, 1, what)


@pytest.mark.parametrize("tick_s", [1, 10])
def test_a_command_log_replays_to_the_same_bits(tiny: Built, tick_s: int) -> None:
    start_ms = tiny.world.start_ms
    minutes, number = 25, 0
    trouble = (lost(start_ms + 300_000, restored=False), lost(start_ms + 900_000, restored=True))
    live = wire_run(trouble)
    seconds = generator(7, "test.when").integers(1, 60 * minutes, 60)
    whole = [0, 60, 300, 600, 900, 901]  # whole minutes, and the very moment of the trouble
    for second in sorted({*seconds.tolist(), *whole}):
        live.run(start_ms + second * SECOND_MS)
        for _ in range(1 + second % 2):
            live.write([drawn_write(live, number), drawn_write(live, number + 1)])
            number += 2
    live.run(start_ms + minutes * MINUTE_MS)
    log = history_of(live).events("commands")
    assert {int(o) for o in log["outcome"]} >= {Outcome.ACCEPTED, Outcome.REFUSED, Outcome.LOST}
    assert len(np.unique(log["kind"])) == len(live.kinds)

    again = wire_run((*trouble, *entries_of(log)), tick_s)
    again.run(start_ms + minutes * MINUTE_MS)
    assert same_state(live, again) == []
    assert same_history(live, again) == []
    assert same_state(live, wire_run(trouble)) != []


def test_the_entries_of_a_log_keep_its_order(tiny: Built) -> None:
    run = wire_run()
    run.run(tiny.world.start_ms + 61_000)
    rows = np.arange(2)
    run.write([SetPoint("storage", "power_kw", rows, np.array([1.0, 2.0]))])
    run.write([SetPoint("aircon", "limit_kw", rows, np.zeros(2)), drawn_write(run, 3)])
    log = history_of(run).events("commands")
    turned = {name: column[::-1] for name, column in log.items()}
    for entries in (entries_of(log), entries_of(turned)):
        assert [e.number for e in entries] == [0, 1, 2]
        assert {e.now_ms for e in entries} == {tiny.world.start_ms + 61_000}
        first = entries[0].what
        assert isinstance(first, SetPoint)
        assert (first.kind, first.point) == ("storage", "power_kw")
    assert entries_of({}) == ()
    assert [DEVICE_KINDS[k] for k in log["kind"][:4]] == ["storage"] * 2 + ["aircon"] * 2


def test_a_write_at_a_trip_finds_the_contact_lost(tiny: Built) -> None:
    """What the timeline does at a moment comes before what is written at it."""
    at_ms = tiny.world.start_ms + 2 * MINUTE_MS
    run = wire_run((Entry(at_ms, Phase.DISTURB, 1, 0, 1, ContactLoss("x", "swap", 1.0)),))
    run.run(at_ms)
    n = run.kinds["swap"].n
    run.write([SetPoint("swap", "limit_kw", np.arange(n), np.zeros(n))])
    assert history_of(run).events("commands")["outcome"].tolist() == [Outcome.LOST] * n


def test_an_empty_write_leaves_no_trace(tiny: Built) -> None:
    run = wire_run()
    before = run.digest()
    run.write([SetPoint("swap", "limit_kw", np.arange(0), np.zeros(0))])
    assert run.digest() == before
    assert history_of(run).events("commands") == {}
