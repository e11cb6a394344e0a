"""What the meters of customer accounts showed on the days before, as billing would have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUARTERS = 96  # of a day


@dataclass(frozen=True, slots=True)
class MeterHistory:
    """Quarter-hour means of the days before the event day, oldest first.

    Attributes
    ----------
    demand_kw : float32[days, 96, sites]  metered demand, sites in inventory order; NaN where
        nothing was metered
    workday : bool[days]
    temperature_c : float64[days, 96]  outdoor dry bulb
    day : int64[days]  days before the event day, negative: -1 is the day before
    """

    demand_kw: NDArray[np.float32]
    workday: NDArray[np.bool_]
    temperature_c: NDArray[np.float64]
    day: NDArray[np.int64]
