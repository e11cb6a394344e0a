"""Buildings with central air conditioning: two heat nodes, moisture, chillers, fans, control.

Air and mass exchange heat; the outside, people, equipment and sun bring it; the coil takes it.
Zone humidity stands at its control value, so moisture is a share of the coil's work. State
rows are those of twin/assets/kind.py, then the building's own.

Two rates: once a minute (at full minutes of simulated time) gains, ventilation, chiller
staging, the power curve and the remote limit; every inner step the zone controller, the coil
and both temperatures. An inner step books its energy when it begins.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from twin.kernels.chiller import CAPACITY, INPUT_RATIO, PART_LOAD, over_temperature

STATE_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "setpoint_offset_c", "limit_kw",
    "temperature_c", "mass_c", "cooling_kw", "integral_kw", "chillers_on", "stage_wait_min",
    "lifted", "occupied", "people_factor",
    "target_c", "gain_air_kw", "gain_mass_kw", "ua_kw_k", "sensible_share", "cooling_most_kw",
    "chiller_fixed", "chiller_linear", "chiller_square",
    "other_fixed", "other_linear", "other_square", "cooling_unload_kw",
    "heat_gain_kws", "heat_removed_kws", "grid_in_kws", "chiller_kws", "other_kws",
)  # fmt: skip
(
    POWER, ENERGY, SUPPLIED, LOW, HIGH,
    REMOTE, REMOTE_UNTIL, OFFSET, LIMIT,
    AIR, MASS, COOLING, INTEGRAL, CHILLERS_ON, STAGE_WAIT,
    LIFTED, OCCUPIED, PEOPLE_FACTOR,
    TARGET, GAIN_AIR, GAIN_MASS, UA, SENSIBLE_SHARE, COOLING_MOST,
    CHILLER_FIXED, CHILLER_LINEAR, CHILLER_SQUARE,
    OTHER_FIXED, OTHER_LINEAR, OTHER_SQUARE, COOLING_UNLOAD,
    HEAT_GAIN, HEAT_REMOVED, GRID_IN, CHILLER_KWS, OTHER_KWS,
) = range(36)  # fmt: skip

# Rows of the true parameters by device.
PLATE_ROWS = (
    "rated_kw", "floor_km2", "air_kj_k", "mass_kj_k", "mass_kw_k", "envelope_kw_k",
    "capacity_kw", "chillers", "chiller_kw", "fan_kw", "pump_kw", "tower_kw",
    "setpoint_c", "comfort_max_c", "use", "district", "shift_min",
)  # fmt: skip
(
    RATED, FLOOR, AIR_CAPACITY, MASS_CAPACITY, MASS_CONDUCTANCE, ENVELOPE,
    CAPACITY_KW, CHILLERS, CHILLER_KW, FAN_KW, PUMP_KW, TOWER_KW,
    SETPOINT, COMFORT_MAX, USE, DISTRICT, SHIFT,
) = range(17)  # fmt: skip

# Columns by use, the first two for this minute; W and W/K per m2 of conditioned floor.
USE_COLUMNS = ("people_share", "equipment_share", "people_w", "people_latent_w", "equipment_w",
               "ventilation_w_k", "aperture", "start_min", "stop_min")  # fmt: skip
(PEOPLE, EQUIPMENT, PEOPLE_W, PEOPLE_LATENT_W, EQUIPMENT_W, VENTILATION_W_K, APERTURE,
 START, STOP) = range(9)  # fmt: skip

# Entries of the weather vector; the district factors on irradiance follow.
OUT_C, OUT_G_KG, VERTICAL_W_M2, CONDENSER_C, MINUTE, CROWD, CLOUD = range(7)

CONSTANT_NAMES = (
    "internal_to_air", "solar_to_air", "least_ventilation", "zone_g_kg", "zone_g_kg_k",
    "occupied_share", "supply_c", "supply_reset_k", "stage_wait_min", "fan_least",
    "standby", "band_k", "integral_time_s", "coil_tau_s", "load_up_per_min", "lift_below_k",
)  # fmt: skip
(
    INTERNAL_TO_AIR, SOLAR_TO_AIR, LEAST_VENTILATION, ZONE_G_KG, ZONE_G_KG_K,
    OCCUPIED_SHARE, SUPPLY_C, SUPPLY_RESET, STAGE_MIN, FAN_LEAST,
    STANDBY, BAND, INTEGRAL_TIME, COIL_TAU, LOAD_UP, LIFT_BELOW,
) = range(16)  # fmt: skip

ZONE_REFERENCE_C = 26.0
LATENT_K_PER_G = 2.486  # heat of evaporation over specific heat of air, 1 g/kg against 1 K
UNLOAD_PART, LEAST_PART = 0.2, 0.1  # DOE-2 centrifugal: hot-gas bypass below, cycling below
STAGE_UP, STAGE_DOWN = 0.97, 0.85  # of what the machines give; hysteresis of staging (assumed)


@njit(cache=True)
def _gains(
    state: NDArray[np.float64], plate: NDArray[np.float64], uses: NDArray[np.float64],
    k: NDArray[np.float64], weather: NDArray[np.float64], d: int,
) -> bool:  # fmt: skip
    """Set heat gains, exchange with outside and sensible share; return whether the plant runs."""
    use, floor = int(plate[USE, d]), plate[FLOOR, d]
    people = uses[use, PEOPLE] * state[PEOPLE_FACTOR, d] * weather[CROWD]
    own_minute = weather[MINUTE] - plate[SHIFT, d]
    runs = uses[use, START] <= own_minute < uses[use, STOP] or uses[use, STOP] >= 1440.0
    state[OCCUPIED, d] = 1.0 if uses[use, PEOPLE] >= k[OCCUPIED_SHARE] else 0.0

    internal = floor * uses[use, PEOPLE_W] * people
    internal += floor * uses[use, EQUIPMENT_W] * uses[use, EQUIPMENT]
    sun = weather[CLOUD + int(plate[DISTRICT, d])]
    solar = floor * uses[use, APERTURE] * weather[VERTICAL_W_M2] * sun
    air_kw = k[INTERNAL_TO_AIR] * internal + k[SOLAR_TO_AIR] * solar
    state[GAIN_AIR, d] = air_kw
    state[GAIN_MASS, d] = internal + solar - air_kw
    fresh_kw_k = 0.0
    if runs and state[SUPPLIED, d] > 0.0:
        fresh_kw_k = floor * uses[use, VENTILATION_W_K] * max(people, k[LEAST_VENTILATION])
    state[UA, d] = plate[ENVELOPE, d] + fresh_kw_k

    air = state[AIR, d]
    zone_g_kg = k[ZONE_G_KG] + k[ZONE_G_KG_K] * (air - ZONE_REFERENCE_C)
    latent = floor * uses[use, PEOPLE_LATENT_W] * people
    latent += fresh_kw_k * LATENT_K_PER_G * max(weather[OUT_G_KG] - zone_g_kg, 0.0)
    sensible = air_kw + state[UA, d] * (weather[OUT_C] - air)
    sensible += plate[MASS_CONDUCTANCE, d] * (state[MASS, d] - air)
    share = sensible / (sensible + latent) if sensible > 0.0 and sensible + latent > 0.0 else 0.5
    state[SENSIBLE_SHARE, d] = min(max(share, 0.5), 1.0)
    return bool(runs)


@njit(cache=True)
def _plant(
    state: NDArray[np.float64], plate: NDArray[np.float64], curves: NDArray[np.float64],
    k: NDArray[np.float64], condenser_c: float, d: int,
) -> None:  # fmt: skip
    """Stage the chillers and set the plant's power curve and its most cooling."""
    machines, rated = plate[CHILLERS, d], plate[RATED, d]
    load = state[COOLING, d] / plate[CAPACITY_KW, d]
    supply_c = k[SUPPLY_C] + k[SUPPLY_RESET] * min(1.0, max(0.0, (0.8 - load) / 0.5))
    capacity = over_temperature(curves[CAPACITY], supply_c, condenser_c)
    ratio = over_temperature(curves[INPUT_RATIO], supply_c, condenser_c)
    each_kw = plate[CAPACITY_KW, d] / machines * capacity
    full_kw = plate[CHILLER_KW, d] / machines * capacity * ratio

    # One machine up or down at a time, with a pause between.
    on = max(state[CHILLERS_ON, d], 1.0)
    state[STAGE_WAIT, d] = max(state[STAGE_WAIT, d] - 1.0, 0.0)
    if state[STAGE_WAIT, d] == 0.0:
        cooling = state[COOLING, d]
        if cooling > STAGE_UP * on * each_kw and on < machines:
            on += 1.0
            state[STAGE_WAIT, d] = k[STAGE_MIN]
        elif on > 1.0 and cooling < STAGE_DOWN * (on - 1.0) * each_kw:
            on -= 1.0
            state[STAGE_WAIT, d] = k[STAGE_MIN]

    limited = state[REMOTE, d] > 0.0 and state[LIFTED, d] == 0.0
    limit = state[LIMIT, d] if limited else np.inf
    a, b, c = curves[PART_LOAD, 0], curves[PART_LOAD, 1], curves[PART_LOAD, 2]
    fan, tower = plate[FAN_KW, d], plate[TOWER_KW, d]
    state[OTHER_LINEAR, d] = tower / plate[CAPACITY_KW, d]
    square = fan * (1.0 - k[FAN_LEAST]) / plate[CAPACITY_KW, d] ** 2
    state[OTHER_SQUARE, d] = square
    idle_kw = k[STANDBY] * rated + fan * k[FAN_LEAST]
    while on > 0.0:
        fixed = full_kw * on * a
        linear = full_kw * b / each_kw
        quadratic = full_kw * c / (on * each_kw**2)
        other = idle_kw + plate[PUMP_KW, d] * on / machines
        state[CHILLER_FIXED, d], state[CHILLER_LINEAR, d] = fixed, linear
        state[CHILLER_SQUARE, d], state[OTHER_FIXED, d] = quadratic, other
        unload = UNLOAD_PART * on * each_kw
        state[COOLING_UNLOAD, d] = unload
        state[COOLING_MOST, d] = on * each_kw
        rest = limit - fixed - other
        q, p = quadratic + square, linear + state[OTHER_LINEAR, d]
        if rest >= (p + q * on * each_kw) * on * each_kw:
            break
        if rest >= (p + q * unload) * unload:
            state[COOLING_MOST, d] = (np.sqrt(p * p + 4.0 * q * rest) - p) / (2.0 * q)
            break
        on -= 1.0
    if on == 0.0:
        # Not even one chiller fits below the limit: ventilation, or nothing at all.
        _no_chiller(state, d)
        state[OTHER_FIXED, d] = idle_kw if idle_kw <= limit else k[STANDBY] * rated
        state[OTHER_SQUARE, d] = 0.0
    state[CHILLERS_ON, d] = on


