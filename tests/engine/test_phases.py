"""What happens at one moment happens in one order; notices are told once; contact can be lost.

::

    disturb ▸ control ▸ set-points ▸ minute ▸ step ▸ flow ▸ snapshot
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.tiny_city import MINUTE_MS, first_run, history_of, idle_run, started
from twin.assets.site import Sites
from twin.control.logic import BaseLogic
from twin.engine.simulation import Simulation
from twin.engine.timeline import BranchOutage, ContactLoss, Entry, Phase, sort_timeline
from twin.record.exchange import Actions, Outcome, Quality, Reading, SetPoint
from twin.record.orders import Notice, NoticeKind
from twin.scenario.build import Built

SECOND_MS = 1_000


class Watcher(BaseLogic):
    """Keeps what it was told and shown; says what it was made to say."""

    def __init__(self, say: Mapping[int, Sequence[SetPoint]] | None = None) -> None:
        self.say = say or {}
        self.told: list[tuple[int, str]] = []
        self.shown: dict[int, Mapping[str, Reading]] = {}

    def digest(
        self, now_ms: int, readings: Mapping[str, Reading], notices: Sequence[Notice]
    ) -> Actions:
        super().digest(now_ms, readings, notices)
        self.told += [(now_ms, n.order.id) for n in notices]
        self.shown[now_ms] = readings
        return Actions(self.say.get(now_ms, ()))


def watched(entries: Sequence[Entry], watcher: Watcher) -> Simulation:
    return first_run(watcher, entries)


def notice(built: Built, now_ms: int, name: str, number: int = 0) -> Entry:
    order = replace(built.orders[0], id=name, notice_ms=now_ms)
    what = Notice(now_ms, NoticeKind.ORDER, order)
    return Entry(now_ms, Phase.DISTURB, 0, 0, number, what)


def contact(now_ms: int, share: float, *, restored: bool, number: int = 1) -> Entry:
    what = ContactLoss("x", "storage", share, restored)
    return Entry(now_ms, Phase.DISTURB, 1, 0, number, what)


def write(kind: str, point: str, n: int, value: float) -> SetPoint:
    return SetPoint(kind, point, np.arange(n), np.full(n, value))


# -- order of the phases -----------------------------------------------------------------------


def test_phases_run_in_order(tiny: Built) -> None:
    start_ms = tiny.world.start_ms
    watcher = Watcher()
    run = watched([notice(tiny, start_ms + MINUTE_MS, "a")], watcher)
    trace: list[tuple[int, str]] = []

    def traced(name: str) -> None:
        inner = getattr(run, name)

        def call(*arguments: object) -> object:
            trace.append((run.now_ms, name))
            return inner(*arguments)

        setattr(run, name, call)

    for name in ("_disturb", "_control", "_apply", "_minute", "_flow"):
        traced(name)
    run.run(start_ms + 2 * MINUTE_MS)
    one, two = start_ms + MINUTE_MS, start_ms + 2 * MINUTE_MS
    assert trace == [
        (start_ms, "_control"), (start_ms, "_apply"), (start_ms, "_minute"),
        (one, "_flow"), (one, "_disturb"), (one, "_control"), (one, "_apply"), (one, "_minute"),
        (two, "_flow"),
    ]  # fmt: skip


def test_a_set_point_of_a_digest_acts_in_the_minute_that_begins(tiny: Built) -> None:
    start_ms = tiny.world.start_ms
    n = tiny.world.nameplates["charging"].n
    still = Watcher()
    stopped = Watcher({start_ms + MINUTE_MS: [write("charging", "limit_kw", n, 0.0)]})
    power = {}
    for watcher in (still, stopped):
        run = watched([], watcher)
        run.run(start_ms + 3 * MINUTE_MS)
        table = history_of(run).table("kind.power_mw")
        power[watcher] = table[:, 3]  # charging, see DEVICE_KINDS
    assert power[still][0] == power[stopped][0] < 0.0
    assert power[stopped][1:].tolist() == [0.0, 0.0]
    assert power[still][1] < 0.0


def test_readings_are_those_of_the_last_finished_tick(tiny: Built) -> None:
    start_ms = tiny.world.start_ms
    watcher = Watcher()
    run = watched([], watcher)
    for minute in range(1, 4):
        run.run(start_ms + minute * MINUTE_MS)
        true = run.true_points("aircon")[1]
        load_mw = run.snapshot.load_mw  # type: ignore[union-attr]
        run.run(start_ms + minute * MINUTE_MS + SECOND_MS)
        shown = watcher.shown[start_ms + minute * MINUTE_MS]
        good = shown["aircon"].quality == Quality.GOOD
        assert good.sum() > 0.8 * len(good)
        # Class error and resolution of the thermometer, no lag.
        point = run.kinds["aircon"].points[1]
        error = np.abs(shown["aircon"].value[1] - true)[good]
        span = point.high - point.low
        assert error.max() <= point.accuracy * span + point.resolution
        assert shown["city"].value[0, 0] == pytest.approx(load_mw, rel=1e-3, abs=0.1)


# -- notices -----------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    seconds=st.lists(st.integers(0, 239), min_size=1, max_size=5),
    stops=st.lists(st.integers(1, 239), max_size=4, unique=True),
)
def test_every_notice_is_told_once_and_at_once(
    tiny: Built, seconds: list[int], stops: list[int]
) -> None:
    world, watcher = tiny.world, Watcher()
    start_ms = world.start_ms
    entries = [notice(tiny, start_ms + s * SECOND_MS, f"{i}", i) for i, s in enumerate(seconds)]
    world = replace(world, timeline=sort_timeline(entries))
    sites = Sites(tiny.sites, world.demand.site_weight, {}, world.seed)
    run = Simulation(world, {}, sites, None, {}, started(tiny, watcher), None)
    for stop in sorted(stops):
        run.run(start_ms + stop * SECOND_MS)
    run.run(start_ms + 240 * SECOND_MS)
    expected = sorted((start_ms + s * SECOND_MS, i) for i, s in enumerate(seconds))
    assert watcher.told == [(at, f"{i}") for at, i in expected]
    periods = {start_ms + k * MINUTE_MS for k in range(4)}
    assert set(watcher.shown) == periods | {at for at, _ in expected}


def test_a_notice_within_a_minute_disturbs_no_record(tiny: Built) -> None:
    """The logic is woken, and nothing else changes: not even the minute's physics."""
    start_ms = tiny.world.start_ms
    watcher = Watcher()
    run = watched([notice(tiny, start_ms + 90 * SECOND_MS, "a")], watcher)
    plain = watched([], Watcher())
    for each in (run, plain):
        each.run(start_ms + 3 * MINUTE_MS)
    assert watcher.told == [(start_ms + 90 * SECOND_MS, "a")]
    assert list(watcher.shown) == [start_ms + s * SECOND_MS for s in (0, 60, 90, 120)]
    for name, kind in run.kinds.items():
        assert kind.state.digest() == plain.kinds[name].state.digest()
    assert history_of(run).filled == 3


