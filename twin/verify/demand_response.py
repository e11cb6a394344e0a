"""Verdicts on a demand-response order, the plan's 5 %."""

from __future__ import annotations

import numpy as np

from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.orders import Order, OrderForm
from twin.verify.baselines import BASELINE_IDS, judge_baselines
from twin.verify.counterfactual import Evidence, Floats, Pair, Span, quarter_means
from twin.verify.flexibility import CAPABILITY_IDS, judge_held
from twin.verify.service import Finding, comfort, comfort_drift, mobility, network
from twin.verify.settlement import SETTLEMENT_IDS, judge_settlement
from twin.verify.verdict import NO_FORK, Scope, Sheet, rules

__all__ = ["IDS", "judge_demand_response"]

IDS = (
    "dr.capability",
    "dr.capability_gross",
    "dr.capability_60",
    "dr.capability_120",
    "dr.delivered",
    "dr.overdelivered",
    "dr.response_time",
    "dr.tracking",
    "dr.tracking_baseline",
    "dr.tracking_execution",
    "dr.rebound",
    "dr.rebound_back",
    "dr.rebound_before",
    "dr.new_peak",
    "dr.comfort",
    "dr.comfort_drift",
    "dr.mobility",
    "dr.mobility_short",
    "dr.network",
    *BASELINE_IDS,
    *SETTLEMENT_IDS,
    *CAPABILITY_IDS,
)

REBOUND_MS = 4 * HOUR_MS
REACHED, KEPT = 0.95, 0.90  # of the order, for the response time
NO_QUARTER = "no whole quarter of an hour between deadline and end lies within the run"
GAPS = "the record of the load has gaps"


def judge_demand_response(evidence: Evidence) -> Sheet:
    """Return every ``dr.*`` verdict on one order."""
    order = evidence.order
    sheet = Sheet(order.id)
    pair = Pair(evidence.run, evidence.counterfactual, evidence.inventory, evidence.end_ms)
    _capability(sheet, evidence)
    _delivery(sheet, pair, order)
    _tracking(sheet, pair, order)
    _aftermath(sheet, pair, order)
    for id_, finding in _service(pair, order):
        sheet.add(id_, finding.value, finding.reason, scope=Scope(None, finding.window_min))
    judge_baselines(sheet, evidence)
    judge_settlement(sheet, evidence)
    judge_held(sheet, evidence)
    return sheet


def _service(pair: Pair, order: Order) -> list[tuple[str, Finding]]:
    energy, short = mobility(pair, order)
    return [
        ("dr.comfort", comfort(pair, order)),
        ("dr.comfort_drift", comfort_drift(pair, order)),
        ("dr.mobility", energy),
        ("dr.mobility_short", short),
        ("dr.network", network(pair, order)),
    ]


# -- what can be called ----------------------------------------------------------------------


def _capability(sheet: Sheet, evidence: Evidence) -> None:
    """Judge the capability call; it only counts where comfort, mobility and network hold."""
    order, base_mw = evidence.order, evidence.inventory.max_load_mw
    if evidence.outside:
        for id_ in IDS[:4]:
            sheet.not_applicable(id_, NO_FORK)
        return
    if evidence.capability is None:
        for id_ in IDS[:4]:
            sheet.add(id_, None, "no capability call was run", scope=Scope(base_mw))
        return
    pair = Pair(evidence.capability, evidence.counterfactual, evidence.inventory, evidence.end_ms)
    span = pair.span(order.full_by_ms, order.end_ms)
    gross = _sustained(pair, span, base_mw)
    broken = [
        f"{id_}: {f.reason if f.value is None else f'{f.value:.3g} {rules()[id_].unit}'}"
        for id_, f in _service(pair, order)
        if f.value is None or rules()[id_].passes(f.value) is False
    ]
    about = Scope(base_mw, float(span.minutes))
    if gross is None:
        sheet.add("dr.capability", None, NO_QUARTER, scope=about)
    elif broken:
        reason = f"the call does not count ({gross:.2f} % gross): " + "; ".join(broken)
        sheet.add("dr.capability", None, reason, scope=about)
    else:
        sheet.add("dr.capability", gross, scope=about)
    sheet.add("dr.capability_gross", gross, None if gross is not None else NO_QUARTER, scope=about)
    for minutes in (60, 120):
        until_ms = order.full_by_ms + minutes * MINUTE_MS
        span = pair.span(order.full_by_ms, until_ms)
        about = Scope(base_mw, float(minutes))
        if span.minutes < minutes:
            sheet.add(
                f"dr.capability_{minutes}", None, "the call was not held that long", scope=about
            )
        else:
            sheet.add(f"dr.capability_{minutes}", _sustained(pair, span, base_mw), scope=about)


