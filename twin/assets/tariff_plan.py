"""How an owner of a store reads a time-of-use tariff.

One plan serves batteries and ice: charge where something dearer comes before something
cheaper, deliver the dearest minutes first. It knows ordinal periods only (0 valley, 1 flat,
2 peak, 3 super-peak), so any day of any tariff works; the day is taken to repeat itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MINUTES = 1_440
VALLEY, FLAT, PEAK = 0, 1, 2


@dataclass(frozen=True, slots=True)
class TariffPlan:
    """What each minute of the day is good for; all arrays have shape (1440,).

    Attributes
    ----------
    charge : bool, a minute to charge in
    deliver : bool, a minute to discharge (or melt) in, dearer than the next charging
    window_h : hours of charging left at this minute's price, without a break
    dearer_h : hours dearer than this minute that still come before the next window
    equal_h : hours as dear as this minute, this one counted, before the next window
    """

    charge: NDArray[np.bool_]
    deliver: NDArray[np.bool_]
    window_h: NDArray[np.float64]
    dearer_h: NDArray[np.float64]
    equal_h: NDArray[np.float64]


def plan_tariff(tariff_day: NDArray[np.int64], dearest_charge: int = FLAT) -> TariffPlan:
    """Return the plan for a day of tariff periods, int64[1440].

    `dearest_charge` is the dearest period to charge in; peak to super-peak does not pay for
    a battery's losses, and ice made in flat hours not for the chiller's lower COP.
    """
    level = np.tile(np.asarray(tariff_day, dtype=np.int64), 3)
    charge = np.zeros(3 * MINUTES, np.bool_)
    for minute in range(2 * MINUTES):
        ahead = level[minute + 1 : minute + MINUTES]
        worth = ahead >= PEAK
        cheaper = ahead < level[minute]
        if level[minute] <= dearest_charge and worth.any():
            charge[minute] = not cheaper.any() or bool(np.argmax(worth) < np.argmax(cheaper))
    charge[2 * MINUTES :] = charge[:MINUTES]

    deliver = np.zeros(MINUTES, np.bool_)
    window_h, dearer_h, equal_h = (np.zeros(MINUTES) for _ in range(3))
    for minute in range(MINUTES):
        coming = level[minute : minute + MINUTES]
        windows = charge[minute : minute + MINUTES]
        if charge[minute]:
            over = ~windows | (coming != level[minute])
            window_h[minute] = (np.argmax(over) if over.any() else MINUTES) / 60.0
        elif windows.any():
            stretch = int(np.argmax(windows))
            coming = coming[:stretch]
            deliver[minute] = level[minute] > level[minute + stretch]
            dearer_h[minute] = np.count_nonzero(coming > level[minute]) / 60.0
            equal_h[minute] = np.count_nonzero(coming == level[minute]) / 60.0
    return TariffPlan(charge[:MINUTES].copy(), deliver, window_h, dearer_h, equal_h)


class TariffBook:
    """Plans by tariff day, each worked out once (a pure function's memory, not state)."""

    def __init__(self, dearest_charge: int = FLAT) -> None:
        self.dearest_charge = dearest_charge
        self._plans: dict[bytes, TariffPlan] = {}

    def plan(self, tariff_day: NDArray[np.int64]) -> TariffPlan:
        """Return the plan for `tariff_day`, int64[1440]."""
        key = tariff_day.tobytes()
        if key not in self._plans:
            self._plans[key] = plan_tariff(tariff_day, self.dearest_charge)
        return self._plans[key]