def test_a_fork_hears_its_own_notice_and_the_run_does_not(tiny: Built) -> None:
    start_ms, at_ms = tiny.world.start_ms, tiny.world.start_ms + 90 * SECOND_MS
    watcher, heir = Watcher(), Watcher()
    run = watched([notice(tiny, start_ms + MINUTE_MS, "known")], watcher)
    run.run(at_ms)
    fork = run.fork(started(tiny, heir), [notice(tiny, at_ms, "own")])
    for each in (fork, run):
        each.run(start_ms + 3 * MINUTE_MS)
    assert watcher.told == [(start_ms + MINUTE_MS, "known")]
    assert heir.told == [(at_ms, "own")]
    assert [o.id for o in heir.book.live()] == ["known", "own"]


# -- the timeline ------------------------------------------------------------------------------

keys = st.tuples(*[st.integers(0, 3)] * 5)


@given(st.lists(keys, max_size=12, unique=True), st.randoms())
def test_the_timeline_is_sorted_whatever_the_order_of_its_making(
    rows: list[tuple[int, ...]], shuffler: object
) -> None:
    entries = [Entry(*row, BranchOutage(str(row))) for row in rows]  # type: ignore[arg-type]
    mixed = list(entries)
    shuffler.shuffle(mixed)  # type: ignore[attr-defined]
    expected = tuple(Entry(*row, BranchOutage(str(row))) for row in sorted(rows))  # type: ignore[arg-type]
    found = sort_timeline(mixed)
    assert found == expected
    assert [e.what for e in found] == [e.what for e in expected]


