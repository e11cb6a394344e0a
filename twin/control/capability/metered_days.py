"""Whether the day that was watched was a usual one, by the meters of the days before.

Who comes to charge on one day is chance as much as habit. Weeks of metered days are seldom wrong
about it: where only chargers change at a site, what its meter shows on other days of the sort,
less what it showed on the day that was watched, is what was chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.record.exchange import Calendar, Inventory

__all__ = ["unusual_share"]

Floats = NDArray[np.float64]
NOT_AT_SITES = ("meter", "terminal", "busbar")  # what measures and switches draws nothing


def unusual_share(
    inventory: Inventory, calendar: Calendar, kind: str, use: NDArray[np.int64], uses: int
) -> Floats | None:
    """Return what to add to yesterday's demand of a kind to have a usual day's.

    Parameters
    ----------
    kind : such as ``charging``
    use : int64[n]  group of each device, below `uses`

    Returns
    -------
    float64[96, uses], of the rating, 0 for groups of which no site is metered; None without
    metered days, or where the last of them is of another sort than today
    """
    history = calendar.history
    if history is None or history.day[-1] != -1 or history.workday[-1] != calendar.workday:
        return None
    like = history.workday == calendar.workday
    columns, sites = inventory.kinds[kind].columns, inventory.sites
    site = columns.i8("site")
    others = np.zeros(sites.n, np.bool_)
    for name, one in inventory.kinds.items():
        if name != kind and name not in NOT_AT_SITES and "site" in one.columns:
            others[one.columns.i8("site")] = True
    metered = np.asarray(np.isfinite(history.demand_kw).all(axis=(0, 1)))
    found = np.zeros((history.demand_kw.shape[1], uses))
    for group in range(uses):
        mine = (use == group) & metered[site] & ~others[site]
        rated_kw = float(columns.f8("rated_kw")[mine].sum())
        if rated_kw > 0.0:
            places = np.unique(site[mine])
            shown = history.demand_kw[:, :, places].sum(axis=2, dtype=np.float64)
            found[:, group] = (shown[like].mean(axis=0) - shown[-1]) / rated_kw
    return found
