"""Shore power: ships come by chance only, the flexible part is deferred and paid back."""

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
    write,
)  # fmt: skip
from twin.assets.kind import COMMON_ROWS
from twin.assets.remote import REMOTE_ROWS
from twin.assets.shorepower import ShorePower
from twin.kernels import berth
from twin.record.columns import Columns


def berths(n: int = 20) -> Columns:
    i = np.arange(n)
    return fleet(n, np.where(i % 2 == 0, 2000.0, 600.0), flexible_share=0.1 + 0.01 * i)


def warmed(hour: int = 13, seed: int = 1) -> ShorePower:
    return warm_fork(ShorePower, berths, hour, seed)


def test_rows_begin_as_every_kinds_do() -> None:
    assert berth.BERTH_ROWS[:8] == (*COMMON_ROWS, *REMOTE_ROWS, *ShorePower.held)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 4), share=st.floats(0.0, 1.0))
def test_energy_closes_over_a_day(seed: int, share: float) -> None:
    kind = warmed(0, seed)
    s = kind.state
    for hour in range(24):
        if 9 <= hour < 14:
            write(kind, "limit_kw", share * kind.rated_kw, hour * HOUR_MS)
        s["supplied"] = 0.0 if hour == 17 else 1.0
        live(kind, hour * HOUR_MS, 60)
    parts = s["drawn_kwh"] + s["deferred_kwh"] + s["dropped_kwh"] + s["forgone_kwh"]
    assert s["wanted_kwh"] == pytest.approx(parts, rel=1e-9, abs=1e-6)
    assert s["drawn_kwh"] == pytest.approx(-s["energy_kws"] / 3600.0, rel=1e-9)
    assert s["wanted_kwh"].sum() > 0.0
    assert (s["deferred_kwh"] >= -1e-9).all()


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=6, unique=True), seed=st.integers(0, 4))
def test_a_minute_may_be_cut_at_will(cuts: list[int], seed: int) -> None:
    one, other = warmed(seed=seed), warmed(seed=seed)
    for kind in (one, other):
        write(kind, "limit_kw", 0.3 * kind.rated_kw, 13 * HOUR_MS)
    live(one, 13 * HOUR_MS, 30)
    live(other, 13 * HOUR_MS, 30, tuple(np.diff([0, *sorted(cuts), 60]).tolist()))
    assert same_bits(one, other)


def test_a_limit_reaches_only_the_flexible_part() -> None:
    kind = warmed()
    write(kind, "limit_kw", 0.0, 13 * HOUR_MS)
    demand = live(kind, 13 * HOUR_MS, 1)[0]
    wanted = kind.state["wanted_kw"]
    assert (wanted > 0.0).any()
    assert demand == pytest.approx(wanted * (1.0 - kind.plate[berth.P_FLEXIBLE]))
    assert points(kind)["flexible_kw"] == pytest.approx(wanted * kind.plate[berth.P_FLEXIBLE])


def test_deferral_ends_after_two_hours_and_is_paid_back() -> None:
    kind = warmed()
    kind.state["until_ms"] = 24 * HOUR_MS  # nobody comes or goes
    s = kind.state
    owed, most = [], np.zeros(kind.n)
    for hour in (13, 14, 15, 16):
        write(kind, "limit_kw", 0.0, hour * HOUR_MS)
        live(kind, hour * HOUR_MS, 60)
        most = np.maximum(most, s["wanted_kw"] * kind.plate[berth.P_FLEXIBLE])
        assert (s["deferred_kwh"] <= 2.0 * most * (1.0 + 1e-3)).all()
        owed.append(float(s["deferred_kwh"].sum()))
    tied = s["berthed"] > 0.0
    # Two hours long it grows, then only as the ship's own load does.
    assert owed[1] > 1.8 * owed[0]
    assert owed[3] - owed[1] < 0.3 * owed[0]
    write(kind, "release", 1.0, 17 * HOUR_MS)
    after = live(kind, 17 * HOUR_MS, 30)
    assert (after.mean(axis=0)[tied] > s["wanted_kw"][tied]).all()
    live(kind, 17 * HOUR_MS + 30 * MINUTE_MS, 300)
    assert s["deferred_kwh"].sum() < 0.01 * owed[3]


def test_ships_come_and_go_by_chance_only() -> None:
    free, limited = warmed(), warmed()
    berthed = []
    for kind in (free, limited):
        if kind is limited:
            write(kind, "limit_kw", 0.2 * kind.rated_kw, 13 * HOUR_MS)
        seen = []
        for hour in range(13, 37):
            live(kind, hour * HOUR_MS, 60)
            seen.append(kind.state["berthed"].copy())
        berthed.append(np.array(seen))
    assert (berthed[0] == berthed[1]).all()
    assert 0.3 < berthed[0].mean() < 0.95
    assert (np.abs(np.diff(berthed[0], axis=0)).sum(axis=0) > 0).mean() > 0.5


def test_no_ship_no_power_and_lost_supply() -> None:
    kind = warmed()
    live(kind, 13 * HOUR_MS, 1)
    assert (kind.power_kw[kind.state["berthed"] == 0.0] == 0.0).all()
    kind.state["supplied"] = 0.0
    assert (live(kind, 13 * HOUR_MS + MINUTE_MS, 1) == 0.0).all()
