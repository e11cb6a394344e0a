from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.city.test_city_epw import write, year
from twin.city.calendar_days import build_days, is_workday, rest_day
from twin.city.weather import build_weather
from twin.city.weather_month import read_day_figures
from twin.clock import DAY_MS

DAY = date(2027, 7, 15)  # a Thursday


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2026, 7, 15), None),
        (date(2026, 7, 18), "weekend"),
        (date(2026, 10, 1), "holiday"),
        (date(2026, 10, 4), "holiday"),  # a Sunday within the holiday
        (date(2026, 10, 10), None),  # a Saturday that is worked
        (date(2031, 5, 1), None),  # not in the table: weekends only
    ],
)
def test_rest_days(day: date, kind: str | None) -> None:
    assert rest_day(day) == kind
    assert is_workday(day) is (kind is None)


def test_days_are_oldest_first_and_held_at_the_ends() -> None:
    days = build_days(DAY, 7, np.full(8, 33.0))
    assert days.date[0] == date(2027, 7, 8)
    assert days.date[-1] == DAY
    assert days.workday.tolist() == [True, True, False, False, True, True, True, True]
    assert (days.activity[days.workday] == 1.0).all()
    assert (days.activity[2] < [1.0, 1.0, 9.0]).all()
    assert days.row(0) == days.row(DAY_MS) == 7
    assert days.row(-1) == 6
    assert days.row(-99 * DAY_MS) == 0


def test_super_peak_goes_by_each_days_own_maximum() -> None:
    days = build_days(date(2027, 6, 15), 1, np.array([35.5, 30.0]))
    assert days.tariff_period[0].max() == 3
    assert days.tariff_period[1].max() == 2


@pytest.mark.parametrize("kind", ["design", "hot", "normal"])
def test_more_days_change_none_that_were_there(kind: str) -> None:
    few, many = (build_weather(DAY, kind, 4, 3, before=n) for n in (3, 9))  # type: ignore[arg-type]
    for name in ("temperature_c", "wet_bulb_c", "ghi_w_m2", "zenith_deg", "cloud"):
        one, other = getattr(few, name), getattr(many, name)
        np.testing.assert_allclose(one, other[-len(one) :], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(few.occupancy, many.occupancy[-4:])
    assert many.at(-5 * DAY_MS).temperature_c == many.temperature_c[4 * 1440]
    assert many.at(-5 * DAY_MS).occupancy == many.occupancy[4]


def test_the_events_day_is_what_it_is_without_a_history() -> None:
    one, many = (build_weather(DAY, "hot", 4, 3, before=n) for n in (1, 6))
    for name in ("temperature_c", "wet_bulb_c", "ghi_w_m2", "dni_w_m2", "cloud"):
        np.testing.assert_allclose(
            getattr(many, name)[-1441:], getattr(one, name)[-1441:], rtol=0, atol=1e-9
        )
    assert many.max_c == pytest.approx(one.max_c)


def test_days_vary_and_run_into_each_other() -> None:
    weather = build_weather(DAY, "design", 1, 1, before=20)
    assert np.abs(np.diff(weather.temperature_c)).max() < 0.15  # °C from minute to minute
    assert (weather.wet_bulb_c <= weather.temperature_c).all()
    tops = weather.daily_max_c()
    assert len(tops) == 21
    assert 0.5 < tops[:-1].std() < 3.0


def test_days_before_have_the_stated_spread_and_memory() -> None:
    tops = np.stack([read_day_figures("normal", 20, seed).max_c for seed in range(200)])
    off = tops - 32.0
    assert (off[:, -1] == 0.0).all()
    far = off[:, :12]
    assert far.std() == pytest.approx(1.6, rel=0.1)
    assert (far[:, 1:] * far[:, :-1]).mean() / (far**2).mean() == pytest.approx(0.65, abs=0.06)
    # A peak day is warmer than the days before it, the further back the more.
    hot = np.stack([read_day_figures("hot", 20, seed).max_c for seed in range(200)]).mean(axis=0)
    assert hot[-1] - hot[-2] == pytest.approx(0.35 * 5.5, abs=0.4)
    assert hot[:10].mean() == pytest.approx(32.0, abs=0.3)


def test_a_files_own_days_go_before(tmp_path: Path) -> None:
    rows = year()
    path = write(tmp_path / "g.epw", rows)
    one, many = (build_weather(DAY, "design", 1, 1, epw=path, before=n) for n in (1, 5))
    np.testing.assert_array_equal(many.temperature_c[-2881:], one.temperature_c)
    first = (sum((31, 28, 31, 30, 31, 30, 31)) + 2 - 5) * 24  # 29 July, 5 days before 3 August
    for hour in (1, 12, 15):
        assert many.temperature_c[60 * hour] == float(rows[first + hour - 1][6])
    assert len(many.daily_max_c()) == 6