@pytest.mark.parametrize("turned", [False, True])
def test_at_one_millisecond_the_number_decides(tiny: Built, turned: bool) -> None:
    at_ms = tiny.world.start_ms + MINUTE_MS
    entries = [
        contact(at_ms, 1.0, restored=False, number=1),
        contact(at_ms, 1.0, restored=True, number=2),
    ]
    run = watched(entries[::-1] if turned else entries, Watcher())
    run.run(at_ms + SECOND_MS)
    assert run.channels["storage"].state["contact"].all()


def test_a_disturbance_precedes_the_digest_of_its_moment(tiny: Built) -> None:
    at_ms = tiny.world.start_ms + MINUTE_MS
    watcher = Watcher()
    run = watched([contact(at_ms, 1.0, restored=False)], watcher)
    run.run(at_ms + SECOND_MS)
    assert (watcher.shown[at_ms]["storage"].quality != Quality.GOOD).all()
    assert (watcher.shown[at_ms - MINUTE_MS]["storage"].quality == Quality.GOOD).any()


# -- contact -----------------------------------------------------------------------------------


def test_lost_contact_leaves_old_readings_and_loses_writes(tiny: Built) -> None:
    start_ms = tiny.world.start_ms
    n = tiny.world.nameplates["storage"].n
    lost_ms, back_ms = start_ms + 2 * MINUTE_MS, start_ms + 4 * MINUTE_MS
    order = [write("storage", "power_kw", n, 0.0)]
    watcher = Watcher({start_ms + i * MINUTE_MS: order for i in (1, 3, 5)})
    entries = [contact(lost_ms, 1.0, restored=False), contact(back_ms, 1.0, restored=True)]
    run = watched(entries, watcher)
    run.run(start_ms + 6 * MINUTE_MS)

    shown = {i: watcher.shown[start_ms + i * MINUTE_MS]["storage"] for i in range(6)}
    heard = (shown[1].time_ms == start_ms + MINUTE_MS) & (shown[4].time_ms == back_ms)
    assert heard.sum() >= 4  # the rest never answers, or this poll was lost
    for i in (2, 3):
        assert shown[i].value[:, heard].tobytes() == shown[1].value[:, heard].tobytes()
        assert (shown[i].time_ms[heard] == start_ms + MINUTE_MS).all()
        assert (shown[i].quality[heard] == Quality.STALE).all()
    assert (shown[4].quality[heard] == Quality.GOOD).all()

    log = history_of(run).events("commands")
    outcome = {i: log["outcome"][log["now_ms"] == start_ms + i * MINUTE_MS] for i in (1, 3, 5)}
    assert (outcome[3] == Outcome.LOST).all()
    assert (outcome[1][heard] == Outcome.ACCEPTED).all()
    assert (outcome[5][heard] == Outcome.ACCEPTED).all()
    assert log["number"].tolist() == np.repeat([0, 1, 2], n).tolist()


