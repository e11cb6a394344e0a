"""Time, chance and errors: what everything else stands on."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from twin import units
from twin.chance import generator
from twin.clock import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    format_time_of_day,
    local_time,
    minute_of_day,
    parse_time_of_day,
)
from twin.errors import InputProblems, Problem, RunBroken, TwinError

any_int = st.integers(-(2**40), 2**40)


# -- clock -----------------------------------------------------------------------------------


@given(st.integers(0, 24 * 3600))
def test_a_time_of_day_survives_being_written(second: int) -> None:
    assert parse_time_of_day(format_time_of_day(second * SECOND_MS)) == second * SECOND_MS


def test_times_of_day_by_example() -> None:
    assert parse_time_of_day("13:05") == 13 * HOUR_MS + 5 * MINUTE_MS
    assert parse_time_of_day("13:05:30") == 13 * HOUR_MS + 5 * MINUTE_MS + 30 * SECOND_MS
    assert parse_time_of_day("24:00") == DAY_MS
    assert format_time_of_day(9 * HOUR_MS) == "09:00"
    assert format_time_of_day(9 * HOUR_MS + 1_000) == "09:00:01"


@pytest.mark.parametrize(
    "text",
    ["", "13", "1:05", "13:5", "13:60", "25:00", "24:01", "-1:00", "13:05:60", "13.05",
     "13:05:00:00", " 13:05", "ab:cd"],
)  # fmt: skip
def test_what_is_no_time_of_day_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"time of day|between 00:00 and 24:00"):
        parse_time_of_day(text)


@given(st.integers(-3 * DAY_MS, 3 * DAY_MS))
def test_minutes_of_the_day_repeat_each_day_before_midnight_too(now_ms: int) -> None:
    minute = minute_of_day(now_ms)
    assert 0 <= minute < 1440
    assert minute == minute_of_day(now_ms + DAY_MS)
    moment = local_time(date(2027, 7, 15), now_ms)
    assert minute == moment.hour * 60 + moment.minute
    assert moment.utcoffset() == timedelta(hours=8)


# -- units -----------------------------------------------------------------------------------


def test_a_refrigeration_ton_is_twelve_thousand_btu_an_hour() -> None:
    assert pytest.approx(12_000 * 1055.056 / 3.6e6, rel=1e-3) == units.KW_PER_RT
    assert units.MINUTES_PER_DAY * 60 == 24 * units.SECONDS_PER_HOUR


# -- chance ----------------------------------------------------------------------------------


@given(any_int, st.text(max_size=20), any_int, st.integers(1, 40))
def test_the_same_key_draws_the_same(seed: int, purpose: str, number: int, n: int) -> None:
    here = generator(seed, purpose, number).random(n)
    generator(seed, purpose, number + 1).random(n)  # nobody who draws meanwhile changes it
    assert here.tobytes() == generator(seed, purpose, number).random(n).tobytes()


@given(any_int, st.text(max_size=20), any_int, any_int, st.text(max_size=20), any_int)
def test_another_key_draws_otherwise(
    seed: int, purpose: str, number: int, seed_2: int, purpose_2: str, number_2: int
) -> None:
    assume((seed, purpose, number) != (seed_2, purpose_2, number_2))
    assert (
        generator(seed, purpose, number).random() != generator(seed_2, purpose_2, number_2).random()
    )


def test_neighbours_are_independent() -> None:
    n = 4_000
    draws = [
        generator(7, "a").standard_normal(n),
        generator(8, "a").standard_normal(n),
        generator(7, "b").standard_normal(n),
        generator(7, "a", 1).standard_normal(n),
        generator(7, "a", -1).standard_normal(n),
    ]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5.0 / np.sqrt(n)


def test_successive_numbers_do_not_share_a_stream() -> None:
    """The number stands high in the counter, so that no draw, however long, runs into the next."""
    long = generator(3, "a", 0).random(100_000)
    assert not np.isin(generator(3, "a", 1).random(100), long).any()


def test_a_negative_number_is_one_of_its_own() -> None:
    first = {generator(1, "day", k).random() for k in range(-1440, 1440)}
    assert len(first) == 2880


# -- errors ----------------------------------------------------------------------------------


def test_bad_input_lists_every_problem() -> None:
    problems = [
        Problem("a.toml", "orders.0.mw", "-3", "more than 0"),
        Problem("fleet.csv", "row 7", "x", "a number"),
    ]
    error = InputProblems(iter(problems))
    assert error.problems == tuple(problems)
    assert str(error).splitlines() == [
        "a.toml: orders.0.mw: -3; allowed: more than 0",
        "fleet.csv: row 7: x; allowed: a number",
    ]
    assert isinstance(error, TwinError)
    assert not isinstance(error, RunBroken)
