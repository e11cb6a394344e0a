"""What a curtailment reports of itself: its plans, the measures in use, the ledger of sites."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.load_management.choice import Offer, Ranking
from twin.control.load_management.measures import measure_of
from twin.control.load_management.rounds import Rounds
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]
Table = Mapping[str, NDArray[np.generic]]

QUARTER_MS = 15 * MINUTE_MS


def plan_row(now_ms: int, order_id: str, offer: Offer, ranking: Ranking) -> Table:
    """Return one row on a plan: circuits and sites that it opens for the cut that is asked.

    Loss [CNY], gap and nodes are NaN where the choice weighs no loss.
    """
    circuit, row = np.nonzero(np.isfinite(ranking.rank) & offer.may)
    turn = np.lexsort((row, circuit, ranking.rank[circuit, row]))
    circuit, row = circuit[turn], row[turn]
    kw = offer.kw[circuit, row]
    chosen = np.cumsum(kw) - kw < offer.need_kw
    numbers = {
        "circuits": float(chosen.sum()),
        "sites": float(len(np.unique(row[chosen]))),
        "kw": float(kw[chosen].sum()),
        "need_kw": offer.need_kw,
        "able_kw": float(kw.sum()),
    }
    for name in ("loss_cny", "bound_cny", "gap", "nodes"):
        numbers[name] = float(ranking.plan.get(name, np.nan))
    return {
        "now_ms": np.array([now_ms], np.int64),
        "order": np.array([order_id], "U24"),
        "how": np.array([str(ranking.plan.get("how", ""))], "U24"),
        **{name: np.array([value]) for name, value in numbers.items()},
    }


def measures_rows(
    now_ms: int, order_id: str, rounds: Rounds, cut_kw: Floats, flexible_kw: Mapping[str, float]
) -> Table:
    """Return one row a measure: what it takes off the load now [MW].

    Parameters
    ----------
    cut_kw : float64[4, n]  of each circuit
    flexible_kw : of each flexible kind in use
    """
    measures = rounds.rules.measures
    number = measure_of(np.asarray(rounds.memory["step"], np.int64))
    held = number >= 0
    cut = np.bincount(number[held], cut_kw[held], len(measures))
    for place, measure in enumerate(measures):
        cut[place] += sum(flexible_kw.get(kind, 0.0) for kind in measure.kinds)
    n = len(measures)
    return {
        "now_ms": np.full(n, now_ms, np.int64),
        "order": np.full(n, order_id, "U24"),
        "measure": np.array([m.name for m in measures], "U24"),
        "mw": cut / KW_PER_MW,
    }


def ledger_rows(now_ms: int, order_id: str, rounds: Rounds) -> Table:
    """Return one row a site behind a terminal: energy cut under this and earlier orders [kWh]."""
    return {
        "now_ms": np.full(rounds.n, now_ms, np.int64),
        "order": np.full(rounds.n, order_id, "U24"),
        "site": rounds.site.astype(np.int64),
        "cut_kwh": rounds.memory["ledger_kwh"].copy(),
    }
