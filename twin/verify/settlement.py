"""What an order's settlement pays, and whether it pays for what was truly given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from twin.clock import MINUTE_MS
from twin.record.orders import Order
from twin.units import KW_PER_MW
from twin.verify.counterfactual import QUARTER_MIN, Evidence, Floats, Pair, Span
from twin.verify.verdict import NO_REPORT, Scope, Sheet

__all__ = ["SETTLEMENT_IDS", "judge_settlement"]

SETTLEMENT_IDS = ("dr.paid", "dr.penalty", "dr.settlement_error", "dr.settlement_error_sites")
NO_ROWS = "the logic has settled nothing"
NO_QUARTER = "no whole quarter of an hour was settled"
CHUNK_MINUTES = 64
Rows = list[Mapping[str, object]]


def judge_settlement(sheet: Sheet, evidence: Evidence) -> None:
    """Add what is paid and penalised [CNY] and the error of the settled energy [%].

    The error is settled less true reduction at the meters of the sites that have a row, over
    the whole quarters of an hour between deadline and end, in percent of the true one: of the
    sum with its sign, and of the sites as the sum of their absolute errors.
    """
    order = evidence.order
    rows = [r for r in evidence.run.settlement if r.get("order") == order.id]
    sites = [r for r in rows if _number(r, "site") >= 0.0]
    if not sites:
        for id_ in SETTLEMENT_IDS:
            if evidence.outside:
                sheet.not_applicable(id_, NO_REPORT)
            else:
                sheet.add(id_, None, NO_ROWS)
        return
    sheet.add("dr.paid", _total(sites, "paid_cny"), about_prices(sites))
    sheet.add("dr.penalty", _total(sites, "penalty_cny"))
    pair = Pair(evidence.run, evidence.counterfactual, evidence.inventory, evidence.end_ms)
    span = whole_quarters(pair, order)
    about = Scope(order.mw, float(span.minutes))
    if span.minutes == 0:
        for id_ in SETTLEMENT_IDS[2:]:
            sheet.add(id_, None, NO_QUARTER, scope=about)
        return
    settled, known = np.zeros(evidence.inventory.sites.n), np.zeros(evidence.inventory.sites.n)
    for row in sites:
        site = int(_number(row, "site"))
        if site < len(settled):
            settled[site] += _number(row, "delivered_kwh")
            known[site] = 1.0
    true = np.where(known > 0.0, reduction_kwh(pair, span), 0.0)
    size = float(true.sum())
    if abs(size) < 1.0:
        for id_ in SETTLEMENT_IDS[2:]:
            sheet.add(id_, None, "nothing was truly given", scope=about)
        return
    reason = "settled by " + ", ".join(sorted({str(r.get("baseline", "?")) for r in sites}))
    error = 100.0 * (float(settled.sum()) - size) / size
    sheet.add("dr.settlement_error", error, reason, scope=about)
    spread = 100.0 * float(np.abs(settled - true).sum()) / abs(size)
    sheet.add("dr.settlement_error_sites", spread, reason, scope=about)


def whole_quarters(pair: Pair, order: Order) -> Span:
    """Return the span of the clock quarters that lie wholly between deadline and end."""
    span = pair.span(order.full_by_ms, order.end_ms)
    offset = pair.run.start_ms // MINUTE_MS
    first = -(-(span.first + offset) // QUARTER_MIN) * QUARTER_MIN - offset
    stop = (span.stop + offset) // QUARTER_MIN * QUARTER_MIN - offset
    return Span(first, max(stop, first))


def reduction_kwh(pair: Pair, span: Span) -> Floats:
    """Return float64[sites], the true reduction at each meter over `span` [kWh]."""
    total = np.zeros(pair.inventory.sites.n)
    for first in range(span.first, span.stop, CHUNK_MINUTES):
        stop = min(first + CHUNK_MINUTES, span.stop)
        for run, sign in ((pair.base, 1.0), (pair.run, -1.0)):
            kw = run.table("site.demand_kw", first, stop)
            total += sign * kw.sum(axis=0, dtype=np.float64) / 60.0
    return total


def about_prices(rows: Rows) -> str:
    """Return the mean price of what is paid, in words."""
    valid = sum(_number(r, "valid_share") * _number(r, "ordered_kwh") for r in rows)
    paid = _total(rows, "paid_cny")
    if paid is None or not valid > 0.0:
        return "nothing valid was given"
    return f"{valid / KW_PER_MW:.4g} MWh valid, {paid / valid:.3g} CNY/kWh"


def _total(rows: Iterable[Mapping[str, object]], name: str) -> float | None:
    """Return the sum of a column, None where a row has no number there."""
    values = [_number(r, name) for r in rows]
    return sum(values) if all(math.isfinite(v) for v in values) else None


def _number(row: Mapping[str, object], name: str) -> float:
    """Return a cell as a number, NaN where it is none."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float | np.number) else math.nan
