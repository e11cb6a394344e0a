from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from twin.city.humidity import saturation_hpa, vapour_hpa, wet_bulb
from twin.city.tariffs import FLAT, PEAK, SUPER_PEAK, VALLEY, build_tariff
from twin.city.weather import Weather, build_weather

DAY = date(2027, 7, 15)
MINUTE = 60_000


@pytest.fixture(scope="module")
def design() -> Weather:
    return build_weather(DAY, "design", seed=1, districts=11)


def test_design_day_is_the_standard_one(design: Weather) -> None:
    day = design.temperature_c[1440:2880]
    assert day.max() == pytest.approx(34.2, abs=1e-9)
    assert day.mean() == pytest.approx(30.7, abs=1e-3)
    assert 13 * 60 <= int(np.argmax(day)) <= 16 * 60
    assert design.wet_bulb_c[1440 + int(np.argmax(day))] == pytest.approx(27.8, abs=0.01)
    assert (design.wet_bulb_c <= design.temperature_c).all()


@pytest.mark.parametrize(("kind", "low", "high"), [("hot", 37.0, 38.0), ("normal", 31.0, 33.0)])
def test_other_days(kind: str, low: float, high: float) -> None:
    assert low <= build_weather(DAY, kind, 1, 11).max_c <= high  # type: ignore[arg-type]


def test_irradiance_is_physical(design: Weather) -> None:
    night = design.zenith_deg > 95.0
    assert night.sum() > 2 * 9 * 60
    for array in (design.ghi_w_m2, design.dni_w_m2, design.dhi_w_m2):
        assert array[night].max() == 0.0
        assert array.min() >= 0.0
    cosine = np.cos(np.radians(design.zenith_deg))
    high = cosine > 0.1
    np.testing.assert_allclose(
        design.ghi_w_m2[high],
        (design.dhi_w_m2 + design.dni_w_m2 * cosine)[high],
        rtol=1e-9,
    )
    assert 700.0 < design.ghi_w_m2.max() < 950.0
    noon = 1440 + int(np.argmin(design.zenith_deg[1440:]))
    assert noon - 1440 == pytest.approx(12 * 60 + 33, abs=5)  # 113.26 E in a 120 E zone


def test_an_offset_keeps_the_vapour_pressure(design: Weather) -> None:
    hotter = build_weather(DAY, "design", 1, 11, offset_c=1.0)
    np.testing.assert_allclose(hotter.temperature_c, design.temperature_c + 1.0)
    before = vapour_hpa(design.temperature_c, design.wet_bulb_c)
    after = vapour_hpa(hotter.temperature_c, hotter.wet_bulb_c)
    np.testing.assert_allclose(after, before, rtol=1e-8)


def test_wet_bulb_of_saturated_air_is_the_dry_bulb() -> None:
    dry = np.array([10.0, 25.0, 35.0])
    np.testing.assert_allclose(wet_bulb(dry, saturation_hpa(dry)), dry, atol=1e-6)
    # 30 °C and 50 %: 22.0 °C in any psychrometric chart
    assert wet_bulb(np.array([30.0]), 0.5 * saturation_hpa(np.array([30.0])))[0] == pytest.approx(
        22.0, abs=0.2
    )


def test_chance_is_keyed(design: Weather) -> None:
    again = build_weather(DAY, "design", seed=1, districts=11)
    other = build_weather(DAY, "design", seed=2, districts=11)
    assert np.array_equal(design.cloud, again.cloud)
    assert not np.array_equal(design.cloud, other.cloud)
    assert not np.array_equal(design.occupancy, other.occupancy)
    calm = design.expected()
    assert (calm.cloud == 1.0).all()
    assert (calm.occupancy == 1.0).all()
    assert np.array_equal(calm.temperature_c, design.temperature_c)


def test_cloud_has_the_stated_spread_and_memory() -> None:
    clouds = np.concatenate(
        [build_weather(DAY, "normal", seed, 11).cloud[::15] for seed in range(8)], axis=0
    )
    assert clouds.mean() == pytest.approx(1.0, abs=0.005)
    assert clouds.std() == pytest.approx(np.hypot(0.02, 0.04), rel=0.1)
    one = build_weather(DAY, "normal", 3, 11).cloud[::15] - 1.0
    assert 0.6 < float((one[1:] * one[:-1]).mean() / (one**2).mean()) < 0.95


def test_lookup_holds_at_the_ends_and_knows_the_day_before(design: Weather) -> None:
    assert design.at(-1440 * MINUTE).temperature_c == design.temperature_c[0]
    assert design.at(-9999 * MINUTE).temperature_c == design.temperature_c[0]
    assert design.at(9999 * MINUTE).temperature_c == design.temperature_c[-1]
    assert design.at(840 * MINUTE + 59_999).temperature_c == design.temperature_c[1440 + 840]
    assert design.at(-1).occupancy == design.occupancy[0]
    assert design.at(0).occupancy == design.occupancy[1]
    assert design.at(0).cloud.shape == (11,)


def test_tariff_hours() -> None:
    tariff = build_tariff(DAY, 30.0)
    hours = tariff.period[30::60]
    assert tariff.super_peak
    assert (hours[:8] == VALLEY).all()
    assert (hours[[8, 9, 12, 13, 19, 20, 21, 22, 23]] == FLAT).all()
    assert (hours[[10, 14, 17, 18]] == PEAK).all()
    assert (hours[[11, 15, 16]] == SUPER_PEAK).all()
    assert tariff.period[660 - 1] == PEAK
    assert tariff.period[660] == SUPER_PEAK


@pytest.mark.parametrize(
    ("day", "max_c", "super_peak"),
    [
        (date(2027, 7, 1), 30.0, True),
        (date(2027, 9, 30), 30.0, True),
        (date(2027, 6, 30), 34.9, False),
        (date(2027, 6, 30), 35.0, True),
        (date(2027, 10, 1), 30.0, False),
    ],
)
def test_super_peak_days(day: date, max_c: float, super_peak: bool) -> None:
    tariff = build_tariff(day, max_c)
    assert tariff.super_peak is super_peak
    assert bool((tariff.period == SUPER_PEAK).any()) is super_peak


def test_tariff_ratios() -> None:
    price = build_tariff(DAY, 30.0).price_cny_kwh
    flat = price[8 * 60]
    assert price[14 * 60] / flat == pytest.approx(1.7)
    assert price[0] / flat == pytest.approx(0.38)
    assert price[16 * 60] / price[14 * 60] == pytest.approx(1.25)
