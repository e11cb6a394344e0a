"""Moist air: vapour pressure and wet bulb."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PSYCHROMETER_PER_K = 6.62e-4  # ventilated psychrometer, WMO No. 8
PRESSURE_HPA = 1006.0  # summer mean near sea level, general knowledge


def saturation_hpa(temperature_c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the saturation vapour pressure over water in hPa (Magnus form, WMO No. 8)."""
    return np.asarray(6.112 * np.exp(17.62 * temperature_c / (243.12 + temperature_c)))


def vapour_hpa(
    temperature_c: NDArray[np.float64], wet_bulb_c: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the vapour pressure in hPa of air with this dry and wet bulb."""
    depression = temperature_c - wet_bulb_c
    return saturation_hpa(wet_bulb_c) - PSYCHROMETER_PER_K * PRESSURE_HPA * depression


def wet_bulb(
    temperature_c: NDArray[np.float64], vapour: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the wet bulb in °C of air at `temperature_c` with a vapour pressure in hPa.

    Bisection of the psychrometer equation to 1e-9 K; never above the dry bulb.
    """
    low, high = np.full_like(temperature_c, -60.0), temperature_c.copy()
    for _ in range(40):
        middle = 0.5 * (low + high)
        above = vapour_hpa(temperature_c, middle) > vapour
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    return 0.5 * (low + high)
