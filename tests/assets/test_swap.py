"""Swap stations: packs are the stock, the service comes first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assets.process_world import (
    HOUR_MS,
    fleet,
    live,
    points,
    same_bits,
    warm_fork,
    write,
)  # fmt: skip
from twin.assets.kind import COMMON_ROWS
from twin.assets.remote import REMOTE_ROWS
from twin.assets.swap import Swap
from twin.kernels import swap
from twin.record.columns import Columns
from twin.record.exchange import Outcome


def stations(n: int = 12) -> Columns:
    i = np.arange(n)
    packs = 13 + i % 2
    return fleet(
        n, packs * 40.0, packs=packs, pack_kwh=75.0 + 25.0 * (i % 2), slot_kw=40.0,
        swaps_per_day=60.0 + 5.0 * i, v2g_kw=np.where(i % 3 == 0, 300.0, 0.0),
    )  # fmt: skip


def warmed(hour: int = 13, seed: int = 1) -> Swap:
    return warm_fork(Swap, stations, hour, seed)


def test_rows_begin_as_every_kinds_do() -> None:
    assert swap.SWAP_ROWS[:9] == (*COMMON_ROWS, *REMOTE_ROWS, *Swap.held)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 4), share=st.floats(0.0, 1.0), feed=st.floats(0.0, 1.0))
def test_energy_closes_over_a_day(seed: int, share: float, feed: float) -> None:
    kind = warmed(0, seed)
    s = kind.state
    start_kwh = kind.stock_kwh()
    for hour in range(24):
        if 10 <= hour < 20:
            write(kind, "limit_kw", share * kind.rated_kw, hour * HOUR_MS)
            write(kind, "v2g_kw", feed * kind.v2g_rated_kw, hour * HOUR_MS)
        live(kind, hour * HOUR_MS, 60)
    net = s["drawn_kwh"] - s["fed_kwh"]
    assert net == pytest.approx(s["into_packs_kwh"] + s["loss_kwh"], rel=1e-9)
    assert net == pytest.approx(-s["energy_kws"] / 3600.0, rel=1e-9)
    moved = s["into_packs_kwh"] + s["in_kwh"] - s["out_kwh"]
    assert kind.stock_kwh() - start_kwh == pytest.approx(moved, abs=1e-6)
    assert s["soc"].min() >= 0.0
    assert s["soc"].max() <= 1.0 + 1e-12
    assert (s["swaps"] > 20).all()


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=6, unique=True), seed=st.integers(0, 4))
def test_a_minute_may_be_cut_at_will(cuts: list[int], seed: int) -> None:
    one, other = warmed(seed=seed), warmed(seed=seed)
    for kind in (one, other):
        write(kind, "limit_kw", 0.2 * kind.rated_kw, 13 * HOUR_MS)
    live(one, 13 * HOUR_MS, 5)
    live(other, 13 * HOUR_MS, 5, tuple(np.diff([0, *sorted(cuts), 60]).tolist()))
    assert same_bits(one, other)


def test_owner_charges_when_power_is_cheap() -> None:
    kind = warmed(0)
    demand = live(kind, 0, 1440).sum(axis=1).reshape(24, 60).mean(axis=1)
    swaps = kind.hourly.sum(axis=0)
    assert demand[15:17].mean() / swaps[15:17].mean() < demand[12:14].mean() / swaps[12:14].mean()
    assert kind.state["missed"].sum() <= 0.02 * kind.state["swaps"].sum()


def test_the_service_is_kept_at_the_reported_minimum() -> None:
    free, least = warmed(), warmed()
    live(free, 13 * HOUR_MS, 120)
    for minute in range(120):
        now_ms = 13 * HOUR_MS + minute * 60_000
        need = points(least)["minimum_kw"]
        write(least, "limit_kw", np.minimum(need + 1.0, least.rated_kw), now_ms)
        live(least, now_ms, 1)
    saved = least.state["drawn_kwh"].sum() / free.state["drawn_kwh"].sum()
    assert saved < 0.9
    assert (
        least.state["missed"].sum()
        <= free.state["missed"].sum() + 0.02 * least.state["swaps"].sum()
    )


def test_spare_packs_feed_in_and_kept_ones_do_not() -> None:
    kind = warmed(9)
    offered = points(kind)["v2g_available_kw"]
    can = kind.v2g_rated_kw > 0.0
    assert (offered[~can] == 0.0).all()
    assert (offered[can] > 100.0).all()
    assert ((write(kind, "v2g_kw", 200.0, 9 * HOUR_MS) == Outcome.ACCEPTED) == can).all()
    live(kind, 9 * HOUR_MS, 1)
    assert (kind.state["fed_kwh"][can] > 0.0).all()
    live(kind, 9 * HOUR_MS + 60_000, 58)
    assert kind.state["missed"].sum() <= 0.02 * kind.state["swaps"].sum()


def test_limits_hold_and_lost_supply_stops() -> None:
    kind = warmed(7)
    write(kind, "limit_kw", 0.1 * kind.rated_kw, 7 * HOUR_MS)
    assert (live(kind, 7 * HOUR_MS, 10) <= 0.1 * kind.rated_kw + 1e-9).all()
    kind.state["limit_low_kw"] = -5.0
    assert (live(kind, 7 * HOUR_MS + 600_000, 2) <= 5.0 + 1e-9).all()
    kind.state["supplied"] = 0.0
    assert (live(kind, 7 * HOUR_MS + 720_000, 2) == 0.0).all()


def test_inner_step_does_not_matter() -> None:
    coarse, fine = warmed(10), warmed(10)
    fine.step_s = 1  # type: ignore[misc]
    a, b = (live(kind, 10 * HOUR_MS, 180).sum(axis=1) for kind in (coarse, fine))
    assert np.abs(a - b).max() <= 0.005 * a.max()
    assert a.sum() == pytest.approx(b.sum(), rel=1e-3)


def test_chance_does_not_depend_on_commands() -> None:
    free, limited = warmed(), warmed()
    write(limited, "limit_kw", 0.5 * limited.rated_kw, 13 * HOUR_MS)
    for kind in (free, limited):
        live(kind, 13 * HOUR_MS, 59)
    come = [k.state["swaps"] + k.state["missed"] for k in (free, limited)]
    assert (come[0] == come[1]).all()


def test_rank_is_a_total_order() -> None:
    soc, order = np.array([0.5, 0.9, 0.5, 1.0]), np.array([2, 0, 1, 3])
    swap.rank(soc, order)
    assert order.tolist() == [3, 1, 0, 2]
