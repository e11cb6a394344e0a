"""Registers to readings: what was heard of each kind so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.headend.fleet import Fleet
from hil.kernels import pack
from twin.engine.telemetry import NEVER_MS
from twin.record.exchange import Quality, Reading

__all__ = ["Readings"]

I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]
GOOD, STALE, MISSING = (np.uint8(q) for q in (Quality.GOOD, Quality.STALE, Quality.MISSING))


class Readings:
    """The last readings of all kinds, as `twin.engine.telemetry` keeps them.

    A value stays until its device is heard again, with its own time stamp; a device that is not
    in the inventory, or was never heard, is MISSING.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._held = {
            kind: Reading(
                np.full((len(inventory.points), inventory.n), np.nan),
                np.full(inventory.n, NEVER_MS, np.int64),
                np.full(inventory.n, MISSING, np.uint8),
            )
            for kind, inventory in fleet.kinds.items()
        }

    def hear(self, kind: str, heard: NDArray[np.bool_], raw: U1, now_ms: int) -> None:
        """File what the devices `heard` (bool[devices]) answered at `now_ms`."""
        fleet, held = self._fleet, self._held[kind]
        devices = fleet.at[kind]
        rows = np.flatnonzero(devices >= 0)
        rows = rows[heard[devices[rows]]]
        rated = np.ones(fleet.kinds[kind].n)
        mine = devices[rows]
        rated[rows] = fleet.rated[mine]
        for number in np.unique(fleet.map[mine]):
            here = fleet.map[mine] == number
            pack.decode(
                raw, fleet.base[mine[here]], rows[here], fleet.plans[number].wanted, rated,
                fleet.compiled.layout, held.value,
            )  # fmt: skip
        silent = np.ones(len(devices), np.bool_)
        silent[rows] = False
        held.time_ms[rows] = now_ms
        held.quality[rows] = GOOD
        held.quality[silent & (held.quality == GOOD)] = STALE

    def of(self, kind: str) -> Reading:
        """Return a copy of what is held of a kind."""
        held = self._held[kind]
        return Reading(held.value.copy(), held.time_ms.copy(), held.quality.copy())
