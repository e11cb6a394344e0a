"""Time-of-use tariff of Guangdong (notice No. 331 of 2021, in force since 1 October 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from twin.city.tables import DataRows, read_parameters

VALLEY, FLAT, PEAK, SUPER_PEAK = range(4)
PERIOD_NAMES = ("valley", "flat", "peak", "super_peak")
SUPER_PEAK_MONTHS = (7, 8, 9)


@dataclass(frozen=True, slots=True)
class Tariff:
    """The tariff of one day.

    Attributes
    ----------
    period : int64[1440], 0 valley, 1 flat, 2 peak, 3 super-peak
    price_cny_kwh : float64[1440]
    super_peak : whether this day has super-peak hours
    """

    period: NDArray[np.int64]
    price_cny_kwh: NDArray[np.float64]
    super_peak: bool


def build_tariff(day: date, forecast_max_c: float) -> Tariff:
    """Return the tariff of `day`.

    Super-peak hours hold on every day of July to September and on other days whose forecast
    maximum is 35 °C or more.

    Parameters
    ----------
    day : the scenario's date
    forecast_max_c : forecast daily maximum of the dry bulb
    """
    figures = read_parameters()
    super_peak = (
        day.month in SUPER_PEAK_MONTHS or forecast_max_c >= figures["tariff.super_peak_from_c"]
    )
    rows = DataRows("tariff.csv")
    period = np.full(1440, -1, dtype=np.int64)
    starts, ends = rows.minutes("start"), rows.minutes("end")
    for name, start, end in zip(rows.text("period"), starts, ends, strict=True):
        if name == "super_peak" and not super_peak:
            continue
        period[start:end] = PERIOD_NAMES.index(name)
    if period.min() < 0:
        raise ValueError("tariff.csv does not cover the day")
    peak_ratio = figures["tariff.peak_ratio"]
    ratio = np.array(
        [
            figures["tariff.valley_ratio"],
            1.0,
            peak_ratio,
            peak_ratio * figures["tariff.super_peak_ratio"],
        ]
    )
    return Tariff(period, figures["tariff.flat_price"] * ratio[period], super_peak)
