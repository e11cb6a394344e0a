from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.certify.suites.timing import (
    CLOCK_S,
    Moment,
    Sampled,
    at_least,
    at_most,
    first,
    settled,
    since,
    within,
)


def sampled(times: list[float], values: list[float], half: float = 0.0) -> list[Sampled]:
    return [Sampled(t - 0.01, t, v, half) for t, v in zip(times, values, strict=True)]


@given(
    dead_s=st.floats(0.0, 3.0),
    ramp=st.floats(0.2, 20.0),
    every_s=st.floats(0.05, 1.5),
    half=st.floats(0.0, 0.05),
    error=st.floats(-1.0, 1.0),
)
def test_the_bracket_holds_the_true_moment(
    dead_s: float, ramp: float, every_s: float, half: float, error: float
) -> None:
    """A power that waits and then climbs to 1: its true crossing of 0.9 lies in the bracket."""
    threshold, true_s = 0.9, dead_s + 0.9 / ramp
    times = [i * every_s for i in range(int(12.0 / every_s) + 1)]
    values = [min(max((t - dead_s) * ramp, 0.0), 1.0) + error * half for t in times]
    samples = [Sampled(t, t, v, half) for t, v in zip(times, values, strict=True)]
    found = first(samples, at_least(threshold))
    assert found is not None
    assert found.low <= true_s + 1e-9
    assert found.high >= true_s - 1e-9
    # No wider than the way of the ramp through the error, and a sample on either side.
    assert found.high - found.low <= 2.0 * every_s + 2.0 * (2.0 * half) / ramp + 1e-9


def test_a_sample_that_cannot_tell_widens_the_bracket() -> None:
    sharp = first(sampled([0, 1, 2, 3], [0.0, 0.0, 0.9, 1.0]), at_least(0.9))
    blunt = first(sampled([0, 1, 2, 3], [0.0, 0.0, 0.9, 1.0], 0.05), at_least(0.9))
    assert (sharp, blunt) == (Moment(0.99, 2), Moment(0.99, 3))


@pytest.mark.parametrize("values", [[], [0.0, 0.5, 0.8]])
def test_what_never_happens_has_no_moment(values: list[float]) -> None:
    samples = sampled([float(i) for i in range(len(values))], values)
    assert first(samples, at_least(0.9)) is None
    assert settled(samples, within(1.0, 0.02)) is None


def test_settled_counts_from_the_last_time_outside() -> None:
    values = [0.0, 1.1, 0.99, 1.2, 1.01, 1.0, 0.99]
    samples = sampled([float(i) for i in range(7)], values)
    assert settled(samples, within(1.0, 0.02)) == Moment(2.99, 4.0)
    assert settled(sampled([0.0, 1.0], [1.0, 1.5]), within(1.0, 0.02)) is None


def test_at_most_is_at_least_turned_round() -> None:
    for value in (-1.0, 0.0, 1.0):
        here, there = Sampled(0.0, 0.0, value, 0.2), Sampled(0.0, 0.0, -value, 0.2)
        assert at_most(0.5)(here) is at_least(-0.5)(there)


def test_a_span_holds_every_span_between_its_ends_and_the_clocks_resolution() -> None:
    span = since(Moment(5.0, 6.0), Moment(1.0, 2.0))
    assert (span.low, span.high) == (3.0 - CLOCK_S, 5.0 + CLOCK_S)
    assert (span.middle, span.half_width) == pytest.approx((4.0, 1.0 + CLOCK_S))
    assert since(Moment(1.0, 2.0), Moment(1.5, 3.0)) == Moment(0.0, 0.5 + CLOCK_S)
