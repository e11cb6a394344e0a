"""What a device sees of the world outside, constant within one minute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Environment:
    """The world outside during one minute.

    Attributes
    ----------
    now_ms : start of the minute, since midnight of the scenario's day (negative: the day before)
    temperature_c, wet_bulb_c : outdoor air
    ghi_w_m2, dni_w_m2, dhi_w_m2 : clear-sky irradiance times the day's mean cloud factor
    zenith_deg, azimuth_deg : sun (pvlib convention, azimuth clockwise from north)
    cloud : float64[districts], keyed factor on irradiance, about 1
    occupancy : float, keyed common factor on people in buildings, about 1
    workday : bool
    tariff_period : 0 valley, 1 flat, 2 peak, 3 super-peak now
    tariff_day : int64[1440] the same for the whole day
    price_cny_kwh : price now
    seed : the scenario's seed, for keyed draws
    """

    now_ms: int
    temperature_c: float
    wet_bulb_c: float
    ghi_w_m2: float
    dni_w_m2: float
    dhi_w_m2: float
    zenith_deg: float
    azimuth_deg: float
    cloud: NDArray[np.float64]
    occupancy: float
    workday: bool
    tariff_period: int
    tariff_day: NDArray[np.int64]
    price_cny_kwh: float
    seed: int
