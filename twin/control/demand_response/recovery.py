"""After an order: everything goes back, nothing at once.

Limits just above the baseline hold the rebound of buildings and chargers down while they
catch up; they are lifted device by device, as are pauses. Batteries follow their owners'
schedule less what is missing in them, which is laid into the hours that have room for it
(`twin.control.demand_response.payback`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.baselines.habits import keyed_fraction
from twin.control.capability import flexibility as flex
from twin.control.demand_response.levers import LIMITED, Levers
from twin.control.demand_response.payback import DayLoad, fading_kw, lay_into, quarter_hours
from twin.control.pacing import Desk
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Inventory, SetPoint
from twin.record.table import Table

Floats = NDArray[np.float64]

# Above the baseline while catching up, and when the limit is lifted: first and last device.
# Assumed: rebounds of 10 to 40 % last half an hour to two hours where nobody staggers them.
CATCH_UP = {"aircon": 1.06, "charging": 1.15}
CATCH_UP_ELSE = 1.10
# Set-points of buildings come back as slowly as they rose, so that the heat which the masses
# took in leaves them at the rate at which it came; limits stay on until then.
LIFT_MIN = {
    "aircon": (120.0, 210.0),
    "charging": (60.0, 150.0),
    "industry": (0.0, 120.0),  # lines with stock left wait, so that not all refill at once
    "shorepower": (0.0, 60.0),
}
LIFT_MIN_ELSE = (30.0, 90.0)
WAITS = ("aircon", "industry")  # wait with what they have left while too much comes back
MOST_WAIT_MIN = 120.0  # but no longer than this (assumed)
BATTERY_MS = 4 * HOUR_MS


class Recovery:
    """Releases what one order holds.

    `clock` holds when it began, whether the sluggish kinds were ceded to another order, and for
    how many minutes those of `WAITS` have waited.
    """

    def __init__(self, inventory: Inventory, levers: Levers, desk: Desk) -> None:
        self.levers, self.desk = levers, desk
        began = {"began_ms": np.full(1, -1, np.int64)}
        self.clock = Table((), 0, {**began, "ceded": np.zeros(1), "waited": np.zeros(1)})

    def begin(self, now_ms: int) -> None:
        """Start the recovery."""
        self.clock["began_ms"] = now_ms
        self.clock["ceded"] = self.clock["waited"] = 0.0

    def cede(self) -> None:
        """Leave all kinds but batteries to whoever commands them now."""
        self.clock["ceded"] = 1.0

    def run(
        self, now_ms: int, fleet: Supervision, with_batteries: bool, cut_kw: Mapping[str, float],
        day: DayLoad, asked_kw: float,
    ) -> tuple[list[SetPoint], bool]:  # fmt: skip
        """Return this minute's writes, and whether everything is back.

        Parameters
        ----------
        cut_kw : what each kind still takes off the grid (negative: its rebound)
        day : the load that is to be expected
        asked_kw : size of the order that is over
        """
        began = int(self.clock.extra["began_ms"][0])
        minutes = (now_ms - began) / MINUTE_MS
        others_kw = sum(kw for kind, kw in cut_kw.items() if kind != "storage")
        crowded = -others_kw >= float(day.allowed_kw(now_ms, 1, asked_kw)[0])
        out: list[SetPoint] = []
        over = True
        if with_batteries and "storage" in self.levers.kinds:
            out, level, over = self._batteries(now_ms, began, fleet, cut_kw, day, asked_kw)
            crowded |= level > 0.0
        if float(self.clock["ceded"][0]) > 0.0:
            return out, over
        if crowded and float(self.clock["waited"][0]) < MOST_WAIT_MIN:
            self.clock["waited"] += 1.0
        else:
            crowded = False
        for kind in self.levers.kinds:
            if kind == "storage":
                continue
            touched = self.levers.without.touched(kind)
            first, last = LIFT_MIN.get(kind, LIFT_MIN_ELSE)
            lift = first + (last - first) * keyed_fraction(np.arange(len(touched)), 5)
            since = minutes - float(self.clock["waited"][0]) if kind in WAITS else minutes
            out += self._kind(now_ms, kind, touched, lift, since, crowded, fleet)
            over &= since > last
        return out, over

    def _ends_min(self, kind: str, minutes: float) -> tuple[float, float]:
        """Return between which minutes from now `kind` gives up what it still gives.

        Buildings as fast as their set-points come back, the others as they are released.
        """
        if kind == "aircon":
            offset = self.levers.memory[kind]["offset_c"]
            held = offset[self.levers.without.touched(kind) & (offset > 0.0)]
            return 0.0, max(60.0 * float(held.mean()) / flex.DRIFT_C_H if len(held) else 0.0, 1.0)
        first, last = LIFT_MIN.get(kind, LIFT_MIN_ELSE)
        since = minutes - float(self.clock["waited"][0]) if kind in WAITS else minutes
        return max(first - since, 0.0), max(last - since, 1.0)

    def _kind(
        self, now_ms: int, kind: str, touched: NDArray[np.bool_], lift: Floats,
        minutes: float, crowded: bool, fleet: Supervision,
    ) -> list[SetPoint]:  # fmt: skip
        """Limit what still catches up, release what may go."""
        go = np.flatnonzero(touched & (lift <= minutes))
        stay = np.flatnonzero(touched & (lift > minutes))
        out = self.desk.release(kind, go)
        if kind == "industry":
            held = self.levers.memory[kind]["paused"]
            empty = stay[fleet.watch[kind].or_zero("stock_h")[stay] < flex.STOCK_RESERVE_H]
            held[empty] = 0.0
            out += self.desk.release(kind, empty)
            paused = stay[held[stay] > 0.0]
            return out + self.desk.put(now_ms, kind, "pause", paused, np.ones(len(paused)))
        limit = CATCH_UP.get(kind, CATCH_UP_ELSE) * self.levers.without.demand_kw(kind)
        if kind == "aircon":
            offset = self.levers.memory[kind]["offset_c"]
            step = flex.DRIFT_C_H / 60.0
            # Back towards the owner's set-point, from either side of it.
            back = np.sign(offset) * np.maximum(np.abs(offset) - step, 0.0)
            most = np.maximum(self.levers.most_offset_c(), offset)
            offset[:] = np.minimum(offset + step, most) if crowded else back
            out += self.desk.put(now_ms, kind, "setpoint_offset_c", stay, offset[stay])
        out += self.levers.limit(now_ms, kind, stay, limit[stay], fleet)
        if kind in LIMITED:
            for point in ("v2g_kw", "fuelcell_kw"):
                out += self.desk.put(now_ms, kind, point, stay, np.zeros(len(stay)))
        return out

    def _batteries(
        self, now_ms: int, began: int, fleet: Supervision, cut_kw: Mapping[str, float],
        day: DayLoad, asked_kw: float,
    ) -> tuple[list[SetPoint], float, bool]:  # fmt: skip
        """Follow the owners' schedule less what is missing; release when nothing is owed.

        While others still give, batteries may hold more back; when others take, less: the sum
        of all is what has to find room. The second result is by how much it does not.
        """
        levers, owners = self.levers, self.levers.habits.owners
        touched = levers.without.touched("storage")
        until = began + BATTERY_MS
        if owners is None or not touched.any():
            return [], 0.0, True
        if now_ms >= until:
            return self.desk.release("storage", np.flatnonzero(touched)), 0.0, True
        watch, schedule = fleet.watch["storage"], owners.coming_kw(now_ms)
        due = np.maximum(levers.quarters(now_ms, until), 0.0)
        hours = quarter_hours(now_ms, len(due))
        owed_kwh = (due * hours[:, None]).sum(axis=0)
        stock = owners.stock_kwh(watch.or_zero("soc"))
        done = touched & (owed_kwh <= 1e-3) & (schedule <= 0.0)
        out = self.desk.release("storage", np.flatnonzero(done))
        use = touched & ~done & watch.fresh(now_ms)
        if not use.any():
            return out, 0.0, False
        most = due[:, use].sum(axis=1)
        room = day.allowed_kw(now_ms, len(due), asked_kw)
        for kind, kw in cut_kw.items():
            if kind != "storage":
                room += fading_kw(kw, self._ends_min(kind, (now_ms - began) / MINUTE_MS), hours)
        missing = float((owed_kwh - stock)[use].sum())
        held, level = lay_into(missing, most, room, hours)
        fed = float(np.maximum(schedule, 0.0)[use].sum())
        # What is held back now, as a share of what the owners would feed in this quarter.
        total = fed * (1.0 - held[0] / max(float(most[0]), 1e-6))
        able = np.where(use & (schedule >= 0.0), watch.or_zero("discharge_limit_kw"), 0.0)
        power = flex.share_out(total, able, stock)
        charging = np.maximum(schedule, -watch.or_zero("charge_limit_kw"))
        power = np.where(schedule < 0.0, charging, power)
        return out + levers.command_batteries(now_ms, power, use), level, False