@njit(cache=True)
def _no_chiller(state: NDArray[np.float64], d: int) -> None:
    """Take the chillers out of the power curve."""
    for row in (CHILLERS_ON, COOLING_MOST, CHILLER_FIXED, CHILLER_LINEAR, CHILLER_SQUARE,
                OTHER_LINEAR, OTHER_SQUARE, COOLING_UNLOAD):  # fmt: skip
        state[row, d] = 0.0


@njit(cache=True)
def _slow(
    state: NDArray[np.float64], plate: NDArray[np.float64],
    data: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    weather: NDArray[np.float64], d: int,
) -> None:  # fmt: skip
    """Set what holds for one minute."""
    uses, curves, k = data
    runs = _gains(state, plate, uses, k, weather, d)
    # The local controller lifts remote limits where people sit too warm.
    air, comfort_max = state[AIR, d], plate[COMFORT_MAX, d]
    if state[OCCUPIED, d] == 0.0 or air < comfort_max - k[LIFT_BELOW]:
        state[LIFTED, d] = 0.0
    elif air > comfort_max:
        state[LIFTED, d] = 1.0
    offset = state[OFFSET, d] if state[REMOTE, d] > 0.0 and state[LIFTED, d] == 0.0 else 0.0
    state[TARGET, d] = min(plate[SETPOINT, d] + offset, max(comfort_max, plate[SETPOINT, d]))

    if runs and state[SUPPLIED, d] > 0.0:
        _plant(state, plate, curves, k, weather[CONDENSER_C], d)
    else:
        _no_chiller(state, d)
        state[STAGE_WAIT, d] = 0.0
        state[INTEGRAL, d] = 0.0
        state[OTHER_FIXED, d] = k[STANDBY] * plate[RATED, d] * state[SUPPLIED, d]


