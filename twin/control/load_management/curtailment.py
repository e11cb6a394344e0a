"""Load management (the 20 %): flexible means first, then circuits, measure by measure.

Warn, trip in blocks from start to deadline, hold with feedback each minute, take turns when an
order is long, restore in steps. Which circuits go first is a choice of its own
(`twin.control.load_management.choice`). What a switched circuit would have drawn is its demand
before the order times the trend of everything that was never switched; the cut is that less
what it draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.demand_response.response import Response
from twin.control.load_management import cut_report
from twin.control.load_management.choice import Choice, RoundsInOrder
from twin.control.load_management.cut_plan import AIM, Asked
from twin.control.load_management.measures import default_rules, kinds_needed
from twin.control.load_management.planned import LeastLoss
from twin.control.load_management.quarter_cap import QuarterMean, coming
from twin.control.load_management.restoration import Forecast, step_kw
from twin.control.load_management.switchboard import RESERVE, Switchboard
from twin.control.load_management.turns import due_kw, turns_soon
from twin.control.supervision.fleet import Supervision
from twin.control.supervision.network import NetworkWatch
from twin.record.exchange import Inventory, SetPoint
from twin.record.orders import Order, OrderForm
from twin.record.table import Table
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]

DEAD_BAND = 0.006  # of the order; smaller errors switch nothing
TOO_MUCH = 0.02  # of the order above the aim: from here circuits are given back (assumed)
FLEXIBLE_PART = 0.85  # of what flexible means can sustain is counted on (assumed)
LEAD_MS = 3 * MINUTE_MS
JUMP, JUMP_MS = 0.25, 3 * MINUTE_MS  # of the maximum load: not believed at once (assumed)
MOST_OFF = 0.3  # that a day's load is off its forecast (assumed)


@dataclass(slots=True)
class CutNumbers:
    """What a curtailment remembers beside its tables.

    ``plan`` names the revision that circuits are ranked for, ``barred`` the flexible kinds that
    this order does not use; ``turn_kw`` was opened in the minute before for others to close.
    """

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
    seen_mw: float = 0.0
    seen_ms: int = -(10**15)
    scale: float = 1.0
    plan: str = ""
    by_rank: bool = False
    turn_kw: float = 0.0
    quarter: int = -1
    quarter_mw: float = 0.0
    quarter_minutes: float = 0.0
    barred: list[str] = field(default_factory=list)


class Curtailment:
    """One rigid order from notice to the last circuit closed.

    Parameters
    ----------
    flexible : response that gives the flexible part, with its own counterfactual
    choice : ranks circuits; default: the plan with the least loss where there is a supply
        graph, else rounds in the order of measures
    network : knows which branches are near their limits; the plan heeds it
    """

    def __init__(
        self,
        inventory: Inventory,
        flexible: Response,
        choice: Choice | None = None,
        network: NetworkWatch | None = None,
    ) -> None:
        calendar = flexible.calendar
        self.rules = default_rules() if calendar.load_rules is None else calendar.load_rules
        self.board = Switchboard(inventory, self.rules, flexible)
        self.rounds = self.board.rounds
        self.flexible, self.max_load_mw = flexible, inventory.max_load_mw
        self.choice: Choice = RoundsInOrder() if choice is None else choice
        if choice is None and inventory.chain.n > 0:
            self.choice = LeastLoss(inventory, self.rules, network)
        self.forecast = Forecast(calendar.typical_load_mw, calendar.start_ms, calendar.end_ms)
        self.period_ms = calendar.control_period_ms
        self.numbers = CutNumbers()
        self.reports: dict[str, Mapping[str, NDArray[np.generic]]] = {}  # until they are taken

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves but `numbers`."""
        return {"rounds": self.rounds.memory}

    def take_reports(self) -> Mapping[str, Mapping[str, NDArray[np.generic]]]:
        """Return the tables to report now: plan, measures, ledger; each once."""
        reports, self.reports = self.reports, {}
        return reports

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
        numbers, load_mw = self.numbers, self._believed(now_ms, load_mw)
        if load_mw is not None:
            numbers.highest_mw = max(numbers.highest_mw, load_mw)
        if order is not None and order.id != numbers.order_id and numbers.stage == "idle":
            self.numbers = numbers = CutNumbers(
                order.id,
                "known",
                highest_mw=numbers.highest_mw,
                seen_mw=numbers.seen_mw,
                seen_ms=numbers.seen_ms,
            )
            self.rounds.memory["warned"] = 0.0
            if load_mw is not None:
                scale = self.forecast.scale(now_ms, load_mw)
                numbers.scale = float(np.clip(scale, 1.0 - MOST_OFF, 1.0 + MOST_OFF))
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
            near = now_ms >= served.start_ms - served.warning_min * MINUTE_MS
            if near and self._plan(now_ms, served, fleet):
                out += self.board.warn(now_ms, RESERVE * self._asked(served).kw, fleet)
            if now_ms >= served.start_ms:
                out += self._hold(now_ms, served, fleet, load_mw)
        if numbers.stage == "restore":
            out += self._restore(now_ms, fleet, load_mw)
        return out

    def _believed(self, now_ms: int, load_mw: float | None) -> float | None:
        """Return the metered load, None where it cannot be: a jump that does not last."""
        numbers = self.numbers
        if load_mw is None or not np.isfinite(load_mw):
            return None
        lately = 0 <= now_ms - numbers.seen_ms <= JUMP_MS
        if lately and abs(load_mw - numbers.seen_mw) > JUMP * self.max_load_mw:
            return None
        numbers.seen_mw, numbers.seen_ms = load_mw, now_ms
        return load_mw

    # -- what is used ----------------------------------------------------------------------

    def _asked(self, order: Order) -> Asked:
        """Return what `order` asks for, by the forecast as far as it has proved right."""
        return Asked(order, self.rules, self.forecast, self.numbers.scale, self.max_load_mw)

    def _flexible_part(self, order: Order) -> float:
        """Return the reduction that flexible means are asked for [kW]; fixed at the start.

        Kinds are taken measure by measure, as far as they are needed and this level allows.
        """
        numbers, up = self.numbers, self.flexible.up
        is_cap = order.form is OrderForm.CAP
        if numbers.stage == "known":
            asked = self._asked(order)
            able = {kind: FLEXIBLE_PART * float(kw.sum()) for kind, kw in up.items()}
            if able:
                used = kinds_needed(self.rules, asked.level, able, asked.gap_kw)
                numbers.barred = [k for k in self.flexible.levers.kinds if k not in used]
                self.board.follow(numbers.barred)
            share = FLEXIBLE_PART * self.flexible.numbers.capability_kw
            numbers.flexible_kw = min(share, asked.kw if is_cap else numbers.order_kw)
        elif is_cap and self.rounds.open_kw == 0.0:
            # Less is over the cap than was forecast: flexible means alone are too much.
            return min(numbers.flexible_kw, numbers.target_kw)
        return numbers.flexible_kw

    def _plan(self, now_ms: int, order: Order, fleet: Supervision) -> bool:
        """Rank circuits, once for each revision of the order; return whether it was done now."""
        numbers, rounds = self.numbers, self.rounds
        name = f"{order.id}.{order.revision}"
        if numbers.plan == name:
            return False
        offer = self._asked(order).offer(now_ms, rounds, fleet, numbers.flexible_kw)
        ranking = self.choice.rank(offer)
        # Whatever a choice says: what may not be opened has no rank.
        rounds.memory["rank"] = np.where(offer.may, ranking.rank, np.inf)
        numbers.by_rank = self.board.by_rank = ranking.by_rank
        numbers.plan = name
        self.reports["cut_plan"] = cut_report.plan_row(now_ms, order.id, offer, ranking)
        return True

    # -- stages ----------------------------------------------------------------------------

    def _hold(
        self, now_ms: int, order: Order, fleet: Supervision, load_mw: float | None
    ) -> list[SetPoint]:
        numbers, rounds, board = self.numbers, self.rounds, self.board
        if numbers.stage == "known":
            numbers.stage = "hold"
            rounds.refer(fleet)
        rounds.note_failures(fleet, now_ms)
        trend = rounds.trend(fleet, now_ms)
        cut_kw = self._measure(fleet, trend)
        since, quarter = now_ms - order.start_ms, cut_report.QUARTER_MS
        if since // quarter != (since - self.period_ms) // quarter:
            flexible = self.flexible.cut_kw if self.flexible.busy else {}
            self.reports["measures"] = cut_report.measures_rows(
                now_ms, order.id, rounds, cut_kw, flexible
            )
        asked = AIM * numbers.order_kw
        if order.form is OrderForm.CAP:
            if load_mw is None:
                return []
            asked = max(numbers.total_kw + self._over_kw(now_ms, order, load_mw), 0.0)
        whole = max(order.full_by_ms - LEAD_MS - order.start_ms, MINUTE_MS)
        ramp = min((now_ms + MINUTE_MS - order.start_ms) / whole, 1.0)
        numbers.target_kw = asked * ramp
        need = numbers.target_kw - numbers.total_kw
        # The flexible part ramps by itself; do not trip for what it will bring this minute.
        coming_kw = max(numbers.flexible_kw * ramp - self.flexible.numbers.delivered_kw, 0.0)
        need -= coming_kw if now_ms < order.full_by_ms - LEAD_MS else 0.0
        closing, turn_kw = self._take_turns(now_ms, order, fleet)
        scale = max(numbers.order_kw, 1e-6) if order.form is OrderForm.REDUCTION else asked
        out = closing
        if need > DEAD_BAND * scale or turn_kw > 0.0:
            writes, kw = board.open(now_ms, max(need + turn_kw, 0.0), fleet, order.warning_min)
            # What is cut beyond the need already relieves others as well.
            numbers.turn_kw = float(np.clip(kw - need, 0.0, turn_kw))
            out = out + writes
        elif need < -TOO_MUCH * scale and not closing:
            out = out + board.close(now_ms, -need, trend)
        board.follow(numbers.barred)
        return out + board.insist(fleet)

    def _over_kw(self, now_ms: int, order: Order, load_mw: float) -> float:
        """Return how far the coming minute's load would lie above what the quarter allows."""
        numbers = self.numbers
        mean = QuarterMean(numbers.quarter, numbers.quarter_mw, numbers.quarter_minutes)
        mean.take(now_ms, load_mw, self.period_ms)
        numbers.quarter, numbers.quarter_mw = mean.quarter, mean.sum_mw
        numbers.quarter_minutes = mean.minutes
        expected = load_mw * coming(self.forecast.typical_load_mw, now_ms)
        aim = mean.aim_mw(now_ms, numbers.order_kw / KW_PER_MW)
        return (expected - aim) * KW_PER_MW

    def _take_turns(
        self, now_ms: int, order: Order, fleet: Supervision
    ) -> tuple[list[SetPoint], float]:
        """Close what others relieved a minute ago; return what others should take over now."""
        numbers, rounds = self.numbers, self.rounds
        if numbers.turn_kw > 0.0:
            turn_kw, numbers.turn_kw = numbers.turn_kw, 0.0
            same = np.ones(rounds.n)
            return self.board.close(now_ms, turn_kw, same, longest=True), 0.0
        out: list[SetPoint] = []
        if turns_soon(rounds, now_ms, order.end_ms):
            kw = rounds.open_kw + RESERVE * self._asked(order).kw
            out = self.board.warn(now_ms, kw, fleet)
        return out, due_kw(rounds, now_ms, order.end_ms)

    def _release(self, now_ms: int) -> None:
        numbers = self.numbers
        numbers.restore_kw = self.rounds.open_kw if numbers.stage == "hold" else 0.0
        numbers.stage, numbers.ended_ms = "restore", now_ms

    def _restore(self, now_ms: int, fleet: Supervision, load_mw: float | None) -> list[SetPoint]:
        """Close in steps as the load leaves room; then what still reads open, then warnings."""
        numbers, rounds, board = self.numbers, self.rounds, self.board
        trend = rounds.trend(fleet, now_ms)
        self._measure(fleet, trend)
        out: list[SetPoint] = []
        if (rounds.memory["open"] > 0.0).any():
            top_mw = self.forecast.top_mw(numbers.scale, numbers.highest_mw)
            kw = (numbers.restore_kw, rounds.open_kw)
            step = step_kw(now_ms, numbers.ended_ms, kw, (load_mw, top_mw), self.forecast)
            if step >= kw[1]:
                out += board.close_all(now_ms)
            else:
                out += board.close(now_ms, step, np.ones(rounds.n))
            board.follow(numbers.barred)
        else:
            # What still reads open is told again; then the warnings go.
            still = (rounds.memory["used"] > 0.0) & ~rounds.closed(fleet)
            heard = fleet.watch["terminal"].fresh(now_ms)
            waited = now_ms - numbers.ended_ms >= 2 * MINUTE_MS
            if not (still & heard).any() and waited:
                return self._finish(now_ms)
        return out + board.insist(fleet)

    def _finish(self, now_ms: int) -> list[SetPoint]:
        """Take warnings back and show what everybody has given."""
        numbers, memory = self.numbers, self.rounds.memory
        if (memory["used"] > 0.0).any():
            self.reports["ledger"] = cut_report.ledger_rows(now_ms, numbers.order_id, self.rounds)
        memory["used"] = 0.0
        numbers.stage, numbers.barred = "idle", []
        self.board.mark(())
        numbers.rigid_kw = numbers.total_kw = numbers.target_kw = 0.0
        return self.board.unwarn()

    # -- bookkeeping -----------------------------------------------------------------------

    def behind_open(self, kind: str) -> NDArray[np.bool_]:
        """Return which devices of `kind` stand behind a circuit that was told to open."""
        return self.board.behind.dark(kind)

    def restore_marks(self) -> None:
        """Bring board and dispatch in line with what is remembered, after a load."""
        self.board.by_rank = self.numbers.by_rank
        self.board.mark(self.numbers.barred)

    def _measure(self, fleet: Supervision, trend: Floats) -> Floats:
        """Work out the cut and book it: rigid, generation lost with it, and flexible means.

        Return float64[4, n], the cut of each circuit [kW].
        """
        numbers = self.numbers
        cut_kw = self.rounds.cut_kw(fleet, trend)
        self.rounds.book(cut_kw, self.period_ms / HOUR_MS)
        numbers.rigid_kw = float(cut_kw.sum()) - self.board.behind.lost_generation_kw(fleet)
        numbers.total_kw = numbers.rigid_kw + (
            self.flexible.numbers.delivered_kw if self.flexible.busy else 0.0
        )
        return cut_kw
