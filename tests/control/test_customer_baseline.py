"""Baselines on three sites and a fortnight whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.control.fakecity import make_calendar
from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.baselines.customer import METHODS, CustomerBaselines
from twin.control.baselines.desk import BaselineDesk, TodayMeters, quarters_of
from twin.control.memory import pack, unpack
from twin.record.columns import Columns
from twin.record.exchange import Calendar, Inventory, Reading
from twin.record.metering import MeterHistory
from twin.record.orders import Order, OrderForm, OrderKind

SITES = 3  # the last one was never metered
FIRST, QUARTERS = 52, 8  # 13:00 to 15:00
BACK = np.arange(-14, 0)
WORKDAY = ~np.isin(BACK, (-5, -4, -12, -11))  # the event is on a Thursday
INVENTORY = Inventory(1.0, ("a",), ("x",), Columns({"enrolled": np.ones(SITES, np.bool_)}), {})
UNKNOWN = np.full((96, SITES), np.nan)


def calendar(demand_kw: np.ndarray, air_c: np.ndarray | None = None) -> Calendar:
    """Each day's load of the metered sites, [14, 2] or [14, 96, 2]."""
    shaped = demand_kw if demand_kw.ndim == 3 else np.repeat(demand_kw[:, None], 96, axis=1)
    whole = np.full((14, 96, SITES), np.nan, np.float32)
    whole[:, :, :2] = shaped
    air = np.full((14, 96), 30.0) if air_c is None else np.repeat(air_c[:, None], 96, axis=1)
    usual = make_calendar()
    return replace(
        usual,
        history=MeterHistory(whole, WORKDAY, air, BACK),
        forecast_temperature_c=np.full(1440, 34.0),
    )


def load(method: str, given: Calendar, today: np.ndarray = UNKNOWN, **more) -> np.ndarray:
    return CustomerBaselines(INVENTORY, given, **more).load_kw(method, FIRST, QUARTERS, today)


def by_day(values: dict[int, float], otherwise: float = 0.0) -> np.ndarray:
    """Both metered sites alike; the day -k draws values[-k]."""
    return np.array([[values.get(int(back), otherwise)] * 2 for back in BACK])


def test_guangzhou_skips_the_day_before_and_rest_days() -> None:
    days = by_day({-1: 9e3, -2: 10, -3: 20, -4: 9e3, -5: 9e3, -6: 30, -7: 40, -8: 50, -9: 9e3})
    assert load("guangzhou_2021", calendar(days))[:, :2] == pytest.approx(30.0)


def test_a_rest_day_looks_at_rest_days() -> None:
    given = replace(calendar(by_day({-4: 10, -5: 20, -11: 30, -12: 40}, 9e3)), workday=False)
    assert load("guangzhou_2021", given)[:, :2] == pytest.approx(25.0)


def test_days_with_an_order_do_not_count() -> None:
    given = calendar(by_day({-2: 9e3}, 10.0))
    assert load("guangzhou_2021", given, event_days=[2])[:, :2] == pytest.approx(10.0)


def test_mean_of_ten_takes_the_ten_workdays() -> None:
    days = by_day({int(back): float(-back) for back in BACK}, 0.0)
    assert load("mean_10", calendar(days))[:, :2] == pytest.approx(-BACK[WORKDAY].mean())


def test_high_four_of_five_drops_each_sites_lowest_day() -> None:
    days = by_day({}, 100.0)
    days[13, 0], days[10, 1] = 20.0, 60.0  # day -1 of site 0, day -4 of site 1: a rest day
    days[11, 1] = 40.0  # day -3 of site 1
    days[8, 1] = 80.0  # day -6 of site 1
    found = load("high_4_of_5", calendar(days))
    assert found[:, 0] == pytest.approx(100.0)
    assert found[:, 1] == pytest.approx((100 + 100 + 80 + 100) / 4)


