"""The reference platform: supervision, 5 % demand response, 20 % load management, settlement.

One digest a minute: believe, learn what owners do, serve the orders, report. It sees readings
and registrations only. Other logics are measured against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.baselines.desk import BaselineDesk
from twin.control.baselines.habits import FLEXIBLE, Habits
from twin.control.capability.adjustable import Adjustable
from twin.control.demand_response.response import Numbers, Response
from twin.control.load_management.curtailment import Curtailment, CutNumbers
from twin.control.logic import BaseLogic
from twin.control.market.auction import Market
from twin.control.pacing import Desk
from twin.control.settlement import Settlement
from twin.control.supervision.fleet import Supervision
from twin.control.supervision.network import NetworkWatch
from twin.control.supervision.onboarding import Gate
from twin.control.supervision.overview import Overview
from twin.record.alarms import poll_period_ms
from twin.record.exchange import Actions, Calendar, Inventory, Reading, Reports, SetPoint
from twin.record.orders import News, Notice, Order, OrderKind
from twin.record.table import Table
from twin.units import KW_PER_MW

CLOSE_MS = 15 * MINUTE_MS  # before an order from when everything it needs is read each minute
LOAD_MANAGEMENT = OrderKind.LOAD_MANAGEMENT


class Platform(BaseLogic):
    """The reference logic of the city's platform."""

    answers_sustained = True  # the judge's question by device, see `twin.control.capability.calls`

    def start(self, inventory: Inventory, calendar: Calendar) -> None:
        """Learn what is registered; forget everything else."""
        super().start(inventory, calendar)
        self.fleet = Supervision(inventory)
        self.habits = Habits(inventory, calendar)
        self.desk = Desk(inventory)
        self.network = NetworkWatch(inventory, calendar.network)
        self.memory |= self.network.tables()
        self.market = Market(inventory, calendar)
        self.response = self.new_response("response")
        self.flexible = self.new_response("flexible")
        self.response.other = self.flexible.without
        self.flexible.other = self.response.without
        self.settlement = Settlement(inventory, self.response, self.market)
        self.customers = BaselineDesk(inventory, calendar)
        self.settlement.meters = self.customers.meters
        self.memory |= self.customers.tables()
        self.curtailment: Curtailment | None = None
        terminal = inventory.kinds.get("terminal")
        if terminal is not None and terminal.n > 0:
            self.curtailment = self.new_curtailment()
        self.adjustable = Adjustable(
            inventory,
            calendar,
            self.habits,
            self.fleet,
            self.desk,
            self._without_order,
            self._behind_open,
        )
        self.memory |= self.adjustable.tables()
        self.gate = Gate(inventory)
        self.overview = Overview(inventory, self.fleet, self.gate)
        for response in (self.response, self.flexible):
            response.levers.estimate = self.overview.estimate
        self.memory |= self.overview.tables()
        self.acted_ms = -(10**15)
        self.memory |= self.market.tables()
        tables = (self.fleet, self.habits, self.desk, self.response, self.flexible, self.settlement)
        for part in tables:
            self.memory |= part.tables()
        if self.curtailment is not None:
            self.memory |= self.curtailment.tables()
        if calendar.watched is not None:
            for name, table in self._habitual().items():
                table.restore({key: calendar.watched[f"{name}/{key}"] for key in table.arrays()})

    def _habitual(self) -> dict[str, Table]:
        """Return the tables of what owners do by themselves."""
        return self.habits.tables() | self.adjustable.plans.tables()

    def learned(self) -> dict[str, NDArray[np.generic]]:
        """Return what owners were seen to do by themselves."""
        return {
            f"{name}/{key}": array.copy()
            for name, table in self._habitual().items()
            for key, array in table.arrays().items()
        }

    # -- what simpler logics do otherwise (twin.control.rivals) --------------------------------

    def new_response(self, name: str) -> Response:
        """Return what gives flexible means under an order; its tables are called `name`."""
        response = Response(name, self.inventory, self.calendar, self.habits, self.desk)
        response.network = self.network
        if name == "response":
            response.market, self.market.followed = self.market, True
        return response

    def new_curtailment(self) -> Curtailment:
        """Return what opens circuits."""
        network = self.network
        return Curtailment(self.inventory, self.flexible, network=network)

    # -- what evolves beside the tables ------------------------------------------------------

    def save_plain(self) -> object:
        """Return the numbers of every part."""
        cut = None if self.curtailment is None else asdict(self.curtailment.numbers)
        return {
            "acted_ms": self.acted_ms,
            "response": asdict(self.response.numbers),
            "flexible": asdict(self.flexible.numbers),
            "curtailment": cut,
            "market": self.market.plain(),
        }

    def load_plain(self, plain: object) -> None:
        """Take what `save_plain` gave."""
        if not isinstance(plain, dict):
            raise ValueError("this is not the state of a Platform")
        for watch in self.fleet.watch.values():
            watch.refresh()
        self.acted_ms = int(plain["acted_ms"])
        self.response.numbers = Numbers(**plain["response"])
        self.flexible.numbers = Numbers(**plain["flexible"])
        self.market.restore(plain["market"])
        if self.curtailment is not None:
            self.curtailment.numbers = CutNumbers(**plain["curtailment"])
            self.curtailment.restore_marks()

    # -- one minute --------------------------------------------------------------------------

    def plan(self, now_ms: int) -> Sequence[str]:
        """Read each kind at the period that supervision expects of it (alarms.toml), in turn.

        From shortly before an order until everything is given back, what it commands is read
        each minute: the flexible kinds, meters while it is in force, terminals for a rigid one;
        and the stations while a branch of the network is near its rating. The flexible kinds are
        read as well when a table of what they can give is due.
        """
        always = {"city"}
        near = [o for o in self.book.live() if now_ms >= o.start_ms - CLOSE_MS]
        near = [o for o in near if now_ms < Response.end_of(o)]
        due = self.adjustable.due(now_ms, self._alert(now_ms))
        if near or due or self.response.acting or self.flexible.acting:
            always |= set(FLEXIBLE)
        if any(o.start_ms <= now_ms for o in near):
            always.add("meter")
        rigid = self.curtailment is not None and self.curtailment.acting
        if rigid or any(o.kind is LOAD_MANAGEMENT for o in near):
            always |= {"terminal", *FLEXIBLE}
        minute = now_ms // MINUTE_MS
        stations = ("busbar",) if self.network.strained else ()
        return stations + tuple(
            kind
            for place, kind in enumerate(self.fleet.watch)
            if kind in always
            or (minute - place) % max(poll_period_ms(kind) // MINUTE_MS, 1) == 0
            or not self.fleet.known(kind)
        )

    def _alert(self, now_ms: int) -> bool:
        busy = self.response.busy or self.flexible.busy or self.adjustable.call.busy
        busy |= self.curtailment is not None and self.curtailment.busy
        return busy or any(o.end_ms > now_ms for o in self.book.live())

    def _current(self, now_ms: int, *kinds: OrderKind) -> Order | None:
        """Return the order of `kinds` to serve now: in force, else the next to begin."""
        open_orders = [o for o in self.book.of_kind(*kinds) if now_ms < Response.end_of(o)]
        # A capability call is a question about everything there is: it goes before.
        open_orders.sort(key=lambda o: (o.kind is not OrderKind.CAPABILITY, o.start_ms, o.id))
        return open_orders[0] if open_orders else None

    def digest(
        self, now_ms: int, readings: Mapping[str, Reading], notices: Sequence[News]
    ) -> Actions:
        """Take readings and notices, return set-points and reports."""
        self.book.take(notices)
        readings = self.fleet.sound(readings)
        self.network.take(now_ms, notices, readings)
        alarms = self.fleet.take(now_ms, readings)
        self.customers.today.take(now_ms, readings)
        setpoints: list[SetPoint] = []
        settlement: list[Mapping[str, object]] = []
        # A notice may come between two control periods; it is acted on at the next one.
        if now_ms - self.acted_ms >= self.calendar.control_period_ms:
            self.acted_ms = now_ms
            self.habits.observe(now_ms, self.fleet, self._touched, readings)
            self.adjustable.learn(now_ms, self._touched, readings)
            if self._alert(now_ms):
                setpoints, settlement = self._act(now_ms)
        figures = self._figures(now_ms)
        belief, shown = self.overview.look(now_ms, readings, alarms)
        orders = [n for n in notices if isinstance(n, Notice)]
        tables = {**self.network.report(now_ms)}
        tables |= self.adjustable.report(now_ms, orders, self._alert(now_ms))
        if self.curtailment is not None:
            tables = {**tables, **self.curtailment.take_reports()}
        setpoints = self.gate.let(now_ms, setpoints)
        tables = {**tables, **self.market.take_reports(), **self.settlement.take_reports()}
        tables = {**tables, **self.customers.report(now_ms, self.book.live())}
        return Actions(setpoints, Reports(belief, alarms, figures, settlement, {**shown, **tables}))

    def _touched(self, kind: str) -> NDArray[np.bool_]:
        """Return which devices of `kind` do not show what they would do by themselves."""
        touched = self.response.without.touched(kind) | self.flexible.without.touched(kind)
        if self.curtailment is not None and self.curtailment.busy:
            touched |= self.curtailment.behind_open(kind)
        return touched | self.adjustable.touched(kind)

    def _without_order(self, kind: str) -> NDArray[np.float64] | None:
        """Return demand without the demand response in force [kW], None where there is none."""
        return self.response.without.demand_kw(kind) if self.response.busy else None

    def _behind_open(self, kind: str) -> NDArray[np.bool_] | None:
        """Return which devices of `kind` stand behind an open circuit, None where none does."""
        if self.curtailment is None or not self.curtailment.busy:
            return None
        return self.curtailment.behind_open(kind)

    def _act(self, now_ms: int) -> tuple[list[SetPoint], list[Mapping[str, object]]]:
        held = self.adjustable.serve(now_ms, self.book.live())
        if held is not None:
            return held, []
        load_mw = self.fleet.scalar("city", "load_mw")
        call = self._current(now_ms, OrderKind.DEMAND_RESPONSE, OrderKind.CAPABILITY)
        cut = self._current(now_ms, OrderKind.LOAD_MANAGEMENT)
        out: list[SetPoint] = []
        settlement: list[Mapping[str, object]] = []

        before = self.response.numbers.stage
        if cut is not None and cut.start_ms <= now_ms and before == "recover":
            self.response.cede()
        if call is not None or self.response.busy:
            out += self.response.run(now_ms, call, self.fleet, load_mw)
        served = call is not None and self.response.numbers.order_id == call.id
        served &= self.response.numbers.stage in ("prepare", "hold")
        # At the notice, and for logics that do not follow awards also at the start.
        if call is not None and served and self.market.due(now_ms, call):
            levers = self.response.levers
            given = {kind: levers.reduction_kw(kind, self.fleet) for kind in levers.kinds}
            rows = self.network.rows()
            self.market.clear(now_ms, call, self.response.up, network=rows, given_kw=given)
        if call is not None and self.response.numbers.stage == "hold":
            self.settlement.count(now_ms, call, self.fleet, self.calendar.control_period_ms)
        if before == "hold" and self.response.numbers.stage != "hold":
            settlement = self.settlement.close(self.response.numbers.order_id)

        self.flexible.with_batteries = self.response.numbers.stage == "idle"
        if self.curtailment is not None and (cut is not None or self.curtailment.busy):
            busy = self.response.numbers.stage in ("prepare", "hold")
            out += self.curtailment.run(now_ms, cut, self.fleet, load_mw, not busy)
        elif self.flexible.busy:
            out += self.flexible.run(now_ms, None, self.fleet, load_mw)
        return out, settlement

    # -- reports -----------------------------------------------------------------------------

    def _figures(self, now_ms: int) -> Mapping[str, float]:
        """Return what is believed while an order is known or recovered from, in MW."""
        if not self._alert(now_ms):
            return {}
        response, curtailment = self.response.numbers, self.curtailment
        delivered = response.delivered_kw
        figures = {
            "order_mw": response.target_kw / KW_PER_MW,
            "capability_mw": response.capability_kw / KW_PER_MW,
            "short_mw": response.short_kw / KW_PER_MW,
        }
        if curtailment is not None and curtailment.busy:
            rigid = curtailment.numbers
            delivered = rigid.total_kw
            figures |= {
                "order_mw": rigid.target_kw / KW_PER_MW,
                "tripped_mw": rigid.rigid_kw / KW_PER_MW,
                "flexible_mw": (rigid.total_kw - rigid.rigid_kw) / KW_PER_MW,
                "capability_mw": self.flexible.numbers.capability_kw / KW_PER_MW,
            }
        figures["delivered_mw"] = delivered / KW_PER_MW
        meter = self.fleet.watch.get("meter")
        if meter is not None and "enrolled" in self.inventory.sites:
            demand = meter.or_zero("demand_kw")[self.inventory.sites.flag("enrolled")]
            # Without the order: what the meters show and what is believed to be missing there.
            figures["baseline_mw"] = (float(demand.sum()) + delivered) / KW_PER_MW
        source = self.flexible if self.flexible.busy else self.response
        for kind in FLEXIBLE:
            if kind in source.cut_kw:
                figures[f"delivered_{kind}_mw"] = source.cut_kw[kind] / KW_PER_MW
        return {k: v for k, v in figures.items() if np.isfinite(v)}


Platform.watcher = Platform

__all__ = ["Platform"]