def test_who_loses_contact_is_keyed_and_comes_back_whole(tiny: Built) -> None:
    loss = ContactLoss("x", "terminal", 0.3)
    rows = loss.rows(5_000, 1)
    assert rows.tolist() == replace(loss, restored=True).rows(5_000, 1).tolist()
    assert len(rows) == pytest.approx(1_500, abs=150)
    assert rows.tolist() != loss.rows(5_000, 2).tolist()
    assert rows.tolist() != replace(loss, name="y").rows(5_000, 1).tolist()
    assert replace(loss, share=0.0).rows(50, 1).tolist() == []
    assert replace(loss, share=1.0).rows(50, 1).tolist() == list(range(50))


# -- set-points --------------------------------------------------------------------------------


def test_a_write_is_refused_row_by_row_and_logged(tiny: Built) -> None:
    start_ms = tiny.world.start_ms
    n = tiny.world.nameplates["charging"].n
    rated = tiny.world.nameplates["charging"].f8("rated_kw")
    values = np.where(np.arange(n) % 2 == 0, 0.5 * rated, 9.0 * rated)
    watcher = Watcher({start_ms: [SetPoint("charging", "limit_kw", np.arange(n), values)]})
    run = watched([], watcher)
    run.run(start_ms + MINUTE_MS)
    log = history_of(run).events("commands")
    reached = run.channels["charging"].reachable()
    expected = np.where(np.arange(n) % 2 == 0, Outcome.ACCEPTED, Outcome.REFUSED)
    assert log["outcome"].tolist() == np.where(reached, expected, Outcome.LOST).tolist()
    assert log["value"].tolist() == values.tolist()
    assert (log["kind"] == 3).all()


@pytest.mark.parametrize("second", [0, 30])
def test_tripping_a_circuit_takes_its_devices_with_it_at_once(tiny: Built, second: int) -> None:
    at_ms = tiny.world.start_ms + MINUTE_MS + second * SECOND_MS
    n = tiny.world.nameplates["terminal"].n
    trip = [write("terminal", f"circuit_{i}", n, 0.0) for i in range(1, 5)]
    run = watched([notice(tiny, at_ms, "a")], Watcher({at_ms: trip}))
    run.run(at_ms + SECOND_MS)
    answers = run.channels["terminal"].reachable()
    row = run.sites.terminal_row
    met = 0
    for name, kind in run.kinds.items():
        if name == "terminal":
            continue
        site, circuit = kind.registered.i8("site"), kind.registered.i8("circuit")
        dark = (circuit >= 0) & (row[site] >= 0) & answers[row[site]]
        assert (kind.state["supplied"] == ~dark).all(), name
        assert (kind.power_kw[dark] == 0.0).all(), name
        met += int(dark.sum())
    assert met > 0


# -- the network -------------------------------------------------------------------------------


def test_a_branch_trips_and_comes_back_by_timeline(tiny: Built) -> None:
    start_ms = tiny.world.start_ms
    names = tiny.network.branches.name
    feeder = next(i for i, name in enumerate(names) if " 10 kV" in str(name))
    entries = [
        Entry(start_ms + m * MINUTE_MS, Phase.DISTURB, 1, 0, 1, BranchOutage(str(names[feeder]), r))
        for m, r in ((2, False), (4, True))
    ]
    run, plain = idle_run(entries), idle_run()
    out = []
    for minute in range(1, 7):
        for each in (run, plain):
            each.run(start_ms + minute * MINUTE_MS)
        assert run.grid is not None
        out.append(run.grid.branches_out.tolist())
    assert out == [[], [], [feeder], [feeder], [], []]
    here, there = (history_of(r).series("load_mw") for r in (run, plain))
    assert here[:2].tolist() == there[:2].tolist()
    assert (here[2:4] < there[2:4]).all()  # what hung on it is not supplied
    np.testing.assert_allclose(here[5], there[5], rtol=2e-3)  # regulators may stand elsewhere
    assert history_of(run).series("converged").all()
