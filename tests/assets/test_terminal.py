"""Rigid customers: rounds, cold-load pick-up, and a ledger that closes to the last bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assets.process_world import fleet, points, same_bits, world, write
from twin.assets.terminal import (
    CIRCUITS,
    PICKUP_DECAY_S,
    PICKUP_FULL_MS,
    PICKUP_MAX,
    Terminal,
)
from twin.chance import generator
from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.exchange import Outcome

ACCEPTED, REFUSED = int(Outcome.ACCEPTED), int(Outcome.REFUSED)
SHARES = np.array([[0.3, 0.2, 0.1, 0.0], [0.25, 0.25, 0.25, 0.15], [0.4, 0.3, 0.0, 0.0]]).T
SECURITY = np.array([0.1, 0.1, 0.5])


def terminals(host_kw: object = (1000.0, 333.3, 80.07)) -> Terminal:
    shares = {f"circuit_share_{i + 1}": SHARES[i] for i in range(CIRCUITS)}
    kind = Terminal(fleet(3, 2000.0, security_share=SECURITY, **shares), 1)
    kind.warm(world(0))
    kind.state["host_kw"] = host_kw
    return kind


def switch(kind: Terminal, circuit: int, closed: float, now_ms: int, rows: object) -> np.ndarray:
    return write(kind, f"circuit_{circuit}", closed, now_ms, rows)


def assert_ledger(kind: Terminal) -> None:
    state = kind.state
    ledger = state["energy_kws"] + state["host_kws"] - state["unserved_kws"] + state["pickup_kws"]
    assert (ledger == 0.0).all()  # exact: powers are multiples of 1/1024 kW


# -- a day of random trips -------------------------------------------------------------------

trips = st.lists(
    st.tuples(
        st.integers(0, 1439),  # minute
        st.integers(1, CIRCUITS),
        st.integers(0, 2),  # row
        st.sampled_from([0.0, 1.0]),
        st.integers(0, 59),  # second within the minute
    ),
    max_size=40,
)


@settings(max_examples=15)
@given(trips, st.integers(0, 2**32))
def test_the_ledger_closes_over_a_day_of_random_trips(
    plan: list[tuple[int, int, int, float, int]], seed: int
) -> None:
    kind = terminals()
    by_minute: dict[int, list[tuple[int, int, float, int]]] = {}
    for minute, circuit, row, closed, second in plan:
        by_minute.setdefault(minute, []).append((second, circuit, closed, row))
    host = 20_000.0 * generator(seed, "test.host").random((1440, 3))
    drawn_kwh, before = np.zeros(3), np.zeros(3)
    for minute in range(1440):
        start_ms = minute * MINUTE_MS
        kind.state["host_kw"] = host[minute]
        kind.minute(world(start_ms))
        at = 0
        for second, circuit, closed, row in sorted(by_minute.get(minute, [])):
            kind.step(start_ms + at * 1000, second - at, world(start_ms))
            at = second
            assert switch(kind, circuit, closed, start_ms + at * 1000, [row]).tolist() == [ACCEPTED]
        kind.step(start_ms + at * 1000, 60 - at, world(start_ms))
        assert_ledger(kind)
        drawn_kwh += -(kind.state["energy_kws"] - before) / 3600.0
        before = kind.state["energy_kws"].copy()
    wanted = host.sum(axis=0) / 60.0
    state = kind.state
    served = wanted + (state["pickup_kws"] - state["unserved_kws"]) / 3600.0
    # Host load is kept to 1/1024 kW: half of that at most each minute.
    np.testing.assert_allclose(drawn_kwh, served, rtol=1e-9, atol=24.0 * 0.5 / 1024.0)
    np.testing.assert_allclose(-state["energy_kws"] / 3600.0, drawn_kwh, rtol=1e-9)
    assert (kind.power_kw <= 0.0).all()
    if not plan:
        assert (state["unserved_kws"] == 0.0).all()
        assert (state["pickup_kws"] == 0.0).all()


@settings(max_examples=30)
@given(st.lists(st.integers(1, 59), max_size=8, unique=True), st.floats(0.0, 20_000.0))
def test_a_cut_minute_gives_the_same_bits(cuts: list[int], host_kw: float) -> None:
    whole, cut = terminals(host_kw), terminals(host_kw)
    edges = [0, *sorted(cuts), 60]
    for kind in (whole, cut):
        switch(kind, 1, 0.0, 0, [0, 1])
        switch(kind, 2, 0.0, 0, [0])
        kind.minute(world(0))
        kind.step(0, 60, world(0))
        switch(kind, 1, 1.0, MINUTE_MS, [1])  # comes back with pick-up
        kind.minute(world(MINUTE_MS))
    whole.step(MINUTE_MS, 60, world(MINUTE_MS))
    for here, there in pairwise(edges):
        cut.step(MINUTE_MS + 1000 * here, there - here, world(MINUTE_MS))
    assert same_bits(whole, cut)
    assert_ledger(cut)


# -- circuits --------------------------------------------------------------------------------


def test_an_open_circuit_takes_its_share_and_leaves_the_rest() -> None:
    kind = terminals()
    kind.step(0, 60, world(0))
    np.testing.assert_allclose(-kind.power_kw, [1000.0, 333.3, 80.07], atol=1 / 1024)
    assert switch(kind, 1, 0.0, 0, [0, 2]).tolist() == [ACCEPTED, ACCEPTED]
    kind.step(0, 60, world(0))
    np.testing.assert_allclose(-kind.power_kw, [700.0, 333.3, 80.07 * 0.6], atol=1 / 512)
    shown = points(kind)
    np.testing.assert_allclose(shown["demand_kw"], -kind.power_kw)
    assert shown["demand_circuit_1_kw"].tolist() == [0.0, 333.3 * 0.25, 0.0]
    assert shown["closed_1"].tolist() == [0.0, 1.0, 0.0]
    assert shown["closed_2"].tolist() == [1.0, 1.0, 1.0]
    np.testing.assert_allclose(kind.supplied_share(), [0.7, 1.0, 0.6])


def test_all_circuits_open_leave_what_is_behind_none() -> None:
    kind = terminals(1000.0)
    for circuit in range(1, CIRCUITS + 1):
        switch(kind, circuit, 0.0, 0, [0, 1, 2])
    kind.step(0, 60, world(0))
    np.testing.assert_allclose(-kind.power_kw, 1000.0 * (1.0 - SHARES.sum(axis=0)), atol=1 / 512)


@pytest.mark.parametrize(("minutes", "fraction"), [(0, 0.0), (30, 0.5), (60, 1.0), (300, 1.0)])
def test_cold_load_comes_back_with_what_the_outage_was_long(minutes: int, fraction: float) -> None:
    kind = terminals(1000.0)
    switch(kind, 1, 0.0, HOUR_MS, [0])
    back_ms = HOUR_MS + minutes * MINUTE_MS
    switch(kind, 1, 1.0, back_ms, [0])
    kind.step(back_ms, 60, world(back_ms))
    extra = PICKUP_MAX * fraction * 300.0
    np.testing.assert_allclose(-kind.power_kw, [1000.0 + extra, 1000.0, 1000.0], atol=1 / 512)
    for _ in range(15):  # one decay constant
        back_ms += MINUTE_MS
        kind.minute(world(back_ms))
    kind.step(back_ms, 60, world(back_ms))
    left = extra * np.exp(-900.0 / PICKUP_DECAY_S)
    assert -kind.power_kw[0] == pytest.approx(1000.0 + left, abs=1 / 512)
    assert PICKUP_FULL_MS == HOUR_MS


def test_closing_a_closed_circuit_and_opening_an_open_one_change_nothing() -> None:
    kind = terminals()
    before = kind.state.block.tobytes()
    switch(kind, 1, 1.0, HOUR_MS, [0, 1, 2])
    assert kind.state.block.tobytes() == before
    switch(kind, 1, 0.0, HOUR_MS, [0])
    before = kind.state.block.tobytes()
    switch(kind, 1, 0.0, 2 * HOUR_MS, [0])  # does not start the clock anew
    assert kind.state.block.tobytes() == before
    assert kind.open.sum() == 1.0


def test_a_circuit_opened_the_day_before_comes_back_with_pick_up() -> None:
    kind = terminals(1000.0)
    switch(kind, 1, 0.0, -2 * HOUR_MS, [0])
    switch(kind, 1, 1.0, -HOUR_MS, [0])
    kind.step(-HOUR_MS, 60, world(-HOUR_MS))
    assert -kind.power_kw[0] == pytest.approx(1000.0 + 300.0 * PICKUP_MAX, abs=1 / 512)


# -- security load ---------------------------------------------------------------------------


def test_security_load_is_cut_only_where_shares_overlap() -> None:
    kind = terminals(1000.0)
    assert kind.security_cut_kw() == 0.0
    switch(kind, 1, 0.0, 0, [0, 1, 2])
    assert kind.security_cut_kw() == 0.0  # 0.4 open and 0.5 security fit into one
    switch(kind, 2, 0.0, 0, [0, 1, 2])
    # Row 2: 0.7 open, 0.5 security: 0.2 of it must be security load.
    assert kind.security_cut_kw() == pytest.approx(200.0)
    kind.state["host_kw"] = [1000.0, 1000.0, 10.0]
    assert kind.security_cut_kw() == pytest.approx(2.0)
    switch(kind, 2, 1.0, 0, [2])
    assert kind.security_cut_kw() == 0.0


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 1.5, 2.0])
def test_a_value_out_of_range_is_refused_row_by_row(bad: float) -> None:
    kind = terminals()
    before = kind.state.digest()
    for point in range(CIRCUITS + 1):
        outcome = kind.apply(point, np.array([1]), np.array([bad]), 0)
        assert outcome.tolist() == [REFUSED]
        assert kind.state.digest() == before
    outcome = kind.apply(0, np.array([0, 1, 2]), np.array([0.0, bad, 0.0]), 0)
    assert outcome.tolist() == [ACCEPTED, REFUSED, ACCEPTED]
    assert kind.open[0].tolist() == [1.0, 0.0, 1.0]


def test_the_warning_is_shown_and_trips_nothing() -> None:
    kind = terminals()
    assert write(kind, "warning", 1.0, 0, [1]).tolist() == [ACCEPTED]
    assert points(kind)["warning"].tolist() == [0.0, 1.0, 0.0]
    assert kind.open.sum() == 0.0
    write(kind, "warning", 0.0, 0, [1])
    assert points(kind)["warning"].sum() == 0.0


def test_a_fork_trips_alone() -> None:
    kind = terminals()
    twin = kind.fork()
    switch(twin, 1, 0.0, 0, [0])
    assert kind.open.sum() == 0.0
    assert twin.open.sum() == 1.0
