"""What was said to be held against what was held when it was called.

The judge asks on a fork, at an order's notice: "each device holds what it can, from a quarter
of an hour after now to the end" (an order of kind ``sustained``, up or down). The logic says at
that moment what each device will hold (report table ``capability_device``, column ``held_kw``);
what it did hold is the mean power over the window against the same run without the call, from
the energies by device and quarter of an hour.

Definitions, fixed before the first measurement
    *Error of a group* (the devices of one kind, aggregator and district in one call):
    (said - held) / max(held, `FLOOR` x connected). A group of which neither said nor held
    reaches `FLOOR` of what is connected is left out: there was nothing to hold, and a per cent
    of nothing says nothing. It is counted apart.
    *Median absolute error* (the published figure): over all groups of all calls, each weighted
    with its devices. *By device*: the same with every device a group of its own; *by kind*: the
    whole fleet of a kind one group, median over calls in which it held at least `LEAST` of what
    is connected. *Signed error*: (said - held) / held of the whole fleet of a kind, summed over
    calls, where it held at least that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.record.exchange import Inventory
from twin.record.history import REPORT, History
from twin.record.orders import Order, OrderForm
from twin.units import KW_PER_MW
from twin.verify.counterfactual import Evidence, Floats, weighted_percentile
from twin.verify.verdict import NO_FORK, Scope, Sheet

__all__ = [
    "CAPABILITY_IDS",
    "FLOOR",
    "KINDS",
    "Held",
    "held_by_kind",
    "judge_held",
    "summary",
    "sustained_figures",
]  # fmt: skip

FLOOR = 0.05  # of what is connected; less is nothing to hold (assumed)
LEAST = 0.01  # of what is connected; a fleet that holds less has no signed error (assumed)
Figures: TypeAlias = Mapping[str, float | int | None]
TABLE = f"{REPORT}capability_device"
KINDS = (
    "storage", "aircon", "icestore", "charging", "swap", "industry", "hydrogen", "shorepower",
)  # fmt: skip
CAPABILITY_IDS = tuple(f"dr.capability_error_{kind}_60" for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Held:
    """One kind in one call: what each device was said to hold, and what it held.

    Attributes
    ----------
    said_kw, held_kw, connected_kw : float64[devices], positive in the direction of the call
    group : int64[devices]  aggregator and district
    """

    said_kw: Floats
    held_kw: Floats
    connected_kw: Floats
    group: NDArray[np.int64]

    def by_group(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return said, held, connected [kW] and number of devices of each group."""
        _, group = np.unique(self.group, return_inverse=True)
        n = int(group.max(initial=-1)) + 1
        parts = (self.said_kw, self.held_kw, self.connected_kw, np.ones(len(group)))
        sums = [np.bincount(group, part, n).astype(np.float64) for part in parts]
        return sums[0], sums[1], sums[2], sums[3]


def held_by_kind(
    call: History, base: History, order: Order, inventory: Inventory
) -> dict[str, Held]:
    """Return by kind what was said and what was held in the call of `order`.

    Parameters
    ----------
    call, base : the fork that was called, and the run without it
    order : the call; its window must be whole clock quarters

    Empty where the logic reported nothing, energies by device were not kept, or one of the
    runs ends before the window does.
    """
    told = call.events(TABLE)
    if call.quarters is None or base.quarters is None or not told:
        return {}
    if any(h.start_ms + h.filled * MINUTE_MS < order.end_ms for h in (call, base)):
        return {}  # one of the two ends before the window does
    mine = np.asarray(told["order"]) == order.id
    kinds = np.asarray(told["kind"])
    sites, width = inventory.sites, len(inventory.districts)
    agent = sites.i8("aggregator") if "aggregator" in sites else np.full(sites.n, -1, np.int64)
    sign = -1.0 if order.form is OrderForm.INCREASE else 1.0
    found: dict[str, Held] = {}
    for kind in np.unique(kinds[mine]).tolist():
        of = mine & (kinds == kind)
        rows = np.asarray(told["row"][of], np.int64)
        span = order.full_by_ms, order.end_ms
        energy = call.quarters.kwh(kind, *span)[:, rows]
        would_be = base.quarters.kwh(kind, *span)[:, rows]
        if len(energy) == 0 or len(energy) != len(would_be):
            continue
        held = sign * (energy - would_be).mean(axis=0) * 4.0
        column = inventory.kinds[kind].columns
        place = (agent[column.i8("site")] + 1) * width + column.i8("district")
        found[kind] = Held(
            np.asarray(told["held_kw"][of], np.float64),
            held,
            np.asarray(told["connected_kw"][of], np.float64),
            place[rows],
        )
    return found


