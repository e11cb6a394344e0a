"""Figures for ``summary.json``: what is connected, what is adjustable, what the day was like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, format_time_of_day
from twin.record.columns import Columns
from twin.record.exchange import Inventory, Outcome
from twin.record.history import History
from twin.record.monitor import DEVICE_KINDS, listed_kinds
from twin.record.onboarding import live
from twin.results.emissions import emission_figures
from twin.results.market import market_figures
from twin.units import KW_PER_MW
from twin.verify import Evidence, Pair, Verdict, baseline_figures, sustained_figures

__all__ = ["PUBLISHED_MAX_LOAD_MW", "RunFacts", "adjustable_mw", "connected_mw", "summarise"]

# Maximum load of Guangzhou, published: 8 July 2024, 13:40.
PUBLISHED_MAX_LOAD_MW = 22_489.0

# Verdicts that are shares of the scenario's maximum load.
_OF_MAX_LOAD = ("dr.capability", "lm.connected", "lm.monitored")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What only the composition root knows of a run.

    Attributes
    ----------
    wall_s : seconds by phase and ``total``
    simulated_s : length of the ordered day
    peak_rss_mib : of all processes together
    buses, branches, load_flows : of the network and of all runs
    plan_adjustable_mw : what the city's plan itself expects for the year, or None
    """

    wall_s: Mapping[str, float]
    simulated_s: float
    peak_rss_mib: float
    buses: int
    branches: int
    load_flows: int
    plan_adjustable_mw: float | None = None
    warnings: Sequence[str] = field(default_factory=tuple)


def device_counts(inventory: Inventory) -> dict[str, int]:
    """Return the number of devices by kind, in listing order."""
    return {k: inventory.kinds[k].n for k in DEVICE_KINDS if k in inventory.kinds}


def connected_mw(inventory: Inventory, now_ms: int | None = None) -> dict[str, float]:
    """Return registered electrical rating by kind [MW], at `now_ms` of the live ones only."""
    found = {}
    for kind in DEVICE_KINDS:
        if kind in inventory.kinds:
            columns = inventory.kinds[kind].columns
            rated = columns.f8("rated_kw")
            counts = rated if now_ms is None else rated[live(columns, now_ms)]
            found[kind] = float(counts.sum()) / KW_PER_MW
    return found


def reduction_by_kind_mw(pair: Pair, from_ms: int, to_ms: int) -> dict[str, float]:
    """Return the mean reduction of enrolled devices over the window by kind [MW]."""
    name = "kind.enrolled_power_mw"
    span = pair.span(from_ms, to_ms)
    if not pair.has(name) or span.minutes == 0:
        return {}
    run, base = (
        np.asarray(h.table(name, span.first, span.stop), np.float64) for h in (pair.run, pair.base)
    )
    kinds = listed_kinds(pair.inventory, run.shape[1])
    mean = (run - base).mean(axis=0)
    return {k: float(v) for k, v in zip(kinds, mean, strict=True) if k in pair.inventory.kinds}


def adjustable_mw(evidences: Sequence[Evidence]) -> dict[str, float]:
    """Return what the capability call of the first order that has one drew from each kind.

    Mean over the event window [MW]; empty where no call was run.
    """
    for given in evidences:
        if given.capability is not None:
            pair = Pair(given.capability, given.counterfactual, given.inventory, given.end_ms)
            return reduction_by_kind_mw(pair, given.order.full_by_ms, given.order.end_ms)
    return {}


def summarise(
    evidences: Sequence[Evidence],
    undisturbed: History,
    final: History,
    inventory: Inventory,
    verdicts: Sequence[Verdict],
    facts: RunFacts,
) -> dict[str, object]:
    """Return everything of ``summary.json`` that a finished run adds to what was known before."""
    total_s = facts.wall_s.get("total", float("nan"))
    adjustable = adjustable_mw(evidences)
    return {
        "wall_s": dict(facts.wall_s),
        "realtime_factor": facts.simulated_s / total_s if total_s > 0.0 else None,
        "peak_rss_mib": facts.peak_rss_mib,
        "max_load_mw": inventory.max_load_mw,
        "sites": inventory.sites.n,
        "devices": device_counts(inventory),
        "connected_mw": connected_mw(inventory, _peak_ms(undisturbed)),
        "adjustable_mw": adjustable,
        "buses": facts.buses,
        "branches": facts.branches,
        "load_flows": facts.load_flows,
        "verdicts": [v.to_dict() for v in verdicts],
        "figures": {
            "registered_mw": connected_mw(inventory),
            **_totals(adjustable, inventory, facts, _peak_ms(undisturbed)),
            **_day(undisturbed, final, inventory),
            "emissions": emission_figures(undisturbed, final, evidences),
            "over_published_max_load": _over_published(verdicts, inventory.max_load_mw),
            "orders": {e.order.id: _order(e) for e in evidences},
            "writes": _writes(final),
        },
        "warnings": list(facts.warnings),
    }


