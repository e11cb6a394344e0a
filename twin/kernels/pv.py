"""Photovoltaics: irradiance on the plane, cell temperature, inverter, ramped limits."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Rows of the block; the first five are those of every kind.
PV_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "limit_kw", "irradiance_w_m2", "dc_kw", "ac_kw", "minute_kws",
    "available_kwh", "fed_kwh", "loss_kwh", "curtailed_kwh",
)  # fmt: skip
POWER, ENERGY, SUPPLIED, HIGH, LIMIT = 0, 1, 2, 4, 7
IRRADIANCE, DC, AC, MINUTE = 8, 9, 10, 11
AVAILABLE, FED, LOSS, CURTAILED = 12, 13, 14, 15

# Rows of the true parameters: DC peak power at 1 000 W/m2 and 25 degC with losses, AC rating.
PLANT_ROWS = ("dc_peak_kw", "rated_kw")
# Entries of the model's constants.
NOCT_RISE, GAMMA, NOMINAL_EFFICIENCY = 0, 1, 2


@njit(cache=True)
def inverter_ac(dc_kw: float, rated_kw: float, nominal: float) -> float:
    """Return AC power of an inverter: PVWatts version 5, NREL/TP-6A20-62641, eq. 10 to 12."""
    dc_rated = rated_kw / nominal
    if dc_kw <= 0.0:
        return 0.0
    load = dc_kw / dc_rated
    efficiency = nominal / 0.9637 * (-0.0162 * load - 0.0059 / load + 0.9858)
    return float(min(max(efficiency * dc_kw, 0.0), rated_kw))


@njit(cache=True)
def shine(
    block: NDArray[np.float64],
    plant: NDArray[np.float64],
    irradiance_w_m2: NDArray[np.float64],
    temperature_c: float,
    constants: NDArray[np.float64],
) -> None:
    """Set what each plant could give this minute: DC power, and AC power after its inverter.

    Parameters
    ----------
    irradiance_w_m2 : [n] on the plane of the modules
    constants : NOCT rise over 800 W/m2 [K m2/W], power coefficient [1/K], inverter efficiency
    """
    for i in range(block.shape[1]):
        sun = irradiance_w_m2[i]
        cell_c = temperature_c + constants[NOCT_RISE] * sun
        factor = max(1.0 + constants[GAMMA] * (cell_c - 25.0), 0.0)
        block[IRRADIANCE, i] = sun
        block[DC, i] = plant[0, i] * sun / 1000.0 * factor
        block[AC, i] = inverter_ac(block[DC, i], plant[1, i], constants[NOMINAL_EFFICIENCY])


@njit(cache=True)
def feed(block: NDArray[np.float64], plant: NDArray[np.float64], ramp: float, span: int) -> None:
    """Feed in for `span` seconds; `ramp` is the change per second in ratings.

    Powers are multiples of 1/1024 kW, so that sums over seconds are exact and a minute may be
    cut at will. The sun itself is followed at once, limits by the ramp.
    """
    for i in range(block.shape[1]):
        possible = np.floor(block[AC, i] * block[SUPPLIED, i] * 1024.0) / 1024.0
        allowed = max(min(possible, block[LIMIT, i], block[HIGH, i]), 0.0)
        goal = np.floor(allowed * 1024.0) / 1024.0
        step_kw = np.ceil(ramp * plant[1, i] * 1024.0) / 1024.0
        power = min(block[POWER, i], possible)
        total = 0.0
        left = span
        while left > 0 and power != goal:
            power = min(max(goal, power - step_kw), power + step_kw)
            total += power
            left -= 1
        total += power * left
        block[POWER, i] = power
        block[ENERGY, i] += total
        block[MINUTE, i] += total


@njit(cache=True)
def book(block: NDArray[np.float64]) -> None:
    """Book a minute that is over in the ledger and begin the next."""
    for i in range(block.shape[1]):
        dc_kw, ac_kw = block[DC, i], block[AC, i]
        fed = block[MINUTE, i] / 3600.0
        offered = dc_kw / 60.0
        used = fed * dc_kw / ac_kw if ac_kw > 0.0 else 0.0
        block[AVAILABLE, i] += offered
        block[FED, i] += fed
        block[LOSS, i] += used - fed
        block[CURTAILED, i] += offered - used
        block[MINUTE, i] = 0.0
