"""Keeps what meters show by quarters of an hour, and nothing else, while days pass."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.engine.simulation import Period, Simulation
from twin.record.exchange import Reports, SetPoint
from twin.record.metering import QUARTERS

__all__ = ["QUARTER_MS", "MeterSink"]

QUARTER_MS = 15 * MINUTE_MS


class MeterSink:
    """Quarter-hour means of some sites over the days before midnight of the scenario's day.

    What lies before the first of the days or after that midnight is left aside.

    Parameters
    ----------
    days : number of days
    rows : int64[n]  sites to keep

    Attributes
    ----------
    demand_kw : float32[days, 96, n]  NaN where nothing was metered
    """

    def __init__(self, days: int, rows: NDArray[np.int64]) -> None:
        self.rows = rows
        self.demand_kw = np.full((days, QUARTERS, len(rows)), np.nan, np.float32)
        self.seconds = 0
        self.kws: NDArray[np.float64] = np.zeros(len(rows))

    def believe(self, run: Simulation, reports: Reports) -> None:
        """Leave reports aside: no logic is at work on these days."""

    def wrote(
        self, now_ms: int, write: SetPoint, point: int, outcome: NDArray[np.uint8], number: int
    ) -> None:
        """Leave writes aside: nobody commands on these days."""

    def period(self, run: Simulation, period: Period) -> None:
        """Add a finished period; close the quarter where it ends."""
        first_ms = -len(self.demand_kw) * QUARTERS * QUARTER_MS
        if not first_ms <= period.start_ms < 0:
            return
        self.seconds += period.seconds
        self.kws += run.sites.state["demand_kw"][self.rows] * period.seconds
        end_ms = period.start_ms + period.seconds * 1_000
        if end_ms % QUARTER_MS == 0:
            day, quarter = divmod((end_ms - first_ms) // QUARTER_MS - 1, QUARTERS)
            self.demand_kw[day, quarter] = self.kws / self.seconds
            self.seconds = 0
            self.kws[:] = 0.0

    def fork(self) -> MeterSink:
        """Return an independent copy."""
        other = copy.copy(self)
        other.demand_kw, other.kws = self.demand_kw.copy(), self.kws.copy()
        return other
