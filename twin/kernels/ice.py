"""District cooling with ice storage: dual-mode chillers, tank, melting, pumps.

Heat in kW thermal. Chillers and melting ice share the users' load; what both leave is unmet
and counted. State rows are those of twin/assets/kind.py, then the plant's own. Inner steps
begin at multiples of their length and book their energy when they begin.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.kernels.chiller import PART_LOAD, over_part_load

STATE_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "limit_kw",
    "tank_soc", "load_kw", "melt_plan_kw", "ice_plan_kw", "chill_kw", "ice_kw", "melt_kw",
    "load_kws", "chilled_kws", "unmet_kws", "ice_in_kws", "melted_kws", "tank_loss_kws",
    "grid_in_kws", "chiller_kws", "other_kws",
)  # fmt: skip
(
    POWER, ENERGY, SUPPLIED, LOW, HIGH,
    REMOTE, REMOTE_UNTIL, LIMIT,
    TANK_SOC, LOAD, MELT_PLAN, ICE_PLAN, CHILL, ICE, MELT,
    LOAD_KWS, CHILLED_KWS, UNMET_KWS, ICE_IN, MELTED, TANK_LOSS,
    GRID_IN, CHILLER_KWS, OTHER_KWS,
) = range(24)  # fmt: skip

# Rows of the true parameters by device.
PLATE_ROWS = ("rated_kw", "tank_kws", "melt_most_kw", "peak_cooling_kw", "chiller_kw",
              "capacity_kw", "machines")  # fmt: skip
RATED, TANK_KWS, MELT_MOST, PEAK_COOLING, CHILLER_KW, CAPACITY_KW, MACHINES = range(7)

CONSTANT_NAMES = ("ice_capacity", "ramp_per_min", "machine_pump_share", "network_pump_share",
                  "network_pump_least", "melt_pump", "standing_loss_per_day",
                  "standby")  # fmt: skip
(ICE_CAPACITY, RAMP, MACHINE_PUMP, NETWORK_PUMP, NETWORK_LEAST, MELT_PUMP, STANDING,
 STANDBY) = range(8)  # fmt: skip

# Entries of the weather vector: capacity and input ratio in day mode over the design day's,
# COP of ice making.
CAPACITY_NOW, INPUT_RATIO_NOW, ICE_COP = range(3)
SECONDS_PER_DAY = 86_400.0
BISECTIONS = 40


@njit(cache=True)
def _chilling_kw(
    plate: NDArray[np.float64], part_load_curve: NDArray[np.float64],
    weather: NDArray[np.float64], chill_kw: float, d: int,
) -> float:  # fmt: skip
    """Return the electrical power of the chillers for `chill_kw`, as few machines as it takes."""
    if chill_kw <= 0.0:
        return 0.0
    machines = plate[MACHINES, d]
    each_kw = plate[CAPACITY_KW, d] * weather[CAPACITY_NOW] / machines
    on = min(np.ceil(chill_kw / each_kw), machines)
    full_kw = plate[CHILLER_KW, d] * weather[CAPACITY_NOW] * weather[INPUT_RATIO_NOW] / machines
    part_load = chill_kw / (on * each_kw)
    # Below 10 % of one machine it cycles.
    cycling = min(part_load / 0.1, 1.0)
    return float(on * full_kw * over_part_load(part_load_curve, max(part_load, 0.1)) * cycling)


@njit(cache=True)
def _power_kw(
    plate: NDArray[np.float64], curve: NDArray[np.float64], k: NDArray[np.float64],
    weather: NDArray[np.float64], flow: tuple[float, float, float], d: int,
) -> tuple[float, float]:  # fmt: skip
    """Return electrical power of chillers and of the rest for ``flow`` (chill, ice, melt)."""
    chill, ice, melt = flow
    rated, capacity = plate[RATED, d], plate[CAPACITY_KW, d]
    chillers = _chilling_kw(plate, curve, weather, chill, d) + ice / weather[ICE_COP]
    machine_part = (chill + ice / k[ICE_CAPACITY]) / capacity
    served = (chill + melt) / plate[PEAK_COOLING, d]
    network = k[NETWORK_LEAST] + (1.0 - k[NETWORK_LEAST]) * served * served
    rest = rated * (k[STANDBY] + k[MACHINE_PUMP] * machine_part + k[NETWORK_PUMP] * network)
    return chillers, rest + k[MELT_PUMP] * melt


@njit(cache=True)
def _most_chill_kw(
    plate: NDArray[np.float64], curve: NDArray[np.float64], k: NDArray[np.float64],
    weather: NDArray[np.float64], ask: tuple[float, float, float, float], d: int,
) -> float:  # fmt: skip
    """Return the most chilling that keeps the plant below a limit on its power.

    ``ask`` is (chilling wanted, load, most melting, limit); ice takes over what is not chilled
    as far as it can.
    """
    wanted, load, melt_most, limit = ask
    low, high = 0.0, wanted
    melt = min(max(load - wanted, 0.0), melt_most)
    both = _power_kw(plate, curve, k, weather, (wanted, 0.0, melt), d)
    if both[0] + both[1] <= limit:
        return wanted
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        melt = min(load - middle, melt_most)
        both = _power_kw(plate, curve, k, weather, (middle, 0.0, melt), d)
        if both[0] + both[1] <= limit:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True)
def _step(
    state: NDArray[np.float64], plate: NDArray[np.float64], curve: NDArray[np.float64],
    k: NDArray[np.float64], weather: NDArray[np.float64], at: tuple[float, int],
) -> None:  # fmt: skip
    """Advance plant ``at[1]`` by ``at[0]`` seconds."""
    dt, d = at
    supplied = state[SUPPLIED, d] > 0.0
    capacity = plate[CAPACITY_KW, d] * weather[CAPACITY_NOW]
    load, tank = state[LOAD, d], state[TANK_SOC, d] * plate[TANK_KWS, d]
    loss = tank * k[STANDING] * dt / SECONDS_PER_DAY
    tank -= loss
    melt_most = min(plate[MELT_MOST, d], max(tank, 0.0) / dt) if supplied else 0.0
    limit = state[LIMIT, d] if state[REMOTE, d] > 0.0 else np.inf

    wanted = min(max(load - min(state[MELT_PLAN, d], melt_most), 0.0), capacity)
    if limit < np.inf:
        wanted = _most_chill_kw(plate, curve, k, weather, (wanted, load, melt_most, limit), d)
    ramp = k[RAMP] * capacity * dt / 60.0
    chill = state[CHILL, d] + min(max(wanted - state[CHILL, d], -ramp), ramp)
    chill = min(chill, load) if supplied else 0.0
    melt = min(load - chill, melt_most)

    # What machines are free may make ice, as far as the limit and the tank have room.
    ice = min(state[ICE_PLAN, d], (capacity - chill) * k[ICE_CAPACITY])
    ice = min(ice, max(plate[TANK_KWS, d] - tank, 0.0) / dt) if supplied and melt == 0.0 else 0.0
    if ice > 0.0 and limit < np.inf:
        without = _power_kw(plate, curve, k, weather, (chill, 0.0, melt), d)
        ice_kw_e = 1.0 / weather[ICE_COP]
        ice_kw_e += plate[RATED, d] * k[MACHINE_PUMP] / (k[ICE_CAPACITY] * plate[CAPACITY_KW, d])
        ice = min(ice, max(limit - without[0] - without[1], 0.0) / ice_kw_e)
    ice = state[ICE, d] + min(ice - state[ICE, d], ramp)

    chillers, rest = 0.0, 0.0
    if supplied:
        chillers, rest = _power_kw(plate, curve, k, weather, (chill, ice, melt), d)
    tank += (ice - melt) * dt
    state[TANK_SOC, d] = tank / plate[TANK_KWS, d]
    state[CHILL, d], state[ICE, d], state[MELT, d] = chill, ice, melt
    state[LOAD_KWS, d] += load * dt
    state[CHILLED_KWS, d] += chill * dt
    state[UNMET_KWS, d] += (load - chill - melt) * dt
    state[ICE_IN, d] += ice * dt
    state[MELTED, d] += melt * dt
    state[TANK_LOSS, d] += loss
    state[POWER, d] = -(chillers + rest)
    state[ENERGY, d] -= (chillers + rest) * dt
    state[GRID_IN, d] += (chillers + rest) * dt
    state[CHILLER_KWS, d] += chillers * dt
    state[OTHER_KWS, d] += rest * dt


@njit(cache=True)
def advance(
    state: NDArray[np.float64], plate: NDArray[np.float64], curves: NDArray[np.float64],
    constants: NDArray[np.float64], weather: NDArray[np.float64], span_s: tuple[int, int, int],
) -> None:  # fmt: skip
    """Advance all plants.

    Parameters
    ----------
    state : float64[24, n], rows `STATE_ROWS`, overwritten
    plate : float64[7, n], rows `PLATE_ROWS`, true parameters
    curves : float64[3, 6], see twin/kernels/chiller.py
    constants : float64[8], entries `CONSTANT_NAMES`
    weather : float64[3], capacity and input ratio now over the design day's, COP of ice making
    span_s : (start, seconds, inner step)
    """
    start_s, seconds, step_s = span_s
    steps = (start_s + seconds - 1) // step_s - (start_s - 1) // step_s
    for d in range(state.shape[1]):
        for _ in range(steps):
            _step(state, plate, curves[PART_LOAD], constants, weather, (float(step_s), d))
