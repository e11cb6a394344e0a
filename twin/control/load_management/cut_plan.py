"""What an order asks of a curtailment: its gap, its level, and what circuits there are for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.control.load_management.choice import Offer
from twin.control.load_management.measures import measure_of, steps_of_circuits
from twin.control.load_management.quarter_cap import CAP_AIM
from twin.control.load_management.restoration import Forecast
from twin.control.load_management.rounds import LEAST_KW, Rounds
from twin.control.supervision.fleet import Supervision
from twin.record.load_rules import LoadRules
from twin.record.orders import Order, OrderForm
from twin.units import KW_PER_MW

AIM = 1.03  # of the order: between the limits of 98 and 110 %


@dataclass(frozen=True, slots=True)
class Asked:
    """One order, seen with the day's forecast.

    Attributes
    ----------
    order, rules, forecast : as they are known
    scale : what was metered over what was forecast, at the notice
    max_load_mw : base of the warning levels
    """

    order: Order
    rules: LoadRules
    forecast: Forecast
    scale: float
    max_load_mw: float

    @property
    def gap_kw(self) -> float:
        """What has to be taken off the load at most."""
        load = self.forecast.typical_load_mw * self.scale
        return self.rules.gap_mw(self.order, load) * KW_PER_MW

    @property
    def kw(self) -> float:
        """The cut to have ready, flexible part included."""
        if self.order.form is OrderForm.CAP and self.order.mw is not None:
            return self.gap_kw + (1.0 - CAP_AIM) * self.order.mw * KW_PER_MW
        return AIM * self.gap_kw

    @property
    def level(self) -> int:
        """Warning level: as stated, else by the gap."""
        load = self.forecast.typical_load_mw * self.scale
        return self.rules.level(self.order, self.max_load_mw, load)

    def offer(self, now_ms: int, rounds: Rounds, fleet: Supervision, flexible_kw: float) -> Offer:
        """Return the circuits there are, with the demand expected behind them over the order.

        Notes the step of the order of measures in `rounds`.

        Parameters
        ----------
        flexible_kw : what flexible means are counted on for
        """
        order, memory = self.order, rounds.memory
        step = steps_of_circuits(self.rules, self.level, rounds.flexible, rounds.restricted)
        memory["step"] = step
        begin_ms = max(order.start_ms, now_ms)
        factor = self.forecast.mean_over_now(now_ms, begin_ms, order.end_ms)
        held_kw = np.where(memory["open"] > 0.0, memory["ref_kw"], rounds.demand_kw(fleet))
        return Offer(
            may=rounds.reachable(fleet, now_ms) & (held_kw > LEAST_KW) & (measure_of(step) >= 0),
            kw=held_kw * factor,
            step=step,
            late=rounds.flexible,
            stay=rounds.must_stay(now_ms),
            is_open=memory["open"] > 0.0,
            site=rounds.site,
            district=rounds.district,
            busbar=rounds.busbar,
            lot=rounds.lot,
            contracted_kw=rounds.contracted_kw,
            ledger_kwh=memory["ledger_kwh"],
            need_kw=max(self.kw - flexible_kw, 0.0),
            start_ms=begin_ms,
            end_ms=order.end_ms,
        )
