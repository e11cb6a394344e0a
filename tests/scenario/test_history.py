"""Days before the event: what the scenario may say, what is metered, who games."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from twin.assets import KINDS
from twin.clock import DAY_MS, HOUR_MS
from twin.control.logic import BaseLogic
from twin.control.platform import Platform
from twin.engine.meter_sink import MeterSink
from twin.engine.simulation import Simulation
from twin.errors import InputProblems
from twin.record.metering import MeterHistory
from twin.scenario.build import Built, build, calibrated
from twin.scenario.cache import read_arrays
from twin.scenario.files import find_scenario, load_scenario
from twin.scenario.history_run import coarse
from twin.scenario.warm_start import warmed

PATH = find_scenario("tiny")
GAMING = """
[[gaming]]
share = 0.5
when = ["days", "same_day"]
at = "12:00"
until = "16:00"
same_day_h = 2.0

[[gaming]]
share = 0.5
sector = "tertiary"
uplift = 0.3
"""


def made(*assignments: str) -> Built:
    return build(load_scenario(PATH, list(assignments)), PATH)


def with_gaming(tmp_path: Path, text: str, *assignments: str) -> Built:
    path = tmp_path / "scenario.toml"
    path.write_text(PATH.read_text("utf-8") + text, "utf-8")
    return build(load_scenario(path, list(assignments)), path)


@cache
def past() -> Built:
    """Tiny, a Thursday, with one day of history; calibrated as it is without."""
    return warmed(calibrated(made("history.days=1", "start=00:00")))


# -- what may be said ----------------------------------------------------------------------------


def problems(tmp_path: Path, text: str, *assignments: str) -> list[str]:
    with pytest.raises(InputProblems) as caught:
        with_gaming(tmp_path, text, *assignments)
    return [f"{p.place} {p.allowed}" for p in caught.value.problems]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = (
        "[[gaming]]\nshare = 0.0\nuplift = 3.0\n"
        "[[gaming]]\nat = '13:00'\nuntil = '12:00'\nwhen = ['days', 'days']\n"
    )
    found = problems(tmp_path, text, "history.days=31", "history.tick_s=7")
    places = " | ".join(found)
    for place in ("history.days", "history.tick_s", "gaming.0.share", "gaming.0.uplift"):
        assert place in places
    assert "gaming.1 until must come after at" in places
    assert "gaming.1 when must name" in places


def test_gaming_needs_something_to_game(tmp_path: Path) -> None:
    found = " | ".join(problems(tmp_path, "[[gaming]]\nwhen = ['days', 'same_day']\n", "orders=[]"))
    assert "gaming.0 needs days to game: history.days above 0" in found
    assert "gaming.0 on the same_day needs a demand_response order" in found


def test_gaming_needs_somebody(tmp_path: Path) -> None:
    text = "[[gaming]]\nsector = 'residential'\nkind = 'shorepower'\n"
    assert problems(tmp_path, text, "history.days=1") == ["gaming.0 at least one enrolled site"]


# -- what is metered -----------------------------------------------------------------------------


def test_meters_of_enrolled_sites_are_kept() -> None:
    built = past()
    history = built.history
    assert isinstance(history, MeterHistory)
    enrolled = built.sites.flag("enrolled")
    assert history.demand_kw.shape == (1, 96, built.sites.n)
    assert np.isfinite(history.demand_kw[:, :, enrolled]).all()
    assert np.isnan(history.demand_kw[:, :, ~enrolled]).all()
    assert history.workday.tolist() == [True]
    assert history.day.tolist() == [-1]
    assert built.calendar().history is history
    assert built.calendar().workday is True


def test_a_quarter_is_the_mean_of_its_minutes() -> None:
    built = past()
    rows = np.array([3, 1, 7])
    run = warm(built, MeterSink(1, rows))
    minutes = []
    for minute in range(1, 31):
        run.run(-HOUR_MS + minute * 60_000)
        minutes.append(run.sites.state["demand_kw"][rows].copy())
    sink = run.recorder
    assert isinstance(sink, MeterSink)
    quarters = np.array(minutes).reshape(2, 15, 3).mean(axis=1)
    np.testing.assert_allclose(sink.demand_kw[0, 92:94], quarters, rtol=1e-6)
    assert np.isnan(sink.demand_kw[0, :92]).all()
    other = sink.fork()
    run.run(0)
    run.run(HOUR_MS)  # the event's day is not a day before
    assert np.isfinite(sink.demand_kw[0, 92:]).all()
    assert np.isnan(other.demand_kw[0, 94:]).all()


def warm(built: Built, sink: MeterSink, tick_s: int = 60) -> Simulation:
    """Return a run an hour before midnight, with fresh devices."""
    world = replace(built.world, timeline=())
    run = built.simulation(world, -HOUR_MS, with_grid=False, sorts=coarse(KINDS, tick_s))
    run.recorder = sink
    return run


def test_coarse_steps_change_no_meter_by_much() -> None:
    built = past()
    rows = np.flatnonzero(built.sites.flag("enrolled"))
    found = []
    for tick_s in (1, 60):
        sink = MeterSink(1, rows)
        warm(built, sink, tick_s).run(0)
        found.append(sink.demand_kw[0, 92:].sum(axis=1))
    assert found[0] == pytest.approx(found[1], rel=2e-3)
    assert (found[0] != found[1]).any()  # they are two computations


def test_rest_days_are_quieter() -> None:
    world = calibrated(made("history.days=5")).world
    demand, noon = world.demand, 12 * HOUR_MS
    curve = {day: demand.curve_at(noon + day * DAY_MS, 1.0) for day in (-6, -5, -1)}
    plain = {d: demand.free_at(noon) + demand.aircon_at(noon + d * DAY_MS) for d in curve}
    for day in (-6, -1):  # Friday, Wednesday
        assert world.environment(day * DAY_MS).workday
        np.testing.assert_allclose(curve[day], plain[day])
    assert not world.environment(-4 * DAY_MS - 1).workday
    np.testing.assert_allclose(curve[-5][0], 0.88 * plain[-5][0])
    np.testing.assert_allclose(curve[-5][1], 0.90 * plain[-5][1])
    assert not np.allclose(plain[-6], plain[-1])  # the weather is another one


def test_the_day_goes_on_from_the_days_before_and_forks_to_the_same_bits() -> None:
    built = past()

    def started() -> Platform:
        logic = Platform()
        logic.start(built.world.inventory, built.calendar())
        return logic

    run = built.start(Platform())
    run.run(20 * 60_000)
    other = run.fork(started())
    for each in (run, other):
        each.run(40 * 60_000)
    assert run.digest() == other.digest()
    today = run.logic.customers.today.kw()  # type: ignore[union-attr]
    assert np.isfinite(today[:2]).any()


# -- who games -----------------------------------------------------------------------------------


def test_gamers_raise_host_load_on_workdays_and_before_the_order(tmp_path: Path) -> None:
    built = with_gaming(tmp_path, GAMING, "history.days=6")
    world = built.world
    first, second = world.gaming
    enrolled = np.flatnonzero(built.sites.flag("enrolled"))
    assert set(first.rows) <= set(enrolled)
    assert not set(first.rows) & set(second.rows)
    assert len(first.rows) == round(0.5 * len(enrolled))
    assert (built.sites.i8("sector")[second.rows] == 1).all()
    # The event is on a Thursday: -4 is a Sunday. The order starts at 13:10.
    noon = 12 * HOUR_MS
    for day in range(-6, 0):
        factor = world.uplift_at(day * DAY_MS + noon)
        works = day not in (-4, -5)
        assert (factor is not None) is works
        if factor is not None:
            assert factor[first.rows] == pytest.approx(1.15)
            assert factor[second.rows] == pytest.approx(1.3)
            assert (np.delete(factor, [*first.rows, *second.rows]) == 1.0).all()
    morning = world.uplift_at(-DAY_MS + HOUR_MS)
    assert morning is not None
    assert (morning[first.rows] == 1.0).all()
    for at, games in ((11 * HOUR_MS, False), (noon, True), (13 * HOUR_MS + 600_000, False)):
        factor = world.uplift_at(at)
        assert (factor is not None) is games
        if factor is not None:
            assert (factor[second.rows] == 1.0).all()
    who = world.gamers()
    assert who is not None
    assert (who[first.rows] == 0).all()
    assert (who[second.rows] == 1).all()
    assert (who >= 0).sum() == len(first.rows) + len(second.rows)


def test_without_history_nothing_is_added() -> None:
    world = made().world
    assert world.days is None
    assert world.demand.activity is None
    assert world.gamers() is None
    assert world.uplift_at(0) is None
    assert len(world.weather.temperature_c) == 2881


# -- who watches the day before ------------------------------------------------------------------


def test_who_watches_learns_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # The day is run anew from the state at its begin, whatever an earlier run has kept.
    monkeypatch.setattr(
        "twin.scenario.warm_start.read_arrays",
        lambda name: None if name.startswith("watched-") else read_arrays(name),
    )
    plain, watched = past(), warmed(past(), Platform)
    assert plain.watched is None
    assert watched.watched is not None
    assert plain.warm is not None
    assert watched.warm is not None
    for name, values in plain.warm.items():
        if name.startswith(("kind.", "sites", "grid")):
            np.testing.assert_array_equal(watched.warm[name], values, name)
    np.testing.assert_array_equal(
        watched.history.demand_kw,
        plain.history.demand_kw,  # type: ignore[union-attr]
    )
    logic = Platform()
    logic.start(watched.world.inventory, watched.calendar())
    assert np.isfinite(logic.habits.usual("aircon")).all()
    assert logic.habits.usual("aircon").sum() > 0.0
    swaps = [logic.adjustable.plans.at("swap", h * HOUR_MS) for h in range(24)]
    assert np.isfinite(swaps).mean() > 0.9


def test_without_a_history_or_a_watcher_nobody_watches() -> None:
    assert warmed(past(), BaseLogic).watched is None
    assert warmed(calibrated(made()), Platform).watched is None
