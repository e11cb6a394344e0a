"""Batch lines: steps that are not broken off, minimum runs, restarts, a stock downstream."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Rows of the block; the first five are those of every kind. Stock and products are counted in
# hours of what the downstream uses.
LINE_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "pause", "state", "elapsed_s", "run_s", "restart_left_s",
    "stock_h", "owner_idle", "on_shift",
    "drawn_kwh", "process_kwh", "base_kwh", "restart_kwh",
    "produced_h", "consumed_h", "starved_h", "broken_steps",
)  # fmt: skip
POWER, ENERGY, SUPPLIED, REMOTE, PAUSE, STATE = 0, 1, 2, 5, 7, 8
ELAPSED, RUN, RESTART_LEFT, STOCK, OWNER_IDLE, ON_SHIFT = 9, 10, 11, 12, 13, 14
DRAWN, PROCESS, BASE, RESTART, PRODUCED, CONSUMED, STARVED, BROKEN = 15, 16, 17, 18, 19, 20, 21, 22

# Rows of the true parameters of a line.
PLATE_ROWS = (
    "rated_kw", "base_kw", "hold_kw", "restart_kw", "step_s", "heat_s", "min_run_s", "restart_s",
    "resume_h", "batch_h",
)  # fmt: skip
P_RATED, P_BASE, P_HOLD, P_RESTART, P_STEP, P_HEAT, P_MIN_RUN, P_RESTART_S, P_RESUME, P_BATCH = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
)  # fmt: skip

IDLE, RUNNING, FINISHING, PAUSED, RESTARTING = 0.0, 1.0, 2.0, 3.0, 4.0


@njit(cache=True)
def work(block: NDArray[np.float64], plate: NDArray[np.float64], seconds: int) -> None:
    """Let every line work for `seconds`, 1 s a step."""
    for i in range(block.shape[1]):
        for _ in range(seconds):
            _second(block[:, i], plate[:, i])


@njit(cache=True)
def _second(line: NDArray[np.float64], plate: NDArray[np.float64]) -> None:
    """One line, one second."""
    use = line[ON_SHIFT] / 3600.0
    taken = min(use, line[STOCK])
    line[STOCK] -= taken
    line[CONSUMED] += taken
    line[STARVED] += use - taken
    if line[PAUSE] > 0.0 and line[STOCK] <= plate[P_RESUME]:
        # Local protection: the owner does not let his downstream run dry.
        line[PAUSE] = 0.0
        line[REMOTE] = 0.0
    if line[SUPPLIED] == 0.0:
        if line[STATE] == RUNNING or line[STATE] == FINISHING:
            line[BROKEN] += 1.0
        line[STATE] = PAUSED
        line[ELAPSED] = 0.0
        line[POWER] = 0.0
        return
    rest = line[PAUSE] > 0.0 or line[OWNER_IDLE] > 0.0 or line[ON_SHIFT] == 0.0
    resting = PAUSED if line[PAUSE] > 0.0 else IDLE
    if line[STATE] == RUNNING or line[STATE] == FINISHING:
        power = plate[P_RATED] if line[ELAPSED] < plate[P_HEAT] else plate[P_HOLD]
        line[PROCESS] += power / 3600.0
        line[ELAPSED] += 1.0
        line[RUN] += 1.0
        may_rest = rest and line[RUN] >= plate[P_MIN_RUN]
        line[STATE] = FINISHING if may_rest else RUNNING
        if line[ELAPSED] >= plate[P_STEP]:
            line[ELAPSED] = 0.0
            line[STOCK] += plate[P_BATCH]
            line[PRODUCED] += plate[P_BATCH]
            if may_rest:
                line[STATE] = resting
    elif line[STATE] == RESTARTING:
        power = plate[P_RESTART]
        line[RESTART] += power / 3600.0
        line[RESTART_LEFT] -= 1.0
        if rest:
            line[STATE] = resting
        elif line[RESTART_LEFT] <= 0.0:
            line[STATE] = RUNNING
            line[RUN] = 0.0
    else:
        power = plate[P_BASE]
        line[BASE] += power / 3600.0
        line[STATE] = resting
        if not rest:
            line[STATE] = RESTARTING
            line[RESTART_LEFT] = plate[P_RESTART_S]
    line[POWER] = -power
    line[ENERGY] -= power
    line[DRAWN] += power / 3600.0
