"""Verdicts on a load-management order, the plan's 20 %."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.exchange import Inventory
from twin.record.history import History
from twin.record.monitor import listed_kinds
from twin.record.onboarding import live_at
from twin.record.orders import Order, OrderForm
from twin.units import KW_PER_MW
from twin.verify import chain, fairness
from twin.verify.counterfactual import Evidence, Pair, Span, quarter_means
from twin.verify.demand_response import GAPS, NO_QUARTER, minutes_to_reach, under_cap
from twin.verify.verdict import Scope, Sheet

__all__ = ["IDS", "judge_load_management"]

IDS = (
    "lm.connected",
    "lm.connected_with_enrolled",
    "lm.connected_registered",
    "lm.monitored",
    "lm.shed",
    "lm.overshed",
    "lm.flexible",
    "lm.time",
    "lm.protected",
    "lm.protected_load",
    "lm.restoration",
    "lm.restoration_peak",
    *chain.IDS,
    *fairness.IDS,
)

ANSWERED_MS = 15 * MINUTE_MS  # a terminal counts as connected when its last answer is no older
CIRCUITS = 4
PICKUP_MS = HOUR_MS  # cold-load pick-up has faded an hour after supply returned (assumed)


def judge_load_management(evidence: Evidence) -> Sheet:
    """Return every ``lm.*`` verdict on one order."""
    order = evidence.order
    sheet = Sheet(order.id)
    pair = Pair(evidence.run, evidence.counterfactual, evidence.inventory, evidence.end_ms)
    _connected(sheet, evidence.undisturbed, evidence.inventory)
    _cut(sheet, pair, order)
    _time(sheet, pair, order)
    _protected(sheet, pair, order)
    _restoration(sheet, pair, order)
    chain.judge_chain(sheet, pair, order)
    fairness.judge_fairness(sheet, pair, order)
    return sheet


# -- what is connected -----------------------------------------------------------------------


def _peak_column(undisturbed: History, name: str) -> NDArray[np.float64]:
    return np.asarray(undisturbed.peak[name], dtype=np.float64)


def _live_terminals(inventory: Inventory, now_ms: int) -> NDArray[np.bool_]:
    """Return bool[sites]: the site's terminal has been brought in, if it has one."""
    terminal = inventory.kinds.get("terminal")
    if terminal is None or "live_ms" not in terminal.columns:
        return np.ones(inventory.sites.n, np.bool_)
    return live_at(terminal.columns, terminal.columns.i8("site"), inventory.sites.n, now_ms)


