"""Electric chillers by the DOE-2 curves: capacity, energy input ratio, part load.

A curve set is float64[3, 6]: capacity over temperatures, energy input ratio over temperatures
(both a + b s + c s^2 + d t + e t^2 + f s t with s supply and t condenser inlet in C), energy
input ratio over part load (a + b x + c x^2, rest 0).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

CAPACITY, INPUT_RATIO, PART_LOAD = range(3)


@njit(cache=True)
def over_temperature(curve: NDArray[np.float64], supply_c: float, condenser_c: float) -> float:
    """Return a biquadratic curve, float64[6], at supply and condenser inlet temperature."""
    of_supply = curve[0] + supply_c * (curve[1] + curve[2] * supply_c)
    of_condenser = condenser_c * (curve[3] + curve[4] * condenser_c)
    return float(of_supply + of_condenser + curve[5] * supply_c * condenser_c)


@njit(cache=True)
def over_part_load(curve: NDArray[np.float64], part_load: float) -> float:
    """Return the part-load curve, float64[6], at `part_load` (1 at full load)."""
    return float(curve[0] + part_load * (curve[1] + curve[2] * part_load))


@njit(cache=True)
def coefficient_of_performance(
    curves: NDArray[np.float64], reference_cop: float, supply_c: float, condenser_c: float,
    part_load: float,
) -> float:  # fmt: skip
    """Return cooling over electrical power at `part_load` of the capacity at that moment."""
    ratio = over_temperature(curves[INPUT_RATIO], supply_c, condenser_c)
    return reference_cop * part_load / (ratio * over_part_load(curves[PART_LOAD], part_load))
