"""How much may come back after an order, and when: under the rebound limit and below the peak.

What an order took from batteries is missing in the owners' dear hours, which come next. The
missing energy is laid into the quarters of an hour that have room: no more at once than a share
of the order, no more than the forecast load leaves below the day's maximum. What finds no room
is spread evenly over all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS, minute_of_day
from twin.record.exchange import Calendar
from twin.record.table import Table
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]

QUARTER_MS = HOUR_MS // 4
REBOUND_AIM = 0.36  # of the order; nine tenths of the limit (assumed)
PEAK_MARGIN = 0.003  # of the day's maximum that stays free: the own baseline errs (assumed)
SETTLE = 0.2  # of a new ratio of seen to forecast load that is believed each minute (assumed)
DEBT_H = 1.5  # in which what other kinds take back fades (assumed)


class DayLoad:
    """The day's load without orders, as seen so far and as forecast for the rest.

    `memory` holds the highest seen [MW] and the ratio of seen to forecast load.
    """

    def __init__(self, name: str, calendar: Calendar) -> None:
        self.name, self.typical = name, calendar.typical_load_mw
        self.memory = Table((), 0, {"highest_mw": np.zeros(1), "ratio": np.ones(1)})

    def tables(self) -> dict[str, Table]:
        """Return what evolves."""
        return {f"{self.name}.dayload": self.memory}

    def see(self, now_ms: int, load_mw: float | None, delivered_kw: float) -> None:
        """Take the metered load; what orders take off it is believed to be `delivered_kw`."""
        expected = float(self.typical[minute_of_day(now_ms)])
        if load_mw is None or not np.isfinite(load_mw + delivered_kw) or expected <= 0.0:
            return
        without = load_mw + delivered_kw / KW_PER_MW
        ratio = float(np.clip(without / expected, 0.5, 2.0))
        self.memory["ratio"] += SETTLE * (ratio - float(self.memory["ratio"][0]))
        if without > float(self.memory["highest_mw"][0]):
            self.memory["highest_mw"] = without

    def room_kw(self, now_ms: int, quarters: int) -> Floats:
        """Return float64[quarters], what the forecast leaves below the maximum, from now on."""
        ratio = float(self.memory["ratio"][0])
        minutes = [
            slice(minute, minute + 15)
            for minute in (
                minute_of_day(now_ms - now_ms % QUARTER_MS + q * QUARTER_MS)
                for q in range(quarters)
            )
        ]
        coming = ratio * np.array([float(self.typical[m].max(initial=0.0)) for m in minutes])
        # What is over was seen; a forecast of it would only move the maximum.
        rest = self.typical[minute_of_day(now_ms) :]
        top = max(float(self.memory["highest_mw"][0]), ratio * float(rest.max()))
        room = np.maximum((1.0 - PEAK_MARGIN) * top - coming, 0.0)
        return np.asarray(room * KW_PER_MW)

    def allowed_kw(self, now_ms: int, quarters: int, asked_kw: float) -> Floats:
        """Return float64[quarters], what may come back in each under an order of `asked_kw`."""
        most_kw = REBOUND_AIM * asked_kw
        return np.minimum(self.room_kw(now_ms, quarters), most_kw)


def quarter_hours(now_ms: int, quarters: int) -> Floats:
    """Return float64[quarters], how long each lasts from now on [h]; the first one is cut."""
    hours = np.full(quarters, 0.25)
    hours[0] -= (now_ms % QUARTER_MS) / HOUR_MS
    return np.asarray(np.maximum(hours, MINUTE_MS / HOUR_MS))


def fading_kw(kw: float, ends_min: tuple[float, float], hours: Floats) -> Floats:
    """Return what a kind is expected to give (negative: take) in each quarter.

    What it gives it gives up between `ends_min` from now, what it takes fades over `DEBT_H`.
    """
    since = np.cumsum(hours) - 0.5 * hours
    first, last = (0.0, DEBT_H) if kw < 0.0 else (ends_min[0] / 60.0, ends_min[1] / 60.0)
    return np.asarray(kw * np.clip((last - since) / (last - first), 0.0, 1.0))


def lay_into(
    missing_kwh: float, most_kw: Floats, room_kw: Floats, hours: Floats
) -> tuple[Floats, float]:
    """Return float64[quarters], the power held back in each to make up `missing_kwh`, and level.

    ``clip(room + level, 0, most)`` with one level for all, found by bisection: quarters keep the
    same distance to their room, whether it is left (level below 0) or exceeded (above).

    Parameters
    ----------
    most_kw : what can be held back at all
    room_kw : what may be held back; negative where there is less than none
    """
    if missing_kwh >= float((most_kw * hours).sum()):
        return most_kw.copy(), float("inf")
    low, high = -float(np.abs(room_kw).max(initial=0.0)), float(most_kw.max(initial=0.0))
    high += float(np.abs(room_kw).max(initial=0.0))
    for _ in range(60):
        level = 0.5 * (low + high)
        held = np.clip(room_kw + level, 0.0, most_kw)
        if float((held * hours).sum()) < missing_kwh:
            low = level
        else:
            high = level
    return np.clip(room_kw + high, 0.0, most_kw), high
