"""The days of a run that has more than one: who works, at what tariff, how busily."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from twin.city.districts import SECTORS
from twin.city.tables import DataRows
from twin.city.tariffs import build_tariff
from twin.clock import DAY_MS

__all__ = ["Days", "build_days", "is_workday", "rest_day"]


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a run, oldest first, the scenario's own day last.

    Attributes
    ----------
    date : of each day
    workday : bool[days]
    activity : float64[days, sectors]  demand beside the modelled devices over a workday's
    tariff_period : int64[days, 1440], see `Tariff`
    price_cny_kwh : float64[days, 1440]
    """

    date: tuple[date, ...]
    workday: NDArray[np.bool_]
    activity: NDArray[np.float64]
    tariff_period: NDArray[np.int64]
    price_cny_kwh: NDArray[np.float64]

    def row(self, now_ms: int) -> int:
        """Return the row of the day of `now_ms`, held at either end."""
        last = len(self.date) - 1
        return int(min(max(now_ms // DAY_MS + last, 0), last))


def rest_day(day: date) -> str | None:
    """Return ``weekend`` or ``holiday`` where people do not work on `day`, None where they do.

    After ``holidays.csv``; years that are not in it have weekends only.
    """
    kind = "weekend" if day.weekday() >= 5 else None
    rows = DataRows("holidays.csv")
    for first, last, works in zip(
        rows.text("first"), rows.text("last"), rows.text("works"), strict=True
    ):
        if date.fromisoformat(first) <= day <= date.fromisoformat(last):
            return None if works == "1" else "holiday"
    return kind


def is_workday(day: date) -> bool:
    """Return whether people work on `day`: no weekend, no public holiday, or a made-up day."""
    return rest_day(day) is None


def build_days(last: date, before: int, max_c: NDArray[np.float64]) -> Days:
    """Return the `before` days before `last`, and `last`.

    Parameters
    ----------
    last : the scenario's day
    before : number of days before it
    max_c : float64[before + 1]  each day's maximum dry bulb, which super-peak hours may go by
    """
    dates = tuple(last - timedelta(days=back) for back in range(before, -1, -1))
    rows = DataRows("rest_days.csv").by("sector")
    activity = np.ones((len(dates), len(SECTORS)))
    kinds = [rest_day(day) for day in dates]
    for i, kind in enumerate(kinds):
        if kind is not None:
            activity[i] = [float(rows[sector][kind]) for sector in SECTORS]
    tariffs = [build_tariff(day, float(top)) for day, top in zip(dates, max_c, strict=True)]
    return Days(
        dates,
        np.array([kind is None for kind in kinds]),
        activity,
        np.stack([t.period for t in tariffs]),
        np.stack([t.price_cny_kwh for t in tariffs]),
    )
