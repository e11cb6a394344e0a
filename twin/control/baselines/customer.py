"""Customer baselines: what each account would have drawn, from its meter on the days before.

Clock quarters by site. A method looks at days alike the event day (workdays for a workday), and
never at a day with an order. Where fewer of them are known than it asks for, it takes those
there are; with none there is no baseline (NaN).

- ``guangzhou_2021``: mean of five days, the day before skipped (Guangzhou 2021 rules for workdays,
  gxj.gz.gov.cn, grade A; for rest days the same of rest days, assumed). The rules' coefficient
  for real-time events from the system's average load is not applied.
- ``mean_10``: mean of the last ten days ("10 of 10", the California ISO's day matching, GK),
  without its same-day adjustment.
- ``high_4_of_5``: of the last five days the four with the most energy in the event's window at
  this site (PJM's "high 4 of 5", GK), times what the site has drawn today over what those four
  days show, from four hours to one hour before the event, within `ADJUSTMENT` (the California
  ISO's cap of 20 %, GK).
- ``regression``: last ten days, straight line over the outdoor temperature with one slope a site
  and one level each quarter of an hour (ordinary least squares with fixed effects, as in AEIC's
  and NAESB's weather-sensitive baselines, GK), read at the day's forecast temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.record.exchange import Calendar, Inventory
from twin.record.metering import QUARTERS, MeterHistory

Floats = NDArray[np.float64]

METHODS = ("guangzhou_2021", "mean_10", "high_4_of_5", "regression")
QUARTER_MS = 15 * MINUTE_MS
ADJUSTMENT = (0.8, 1.2)  # least and greatest factor of the same-day adjustment (GK)
ADJUST_FROM, ADJUST_TO = 16, 4  # quarters before the event between which today is looked at (GK)
LEAST_SPREAD_K2 = 1e-6  # below this sum of squares days say nothing of temperature


@dataclass(frozen=True, slots=True)
class _Known:
    """The days that count, shared with the history itself.

    Attributes
    ----------
    rows : int64[days]  of the history, the newest day first
    back : int64[days]  how many days back each is
    sites : int64[n]  those that were metered
    """

    history: MeterHistory
    rows: NDArray[np.int64]
    back: NDArray[np.int64]
    sites: NDArray[np.int64]

    def load_kw(self, rows: NDArray[np.int64], window: NDArray[np.int64]) -> Floats:
        """Return float64[days, quarters, n] at `rows` of the history."""
        picked = self.history.demand_kw[rows[:, None], window[None, :]]
        return picked[:, :, self.sites].astype(np.float64)


class CustomerBaselines:
    """The methods on one history.

    Parameters
    ----------
    inventory, calendar : as a logic's `start` gets them
    event_days : days back (1: the day before) on which there was an order; they do not count

    Attributes
    ----------
    metered : bool[sites]  sites of which any day is known
    """

    def __init__(
        self, inventory: Inventory, calendar: Calendar, event_days: Sequence[int] = ()
    ) -> None:
        self.sites = inventory.sites.n
        self.forecast_c = np.asarray(calendar.forecast_temperature_c).reshape(QUARTERS, -1)
        self.metered: NDArray[np.bool_] = np.zeros(self.sites, np.bool_)
        self.known: _Known | None = None
        if calendar.history is not None:
            self.known = self._known(calendar.history, calendar.workday, event_days)

    def _known(
        self, history: MeterHistory, workday: bool, event_days: Sequence[int]
    ) -> _Known | None:
        alike = (history.workday == workday) & ~np.isin(-history.day, np.asarray(event_days, int))
        rows = np.flatnonzero(alike)[::-1]
        self.metered = np.asarray(np.isfinite(history.demand_kw[rows]).any(axis=(0, 1)))
        if len(rows) == 0 or not self.metered.any():
            return None
        return _Known(history, rows, -history.day[rows], np.flatnonzero(self.metered))

    def load_kw(self, method: str, first_quarter: int, quarters: int, today_kw: Floats) -> Floats:
        """Return float64[quarters, sites], what the sites would have drawn [kW].

        Parameters
        ----------
        method : one of `METHODS`; KeyError for another
        first_quarter, quarters : of the day, the event's window
        today_kw : float64[96, sites]  quarter-hour means metered so far today, NaN unknown

        NaN where a site has no history.
        """
        work = _WORK[method]
        out = np.full((quarters, self.sites), np.nan)
        if self.known is None or quarters <= 0:
            return out
        window = np.arange(first_quarter, first_quarter + quarters)
        inside = (window >= 0) & (window < QUARTERS)
        if inside.any():
            found = work(self, self.known, window[inside], today_kw[:, self.metered])
            out[np.ix_(np.flatnonzero(inside), np.flatnonzero(self.metered))] = found
        return out

    # -- methods: known days, window, today's means at metered sites; float64[quarters, n] -----

    def _guangzhou(self, known: _Known, window: NDArray[np.int64], today: Floats) -> Floats:
        return _mean(known.load_kw(known.rows[known.back >= 2][:5], window))

    def _mean_10(self, known: _Known, window: NDArray[np.int64], today: Floats) -> Floats:
        return _mean(known.load_kw(known.rows[:10], window))

    def _high_4_of_5(self, known: _Known, window: NDArray[np.int64], today: Floats) -> Floats:
        rows = known.rows[:5]
        days = known.load_kw(rows, window)
        size = _mean(days.transpose(1, 0, 2))
        size = np.where(np.isnan(size), -np.inf, size)
        rank = np.argsort(np.argsort(-size, axis=0, kind="stable"), axis=0)
        high = (rank < 4)[:, None, :]
        before = np.arange(int(window[0]) - ADJUST_FROM, int(window[0]) - ADJUST_TO)
        before = before[before >= 0]
        earlier = known.load_kw(rows, before)
        usual, now = _mean(np.where(high, earlier, np.nan)), today[before]
        both = np.isfinite(usual) & np.isfinite(now)
        drawn, would = (np.where(both, x, 0.0).sum(axis=0) for x in (now, usual))
        factor = np.ones(days.shape[2])
        np.divide(drawn, would, out=factor, where=(would > 0.0) & (drawn > 0.0))
        return _mean(np.where(high, days, np.nan)) * np.clip(factor, *ADJUSTMENT)

    def _regression(self, known: _Known, window: NDArray[np.int64], today: Floats) -> Floats:
        rows = known.rows[:10]
        load = known.load_kw(rows, window)
        outside_c = known.history.temperature_c[rows[:, None], window[None, :]]
        air = np.broadcast_to(outside_c[:, :, None], load.shape)
        air = np.where(np.isfinite(load), air, np.nan)
        level, usual_c = _mean(load), _mean(air)
        warmer, more = np.nan_to_num(air - usual_c), np.nan_to_num(load - level)
        spread = (warmer**2).sum(axis=(0, 1))
        slope = np.zeros(load.shape[2])
        np.divide(
            (warmer * more).sum(axis=(0, 1)), spread, out=slope, where=spread > LEAST_SPREAD_K2
        )
        today_c = self.forecast_c[window].mean(axis=1)[:, None]
        return np.asarray(level + slope * (today_c - usual_c))


_Work = Callable[[CustomerBaselines, _Known, NDArray[np.int64], Floats], Floats]
_WORK: Mapping[str, _Work] = {
    "guangzhou_2021": CustomerBaselines._guangzhou,  # noqa: SLF001 - own class
    "mean_10": CustomerBaselines._mean_10,  # noqa: SLF001
    "high_4_of_5": CustomerBaselines._high_4_of_5,  # noqa: SLF001
    "regression": CustomerBaselines._regression,  # noqa: SLF001
}


def _mean(values: Floats) -> Floats:
    """Return the mean over the first axis of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    out = np.full(values.shape[1:], np.nan)
    np.divide(np.where(known, values, 0.0).sum(axis=0), count, out=out, where=count > 0)
    return out


__all__ = ["METHODS", "QUARTER_MS", "CustomerBaselines"]
