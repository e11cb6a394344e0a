"""Interruptible lines: steps are whole, stocks carry the downstream, owners come back."""

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
from twin.assets.industry import Industry
from twin.assets.kind import COMMON_ROWS
from twin.assets.remote import REMOTE_ROWS
from twin.kernels import batch
from twin.record.columns import Columns
from twin.record.exchange import Outcome


def lines(n: int = 20, **changes: object) -> Columns:
    i = np.arange(n)
    values: dict[str, object] = {
        "step_min": 10.0 + 5.0 * (i % 7), "stock_h": 2.0 + (i % 4), "min_run_min": 30.0,
        "restart_min": 5.0 + 5.0 * (i % 3), "base_share": 0.1,
    }  # fmt: skip
    return fleet(n, 500.0 + 100.0 * i, **{**values, **changes})


def warmed(hour: int = 13, seed: int = 1, columns: Columns | None = None) -> Industry:
    if columns is None:
        return warm_fork(Industry, lines, hour, seed)
    kind = Industry(columns, seed)
    kind.warm(world(hour * HOUR_MS, seed))
    return kind


def test_rows_begin_as_every_kinds_do() -> None:
    assert batch.LINE_ROWS[:8] == (*COMMON_ROWS, *REMOTE_ROWS, *Industry.held)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 4),
    orders=st.lists(st.tuples(st.integers(1, 90), st.booleans()), min_size=1, max_size=8),
)
def test_a_step_is_never_broken_off(seed: int, orders: list[tuple[int, bool]]) -> None:
    """Whatever is commanded when: a line leaves its step at the step's last second only."""
    kind = warmed(9, seed)
    now_ms = 9 * HOUR_MS
    inside = (batch.RUNNING, batch.FINISHING)
    for minutes, pause in orders:
        rows = np.flatnonzero(np.arange(kind.n) % 3 != minutes % 3)
        write(kind, "pause" if pause else "release", 1.0, now_ms, rows)
        for _ in range(minutes):
            env = world(now_ms, seed)
            kind.minute(env)
            for second in range(0, 60, 5):
                was, elapsed = kind.state["state"].copy(), kind.state["elapsed_s"].copy()
                done = kind.state["produced_s"].copy()
                kind.step(now_ms + 1000 * second, 5, env)
                left = np.isin(was, inside) & ~np.isin(kind.state["state"], inside)
                assert (kind.state["produced_s"][left] > done[left]).all()
                assert (elapsed[left] + 5 >= kind.plate[batch.P_STEP, left]).all()
            now_ms += MINUTE_MS
    assert (kind.state["broken_steps"] == 0.0).all()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 4), when=st.integers(0, 20))
def test_energy_and_stock_close_over_a_day(seed: int, when: int) -> None:
    kind = warmed(0, seed)
    s = kind.state
    start_s = s["stock_s"].copy()
    for hour in range(24):
        if when <= hour < when + 3:
            write(kind, "pause", 1.0, hour * HOUR_MS)
        s["supplied"] = 0.0 if hour == 21 else 1.0
        live(kind, hour * HOUR_MS, 60)
    parts = s["process_kws"] + s["base_kws"] + s["restart_kws"]
    assert s["drawn_kws"] == pytest.approx(parts, rel=1e-9)
    assert s["drawn_kws"] == pytest.approx(-s["energy_kws"], rel=1e-9)
    assert (s["stock_s"] - start_s == s["produced_s"] - s["consumed_s"]).all()
    assert (s["drawn_kws"] > 0.0).all()


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=6, unique=True), seed=st.integers(0, 4))
def test_a_minute_may_be_cut_at_will(cuts: list[int], seed: int) -> None:
    one, other = warmed(seed=seed), warmed(seed=seed)
    for kind in (one, other):
        write(kind, "pause", 1.0, 13 * HOUR_MS)
    live(one, 13 * HOUR_MS, 40)
    live(other, 13 * HOUR_MS, 40, tuple(np.diff([0, *sorted(cuts), 60]).tolist()))
    assert same_bits(one, other)


