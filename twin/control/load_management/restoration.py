"""Giving supply back: even steps, each no larger than the room below the day's maximum.

A circuit comes back with cold-load pick-up on top of its demand, and the load has a trend of its
own. Where there is no room a step waits, but not for ever: customers count minutes too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.load_management.quarter_cap import coming
from twin.units import KW_PER_MW

RESTORE_MIN = 45.0  # evenly; the limit is 60
RESTORE_ANYWAY_MIN = 38.0  # from here on a high load no longer stops it, but slows it:
LATEST_MIN = 55.0  # what is left comes back evenly until then
PEAK_GUARD = 0.985  # of the day's maximum: what the load may reach while supply returns
PICKUP = 0.25  # on top of what comes back after an hour, less after a shorter time (assumed)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The day's load as forecast.

    Attributes
    ----------
    typical_load_mw : float64[1440]
    start_ms, end_ms : span of the scenario
    """

    typical_load_mw: NDArray[np.float64]
    start_ms: int
    end_ms: int

    def scale(self, now_ms: int, load_mw: float) -> float:
        """Return what is metered over what was forecast for the minute before `now_ms`."""
        typical = float(self.typical_load_mw[(now_ms // MINUTE_MS - 1) % 1440])
        return load_mw / typical if typical > 0.0 else 1.0

    def highest_mw(self, from_ms: int, to_ms: int) -> float:
        """Return the highest load forecast for [from, to)."""
        minutes = np.arange(from_ms // MINUTE_MS, max(to_ms // MINUTE_MS, from_ms // MINUTE_MS + 1))
        return float(self.typical_load_mw[minutes % 1440].max())

    def mean_over_now(self, now_ms: int, from_ms: int, to_ms: int) -> float:
        """Return the mean load forecast for [from, to) over that of `now_ms`."""
        minutes = np.arange(from_ms // MINUTE_MS, max(to_ms // MINUTE_MS, from_ms // MINUTE_MS + 1))
        now = float(self.typical_load_mw[now_ms // MINUTE_MS % 1440])
        mean = float(self.typical_load_mw[minutes % 1440].mean())
        return mean / now if now > 0.0 else 1.0

    def top_mw(self, scale: float, seen_mw: float) -> float:
        """Return the day's maximum as it would have been: seen so far, or forecast and scaled."""
        return max(seen_mw, scale * self.highest_mw(self.start_ms, self.end_ms))


def step_kw(
    now_ms: int, ended_ms: int, kw: tuple[float, float], load: tuple[float | None, float],
    forecast: Forecast,
) -> float:  # fmt: skip
    """Return how much open demand may be closed in the coming minute [kW].

    Parameters
    ----------
    ended_ms : when the order ended
    kw : open demand at the end of the order, and what of it is still open
    load : metered load and the day's maximum as it would have been [MW]
    """
    minutes = (now_ms - ended_ms) / MINUTE_MS
    whole_kw, left_kw = kw
    keep_kw = whole_kw * max(1.0 - (minutes + 1.0) / RESTORE_MIN, 0.0)
    wanted = max(left_kw - keep_kw, 0.0)
    load_mw, top_mw = load
    if load_mw is None:
        return wanted
    expected = load_mw * coming(forecast.typical_load_mw, now_ms)
    room_kw = (PEAK_GUARD * top_mw - expected) * KW_PER_MW / (1.0 + PICKUP)
    anyway = 0.0
    if minutes >= RESTORE_ANYWAY_MIN:
        anyway = left_kw / max(LATEST_MIN - minutes, 1.0)
    return max(min(wanted, room_kw), anyway)