def _totals(
    adjustable: Mapping[str, float], inventory: Inventory, facts: RunFacts, peak_ms: int
) -> dict[str, object]:
    enrolled = sum(
        float(known.columns.f8("rated_kw")[_enrolled(known.columns, peak_ms)].sum())
        for name, known in inventory.kinds.items()
        if name in DEVICE_KINDS and name != "terminal"
    )
    called = sum(adjustable.values()) if adjustable else None
    return {
        "connected_flexible_mw": enrolled / KW_PER_MW,
        "adjustable_total_mw": called,
        "plan_adjustable_mw": facts.plan_adjustable_mw,
        "adjustable_over_connected": (
            None if called is None or enrolled <= 0.0 else called * KW_PER_MW / enrolled
        ),
    }


def _enrolled(columns: Columns, now_ms: int) -> NDArray[np.bool_]:
    """Return which devices take part in demand response and are live."""
    return columns.flag("enrolled") & live(columns, now_ms)


def _over_published(verdicts: Sequence[Verdict], max_load_mw: float) -> dict[str, float]:
    """Return the shares of maximum load over the published maximum as well [%]."""
    scale = max_load_mw / PUBLISHED_MAX_LOAD_MW
    return {
        v.id if v.order is None else f"{v.id} {v.order}": v.value * scale
        for v in verdicts
        if v.value is not None and v.base_mw == max_load_mw and v.id.startswith(_OF_MAX_LOAD)
    }


def _peak(history: History) -> tuple[int, float]:
    """Return row and size of the largest load, (-1, NaN) where none was recorded."""
    if "load_mw" not in history.scalars:
        return -1, float("nan")
    load = history.series("load_mw")
    if len(load) == 0 or not np.isfinite(load).any():
        return -1, float("nan")
    row = int(np.nanargmax(load))
    return row, float(load[row])


def _peak_ms(history: History) -> int:
    """Return the moment of the largest load, the begin of the run where none was recorded."""
    return history.start_ms + max(_peak(history)[0], 0) * MINUTE_MS


def _day(undisturbed: History, final: History, inventory: Inventory) -> dict[str, object]:
    """Return the maxima of both days, and what carries the undisturbed one."""
    found: dict[str, object] = {"published_max_load_mw": PUBLISHED_MAX_LOAD_MW}
    for name, history in (("undisturbed", undisturbed), ("ordered", final)):
        row, load_mw = _peak(history)
        found[f"{name}_max_mw"] = load_mw
        at_ms = history.start_ms + row * MINUTE_MS
        found[f"{name}_max_at"] = format_time_of_day(at_ms) if row >= 0 else None
        for total in ("tap_moves", "capacitor_moves"):
            if total in history.scalars:
                found[f"{name}_{total}"] = float(np.nansum(history.series(total)))
        if "losses_mw" in history.scalars:
            found[f"{name}_losses_mwh"] = float(np.nansum(history.series("losses_mw"))) / 60.0
        found[f"{name}_divergences"] = sum(i.kind == "divergence" for i in history.incidents)
    row, load_mw = _peak(undisturbed)
    if row < 0:
        return found
    if "kind.power_mw" in undisturbed.tables:
        kinds = listed_kinds(inventory, undisturbed.tables["kind.power_mw"][0])
        power = np.asarray(undisturbed.table("kind.power_mw", row, row + 1), np.float64)[0]
        held = dict(zip(kinds, power.tolist(), strict=True))
        found["standing_peak_cut_by_tariff_mw"] = held.get("storage", 0.0)
    parts = [n for n in ("aircon_modelled_mw", "aircon_background_mw") if n in undisturbed.scalars]
    if parts:
        cooling = sum(float(undisturbed.series(n, row, row + 1)[0]) for n in parts)
        found["aircon_share_at_max"] = cooling / load_mw
    return found


def _order(given: Evidence) -> dict[str, object]:
    """Return who delivered what in the order's window, and the energies around it."""
    order = given.order
    pair = Pair(given.run, given.counterfactual, given.inventory, given.end_ms)
    span = pair.span(order.full_by_ms, order.end_ms)
    sites = pair.enrolled() if order.kind == "demand_response" else None
    reduction = pair.reduction_mw(span, sites)
    return {
        "kind": str(order.kind),
        "mw": order.mw,
        "mean_reduction_mw": float(reduction.mean()) if span.minutes > 0 else None,
        "energy_mwh": float(reduction.sum()) / 60.0,
        "by_kind_mw": reduction_by_kind_mw(pair, order.full_by_ms, order.end_ms),
        "flexibility": sustained_figures(given),
        "baselines": baseline_figures(given),
        "market": market_figures(given),
        "interrupted_sites": int(
            (np.asarray(given.run.table("site.interrupted", span.first, span.stop)) > 0)
            .any(axis=0)
            .sum()
        ),
    }


def _writes(final: History) -> dict[str, int]:
    """Return the number of written values by outcome."""
    commands = final.events("commands")
    outcome = np.asarray(commands.get("outcome", np.empty(0)), np.int64)
    count = np.bincount(outcome, minlength=len(Outcome))
    return {o.name.lower(): int(count[o]) for o in Outcome}
