"""Demand response (the 5 %): prepare, ramp, hold with feedback each minute, release slowly.

Sluggish kinds carry a share of the order in proportion to what they can sustain until its
end, so that comfort, stocks and batteries are all used alike; batteries give what is then
missing, minute by minute, by the reduction that is metered against the logic's own baseline.
Energy that is taken from a battery is missing in the owner's dearest hours, which come next:
it is paid back evenly over them, and what cannot be paid back inside the rebound limit is
left to the other kinds as far as they can carry it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.baselines.habits import Counterfactual, Habits
from twin.control.capability import flexibility as flex
from twin.control.demand_response.levers import Levers
from twin.control.demand_response.payback import DayLoad
from twin.control.demand_response.precooling import Precooling
from twin.control.demand_response.recovery import Recovery
from twin.control.demand_response.stocking import PAYBACK_HOURS, Stocking
from twin.control.market.auction import Market
from twin.control.pacing import Desk
from twin.control.supervision.fleet import Supervision
from twin.control.supervision.network import NetworkWatch
from twin.record.exchange import Calendar, Inventory, SetPoint
from twin.record.orders import Order, OrderForm, OrderKind
from twin.record.table import Table
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]

AIM = 1.0  # of the order
CAP_AIM = 0.985  # of a cap
LEAD_MS = 4 * MINUTE_MS  # whole this long before it must be
INTEGRAL = 0.2  # of the error each minute goes into the correction
MOST_CORRECTION = 0.15  # of the target
HOLD_ON_MS = 2 * HOUR_MS  # a capability call is held on for two hours from its deadline


@dataclass(slots=True)
class Numbers:
    """What a response remembers beside its tables."""

    order_id: str = ""
    stage: str = "idle"  # idle, prepare, hold, recover
    asked_kw: float = 0.0
    correction_kw: float = 0.0
    boost: float = 0.0
    safe_kwh: float = 0.0
    target_kw: float = 0.0
    size_kw: float = 0.0
    delivered_kw: float = 0.0
    capability_kw: float = 0.0
    short_kw: float = 0.0
    missing_kw: float = 0.0
    building_kw: float = 0.0


class Response:
    """One order of flexible means from notice to the end of its recovery.

    Parameters
    ----------
    name : prefix of its tables
    without : counterfactual of the order
    """

    def __init__(
        self,
        name: str,
        inventory: Inventory,
        calendar: Calendar,
        habits: Habits,
        desk: Desk,
    ) -> None:
        self.name, self.calendar, self.habits, self.desk = name, calendar, habits, desk
        self.without = Counterfactual(name, inventory, habits)
        self.levers = Levers(name, inventory, habits, self.without, desk)
        self.recovery = Recovery(inventory, self.levers, desk)
        self.stocking: Stocking | None = None
        if habits.owners is not None:
            self.stocking = Stocking(calendar, habits.owners, self.levers, self.without)
        self.precooling = Precooling(self.levers, self.without, desk)
        self.day = DayLoad(name, calendar)
        self.numbers = Numbers()
        # Worked out anew at every run.
        self.up: dict[str, Floats] = {}
        self.cut_kw: dict[str, float] = {}
        self.other: Counterfactual | None = None  # of an order that may still hold devices
        self.with_batteries = True
        self.market: Market | None = None  # whose awards the dispatch keeps to
        self.network: NetworkWatch | None = None

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves but `numbers`."""
        clock = {f"{self.name}.recovery": self.recovery.clock}
        return self.without.tables() | self.levers.tables() | clock | self.day.tables()

    @property
    def busy(self) -> bool:
        """Whether an order is prepared, held or recovered from."""
        return self.numbers.stage != "idle"

    @property
    def acting(self) -> bool:
        """Whether an order is held or recovered from."""
        return self.numbers.stage in ("hold", "recover")

    def run(
        self, now_ms: int, order: Order | None, fleet: Supervision, load_mw: float | None,
        part_kw: float | None = None,
    ) -> list[SetPoint]:  # fmt: skip
        """Return this minute's set-points under `order` (the one to serve now, if any).

        Parameters
        ----------
        load_mw : city load as metered, for orders that cap it
        part_kw : reduction to aim at in place of the order's own (a rigid order's flexible part)
        """
        numbers = self.numbers
        out: list[SetPoint] = []
        if order is not None and order.id != numbers.order_id:
            # A recovery goes on until an hour before the next order.
            near = order.start_ms - now_ms <= HOUR_MS
            if numbers.stage == "idle" or (numbers.stage == "recover" and near):
                out = self._begin(order, fleet)
            elif numbers.stage in ("prepare", "hold"):
                self._end(now_ms)
        elif order is None and numbers.stage in ("prepare", "hold"):
            self._end(now_ms)  # cancelled, or over
        if self.numbers.stage == "idle":
            return out
        return out + self._serve(now_ms, order, fleet, load_mw, part_kw)

    def _serve(
        self, now_ms: int, order: Order | None, fleet: Supervision, load_mw: float | None,
        part_kw: float | None,
    ) -> list[SetPoint]:  # fmt: skip
        numbers = self.numbers
        self.without.update(now_ms, fleet)
        self.levers.look(now_ms, fleet)
        self._believe(fleet)
        self.day.see(now_ms, load_mw, self.numbers.delivered_kw)
        if order is not None and order.id == numbers.order_id and numbers.stage != "recover":
            if numbers.stage == "prepare" or order.mw is not None:
                numbers.asked_kw = float("inf") if order.mw is None else order.mw * KW_PER_MW
            end_ms = self.end_of(order)
            if now_ms >= end_ms:
                self._end(now_ms)
            elif now_ms >= order.start_ms:
                return self._hold(now_ms, order, end_ms, fleet, load_mw, part_kw)
            else:
                return self._prepare(now_ms, order, fleet, part_kw)
        return self._recover(now_ms, fleet)

    @staticmethod
    def end_of(order: Order) -> int:
        """Return when `order` is let go: a capability call is held on beyond its window."""
        if order.kind is OrderKind.CAPABILITY:
            return max(order.end_ms, order.full_by_ms + HOLD_ON_MS)
        return order.end_ms

    # -- stages ----------------------------------------------------------------------------

    def _begin(self, order: Order, fleet: Supervision) -> list[SetPoint]:
        """Turn to `order`; what an earlier one still holds goes back first."""
        out: list[SetPoint] = []
        for kind in self.levers.kinds:
            out += self.desk.release(kind, np.flatnonzero(self.without.touched(kind)))
        self.numbers = Numbers(order_id=order.id, stage="prepare")
        self.without.thaw()
        self.levers.begin(fleet)
        return out

    def _end(self, now_ms: int) -> None:
        self.numbers.stage = "recover"
        self.recovery.begin(now_ms)

    def _believe(self, fleet: Supervision) -> None:
        cut = {k: float(self.levers.reduction_kw(k, fleet).sum()) for k in self.levers.kinds}
        self.cut_kw = cut
        self.numbers.delivered_kw = sum(cut.values())

    def _prepare(
        self, now_ms: int, order: Order, fleet: Supervision, part_kw: float | None
    ) -> list[SetPoint]:
        """Hold batteries' charge back where the load leaves room; tell lines in mid-step."""
        numbers, everyone = self.numbers, order.mw is None
        self.levers.look_ahead(now_ms)
        self.up = self.levers.capability(now_ms, (order.start_ms, order.end_ms), fleet, everyone)
        if not self.with_batteries:
            self.up.pop("storage", None)
        total = sum(float(v.sum()) for v in self.up.values())
        numbers.capability_kw = total
        asked = min(numbers.asked_kw if part_kw is None else part_kw, total)
        part = asked / max(total, 1e-6)
        lines = part * float(self.up.get("industry", np.zeros(1)).sum())
        out: list[SetPoint] = []
        if order.start_ms - now_ms <= HOUR_MS:
            out += self.levers.lines(now_ms, order.start_ms, lines, self.up, fleet)
        out += self.precooling.run(
            now_ms, order, part, fleet, self.day, -self.cut_kw.get("aircon", 0.0), self.other
        )
        if self.stocking is None or not self.with_batteries:
            return out
        use = self.levers.usable("storage", now_ms, fleet, everyone)
        slow = sum(float(v.sum()) for k, v in self.up.items() if k != "storage")
        event_h = (order.end_ms - order.start_ms) / HOUR_MS
        wanted_kwh = np.inf if everyone else max(asked - slow, 0.0) * event_h
        # Owners of whom nobody has seen yet how they charge are watched first.
        use &= self.stocking.owners.followed(now_ms) | self.without.touched("storage")
        total_kw = self.stocking.power_kw(now_ms, order.start_ms, wanted_kwh, use, fleet)
        if total_kw is None:
            out += self.desk.release("storage", np.flatnonzero(self.without.touched("storage")))
            return out
        self.levers.learn_ceilings(fleet)
        return out + self.levers.batteries(now_ms, total_kw, use, fleet)[0]

    def _open(
        self, now_ms: int, order: Order, end_ms: int, fleet: Supervision, everyone: bool
    ) -> tuple[bool, int]:
        """Work out what can be held on; return whether the order begins now, and until when.

        At its first minute the reference is taken and those who may not take part are left out.
        """
        begins = self.numbers.stage == "prepare"
        if begins:
            self.without.freeze(now_ms, fleet, self.other)
            self.without.update(now_ms, fleet)
            self.numbers.stage = "hold"
        self.levers.look_ahead(now_ms)
        # "All you have" is what lasts to the window's end; after it, what is left goes on.
        last_ms = order.end_ms if now_ms < order.end_ms else end_ms
        self.up = self.levers.capability(now_ms, (now_ms, last_ms), fleet, everyone)
        if not self.with_batteries:
            self.up.pop("storage", None)
        if begins:
            self._bar(order)
        return begins, last_ms

    def _hold(
        self, now_ms: int, order: Order, end_ms: int, fleet: Supervision,
        load_mw: float | None, part_kw: float | None,
    ) -> list[SetPoint]:  # fmt: skip
        """Aim at the order for the coming minute."""
        numbers, levers = self.numbers, self.levers
        everyone = order.mw is None and part_kw is None
        begins, last_ms = self._open(now_ms, order, end_ms, fleet, everyone)
        up = self.up
        if begins and self.stocking is not None:
            room = self.day.allowed_kw(end_ms, 4 * PAYBACK_HOURS, numbers.asked_kw)
            numbers.safe_kwh = self.stocking.payback_kwh(end_ms, fleet, room)
        hours = max((last_ms - now_ms) / HOUR_MS, 0.25)
        slow = sum(float(v.sum()) for k, v in up.items() if k != "storage")
        fast = float(up["storage"].sum()) if "storage" in up else 0.0
        slow_cut = sum(v for k, v in self.cut_kw.items() if k != "storage")
        numbers.capability_kw = slow + fast
        if everyone:
            # Buildings give more as they warm: batteries fill the beginning, so that the sum
            # is level.
            since = max((now_ms - order.start_ms) / HOUR_MS, 0.0)
            rise = flex.aircon_rise(since, hours) * max(self.cut_kw.get("aircon", 0.0), 0.0)
            # What the slow ones will give on average: half by what is seen of them, half by
            # what they were thought to have (assumed).
            target = fast + 0.5 * (slow_cut + rise) + 0.5 * slow
            part: float | None = 1.0
        else:
            asked = self._asked_kw(order, load_mw) if part_kw is None else part_kw
            target = asked * self._ramp(now_ms, order)
            debt = max(numbers.safe_kwh, 0.0) / hours
            by_share = asked / max(slow + fast, 1e-6)
            by_debt = (asked - min(fast, debt)) / max(slow, 1e-6)
            part = max(by_share, by_debt)
            if self.market is not None and part_kw is None:
                part = None
                self._clear(now_ms, order, min(debt / max(fast, 1e-6), 1.0), fleet)
            if now_ms >= order.full_by_ms - LEAD_MS:
                # What batteries could not do is no error of the baseline: it is not summed up.
                error = numbers.target_kw - numbers.delivered_kw - numbers.missing_kw
                most = MOST_CORRECTION * asked
                numbers.correction_kw = float(
                    np.clip(numbers.correction_kw + INTEGRAL * error, -most, most)
                )
        parts = self._parts(part)
        numbers.target_kw = target
        numbers.size_kw = max(numbers.size_kw, target)
        out = levers.limits(now_ms, last_ms, up, parts, fleet)
        out += levers.buildings(now_ms, parts, up, fleet)
        lines_kw = float((parts["industry"] * up["industry"]).sum()) if "industry" in up else 0.0
        out += levers.lines(now_ms, order.start_ms, lines_kw, up, fleet)
        if "storage" in up and self.habits.owners is not None:
            levers.learn_ceilings(fleet)
            use = levers.usable("storage", now_ms, fleet, everyone)
            base = float(self.habits.owners.coming_kw(now_ms)[use].sum())
            need = target - slow_cut + numbers.correction_kw
            weight = self._relief("storage")
            writes, missing = levers.batteries(now_ms, base + need, use, fleet, weight)
            out += writes
            numbers.missing_kw, numbers.short_kw = missing, max(missing, 0.0)
            numbers.safe_kwh -= max(self.cut_kw.get("storage", 0.0), 0.0) / 60.0
            step = 0.2 * missing / max(slow, 1e-6)
            numbers.boost = float(np.clip(0.98 * numbers.boost + step, -1.0, 1.0))
        else:
            numbers.short_kw = max(target - numbers.delivered_kw, 0.0)
            step = 0.2 * (target - numbers.delivered_kw) / max(slow, 1e-6)
            numbers.boost = float(np.clip(numbers.boost + step, -1.0, 1.0))
        return out

    def _clear(self, now_ms: int, order: Order, storage_part: float, fleet: Supervision) -> None:
        """Have the market award the order where that is due; `storage_part` can be paid back."""
        numbers, market = self.numbers, self.market
        if market is None or not market.due(now_ms, order, numbers.short_kw):
            return
        given = {k: self.levers.reduction_kw(k, fleet) for k in self.levers.kinds}
        rows = None if self.network is None else self.network.rows()
        again = market.cleared.order_id == order.id and numbers.short_kw > 0.0
        asked = market.more_kw(numbers.short_kw) if again else None
        held_back = {"storage": 1.0 - storage_part}
        market.clear(
            now_ms, order, self.up, asked_kw=asked, network=rows, given_kw=given,
            held_back=held_back,
        )  # fmt: skip

    def _bar(self, order: Order) -> None:
        """Leave out the devices of VPPs that may not take part in `order`."""
        if self.market is None:
            return
        for kind, out in self.market.barred(order, self.up).items():
            self.levers.barred[kind]["barred"] = out
            if kind in self.up:
                self.up[kind] = np.where(out, 0.0, self.up[kind])

    def _parts(self, part: float | None) -> dict[str, Floats]:
        """Return what is asked of each device: the market's awards, or `part` of all alike.

        What the awards leave short, and what batteries cannot make up, is asked of everybody on
        top; where a branch is close to its rating, more of those whose reduction relieves it.
        """
        found: dict[str, Floats] = {}
        market = self.market if part is None else None
        alike = 0.0 if part is None else part
        called = 0.0
        if market is not None:
            rest = [(1.0 - market.award(k)) * up for k, up in self.up.items() if k != "storage"]
            short = market.cleared.asked_kw - market.cleared.awarded_kw
            called = float(np.clip(short / max(sum(float(r.sum()) for r in rest), 1e-6), 0.0, 1.0))
        for kind, up in self.up.items():
            asked = np.full(len(up), alike) if market is None else market.award(kind)
            asked = np.clip(asked + (1.0 - asked) * called + self.numbers.boost, 0.0, 1.0)
            found[kind] = np.clip(asked * self._relief(kind), 0.0, 1.0)
        return found

    def _relief(self, kind: str) -> Floats | float:
        """Return what a reduction of each device of `kind` counts for in the network."""
        if self.network is None:
            return 1.0
        return self.network.relief(self.network.busbar_of(kind))

    def _asked_kw(self, order: Order, load_mw: float | None) -> float:
        """Return the reduction to aim at [kW]."""
        if order.mw is None:
            return float("inf")
        if order.form is OrderForm.CAP:
            if load_mw is None:
                return self.numbers.target_kw
            over = load_mw - CAP_AIM * order.mw
            return max(over * KW_PER_MW + self.numbers.delivered_kw, 0.0)
        return AIM * order.mw * KW_PER_MW

    @staticmethod
    def _ramp(now_ms: int, order: Order) -> float:
        """Return the part of the order to be reached by the end of the coming minute."""
        whole = max(order.full_by_ms - LEAD_MS - order.start_ms, MINUTE_MS)
        return float(np.clip((now_ms + MINUTE_MS - order.start_ms) / whole, 0.0, 1.0))

    def _recover(self, now_ms: int, fleet: Supervision) -> list[SetPoint]:
        if self.with_batteries:
            self.levers.look_ahead(now_ms)
        writes, over = self.recovery.run(
            now_ms, fleet, self.with_batteries, self.cut_kw, self.day, self.numbers.size_kw
        )
        if over:
            self.without.thaw()
            # The identity stays: an order that is over is not begun again.
            self.numbers = Numbers(order_id=self.numbers.order_id)
        return writes

    def cede(self) -> None:
        """Leave the sluggish kinds to another order that takes over now."""
        self.recovery.cede()
