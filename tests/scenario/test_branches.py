"""Pairs of runs: what was ordered, and what would have been; whatever process they ran in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tests.engine.tiny_city import history_of
from twin.control.platform import Platform
from twin.record.exchange import Logic
from twin.record.history import History
from twin.record.orders import OrderKind
from twin.scenario import branches, workers
from twin.scenario.branches import (
    Branches,
    capability_call,
    capability_end,
    run_branches,
    simulated_ms,
)
from twin.scenario.build import Built
from twin.scenario.timetable import notice_entry

MINUTE_MS = 60_000


def short(tiny: Built) -> Built:
    """Return tiny with its two orders within 34 minutes; the second notice is within a minute."""
    start_ms = tiny.world.start_ms

    def at(minute: float) -> int:
        return start_ms + int(minute * MINUTE_MS)

    first, second = tiny.orders
    first = replace(first, notice_ms=at(3), start_ms=at(5), full_by_ms=at(9), end_ms=at(14))
    second = replace(
        second, notice_ms=at(16.5), start_ms=at(19), full_by_ms=at(23), end_ms=at(28),
        warning_min=2.0,
    )  # fmt: skip
    world = replace(tiny.world, end_ms=at(34))
    return replace(tiny, world=world, orders=(first, second))


@dataclass
class Done:
    built: Built
    found: Branches
    kept: list[str] = field(default_factory=list)
    progress: list[tuple[str, int]] = field(default_factory=list)


def all_runs(built: Built, fork: bool) -> Done:
    done = Done(built, Branches())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "can_fork", lambda: fork)
        patch.setattr(branches, "can_fork", lambda: fork)
        done.found = run_branches(
            built,
            Platform,
            lambda name, now_ms: done.progress.append((name, now_ms)),
            lambda name, _: done.kept.append(name),
        )
    return done


@pytest.fixture(scope="module")
def forked(tiny: Built) -> Done:
    return all_runs(short(tiny), True)


def alone(built: Built, orders: int) -> History:
    """Return the record of one run that knows the first `orders` orders from the beginning."""
    entries = tuple(notice_entry(o) for o in built.orders[:orders])
    logic: Logic = Platform()
    run = replace(built, world=replace(built.world, timeline=entries)).start(logic)
    run.run(built.world.end_ms)
    return history_of(run)


def assert_same(one: History, two: History, stop: int | None = None) -> None:
    for name in one.scalars:
        left, right = one.series(name, 0, stop), two.series(name, 0, stop)
        assert left.tobytes() == right.tobytes(), name
    for name in one.tables:
        assert one.table(name, 0, stop).tobytes() == two.table(name, 0, stop).tobytes(), name
    if stop is not None:
        return
    assert one.filled == two.filled
    for name in ("commands", "charging.sessions"):
        here, there = one.events(name), two.events(name)
        assert set(here) == set(there)
        for column in here:
            assert here[column].tobytes() == there[column].tobytes(), (name, column)
    assert one.incidents == two.incidents
    assert set(one.figures) == set(two.figures)
    for name in one.figures:
        assert one.figures[name].tobytes() == two.figures[name].tobytes(), name
    assert {k: v.tobytes() for k, v in one.peak.items()} == {
        k: v.tobytes() for k, v in two.peak.items()
    }


def test_each_run_equals_one_that_was_never_forked(forked: Done) -> None:
    """So neither a fork, nor another process, nor the capability call leaves a trace."""
    assert len(forked.found.runs) == 3
    for orders, found in enumerate(forked.found.runs):
        assert found.filled == 34
        assert_same(found, alone(forked.built, orders))


def test_pairs_share_everything_before_the_notice_and_differ_after(forked: Done) -> None:
    start_ms = forked.built.world.start_ms
    for i, order in enumerate(forked.built.orders):
        before, after = forked.found.runs[i], forked.found.runs[i + 1]
        row = (order.notice_ms - start_ms) // MINUTE_MS
        assert_same(before, after, row)
        reduction = before.series("demand_mw") - after.series("demand_mw")
        full = slice(
            (order.full_by_ms - start_ms) // MINUTE_MS, (order.end_ms - start_ms) // MINUTE_MS
        )
        assert order.mw is not None
        assert reduction[full].mean() > 0.5 * order.mw  # it was obeyed
        # Weather and people are the same in both.
        for name in ("temperature_c", "tariff_period", "aircon_background_mw"):
            assert before.series(name).tobytes() == after.series(name).tobytes()


def test_only_demand_response_has_a_capability_call(forked: Done) -> None:
    order = forked.built.orders[0]
    assert list(forked.found.capability) == [order.id]
    called = forked.found.capability[order.id]
    end_ms = capability_end(order, forked.built.world.end_ms)
    assert called.time_ms()[-1] + MINUTE_MS == end_ms
    row = (order.notice_ms - called.start_ms) // MINUTE_MS
    assert_same(called, forked.found.runs[0], row)
    assert called.events("commands")["now_ms"].min() >= order.notice_ms


@pytest.mark.skipif(not hasattr(workers.os, "fork"), reason="no fork on this system")
def test_one_process_or_several_give_the_same_bits(tiny: Built, forked: Done) -> None:
    single = all_runs(short(tiny), False)
    for here, there in zip(single.found.runs, forked.found.runs, strict=True):
        assert_same(here, there)
    for name, call in single.found.capability.items():
        assert_same(call, forked.found.capability[name])
    assert single.found.peak_grid is not None
    assert forked.found.peak_grid is not None
    assert single.found.peak_grid.digest() == forked.found.peak_grid.digest()
    assert single.found.workers_mib == 0.0
    assert forked.found.workers_mib > 0.0
    assert single.kept == forked.kept == ["undisturbed", "ordered", "ordered"]


def test_supervision_is_judged_on_the_final_run_only(forked: Done) -> None:
    assert [run.monitor is None for run in forked.found.runs] == [True, True, False]


def test_progress_goes_forward_to_the_end(forked: Done) -> None:
    times = [now_ms for _, now_ms in forked.progress]
    assert times == sorted(times)
    assert times[-1] == forked.built.world.end_ms
    notices = [order.notice_ms for order in forked.built.orders]
    assert set(notices) <= set(times)


def test_a_day_without_orders_is_one_run(tiny: Built) -> None:
    built = replace(short(tiny), orders=())
    built = replace(built, world=replace(built.world, end_ms=built.world.start_ms + 3 * MINUTE_MS))
    done = all_runs(built, True)
    assert len(done.found.runs) == 1
    assert done.found.capability == {}
    assert done.found.peak_grid is not None
    assert simulated_ms(built) == 3 * MINUTE_MS


def test_the_call_asks_for_all_over_the_same_window(tiny: Built) -> None:
    order, end_ms = tiny.orders[0], tiny.world.end_ms
    call = capability_call(order, end_ms)
    assert call.kind is OrderKind.CAPABILITY
    assert call.mw is None
    assert call.id != order.id
    assert (call.notice_ms, call.start_ms, call.full_by_ms) == (
        order.notice_ms, order.start_ms, order.full_by_ms,
    )  # fmt: skip
    # Held on for the means sustained 120 minutes from the deadline, within the run.
    assert call.end_ms == order.full_by_ms + 120 * MINUTE_MS
    assert capability_end(order, order.end_ms) == order.end_ms
    rest = sum(end_ms - o.notice_ms for o in tiny.orders)
    whole = end_ms - tiny.world.start_ms + rest + call.end_ms - order.notice_ms
    assert simulated_ms(tiny) == whole


def test_a_logic_that_breaks_in_a_child_breaks_the_run(tiny: Built) -> None:
    built = short(tiny)
    first = built.orders[0]
    built = replace(built, orders=(first,), world=replace(
        built.world, end_ms=first.notice_ms + 4 * MINUTE_MS))  # fmt: skip

    class Fragile(Platform):
        def digest(self, now_ms, readings, notices):  # type: ignore[no-untyped-def]
            found = super().digest(now_ms, readings, notices)
            if now_ms > first.notice_ms and not self.book.live():
                raise ZeroDivisionError("only the run without the order comes here")
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "can_fork", lambda: hasattr(workers.os, "fork"))
        with pytest.raises((branches.RunBroken, ZeroDivisionError), match="without the order"):
            run_branches(built, Fragile, lambda *_: None, lambda *_: None)