@pytest.mark.parametrize(("drawn", "expected"), [(110.0, 110.0), (150.0, 120.0), (10.0, 80.0)])
def test_same_day_adjustment_is_capped(drawn: float, expected: float) -> None:
    today = UNKNOWN.copy()
    today[FIRST - 16 : FIRST - 4] = drawn
    today[FIRST - 4 : FIRST] = 9e3  # the last hour is not looked at
    assert load("high_4_of_5", calendar(by_day({}, 100.0)), today)[:, :2] == pytest.approx(expected)


def test_adjustment_compares_the_same_quarters() -> None:
    today = UNKNOWN.copy()
    today[FIRST - 6] = 105.0  # one reading is all there is
    shape = np.full((14, 96, 2), 50.0)
    shape[:, FIRST - 6], shape[:, FIRST:] = 100.0, 200.0
    assert load("high_4_of_5", calendar(shape), today)[:, :2] == pytest.approx(210.0)


def test_regression_finds_a_line_and_a_level() -> None:
    air = 30.0 + np.arange(14) % 5
    days = np.stack([100.0 + 3.0 * (air - 30.0), 50.0 - 1.0 * (air - 30.0)], axis=1)
    found = load("regression", calendar(days, air))
    assert found[:, 0] == pytest.approx(112.0)  # 34 °C
    assert found[:, 1] == pytest.approx(46.0)
    flat = load("regression", calendar(days, np.full(14, 30.0)))
    assert flat[:, 0] == pytest.approx(days[WORKDAY][-10:, 0].mean())  # no slope to be seen


def test_who_raises_the_days_bends_means_who_raises_today_the_adjusted_one() -> None:
    """The truth is 100 kW: what every method says of an honest site."""
    today = UNKNOWN.copy()
    today[FIRST - 16 : FIRST - 4] = [100.0, 115.0, np.nan]
    days = by_day({}, 100.0)
    air = 33.0 + np.arange(14) % 3
    said = {m: load(m, calendar(days, air), today)[0] for m in METHODS}
    for method, found in said.items():
        assert found[0] == pytest.approx(100.0)
        assert found[1] == pytest.approx(115.0 if method == "high_4_of_5" else 100.0)
    bent = np.full((14, 96, 2), 100.0)
    bent[:, FIRST - 4 :, 1] = 115.0
    today[:, 1] = 100.0
    for method in METHODS:
        found = load(method, calendar(bent, air), today)[0]
        assert found[0] == pytest.approx(100.0)
        assert found[1] == pytest.approx(115.0)


def test_without_history_there_is_no_baseline() -> None:
    for method in METHODS:
        assert np.isnan(load(method, make_calendar())).all()
        assert np.isnan(load(method, calendar(by_day({}, 1.0)))[:, 2]).all()
    with pytest.raises(KeyError):
        load("mean_of_nothing", make_calendar())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.0, 1e4), min_size=28, max_size=28),
    st.floats(0.1, 10.0),
    st.integers(-4, 100),
    st.integers(0, 20),
)
def test_means_lie_among_the_days_and_scale_with_them(
    values: list[float], scale: float, first: int, quarters: int
) -> None:
    days = np.array(values, np.float32).astype(np.float64).reshape(14, 2)
    one = CustomerBaselines(INVENTORY, calendar(days))
    other = CustomerBaselines(INVENTORY, calendar(days * scale))
    for method in METHODS:
        found = one.load_kw(method, first, quarters, UNKNOWN)
        assert found.shape == (quarters, SITES)
        inside = np.isfinite(found[:, 0])
        assert inside.sum() == np.sum((np.arange(quarters) + first >= 0)
                                      & (np.arange(quarters) + first < 96))  # fmt: skip
        again = other.load_kw(method, first, quarters, UNKNOWN)[inside, :2]
        np.testing.assert_allclose(again, found[inside, :2] * scale, rtol=1e-5, atol=1e-2)
        if method != "regression":
            assert (found[inside, :2] >= days[WORKDAY].min(axis=0) - 1e-6).all()
            assert (found[inside, :2] <= days[WORKDAY].max(axis=0) + 1e-6).all()


