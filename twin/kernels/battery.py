"""Battery, PCS and auxiliaries of storage stations.

A station is one equivalent cell: all cells in parallel, voltage of one cell [V], current in kA,
so that V times kA is kW. Discharge is positive. State rows are those of twin/assets/kind.py,
then the battery's own.

Two rates: once a minute (at full minutes of simulated time) temperature, resistance, derating
and cooling; every second ramp, PCS loss, current and SOC. Stored energy is the exact integral
of the piecewise linear OCV table, so the energy ledger closes to rounding.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

STATE_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "power_set_kw", "schedule_kw",
    "soc", "temperature_c", "pcs_kw", "fault",
    "resistance_v_per_ka", "charge_factor", "discharge_factor", "cooling", "auxiliary_kw",
    "cell_heat_kws", "grid_in_kws", "grid_out_kws", "loss_kws", "stored_kws",
    "in_at_midnight_kws", "out_at_midnight_kws", "window_kw",
)  # fmt: skip
(
    POWER, ENERGY, SUPPLIED, LOW, HIGH,
    REMOTE, REMOTE_UNTIL, POWER_SET, SCHEDULE,
    SOC, TEMPERATURE, PCS, FAULT,
    RESISTANCE, CHARGE_FACTOR, DISCHARGE_FACTOR, COOLING, AUXILIARY,
    CELL_HEAT, GRID_IN, GRID_OUT, LOSS, STORED,
    IN_AT_MIDNIGHT, OUT_AT_MIDNIGHT, WINDOW,
) = range(26)  # fmt: skip

# Rows of the true parameters by device.
PLATE_ROWS = ("rated_kw", "charge_kah", "resistance_v_per_ka", "no_load", "linear", "square",
              "heat_capacity_kj_k")  # fmt: skip
RATED, CHARGE_KAH, RESISTANCE_25, NO_LOAD, LINEAR, SQUARE, HEAT_CAPACITY = range(7)

# Rows of the tables over SOC at 0, 1, ... 100 %: OCV, its step to the next point, the integral
# of OCV over SOC, and the factor on resistance.
OCV, OCV_STEP, OCV_INTEGRAL, RESISTANCE_OVER_SOC = range(4)
CELLS = 100  # intervals of the tables

# Entries of the common constants.
CONSTANT_NAMES = (
    "soc_min", "soc_max", "taper_soc", "pcs_ramp_per_s", "auxiliary_standby",
    "auxiliary_running", "auxiliary_cooling_cop", "coolant_tau_s", "ambient_tau_s", "coolant_c",
    "cooling_on_c", "cooling_off_c", "cell_activation_k",
    "charge_cold_from", "charge_cold_to", "charge_hot_from", "charge_hot_to",
    "discharge_cold_from", "discharge_cold_to", "discharge_hot_from", "discharge_hot_to",
)  # fmt: skip
(
    SOC_MIN, SOC_MAX, TAPER, RAMP, AUX_STANDBY, AUX_RUNNING, COOLING_COP, COOLANT_TAU,
    AMBIENT_TAU, COOLANT, COOLING_ON, COOLING_OFF, ACTIVATION,
    CHARGE_COLD_FROM, CHARGE_COLD_TO, CHARGE_HOT_FROM, CHARGE_HOT_TO,
    DISCHARGE_COLD_FROM, DISCHARGE_COLD_TO, DISCHARGE_HOT_FROM, DISCHARGE_HOT_TO,
) = range(21)  # fmt: skip

LEAST_FACTOR = 0.02  # below this share of its rating the PCS stops rather than trickle (assumed)
STANDBY_FACTOR = 1e-6  # a set-point smaller than this share of the rating means standby
REFERENCE_K = 298.15
KELVIN = 273.15


@njit(cache=True, inline="always")
def _between(x: float, start: float, full: float) -> float:
    """Return 0 at `start`, 1 at `full`, linear between and clipped outside."""
    return min(1.0, max(0.0, (x - start) / (full - start)))


def tabulate(
    soc: NDArray[np.float64], voltage_v: NDArray[np.float64],
    factor_soc: NDArray[np.float64], factor: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Return the tables over SOC, float64[4, 101], from points at `soc` and `factor_soc`."""
    grid = np.arange(CELLS + 1) / CELLS
    table = np.zeros((4, CELLS + 1))
    table[OCV] = np.interp(grid, soc, voltage_v)
    table[OCV_STEP, :-1] = table[OCV, 1:] - table[OCV, :-1]
    for i in range(CELLS):
        mean_v = 0.5 * (table[OCV, i] + table[OCV, i + 1])
        table[OCV_INTEGRAL, i + 1] = table[OCV_INTEGRAL, i] + mean_v / CELLS
    table[RESISTANCE_OVER_SOC] = np.interp(grid, factor_soc, factor)
    return table


