"""The market in ``summary.json``: what was asked, bid, awarded and paid, by VPP."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.record.history import REPORT
from twin.verify import Evidence

__all__ = ["market_figures"]

_CLEARING = ("cleared_ms", "asked_mw", "awarded_mw", "short_mw", "price_cny_kwh")
_BIDS = ("cleared_ms", "aggregator", "mw", "accepted_mw", "reason")
_SUMS = ("ordered_kwh", "delivered_kwh", "paid_cny", "penalty_cny")


def market_figures(evidence: Evidence) -> dict[str, object] | None:
    """Return clearings and VPPs of one order; None where the logic reports no market.

    ``clearings`` has one entry a clearing (asked, awarded, short [MW], price [CNY/kWh]).
    ``vpps`` has one entry a VPP: what it bid and was awarded at the last clearing [MW], why not
    all of it (the answer to the largest part of its bid), and its row of the settlement.
    """
    run, order = evidence.run, evidence.order
    clearings = _rows(run.events(f"{REPORT}clearing"), order.id, _CLEARING)
    bids = _rows(run.events(f"{REPORT}bids"), order.id, _BIDS)
    if not clearings or not bids:
        return None
    settled = {
        row["aggregator"]: row
        for row in run.settlement
        if row.get("order") == order.id and row.get("site") == -1
    }
    last = bids["cleared_ms"] == bids["cleared_ms"].max()
    vpps: list[dict[str, object]] = []
    for agent in np.unique(bids["aggregator"][last]).tolist():
        mine = last & (bids["aggregator"] == agent)
        size = np.asarray(bids["mw"][mine], np.float64)
        row: dict[str, object] = {"aggregator": agent, **_named(evidence, agent)}
        row |= {
            "bid_mw": float(size.sum()),
            "awarded_mw": float(np.asarray(bids["accepted_mw"][mine], np.float64).sum()),
            "answer": str(bids["reason"][mine][int(np.argmax(size))]),
        }
        done = settled.get(agent, {})
        vpps.append({**row, **{name: done.get(name, 0.0) for name in _SUMS}})
    return {
        "clearings": [
            dict(zip(_CLEARING, values, strict=True))
            for values in zip(*(clearings[n].tolist() for n in _CLEARING), strict=True)
        ],
        "vpps": vpps,
    }


def _rows(
    table: Mapping[str, NDArray[np.generic]], order_id: str, needed: tuple[str, ...]
) -> dict[str, NDArray[np.generic]]:
    """Return the rows of one order, nothing where there are none or a column is missing.

    Any logic may report a table of this name; what it holds is its own affair.
    """
    if not {"order", *needed} <= table.keys():
        return {}
    mine = table["order"] == order_id
    return {k: table[k][mine] for k in needed} if bool(np.any(mine)) else {}


def _named(evidence: Evidence, agent: int) -> dict[str, str]:
    """Return the names under which a VPP is registered."""
    known = evidence.inventory.aggregators
    if not 0 <= agent < known.n or "name" not in known:
        return {}
    return {"name": str(known["name"][agent]), "name_zh": str(known["name_zh"][agent])}