# -- today's meters ------------------------------------------------------------------------------


def reading(now_ms: int, values: list[float], quality: int = 0) -> dict[str, Reading]:
    n = len(values)
    return {
        "meter": Reading(
            np.array([values]), np.full(n, now_ms, np.int64), np.full(n, quality, np.uint8)
        )
    }


def test_a_quarter_is_the_mean_of_what_was_read_in_it() -> None:
    meters = TodayMeters(2)
    for minute, value in ((1, 10.0), (15, 30.0), (16, 70.0)):
        meters.take(minute * MINUTE_MS, reading(minute * MINUTE_MS, [value, np.nan]))
    found = meters.kw()
    assert found[0, 0] == 20.0  # the reading at 00:15 is of the minute before
    assert found[1, 0] == 70.0  # runs still
    assert np.isnan(found[:, 1]).all()
    assert np.isnan(found[2:]).all()


def test_old_bad_and_misshapen_readings_are_left_aside() -> None:
    meters = TodayMeters(2)
    now = 20 * MINUTE_MS
    meters.take(now, reading(now, [1.0, 2.0], quality=1))
    old = reading(now - 10 * MINUTE_MS, [1.0, 2.0])
    meters.take(now, old)
    meters.take(now, reading(now, [1.0]))
    meters.take(now, {})
    assert np.isnan(meters.kw()).all()


def test_today_is_saved_and_loaded() -> None:
    one, other = TodayMeters(2), TodayMeters(2)
    for minute in range(1, 40):
        one.take(minute * MINUTE_MS, reading(minute * MINUTE_MS, [float(minute), 1.0]))
    unpack(pack({"t": one.memory}), {"t": other.memory})
    for meters in (one, other):
        meters.take(40 * MINUTE_MS, reading(40 * MINUTE_MS, [5.0, 5.0]))
    assert one.memory.digest() == other.memory.digest()


def order(end_ms: int) -> Order:
    start = 13 * HOUR_MS + 5 * MINUTE_MS
    return Order("o", 0, OrderKind.DEMAND_RESPONSE, OrderForm.REDUCTION, 1.0, 0, 0, start,
                 start, end_ms)  # fmt: skip


def test_the_report_comes_once_at_the_orders_end() -> None:
    end = 14 * HOUR_MS
    desk = BaselineDesk(INVENTORY, calendar(by_day({}, 100.0)))
    assert desk.report(end - 1, [order(end)]) == {}
    rows = desk.report(end, [order(end)])["baselines"]
    assert desk.report(end + 1, [order(end)]) == {}
    first, quarters = quarters_of(order(end))
    assert (first, quarters) == (52, 4)
    assert len(rows["kw"]) == len(METHODS) * quarters * 2  # the third site has no history
    assert set(rows["method"].tolist()) == set(METHODS)
    assert rows["quarter_ms"].min() == 13 * HOUR_MS
    assert (rows["kw"] == 100.0).all()
    silent = BaselineDesk(INVENTORY, make_calendar())
    assert silent.report(end, [order(end)]) == {}
    assert silent.meters("mean_10", 52, 4) is None


def test_settlement_gets_baseline_and_meter() -> None:
    desk = BaselineDesk(INVENTORY, calendar(by_day({}, 100.0)))
    now = 13 * HOUR_MS + 10 * MINUTE_MS
    desk.today.take(now, reading(now, [80.0, 90.0, 70.0]))
    found = desk.meters("mean_10", 52, 2)
    assert found is not None
    baseline, meter = found
    np.testing.assert_array_equal(baseline, [[100.0, 100.0, np.nan]] * 2)
    np.testing.assert_array_equal(meter, [[80.0, 90.0, 70.0], [np.nan] * 3])
