"""Bringing stations in, step by step (有序接入): states, their times, and who may be commanded.

A device passes the steps in order: registered, point table checked, jointly tested, certified,
live; later it may be suspended and resumed. What is registered of it are the moments of these
steps, one int64 column each; a kind without them is live from the beginning to the end.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from twin.record.columns import Columns

__all__ = ["FOREVER_MS", "STATES_ZH", "STEPS", "Onboarding", "column", "live", "live_at", "state"]

FOREVER_MS = 10**15  # of a step that is not taken
ALWAYS_MS = -(10**15)  # of a step that was taken before the run


class Onboarding(IntEnum):
    """How far a device has been brought in."""

    REGISTERED = 0
    POINT_TABLE_CHECKED = 1
    JOINT_TESTED = 2
    CERTIFIED = 3
    LIVE = 4
    SUSPENDED = 5


STATES_ZH = {
    Onboarding.REGISTERED: "已登记",
    Onboarding.POINT_TABLE_CHECKED: "点表已核对",
    Onboarding.JOINT_TESTED: "联调完成",
    Onboarding.CERTIFIED: "验收合格",
    Onboarding.LIVE: "已接入",
    Onboarding.SUSPENDED: "暂停接入",
}

# Steps in the order in which they are taken, with the state that each leads to.
STEPS = {
    "registered": Onboarding.REGISTERED,
    "point_table_checked": Onboarding.POINT_TABLE_CHECKED,
    "joint_tested": Onboarding.JOINT_TESTED,
    "certified": Onboarding.CERTIFIED,
    "live": Onboarding.LIVE,
    "suspended": Onboarding.SUSPENDED,
    "resumed": Onboarding.LIVE,
}
_COLUMNS = tuple((f"{step}_ms", state) for step, state in STEPS.items())


def column(step: str) -> str:
    """Return the name of the column with the moments of `step`."""
    return f"{step}_ms"


def state(columns: Columns, now_ms: int) -> NDArray[np.uint8]:
    """Return uint8[n], the `Onboarding` state of each device at `now_ms`.

    The last step taken counts; before the first one a device is REGISTERED. Times must not
    fall from step to step, as the scenario's check sees to.
    """
    found = np.full(columns.n, Onboarding.REGISTERED, np.uint8)
    if column("live") not in columns:
        found[:] = Onboarding.LIVE
        return found
    for name, reached in _COLUMNS:
        found[columns.i8(name) <= now_ms] = reached
    return found


def live(columns: Columns, now_ms: int) -> NDArray[np.bool_]:
    """Return bool[n]: which devices may be commanded and count as connected at `now_ms`."""
    if column("live") not in columns:
        return np.ones(columns.n, np.bool_)
    taken = columns.i8("live_ms") <= now_ms
    away = (columns.i8("suspended_ms") <= now_ms) & (columns.i8("resumed_ms") > now_ms)
    return np.asarray(taken & ~away)


def live_at(columns: Columns, site: NDArray[np.int64], n_sites: int, now_ms: int) -> (
    NDArray[np.bool_]
):  # fmt: skip
    """Return bool[n_sites]: at which sites a device of these columns is live."""
    found = np.zeros(n_sites, np.bool_)
    found[site[live(columns, now_ms)]] = True
    return found
