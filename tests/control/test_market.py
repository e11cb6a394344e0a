from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.control.market_world import CAPABILITY, calendar, inventory, order
from twin.clock import HOUR_MS
from twin.control.market.aggregators import ANSWERS_ZH, Answer
from twin.control.market.auction import Market
from twin.control.market.discomfort import discomfort_steps
from twin.record.columns import Columns
from twin.record.market import market_rules
from twin.record.orders import OrderForm, OrderKind

RULES = replace(market_rules(), reserve_margin=0.0)
NOTICE = 11 * HOUR_MS


def market(**changes: object) -> Market:
    return Market(inventory(), calendar(), replace(RULES, **changes))  # type: ignore[arg-type]


def reasons(clearing) -> dict[tuple[int, str, float], str]:  # type: ignore[no-untyped-def]
    bids = clearing.bids
    keys = zip(
        bids["aggregator"].tolist(), bids["kind"].tolist(), bids["price_cny_kwh"].tolist(),
        strict=True,
    )  # fmt: skip
    return dict(zip(keys, bids["reason"].tolist(), strict=True))


def test_two_hours_of_notice_by_hand() -> None:
    done = market().clear(NOTICE, order(15.0), CAPABILITY)
    # The day-ahead VPP is the cheapest and comes too late; the other two give 10 and 5 MW.
    assert done.award["storage"] == pytest.approx([1.0, 1.0, 0.5, 0.0])
    assert done.award["icestore"] == pytest.approx([0.0, 0.0])
    assert done.price_cny_kwh == 0.9
    assert (done.mw, done.short_mw) == (pytest.approx(15.0), 0.0)
    assert done.refused == {2: Answer.LATE}
    assert reasons(done) == {
        (0, "storage", 0.8): "accepted",
        (1, "storage", 0.9): "partly accepted",
        (2, "storage", 0.7): "notice too short for its type",
        (3, "icestore", 2.0): "dearer than the last accepted",
        (3, "icestore", 6.0): "above the price cap",
    }


@pytest.mark.parametrize(
    ("notice_h", "late"), [(12.0, set()), (11.9, {2}), (1.0, {2}), (0.99, {1, 2})]
)
def test_types_take_part_by_notice(notice_h: float, late: set[int]) -> None:
    done = market().clear(NOTICE, order(notice_h=notice_h), CAPABILITY)
    assert {a for a, why in done.refused.items() if why is Answer.LATE} == late


def test_vpps_invited_the_day_before_stand_by_whatever_the_notice() -> None:
    done = market(invited=True).clear(NOTICE, order(25.0, notice_h=1.0), CAPABILITY)
    assert done.refused == {}
    assert done.award["storage"] == pytest.approx([0.5, 0.5, 0.0, 1.0])
    out = market().barred(order(), CAPABILITY)
    assert out["storage"].tolist() == [False, False, False, True]
    assert not out["icestore"].any()


def test_too_small_too_brief_too_slow() -> None:
    small = {**CAPABILITY, "storage": np.array([3000.0, 1999.0, 5000.0, 20_000.0])}
    done = market().clear(NOTICE, order(notice_h=13.0), small)
    assert done.refused == {0: Answer.SMALL}  # 4.999 MW; 5 MW are enough
    brief = Market(inventory(np.array([0.99, 1.0, 2.0, 2.0])), calendar(), RULES)
    assert brief.clear(NOTICE, order(notice_h=13.0), CAPABILITY).refused == {0: Answer.BRIEF}
    hurried = order(notice_h=0.0, full_by_ms=13 * HOUR_MS + 4 * 60_000)
    slow = market(hour_ahead_h=0.0, day_ahead_h=0.0).clear(NOTICE, hurried, CAPABILITY)
    assert slow.refused == {1: Answer.SLOW, 2: Answer.SLOW, 3: Answer.SLOW}
    assert set(ANSWERS_ZH) == set(Answer)


def test_who_is_out_of_service_does_not_bid() -> None:
    out = {"storage": np.array([True, False, True, True])}
    done = market().clear(NOTICE, order(15.0), CAPABILITY, out)
    assert done.award["storage"] == pytest.approx([1.0, 0.0, 0.9, 0.0])


def test_more_than_is_bid_is_short() -> None:
    done = market().clear(NOTICE, order(40.0), CAPABILITY)
    assert (done.mw, done.short_mw) == (pytest.approx(28.0), pytest.approx(12.0))
    assert done.award["icestore"] == pytest.approx([1.0, 0.0])
    # Nothing is left that another clearing could award.
    later = order().start_ms + HOUR_MS
    all_in = market()
    all_in.clear(order().start_ms, order(40.0), CAPABILITY)
    assert not all_in.due(later, order(40.0), short_kw=9e9)


def test_margin_is_awarded_on_top_and_pay_as_bid_pays_each_its_own() -> None:
    rules = replace(RULES, reserve_margin=0.2, pricing="pay_as_bid")
    own = Market(inventory(), calendar(), rules)
    done = own.clear(NOTICE, order(15.0), CAPABILITY)
    assert done.mw == pytest.approx(18.0)
    assert done.price_cny_kwh == pytest.approx((10.0 * 0.8 + 8.0 * 0.9) / 18.0)
    assert own.memory["storage"]["price_cny_kwh"] == pytest.approx([0.8, 0.8, 0.9, 0.7])


