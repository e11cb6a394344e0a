"""Devices behind circuits: dark with them, and no kilowatt of theirs counted twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.control.load_management.rounds import Rounds
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Inventory

GENERATION = ("solar", "storage")


class BehindCircuits:
    """Which device stands behind which circuit of which terminal, by kind."""

    def __init__(self, inventory: Inventory, rounds: Rounds) -> None:
        self.rounds = rounds
        row = np.full(inventory.sites.n, -1, np.int64)
        row[rounds.site] = np.arange(rounds.n)
        self.circuit: dict[str, NDArray[np.int64]] = {}
        self.terminal: dict[str, NDArray[np.int64]] = {}
        self.rated_kw: dict[str, NDArray[np.float64]] = {}
        for name, kind in inventory.kinds.items():
            if name == "terminal" or not {"site", "circuit", "rated_kw"} <= kind.columns.keys():
                continue
            self.circuit[name] = kind.columns.i8("circuit")
            self.terminal[name] = row[kind.columns.i8("site")]
            self.rated_kw[name] = kind.columns.f8("rated_kw")

    def dark(self, kind: str) -> NDArray[np.bool_]:
        """Return bool[n]: the device stands behind a circuit that was told to open."""
        circuit, row = self.circuit[kind], self.terminal[kind]
        behind = (circuit >= 0) & (row >= 0)
        out = np.zeros(len(circuit), np.bool_)
        out[behind] = self.rounds.memory["open"][circuit[behind], row[behind]] > 0.0
        return out

    def lost_generation_kw(self, fleet: Supervision) -> float:
        """Return what dark generation would feed, by what the rest feeds per kW of rating."""
        lost_kw = 0.0
        for kind in GENERATION:
            if kind not in self.circuit:
                continue
            dark = self.dark(kind)
            lit = ~dark & np.isfinite(fleet.watch[kind].get("power_kw"))
            feed = float(fleet.watch[kind].or_zero("power_kw")[lit].sum())
            per_kw = feed / max(float(self.rated_kw[kind][lit].sum()), 1e-6)
            lost_kw += per_kw * float(self.rated_kw[kind][dark].sum())
        return lost_kw
