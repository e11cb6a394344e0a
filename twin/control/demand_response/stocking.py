"""Stocking up batteries before an order, and what they may owe after it.

Energy that a battery gives during an order is missing in the owner's dearest hours, which come
next. With some notice most of it can be had before: owners deliver less or charge more where
the forecast load leaves room for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, minute_of_day
from twin.control.baselines.habits import Counterfactual, Flags
from twin.control.baselines.owner import StorageOwners
from twin.control.demand_response.levers import Levers
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Calendar
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]

PEAK_ROOM = 0.8  # of the room below the forecast maximum that may be used (assumed)
PAYBACK_HOURS = 4
BATTERY_PART = 0.5  # of what may come back; the rest is buildings' and chargers' (assumed)
WORTH = 0.02  # of the rating of all; less is left to the owners (assumed)


class Stocking:
    """What batteries take before an order and may owe after it.

    Parameters
    ----------
    owners : shadows of the batteries
    levers, without : of the order
    """

    def __init__(
        self, calendar: Calendar, owners: StorageOwners, levers: Levers, without: Counterfactual
    ) -> None:
        self.calendar, self.owners = calendar, owners
        self.levers, self.without = levers, without

    def power_kw(
        self, now_ms: int, start_ms: int, wanted_kwh: float, use: Flags, fleet: Supervision
    ) -> float | None:
        """Return the power at which batteries in `use` stock up for the event, None for none.

        What is in them at the start need not be drawn while the order runs, nor is it missing
        in the owners' dear hours after it: they deliver less now or charge more, up to full,
        no more than the event will take, and where the forecast load leaves the most room.
        """
        owners = self.owners
        soc = fleet.watch["storage"].or_zero("soc")
        full = np.maximum(owners.memory["full"] - soc, 0.0) * owners.per_soc_kwh("in")
        base = self.levers.quarters(now_ms, start_ms)[:, use]
        hours = (start_ms - now_ms) / HOUR_MS
        taken_kwh = -float(base.mean(axis=0).sum()) * hours  # by the owners until the start
        gained = owners.stock_kwh(soc) - owners.stock_kwh(owners.memory["soc"])
        more_kwh = min(float(full[use].sum()) - taken_kwh, wanted_kwh - float(gained[use].sum()))
        # Where the load leaves room and the owners leave power.
        quarters = np.arange(len(base))
        room = [PEAK_ROOM * self.room_kw(now_ms + int(q) * HOUR_MS // 4) for q in quarters]
        spare = (self.owners.rated_kw[use] + base).sum(axis=1)
        able = np.maximum(np.minimum(room, spare), 0.0)
        share = more_kwh / max(float(able.mean()) * hours, 1e-6)
        more_kw = min(share, 1.0) * float(able[0])
        if more_kw < WORTH * float(self.owners.rated_kw[use].sum()):
            if not self.without.touched("storage").any():
                return None  # not worth taking batteries from their owners
            more_kw = max(more_kw, 0.0)  # owners would start a window anew, by what is in them
        return float(owners.coming_kw(now_ms)[use].sum()) - more_kw

    def room_kw(self, now_ms: int) -> float:
        """Return how far the forecast load is below the day's maximum."""
        typical = self.calendar.typical_load_mw
        return float(typical.max() - typical[minute_of_day(now_ms)]) * KW_PER_MW

    def payback_kwh(self, end_ms: int, fleet: Supervision, room_kw: Floats) -> float:
        """Return what batteries may owe at `end_ms`: the room of their delivering hours.

        Parameters
        ----------
        room_kw : float64[quarters], what may come back in each from `end_ms` on

        A part of the rebound belongs to buildings and chargers; batteries get the rest, and
        what was kept back before the order on top.
        """
        owners = self.owners
        soc = fleet.watch["storage"].or_zero("soc")
        kept = owners.stock_kwh(soc) - owners.stock_kwh(owners.memory["soc"])
        total = float(kept[self.without.touched("storage")].sum())
        for quarter, room in enumerate(room_kw[: 4 * PAYBACK_HOURS]):
            at = end_ms + quarter * HOUR_MS // 4
            base = float(np.maximum(self.levers.quarters(at, at + 1), 0.0).sum())
            total += min(base, BATTERY_PART * float(room)) / 4.0
        return total