@njit(cache=True)
def _slow(
    state: NDArray[np.float64], plate: NDArray[np.float64], table: NDArray[np.float64],
    k: NDArray[np.float64], ambient_c: float, d: int,
) -> None:  # fmt: skip
    """Advance what changes over minutes: cell temperature, resistance, derating, cooling."""
    # Heat balance of the cells over the minute that ended [kJ = kW s].
    temperature = state[TEMPERATURE, d]
    drift = (ambient_c - temperature) / k[AMBIENT_TAU]
    if state[COOLING, d] > 0.0:
        drift += (k[COOLANT] - temperature) / k[COOLANT_TAU]
    temperature += state[CELL_HEAT, d] / plate[HEAT_CAPACITY, d] + 60.0 * drift
    state[CELL_HEAT, d] = 0.0
    state[TEMPERATURE, d] = temperature

    if temperature >= k[COOLING_ON]:
        state[COOLING, d] = 1.0
    elif temperature <= k[COOLING_OFF]:
        state[COOLING, d] = 0.0
    cooling_kw = 0.0
    if state[COOLING, d] > 0.0:
        removed_kw = plate[HEAT_CAPACITY, d] * (temperature - k[COOLANT]) / k[COOLANT_TAU]
        cooling_kw = max(removed_kw, 0.0) / k[COOLING_COP]
    state[AUXILIARY, d] = k[AUX_STANDBY] * plate[RATED, d] + cooling_kw

    at = int(state[SOC, d] * CELLS)
    arrhenius = np.exp(k[ACTIVATION] * (1.0 / (temperature + KELVIN) - 1.0 / REFERENCE_K))
    over_soc = table[RESISTANCE_OVER_SOC, at]
    state[RESISTANCE, d] = plate[RESISTANCE_25, d] * over_soc * arrhenius
    state[CHARGE_FACTOR, d] = min(
        _between(temperature, k[CHARGE_COLD_FROM], k[CHARGE_COLD_TO]),
        _between(temperature, k[CHARGE_HOT_TO], k[CHARGE_HOT_FROM]),
    )
    state[DISCHARGE_FACTOR, d] = min(
        _between(temperature, k[DISCHARGE_COLD_FROM], k[DISCHARGE_COLD_TO]),
        _between(temperature, k[DISCHARGE_HOT_TO], k[DISCHARGE_HOT_FROM]),
    )


