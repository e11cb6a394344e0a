"""States in which the platform shows the fleet (整体运行状态), worked out from a device's points.

The same rule serves belief, from readings, and truth, from what devices really do.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["OFFLINE_PERIODS", "STATES_ZH", "DeviceState", "device_state"]

Floats = NDArray[np.float64]

# Below this part of the rating a device stands by; an ice store's thermal flows count from here
# on too (assumed, the dead band of supervision).
BAND = 0.02
OFFLINE_PERIODS = 6.0  # silent for longer than so many poll periods: as alarms.toml has it


class DeviceState(IntEnum):
    """State of one device as an operator reads it."""

    RUNNING = 0
    CHARGING = 1
    DISCHARGING = 2
    STANDBY = 3
    FAULT = 4
    OFFLINE = 5


STATES_ZH = {
    DeviceState.RUNNING: "运行",
    DeviceState.CHARGING: "充电",
    DeviceState.DISCHARGING: "放电",
    DeviceState.STANDBY: "待机",
    DeviceState.FAULT: "故障",
    DeviceState.OFFLINE: "离线",
}

# Kinds whose consumption charges something, and whose feed-in discharges it.
_CHARGES = ("charging", "swap")
_PAUSED = (0.0, 3.0)  # of an industry's state word: idle, paused


def device_state(
    kind: str, points: Mapping[str, Floats], rated_kw: Floats, silent_periods: Floats
) -> NDArray[np.uint8]:
    """Return uint8[n], the `DeviceState` of each device of `kind`.

    Parameters
    ----------
    points : by name float64[n]; ``power_kw`` (positive into the grid) and what the kind shows
        of its state: ``status`` of storage, ``state`` of industry, ``melt_kw``, ``chiller_kw``
        and ``cooling_load_kw`` of ice stores, ``fuelcell_power_kw`` of hydrogen. NaN stands by.
    silent_periods : poll periods without an answer; beyond `OFFLINE_PERIODS` it is offline
    """
    power, band = points["power_kw"], BAND * rated_kw
    out = np.full(len(power), DeviceState.STANDBY, np.uint8)
    if kind == "storage" and "status" in points:
        for word, state in (
            (1.0, DeviceState.CHARGING), (2.0, DeviceState.DISCHARGING), (3.0, DeviceState.FAULT),
        ):  # fmt: skip
            out[points["status"] == word] = state
    elif kind in _CHARGES or kind == "storage":
        out[power < -band] = DeviceState.CHARGING
        out[power > band] = DeviceState.DISCHARGING
    elif kind == "industry" and "state" in points:
        shown = points["state"]
        out[np.isfinite(shown) & ~np.isin(shown, _PAUSED)] = DeviceState.RUNNING
    else:
        out[np.abs(power) > band] = DeviceState.RUNNING
        if kind == "icestore" and {"melt_kw", "chiller_kw", "cooling_load_kw"} <= points.keys():
            used = np.maximum(points["cooling_load_kw"] - points["melt_kw"], 0.0)
            out[points["melt_kw"] > band] = DeviceState.DISCHARGING
            out[points["chiller_kw"] - used > band] = DeviceState.CHARGING
        elif kind == "hydrogen" and "fuelcell_power_kw" in points:
            out[points["fuelcell_power_kw"] > band] = DeviceState.DISCHARGING
    out[silent_periods > OFFLINE_PERIODS] = DeviceState.OFFLINE
    return out