@njit(cache=True)
def _fast(
    state: NDArray[np.float64], plate: NDArray[np.float64], k: NDArray[np.float64],
    out_c: float, counts: tuple[int, int], d: int,
) -> None:  # fmt: skip
    """Advance one building by ``counts[0]`` inner steps of ``counts[1]`` seconds."""
    steps, dt = counts[0], float(counts[1])
    capacity = plate[CAPACITY_KW, d]
    gain_kw_k = capacity / k[BAND]
    most, target = state[COOLING_MOST, d], state[TARGET, d]
    ua, h = state[UA, d], plate[MASS_CONDUCTANCE, d]
    gain_air, gain_mass = state[GAIN_AIR, d], state[GAIN_MASS, d]
    per_air, per_mass = dt / plate[AIR_CAPACITY, d], dt / plate[MASS_CAPACITY, d]
    share, unload = state[SENSIBLE_SHARE, d], state[COOLING_UNLOAD, d]
    # The coil follows exponentially; `mean` is its average way within a step over the gap.
    follow, up = 1.0 - np.exp(-dt / k[COIL_TAU]), k[LOAD_UP] * capacity * dt / 60.0
    mean = 1.0 - follow * k[COIL_TAU] / dt
    c0, c1, c2 = state[CHILLER_FIXED, d], state[CHILLER_LINEAR, d], state[CHILLER_SQUARE, d]
    o0, o1, o2 = state[OTHER_FIXED, d], state[OTHER_LINEAR, d], state[OTHER_SQUARE, d]
    least = unload * (LEAST_PART / UNLOAD_PART)
    supplied = 1.0 if state[SUPPLIED, d] > 0.0 else 0.0

    air, mass, cooling = state[AIR, d], state[MASS, d], state[COOLING, d]
    integral, chiller, other = state[INTEGRAL, d], 0.0, 0.0
    gained, taken = state[HEAT_GAIN, d], state[HEAT_REMOVED, d]
    energy, chiller_kws, other_kws = state[ENERGY, d], state[CHILLER_KWS, d], state[OTHER_KWS, d]
    grid_in, per_integral = state[GRID_IN, d], gain_kw_k * dt / k[INTEGRAL_TIME]
    # 1 / least, so that the loop divides nothing.
    per_least = 1.0 / least if least > 0.0 else 0.0
    for _ in range(steps):
        # PI on the zone; the integral stands still while the plant is at its bound.
        error = air - target
        wanted = gain_kw_k * error + integral
        bounded = min(max(wanted, 0.0), most) * supplied
        if wanted == bounded or (wanted > bounded) != (error > 0.0):
            integral += per_integral * error
        gap, start = bounded - cooling, cooling
        rise = gap * follow
        cooling, during = start + rise, start + gap * mean
        if rise > up:
            cooling, during = start + up, start + 0.5 * up

        outside = ua * (out_c - air)
        from_mass = h * (mass - air)
        removed = share * during
        air += per_air * (outside + from_mass + gain_air - removed)
        mass += per_mass * (gain_mass - from_mass)
        gained += dt * (outside + gain_air + gain_mass)
        taken += dt * removed

        loaded = max(during, unload)
        cycling = min(during * per_least, 1.0)
        chiller = cycling * (c0 + loaded * (c1 + loaded * c2)) * supplied
        other = (o0 + during * (o1 + during * o2)) * supplied
        energy -= dt * (chiller + other)
        grid_in += dt * (chiller + other)
        chiller_kws += dt * chiller
        other_kws += dt * other
    state[HEAT_GAIN, d], state[HEAT_REMOVED, d] = gained, taken
    state[ENERGY, d], state[GRID_IN, d] = energy, grid_in
    state[CHILLER_KWS, d], state[OTHER_KWS, d] = chiller_kws, other_kws
    state[AIR, d], state[MASS, d], state[COOLING, d] = air, mass, cooling
    state[INTEGRAL, d] = integral
    loaded = max(cooling, unload)
    chiller = min(cooling * per_least, 1.0) * (c0 + loaded * (c1 + loaded * c2))
    other = o0 + cooling * (o1 + cooling * o2)
    state[POWER, d] = -(chiller + other) * supplied


