"""A cap by quarters of an hour: what is left of the quarter is used, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.clock import MINUTE_MS
from twin.control.load_management.quarter_cap import (
    CAP_AIM,
    MOST_HIGH,
    MOST_LOW,
    QuarterMean,
    coming,
)

CAP = 1000.0
disturbance = st.lists(st.floats(-0.012, 0.012), min_size=15, max_size=15)


def held_quarter(noise: list[float]) -> np.ndarray:
    """Return the loads of a quarter steered by the aim, each minute off by its noise."""
    mean, loads = QuarterMean(), []
    for minute, off in enumerate(noise):
        aim = mean.aim_mw(minute * MINUTE_MS, CAP)
        loads.append(aim * (1.0 + off))
        mean.take((minute + 1) * MINUTE_MS, loads[-1])
    return np.array(loads)


@given(disturbance)
def test_a_quarter_with_an_error_each_minute_stays_under_the_cap_and_gives_little_away(noise):
    mean = held_quarter(noise).mean()
    assert 0.97 * CAP <= mean <= CAP


@given(st.lists(st.floats(0.0, 3000.0), min_size=0, max_size=20), st.integers(0, 100))
def test_the_aim_never_leaves_its_bounds(loads, first):
    mean = QuarterMean()
    for minute, load in enumerate(loads, start=first):
        mean.take((minute + 1) * MINUTE_MS, load)
        aim = mean.aim_mw((minute + 1) * MINUTE_MS, CAP)
        assert MOST_LOW * CAP <= aim <= MOST_HIGH * CAP


def test_a_new_quarter_owes_nothing():
    mean = QuarterMean()
    for minute in range(15):
        mean.take((minute + 1) * MINUTE_MS, 1.2 * CAP)
    assert mean.minutes == 15
    assert mean.aim_mw(15 * MINUTE_MS, CAP) == CAP_AIM * CAP


def test_what_was_too_much_is_made_up_within_the_quarter():
    mean = QuarterMean()
    for minute in range(5):
        mean.take((minute + 1) * MINUTE_MS, 0.995 * CAP)
    # Five minutes were 10 MW above the aim of 985: ten that are left lie 5 MW below it.
    assert mean.aim_mw(5 * MINUTE_MS, CAP) == pytest.approx(980.0)


def test_the_forecast_gives_the_trend_of_a_minute():
    load = np.full(1440, 100.0)
    load[600] = 103.0
    assert coming(load, 600 * MINUTE_MS) == pytest.approx(1.03)
    assert coming(np.zeros(1440), 0) == 1.0


def test_half_minutes_weigh_half() -> None:
    whole, half = QuarterMean(), QuarterMean()
    for minute in range(5):
        whole.take((minute + 1) * MINUTE_MS, 0.995 * CAP)
    for step in range(10):
        half.take((step + 1) * MINUTE_MS // 2, 0.995 * CAP, MINUTE_MS // 2)
    now = 5 * MINUTE_MS
    assert half.aim_mw(now, CAP) == pytest.approx(whole.aim_mw(now, CAP))