def _errors(said: Floats, held: Floats, connected: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each error [%] and whether there was anything to hold."""
    least = FLOOR * connected
    error = 100.0 * (said - held) / np.maximum(held, np.maximum(least, 1e-9))
    return error, (said >= least) | (held >= least)


def summary(calls: Iterable[Held]) -> Figures:
    """Return the figures of one kind over `calls`; see the module for their definitions."""
    held = list(calls)
    if not held:
        return {}
    said, shown, connected, devices = (
        np.concatenate(part) for part in zip(*(h.by_group() for h in held), strict=True)
    )
    error, counts = _errors(said, shown, connected)
    single = [_errors(h.said_kw, h.held_kw, h.connected_kw) for h in held]
    alone = np.abs(np.concatenate([e[c] for e, c in single]))
    total = float(shown.sum())
    signed = 100.0 * (float(said.sum()) - total) / total if total > 0.0 else None
    signed = signed if total >= LEAST * float(connected.sum()) else None
    whole = [
        100.0 * abs(float(h.said_kw.sum()) / float(h.held_kw.sum()) - 1.0)
        for h in held
        if h.held_kw.sum() > 0.0 and h.held_kw.sum() >= LEAST * h.connected_kw.sum()
    ]
    middle = weighted_percentile(np.abs(error[counts]), devices[counts], 0.5)
    return {
        "calls": len(held),
        "connected_mw": float(connected.sum()) / len(held) / KW_PER_MW,
        "said_mw": float(said.sum()) / len(held) / KW_PER_MW,
        "held_mw": float(shown.sum()) / len(held) / KW_PER_MW,
        "signed_error_pct": signed,
        "median_error_pct": middle,
        "kind_median_error_pct": float(np.median(whole)) if whole else None,
        "device_median_error_pct": float(np.median(alone)) if len(alone) > 0 else None,
        "groups": int(counts.sum()),
        "groups_with_nothing": int((~counts).sum()),
    }


def sustained_figures(evidence: Evidence) -> dict[str, dict[str, dict[str, Figures]]]:
    """Return `summary` of each sustained call at the notice.

    By ``up`` and ``down``, by minutes for which was held (``"30"``, ...), by kind.
    """
    found: dict[str, dict[str, dict[str, Figures]]] = {}
    for order, call in evidence.sustained:
        way = "down" if order.form is OrderForm.INCREASE else "up"
        minutes = (order.end_ms - order.full_by_ms) // MINUTE_MS
        held = held_by_kind(call, evidence.counterfactual, order, evidence.inventory)
        found.setdefault(way, {})[str(minutes)] = {k: summary([one]) for k, one in held.items()}
    return found


def judge_held(sheet: Sheet, evidence: Evidence) -> None:
    """Judge what devices were said to hold for an hour upwards, kind by kind."""
    if evidence.outside:
        for id_ in CAPABILITY_IDS:
            sheet.not_applicable(id_, NO_FORK)
        return
    found = sustained_figures(evidence).get("up", {}).get("60")
    for kind, id_ in zip(KINDS, CAPABILITY_IDS, strict=True):
        value: float | None = None
        base_mw: float | None = None
        reason: str | None = None
        if found is None:
            reason = "no such call was made: the logic does not answer it, or the run is too short"
        elif not found.get(kind):
            reason = "no device of this kind was spoken for"
        else:
            value, base_mw = found[kind]["median_error_pct"], found[kind]["held_mw"]
            reason = None if value is not None else "there was nothing to hold"
        sheet.add(id_, value, reason, scope=Scope(base_mw, 60.0))
