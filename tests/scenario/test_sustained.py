"""The judge's question by device on forks of tiny: asked, held, compared, and nothing left of it.

::

    13:00   13:05    13:15          13:30                     14:30
    start   notice   call begins    everything is there       end
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.engine.tiny_city import first_run, history_of, idle_run, started
from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.logic import BaseLogic
from twin.control.platform import Platform
from twin.engine.simulation import Simulation
from twin.record.monitor import DEVICE_KINDS
from twin.record.orders import OrderForm, OrderKind
from twin.scenario.branches import Left, leave, recorder_of, sustained_calls
from twin.scenario.build import Built
from twin.verify.flexibility import held_by_kind, summary

UP, DOWN = 1, 4  # the calls for an hour


def asked(built: Built, logic: type[BaseLogic]) -> Left:
    order = built.orders[0]
    run = first_run(logic())
    run.run(order.notice_ms)
    return leave(built, run, logic, order)


@pytest.fixture(scope="module")
def left(tiny: Built) -> Left:
    found = asked(tiny, Platform)
    for number in (UP, DOWN):
        call, fork = found.asked[number]
        fork.grid = fork.snapshot = None
        fork.run(call.end_ms)
    found.run.grid = found.run.snapshot = None
    found.run.run(found.asked[UP][0].end_ms)
    return found


def test_calls_begin_at_the_next_quarter_and_last_from_their_deadline(
    tiny: Built,
) -> None:
    order = tiny.orders[0]
    calls = sustained_calls(order, tiny.world.end_ms)
    assert [c.form for c in calls] == [OrderForm.REDUCTION] * 3 + [OrderForm.INCREASE] * 3
    for call, minutes in zip(calls, (30, 60, 120) * 2, strict=True):
        assert (call.kind, call.mw) == (OrderKind.SUSTAINED, None)
        assert call.notice_ms == order.notice_ms == 13 * HOUR_MS + 5 * MINUTE_MS
        assert call.full_by_ms == 13.5 * HOUR_MS
        assert call.end_ms == 13.5 * HOUR_MS + minutes * MINUTE_MS
    assert len({order.id, *(c.id for c in calls)}) == 7
    assert len(sustained_calls(order, calls[1].end_ms)) == 4
    assert sustained_calls(order, calls[0].end_ms - 1) == ()
    on_time = replace(order, notice_ms=13 * HOUR_MS)
    assert sustained_calls(on_time, tiny.world.end_ms)[0].start_ms == 13 * HOUR_MS


def test_who_does_not_know_the_question_is_not_asked(tiny: Built) -> None:
    assert asked(tiny, BaseLogic).asked == ()


def test_what_is_held_is_near_what_was_said(tiny: Built, left: Left) -> None:
    order, fork = left.asked[UP]
    base = recorder_of(left.run).history
    found = held_by_kind(recorder_of(fork).history, base, order, tiny.world.inventory)
    assert set(found) == {
        "storage", "aircon", "icestore", "charging", "swap", "industry", "hydrogen", "shorepower",
    }  # fmt: skip
    storage = summary([found["storage"]])
    assert storage["held_mw"] > 0.5
    assert storage["signed_error_pct"] == pytest.approx(0.0, abs=25.0)
    total = sum(float(h.held_kw.sum()) for h in found.values())
    assert total > 1_000.0  # of 11 MW connected


def test_asked_for_load_batteries_charge_buildings_cool_and_nobody_else_does_anything(
    tiny: Built, left: Left
) -> None:
    order, fork = left.asked[DOWN]
    base = recorder_of(left.run).history
    found = held_by_kind(recorder_of(fork).history, base, order, tiny.world.inventory)
    assert found["storage"].said_kw.sum() >= 0.0
    assert found["aircon"].said_kw.sum() > 0.0
    assert found["aircon"].held_kw.sum() > 0.0
    for kind, held in found.items():
        if kind not in ("storage", "aircon"):
            assert held.said_kw.sum() == 0.0, kind
            assert np.abs(held.held_kw).sum() < 0.05 * held.connected_kw.sum(), kind
    writes = recorder_of(fork).history.events("commands")
    since = np.asarray(writes["now_ms"]) >= order.notice_ms
    commanded = {DEVICE_KINDS.index("storage"), DEVICE_KINDS.index("aircon")}
    assert set(writes["kind"][since].tolist()) <= commanded


def test_quarters_add_up_to_the_minutes(left: Left) -> None:
    history = recorder_of(left.run).history
    assert history.quarters is not None
    from_ms, to_ms = 13 * HOUR_MS, 14 * HOUR_MS
    minutes = np.asarray(history.table("kind.power_mw", 0, 60), np.float64).sum(axis=0)
    energy = history.quarters.kwh("aircon", from_ms, to_ms).sum() / 1000.0
    assert np.isclose(minutes / 60.0, energy, rtol=1e-5).any()


def run_to(run: Simulation, until_ms: int) -> np.ndarray:
    run.run(until_ms)
    quarters = history_of(run).quarters
    assert quarters is not None
    return quarters.kwh("storage", 13 * HOUR_MS, until_ms)


def test_energies_of_a_fork_within_a_quarter_are_those_of_the_run(tiny: Built) -> None:
    run = idle_run()
    run.run(tiny.world.start_ms + 7 * MINUTE_MS + 13_000)
    fork = run.fork(started(tiny, BaseLogic()))
    until = tiny.world.start_ms + 30 * MINUTE_MS
    assert run_to(fork, until).tobytes() == run_to(run, until).tobytes()
