"""Manners: how devices in the field behave other than well, in simulated seconds.

A manner is what a report from the field tells of, as numbers. What changes what a device does
or shows stands here; what concerns bytes only is the wire's. Reports are named by repository
and thread; none of them is quoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin.clock import SECOND_MS

Rows: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

NEVER_MS = -(10**15)
FOREVER_MS = 10**15
# Changes of a command that a lagging read-back still has in the pipe; when more come within the
# lag, the oldest of them is never shown.
DEPTH = 4


@dataclass(frozen=True, slots=True)
class Manner:
    """How a device behaves; what is left out it does well.

    Attributes
    ----------
    local : switched to local mode (就地): every write is refused, the owner's control runs
        (home-assistant/home-assistant.io#47615)
    heartbeat_s : falls back to the owner's control when neither write nor heartbeat came for
        so long (mkaiser/Sungrow-SHx-Inverter-Modbus-Home-Assistant#377, #721)
    revert_s : a command holds so long, instead of an hour (evcc-io/evcc#16008)
    ignore_writes : says yes and does nothing (bohdan-s/SunGather#153)
    readback_lag_s : shows commands as they stood so long ago (nathanmarlor/foxess_modbus#543)
    frozen : the sensor of `point`, else the first one, stands still
        (Pho3niX90/solis_modbus#187)
    drift_per_h : the sensor of `point` wanders, in its unit (sensors age: assumed)
    min_off_s : once stopped by command, every write is refused for so long
        (craftbeerpi/craftbeerpi#206)
    wear_limit : writes that its memory bears; what comes after is ignored
        (WillCodeForCats/solaredge-modbus-multi#726)
    point : which sensor `frozen` and `drift_per_h` mean
    """

    local: bool = False
    heartbeat_s: int | None = None
    revert_s: int | None = None
    ignore_writes: bool = False
    readback_lag_s: int | None = None
    frozen: bool = False
    drift_per_h: float | None = None
    min_off_s: int | None = None
    wear_limit: int | None = None
    point: str | None = None


Active: TypeAlias = Sequence[tuple[Manner, Rows]]


def whole(active: Active, n: int, name: str, scale: int = 1) -> NDArray[np.int64]:
    """Return int64[n], field `name` of the manners in force, 0 where there is none.

    Of two manners of one device the later one of `active` counts. True is 1.
    """
    found = np.zeros(n, np.int64)
    for manner, rows in active:
        value = getattr(manner, name)
        if value is not None and value is not False:
            found[rows] = int(value) * scale
    return found


def milliseconds(active: Active, n: int, name: str) -> NDArray[np.int64]:
    """Return int64[n], a field in seconds as milliseconds, 0 where there is none."""
    return whole(active, n, name, SECOND_MS)


class Pipe:
    """What a device showed of its commands lately, newest first.

    Parameters
    ----------
    time_ms : int64[DEPTH, n]  since when each stands
    value : float64[DEPTH, quantities, n]
    """

    def __init__(self, time_ms: NDArray[np.int64], value: Floats) -> None:
        self.time_ms, self.value = time_ms, value

    def fill(self, rows: Rows, now: Floats) -> None:
        """Forget the past of `rows`: `now`, float64[quantities, n], always stood there."""
        self.time_ms[:, rows] = NEVER_MS
        self.value[:, :, rows] = now[:, rows]

    def note(self, rows: Rows, now: Floats, now_ms: int) -> None:
        """Note where `now` differs from what was noted last, among `rows`."""
        rows = rows[(now[:, rows] != self.value[0][:, rows]).any(axis=0)]
        later = rows[self.time_ms[0, rows] < now_ms]
        for k in range(DEPTH - 1, 0, -1):
            self.time_ms[k, later] = self.time_ms[k - 1, later]
            self.value[k][:, later] = self.value[k - 1][:, later]
        self.time_ms[0, rows] = now_ms
        self.value[0][:, rows] = now[:, rows]

    def late(self, rows: Rows, before_ms: NDArray[np.int64]) -> Floats:
        """Return float64[quantities, rows], what stood at `before_ms`, int64[rows]."""
        newer = self.time_ms[:, rows] > before_ms
        k = np.minimum(newer.sum(axis=0), DEPTH - 1)
        return np.asarray(self.value[k, :, rows].T)
