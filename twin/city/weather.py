"""The weather of the scenario's day and of the days before, minute by minute."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator
from twin.city.epw import read_epw_days
from twin.city.humidity import vapour_hpa, wet_bulb
from twin.city.sun import Sun, clear_sky, sun_position
from twin.city.tables import DataRows, Parameters, periodic_minutes, read_parameters
from twin.city.weather_month import month_weather, read_day_figures
from twin.clock import DAY_MS, MINUTE_MS

FIRST_MINUTE = -1440  # weather covers the day before and the day, both ends included ...
MINUTES = 2881
DAY_MIN = 1440  # ... and as many whole days more as are asked for
CLOUD_STEP_MIN = 15
CLOUD_TERMS = 16  # terms of the moving average that stands for an AR(1) process
Day = Literal["design", "hot", "normal"]


@dataclass(frozen=True, slots=True)
class WeatherNow:
    """Weather of one minute; fields as in `Weather`."""

    temperature_c: float
    wet_bulb_c: float
    ghi_w_m2: float
    dni_w_m2: float
    dhi_w_m2: float
    zenith_deg: float
    azimuth_deg: float
    cloud: NDArray[np.float64]
    occupancy: float


@dataclass(frozen=True, slots=True)
class Weather:
    """Weather of some days, index 0 is 00:00 of the first; float64[days * 1440 + 1] each.

    Attributes
    ----------
    day : date of the scenario
    temperature_c, wet_bulb_c : outdoor air
    ghi_w_m2, dni_w_m2, dhi_w_m2 : irradiance of the day with its mean cloud factor in it
    zenith_deg, azimuth_deg : sun, azimuth clockwise from north (pvlib's convention)
    cloud : float64[minutes, districts], keyed factor on irradiance with mean 1
    occupancy : float64[days], keyed factor on people in buildings, the scenario's day last
    source : where the weather comes from, for the report
    first_minute : of index 0, since midnight of the scenario's day; -1440: the day before
    """

    day: date
    temperature_c: NDArray[np.float64]
    wet_bulb_c: NDArray[np.float64]
    ghi_w_m2: NDArray[np.float64]
    dni_w_m2: NDArray[np.float64]
    dhi_w_m2: NDArray[np.float64]
    zenith_deg: NDArray[np.float64]
    azimuth_deg: NDArray[np.float64]
    cloud: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    source: str
    first_minute: int = FIRST_MINUTE

    def at(self, now_ms: int) -> WeatherNow:
        """Return the weather at `now_ms` (held at either end)."""
        i = min(max(now_ms // MINUTE_MS - self.first_minute, 0), len(self.temperature_c) - 1)
        days = len(self.occupancy)
        day = min(max(now_ms // DAY_MS + days - 1, 0), days - 1)
        return WeatherNow(
            float(self.temperature_c[i]),
            float(self.wet_bulb_c[i]),
            float(self.ghi_w_m2[i]),
            float(self.dni_w_m2[i]),
            float(self.dhi_w_m2[i]),
            float(self.zenith_deg[i]),
            float(self.azimuth_deg[i]),
            self.cloud[i],
            float(self.occupancy[day]),
        )

    def expected(self) -> Weather:
        """Return the same weather without chance: cloud and occupancy factors 1."""
        return replace(self, cloud=np.ones_like(self.cloud), occupancy=np.ones_like(self.occupancy))

    @property
    def max_c(self) -> float:
        """Maximum dry bulb of the scenario's day (not of the days before)."""
        return float(self.temperature_c[-DAY_MIN - 1 :].max())

    def daily_max_c(self) -> NDArray[np.float64]:
        """Return float64[days], each day's maximum dry bulb."""
        return np.asarray(self.temperature_c[:-1].reshape(-1, DAY_MIN).max(axis=1))


def build_weather(
    day: date,
    kind: Day,
    seed: int,
    districts: int,
    *,
    epw: Path | None = None,
    epw_day: tuple[int, int] | None = None,
    offset_c: float = 0.0,
    before: int = 1,
) -> Weather:
    """Return the weather of `day` and of the days before.

    Parameters
    ----------
    day : date of the scenario; the sun follows it unless an EPW file is given
    kind : design, hot or normal day of ``weather_days.csv``; one day before is alike, more of
        them vary (see `twin.city.weather_month`)
    seed, districts : for the keyed cloud and occupancy factors
    epw : EnergyPlus weather file that replaces the synthetic weather
    epw_day : (month, day) in that file; None takes its hottest day
    offset_c : added to the dry bulb at constant vapour pressure
    before : number of days before, 1 or more

    Raises InputProblems with everything wrong in the EPW file.
    """
    figures = read_parameters()
    minutes = (before + 1) * DAY_MIN + 1
    if epw is None:
        sun = sun_position(
            day - timedelta(days=before),
            minutes,
            figures["weather.latitude_deg"],
            figures["weather.longitude_deg"],
        )
        temperature_c, wet_bulb_c, irradiance = _synthetic(kind, sun, figures, before, seed)
        source = f"synthetic {kind} day (weather_days.csv)"
    else:
        read = read_epw_days(epw, epw_day, before)
        # The sun goes with the file's own day; 2000 was a leap year, so 29 February exists.
        own_day = date(2000, read.month, read.day)
        sun = sun_position(
            own_day - timedelta(days=before), minutes, read.latitude_deg, read.longitude_deg
        )
        temperature_c, wet_bulb_c = read.temperature_c, read.wet_bulb_c
        # Hourly means reach a little beyond sunrise and sunset.
        lit = (sun.zenith_deg < 90.0).astype(np.float64)
        irradiance = read.irradiance_w_m2 * lit
        source = f"{epw.name}, {read.month:02d}-{read.day:02d}, {read.place}"
    if offset_c != 0.0:
        vapour = vapour_hpa(temperature_c, wet_bulb_c)
        temperature_c = temperature_c + offset_c
        wet_bulb_c = wet_bulb(temperature_c, vapour)
        source += f", {offset_c:+g} °C"
    return Weather(
        day,
        temperature_c,
        wet_bulb_c,
        irradiance[0],
        irradiance[1],
        irradiance[2],
        sun.zenith_deg,
        sun.azimuth_deg,
        keyed_cloud(seed, districts, figures, before),
        keyed_occupancy(seed, figures, before),
        source,
        -before * DAY_MIN,
    )


def _synthetic(
    kind: Day, sun: Sun, figures: Parameters, before: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return dry bulb, wet bulb and irradiance [3, minutes]; one day before is an equal one.

    The daily range follows from maximum and mean with the profile's own mean.
    """
    profile_rows = DataRows("temperature_profile.csv")
    profile = periodic_minutes(profile_rows.minutes("time"), profile_rows.f8("fraction_of_range"))
    if before > 1:
        return month_weather(read_day_figures(kind, before, seed), profile, sun, figures)
    row = DataRows("weather_days.csv").by("day")[kind]
    max_c = float(row["max_c"])
    range_c = (max_c - float(row["mean_c"])) / float(profile.mean())
    fraction = np.resize(profile, MINUTES)
    temperature_c = max_c - range_c * fraction
    wet_bulb_c = float(row["wet_bulb_c"]) - float(row["wet_bulb_range_c"]) * fraction
    irradiance = clear_sky(
        sun,
        figures["weather.altitude_m"],
        figures["weather.linke_turbidity"],
        float(row["cloud_factor"]),
    )
    return temperature_c, np.minimum(wet_bulb_c, temperature_c), irradiance


def keyed_cloud(
    seed: int, districts: int, figures: Parameters, before: int = 1
) -> NDArray[np.float64]:
    """Return float64[minutes, districts]: AR(1)-like factor every 15 min, interpolated; mean 1.

    A city-wide part and one for each district. Each quarter of an hour has its own keyed draw,
    of which a node is the weighted sum of the last ones, so that no state is carried.
    """
    begin, end = -before * DAY_MIN, DAY_MIN + 1
    nodes = np.arange(begin, end + CLOUD_STEP_MIN, CLOUD_STEP_MIN)
    first = int(nodes[0]) // CLOUD_STEP_MIN
    draws = np.stack(
        [
            generator(seed, "weather.cloud", number).standard_normal(1 + districts)
            for number in range(first - CLOUD_TERMS + 1, first + len(nodes))
        ]
    )
    weights = figures["weather.cloud_memory"] ** np.arange(CLOUD_TERMS)
    weights /= np.sqrt(np.sum(weights**2))
    smooth = np.zeros((len(nodes), 1 + districts))
    for lag, weight in enumerate(weights):
        smooth += weight * draws[CLOUD_TERMS - 1 - lag :][: len(nodes)]
    factor = (
        1.0
        + figures["weather.cloud_common"] * smooth[:, :1]
        + figures["weather.cloud_district"] * smooth[:, 1:]
    )
    minutes = np.arange(begin, end)
    columns = [np.interp(minutes, nodes, factor[:, d]) for d in range(districts)]
    return np.clip(np.stack(columns, axis=1), 0.5, 1.5)


def keyed_occupancy(seed: int, figures: Parameters, before: int = 1) -> NDArray[np.float64]:
    """Return float64[before + 1]: the common factor on occupancy by day."""
    spread = figures["weather.occupancy_common"]
    draws = [generator(seed, "weather.occupancy", n).standard_normal() for n in range(-before, 1)]
    return np.clip(1.0 + spread * np.array(draws), 0.8, 1.2)