@njit(cache=True)
def _fast(
    state: NDArray[np.float64], plate: NDArray[np.float64], table: NDArray[np.float64],
    k: NDArray[np.float64], steps: tuple[int, int], d: int,
) -> None:  # fmt: skip
    """Advance one station by a number of steps, (number, seconds each), within a minute."""
    dt_s = float(steps[1])
    rated = plate[RATED, d]
    supplied = state[SUPPLIED, d] > 0.0
    target = state[POWER_SET, d] if state[REMOTE, d] > 0.0 else state[SCHEDULE, d]
    # The site's own control bounds the terminals, orders or not.
    target = max(min(target, state[HIGH, d]), state[LOW, d])
    on = supplied and state[FAULT, d] == 0.0 and abs(target) > STANDBY_FACTOR * rated
    auxiliary = state[AUXILIARY, d] if supplied else 0.0
    goal = 0.0
    if on:
        # The station's controller holds the terminals, so the PCS also covers auxiliaries.
        auxiliary += k[AUX_RUNNING] * rated
        goal = target + auxiliary

    ramp = k[RAMP] * rated * dt_s
    per_taper = rated / k[TAPER]
    least = LEAST_FACTOR * rated
    charge_most = state[CHARGE_FACTOR, d] * rated
    discharge_most = state[DISCHARGE_FACTOR, d] * rated
    four_r = 4.0 * state[RESISTANCE, d]
    soc_per_ka_s = 1.0 / (plate[CHARGE_KAH, d] * 3600.0)
    kws = plate[CHARGE_KAH, d] * 3600.0
    no_load, linear, square = plate[NO_LOAD, d] * rated, plate[LINEAR, d], plate[SQUARE, d] / rated

    soc, pcs = state[SOC, d], state[PCS, d]
    if not on and not supplied:
        pcs = 0.0  # breaker open
    at = int(soc * CELLS)
    part = soc * CELLS - at
    voltage = table[OCV, at] + part * table[OCV_STEP, at]
    integral = table[OCV_INTEGRAL, at] + part * (table[OCV, at] + voltage) * (0.5 / CELLS)
    power, energy, loss = state[POWER, d], state[ENERGY, d], state[LOSS, d]
    grid_in, grid_out = state[GRID_IN, d], state[GRID_OUT, d]
    stored, cell_heat = state[STORED, d], state[CELL_HEAT, d]
    for _ in range(steps[0]):
        high = min(discharge_most, (soc - k[SOC_MIN]) * per_taper)
        low = min(charge_most, (k[SOC_MAX] - soc) * per_taper)
        # Limits hold at the terminals; a PCS carries 110 % (GB/T 34120, general knowledge), so
        # that auxiliaries fit on top.
        high = high + auxiliary if high >= least else 0.0
        low = low if low >= least else 0.0
        pcs += min(max(goal - pcs, -ramp), ramp)
        pcs = min(max(pcs, -low), high)
        if pcs == 0.0:
            power = -auxiliary
            loss += auxiliary * dt_s
        else:
            pcs_loss = no_load + abs(pcs) * (linear + square * abs(pcs))
            dc = pcs + pcs_loss
            current = 2.0 * dc / (voltage + np.sqrt(voltage * voltage - four_r * dc))
            soc -= current * soc_per_ka_s * dt_s
            at = int(soc * CELLS)
            part = soc * CELLS - at
            voltage = table[OCV, at] + part * table[OCV_STEP, at]
            before = integral
            integral = table[OCV_INTEGRAL, at] + part * (table[OCV, at] + voltage) * (0.5 / CELLS)
            # What the cells gave and the PCS did not get is heat in the cells.
            taken = (before - integral) * kws
            heat = taken - dc * dt_s
            cell_heat += heat
            stored -= taken
            loss += pcs_loss * dt_s + heat + auxiliary * dt_s
            power = pcs - auxiliary
        energy += power * dt_s
        if power > 0.0:
            grid_out += power * dt_s
        else:
            grid_in -= power * dt_s
    state[SOC, d], state[PCS, d] = soc, pcs
    state[POWER, d], state[ENERGY, d], state[LOSS, d] = power, energy, loss
    state[GRID_IN, d], state[GRID_OUT, d] = grid_in, grid_out
    state[STORED, d], state[CELL_HEAT, d] = stored, cell_heat


@njit(cache=True)
def advance(
    state: NDArray[np.float64], plate: NDArray[np.float64], table: NDArray[np.float64],
    constants: NDArray[np.float64], ambient_c: float, span_s: tuple[int, int, int],
) -> None:  # fmt: skip
    """Advance all stations.

    Parameters
    ----------
    state : float64[26, n], rows `STATE_ROWS`, overwritten
    plate : float64[7, n], rows `PLATE_ROWS`, true parameters
    table : float64[4, 101] from `tabulate`
    constants : float64[21], entries `CONSTANT_NAMES`
    ambient_c : outdoor air [C]
    span_s : (start, seconds, step); the span lies within one minute, a whole number of steps
    """
    start_s, seconds, step_s = span_s
    for d in range(state.shape[1]):
        if start_s % 60 == 0:
            _slow(state, plate, table, constants, ambient_c, d)
        _fast(state, plate, table, constants, (seconds // step_s, step_s), d)


@njit(cache=True, parallel=True)
def advance_threaded(
    state: NDArray[np.float64], plate: NDArray[np.float64], table: NDArray[np.float64],
    constants: NDArray[np.float64], ambient_c: float, span_s: tuple[int, int, int],
) -> None:  # fmt: skip
    """Do what `advance` does, stations spread over threads; the same bits."""
    start_s, seconds, step_s = span_s
    for d in prange(state.shape[1]):
        if start_s % 60 == 0:
            _slow(state, plate, table, constants, ambient_c, d)
        _fast(state, plate, table, constants, (seconds // step_s, step_s), d)
