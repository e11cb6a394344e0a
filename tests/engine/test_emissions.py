"""Emission factors in a run's record, forks among them; outages as a logic hears of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from tests.engine.tiny_city import MINUTE_MS, first_run, history_of, idle_run, started
from twin.control.logic import BaseLogic
from twin.control.platform import Platform
from twin.engine.emissions import EMISSION_SCALARS
from twin.engine.timeline import BranchOutage, Entry, Phase
from twin.record.exchange import Actions, Reading
from twin.record.orders import News, OutageNotice
from twin.scenario.build import Built


def outage(tiny: Built, minute: int, second: int, *, restored: bool) -> Entry:
    """An entry for one of the two circuits of the infeed."""
    name = next(str(b) for b in tiny.network.branches.name if "infeed" in str(b))
    at_ms = tiny.world.start_ms + minute * MINUTE_MS + second * 1_000
    return Entry(at_ms, Phase.DISTURB, 1, 0, int(restored), BranchOutage(name, restored))


class Listener(BaseLogic):
    """Writes down what it hears and when."""

    heard: list[tuple[int, News]]

    def start(self, *known: object) -> None:
        super().start(*known)  # type: ignore[arg-type]
        self.heard = []

    def plan(self, now_ms: int) -> Sequence[str]:
        return ()

    def digest(
        self, now_ms: int, readings: Mapping[str, Reading], notices: Sequence[News]
    ) -> Actions:
        self.heard += [(now_ms, notice) for notice in notices]
        return super().digest(now_ms, readings, notices)


def test_an_outage_is_heard_at_the_next_digest_and_once(tiny: Built) -> None:
    trip = outage(tiny, 1, 30, restored=False)
    back = outage(tiny, 3, 0, restored=True)
    run = first_run(Listener(), (trip, back))
    start = tiny.world.start_ms
    run.run(start + 2 * MINUTE_MS + 1_000)
    assert isinstance(run.logic, Listener)
    name = trip.what.branch  # type: ignore[union-attr]
    told = (start + 2 * MINUTE_MS, OutageNotice(trip.now_ms, name))
    assert run.logic.heard == [told]
    fork = run.fork(started(tiny, Listener()))
    for each, before in ((run, [told]), (fork, [])):
        each.run(start + 5 * MINUTE_MS)
        assert isinstance(each.logic, Listener)
        news = (back.now_ms, OutageNotice(back.now_ms, name, restored=True))
        assert each.logic.heard == [*before, news]
    assert run.grid is not None
    assert len(run.grid.branches_out) == 0


def test_the_platform_takes_an_outage_for_no_order(tiny: Built) -> None:
    run = first_run(Platform(), (outage(tiny, 1, 0, restored=False),))
    run.run(tiny.world.start_ms + 3 * MINUTE_MS)
    assert isinstance(run.logic, Platform)
    assert run.logic.book.live() == ()


def test_what_is_drawn_and_lost_is_what_burns(tiny: Built) -> None:
    run = idle_run()
    run.run(tiny.world.start_ms + 9 * MINUTE_MS)
    history = history_of(run)
    burnt, lost, _ = (history.series(name) for name in EMISSION_SCALARS)
    factor = np.asarray(history.table("district.factor"))
    load = np.asarray(history.table("district.load_mw"))
    assert np.isfinite(burnt).all()
    for minute in (0, 7):  # the first one, and the middle of the quarter
        drawn = float(load[minute] @ factor[minute])
        assert drawn + lost[minute] == pytest.approx(burnt[minute], rel=1e-4)
    assert lost[1] == lost[6] != lost[7] == lost[8]  # held in between


def test_a_fork_goes_on_with_the_same_factors(tiny: Built) -> None:
    run = idle_run()
    run.run(tiny.world.start_ms + 5 * MINUTE_MS)
    fork = run.fork(started(tiny, BaseLogic()))
    for each in (run, fork):
        each.run(tiny.world.start_ms + 12 * MINUTE_MS)
    one, other = history_of(run), history_of(fork)
    for name in EMISSION_SCALARS:
        assert one.series(name).tobytes() == other.series(name).tobytes()
    tables = (np.ascontiguousarray(h.table("district.factor")) for h in (one, other))
    assert next(tables).tobytes() == next(tables).tobytes()


def test_the_logic_gets_the_network_once_for_all_forks(tiny: Built) -> None:
    view = tiny.calendar().network
    assert view is not None
    assert view is tiny.calendar().network
    assert view.ptdf.shape[1] == tiny.network.n_busbar == tiny.world.inventory.kinds["busbar"].n
    assert set(view.branch) <= set(tiny.network.branches.name)
    drawn = tiny.city.target_demand_mw.sum(axis=(0, 1)).reshape(96, 15).mean(axis=1)
    np.testing.assert_allclose(view.expected_demand_mw.sum(axis=0), drawn)
