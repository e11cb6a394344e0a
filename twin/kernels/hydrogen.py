"""Electrolyser refuelling: stack with minimum load, ramp and start, tank, fuel cell."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Rows of the block; the first five are those of every kind.
STATION_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "limit_kw", "fuelcell_kw",
    "tank_kg", "hydrogen_demand_kg_h", "fuelcell_power_kw", "wanted_kw", "plant_kw",
    "start_left_s", "idle_s",
    "drawn_kwh", "fed_kwh", "chemical_kwh", "loss_kwh",
    "made_kg", "sold_kg", "unserved_kg", "reused_kg",
)  # fmt: skip
POWER, ENERGY, SUPPLIED, LOW, HIGH, REMOTE, LIMIT, CELL_SET = 0, 1, 2, 3, 4, 5, 7, 8
TANK, DEMAND, CELL, WANTED, PLANT, START_LEFT, IDLE = 9, 10, 11, 12, 13, 14, 15
DRAWN, FED, CHEMICAL, LOSS, MADE, SOLD, UNSERVED, REUSED = 16, 17, 18, 19, 20, 21, 22, 23

# Rows of the true parameters.
PLATE_ROWS = (
    "rated_kw", "tank_kg", "cell_rated_kw", "min_kw", "ramp_kw_s", "start_s", "standby_kw",
    "kwh_per_kg", "part_load_gain", "cell_kwh_per_kg", "reserve_kg", "cell_ramp_kw_s",
)  # fmt: skip
P_RATED, P_TANK, P_CELL, P_MIN, P_RAMP, P_START, P_STANDBY = 0, 1, 2, 3, 4, 5, 6
P_SPECIFIC, P_GAIN, P_CELL_YIELD, P_RESERVE, P_CELL_RAMP = 7, 8, 9, 10, 11

LOWER_HEATING_KWH_KG = 33.33  # of hydrogen
WARM_S = 1800.0  # after this time at rest a start is a cold one (assumed)


@njit(cache=True)
def run(block: NDArray[np.float64], plate: NDArray[np.float64], seconds: int) -> None:
    """Run every station for `seconds`, 1 s a step."""
    for i in range(block.shape[1]):
        for _ in range(seconds):
            _second(block[:, i], plate[:, i])


@njit(cache=True)
def _second(station: NDArray[np.float64], plate: NDArray[np.float64]) -> None:
    """One station, one second."""
    supplied = station[SUPPLIED]
    # Vehicles first: what the tank cannot give is unserved.
    wish = station[DEMAND] / 3600.0
    sold = min(wish, station[TANK])
    station[TANK] -= sold
    station[SOLD] += sold
    station[UNSERVED] += wish - sold
    if station[REMOTE] > 0.0 and station[TANK] < 0.5 * plate[P_RESERVE]:
        # Local protection: the owner refuels before he obeys.
        station[REMOTE] = 0.0
        station[LIMIT] = plate[P_RATED]
        station[CELL_SET] = 0.0
    cap = min(plate[P_RATED], station[LIMIT], max(-station[LOW], 0.0))
    # A full tank takes no more than one second's product of room.
    room = station[TANK] < plate[P_TANK] - 1.1 * plate[P_RATED] / plate[P_SPECIFIC] / 3600.0
    goal = min(station[WANTED], cap) if room else 0.0
    made = 0.0
    power = plate[P_STANDBY] * supplied
    if supplied == 0.0 or goal < plate[P_MIN]:
        station[PLANT] = 0.0
        station[IDLE] += 1.0
        station[START_LEFT] = plate[P_START] if station[IDLE] > WARM_S else 0.1 * plate[P_START]
    elif station[START_LEFT] > 0.0:
        # Start: cell block and gas treatment warm up, nothing is made yet.
        station[START_LEFT] -= 1.0
        power = 0.5 * plate[P_MIN]
    else:
        station[IDLE] = 0.0
        before = max(station[PLANT], plate[P_MIN])
        move = min(max(goal - before, -plate[P_RAMP]), plate[P_RAMP])
        station[PLANT] = min(max(before + move, plate[P_MIN]), cap)
        power = station[PLANT]
        load = power / plate[P_RATED]
        specific = plate[P_SPECIFIC] * (1.0 - plate[P_GAIN] * (1.0 - load))
        made = power / specific / 3600.0
    cell_goal = min(station[CELL_SET], plate[P_CELL], max(station[HIGH], 0.0)) * supplied
    if station[TANK] <= plate[P_RESERVE]:
        cell_goal = 0.0
    move = min(cell_goal - station[CELL], plate[P_CELL_RAMP])
    station[CELL] += max(move, -plate[P_CELL_RAMP]) if supplied > 0.0 else -station[CELL]
    reused = 0.0
    if station[CELL] > 0.0:
        reused = station[CELL] / plate[P_CELL_YIELD] / 3600.0
    station[TANK] += made - reused
    station[MADE] += made
    station[REUSED] += reused
    net = station[CELL] - power
    chemical = (made - reused) * LOWER_HEATING_KWH_KG
    station[POWER] = net
    station[ENERGY] += net
    station[DRAWN] += power / 3600.0
    station[FED] += station[CELL] / 3600.0
    station[CHEMICAL] += chemical
    station[LOSS] += -net / 3600.0 - chemical
