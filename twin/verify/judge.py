"""The judge: every verdict on every order, and on supervision once."""

from __future__ import annotations

from collections.abc import Sequence

from twin.record.history import History
from twin.record.orders import OrderKind
from twin.verify import demand_response, load_management
from twin.verify.cost import COST_IDS, judge_cost
from twin.verify.counterfactual import Evidence
from twin.verify.demand_response import judge_demand_response
from twin.verify.load_management import judge_load_management
from twin.verify.makeup import MAKEUP_ID, judge_makeup
from twin.verify.monitoring import judge_monitoring
from twin.verify.verdict import Sheet, Verdict

__all__ = ["judge"]

NO_ORDER = "no such order"


def judge(evidences: Sequence[Evidence], final: History, *, outside: bool = False) -> list[Verdict]:
    """Return the verdicts, demand response first, then load management, then supervision.

    Parameters
    ----------
    evidences : one an order, in the order of their notices
    final : the run with all orders (the undisturbed one where there is none)
    outside : the platform was outside, on the wire

    Where no order of a kind was given, its ids stand once with ``passed`` None.
    """
    verdicts: list[Verdict] = []
    for kind, judge_one, ids in (
        (OrderKind.DEMAND_RESPONSE, judge_demand_response, demand_response.IDS),
        (OrderKind.LOAD_MANAGEMENT, judge_load_management, load_management.IDS),
    ):
        own = [e for e in evidences if e.order.kind is kind]
        for evidence in own:
            verdicts += judge_one(evidence).verdicts
            if kind is OrderKind.DEMAND_RESPONSE:
                verdicts += judge_makeup(evidence).verdicts
            verdicts += judge_cost(evidence).verdicts
        if not own:
            sheet = Sheet(None)
            makeup = (MAKEUP_ID,) if kind is OrderKind.DEMAND_RESPONSE else ()
            for id_ in (*ids, *makeup, *COST_IDS[kind]):
                sheet.not_applicable(id_, NO_ORDER)
            verdicts += sheet.verdicts
    return verdicts + judge_monitoring(final, outside=outside).verdicts
