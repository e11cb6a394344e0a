"""What an order costs everybody together, in CNY at the prices of ``twin/record/costs.toml``.

Run minus counterfactual, from records only. Five parts, no kilowatt-hour in two of them: what
is paid for reductions, production that is lost, supply of others that is interrupted, warmth,
and charge that is missing at departure. Penalties pass from hand to hand and are no cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.record.costs import VALUE, Costs, costs
from twin.record.history import History
from twin.record.monitor import listed_kinds
from twin.record.orders import Order, OrderKind
from twin.record.quarters import QUARTER_MS
from twin.units import KW_PER_MW
from twin.verify.counterfactual import Evidence, Floats, Pair, Span
from twin.verify.verdict import Scope, Sheet

__all__ = ["COST_IDS", "judge_cost"]

Flags = NDArray[np.bool_]

PARTS = ("compensation", "production", "interruption", "discomfort", "charging")
PREFIX = {OrderKind.DEMAND_RESPONSE: "dr", OrderKind.LOAD_MANAGEMENT: "lm"}
COST_IDS = {
    kind: (f"{prefix}.cost", *(f"{prefix}.cost_{part}" for part in PARTS))
    for kind, prefix in PREFIX.items()
}
# Loss of production that the supply graph spreads, where a run has one [CNY in the minute].
CHAIN = ("chain_direct_cny", "chain_downstream_cny")
EMPTY_H = 1e-3  # of stock: a line's downstream stands still
CHUNK = 64  # minutes of a table at once


@dataclass(frozen=True, slots=True)
class Amount:
    """A part of the cost [CNY], None where the record does not tell, and what it is made of."""

    cny: float | None
    about: str | None = None


def judge_cost(evidence: Evidence) -> Sheet:
    """Return ``dr.cost`` or ``lm.cost`` of one order, and its parts."""
    order = evidence.order
    pair = Pair(evidence.run, evidence.counterfactual, evidence.inventory, evidence.end_ms)
    span = pair.span(order.notice_ms)
    table = costs()
    unserved = _unserved_kwh(pair, span)
    dark = unserved >= 0.0
    unserved = np.maximum(unserved, 0.0)
    production, interruption = _losses(pair, span, unserved, table)
    parts = (
        _compensation(pair, order, dark, table),
        production,
        interruption,
        _discomfort(pair, span, dark, table),
        _missing_charge(pair, order, table),
    )
    known = [part.cny for part in parts if part.cny is not None]
    whole = len(known) == len(parts)
    total = float(sum(known)) if whole else None
    lacking = [name for name, part in zip(PARTS, parts, strict=True) if part.cny is None]
    reason = None if whole else f"no record of {', '.join(lacking)}"
    sheet, about = Sheet(order.id), Scope(None, float(span.minutes))
    ids = COST_IDS[order.kind]
    sheet.add(ids[0], total, reason, scope=about)
    for id_, part in zip(ids[1:], parts, strict=True):
        sheet.add(id_, part.cny, part.about, scope=about)
    return sheet


# -- circuits that were opened ---------------------------------------------------------------


def _unserved_kwh(pair: Pair, span: Span) -> Floats:
    """Return float64[sites], energy not drawn while circuits were open by command.

    Negative infinity where none was opened beyond the counterfactual.
    """
    n = pair.inventory.sites.n
    kwh, touched = np.zeros(n), np.zeros(n, np.bool_)
    for first in range(span.first, span.stop, CHUNK):
        stop = min(first + CHUNK, span.stop)
        is_open, would_be = (
            np.asarray(h.table("site.interrupted", first, stop)) for h in (pair.run, pair.base)
        )
        more = (is_open > 0) & (would_be == 0)
        if not more.any():
            continue
        touched |= more.any(axis=0)
        drawn, would_draw = (
            np.asarray(h.table("site.demand_kw", first, stop), np.float64)
            for h in (pair.run, pair.base)
        )
        kwh += np.where(more, would_draw - drawn, 0.0).sum(axis=0) / 60.0
    return np.where(touched, np.maximum(kwh, 0.0), -np.inf)


def _losses(pair: Pair, span: Span, unserved: Floats, table: Costs) -> tuple[Amount, Amount]:
    """Return lost production, and the cost of interrupting everybody else."""
    inventory = pair.inventory
    value = table.site_values(inventory)
    works = np.zeros(inventory.sites.n, np.bool_)
    if "sector" in inventory.sites and "industry" in inventory.sectors:
        works = inventory.sites.i8("sector") == inventory.sectors.index("industry")
    if pair.has(CHAIN[0]) and VALUE in inventory.sites:
        # The graph's record counts every site that registers a value.
        works = np.nan_to_num(inventory.sites.f8(VALUE)) > 0.0
        spread = 0.0
        for name in CHAIN:
            if pair.has(name):
                run, base = pair.series(name, span)
                spread += float(np.nansum(run) - np.nansum(base))
        lost, about = spread, "by the supply graph"
    else:
        lost, about = float((unserved * value)[works].sum()), "energy not served at its value"
    dry_kwh = _dry_kwh(pair, span)
    if dry_kwh > 0.0:
        about = f"{about}; paused lines ran {dry_kwh:.0f} kWh of stock dry"
    others = float((unserved * value)[~works].sum())
    mwh = float(unserved[~works].sum()) / KW_PER_MW
    return (
        Amount(lost + table.dry_line * dry_kwh, about),
        Amount(others, f"{mwh:.1f} MWh not served beside industry"),
    )


def _dry_kwh(pair: Pair, span: Span) -> float:
    """Return what paused lines would have drawn while their stock was empty, in excess [kWh]."""
    if "industry" not in pair.inventory.kinds or not pair.has("industry.stock_h"):
        return 0.0
    columns = pair.inventory.kinds["industry"].columns
    run, base = (
        np.asarray(h.table("industry.stock_h", span.first, span.stop)) <= EMPTY_H
        for h in (pair.run, pair.base)
    )
    minutes = np.maximum(run.sum(axis=0, dtype=np.int64) - base.sum(axis=0, dtype=np.int64), 0)
    return float((minutes * columns.f8("rated_kw")).sum()) / 60.0


# -- what is paid ----------------------------------------------------------------------------


def _compensation(pair: Pair, order: Order, dark: Flags, table: Costs) -> Amount:
    """Return true reductions of enrolled devices at their prices, from start to end.

    A device whose site was interrupted is not paid: that is priced as interruption.
    """
    if pair.run.quarters is None or pair.base.quarters is None:
        return _compensation_by_kind(pair, order, table)
    from_ms = order.start_ms - order.start_ms % QUARTER_MS
    to_ms = min(order.end_ms, pair.end_ms)
    to_ms += -to_ms % QUARTER_MS
    cny, kwh = 0.0, 0.0
    for kind in pair.run.quarters.widths:
        if kind not in pair.inventory.kinds:
            continue
        columns = pair.inventory.kinds[kind].columns
        paid = columns.flag("enrolled") & ~dark[columns.i8("site")]
        run, base = (
            h.kwh(kind, from_ms, to_ms).sum(axis=0) for h in (pair.run.quarters, pair.base.quarters)
        )
        given = np.where(paid, np.maximum(run - base, 0.0), 0.0)
        cny += float((given * table.offers(kind, columns)).sum())
        kwh += float(given.sum())
    return Amount(cny, f"{kwh / KW_PER_MW:.1f} MWh of reduction")


def _compensation_by_kind(pair: Pair, order: Order, table: Costs) -> Amount:
    """Return the same from sums by kind, at the mean price over ratings."""
    name, span = "kind.enrolled_power_mw", pair.span(order.start_ms, order.end_ms)
    if not pair.has(name) or span.minutes == 0:
        return Amount(None, "no record of enrolled devices in the window")
    run, base = (np.asarray(h.table(name, span.first, span.stop)) for h in (pair.run, pair.base))
    mwh = np.maximum((run.astype(np.float64) - base).sum(axis=0), 0.0) / 60.0
    cny = 0.0
    for i, kind in enumerate(listed_kinds(pair.inventory, run.shape[1])):
        if kind == "terminal" or kind not in pair.inventory.kinds:
            continue
        columns = pair.inventory.kinds[kind].columns
        rated = columns.f8("rated_kw")
        price = float((rated * table.offers(kind, columns)).sum()) / max(float(rated.sum()), 1e-9)
        cny += float(mwh[i]) * KW_PER_MW * price
    return Amount(cny, "by kind, at mean prices")


# -- people ----------------------------------------------------------------------------------


def _discomfort(pair: Pair, span: Span, dark: Flags, table: Costs) -> Amount:
    """Return warmth of people in buildings that stayed on supply."""
    if "aircon" not in pair.inventory.kinds:
        return Amount(0.0, "no building is modelled")
    if not (pair.has("aircon.temperature_c") and pair.has("aircon.occupied")):
        return Amount(None, "no record of indoor temperatures")
    columns = pair.inventory.kinds["aircon"].columns
    use = columns.i8("use") if "use" in columns else np.zeros(columns.n, np.int64)
    people = columns.f8("floor_m2") * table.persons_per_m2[use]
    people = np.where(dark[columns.i8("site")], 0.0, people)
    warmth = []
    for history in (pair.run, pair.base):
        kelvin_h = 0.0
        for first in range(span.first, span.stop, CHUNK):
            stop = min(first + CHUNK, span.stop)
            over = _table(history, "aircon.temperature_c", first, stop) - table.comfort_from_c
            there = _table(history, "aircon.occupied", first, stop)
            kelvin_h += float((np.maximum(over, 0.0) * there).sum(axis=0) @ people) / 60.0
        warmth.append(kelvin_h)
    kelvin_h = warmth[0] - warmth[1]
    return Amount(table.discomfort * kelvin_h, f"{kelvin_h:.0f} person·K·h above 26 °C")


def _table(history: History, name: str, first: int, stop: int) -> Floats:
    return np.asarray(history.table(name, first, stop), np.float64)


def _missing_charge(pair: Pair, order: Order, table: Costs) -> Amount:
    """Return what all sessions together miss at departure, from the notice on."""
    if "charging" not in pair.inventory.kinds:
        return Amount(0.0, "no charging station is modelled")
    missing = []
    for history in (pair.run, pair.base):
        sessions = history.events("charging.sessions")
        if len(sessions) == 0:
            missing.append(0.0)
            continue
        ended = np.asarray(sessions["now_ms"])
        count = (ended > order.notice_ms) & (ended <= pair.end_ms)
        asked, got = (np.asarray(sessions[k], np.float64)[count] for k in ("asked_kwh", "got_kwh"))
        missing.append(float(np.maximum(asked - got, 0.0).sum()))
    kwh = missing[0] - missing[1]
    return Amount(table.missing_charge * kwh, f"{kwh:.0f} kWh missing at departure")
