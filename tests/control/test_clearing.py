"""Clearing by hand: five bids in two districts on a network of one branch.

::

    bid        0     1     2     3     4
    CNY/kWh    1     2     2     3     5
    kW         100   60    40    100   100
    district   0     0     1     1     0
    busbar     0     0     1     1     0        branch: 1 MW off at busbar 0 loads it by 0.5 MW
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twin.control.market.clearing import Blocks, NetworkLimits, cheapest, clear_blocks

DISTRICT = np.array([0, 0, 1, 1, 0])
BIDS = Blocks(
    np.array([1.0, 2.0, 2.0, 3.0, 5.0]),
    np.array([100.0, 60.0, 40.0, 100.0, 100.0]),
    DISTRICT,
    DISTRICT,
)
FREE = np.full(2, np.inf)


def test_merit_order_and_a_tie() -> None:
    assert clear_blocks(BIDS, 150.0, FREE, None) == pytest.approx([100, 30, 20, 0, 0])


def test_district_limit() -> None:
    # District 0 gives its cheapest 120, the other what is left, dear as it is.
    found = clear_blocks(BIDS, 250.0, np.array([120.0, np.inf]), None)
    assert found == pytest.approx([100, 20, 40, 90, 0])


def test_network_limit() -> None:
    # 0.06 MW of room is 120 kW at busbar 0.
    limit = NetworkLimits(np.array([[0.5, 0.0]]), np.array([0.06]))
    found = clear_blocks(BIDS, 250.0, FREE, limit)
    assert found == pytest.approx([100, 20, 40, 90, 0], abs=1e-4)


def test_both_limits() -> None:
    limit = NetworkLimits(np.array([[0.5, 0.0]]), np.array([0.06]))
    found = clear_blocks(BIDS, 250.0, np.array([np.inf, 110.0]), limit)
    assert found == pytest.approx([100, 20, 40, 70, 0], abs=1e-4)


def test_a_branch_that_wants_relief_gets_what_there_is() -> None:
    # Only busbar 1 relieves it, and never enough.
    limit = NetworkLimits(np.array([[0.0, -1.0]]), np.array([-0.5]))
    found = clear_blocks(BIDS, 140.0, FREE, limit)
    assert found == pytest.approx([0, 0, 40, 100, 0], abs=1e-4)


def test_more_than_there_is() -> None:
    assert clear_blocks(BIDS, np.inf, FREE, None) == pytest.approx(BIDS.most_kw)
    assert clear_blocks(BIDS, np.inf, np.array([50.0, 500.0]), None).sum() == pytest.approx(190.0)


def test_rows_that_are_no_numbers_are_left_out() -> None:
    limit = NetworkLimits(np.array([[np.nan, 1.0], [0.0, 0.0]]), np.array([0.0, np.nan]))
    assert clear_blocks(BIDS, 150.0, FREE, limit) == pytest.approx([100, 30, 20, 0, 0])


SIZES = arrays(np.float64, 8, elements=st.floats(0.0, 100.0))
COSTS = arrays(np.float64, 8, elements=st.sampled_from([0.5, 1.0, 1.5, 2.0, 4.0]))


@given(COSTS, SIZES, st.floats(0.0, 1000.0), st.floats(0.0, 200.0), st.floats(0.0, 200.0))
def test_never_more_than_bid_or_asked(cost, most, asked, room_0, room_1) -> None:  # type: ignore[no-untyped-def]
    where = np.arange(8) % 2
    room = np.array([room_0, room_1])
    found = clear_blocks(Blocks(cost, most, where, where), asked, room, None)
    assert (found >= 0.0).all()
    assert (found <= most + 1e-9).all()
    could = np.minimum(np.bincount(where, most, 2), room).sum()
    assert found.sum() == pytest.approx(min(asked, could), abs=1e-6)
    assert (np.bincount(where, found, 2) <= room + 1e-6).all()


@given(COSTS, SIZES, st.floats(0.0, 800.0), st.floats(0.0, 400.0))
def test_the_last_price_never_falls_with_the_order(cost, most, asked, more) -> None:  # type: ignore[no-untyped-def]
    def last(kw: float) -> float:
        return float(np.max(cost[cheapest(cost, most, kw) > 1e-9], initial=0.0))

    assert last(asked) <= last(asked + more)


@settings(max_examples=40)
@given(COSTS, SIZES, st.floats(0.0, 600.0), st.floats(1.0, 300.0))
def test_program_and_merit_order_cost_the_same(cost, most, asked, room) -> None:  # type: ignore[no-untyped-def]
    """A branch on which busbar 0 alone counts is a district limit in other words."""
    where = np.arange(8) % 2
    blocks = Blocks(cost, most, where, where)
    by_order = clear_blocks(blocks, asked, np.array([room, np.inf]), None)
    limit = NetworkLimits(np.array([[1.0, 0.0]]), np.array([room / 1000.0]))
    by_program = clear_blocks(blocks, asked, np.full(2, np.inf), limit)
    # The network goes before the order; otherwise both give the same at the same cost.
    assert by_program.sum() == pytest.approx(by_order.sum(), abs=1e-3)
    assert cost @ by_program == pytest.approx(cost @ by_order, abs=1e-2)
