"""Joins sites to the network's busbars and spreads what no site draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator

# A customer above this part of a busbar's capacity is supplied elsewhere (assumed: a 0.4 kV
# transformer of 630 kVA then takes customers up to 180 kW; 160 kW is the usual limit).
LARGEST_PART = 0.3
SCATTER = 0.25  # keyed spread with which the emptiest place is chosen (assumed)


def attach_sites(
    site_district: NDArray[np.int64],
    site_demand_kw: NDArray[np.float64],
    busbar_district: NDArray[np.int64],
    busbar_weight: NDArray[np.float64],
    seed: int,
    given: NDArray[np.int64] | None = None,
    *,
    capacity_mw: NDArray[np.float64] | None = None,
    group: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return int64[sites], the busbar of each site.

    Large sites first, each to the feeder (or station busbar) of its district that would be
    least filled for its weight, give or take a keyed spread, and there to the least filled
    place that can carry it. So sites fill places in proportion to their weights.

    Parameters
    ----------
    busbar_district : int64[busbars], row in the same districts as `site_district`
    busbar_weight : float64[busbars], share of the district's load; a weight of 0 takes no site
    given : int64[sites], busbars that the user's file names, -1 where it is silent
    capacity_mw : float64[busbars], what each can carry; None: anything
    group : int64[busbars], one number for each feeder or station; None: every busbar its own

    Raises ValueError for a district with sites and no busbar.
    """
    busbar = np.full(len(site_district), -1, dtype=np.int64) if given is None else given.copy()
    if capacity_mw is None:
        capacity_mw = np.full(len(busbar_weight), np.inf)
    if group is None:
        group = np.arange(len(busbar_weight))
    for district in np.unique(site_district):
        here = np.flatnonzero((busbar_district == district) & (busbar_weight > 0.0))
        if len(here) == 0:
            raise ValueError(f"district {district} has sites and no busbar")
        sites = np.flatnonzero(site_district == district)
        sites = sites[np.argsort(-site_demand_kw[sites], kind="stable")]
        named = sites[busbar[sites] >= 0]
        filled_kw = np.zeros(len(busbar_weight))
        np.add.at(filled_kw, busbar[named], site_demand_kw[named])
        sites = sites[busbar[sites] < 0]
        draws = generator(seed, "city.attach", int(district))
        place = _fill(
            site_demand_kw[sites],
            filled_kw[here],
            busbar_weight[here],
            LARGEST_PART * 1000.0 * capacity_mw[here],
            np.unique(group[here], return_inverse=True)[1],
            draws,
        )
        busbar[sites] = here[place]
    return busbar


def _fill(
    demand_kw: NDArray[np.float64],
    filled_kw: NDArray[np.float64],
    weight: NDArray[np.float64],
    most_kw: NDArray[np.float64],
    group: NDArray[np.int64],
    draws: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the place of each site of one district; sites come in falling order of demand."""
    places = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    group_weight = np.bincount(group, weight)
    group_most_kw = np.array([most_kw[rows].max() for rows in places])
    group_kw = np.bincount(group, filled_kw)
    filled_kw = filled_kw.copy()
    scatter = 1.0 + SCATTER * draws.random((len(demand_kw), len(places)))
    chosen = np.empty(len(demand_kw), dtype=np.int64)
    for site, size_kw in enumerate(demand_kw):
        fill = (group_kw + size_kw) / group_weight * scatter[site]
        fits = group_most_kw >= size_kw
        g = int(np.argmin(np.where(fits, fill, np.inf) if fits.any() else fill / group_most_kw))
        rows = places[g]
        row = int(rows[0])
        if len(rows) > 1:
            inner = (filled_kw[rows] + size_kw) / weight[rows]
            able = most_kw[rows] >= size_kw
            row = int(
                rows[np.argmin(np.where(able, inner, np.inf))]
                if able.any()
                else rows[np.argmax(most_kw[rows])]
            )
        chosen[site] = row
        filled_kw[row] += size_kw
        group_kw[g] += size_kw
    return chosen


def background_weights(
    site_busbar: NDArray[np.int64],
    site_demand_kw: NDArray[np.float64],
    busbar_district: NDArray[np.int64],
    busbar_weight: NDArray[np.float64],
    district_demand_kw: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return float64[busbars]: share of its district's background at each busbar (sums to 1).

    Background is what no site draws. Each busbar gets what its sites leave of its part of the
    district's demand; a busbar that its sites overfill gets none.
    """
    share = np.zeros(len(busbar_weight))
    site_kw = np.bincount(site_busbar, site_demand_kw, minlength=len(busbar_weight))
    for district, demand_kw in enumerate(district_demand_kw):
        here = np.flatnonzero(busbar_district == district)
        if len(here) == 0:
            continue
        weight = busbar_weight[here] / busbar_weight[here].sum()
        left_kw = np.maximum(weight * demand_kw - site_kw[here], 0.0)
        share[here] = left_kw / left_kw.sum() if left_kw.sum() > 0.0 else weight
    return share


def host_weights(
    site_host_kw: NDArray[np.float64],
    site_sector: NDArray[np.int64],
    site_district: NDArray[np.int64],
    host_peak_mw: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return float64[sites]: each site's share of the non-device demand of its sector-district.

    Parameters
    ----------
    site_host_kw : expected host load of each site at the city's maximum
    host_peak_mw : float64[sectors, districts], expected demand without devices at the maximum

    Where the sites together would draw more than there is, they are scaled down to 98 % of it,
    so that no background becomes negative.
    """
    cell = site_sector * host_peak_mw.shape[1] + site_district
    sites_kw = np.bincount(cell, site_host_kw, minlength=host_peak_mw.size)
    whole_kw = 1000.0 * np.maximum(host_peak_mw.ravel(), 1e-9)
    scale = np.minimum(1.0, 0.98 * whole_kw / np.maximum(sites_kw, 1e-9))
    return np.asarray(site_host_kw * (scale / whole_kw)[cell], dtype=np.float64)
