"""What is said of the difference between a twin and a real device: value and delay."""

from __future__ import annotations

import numpy as np
import pytest

from hil.testbed.difference import Track, columns, compare, delay_s, grows, thinned
from twin.assets import KINDS


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


def test_what_drifts_has_no_delay() -> None:
    drift = 20.0 + 0.002 * np.arange(240)
    assert delay_s(drift, np.round(drift - 2.6, 1), 1.0) is None


def track(*rows: tuple[float, float, bool, float]) -> Track:
    found = Track("dut", "power_kw", "W", "kW")
    for i, (twin, bench, commanded, age_s) in enumerate(rows):
        found.add(i * 1000, twin, bench, age_s, commanded)
    return found


def test_figures_are_twin_minus_bench() -> None:
    own, told = (10.0, 12.0, False, 0.2), (50.0, 49.0, True, 3.0)
    gaps = ((10.0, np.nan, False, 0.2), (np.nan, 10.0, False, 0.2))
    found = compare(track(*[own] * 10, *[told] * 10, *gaps), 1.0)
    assert found.periods == 20
    assert found.mean == pytest.approx(-0.5)
    assert found.max_abs == pytest.approx(2.0)
    assert found.p95_abs == pytest.approx(2.0)
    assert found.mean_commanded == pytest.approx(1.0)
    assert found.p95_abs_commanded == pytest.approx(1.0)
    assert found.delay_s == 0.0
    assert found.resolution_s == pytest.approx(3.0)  # read less often than the period


def test_a_point_never_read_has_no_figures() -> None:
    found = compare(track((1.0, np.nan, False, 0.0)), 1.0)
    assert (found.periods, found.mean, found.p95_abs, found.max_abs) == (0, None, None, None)
    assert (found.mean_commanded, found.delay_s) == (None, None)


def test_states_are_equal_or_not() -> None:
    found = track((0.0, 0.0, False, 0.0), (2.0, 0.0, True, 0.0), (2.0, 1.0, True, 0.0))
    assert compare(found, 1.0).unequal_pct is None
    found.signal = True
    states = compare(found, 1.0)
    assert states.unequal_pct == pytest.approx(200.0 / 3.0)
    assert (states.mean, states.p95_abs, states.max_abs, states.periods) == (None, None, None, 3)


def test_a_long_track_is_thinned_for_the_page() -> None:
    found = track(*[(float(i), np.nan if i < 4 else 1.0, False, 0.0) for i in range(960)])
    shown = thinned(found, 1.0)
    assert (shown["start_ms"], shown["step_ms"]) == (0, 2000)
    assert shown["twin"][:2] == [0.5, 2.5]  # type: ignore[index]
    assert shown["bench"][:3] == [None, None, 1.0]  # type: ignore[index]
    assert len(shown["twin"]) == 480  # type: ignore[arg-type]
    assert thinned(track(), 1.0)["twin"] == []


def test_columns_hold_every_track_one_after_the_other() -> None:
    one, two = track((1.0, 2.0, True, 0.0), (3.0, 4.0, False, 0.5)), track((5.0, 6.0, False, 0.0))
    two.point = "soc"
    found = columns([one, two])
    assert found["point"].tolist() == ["power_kw", "power_kw", "soc"]
    assert found["now_ms"].tolist() == [0, 1000, 0]
    assert found["bench"].tolist() == [2.0, 4.0, 6.0]
    assert found["commanded"].tolist() == [True, False, False]
    assert {k: len(v) for k, v in columns([]).items()} == dict.fromkeys(found, 0)


def test_what_grows_with_a_device_covers_every_unit_that_kinds_have() -> None:
    units = {p.unit for kind in KINDS.values() for p in (*kind.points, *kind.setpoints)}
    assert {u for u in units if grows(u)} == {"kW", "kWh", "kg", "kg/h"}
    assert {u for u in units if not grows(u)} == {"1", "C", "K", "s", "h", "W/m2"}
