"""Verdicts on the industry chain: what a cut cost, at whom it was aimed and who stopped after.

Losses are the record's: each minute the value of production that stood still at sites with
open circuits (direct), and at sites that lacked an input (downstream). Both in excess of the
counterfactual, from the notice to the end of the run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.record.history import History
from twin.record.orders import Order
from twin.verify.counterfactual import Pair, Span
from twin.verify.demand_response import GAPS
from twin.verify.verdict import Scope, Sheet

__all__ = ["IDS", "judge_chain", "stopped_downstream"]

IDS = ("lm.chain_loss", "lm.direct_loss", "lm.downstream_stops")
DIRECT, DOWNSTREAM, STOPS = "chain_direct_cny", "chain_downstream_cny", "chain.stops"
NO_GRAPH = "no graph"


def judge_chain(sheet: Sheet, pair: Pair, order: Order) -> None:
    """Add the ids of the chain; where no site has a supplier, they do not apply."""
    if pair.inventory.chain.n == 0 or not (pair.has(DIRECT) and pair.has(DOWNSTREAM)):
        for id_ in IDS:
            sheet.not_applicable(id_, NO_GRAPH)
        return
    span = pair.span(order.notice_ms)
    about = Scope(None, float(span.minutes))
    direct, downstream = (_excess(pair, name, span) for name in (DIRECT, DOWNSTREAM))
    if direct is None or downstream is None:
        reason = GAPS if span.minutes > 0 else "the run ends before the notice"
        for id_ in IDS:
            sheet.add(id_, None, reason, scope=about)
        return
    sheet.add("lm.chain_loss", direct + downstream, scope=about)
    sheet.add("lm.direct_loss", direct, scope=about)
    more = stopped_downstream(pair.run, order, pair) & ~stopped_downstream(pair.base, order, pair)
    sheet.add("lm.downstream_stops", float(more.sum()), scope=about)


def _excess(pair: Pair, name: str, span: Span) -> float | None:
    """Return the sum of a series over `span`, run less counterfactual [CNY]."""
    run, base = pair.series(name, span)
    if span.minutes == 0 or not (np.isfinite(run).all() and np.isfinite(base).all()):
        return None
    return float(run.sum() - base.sum())


def stopped_downstream(run: History, order: Order, pair: Pair) -> NDArray[np.bool_]:
    """Return bool[sites], who stopped for want of an input after the notice of `order`."""
    stopped = np.zeros(pair.inventory.sites.n, np.bool_)
    events = run.events(STOPS)
    if len(events) > 0:
        after = np.asarray(events["now_ms"]) > order.notice_ms
        stopped[np.asarray(events["site"], np.int64)[after]] = True
    return stopped
