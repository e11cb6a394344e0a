"""Vehicles and ships: charging stations, swap stations, berths with shore power."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.city.districts import TERTIARY
from twin.city.order import DeviceColumns, FleetOrder, no_devices, own_sites, pick_rows
from twin.city.sharing import choose, share_out, whole_shares
from twin.city.sites import SiteBook
from twin.city.tables import DataRows
from twin.errors import InputProblems, Problem

MOST_POSTS = 60
SWAP_PACKS = (13.0, 14.0)  # 13 to 14 packs of 75 to 100 kWh, general knowledge
SWAP_PACK_KWH = (75.0, 100.0)
SWAPPED_SHARE = 0.6  # of a pack's energy is recharged at each swap (assumed)


def _own_districts(
    draws: np.random.Generator, shares: NDArray[np.float64], n: int
) -> NDArray[np.int64]:
    """Return int64[n] districts in proportion to `shares`, in random order."""
    return draws.permutation(np.repeat(np.arange(len(shares)), whole_shares(n, shares)))


def add_charging(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place charging stations, most with an account of their own, some behind a customer's.

    The rating is the station's transformer: less than the sum of its posts.
    """
    names = ("posts", "post_kw", "v2g_kw", "use")
    if order.count == 0:
        return no_devices(*names)
    draws = order.draws("charging")
    n, figures = order.count, order.figures
    rows = DataRows("charging_uses.csv")
    use = pick_rows(draws, rows.f8("share"), n)
    choices = [[float(kw) for kw in text.split()] for text in rows.text("post_kw_choices")]
    width = max(len(c) for c in choices)
    table = np.array([np.resize(c, width) for c in choices])
    count = np.array([len(c) for c in choices])[use]
    post_kw = table[use, np.floor(draws.random(n) * count).astype(np.int64)]
    wish = rows.f8("posts_median")[use]
    wish = wish * np.exp(rows.f8("posts_spread")[use] * draws.standard_normal(n))
    posts = _posts(wish, post_kw, order.kw / figures["fleet.charging_simultaneity"])
    nominal_kw = posts * post_kw
    simultaneity = order.kw / float(nominal_kw.sum())
    if simultaneity > 1.0:
        most_mw = float(nominal_kw.sum()) / 1000.0
        given = f"{order.kw / 1000.0:.4g} MW on {n} stations"
        raise InputProblems(
            [Problem("scenario", "city.connected_mw.charging", given, f"at most {most_mw:.4g} MW")]
        )
    rated_kw = simultaneity * nominal_kw
    v2g_kw = _feed_back(order, draws, rows.f8("v2g_weight")[use], rated_kw)
    return {
        "site": _charging_sites(book, order, draws, rated_kw),
        "rated_kw": rated_kw,
        "posts": posts,
        "post_kw": post_kw,
        "v2g_kw": v2g_kw,
        "use": use,
    }