def _connected(sheet: Sheet, undisturbed: History, inventory: Inventory) -> None:
    """Judge the load behind controllable circuits at the minute of the undisturbed maximum."""
    base_mw = inventory.max_load_mw
    needed = (
        "index", "site.demand_kw", "site.circuit_kw", "site.circuit_enrolled_kw",
        "site.security_kw", "terminal.answered_ms",
    )  # fmt: skip
    missing = [name for name in needed if name not in undisturbed.peak]
    if missing:
        for id_ in IDS[:4]:
            sheet.add(id_, None, f"no record of {missing[0]} at the maximum", scope=Scope(base_mw))
        return
    sites = inventory.sites
    index = int(np.ravel(undisturbed.peak["index"])[0])
    end_ms = undisturbed.start_ms + (index + 1) * MINUTE_MS
    answers = end_ms - _peak_column(undisturbed, "terminal.answered_ms") <= ANSWERED_MS
    reached = sites.flag("terminal") & answers & _live_terminals(inventory, end_ms)
    counts = reached & ~sites.flag("protected")

    shares = sum((sites.f8(f"circuit_share_{i}") for i in range(1, CIRCUITS + 1)), 0.0)
    security = sites.f8("security_share")
    # Security load is registered behind no circuit; where shares overlap, it goes first.
    overlap = np.maximum(shares + security - 1.0, 0.0)
    security_kw = _peak_column(undisturbed, "site.security_kw")
    spared_kw = security_kw * np.divide(
        overlap, security, out=np.zeros(sites.n), where=security > 0.0
    )
    circuit_kw = _peak_column(undisturbed, "site.circuit_kw") - spared_kw
    enrolled_kw = _peak_column(undisturbed, "site.circuit_enrolled_kw")
    registered_kw = sites.f8("demand_kw") * np.minimum(shares, 1.0 - security)

    def percent(kw: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
        return 100.0 * float(np.maximum(kw[where], 0.0).sum()) / KW_PER_MW / base_mw

    about = Scope(base_mw, 1.0)
    sheet.add("lm.connected", percent(circuit_kw - enrolled_kw, counts), scope=about)
    sheet.add("lm.connected_with_enrolled", percent(circuit_kw, counts), scope=about)
    sheet.add("lm.connected_registered", percent(registered_kw, counts), scope=about)
    metered_kw = _peak_column(undisturbed, "site.demand_kw")
    sheet.add("lm.monitored", percent(metered_kw, reached), scope=about)


# -- the cut ---------------------------------------------------------------------------------


def _cut(sheet: Sheet, pair: Pair, order: Order) -> None:
    span = pair.span(order.full_by_ms, order.end_ms)
    about = Scope(order.mw, float(span.minutes))
    if order.form is OrderForm.CAP:
        under_cap(sheet, pair, order, ("lm.shed", "lm.overshed"))
    else:
        size = float("nan") if order.mw is None else order.mw
        means = quarter_means(pair.reduction_mw(span), pair.begin_ms(span))
        if len(means) == 0:
            sheet.add("lm.shed", None, NO_QUARTER, scope=about)
            sheet.add("lm.overshed", None, NO_QUARTER, scope=about)
        else:
            sheet.add("lm.shed", 100.0 * float(means.min()) / size, scope=about)
            sheet.add("lm.overshed", 100.0 * float(means.max()) / size, scope=about)
    name = "kind.enrolled_power_mw"
    if not pair.has(name) or span.minutes == 0:
        sheet.add("lm.flexible", None, "no record of enrolled devices in the window", scope=about)
        return
    run, base = (np.asarray(h.table(name, span.first, span.stop)) for h in (pair.run, pair.base))
    kinds = listed_kinds(pair.inventory, run.shape[1])
    flexible = [i for i, kind in enumerate(kinds) if kind != "terminal"]  # host load is rigid
    help_mw = (run[:, flexible].astype(np.float64) - base[:, flexible]).sum(axis=1)
    sheet.add("lm.flexible", float(help_mw.mean()), scope=about)


def _interrupted(run: History, span: Span) -> NDArray[np.bool_]:
    """Return bool[minutes, sites]: circuits open by command."""
    return np.asarray(run.table("site.interrupted", span.first, span.stop)) > 0


def _more_interrupted(pair: Pair, span: Span) -> NDArray[np.bool_]:
    """Return bool[minutes, sites]: interrupted in the run and not in the counterfactual."""
    return _interrupted(pair.run, span) & ~_interrupted(pair.base, span)


def _time(sheet: Sheet, pair: Pair, order: Order) -> None:
    """Judge the time from the end of the warning; a trip before it fails whatever the time."""
    span = pair.span(order.start_ms, order.end_ms)
    about = Scope(order.mw, float(span.minutes))
    needed = pair.needed_mw(order, span)
    if span.minutes == 0 or not np.isfinite(needed).all() or not (needed > 0.0).any():
        sheet.add("lm.time", None, "nothing was asked of the load within the run", scope=about)
        return
    minutes = minutes_to_reach(pair.reduction_mw(span), needed, kept=None)
    before = pair.span(order.notice_ms, order.start_ms)
    early = int(_more_interrupted(pair, before).any(axis=0).sum())
    if early > 0:
        reason = f"{early} sites were interrupted before the warning ended"
        sheet.add("lm.time", minutes, reason, failed=True, scope=about)
    elif minutes is None:
        sheet.add("lm.time", None, "95 % of the order was not reached", scope=about)
    else:
        sheet.add("lm.time", minutes, scope=about)


# -- whom it must not touch ------------------------------------------------------------------


def _protected(sheet: Sheet, pair: Pair, order: Order) -> None:
    span = pair.span(order.notice_ms)
    about = Scope(None, float(span.minutes))
    if span.minutes == 0:
        for id_ in ("lm.protected", "lm.protected_load"):
            sheet.add(id_, None, "the run ends before the notice", scope=about)
        return
    touched = _more_interrupted(pair, span).any(axis=0)
    count = int((touched & pair.inventory.sites.flag("protected")).sum())
    sheet.add("lm.protected", float(count), scope=about)
    run, base = pair.series("security_cut_kw", span)
    excess = np.maximum(run - base, 0.0)
    value = float(excess.max()) if np.isfinite(excess).all() else None
    sheet.add("lm.protected_load", value, None if value is not None else GAPS, scope=about)


def _restoration(sheet: Sheet, pair: Pair, order: Order) -> None:
    """Judge how long restoration takes, and the load until cold-load pick-up has faded."""
    after = pair.span(order.end_ms)
    about = Scope(None, float(after.minutes))
    if after.minutes == 0:
        for id_ in ("lm.restoration", "lm.restoration_peak"):
            sheet.add(id_, None, "the run ends with the order", scope=about)
        return
    out = _more_interrupted(pair, after)
    dark = np.flatnonzero(out.any(axis=1))
    last = int(dark[-1]) + 1 if len(dark) > 0 else 0
    if last == after.minutes:
        count = int(out[-1].sum())
        reason = f"{count} sites are still interrupted at the end of the run"
        sheet.add("lm.restoration", None, reason, scope=about)
    else:
        sheet.add("lm.restoration", float(last), scope=about)
    until_ms = pair.begin_ms(after) + last * MINUTE_MS + PICKUP_MS
    meanwhile = pair.span(order.end_ms, until_ms)
    load = pair.series("load_mw", meanwhile)[0]
    would_be = pair.series("load_mw", pair.span(pair.run.start_ms))[1]
    base_mw = float(would_be.max())
    about = Scope(base_mw, float(meanwhile.minutes))
    if not np.isfinite(load).all() or not np.isfinite(would_be).all():
        sheet.add("lm.restoration_peak", None, GAPS, scope=about)
        return
    sheet.add("lm.restoration_peak", float(load.max()) / base_mw, scope=about)
