"""A plain way through an order: split what is wanted, write it, correct by what is metered.

Baseline, levers and recovery are the reference's. There is no preparation, no pre-charging, no
network, and no care for who bears the cut beyond the split's own rule.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS
from twin.control.baselines.habits import Habits
from twin.control.capability import flexibility as flex
from twin.control.demand_response.levers import LIMITED
from twin.control.demand_response.response import Response
from twin.control.pacing import Desk
from twin.control.rivals.splits import ByKind, Split
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Calendar, Inventory, SetPoint
from twin.record.orders import Order

Floats = NDArray[np.float64]

INTEGRAL = 0.2  # of the error each minute goes into the correction
MOST_CORRECTION = 1.0  # of the target: as much again as is missing, if need be


class PlainResponse(Response):
    """A response that splits what is wanted by `split` each minute."""

    def __init__(
        self, name: str, inventory: Inventory, calendar: Calendar, habits: Habits, desk: Desk,
        split: Split,
    ) -> None:  # fmt: skip
        super().__init__(name, inventory, calendar, habits, desk)
        self.split = split

    def _prepare(
        self, now_ms: int, order: Order, fleet: Supervision, part_kw: float | None
    ) -> list[SetPoint]:
        """Say what there is, and wait."""
        self.levers.look_ahead(now_ms)
        span = (order.start_ms, order.end_ms)
        self.up = self.levers.capability(now_ms, span, fleet, order.mw is None)
        self.numbers.capability_kw = sum(float(v.sum()) for v in self.up.values())
        return []

    def _hold(
        self, now_ms: int, order: Order, end_ms: int, fleet: Supervision,
        load_mw: float | None, part_kw: float | None,
    ) -> list[SetPoint]:  # fmt: skip
        """Ask for the order, and for what was missing in the minutes before."""
        numbers = self.numbers
        everyone = order.mw is None and part_kw is None
        # Who may not take part does not, whatever the logic.
        last_ms = self._open(now_ms, order, end_ms, fleet, everyone)[1]
        up = self.up
        numbers.capability_kw = sum(float(v.sum()) for v in up.values())
        if everyone:
            numbers.target_kw = want = numbers.capability_kw
        else:
            error = numbers.target_kw - numbers.delivered_kw
            asked = self._asked_kw(order, load_mw) if part_kw is None else part_kw
            numbers.target_kw = asked * self._ramp(now_ms, order)
            most = MOST_CORRECTION * numbers.target_kw
            correction = numbers.correction_kw + INTEGRAL * error
            numbers.correction_kw = float(np.clip(correction, -most, most))
            want = numbers.target_kw + numbers.correction_kw
        given = self.split(want, up)
        hours = max((last_ms - now_ms) / HOUR_MS, 0.25)
        return self._write(now_ms, order.start_ms, hours, given, fleet)

    # -- set-points ------------------------------------------------------------------------

    def _write(
        self, now_ms: int, start_ms: int, hours: float, given: ByKind, fleet: Supervision
    ) -> list[SetPoint]:
        """Turn what each device is asked for into its set-points."""
        out: list[SetPoint] = []
        for kind, cut in given.items():
            if kind in LIMITED:
                out += self._limit(now_ms, kind, hours, cut, fleet)
        if "aircon" in given:
            out += self._warm(now_ms, given["aircon"])
        if "industry" in given:
            want = float(given["industry"].sum())
            out += self.levers.lines(now_ms, start_ms, want, given, fleet)
        owners = self.habits.owners
        if "storage" in given and owners is not None:
            self.levers.learn_ceilings(fleet)
            cut = given["storage"]
            use = (cut > 0.0) | self.without.touched("storage")
            use &= self.up["storage"] > 0.0
            out += self.levers.command_batteries(now_ms, owners.coming_kw(now_ms) + cut, use)
        return out

    def _limit(
        self, now_ms: int, kind: str, hours: float, cut: Floats, fleet: Supervision
    ) -> list[SetPoint]:
        """Feed first where a device can, then limit; who is no longer asked may draw again."""
        columns, watch = self.levers.columns[kind], fleet.watch[kind]
        point, feed = "", np.zeros(len(cut))
        if kind in ("charging", "swap"):
            point, feed = "v2g_kw", watch.or_zero("v2g_available_kw")
        elif kind == "hydrogen":
            tank, cell = columns.f8("tank_kg"), columns.f8("fuelcell_kw")
            point, feed = "fuelcell_kw", flex.fuelcell_kw(watch, tank, cell, hours)
        fed = np.minimum(cut, feed)
        limit = np.maximum(self.without.demand_kw(kind) - (cut - fed), 0.0)
        rows = np.flatnonzero((cut > 0.0) | self.without.touched(kind))
        out = self.levers.limit(now_ms, kind, rows, limit[rows], fleet)
        able = rows[feed[rows] > 0.0]
        self.without.touch(kind, rows)
        return out + self.desk.put(now_ms, kind, point, able, fed[able])

    def _warm(self, now_ms: int, cut: Floats) -> list[SetPoint]:
        """Raise the set-points of the buildings asked, by the share that is asked of each."""
        up = self.up["aircon"]
        share = np.divide(cut, up, out=np.zeros_like(cut), where=up > 0.0)
        offset = self.levers.memory["aircon"]["offset_c"]
        raised = np.minimum(offset + flex.DRIFT_C_H * share / 60.0, self.levers.most_offset_c())
        touched = self.without.touched("aircon")
        offset[:] = np.where(share > 0.0, raised, offset)
        rows = np.flatnonzero((share > 0.0) | touched)
        self.without.touch("aircon", rows)
        return self.desk.put(now_ms, "aircon", "setpoint_offset_c", rows, offset[rows])
