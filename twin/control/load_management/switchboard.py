"""Circuits are warned, opened and closed, and what did not arrive is said again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.demand_response.response import Response
from twin.control.load_management.behind_circuits import BehindCircuits
from twin.control.load_management.rounds import CIRCUITS, Rounds
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Inventory, SetPoint
from twin.record.load_rules import LoadRules

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

RESERVE = 1.3  # times what is needed is warned (assumed)


class Switchboard:
    """Set-points of terminals; keeps the dispatch of flexible means in line with them.

    Parameters
    ----------
    flexible : response whose devices may stand behind circuits

    Attributes
    ----------
    by_rank : circuits are opened and given back strictly by rank, as a plan has it
    """

    def __init__(self, inventory: Inventory, rules: LoadRules, flexible: Response) -> None:
        self.rounds = Rounds(inventory, rules)
        self.behind = BehindCircuits(inventory, self.rounds)
        self.flexible = flexible
        self.by_rank = False

    def warn(self, now_ms: int, kw: float, fleet: Supervision) -> list[SetPoint]:
        """Show the warning at the sites that are next until `kw` are told, open ones counted."""
        memory = self.rounds.memory
        warned = memory["warned"] > 0.0
        _, row, demand = self.rounds.queue(fleet, now_ms, by_rank=self.by_rank)
        told = float(demand[warned[row]].sum()) + self.rounds.open_kw
        new = ~warned[row]
        row, demand = row[new], demand[new]
        rows = np.unique(row[np.cumsum(demand) - demand + told <= kw])
        if told >= kw or len(rows) == 0:
            return []
        memory["warned"][rows] = 1.0
        self.rounds.warned_ms[rows] = now_ms
        return _write("warning", rows, 1.0)

    def open(
        self, now_ms: int, need_kw: float, fleet: Supervision, warning_min: float
    ) -> tuple[list[SetPoint], float]:
        """Open what is next, warned long enough; return set-points and their demand [kW]."""
        memory, told_ms = self.rounds.memory, self.rounds.warned_ms
        circuit, row, kw = self.rounds.queue(fleet, now_ms, by_rank=self.by_rank)
        out: list[SetPoint] = []
        told = memory["warned"][row] > 0.0
        if float(kw[told].sum()) < need_kw:
            # The reserve is used up: more are told, to be there when their warning is over.
            out = self.warn(now_ms, self.rounds.open_kw + RESERVE * need_kw, fleet)
        wait_ms = warning_min * MINUTE_MS
        able = (memory["warned"][row] > 0.0) & (now_ms - told_ms[row] >= wait_ms)
        circuit, row, kw = circuit[able], row[able], kw[able]
        chosen = np.cumsum(kw) - 0.5 * kw <= need_kw
        out += self._switch(now_ms, circuit[chosen], row[chosen], is_open=True)
        return out, float(kw[chosen].sum())

    def close(
        self, now_ms: int, kw: float, trend: Floats, *, longest: bool = False
    ) -> list[SetPoint]:
        """Give back circuits up to `kw`: by the rank of the plan, or those open longest."""
        circuit, row = self.rounds.opened(now_ms, by_rank=self.by_rank and not longest)
        demand = self.rounds.memory["ref_kw"][circuit, row] * trend[row]
        # A circuit that is too large by itself does not keep the others waiting.
        demand[demand > kw] = 0.0
        chosen = (np.cumsum(demand) <= kw) & (demand > 0.0)
        return self._switch(now_ms, circuit[chosen], row[chosen], is_open=False)

    def _switch(self, now_ms: int, circuit: Rows, row: Rows, *, is_open: bool) -> list[SetPoint]:
        self.rounds.mark(circuit, row, now_ms, is_open=is_open)
        out: list[SetPoint] = []
        for c in range(CIRCUITS):
            out += _write(f"circuit_{c + 1}", np.sort(row[circuit == c]), 0.0 if is_open else 1.0)
        return out

    def insist(self, fleet: Supervision) -> list[SetPoint]:
        """Write again what did not arrive."""
        memory, closed = self.rounds.memory, self.rounds.closed(fleet)
        unheard = np.isnan(fleet.watch["terminal"].get("closed_1"))
        out: list[SetPoint] = []
        for c in range(CIRCUITS):
            to_open = (memory["open"][c] > 0.0) & closed[c] & (memory["failed"][c] == 0.0)
            to_close = (memory["open"][c] == 0.0) & ~closed[c] & (memory["used"][c] > 0.0)
            just = memory.extra["opened_ms"][c] >= fleet.watch["terminal"].memory["time_ms"]
            out += _write(f"circuit_{c + 1}", np.flatnonzero(to_open & ~just & ~unheard), 0.0)
            out += _write(f"circuit_{c + 1}", np.flatnonzero(to_close & ~unheard), 1.0)
        return out

    def close_all(self, now_ms: int) -> list[SetPoint]:
        """Give back everything that has had its least time off."""
        circuit, row = self.rounds.opened(now_ms, by_rank=self.by_rank)
        return self._switch(now_ms, circuit, row, is_open=False)

    def unwarn(self) -> list[SetPoint]:
        """Take all warnings back."""
        rows = np.flatnonzero(self.rounds.memory["warned"] > 0.0)
        self.rounds.memory["warned"] = 0.0
        return _write("warning", rows, 0.0)

    def mark(self, barred: Sequence[str]) -> None:
        """Take `barred` kinds and what stands behind open circuits out of the dispatch."""
        for kind in self.flexible.levers.kinds:
            self.flexible.levers.out[kind] = self.behind.dark(kind) | (kind in barred)

    def follow(self, barred: Sequence[str]) -> None:
        """Do the same after a switching: what went dark counts with its circuit from now on."""
        self.mark(barred)
        for kind in self.flexible.levers.kinds:
            if kind != "storage" and self.flexible.busy:
                self.flexible.without.touch(kind, np.flatnonzero(self.behind.dark(kind)))


def _write(point: str, rows: Rows, value: float) -> list[SetPoint]:
    if len(rows) == 0:
        return []
    return [SetPoint("terminal", point, rows, np.full(len(rows), value))]
