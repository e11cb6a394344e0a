"""What an owner reads out of a tariff."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assets.process_world import TARIFF
from twin.assets.tariff_plan import VALLEY, TariffBook, plan_tariff


def test_guangdong_gives_two_cycles_a_day() -> None:
    plan = plan_tariff(TARIFF)
    charging = np.flatnonzero(np.diff(plan.charge.astype(int)) == 1) + 1
    # 0-8 valley runs on from midnight, 8-10 tops up, 12-14 is the second window.
    assert plan.charge[: 10 * 60].all()
    assert charging.tolist() == [12 * 60]
    assert plan.charge[12 * 60 : 14 * 60].all()
    assert not plan.charge[14 * 60 :].any()
    assert plan.window_h[0] == 8.0
    assert plan.window_h[8 * 60] == 2.0
    assert plan.window_h[13 * 60] == 1.0


def test_dearest_hours_come_first() -> None:
    plan = plan_tariff(TARIFF)
    assert plan.deliver[10 * 60 : 12 * 60].all()
    assert plan.dearer_h[10 * 60] == 1.0
    assert plan.dearer_h[14 * 60] == 2.0
    assert plan.dearer_h[15 * 60] == 0.0
    assert plan.equal_h[16 * 60] == 1.0
    assert plan.equal_h[17 * 60] == 2.0
    # What is left may go in the evening's flat hours, for the valley comes next.
    assert plan.deliver[19 * 60 : 24 * 60].all()


def test_ice_is_made_in_the_valley_only() -> None:
    plan = plan_tariff(TARIFF, VALLEY)
    assert plan.charge[: 8 * 60].all()
    assert not plan.charge[8 * 60 :].any()


def test_a_flat_tariff_moves_nothing() -> None:
    plan = plan_tariff(np.ones(1440, np.int64))
    assert not plan.charge.any()
    assert not plan.deliver.any()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_any_tariff_is_bought_cheaper_than_sold(periods: list[int]) -> None:
    day = np.repeat(np.array(periods, np.int64), 120)
    plan = plan_tariff(day)
    assert not (plan.charge & plan.deliver).any()
    ahead = np.concatenate([day, day])
    twice = np.concatenate([plan.charge, plan.charge])
    for minute in np.flatnonzero(plan.deliver)[::60]:
        refill = minute + int(np.argmax(twice[minute:]))
        assert day[minute] > ahead[refill]
    assert (day[plan.charge] <= 1).all()


def test_a_book_works_each_day_out_once() -> None:
    book = TariffBook()
    assert book.plan(TARIFF) is book.plan(TARIFF.copy())