def _feed_back(
    order: FleetOrder,
    draws: np.random.Generator,
    weight: NDArray[np.float64],
    rated_kw: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the feed-back power of each station; 0 where it has none.

    Stations are drawn by weight; where those asked for are too small, more of them join.
    """
    v2g_kw = np.zeros(len(rated_kw))
    if order.v2g_kw <= 0.0:
        return v2g_kw
    ranks = np.argsort(-np.log(1.0 - draws.random(len(rated_kw))) / weight, kind="stable")
    caps_kw = order.figures["fleet.v2g_cap"] * rated_kw[ranks]
    enough = int(np.searchsorted(np.cumsum(caps_kw), order.v2g_kw)) + 1
    chosen = np.sort(ranks[: max(order.v2g_count, enough)])
    v2g_kw[chosen] = share_out(
        "city.connected_mw.v2g",
        order.v2g_kw,
        rated_kw[chosen],
        order.figures["fleet.v2g_cap"] * rated_kw[chosen],
    )
    return v2g_kw


def _posts(
    wish: NDArray[np.float64], post_kw: NDArray[np.float64], total_kw: float
) -> NDArray[np.int64]:
    """Return whole posts (1 to 60), `wish` scaled so that they add up to about `total_kw`."""
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = (low * high) ** 0.5
        posts = np.clip(np.round(middle * wish), 1.0, MOST_POSTS)
        if float((posts * post_kw).sum()) < total_kw:
            low = middle
        else:
            high = middle
    # The upper end: never below the total unless every station is full.
    return np.clip(np.round(high * wish), 1.0, MOST_POSTS).astype(np.int64)


def _charging_sites(
    book: SiteBook,
    order: FleetOrder,
    draws: np.random.Generator,
    rated_kw: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the site of each station; stations behind a customer's meter fit its demand."""
    n, cap = len(rated_kw), order.figures["fleet.charging_cap"]
    demand_kw = book.f8("demand_kw")
    hosts = np.flatnonzero(book.flag("terminal"))
    guests = np.flatnonzero(draws.random(n) < order.figures["fleet.charging_at_customers"])
    guests = guests[: len(hosts)]
    district = book.i8("district")
    here_kw = np.bincount(district[hosts], demand_kw[hosts], order.districts.n)
    weight = (demand_kw / here_kw[district] * order.districts.charger_share[district])[hosts]
    homes = choose(draws, "city.counts.charging", hosts, weight, len(guests))
    # Largest station to largest customer; a station that does not fit takes its own account.
    guests = guests[np.argsort(-rated_kw[guests], kind="stable")]
    homes = homes[np.argsort(-demand_kw[homes], kind="stable")]
    fits = rated_kw[guests] <= cap * demand_kw[homes]
    site = np.full(n, -1, dtype=np.int64)
    site[guests[fits]] = homes[fits]
    alone = np.flatnonzero(site < 0)
    places = _own_districts(draws, order.districts.charger_share, len(alone))
    site[alone] = own_sites(book, places, TERTIARY, rated_kw[alone])
    return site


def add_swap(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place battery swap stations with accounts of their own."""
    if order.count == 0:
        return no_devices("packs", "pack_kwh", "slot_kw", "swaps_per_day", "v2g_kw")
    draws = order.draws("swap")
    n = order.count
    wish = np.exp(0.2 * draws.standard_normal(n))
    rated_kw = share_out("city.connected_mw.swap", order.kw, wish, np.full(n, order.kw))
    packs = draws.choice(SWAP_PACKS, n)
    pack_kwh = draws.choice(SWAP_PACK_KWH, n)
    used = draws.uniform(0.30, 0.55, n)  # of what the slots could charge in a day (assumed)
    swaps_per_day = np.round(24.0 * rated_kw * used / (SWAPPED_SHARE * pack_kwh))
    feeds = draws.random(n) < order.figures["fleet.swap_v2g_share"]
    district = _own_districts(draws, order.districts.charger_share, n)
    return {
        "site": own_sites(book, district, TERTIARY, rated_kw),
        "rated_kw": rated_kw,
        "packs": packs.astype(np.int64),
        "pack_kwh": pack_kwh,
        "slot_kw": rated_kw / packs,
        "swaps_per_day": swaps_per_day,
        "v2g_kw": np.where(feeds, 0.5 * rated_kw, 0.0),
    }


def add_shorepower(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place berths in the districts with ports (everywhere where none has one)."""
    if order.count == 0:
        return no_devices("flexible_share")
    draws = order.draws("shorepower")
    n = order.count
    container = draws.random(n) < order.figures["fleet.container_share"]
    # 1 to 3 MVA container, 0.4 to 1 MVA river; general knowledge.
    wish = np.where(container, draws.uniform(1000.0, 3000.0, n), draws.uniform(400.0, 1000.0, n))
    rated_kw = share_out("city.connected_mw.shorepower", order.kw, wish, np.full(n, order.kw))
    port = order.districts.port.astype(np.float64)
    # Sea-going berths lie in Nansha and Huangpu; weight by industry, which goes with freight.
    weight = port * order.districts.sector_share[0] if port.any() else np.ones(order.districts.n)
    district = _own_districts(draws, weight, n)
    # Reefers whose cooling can wait: 15 to 30 % on container berths, 5 to 10 % else (assumed).
    flexible = np.where(container, draws.uniform(0.15, 0.30, n), draws.uniform(0.05, 0.10, n))
    return {
        "site": own_sites(book, district, TERTIARY, rated_kw),
        "rated_kw": rated_kw,
        "flexible_share": flexible,
    }
