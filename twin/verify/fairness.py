"""Who bore a cut: the energy kept from each site by command, over what it has contracted.

Cut energy of a site is what its meter shows less than in the counterfactual, over the minutes in
which circuits of it are open by command. Only sites that can be cut are compared: behind a
terminal and not protected.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.record.orders import Order
from twin.verify.counterfactual import Floats, Pair
from twin.verify.verdict import Scope, Sheet

__all__ = ["IDS", "cut_kwh", "gini", "judge_fairness"]

IDS = ("lm.fairness", "lm.fairness_district")
MINUTES_PER_H = 60.0
_CHUNK_MINUTES = 64  # keeps the copies of a table of 30 000 sites small


def gini(values: Floats) -> float | None:
    """Return the Gini coefficient of values that are 0 or more, None where all are 0.

    0: all alike; (n - 1) / n: one has everything.

    Examples
    --------
    >>> gini(np.array([1.0, 1.0, 1.0, 1.0]))
    0.0
    >>> gini(np.array([0.0, 0.0, 0.0, 8.0]))
    0.75
    """
    total = float(values.sum())
    if len(values) == 0 or total <= 0.0:
        return None
    ordered = np.sort(values)
    n = len(ordered)
    place = 2.0 * np.arange(1, n + 1) - n - 1.0
    return float((place * ordered).sum() / (n * total))


def cut_kwh(pair: Pair, order: Order) -> Floats:
    """Return float64[sites], the energy that commands of `order` kept from each site."""
    span = pair.span(order.notice_ms)
    total = np.zeros(pair.inventory.sites.n)
    for first in range(span.first, span.stop, _CHUNK_MINUTES):
        stop = min(first + _CHUNK_MINUTES, span.stop)
        is_open = np.asarray(pair.run.table("site.interrupted", first, stop)) > 0
        is_open &= np.asarray(pair.base.table("site.interrupted", first, stop)) == 0
        run = np.asarray(pair.run.table("site.demand_kw", first, stop), np.float64)
        base = np.asarray(pair.base.table("site.demand_kw", first, stop), np.float64)
        total += np.where(is_open, base - run, 0.0).sum(axis=0)
    return np.maximum(total, 0.0) / MINUTES_PER_H


def comparable(pair: Pair) -> NDArray[np.bool_]:
    """Return bool[sites]: behind a terminal, not protected, with a contract."""
    sites = pair.inventory.sites
    can = sites.flag("terminal") & ~sites.flag("protected")
    return np.asarray(can & (sites.f8("contracted_kw") > 0.0))


def judge_fairness(sheet: Sheet, pair: Pair, order: Order) -> None:
    """Add the Gini coefficients by site and by district."""
    about = Scope(order.mw, float(pair.span(order.notice_ms).minutes))
    sites, can = pair.inventory.sites, comparable(pair)
    kwh, contracted = cut_kwh(pair, order)[can], sites.f8("contracted_kw")[can]
    nobody = "nobody was cut" if can.any() else "no site can be cut"
    value = gini(kwh / contracted)
    sheet.add("lm.fairness", value, None if value is not None else nobody, scope=about)
    district = sites.i8("district")[can] if "district" in sites else np.zeros(len(kwh), np.int64)
    width = max(len(pair.inventory.districts), 1)
    held = np.bincount(district, contracted, width)
    given = np.bincount(district, kwh, width)
    value = gini(np.asarray(given[held > 0.0] / held[held > 0.0], np.float64))
    sheet.add("lm.fairness_district", value, None if value is not None else nobody, scope=about)
