"""Cooling buildings before an order, as deep as it needs and the load has room for.

An event in which zones may drift by less than it lasts runs into the comfort limit. Such
buildings are taken below their set-point beforehand, as slowly as they warm later, and held
there for a while so that their plants are back near their usual power when the order begins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.baselines.habits import Counterfactual
from twin.control.capability import flexibility as flex
from twin.control.demand_response.levers import Levers
from twin.control.demand_response.payback import DayLoad
from twin.control.pacing import Desk
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import SetPoint
from twin.record.orders import Order

Floats = NDArray[np.float64]

HOLD_MIN = 45.0  # before the start (assumed: the air and half of the mass have followed)
WORTH = 0.05  # of the floor area; for less no building is touched before its time (assumed)
ROOM_PART = 0.5  # of the room below the day's maximum, the rest is batteries' (assumed)


class Precooling:
    """Leads set-points down before one order."""

    def __init__(self, levers: Levers, without: Counterfactual, desk: Desk) -> None:
        self.levers, self.without, self.desk = levers, without, desk

    def run(
        self, now_ms: int, order: Order, part: float, fleet: Supervision, day: DayLoad,
        added_kw: float, other: Counterfactual | None,
    ) -> list[SetPoint]:  # fmt: skip
        """Return this minute's writes; none where no building needs it or nothing has room.

        Parameters
        ----------
        part : of what buildings can that the order will ask of them
        added_kw : what buildings already draw on top of their usual demand
        other : counterfactual of an order that may still hold devices
        """
        if "aircon" not in self.levers.kinds:
            return []
        minutes = (order.start_ms - now_ms) / MINUTE_MS
        offset = self.levers.memory["aircon"]["offset_c"]
        depth = self.depth_c(order, part, offset)
        full = depth - np.maximum(minutes - HOLD_MIN, 0.0) / 60.0 * flex.DRIFT_C_H
        crowded = added_kw > ROOM_PART * float(day.room_kw(now_ms, 1)[0])
        wanted = np.minimum(-np.clip(full, 0.0, depth), 0.0)
        wanted = np.maximum(wanted, offset) if crowded else wanted
        use = self.levers.usable("aircon", now_ms, fleet, order.mw is None)
        begun = offset < 0.0
        # A zone that is warmer than its set-point has no plant to spare.
        go = np.flatnonzero(use & (begun | ((offset <= 0.0) & (wanted < 0.0))))
        floor = self.levers.columns["aircon"].f8("floor_m2")
        if float(floor[go].sum()) < WORTH * float(floor.sum()):
            return []
        self.without.freeze(now_ms, fleet, other, ("aircon",))
        offset[go] = np.minimum(wanted[go], offset[go])
        self.without.touch("aircon", go)
        return self.desk.put(now_ms, "aircon", "setpoint_offset_c", go, offset[go])

    def depth_c(self, order: Order, part: float, offset_c: Floats) -> Floats:
        """Return by how much each building's drift in the event exceeds its comfort band [K]."""
        drift = flex.DRIFT_C_H * part * (order.end_ms - order.start_ms) / HOUR_MS
        room = self.levers.most_offset_c() - np.maximum(offset_c, 0.0)
        most = np.minimum(
            self.levers.columns["aircon"].f8("setpoint_c") - flex.COOLEST_C, flex.DEEPEST_C
        )
        return np.clip(drift - room, 0.0, np.maximum(most, 0.0))
