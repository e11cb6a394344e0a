"""Joins sites to the network's busbars and spreads what no site draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator


def attach_sites(
    site_district: NDArray[np.int64],
    site_demand_kw: NDArray[np.float64],
    busbar_district: NDArray[np.int64],
    busbar_weight: NDArray[np.float64],
    seed: int,
    given: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return int64[sites], the busbar of each site.

    Large sites first, each to the busbar of its district with the most room left, so that the
    sites fill the busbars in proportion to their weights; small sites fall where a keyed draw
    puts them among the three roomiest.

    Parameters
    ----------
    busbar_district : int64[busbars], row in the same districts as `site_district`
    busbar_weight : float64[busbars], share of the district's load; a weight of 0 takes no site
    given : int64[sites], busbars that the user's file names, -1 where it is silent

    Raises ValueError for a district with sites and no busbar.
    """
    busbar = np.full(len(site_district), -1, dtype=np.int64) if given is None else given.copy()
    for district in np.unique(site_district):
        here = np.flatnonzero((busbar_district == district) & (busbar_weight > 0.0))
        if len(here) == 0:
            raise ValueError(f"district {district} has sites and no busbar")
        sites = np.flatnonzero(site_district == district)
        sites = sites[np.argsort(-site_demand_kw[sites], kind="stable")]
        weight = busbar_weight[here] / busbar_weight[here].sum()
        total_kw = float(site_demand_kw[sites].sum())
        # Half as much again as needed: room is measured against an even fill, not a full one.
        room_kw = 1.5 * total_kw * weight
        named = sites[busbar[sites] >= 0]
        np.subtract.at(
            room_kw,
            np.searchsorted(here, busbar[named]).clip(0, len(here) - 1),
            np.where(np.isin(busbar[named], here), site_demand_kw[named], 0.0),
        )
        sites = sites[busbar[sites] < 0]
        draws = generator(seed, "city.attach", int(district)).random(len(sites))
        reach = min(3, len(here))
        for site, draw in zip(sites, draws, strict=True):
            demand_kw = site_demand_kw[site]
            if demand_kw > 0.1 * room_kw.max():
                k = int(np.argmax(room_kw))
            else:
                best = np.argpartition(-room_kw, reach - 1)[:reach]
                k = int(np.sort(best)[int(draw * reach)])
            busbar[site] = here[k]
            room_kw[k] -= demand_kw
    return busbar


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
