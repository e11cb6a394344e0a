"""Load management (the 20 %): flexible means first, then rounds of rigid circuits.

Warn, trip in blocks from start to deadline, hold with feedback each minute, restore in steps.
What a switched circuit would have drawn is its demand before the order times the trend of
everything that was never switched; the cut is that less what it draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.response import CAP_AIM, Response
from twin.control.rounds import CIRCUITS, Rounds
from twin.control.supervision import Supervision
from twin.record.exchange import Inventory, SetPoint
from twin.record.orders import Order, OrderForm
from twin.record.table import Table
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

AIM = 1.03  # of the order: between the limits of 98 and 110 %
DEAD_BAND = 0.006  # of the order; smaller errors switch nothing
TOO_MUCH = 0.04  # of the order above the aim: from here circuits are given back
WARNED = 1.3  # times the order's rigid part is warned, as a reserve (assumed)
FLEXIBLE_PART = 0.85  # of what flexible means can sustain is counted on (assumed)
LEAD_MS = 3 * MINUTE_MS
RESTORE_MIN = 45.0  # evenly; the limit is 60
RESTORE_ANYWAY_MIN = 38.0  # from here on a high load no longer delays a step
PEAK_GUARD = 0.985  # of the day's maximum: above it a step waits


@dataclass(slots=True)
class CutNumbers:
    """What a curtailment remembers beside its tables."""

    order_id: str = ""
    stage: str = "idle"  # idle, known, hold, restore
    order_kw: float = 0.0
    ended_ms: int = 0
    restore_kw: float = 0.0
    flexible_kw: float = 0.0
    rigid_kw: float = 0.0
    total_kw: float = 0.0
    target_kw: float = 0.0
    highest_mw: float = 0.0


class Curtailment:
    """One rigid order from notice to the last circuit closed.

    Parameters
    ----------
    flexible : response that gives the flexible part, with its own counterfactual
    typical_max_mw : highest forecast load of the day
    """

    def __init__(self, inventory: Inventory, flexible: Response, typical_max_mw: float) -> None:
        self.rounds = Rounds(inventory)
        self.flexible = flexible
        self.typical_max_mw = typical_max_mw
        self.numbers = CutNumbers()
        row = np.full(inventory.sites.n, -1, np.int64)
        row[self.rounds.site] = np.arange(self.rounds.n)
        self.circuit: dict[str, Rows] = {}
        self.terminal: dict[str, Rows] = {}
        self.rated: dict[str, Floats] = {}
        for name, kind in inventory.kinds.items():
            if name == "terminal" or not {"site", "circuit", "rated_kw"} <= kind.columns.keys():
                continue
            self.circuit[name] = kind.columns.i8("circuit")
            self.terminal[name] = row[kind.columns.i8("site")]
            self.rated[name] = kind.columns.f8("rated_kw")

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves but `numbers`."""
        return {"rounds": self.rounds.memory}

    @property
    def busy(self) -> bool:
        """Whether an order is known, held or restored from."""
        return self.numbers.stage != "idle"

    @property
    def acting(self) -> bool:
        """Whether circuits may be open."""
        return self.numbers.stage in ("hold", "restore")

    def run(
        self, now_ms: int, order: Order | None, fleet: Supervision, load_mw: float | None,
        with_flexible: bool,
    ) -> list[SetPoint]:  # fmt: skip
        """Return this minute's set-points under `order` (the one to serve now, if any)."""
        numbers = self.numbers
        if load_mw is not None:
            numbers.highest_mw = max(numbers.highest_mw, load_mw)
        if order is not None and order.id != numbers.order_id and numbers.stage == "idle":
            highest = numbers.highest_mw
            self.numbers = numbers = CutNumbers(order.id, "known", highest_mw=highest)
            self.rounds.memory["warned"] = 0.0
        mine = order is not None and order.id == numbers.order_id
        if numbers.stage in ("known", "hold") and (
            not mine or (order is not None and now_ms >= order.end_ms)
        ):
            self._release(now_ms)
        out: list[SetPoint] = []
        served = order if mine and numbers.stage in ("known", "hold") else None
        if with_flexible and (served is not None or self.flexible.busy):
            part = None if served is None else self._flexible_part(served)
            out += self.flexible.run(now_ms, served, fleet, load_mw, part)
        if served is not None and served.mw is not None:
            numbers.order_kw = served.mw * KW_PER_MW
            if now_ms >= served.start_ms - served.warning_min * MINUTE_MS:
                out += self._warn(now_ms, fleet)
            if now_ms >= served.start_ms:
                out += self._hold(now_ms, served, fleet, load_mw)
        if numbers.stage == "restore":
            out += self._restore(now_ms, fleet, load_mw)
        return out

    def _flexible_part(self, order: Order) -> float:
        """Return the reduction that flexible means are asked for [kW]; fixed at the start."""
        numbers = self.numbers
        if numbers.stage == "known":
            share = FLEXIBLE_PART * self.flexible.numbers.capability_kw
            most = numbers.order_kw if order.form is OrderForm.REDUCTION else np.inf
            numbers.flexible_kw = min(share, most)
        return numbers.flexible_kw

    # -- stages ----------------------------------------------------------------------------

    def _warn(self, now_ms: int, fleet: Supervision) -> list[SetPoint]:
        """Show the warning at the sites that may be tripped, once."""
        warned = self.rounds.memory["warned"]
        if warned.any():
            return []
        _, row, kw = self.rounds.queue(fleet, now_ms)
        before = np.cumsum(kw) - kw
        rows = np.unique(row[before <= WARNED * self.numbers.order_kw])
        warned[rows] = 1.0
        return _write("warning", rows, 1.0)

    def _hold(
        self, now_ms: int, order: Order, fleet: Supervision, load_mw: float | None
    ) -> list[SetPoint]:
        numbers, rounds = self.numbers, self.rounds
        if numbers.stage == "known":
            numbers.stage = "hold"
            rounds.refer(fleet)
        rounds.note_failures(fleet, now_ms)
        trend = rounds.trend(fleet, now_ms)
        self._measure(fleet, trend)
        asked = AIM * numbers.order_kw
        if order.form is OrderForm.CAP:
            if load_mw is None:
                return []
            over = (load_mw - CAP_AIM * numbers.order_kw / KW_PER_MW) * KW_PER_MW
            asked = max(numbers.total_kw + over, 0.0)
        whole = max(order.full_by_ms - LEAD_MS - order.start_ms, MINUTE_MS)
        ramp = min((now_ms + MINUTE_MS - order.start_ms) / whole, 1.0)
        numbers.target_kw = asked * ramp
        need = numbers.target_kw - numbers.total_kw
        # The flexible part ramps by itself; do not trip for what it will bring this minute.
        coming = max(numbers.flexible_kw * ramp - self.flexible.numbers.delivered_kw, 0.0)
        need -= coming if now_ms < order.full_by_ms - LEAD_MS else 0.0
        scale = max(numbers.order_kw, 1e-6) if order.form is OrderForm.REDUCTION else asked
        if need > DEAD_BAND * scale:
            return self._open(now_ms, need, fleet) + self._insist(fleet)
        if need < -TOO_MUCH * scale:
            return self._close(now_ms, -need, trend) + self._insist(fleet)
        return self._insist(fleet)

    def _open(self, now_ms: int, need_kw: float, fleet: Supervision) -> list[SetPoint]:
        circuit, row, kw = self.rounds.queue(fleet, now_ms)
        warned = self.rounds.memory["warned"][row] > 0.0
        circuit, row, kw = circuit[warned], row[warned], kw[warned]
        chosen = np.cumsum(kw) - 0.5 * kw <= need_kw
        return self._switch(now_ms, circuit[chosen], row[chosen], is_open=True)

    def _close(self, now_ms: int, kw: float, trend: Floats) -> list[SetPoint]:
        """Give back the circuits that are open longest, up to `kw`."""
        circuit, row = self.rounds.opened()
        demand = self.rounds.memory["ref_kw"][circuit, row] * trend[row]
        chosen = np.cumsum(demand) <= kw
        return self._switch(now_ms, circuit[chosen], row[chosen], is_open=False)

    def _switch(self, now_ms: int, circuit: Rows, row: Rows, *, is_open: bool) -> list[SetPoint]:
        self.rounds.mark(circuit, row, now_ms, is_open)
        self._follow_devices()
        out: list[SetPoint] = []
        for c in range(CIRCUITS):
            out += _write(f"circuit_{c + 1}", np.sort(row[circuit == c]), 0.0 if is_open else 1.0)
        return out

    def _insist(self, fleet: Supervision) -> list[SetPoint]:
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

    def _release(self, now_ms: int) -> None:
        numbers = self.numbers
        if numbers.stage == "known":
            numbers.stage = "restore"
            numbers.restore_kw = 0.0
        else:
            numbers.stage = "restore"
            is_open = self.rounds.memory["open"] > 0.0
            numbers.restore_kw = float(self.rounds.memory["ref_kw"][is_open].sum())
        numbers.ended_ms = now_ms

    def _restore(self, now_ms: int, fleet: Supervision, load_mw: float | None) -> list[SetPoint]:
        """Close in even steps, longest open first; wait while the load is near the day's top."""
        numbers, rounds = self.numbers, self.rounds
        trend = rounds.trend(fleet, now_ms)
        self._measure(fleet, trend)
        minutes = (now_ms - numbers.ended_ms) / MINUTE_MS
        out: list[SetPoint] = []
        top = PEAK_GUARD * max(numbers.highest_mw, self.typical_max_mw)
        waits = load_mw is not None and load_mw > top and minutes < RESTORE_ANYWAY_MIN
        is_open = rounds.memory["open"] > 0.0
        if is_open.any() and not waits:
            left = float(rounds.memory["ref_kw"][is_open].sum())
            keep = numbers.restore_kw * max(1.0 - (minutes + 1.0) / RESTORE_MIN, 0.0)
            if keep <= 0.0:
                circuit, row = rounds.opened()
                out += self._switch(now_ms, circuit, row, is_open=False)
            else:
                # At least the step that leaves an even pace, measured at the reference.
                out += self._close(now_ms, left - keep, np.ones(rounds.n))
        elif not is_open.any():
            # What still reads open is told again; then the warnings go.
            still = (rounds.memory["used"] > 0.0) & ~rounds.closed(fleet)
            heard = fleet.watch["terminal"].fresh(now_ms)
            if not (still & heard).any() and minutes >= 2.0:
                rows = np.flatnonzero(rounds.memory["warned"] > 0.0)
                rounds.memory["warned"] = 0.0
                rounds.memory["used"] = 0.0
                numbers.stage = "idle"
                numbers.rigid_kw = numbers.total_kw = numbers.target_kw = 0.0
                return _write("warning", rows, 0.0)
        return out + self._insist(fleet)

    # -- bookkeeping -----------------------------------------------------------------------

    def behind_open(self, kind: str) -> NDArray[np.bool_]:
        """Return which devices of `kind` stand behind a circuit that was told to open."""
        circuit, row = self.circuit[kind], self.terminal[kind]
        behind = (circuit >= 0) & (row >= 0)
        out = np.zeros(len(circuit), np.bool_)
        out[behind] = self.rounds.memory["open"][circuit[behind], row[behind]] > 0.0
        return out

    def _follow_devices(self) -> None:
        """Take devices behind open circuits out of the dispatch and into the count."""
        for kind in self.flexible.levers.kinds:
            dark = self.behind_open(kind)
            self.flexible.levers.out[kind] = dark
            if kind != "storage" and self.flexible.busy:
                self.flexible.without.touch(kind, np.flatnonzero(dark))

    def restore_marks(self) -> None:
        """Bring the dispatch's view of open circuits in line after a load."""
        for kind in self.flexible.levers.kinds:
            self.flexible.levers.out[kind] = self.behind_open(kind)

    def _measure(self, fleet: Supervision, trend: Floats) -> None:
        """Work out the cut: rigid, generation lost with it, and flexible means."""
        numbers = self.numbers
        rigid = float(self.rounds.cut_kw(fleet, trend).sum())
        for kind in ("solar", "storage"):
            if kind not in self.circuit:
                continue
            # What the dark ones would feed, by what the others feed per kW.
            dark = self.behind_open(kind)
            lit = ~dark & np.isfinite(fleet.watch[kind].get("power_kw"))
            feed = float(fleet.watch[kind].or_zero("power_kw")[lit].sum())
            per_kw = feed / max(float(self.rated[kind][lit].sum()), 1e-6)
            rigid -= per_kw * float(self.rated[kind][dark].sum())
        numbers.rigid_kw = rigid
        numbers.total_kw = rigid + (
            self.flexible.numbers.delivered_kw if self.flexible.busy else 0.0
        )


def _write(point: str, rows: Rows, value: float) -> list[SetPoint]:
    if len(rows) == 0:
        return []
    return [SetPoint("terminal", point, rows, np.full(len(rows), value))]
