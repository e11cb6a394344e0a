"""A cap on the load: what is left of the running quarter of an hour may be used.

The cap is on the mean of each clock quarter. The quarter's mean so far and the minutes that are
left give the load to aim at in the coming minute; a little is kept back for what the forecast of
a minute and the switching of whole circuits miss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS

QUARTER_MIN = 15
CAP_AIM = 0.985  # of the cap: the middle of what may be used and given away (0 to 3 %)
MOST_LOW, MOST_HIGH = 0.97, 0.998  # of the cap: bounds of one minute's aim (assumed)


@dataclass(slots=True)
class QuarterMean:
    """Load of the running clock quarter as metered.

    Attributes
    ----------
    quarter : number of the quarter that is summed up, since the scenario's midnight
    sum_mw, minutes : load times minutes, and the minutes seen in it
    """

    quarter: int = -1
    sum_mw: float = 0.0
    minutes: float = 0.0

    def take(self, now_ms: int, load_mw: float, period_ms: int = MINUTE_MS) -> None:
        """Take the load of the control period that ends at `now_ms`."""
        quarter = (now_ms - period_ms) // (QUARTER_MIN * MINUTE_MS)
        if quarter != self.quarter:
            self.quarter, self.sum_mw, self.minutes = int(quarter), 0.0, 0.0
        minutes = period_ms / MINUTE_MS
        self.sum_mw += load_mw * minutes
        self.minutes += minutes

    def aim_mw(self, now_ms: int, cap_mw: float) -> float:
        """Return the load to aim at in the minute that begins at `now_ms`.

        What the quarter's mean is off its aim is spread over what is left of the quarter, or
        over three minutes where less is left: no jump for a minute that is past.
        """
        quarter = now_ms // (QUARTER_MIN * MINUTE_MS)
        gone = int(now_ms // MINUTE_MS) % QUARTER_MIN
        aim = CAP_AIM * cap_mw
        if quarter != self.quarter or self.minutes <= 0.0:
            return aim
        off = aim * self.minutes - self.sum_mw
        share = off / max(QUARTER_MIN - gone, 3)
        return float(np.clip(aim + share, MOST_LOW * cap_mw, MOST_HIGH * cap_mw))


def coming(typical_load_mw: NDArray[np.float64], now_ms: int) -> float:
    """Return the forecast of the coming minute's load over that of the minute before."""
    minute = int(now_ms // MINUTE_MS)
    was, will = (float(typical_load_mw[m % len(typical_load_mw)]) for m in (minute - 1, minute))
    return will / was if was > 0.0 else 1.0
