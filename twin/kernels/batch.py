"""Batch lines: steps that are not broken off, minimum runs, restarts, a stock downstream.

Times are whole seconds and powers multiples of 1/1024 kW, so every sum is exact and a line
jumps from event to event: the same bits however a minute is cut.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Rows of the block; the first five are those of every kind. Stock and products are counted in
# seconds of what the downstream uses, energy in kW s.
LINE_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "pause", "state", "elapsed_s", "run_s", "restart_left_s",
    "stock_s", "stock_h", "owner_idle", "on_shift",
    "drawn_kws", "process_kws", "base_kws", "restart_kws",
    "produced_s", "consumed_s", "starved_s", "broken_steps",
)  # fmt: skip
POWER, ENERGY, SUPPLIED, REMOTE, PAUSE, STATE, ELAPSED, RUN = 0, 1, 2, 5, 7, 8, 9, 10
RESTART_LEFT, STOCK, STOCK_H, OWNER_IDLE, ON_SHIFT = 11, 12, 13, 14, 15
DRAWN, PROCESS, BASE, RESTART, PRODUCED, CONSUMED, STARVED, BROKEN = 16, 17, 18, 19, 20, 21, 22, 23

# Rows of the true parameters of a line; times in whole seconds, powers in 1/1024 kW.
PLATE_ROWS = (
    "rated_kw", "base_kw", "hold_kw", "restart_kw", "step_s", "heat_s", "min_run_s", "restart_s",
    "resume_s", "batch_s",
)  # fmt: skip
P_RATED, P_BASE, P_HOLD, P_RESTART, P_STEP, P_HEAT, P_MIN_RUN, P_RESTART_S, P_RESUME, P_BATCH = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
)  # fmt: skip

IDLE, RUNNING, FINISHING, PAUSED, RESTARTING = 0.0, 1.0, 2.0, 3.0, 4.0


@njit(cache=True)
def work(block: NDArray[np.float64], plate: NDArray[np.float64], seconds: int) -> None:
    """Let every line work for `seconds`."""
    for i in range(block.shape[1]):
        line = block[:, i].copy()
        own = plate[:, i].copy()
        left = float(seconds)
        while left > 0.0:
            left -= _stretch(line, own, left)
        line[STOCK_H] = line[STOCK] / 3600.0
        block[:, i] = line


@njit(cache=True)
def _stretch(line: NDArray[np.float64], plate: NDArray[np.float64], most_s: float) -> float:
    """Let one line work up to its next event, `most_s` at the most; return the time taken [s]."""
    if line[PAUSE] > 0.0 and line[STOCK] <= plate[P_RESUME]:
        # Local protection: the owner does not let his downstream run dry.
        line[PAUSE] = 0.0
        line[REMOTE] = 0.0
    rest = line[PAUSE] > 0.0 or line[OWNER_IDLE] > 0.0 or line[ON_SHIFT] == 0.0
    _turn(line, plate, rest)
    dt_s = most_s
    if line[ON_SHIFT] > 0.0 and line[STOCK] > 0.0:
        dt_s = min(dt_s, line[STOCK])
        if line[PAUSE] > 0.0:
            dt_s = min(dt_s, line[STOCK] - plate[P_RESUME])
    state = line[STATE]
    power = 0.0
    if line[SUPPLIED] == 0.0:
        pass
    elif state in (RUNNING, FINISHING):
        heating = line[ELAPSED] < plate[P_HEAT]
        dt_s = min(dt_s, (plate[P_HEAT] if heating else plate[P_STEP]) - line[ELAPSED])
        power = plate[P_RATED] if heating else plate[P_HOLD]
        line[PROCESS] += power * dt_s
        line[ELAPSED] += dt_s
        line[RUN] += dt_s
    elif state == RESTARTING:
        dt_s = min(dt_s, line[RESTART_LEFT])
        power = plate[P_RESTART]
        line[RESTART] += power * dt_s
        line[RESTART_LEFT] -= dt_s
    else:
        power = plate[P_BASE]
        line[BASE] += power * dt_s
    line[POWER] = -power
    line[ENERGY] -= power * dt_s
    line[DRAWN] += power * dt_s
    use = dt_s * line[ON_SHIFT]
    taken = min(use, line[STOCK])
    line[STOCK] -= taken
    line[CONSUMED] += taken
    line[STARVED] += use - taken
    if line[ELAPSED] >= plate[P_STEP]:
        line[ELAPSED] = 0.0
        line[STOCK] += plate[P_BATCH]
        line[PRODUCED] += plate[P_BATCH]
        if rest and line[RUN] >= plate[P_MIN_RUN]:
            line[STATE] = PAUSED if line[PAUSE] > 0.0 else IDLE
    _turn(line, plate, rest)
    return dt_s


@njit(cache=True)
def _turn(line: NDArray[np.float64], plate: NDArray[np.float64], rest: bool) -> None:
    """Change state where that takes no time: rest, begin to restart, begin to run."""
    if line[SUPPLIED] == 0.0:
        if line[STATE] == RUNNING or line[STATE] == FINISHING:
            line[BROKEN] += 1.0
        line[STATE] = PAUSED
        line[ELAPSED] = 0.0
        return
    if line[STATE] == RUNNING or line[STATE] == FINISHING:
        line[STATE] = FINISHING if rest and line[RUN] >= plate[P_MIN_RUN] else RUNNING
        return
    if rest:
        line[STATE] = PAUSED if line[PAUSE] > 0.0 else IDLE
        return
    if line[STATE] != RESTARTING:
        line[STATE] = RESTARTING
        line[RESTART_LEFT] = plate[P_RESTART_S]
    if line[RESTART_LEFT] <= 0.0:
        line[STATE] = RUNNING
        line[RUN] = 0.0