def test_pause_saves_power_until_the_owner_comes_back() -> None:
    """All lines pause within a step and a minimum run, and resume before the stock is gone."""
    free, paused = warmed(), warmed()
    for hour in (13, 14, 15, 16):
        write(paused, "pause", 1.0, hour * HOUR_MS)
        usual = live(free, hour * HOUR_MS, 60).sum(axis=1)
        saved = usual - live(paused, hour * HOUR_MS, 60).sum(axis=1)
        if hour == 14:
            assert saved.mean() > 0.4 * usual.mean()
    assert paused.state["starved_s"].sum() <= free.state["starved_s"].sum() + 1e-9
    assert (paused.state["remote"] == 0.0).any()


def test_minimum_run_is_kept() -> None:
    columns = lines(12, min_run_min=120.0, step_min=10.0, stock_h=8.0, restart_min=5.0)
    kind = warmed(9, columns=columns)
    kind.begin_min[:], kind.end_min[:] = 0.0, 1440.0
    s = kind.state
    s["state"], s["run_s"], s["elapsed_s"], s["stock_s"] = batch.RUNNING, 0.0, 0.0, 14400.0
    s["owner_idle"] = 0.0
    write(kind, "pause", 1.0, 9 * HOUR_MS)
    live(kind, 9 * HOUR_MS, 59)
    write(kind, "pause", 1.0, 9 * HOUR_MS + 59 * MINUTE_MS)
    live(kind, 9 * HOUR_MS + 59 * MINUTE_MS, 60)
    assert (s["state"] == batch.RUNNING).all()
    write(kind, "pause", 1.0, 10 * HOUR_MS + 58 * MINUTE_MS)
    live(kind, 10 * HOUR_MS + 59 * MINUTE_MS, 14)
    assert (s["state"] == batch.PAUSED).all()


def test_a_pause_without_stock_is_refused() -> None:
    kind = warmed()
    kind.state["stock_s"] = 360.0
    assert (write(kind, "pause", 1.0, 0) == Outcome.REFUSED).all()
    assert (write(kind, "pause", 0.0, 0) == Outcome.ACCEPTED).all()
    assert not points(kind)["pausable"].any()


def test_losing_supply_breaks_the_step_and_is_counted() -> None:
    kind = warmed()
    running = np.isin(kind.state["state"], (batch.RUNNING, batch.FINISHING))
    kind.state["supplied"] = 0.0
    demand = live(kind, 13 * HOUR_MS, 1)
    assert (demand == 0.0).all()
    assert kind.state["broken_steps"] == pytest.approx(running.astype(float))


def test_lines_are_not_in_step() -> None:
    """A fleet's minute-to-minute jumps stay far below what lines in step would give."""
    kind = warmed(2, columns=lines(300, step_min=30.0))
    demand = live(kind, 2 * HOUR_MS, 120).sum(axis=1)
    assert np.abs(np.diff(demand)).max() < 0.05 * demand.mean()


def test_owners_idle_more_when_power_is_dear() -> None:
    kind = warmed(0, columns=lines(300))
    demand = live(kind, 0, 1440).sum(axis=1).reshape(24, 60).mean(axis=1)
    night = Industry(lines(300), 1)
    always = night.begin_min == 0.0
    assert always.any()
    assert demand[15:17].mean() < demand[12:14].mean()
    assert (kind.state["starved_s"] <= 0.02 * kind.state["consumed_s"]).mean() > 0.95


def test_step_remaining_counts_down() -> None:
    kind = warmed()
    before = points(kind)["step_remaining_s"]
    kind.minute(world(13 * HOUR_MS))
    kind.step(13 * HOUR_MS, 5, world(13 * HOUR_MS))
    after = points(kind)["step_remaining_s"]
    running = (before > 5.0) & np.isin(kind.state["state"], (batch.RUNNING, batch.FINISHING))
    assert running.any()
    assert after[running] == pytest.approx(before[running] - 5.0)