def _sustained(pair: Pair, span: Span, base_mw: float) -> float | None:
    """Return the smallest 15-min mean reduction over `span`, % of `base_mw`."""
    means = quarter_means(pair.reduction_mw(span, pair.enrolled()), pair.begin_ms(span))
    return 100.0 * float(means.min()) / base_mw if len(means) > 0 else None


# -- what was delivered ----------------------------------------------------------------------


def _delivery(sheet: Sheet, pair: Pair, order: Order) -> None:
    span = pair.span(order.full_by_ms, order.end_ms)
    if order.form is OrderForm.CAP:
        under_cap(sheet, pair, order, ("dr.delivered", "dr.overdelivered"))
        return
    size = float("nan") if order.mw is None else order.mw
    means = quarter_means(pair.reduction_mw(span, pair.enrolled()), pair.begin_ms(span))
    about = Scope(order.mw, float(span.minutes))
    if len(means) == 0:
        sheet.add("dr.delivered", None, NO_QUARTER, scope=about)
        sheet.add("dr.overdelivered", None, NO_QUARTER, scope=about)
        return
    sheet.add("dr.delivered", 100.0 * float(means.min()) / size, scope=about)
    sheet.add("dr.overdelivered", 100.0 * float(means.max()) / size, scope=about)


def under_cap(sheet: Sheet, pair: Pair, order: Order, ids: tuple[str, str]) -> None:
    """Judge a cap on the load that the infeed meters show.

    Its first id is the largest 15-min mean of the load, % of the cap; its second what was
    given away below it, where the counterfactual itself would not have been lower.
    """
    cap = float("nan") if order.mw is None else order.mw
    span = pair.span(order.full_by_ms, order.end_ms)
    about = Scope(order.mw, float(span.minutes))
    run, base = (quarter_means(x, pair.begin_ms(span)) for x in pair.series("load_mw", span))
    if len(run) == 0 or not np.isfinite(run).all() or not np.isfinite(base).all():
        reason = NO_QUARTER if len(run) == 0 else GAPS
        for id_ in ids:
            sheet.add(id_, None, reason, variant="cap", scope=about)
        return
    given_away = np.maximum(np.minimum(base, cap) - run, 0.0)
    sheet.add(ids[0], 100.0 * float(run.max()) / cap, variant="cap", scope=about)
    sheet.add(ids[1], 100.0 * float(given_away.max()) / cap, variant="cap", scope=about)


def minutes_to_reach(reduction: Floats, needed: Floats, kept: float | None) -> float | None:
    """Return after how many minutes `REACHED` of `needed` is there, None where never.

    Counted to the end of the first minute whose mean is there, since a mean is known at its
    end; with `kept`, that minute must not be followed by one at or below this share.
    """
    there = reduction >= REACHED * needed
    if kept is not None:
        below = np.flatnonzero(reduction <= kept * needed)
        if len(below) > 0:
            there[: below[-1] + 1] = False
    first = np.flatnonzero(there)
    return float(first[0] + 1) if len(first) > 0 else None