def test_no_district_carries_more_than_its_share() -> None:
    done = market(district_order_share=0.6).clear(NOTICE, order(20.0), CAPABILITY)
    given = {k: done.award[k] * CAPABILITY[k] for k in CAPABILITY}
    assert given["storage"] == pytest.approx([6000.0, 4000.0, 6000.0, 0.0])
    assert done.short_mw == pytest.approx(4.0)  # district b has 4 MW below the price cap
    half = market(district_bid_share=0.5).clear(NOTICE, order(20.0), CAPABILITY)
    assert half.award["storage"] == pytest.approx([1.0, 0.5, 0.6, 0.0])


def test_what_is_held_back_is_taken_after_all_others_and_never_priced() -> None:
    back = {"storage": 0.5}
    some = market().clear(NOTICE, order(15.0), CAPABILITY, held_back=back)
    assert some.award["storage"] == pytest.approx([0.5, 0.5, 0.5, 0.0])
    assert some.award["icestore"] == pytest.approx([5.0 / 8.0, 0.0])
    more = market().clear(NOTICE, order(20.0), CAPABILITY, held_back=back)
    assert more.award["icestore"] == pytest.approx([1.0, 0.0])
    assert more.award["storage"] == pytest.approx([0.6, 0.6, 0.6, 0.0])
    assert (more.price_cny_kwh, more.short_mw) == (2.0, 0.0)


def test_a_tight_branch_moves_the_award() -> None:
    # Taking load off at busbar 1 loads a branch that has 1 MW of room.
    rows = (np.array([[0.0, 1.0]]), np.array([1.0]))
    done = market().clear(NOTICE, order(15.0), CAPABILITY, network=rows)
    assert done.award["storage"] == pytest.approx([1.0, 0.25, 0.8, 0.0], abs=1e-6)
    assert reasons(done)[3, "icestore", 2.0] == "dearer than the last accepted"


def test_a_cap_buys_what_the_forecast_lies_above_it() -> None:
    cap = order(980.0, form=OrderForm.CAP)
    assert market().asked_kw(NOTICE, cap) == pytest.approx(20_000.0)
    call = order(None, kind=OrderKind.CAPABILITY)
    assert market().clear(NOTICE, call, CAPABILITY).mw == pytest.approx(28.0)


def test_due_at_notice_start_and_change_and_the_state_comes_back() -> None:
    one, two = market(), market()
    now = order().start_ms
    assert one.due(NOTICE, order())
    one.clear(NOTICE, order(), CAPABILITY)
    assert not one.due(NOTICE + 60_000, order())
    assert one.due(NOTICE + 60_000, order(revision=1))
    assert one.due(now, order())
    one.clear(now, order(), CAPABILITY)
    assert not one.due(now + 60_000, order())
    later = now + 5 * 60_000
    assert one.due(later, order(), short_kw=2000.0)
    assert not one.due(now + 60_000, order(), short_kw=2000.0)  # too soon again
    assert one.more_kw(2000.0) == pytest.approx(22_000.0)
    assert one.more_kw(9e9) == pytest.approx(28_000.0)  # all that is bid
    tables = two.tables()
    for name, table in one.tables().items():
        tables[name].restore(table.arrays())
    two.restore(one.plain())  # type: ignore[arg-type]
    assert not two.due(now + 60_000, order())
    assert np.array_equal(two.award("storage"), one.award("storage"))
    assert len(one.take_reports()["clearing"]["cleared_ms"]) == 2
    assert one.take_reports() == {}


def test_a_building_costs_more_the_more_of_it_is_taken() -> None:
    plate = Columns({"setpoint_c": np.array([25.5, 24.0]), "use": np.array([0, 3])})
    steps = discomfort_steps(plate, np.arange(2), 2.0)
    assert steps[0] == pytest.approx([0.0, 0.0])  # the first quarter stays at 26 °C or below
    assert (np.diff(steps, axis=0) >= 0.0).all()
    assert steps[:, 1] == pytest.approx(0.0)  # 24 + 2 * 0.85 is below 26
    # All of it: 0.1 persons/m2, 1.5 CNY per K·h, 1.41 h at 0.60 K on average, 10.1 Wh/m2.
    assert steps[:, 0].mean() == pytest.approx(0.15 * 0.847 / 0.0101, rel=0.03)


ABSURD = st.sampled_from([np.nan, np.inf, -np.inf, -1e9, 0.0, 1e-320, 3.0, 5e3, 1e12])


@settings(max_examples=60)
@given(
    arrays(np.float64, 4, elements=ABSURD),
    arrays(np.float64, 2, elements=ABSURD),
    st.sampled_from([None, 0.0, 1e-9, 15.0, 1e6, np.nan]),
    st.sampled_from([1.0, 0.3]),
    arrays(np.float64, (2, 2), elements=ABSURD),
)
def test_it_never_raises_and_never_awards_more_than_is_bid(
    storage, icestore, mw, share, matrix
) -> None:  # type: ignore[no-untyped-def]
    room = np.array([1.0, -1.0])
    held = market(district_order_share=share, least_mw=0.0)
    given_kw = {"storage": storage, "icestore": icestore, "nuclear": np.ones(3)}
    done = held.clear(NOTICE, order(mw, notice_h=13.0), given_kw, network=(matrix, room))
    for kind, award in done.award.items():
        assert ((award >= 0.0) & (award <= 1.0)).all()
        bid = np.nan_to_num(given_kw[kind], nan=0.0, posinf=0.0, neginf=0.0)
        assert (award[bid <= 0.0] == 0.0).all()
    if mw is not None and mw == mw:
        assert done.mw <= mw * (1.0 + 1e-6) + 1e-3
