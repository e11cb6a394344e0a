"""Giving supply back: never above the day's maximum, never for ever."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.load_management.restoration import (
    LATEST_MIN,
    PICKUP,
    RESTORE_MIN,
    Forecast,
    step_kw,
)

FLAT = Forecast(np.full(1440, 900.0), 0, 24 * HOUR_MS)
END = 17 * HOUR_MS


def restored(load_mw: float, whole_mw: float, top_mw: float) -> tuple[list[float], list[float]]:
    """Return open demand and load [MW] by minute: others draw `load_mw`, pick-up does not fade."""
    left, left_kw, loads = whole_mw, [], []
    for minute in range(60):
        load = load_mw + (whole_mw - left) * (1.0 + PICKUP)
        now = END + minute * MINUTE_MS
        step = step_kw(now, END, (1000.0 * whole_mw, 1000.0 * left), (load, top_mw), FLAT)
        left = max(left - step / 1000.0, 0.0)
        left_kw.append(left)
        loads.append(load_mw + (whole_mw - left) * (1.0 + PICKUP))
    return left_kw, loads


@given(st.floats(100.0, 1200.0), st.floats(1.0, 300.0))
def test_everything_is_back_in_time_whatever_the_load(load_mw, whole_mw):
    left, _ = restored(load_mw, whole_mw, 1000.0)
    assert left[int(LATEST_MIN)] == pytest.approx(0.0, abs=1e-9)
    assert (np.diff([whole_mw, *left]) <= 1e-12).all()


@given(st.floats(100.0, 700.0), st.floats(1.0, 200.0))
def test_where_there_is_room_it_goes_evenly_and_below_the_top(load_mw, whole_mw):
    left, loads = restored(load_mw, whole_mw, 1000.0)
    assert max(loads) <= 1000.0
    steps = -np.diff([whole_mw, *left])
    assert max(steps) <= whole_mw / RESTORE_MIN * 1.001


def test_without_room_it_waits_until_it_may_wait_no_longer():
    left, loads = restored(984.0, 100.0, 1000.0)
    assert left[30] > 98.0
    assert max(loads[:38]) <= 985.0 + 1e-6
    assert left[54] < 10.0


def test_a_rising_forecast_takes_room_away():
    rising = np.full(1440, 900.0)
    rising[END // MINUTE_MS + 20] = 920.0
    now = END + 20 * MINUTE_MS
    kw, load = (1e5, 9e4), (960.0, 1000.0)
    risen = step_kw(now, END, kw, load, Forecast(rising, 0, 24 * HOUR_MS))
    assert risen < step_kw(now, END, kw, load, FLAT)


def test_the_days_top_is_what_was_seen_or_the_scaled_forecast():
    forecast = Forecast(
        np.concatenate([np.full(1000, 900.0), np.full(440, 950.0)]), 0, 24 * HOUR_MS
    )
    assert forecast.scale(HOUR_MS, 990.0) == pytest.approx(1.1)
    assert forecast.top_mw(1.1, 1000.0) == pytest.approx(1045.0)
    assert forecast.top_mw(1.1, 1100.0) == 1100.0
    assert forecast.mean_over_now(HOUR_MS, 1000 * MINUTE_MS, 1100 * MINUTE_MS) == pytest.approx(
        950.0 / 900.0
    )