def _tracking(sheet: Sheet, pair: Pair, order: Order) -> None:
    """Judge response time and tracking; split the error into baseline and execution.

    The logic believes in a reduction (its ``delivered_mw``, own baseline less what it meters).
    True reduction less order = (true - believed) + (believed - order): the first part is the
    error of its baseline with its meters, the second that of execution.
    """
    span = pair.span(order.start_ms, order.end_ms)
    reduction = pair.reduction_mw(span, pair.enrolled())
    needed = pair.needed_mw(order, span)
    about = Scope(order.mw, float(span.minutes))
    asked = bool(span.minutes > 0 and np.isfinite(needed).all() and (needed > 0.0).any())
    if not asked:
        reason = "nothing was asked of the load within the run"
        sheet.add("dr.response_time", None, reason, scope=about)
    else:
        minutes = minutes_to_reach(reduction, needed, KEPT)
        reason = "95 % of the order was not reached and kept above 90 %"
        sheet.add("dr.response_time", minutes, None if minutes is not None else reason, scope=about)

    span = pair.span(order.full_by_ms, order.end_ms)
    about = Scope(order.mw, float(span.minutes))
    reduction = pair.reduction_mw(span, pair.enrolled())
    needed = pair.needed_mw(order, span)
    size = float(needed.max()) if span.minutes > 0 else 0.0
    ids = ("dr.tracking", "dr.tracking_baseline", "dr.tracking_execution")
    if not size > 0.0:
        for id_ in ids:
            sheet.add(id_, None, "nothing was asked of the load within the run", scope=about)
        return
    sheet.add(ids[0], _p95(reduction - needed, size), scope=about)
    believed = pair.run.figures.get("delivered_mw")
    believed = None if believed is None else believed[span.first : span.stop]
    if believed is None or not np.isfinite(believed).all():
        for id_ in ids[1:]:
            sheet.add(id_, None, "the logic does not report delivered_mw throughout", scope=about)
        return
    sheet.add(ids[1], _p95(reduction - believed, size), scope=about)
    sheet.add(ids[2], _p95(believed - needed, size), scope=about)


def _p95(error_mw: Floats, size_mw: float) -> float:
    return 100.0 * float(np.percentile(np.abs(error_mw), 95.0)) / size_mw


# -- what came after -------------------------------------------------------------------------


def _aftermath(sheet: Sheet, pair: Pair, order: Order) -> None:
    span = pair.span(order.end_ms, order.end_ms + REBOUND_MS)
    added = -pair.reduction_mw(span, pair.enrolled())
    means = quarter_means(added, pair.begin_ms(span))
    within = pair.span(order.full_by_ms, order.end_ms)
    needed = pair.needed_mw(order, within)
    size = float(needed.max()) if within.minutes > 0 else float("nan")
    about = Scope(order.mw, float(span.minutes))
    if len(means) == 0:
        sheet.add("dr.rebound", None, "the run ends with the order", scope=about)
    elif not size > 0.0:
        sheet.add("dr.rebound", None, "nothing was asked of the load within the run", scope=about)
    else:
        sheet.add("dr.rebound", 100.0 * max(float(means.max()), 0.0) / size, scope=about)
    sheet.add("dr.rebound_back", _energy_mwh(added), scope=Scope(None, span.minutes))
    before = pair.span(order.notice_ms, order.start_ms)
    taken = -pair.reduction_mw(before, pair.enrolled())
    sheet.add("dr.rebound_before", _energy_mwh(taken), scope=Scope(None, before.minutes))
    _new_peak(sheet, pair, order, before)


def _energy_mwh(added_mw: Floats) -> float:
    """Return the energy of the minutes in which demand was added."""
    return float(np.maximum(added_mw, 0.0).sum()) / 60.0


def _new_peak(sheet: Sheet, pair: Pair, order: Order, before: Span) -> None:
    """Judge the maximum outside the event, from the notice on.

    What the logic does to prepare may make a peak as well as what it lets go.
    """
    after = pair.span(order.end_ms)
    day = pair.span(pair.run.start_ms)
    load = np.concatenate([pair.series("load_mw", s)[0] for s in (before, after)])
    would_be = pair.series("load_mw", day)[1]
    minutes = float(before.minutes + after.minutes)
    if not np.isfinite(load).all() or not np.isfinite(would_be).all():
        sheet.add("dr.new_peak", None, GAPS, scope=Scope(None, minutes))
    elif after.minutes == 0:
        sheet.add("dr.new_peak", None, "the run ends with the order", scope=Scope(None, minutes))
    else:
        value = float(load.max() / would_be.max())
        base_mw = float(would_be.max())
        sheet.add("dr.new_peak", value, scope=Scope(base_mw, minutes))
