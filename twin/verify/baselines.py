"""Customer baselines against the exact counterfactual, and who gains by bending them.

The logic reports table ``baselines`` (order, method, site, quarter_ms, kw) when an order has
ended. What each site would really have drawn is known: its meter in the run without the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.record.history import REPORT, History
from twin.units import KW_PER_MW
from twin.verify.counterfactual import QUARTER_MIN, Evidence, Floats
from twin.verify.verdict import NO_REPORT, Scope, Sheet

__all__ = ["BASELINE_IDS", "METHODS", "Reported", "baseline_figures", "judge_baselines"]

METHODS = ("guangzhou_2021", "mean_10", "high_4_of_5", "regression")
USUAL = METHODS[0]  # where settlement names no method of its own
BASELINE_IDS = (
    "dr.baseline_error",
    *(f"dr.baseline_{what}_{method}" for what in ("mae", "bias") for method in METHODS),
)
NO_HISTORY = "no history"
QUARTER_MS = QUARTER_MIN * MINUTE_MS
QUARTER_H = QUARTER_MIN / 60.0


@dataclass(frozen=True, slots=True)
class Reported:
    """What was reported of an order, with the truth beside it; float64[quarters, sites] in kW.

    Attributes
    ----------
    sites : int64[sites]  rows of the inventory
    by_method : what each method says, NaN where it says nothing
    would_kw, metered_kw : meters of the counterfactual and of the run
    """

    sites: NDArray[np.int64]
    by_method: Mapping[str, Floats]
    would_kw: Floats
    metered_kw: Floats


def judge_baselines(sheet: Sheet, evidence: Evidence) -> None:
    """Add the figures of every method to `sheet`."""
    if evidence.history_days == 0:
        for id_ in BASELINE_IDS:
            sheet.not_applicable(id_, NO_HISTORY)
        return
    found = reported(evidence)
    if found is None:
        for id_ in BASELINE_IDS:
            sheet.not_applicable(id_, NO_REPORT)
        return
    figures = {name: _errors(found, kw, None) for name, kw in found.by_method.items()}
    minutes = float(len(found.would_kw) * QUARTER_MIN)
    about = Scope(float(found.would_kw.mean(axis=0).sum()) / KW_PER_MW, minutes)
    settled = _settled_by(evidence)
    own, size_mw, beside = figures.get(settled, {}).get("mae_pct"), evidence.order.mw, ""
    if own is not None and size_mw is not None and about.base_mw is not None:
        beside = f", {own * about.base_mw / size_mw:.1f} % of the order"
    sheet.add("dr.baseline_error", own, f"{settled}{beside}", scope=about)
    for what in ("mae", "bias"):
        for method in METHODS:
            value = figures.get(method, {}).get(f"{what}_pct")
            reason = NO_REPORT if value is None else None
            sheet.add(f"dr.baseline_{what}_{method}", value, reason, scope=about)


def _settled_by(evidence: Evidence) -> str:
    """Return the customer baseline by which the order was settled."""
    names = [
        str(row.get("baseline"))
        for row in evidence.run.settlement
        if row.get("order") == evidence.order.id
    ]
    return next((name for name in names if name in METHODS), USUAL)


def reported(evidence: Evidence) -> Reported | None:
    """Return what the logic reported of this order, None where it is nothing that can be used."""
    rows = evidence.run.events(f"{REPORT}baselines")
    if not {"order", "method", "site", "quarter_ms", "kw"} <= rows.keys():
        return None
    at = np.asarray(rows["quarter_ms"], np.int64)
    site = np.asarray(rows["site"], np.int64)
    runs = (evidence.run, evidence.counterfactual)
    start_ms = evidence.run.start_ms
    end_ms = min(start_ms + min(run.filled for run in runs) * MINUTE_MS, evidence.end_ms)
    own = np.asarray(rows["order"]) == evidence.order.id
    own &= (at >= start_ms) & (at + QUARTER_MS <= end_ms) & (at % QUARTER_MS == 0)
    own &= (site >= 0) & (site < evidence.inventory.sites.n)
    own[own] &= evidence.inventory.sites.flag("enrolled")[site[own]]
    if not own.any():
        return None
    sites, column = np.unique(site[own], return_inverse=True)
    quarters, row = np.unique(at[own], return_inverse=True)
    method, kw = np.asarray(rows["method"])[own], np.asarray(rows["kw"], np.float64)[own]
    by_method = {}
    for name in dict.fromkeys((*METHODS, *np.unique(method).tolist())):
        mine = method == name
        if mine.any():
            said = np.full((len(quarters), len(sites)), np.nan)
            said[row[mine], column[mine]] = kw[mine]
            by_method[name] = said
    would, metered = (_meters(run, quarters, sites) for run in reversed(runs))
    return Reported(sites, by_method, would, metered)


def _meters(run: History, quarters: NDArray[np.int64], sites: NDArray[np.int64]) -> Floats:
    """Return float64[quarters, sites], means of the meters over the quarters that begin then."""
    out = np.empty((len(quarters), len(sites)))
    for i, at_ms in enumerate(quarters.tolist()):
        first = (at_ms - run.start_ms) // MINUTE_MS
        kw = run.table("site.demand_kw", first, first + QUARTER_MIN)[:, sites]
        out[i] = kw.mean(axis=0, dtype=np.float64)
    return out


def _errors(
    found: Reported, said_kw: Floats, who: NDArray[np.bool_] | None
) -> dict[str, float | int | None]:
    """Return the errors of one method over the sites `who` (None: all that are reported)."""
    chosen = np.isfinite(said_kw).all(axis=0)
    chosen &= True if who is None else who
    said, would = said_kw[:, chosen], found.would_kw[:, chosen]
    metered = found.metered_kw[:, chosen]
    size_kw = float(np.abs(would).sum(axis=1).mean()) if chosen.any() else 0.0
    if not size_kw > 0.0:
        return {"sites": int(chosen.sum()), "mae_pct": None, "bias_pct": None,
                "site_mae_pct": None, "overpaid_kwh": None}  # fmt: skip
    error = said - would
    # Settled by this baseline a site is paid for what it says is missing at the meter.
    paid = np.maximum(said - metered, 0.0) - np.maximum(would - metered, 0.0)
    return {
        "sites": int(chosen.sum()),
        "mae_pct": 100.0 * float(np.abs(error.sum(axis=1)).mean()) / size_kw,
        "bias_pct": 100.0 * float(error.sum(axis=1).mean()) / size_kw,
        "site_mae_pct": 100.0 * float(np.abs(error).sum(axis=1).mean()) / size_kw,
        "overpaid_kwh": float(paid.sum()) * QUARTER_H,
    }


def baseline_figures(evidence: Evidence) -> dict[str, object]:
    """Return by method its errors over all enrolled sites, and by who games and who does not.

    ``gaming.0`` and so on are the scenario's groups.

    ``mae_pct`` and ``bias_pct`` are of the sum of the sites, ``site_mae_pct`` of each site, all
    over the sites' counterfactual demand; ``overpaid_kwh`` is what would be paid beyond the true
    reduction, site by site and quarter by quarter. Empty without history or report.
    """
    found = None if evidence.history_days == 0 else reported(evidence)
    if found is None:
        return {}
    gaming = evidence.gaming
    table: dict[str, object] = {}
    for name, said_kw in found.by_method.items():
        row: dict[str, object] = dict(_errors(found, said_kw, None))
        if gaming is not None:
            group = gaming[found.sites]
            row["honest"] = _errors(found, said_kw, group < 0)
            row["gaming"] = _errors(found, said_kw, group >= 0)
            for number in range(int(gaming.max()) + 1):
                row[f"gaming.{number}"] = _errors(found, said_kw, group == number)
        table[name] = row
    return table
