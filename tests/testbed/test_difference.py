"""What is said of the difference between a twin and a real device: value, delay, set-points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.registers.files import load_map
from hil.testbed.difference import Row, compare, delay_s
from hil.testbed.wishes import Orders, register_value, twin_value


def steps(n: int = 120) -> np.ndarray:
    """Return a power that is told to move four times, never by the same amount."""
    out = np.zeros(n)
    for at, to in ((10, 100.0), (35, -60.0), (70, 20.0), (95, 0.0)):
        out[at:] = to
    return out


@pytest.mark.parametrize("shift", [-3, 0, 1, 7])
@pytest.mark.parametrize("period_s", [1.0, 5.0])
def test_delay_is_the_shift_of_the_steps(shift: int, period_s: float) -> None:
    twin = steps()
    bench = 0.9 * np.roll(twin, shift) + 4.0  # neither gain nor offset changes a delay
    assert delay_s(twin, bench, period_s) == shift * period_s


def test_delay_bears_noise_and_gaps() -> None:
    twin, bench = steps(), np.roll(steps(), 4)
    bench = bench + np.sin(np.arange(120) * 2.1)
    bench[50:55] = np.nan
    assert delay_s(twin, bench, 1.0) == 4.0


def test_no_delay_is_told_where_nothing_moves_or_nothing_is_alike() -> None:
    assert delay_s(np.zeros(100), steps(100), 1.0) is None
    assert delay_s(steps(), np.zeros(120), 1.0) is None
    assert delay_s(steps(), -steps(), 1.0) is None
    assert delay_s(steps(7), steps(7), 1.0) is None


def row(now_s: int, twin: float, bench: float, commanded: bool = False, age_s: float = 0.2) -> Row:
    return Row(now_s * 1000, "dut", "power_kw", "W", "kW", twin, bench, age_s, commanded)


def test_figures_are_twin_minus_bench() -> None:
    rows = [row(i, 10.0, 12.0) for i in range(10)]
    rows += [row(10 + i, 50.0, 49.0, commanded=True, age_s=3.0) for i in range(10)]
    rows += [row(20, 10.0, np.nan), row(21, np.nan, 10.0)]
    (found,) = compare(rows, 1.0)
    assert found.periods == 20
    assert found.mean == pytest.approx(-0.5)
    assert found.max_abs == pytest.approx(2.0)
    assert found.p95_abs == pytest.approx(2.0)
    assert found.mean_commanded == pytest.approx(1.0)
    assert found.p95_abs_commanded == pytest.approx(1.0)
    assert found.delay_s == 0.0
    assert found.resolution_s == pytest.approx(3.0)  # read less often than the period


def test_a_point_never_read_has_no_figures() -> None:
    (found,) = compare([row(0, 1.0, np.nan)], 1.0)
    assert (found.periods, found.mean, found.p95_abs, found.max_abs) == (0, None, None, None)
    assert (found.mean_commanded, found.delay_s) == (None, None)


# -- set-points --------------------------------------------------------------------------------


def wishes(name: str, setpoint: str, value: float) -> list[tuple[str, float]] | None:
    found = Orders(load_map(name), rated_kw=100.0, scale=5.0).wishes(setpoint, value)
    return None if found is None else [(w.point, w.value) for w in found]


def test_power_is_divided_by_the_scale_in_every_map() -> None:
    assert wishes("storage-own", "power_kw", 200.0) == [("set_power_kw", 40.0)]
    assert wishes("storage-sunspec-7xx", "power_kw", 200.0) == [
        ("m704.WSetMod", 1.0), ("m704.WSet", 40_000.0), ("m704.WSetEna", 1.0),
    ]  # fmt: skip
    window = wishes("storage-sunspec-1xx", "power_kw", 200.0)
    assert window is not None
    numbers = [value for _, value in window]
    assert 40.0 in numbers
    assert -40.0 in numbers  # percent of 100 kW


def test_a_temperature_is_not_scaled() -> None:
    found = Orders(load_map("aircon-own"), 50.0, 4.0)
    assert found.scaled("setpoint_offset_c", 2.0) == 2.0
    assert found.scaled("limit_kw", 20.0) == 5.0


def test_release_switches_enables_off_where_there_is_no_register() -> None:
    assert wishes("storage-sunspec-7xx", "release", 1.0) == [("m704.WSetEna", 0.0)]
    assert wishes("storage-sunspec-7xx", "release", 0.0) == []


def test_a_set_point_without_a_register_says_so() -> None:
    full = load_map("storage-own")
    left = tuple(p for p in full.points if p.source is None or p.source.setpoint != "power_kw")
    assert len(left) == len(full.points) - 1
    found = Orders(full.model_copy(update={"points": left, "commands": ()}), 100.0, 5.0)
    assert found.wishes("power_kw", 10.0) is None
    assert found.wishes("release", 1.0) is not None


@given(st.floats(-1e4, 1e4), st.sampled_from(["storage-sunspec-7xx", "storage-sunspec-1xx"]))
def test_a_register_says_what_was_put_into_it(value: float, name: str) -> None:
    for point in load_map(name).points:
        if point.source is not None and not point.source.values:
            there = twin_value(point, register_value(point, value, 80.0), 80.0)
            assert there == pytest.approx(value, rel=1e-9, abs=1e-6)
