"""The expected demand of each sector and district over the design day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.city.districts import INDUSTRY, RESIDENTIAL, TERTIARY, Districts
from twin.city.tables import DataRows, periodic_minutes, read_parameters


@dataclass(frozen=True, slots=True)
class DayShape:
    """Expected curves of the design day, in shares.

    Attributes
    ----------
    load : float64[1440], sent-out load over the maximum load, its maximum is 1
    sector : float64[sectors, 1440], each sector's demand over its own at the city's maximum
    aircon_share : float64[sectors, 1440], weather-driven share of each sector's demand
    """

    load: NDArray[np.float64]
    sector: NDArray[np.float64]
    aircon_share: NDArray[np.float64]


def read_day_shape() -> DayShape:
    """Return the curves of ``day_shape.csv``.

    The city's, the industry's and the tertiary curve are data; the residential one is what
    remains, so that the three add up to the city at every minute.
    """
    rows = DataRows("day_shape.csv")
    nodes = rows.minutes("time")
    load, industry, tertiary = (
        periodic_minutes(nodes, rows.f8(name)) for name in ("city", "industry", "tertiary")
    )
    share = DataRows("sectors.csv").f8("peak_share")
    residential = (load - share[INDUSTRY] * industry - share[TERTIARY] * tertiary) / share[
        RESIDENTIAL
    ]
    aircon = [
        periodic_minutes(nodes, rows.f8(f"aircon_{name}"))
        for name in ("industry", "tertiary", "residential")
    ]
    return DayShape(load, np.stack([industry, tertiary, residential]), np.stack(aircon))


def target_demand(
    districts: Districts, max_load_mw: float, loss_share: float, shape: DayShape
) -> NDArray[np.float64]:
    """Return demand at the busbars, float64[sectors, districts, 1440] in MW.

    Expected values of the design day with every device in them (PV negative). Their sum plus
    losses is the sent-out load, whose maximum is `max_load_mw`; losses are
    `loss_share` x maximum load x (load / maximum load)^2.
    """
    mix = districts.sector_share[:, :, None] * shape.sector[:, None, :]
    load = mix.sum(axis=(0, 1))
    # A part of the city has another mix of sectors, so its curve peaks at another height.
    mix, load = mix / load.max(), load / load.max()
    return np.asarray(max_load_mw * mix * (1.0 - loss_share * load), dtype=np.float64)


def weather_factor(
    temperature_c: NDArray[np.float64], design_temperature_c: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the factor on the weather-driven background, one value a minute; 1 on a design day.

    Linear in the difference to the design day's temperature at the same minute, which buildings
    follow with a first-order lag; the slope comes from a published 3 to 5 GW per °C of the
    province (see ``parameters.toml``). Never negative.

    Parameters
    ----------
    temperature_c, design_temperature_c : float64[minutes], equal lengths
    """
    figures = read_parameters()
    keep = float(np.exp(-1.0 / (60.0 * figures["demand.aircon_lag_h"])))
    difference = temperature_c - design_temperature_c
    lagged = np.empty_like(difference)
    value = float(difference[0])
    for minute, now in enumerate(difference):
        value = keep * value + (1.0 - keep) * float(now)
        lagged[minute] = value
    return np.maximum(1.0 + figures["demand.aircon_slope_per_c"] * lagged, 0.0)
