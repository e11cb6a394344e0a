"""Charging stations held to their promises and to FACTS' session figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assets.process_world import (
    HOUR_MS,
    MINUTE_MS,
    fleet,
    live,
    points,
    same_bits,
    warm_fork,
    world,
    write,
)  # fmt: skip
from twin.assets.charging import FAST, Charging
from twin.assets.kind import COMMON_ROWS
from twin.assets.remote import REMOTE_ROWS
from twin.errors import RunBroken
from twin.kernels import charge, session
from twin.record.columns import Columns
from twin.record.exchange import Outcome


def stations(n: int = 24, **changes: object) -> Columns:
    use = np.arange(n) % 3
    posts = 6 + (5 * np.arange(n)) % 13
    post_kw = np.choose(use, [90.0, 80.0, 7.0])
    values: dict[str, object] = {
        "posts": posts,
        "post_kw": post_kw,
        "v2g_kw": np.where((use > 0) & (np.arange(n) % 2 == 0), 0.4 * posts * post_kw, 0.0),
        "use": use,
    }
    return fleet(n, posts * post_kw, **{**values, **changes})


def warmed(seed: int = 1, hour: int = 12, columns: Columns | None = None) -> Charging:
    if columns is None:
        return warm_fork(Charging, stations, hour, seed)
    kind = Charging(columns, seed)
    kind.warm(world(hour * HOUR_MS, seed))
    return kind


def book(kind: Charging, start_ms: int, minutes: int) -> dict[str, np.ndarray]:
    """Run and gather every session that ended."""
    parts = []
    for i in range(minutes):
        live(kind, start_ms + i * MINUTE_MS, 1)
        parts.append(kind.drain())
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def test_rows_begin_as_every_kinds_do() -> None:
    assert charge.STATION_ROWS[:9] == (*COMMON_ROWS, *REMOTE_ROWS, *Charging.held)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 4), share=st.floats(0.0, 1.0), feed=st.floats(0.0, 1.0))
def test_energy_closes_over_a_day(seed: int, share: float, feed: float) -> None:
    kind = warmed(seed, 0)
    s = kind.state

    def in_cars() -> float:
        return float(s["sessions"][session.GOT].sum())

    start, left_kwh = in_cars(), 0.0
    for hour in range(24):
        if 10 <= hour < 20:
            write(kind, "limit_kw", share * kind.rated_kw, hour * HOUR_MS)
            write(kind, "v2g_kw", feed * kind.v2g_rated_kw, hour * HOUR_MS)
        live(kind, hour * HOUR_MS, 60)
        left_kwh += float(kind.drain()["got_kwh"].sum())
    drawn, fed = s["drawn_kwh"], s["fed_kwh"]
    scale = drawn.sum()
    assert scale > 0.0
    closing = np.abs(drawn - fed - s["into_cars_kwh"] - s["loss_kwh"])
    assert closing.max() <= 1e-9 * scale
    assert np.abs(s["energy_kws"] / 3600.0 + drawn - fed).max() <= 1e-9 * scale
    # The vehicles' own account: what stood and came in equals what left and stands.
    assert s["into_cars_kwh"].sum() == pytest.approx(left_kwh + in_cars() - start, rel=1e-9)
    assert (s["loss_kwh"] >= 0.0).all()


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=5, unique=True), seed=st.integers(0, 4))
def test_a_minute_may_be_cut_at_will(cuts: list[int], seed: int) -> None:
    edges = [0, *sorted(cuts), 60]
    one, other = warmed(seed), warmed(seed)
    for kind in (one, other):
        write(kind, "limit_kw", 0.3 * kind.rated_kw, 12 * HOUR_MS)
    live(one, 12 * HOUR_MS, 5)
    live(other, 12 * HOUR_MS, 5, tuple(np.diff(edges).tolist()))
    assert same_bits(one, other)


def test_seconds_on_the_wire_give_the_same_bits() -> None:
    one, other = warmed(), warmed()
    live(one, 12 * HOUR_MS, 3)
    live(other, 12 * HOUR_MS, 3, (1,) * 60)
    assert same_bits(one, other)


def test_a_fork_goes_on_alike_and_alone() -> None:
    kind = warmed()
    live(kind, 12 * HOUR_MS, 7)
    other = kind.fork()
    before = kind.state.digest()
    live(other, 12 * HOUR_MS + 7 * MINUTE_MS, 20)
    assert kind.state.digest() == before
    live(kind, 12 * HOUR_MS + 7 * MINUTE_MS, 20)
    assert same_bits(kind, other)


def test_chance_does_not_depend_on_commands() -> None:
    free, limited = warmed(), warmed()
    write(limited, "limit_kw", 0.2 * limited.rated_kw, 12 * HOUR_MS)
    seen = [book(kind, 12 * HOUR_MS, 300) for kind in (free, limited)]
    asked = [dict(zip(s["number"].tolist(), s["asked_kwh"].tolist(), strict=True)) for s in seen]
    both = asked[0].keys() & asked[1].keys()
    assert len(both) > 0.9 * len(asked[0])
    assert all(asked[0][k] == asked[1][k] for k in both)
    assert seen[0]["touched"].sum() == 0
    assert seen[1]["touched"].sum() > 0


def test_a_public_session_is_like_chinas_of_2024() -> None:
    """20-28 kWh in 35-50 minutes (general knowledge, China 2024)."""
    kind = warmed(hour=0, columns=stations(60, use=FAST, post_kw=90.0, v2g_kw=0.0))
    ended = book(kind, 0, 1440)
    kept = ended["got_kwh"] > 0.0
    minutes = (ended["now_ms"] - ended["arrive_ms"])[kept] / MINUTE_MS
    assert kept.sum() > 3000
    assert 20.0 <= ended["got_kwh"][kept].mean() <= 28.0
    assert 35.0 <= minutes.mean() <= 50.0


def test_power_is_constant_then_tapers() -> None:
    assert session.taper_power(0.5, 60.0, 0.7, 3.0) == 60.0
    at = [session.taper_power(s, 60.0, 0.7, 3.0) for s in (0.75, 0.85, 0.95, 1.0)]
    assert at == sorted(at, reverse=True)
    assert at[-1] == pytest.approx(6.0)


@settings(max_examples=60, deadline=None)
@given(soc=st.floats(0.0, 0.95), part=st.floats(0.01, 1.0), top=st.floats(5.0, 120.0))
def test_shortest_time_is_the_integral(soc: float, part: float, top: float) -> None:
    need = part * (1.0 - soc) * 60.0
    hours = session.shortest_h(soc, need, 60.0, (top, 0.7, 3.0))
    ends = np.linspace(soc, soc + need / 60.0, 4001)
    power = np.array([session.taper_power(s, top, 0.7, 3.0) for s in 0.5 * (ends[1:] + ends[:-1])])
    assert hours == pytest.approx((60.0 * np.diff(ends) / power).sum(), rel=1e-4)


def test_promises_are_kept_at_the_reported_minimum() -> None:
    """A station that follows its own minimum_kw minute by minute lets nobody down."""
    kind = warmed()
    ended = []
    for i in range(240):
        now_ms = 12 * HOUR_MS + i * MINUTE_MS
        kind.minute(world(now_ms))
        least = points(kind)["minimum_kw"]
        write(kind, "limit_kw", np.minimum(1.001 * least + 0.5, kind.rated_kw), now_ms)
        kind.step(now_ms, 60, world(now_ms))
        ended.append(kind.drain())
    asked = np.concatenate([e["asked_kwh"] for e in ended])
    got = np.concatenate([e["got_kwh"] for e in ended])
    served = got > 0.0
    assert served.sum() > 100
    assert 1.0 - got[served].sum() / asked[served].sum() < 0.002


def test_without_limit_every_promise_is_kept() -> None:
    ended = book(warmed(), 12 * HOUR_MS, 720)
    served = ended["got_kwh"] > 0.0
    assert ended["got_kwh"][served] == pytest.approx(ended["asked_kwh"][served], rel=1e-6)


def test_the_cap_holds_and_the_most_urgent_come_first() -> None:
    kind = warmed(hour=13)
    write(kind, "limit_kw", 0.05 * kind.rated_kw, 13 * HOUR_MS)
    demand = live(kind, 13 * HOUR_MS, 10)
    assert (demand <= 0.05 * kind.rated_kw * (1.0 + 1e-12)).all()
    wish, urgency = np.array([50.0, 50.0, 50.0]), np.array([0.2, 0.9, 1.5])
    session.share_power(wish, urgency, 3, 60.0)
    assert wish == pytest.approx([0.0, 10.0, 50.0])
    wish = np.array([50.0, 50.0, 50.0])
    session.share_power(wish, np.array([0.2, 0.6, 0.4]), 3, 100.0)
    assert wish.sum() == pytest.approx(100.0)
    assert (wish > [10.0, 30.0, 20.0]).all()


def test_vehicles_feed_in_as_far_as_their_promise_allows() -> None:
    kind = warmed(hour=20)
    start = points(kind)["v2g_available_kw"]
    assert start.sum() > 0.0
    assert (start[kind.v2g_rated_kw == 0.0] == 0.0).all()
    fed_kw, asked_kwh, got_kwh = 0.0, 0.0, 0.0
    for minute in range(0, 12 * 60):
        now_ms = 20 * HOUR_MS + minute * MINUTE_MS
        if minute in (0, 59):
            write(kind, "v2g_kw", kind.v2g_rated_kw, now_ms)
        if minute == 118:
            write(kind, "release", 1.0, now_ms)
        ended = book(kind, now_ms, 1)
        fed_kw = max(fed_kw, float(kind.power_kw.max()))
        touched = (ended["touched"] > 0.0) & (ended["got_kwh"] > 0.0)
        asked_kwh += ended["asked_kwh"][touched].sum()
        got_kwh += ended["got_kwh"][touched].sum()
    assert asked_kwh > 1000.0
    assert got_kwh >= 0.99 * asked_kwh
    assert fed_kw > 0.0
    assert kind.state["fed_kwh"].sum() > 0.0


def test_feeding_in_keeps_the_export_limit() -> None:
    kind = warmed(hour=20)
    kind.state["limit_high_kw"] = 0.0
    write(kind, "v2g_kw", kind.v2g_rated_kw, 20 * HOUR_MS)
    live(kind, 20 * HOUR_MS, 2)
    assert kind.state["fed_kwh"].sum() == 0.0


def test_site_limit_and_lost_supply() -> None:
    kind = warmed(hour=13)
    kind.state["limit_low_kw"] = -10.0
    assert (live(kind, 13 * HOUR_MS, 2) <= 10.0 + 1e-9).all()
    kind.state["supplied"] = 0.0
    assert (live(kind, 13 * HOUR_MS + 2 * MINUTE_MS, 2) == 0.0).all()
    assert points(kind)["connected"].sum() > 0.0


def test_inner_step_does_not_matter() -> None:
    """10 s against 1 s: fleet power within 0.5 % of its peak at every minute, energy 0.1 %."""
    coarse, fine = warmed(hour=10), warmed(hour=10)
    fine.step_s = 1  # type: ignore[misc]
    for kind in (coarse, fine):
        write(kind, "limit_kw", 0.25 * kind.rated_kw, 10 * HOUR_MS + 30 * MINUTE_MS)
    a, b = (live(kind, 10 * HOUR_MS, 180).sum(axis=1) for kind in (coarse, fine))
    assert np.abs(a - b).max() <= 0.005 * a.max()
    assert a.sum() == pytest.approx(b.sum(), rel=1e-3)


def test_remote_mode_ends_by_release_or_silence() -> None:
    kind = warmed()
    assert (write(kind, "limit_kw", 0.5 * kind.rated_kw, 12 * HOUR_MS) == Outcome.ACCEPTED).all()
    assert points(kind)["remote"].all()
    write(kind, "release", 1.0, 12 * HOUR_MS, [0])
    kind.minute(world(13 * HOUR_MS - MINUTE_MS))
    seen = points(kind)
    assert seen["limit_kw"][0] == kind.rated_kw[0]
    assert seen["limit_kw"][1] == 0.5 * kind.rated_kw[1]
    kind.minute(world(13 * HOUR_MS))
    assert (points(kind)["limit_kw"] == kind.rated_kw).all()
    assert not points(kind)["remote"].any()


@pytest.mark.parametrize("value", [-1.0, 1e9, np.nan])
def test_nonsense_is_refused(value: float) -> None:
    kind = warmed()
    before = kind.state.digest()
    assert (write(kind, "limit_kw", value, 0) == Outcome.REFUSED).all()
    assert kind.state.digest() == before


def test_no_v2g_where_there_is_none() -> None:
    kind = warmed()
    outcome = write(kind, "v2g_kw", 1.0, 0)
    assert ((outcome == Outcome.REFUSED) == (kind.v2g_rated_kw == 0.0)).all()


def test_ended_sessions_are_booked_after_the_minute_began() -> None:
    """So a fork between two minutes counts none twice (History.events cuts at the fork)."""
    kind = warmed()
    for i in range(60):
        now_ms = 12 * HOUR_MS + i * MINUTE_MS
        live(kind, now_ms, 1)
        ended = kind.drain()["now_ms"]
        assert ((ended > now_ms) & (ended <= now_ms + MINUTE_MS)).all()


def test_who_finds_no_post_drives_on() -> None:
    kind = warmed(hour=20, columns=stations(30, posts=1))
    ended = book(kind, 20 * HOUR_MS, 300)
    assert (ended["got_kwh"] == 0.0).any()
    assert kind.state["connected"].max() <= 1.0


def test_forgetting_to_drain_is_an_error() -> None:
    kind = warmed()
    kind.state["ended_count"] = kind.state["ended"].shape[1] - 1
    with pytest.raises(RunBroken, match="drained"):
        kind.minute(world(12 * HOUR_MS))