@njit(cache=True)
def advance(
    state: NDArray[np.float64], plate: NDArray[np.float64],
    data: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    weather: NDArray[np.float64], span_s: tuple[int, int, int],
) -> None:  # fmt: skip
    """Advance all buildings.

    Parameters
    ----------
    state : float64[36, n], rows `STATE_ROWS`, overwritten
    plate : float64[17, n], rows `PLATE_ROWS`, true parameters
    data : uses float64[uses, 9] (`USE_COLUMNS`), chiller curves float64[3, 6], constants
        float64[16] (`CONSTANT_NAMES`)
    weather : float64[6 + districts]
    span_s : (start, seconds, inner step); inner steps begin at multiples of their length
    """
    start_s, seconds, step_s = span_s
    # Inner steps that begin in [start, start + seconds).
    steps = (start_s + seconds - 1) // step_s - (start_s - 1) // step_s
    for d in range(state.shape[1]):
        if start_s % 60 == 0:
            _slow(state, plate, data, weather, d)
        if steps > 0:
            _fast(state, plate, data[2], weather[OUT_C], (steps, step_s), d)


@njit(cache=True, parallel=True)
def advance_threaded(
    state: NDArray[np.float64], plate: NDArray[np.float64],
    data: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    weather: NDArray[np.float64], span_s: tuple[int, int, int],
) -> None:  # fmt: skip
    """Do what `advance` does, buildings spread over threads; the same bits."""
    start_s, seconds, step_s = span_s
    steps = (start_s + seconds - 1) // step_s - (start_s - 1) // step_s
    for d in prange(state.shape[1]):
        if start_s % 60 == 0:
            _slow(state, plate, data, weather, d)
        if steps > 0:
            _fast(state, plate, data[2], weather[OUT_C], (steps, step_s), d)
