"""Voltage bands and loading limits, and what violates them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.grid.equipment import read_table
from twin.grid.network import Network
from twin.grid.snapshot import GridSnapshot

__all__ = ["Limits", "Violations", "violations"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Violations:
    """What violates the limits in one snapshot.

    Attributes
    ----------
    buses : number of buses outside their band
    branches : number of branches above the loading limit
    low_pu, high_pu : (levels,) lowest and highest voltage of each level of `Limits.kv`; NaN
        where the network has no such level
    max_loading_pct : of every branch
    worst_branch : row of that branch
    """

    buses: int
    branches: int
    low_pu: F8
    high_pu: F8
    max_loading_pct: float
    worst_branch: int


class Limits:
    """Limits of one network, level by level.

    Attributes
    ----------
    kv : (levels,) nominal voltages of the table, highest first
    level : (buses,) row of the nearest nominal voltage (by ratio)
    low_pu, high_pu : (buses,) band
    normal_pct, outage_pct : loading limits in normal operation and after an outage
    """

    def __init__(self, network: Network) -> None:
        table = read_table("limits")
        rows = sorted(table["voltage"], key=lambda row: -row["kv"])
        self.kv: F8 = np.array([row["kv"] for row in rows])
        ratio = np.abs(np.log(network.buses.kv[:, None] / self.kv[None, :]))
        self.level: I8 = ratio.argmin(axis=1)
        self.low_pu: F8 = np.array([row["low_vm_pu"] for row in rows])[self.level]
        self.high_pu: F8 = np.array([row["high_vm_pu"] for row in rows])[self.level]
        self.normal_pct = float(table["loading"]["normal_pct"])
        self.outage_pct = float(table["loading"]["outage_pct"])
        order = np.argsort(self.level, kind="stable")
        self.order: I8 = order
        self.present, self.first = np.unique(self.level[order], return_index=True)


def violations(snapshot: GridSnapshot, limits: Limits) -> Violations:
    """Count what violates the limits; vectorised, called each minute."""
    vm = snapshot.vm_pu
    outside = int(np.count_nonzero((vm < limits.low_pu) | (vm > limits.high_pu)))
    above = int(np.count_nonzero(snapshot.loading_pct > limits.normal_pct))
    low, high = np.full(len(limits.kv), np.nan), np.full(len(limits.kv), np.nan)
    by_level = vm[limits.order]
    low[limits.present] = np.minimum.reduceat(by_level, limits.first)
    high[limits.present] = np.maximum.reduceat(by_level, limits.first)
    worst = int(snapshot.loading_pct.argmax())
    return Violations(outside, above, low, high, float(snapshot.loading_pct[worst]), worst)
