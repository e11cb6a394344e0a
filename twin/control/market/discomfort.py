"""What warmth costs the people in a building, for each kilowatt-hour that it gives.

A building's first part is free: its set-point lies below the temperature from which warmth
counts. The more is taken, the longer and the further it is above, so cost rises with the
square; a bid is therefore cut into steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.control.capability.flexibility import DRIFT_C_H, aircon_w_m2
from twin.record.columns import Columns
from twin.record.costs import costs

Floats = NDArray[np.float64]

STEPS = 4  # of equal size in a building's bid (assumed)


def degree_hours(start_c: Floats, drift_c_h: Floats | float, hours: float, from_c: float) -> Floats:
    """Return the K·h above `from_c` of a zone that rises from `start_c` for `hours`.

    Examples
    --------
    >>> float(degree_hours(np.array([25.0]), 1.0, 3.0, 26.0)[0])  # 2 h above, 1 K on average
    2.0
    """
    drift = np.maximum(np.asarray(drift_c_h, np.float64), 1e-9)
    above = np.maximum(start_c - from_c, 0.0)
    wait_h = np.clip((from_c - start_c) / drift, 0.0, hours)
    left = hours - wait_h
    return np.asarray(above * left + 0.5 * drift * left**2)


def discomfort_steps(columns: Columns, rows: NDArray[np.int64], hours: float) -> Floats:
    """Return float64[STEPS, rows], CNY of discomfort for each kWh of each step of the bid.

    Zones rise from their registered set-point by `DRIFT_C_H` times the part that is taken;
    persons by use of the building, prices from ``costs.toml``. What people stand without the
    order is not counted.
    """
    prices = costs()
    start = columns.f8("setpoint_c")[rows]
    use = np.clip(columns.i8("use")[rows], 0, len(prices.persons_per_m2) - 1)
    price = prices.discomfort * prices.persons_per_m2[use]  # CNY per m² and K·h
    parts = np.arange(STEPS + 1)[:, None] / STEPS
    warmth = degree_hours(start, DRIFT_C_H * parts, hours, prices.comfort_from_c)
    kwh_m2 = aircon_w_m2(hours) * hours / 1000.0 / STEPS
    return np.asarray(price * np.diff(warmth, axis=0) / kwh_m2)
