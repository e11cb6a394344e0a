"""Shore power at berths: a ship's load, a part of which may be deferred and is paid back."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Rows of the block; the first five are those of every kind.
BERTH_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "limit_kw",
    "berthed", "until_ms", "ship_kw", "wanted_kw", "flexible_kw", "deferred_kwh",
    "drawn_kwh", "wanted_kwh", "forgone_kwh", "dropped_kwh",
)  # fmt: skip
POWER, ENERGY, SUPPLIED, LIMIT = 0, 1, 2, 7
BERTHED, WANTED, FLEXIBLE, DEFERRED = 8, 11, 12, 13
DRAWN, WISHED, FORGONE, DROPPED = 14, 15, 16, 17

# Rows of the parameters of a berth.
PLATE_ROWS = ("rated_kw", "flexible_share", "longest_h", "payback_share")
P_RATED, P_FLEXIBLE, P_LONGEST, P_PAYBACK = 0, 1, 2, 3


@njit(cache=True)
def lie(block: NDArray[np.float64], plate: NDArray[np.float64], seconds: int) -> None:
    """Supply the ships for `seconds`, 1 s a step."""
    for i in range(block.shape[1]):
        for _ in range(seconds):
            _second(block[:, i], plate[:, i])


@njit(cache=True)
def _second(berth: NDArray[np.float64], plate: NDArray[np.float64]) -> None:
    """One berth, one second."""
    wanted = berth[WANTED]
    flexible = wanted * plate[P_FLEXIBLE]
    if berth[SUPPLIED] == 0.0:
        # The ship's own engines take over; nothing is owed for it.
        berth[FORGONE] += wanted / 3600.0
        berth[WISHED] += wanted / 3600.0
        berth[POWER] = 0.0
        berth[FLEXIBLE] = 0.0
        return
    # Reefers bear a limited time without cooling; then the load comes back, limit or not.
    can_defer = flexible if berth[DEFERRED] < flexible * plate[P_LONGEST] else 0.0
    room = max(min(berth[LIMIT], plate[P_RATED]) - wanted, 0.0)
    payback = min(plate[P_PAYBACK] * flexible, room, berth[DEFERRED] * 3600.0)
    cut = min(max(wanted - berth[LIMIT], 0.0), can_defer)
    power = wanted - cut + payback
    berth[DEFERRED] += (cut - payback) / 3600.0
    berth[FLEXIBLE] = can_defer
    berth[POWER] = -power
    berth[ENERGY] -= power
    berth[DRAWN] += power / 3600.0
    berth[WISHED] += wanted / 3600.0
