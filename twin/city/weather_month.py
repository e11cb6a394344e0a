"""Synthetic weather of several days: from one day to the next with memory.

A scenario's day is given (design, hot or normal); the days before it are drawn backwards as a
first-order autoregression about the season's normal day, which a stationary process allows in
either direction. So the days before a peak day are on average cooler than it, the more the
further back, as a peak day is a rare one. Each day has its own keyed draw: asking for more days
changes none of those that were there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator
from twin.city.sun import Sun, clear_sky
from twin.city.tables import DataRows, Parameters

DAY_MIN = 1440
TURN_MIN = 18 * 60  # from here to midnight the air turns into the next day's (assumed)

Floats = NDArray[np.float64]

__all__ = ["DayFigures", "month_weather", "read_day_figures"]


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What makes a synthetic day, or one array entry a day.

    Attributes
    ----------
    max_c, mean_c : dry bulb
    wet_bulb_c, wet_bulb_range_c : wet bulb at the maximum, and its daily range
    cloud_factor : mean factor on clear-sky irradiance
    """

    max_c: Floats
    mean_c: Floats
    wet_bulb_c: Floats
    wet_bulb_range_c: Floats
    cloud_factor: Floats


def _row(kind: str) -> Floats:
    row = DataRows("weather_days.csv").by("day")[kind]
    names = ("max_c", "mean_c", "wet_bulb_c", "wet_bulb_range_c", "cloud_factor")
    return np.array([float(row[name]) for name in names])


def read_day_figures(kind: str, before: int, seed: int) -> DayFigures:
    """Return float64[before + 1] each, oldest day first, the day `kind` itself last.

    Parameters
    ----------
    kind : row of ``weather_days.csv``
    before : number of days before it
    seed : of the weather's chance
    """
    rows = DataRows("weather_month.csv").by("quantity")
    number = {name: float(row["value"]) for name, row in rows.items()}
    normal, own = _row("normal"), _row(kind)
    keep = number["memory"]
    fresh = np.sqrt(1.0 - keep**2)
    warmer, clearer = 0.0, 0.0
    days = [own]
    for back in range(1, before + 1):
        draw = generator(seed, "weather.day", -back).standard_normal(2)
        warmer = keep * warmer + fresh * number["temperature_sigma_c"] * float(draw[0])
        clearer = keep * clearer + fresh * number["cloud_sigma"] * float(draw[1])
        day = normal + keep**back * (own - normal)
        day[:2] += warmer
        day[2] += number["wet_bulb_share"] * warmer
        day[4] = np.clip(
            day[4] + clearer, number["least_cloud_factor"], number["greatest_cloud_factor"]
        )
        days.append(day)
    return DayFigures(*np.stack(days[::-1], axis=1))


def _minutes(values: Floats) -> Floats:
    """Return float64[days * 1440 + 1], a day's figure up to the evening, then to the next's."""
    days = len(values)
    nodes = np.arange(days)[:, None] * DAY_MIN + np.array([0, TURN_MIN])
    return np.interp(np.arange(days * DAY_MIN + 1), nodes.ravel(), np.repeat(values, 2))


def month_weather(
    figures: DayFigures, profile: Floats, sun: Sun, parameters: Parameters
) -> tuple[Floats, Floats, Floats]:
    """Return dry bulb, wet bulb and irradiance [3, minutes] over the days and one minute.

    Parameters
    ----------
    profile : float64[1440]  fraction of the daily range below the maximum
    sun : over the same minutes
    """
    minutes = len(figures.max_c) * DAY_MIN + 1
    fraction = np.resize(profile, minutes)
    range_c = (figures.max_c - figures.mean_c) / float(profile.mean())
    temperature_c = _minutes(figures.max_c) - _minutes(range_c) * fraction
    wet_bulb_c = _minutes(figures.wet_bulb_c) - _minutes(figures.wet_bulb_range_c) * fraction
    irradiance = np.empty((3, minutes))
    for i, cloud_factor in enumerate(figures.cloud_factor):
        span = slice(i * DAY_MIN, minutes if i == len(figures.max_c) - 1 else (i + 1) * DAY_MIN)
        there = Sun(
            sun.zenith_deg[span],
            sun.apparent_zenith_deg[span],
            sun.azimuth_deg[span],
            sun.extraterrestrial_w_m2[span],
        )
        irradiance[:, span] = clear_sky(
            there,
            parameters["weather.altitude_m"],
            parameters["weather.linke_turbidity"],
            float(cloud_factor),
        )
    return temperature_c, np.minimum(wet_bulb_c, temperature_c), irradiance
