from __future__ import annotations

import numpy as np
import pytest

from twin.city.demand import read_day_shape, target_demand, weather_factor
from twin.city.districts import read_districts

HOUR = 60


def test_the_city_peaks_at_the_published_hour() -> None:
    shape = read_day_shape()
    assert shape.load.max() == pytest.approx(1.0, abs=1e-12)
    assert 13 * HOUR + 40 <= int(np.argmax(shape.load)) <= 14 * HOUR + 20
    assert 0.58 <= shape.load.min() <= 0.62
    assert 3 * HOUR <= int(np.argmin(shape.load)) <= 6 * HOUR
    assert 0.93 <= shape.load[19 * HOUR : 22 * HOUR].max() <= 0.95
    # no deep dip at lunch, and a plateau until 17:00
    assert shape.load[11 * HOUR : 17 * HOUR].min() >= 0.95


def test_sector_curves_are_positive_and_meet_at_the_maximum() -> None:
    shape = read_day_shape()
    assert shape.sector.min() > 0.3
    np.testing.assert_allclose(shape.sector[:, 14 * HOUR], 1.0, atol=1e-12)
    residential = shape.sector[2]
    assert 20 * HOUR <= int(np.argmax(residential)) <= 23 * HOUR


def test_demand_and_losses_add_up_to_the_sent_out_load() -> None:
    districts, shape = read_districts(), read_day_shape()
    demand = target_demand(districts, 25300.0, 0.0127, shape)
    assert demand.shape == (3, 11, 1440)
    losses = 0.0127 * 25300.0 * shape.load**2
    np.testing.assert_allclose(demand.sum(axis=(0, 1)) + losses, 25300.0 * shape.load, rtol=1e-12)
    np.testing.assert_allclose(
        demand[:, :, 840].sum(axis=1) / demand[:, :, 840].sum(), [0.33, 0.42, 0.25], atol=1e-9
    )


def test_air_conditioning_is_two_fifths_of_the_peak() -> None:
    shape = read_day_shape()
    share = float((shape.aircon_share[:, 840] * np.array([0.33, 0.42, 0.25])).sum())
    assert 0.40 <= share <= 0.45


@pytest.mark.parametrize("offset", [-3.0, 1.0, 3.3])
def test_weather_moves_the_background_as_published(offset: float) -> None:
    design = 30.0 + np.sin(np.linspace(0.0, 12.0, 2881))
    factor = weather_factor(design + offset, design)
    # 10.3 GW of air conditioning: 0.45 to 0.75 GW for each degree
    gw_per_c = 10.3 * (factor - 1.0) / offset
    assert gw_per_c.min() > 0.45
    assert gw_per_c.max() < 0.75


def test_the_design_day_leaves_the_background_alone_and_cold_never_turns_it_negative() -> None:
    design = np.full(2881, 30.0)
    assert (weather_factor(design, design) == 1.0).all()
    assert weather_factor(design - 40.0, design).min() == 0.0


def test_buildings_follow_the_weather_with_a_lag() -> None:
    design = np.full(2881, 30.0)
    hotter = design.copy()
    hotter[1440:] += 1.0
    factor = weather_factor(hotter, design) - 1.0
    assert factor[1439] == 0.0
    assert factor[1440 + 180] == pytest.approx(0.632 * factor[-1], rel=0.01)
