"""After an order: everything goes back, nothing at once.

Limits just above the baseline hold the rebound of buildings and chargers down while they
catch up; they are lifted device by device, as are pauses. Batteries follow their owners'
schedule scaled to what is left in them, so that what is missing is spread evenly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control import flexibility as flex
from twin.control.baseline import keyed_fraction
from twin.control.levers import LIMITED, QUARTER_MS, Levers
from twin.control.pacing import Desk
from twin.control.supervision import Supervision
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
BATTERY_MS = 4 * HOUR_MS
LEVEL = 0.6  # of what other kinds give or take back is levelled by batteries (assumed)


class Recovery:
    """Releases what one order holds.

    `clock` holds when it began and whether the sluggish kinds were ceded to another order.
    """

    def __init__(self, inventory: Inventory, levers: Levers, desk: Desk) -> None:
        self.levers, self.desk = levers, desk
        self.clock = Table((), 0, {"began_ms": np.full(1, -1, np.int64), "ceded": np.zeros(1)})

    def begin(self, now_ms: int) -> None:
        """Start the recovery."""
        self.clock["began_ms"] = now_ms
        self.clock["ceded"] = 0.0

    def cede(self) -> None:
        """Leave all kinds but batteries to whoever commands them now."""
        self.clock["ceded"] = 1.0

    def run(
        self, now_ms: int, fleet: Supervision, with_batteries: bool, others_kw: float
    ) -> tuple[list[SetPoint], bool]:  # fmt: skip
        """Return this minute's writes, and whether everything is back.

        `others_kw` is what all kinds but batteries still take off the grid (negative: their
        rebound).
        """
        began = int(self.clock.extra["began_ms"][0])
        minutes = (now_ms - began) / MINUTE_MS
        out: list[SetPoint] = []
        over = True
        if float(self.clock["ceded"][0]) == 0.0:
            for kind in self.levers.kinds:
                if kind == "storage":
                    continue
                touched = self.levers.without.touched(kind)
                first, last = LIFT_MIN.get(kind, LIFT_MIN_ELSE)
                lift = first + (last - first) * keyed_fraction(np.arange(len(touched)), 5)
                out += self._kind(now_ms, kind, touched, lift, minutes, fleet)
                over &= minutes > last
        if with_batteries and "storage" in self.levers.kinds:
            writes, done = self._batteries(now_ms, began, fleet, others_kw)
            out += writes
            over &= done
        return out, over

    def _kind(
        self, now_ms: int, kind: str, touched: NDArray[np.bool_], lift: Floats,
        minutes: float, fleet: Supervision,
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
            offset[:] = np.maximum(offset - flex.DRIFT_C_H / 60.0, 0.0)
            out += self.desk.put(now_ms, kind, "setpoint_offset_c", stay, offset[stay])
        out += self.levers.limit(now_ms, kind, stay, limit[stay], fleet)
        if kind in LIMITED:
            for point in ("v2g_kw", "fuelcell_kw"):
                out += self.desk.put(now_ms, kind, point, stay, np.zeros(len(stay)))
        return out

    def _batteries(
        self, now_ms: int, began: int, fleet: Supervision, others_kw: float
    ) -> tuple[list[SetPoint], bool]:
        """Follow the owners' schedule, scaled to the stock; release when nothing is owed.

        While others still give, batteries owe more; when others take back, less: the sum of
        all stays level.
        """
        levers, owners = self.levers, self.levers.habits.owners
        touched = levers.without.touched("storage")
        until = began + BATTERY_MS
        if owners is None or not touched.any():
            return [], True
        if now_ms >= until:
            return self.desk.release("storage", np.flatnonzero(touched)), True
        due = np.maximum(levers.quarters(now_ms, until), 0.0)
        # The quarter that runs counts with what is left of it.
        gone = (now_ms - int(levers.memory["storage"].extra["quarters_ms"][0])) % QUARTER_MS
        owed_kwh = due.sum(axis=0) / 4.0 - due[0] * gone / HOUR_MS
        stock = owners.stock_kwh(fleet.watch["storage"].or_zero("soc"))
        even = np.clip(stock / np.maximum(owed_kwh, 1e-6), 0.0, 1.0)
        even = np.where(owed_kwh > 1e-3, even, 0.0)
        schedule = owners.coming_kw(now_ms)
        watch = fleet.watch["storage"]
        evenly = float((even * np.maximum(schedule, 0.0))[touched].sum())
        lean = 1.0 - LEVEL * others_kw / max(evenly, 1e-6)
        even = np.clip(even * np.clip(lean, 0.0, 2.0), 0.0, 1.0)
        power = np.clip(
            np.where(schedule > 0.0, even * schedule, schedule),
            -watch.or_zero("charge_limit_kw"),
            watch.or_zero("discharge_limit_kw"),
        )
        # Nothing due any more: the owner may have it back.
        done = touched & (owed_kwh <= 1e-3) & (schedule <= 0.0)
        out = self.desk.release("storage", np.flatnonzero(done))
        use = touched & ~done & fleet.watch["storage"].fresh(now_ms)
        if use.any():
            out += levers.command_batteries(now_ms, power, use)
        return out, False
