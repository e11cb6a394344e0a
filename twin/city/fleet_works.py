"""Devices of works and parks: storage, interruptible lines, rooftop PV, electrolysers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.city.districts import INDUSTRY, TERTIARY
from twin.city.order import DeviceColumns, FleetOrder, no_devices, own_sites, pick_rows
from twin.city.sharing import choose, share_out, whole_shares
from twin.city.sites import SiteBook
from twin.city.tables import DataRows

# Cabinets on the market, kW and kWh (240 x 280 Ah and 260 x 314 Ah cells; general knowledge).
CABINETS = ((100.0, 215.0), (125.0, 261.0))
SMALLEST_STORAGE_SITE_KW = 300.0  # two thirds of the smallest cabinet's cap stay free (assumed)
SMALLEST_LINE_SITE_KW = 200.0  # assumed
SMALLEST_SOLAR_SITE_KW = 100.0  # assumed
PEM_SHARE = 0.6  # of electrolysers, the others alkaline (assumed)
PEM_MIN_LOAD, ALKALINE_MIN_LOAD = 0.08, 0.25  # 5-10 % and 15-40 %, general knowledge


def _at_sites(book: SiteBook, sector: int, least_kw: float) -> NDArray[np.int64]:
    """Return rows of sites with a terminal in a sector with at least this demand."""
    good = (book.i8("sector") == sector) & book.flag("terminal")
    return np.flatnonzero(good & (book.f8("demand_kw") >= least_kw))


def add_storage(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place storage stations: whole cabinets, nearly all in industrial parks."""
    if order.count == 0:
        return no_devices("capacity_kwh")
    draws = order.draws("storage")
    demand_kw = book.f8("demand_kw")
    industry = round(order.count * order.figures["fleet.storage_in_industry"])
    sites = np.concatenate(
        [
            choose(
                draws,
                "city.counts.storage",
                rows,
                demand_kw[rows],
                n,
                order.figures["fleet.storage_cap"] * demand_kw[rows],
                order.kw * n / order.count,
            )
            for rows, n in (
                (_at_sites(book, INDUSTRY, SMALLEST_STORAGE_SITE_KW), industry),
                (_at_sites(book, TERTIARY, SMALLEST_STORAGE_SITE_KW), order.count - industry),
            )
        ]
    )
    caps_kw = order.figures["fleet.storage_cap"] * demand_kw[sites]
    wish = demand_kw[sites] * np.exp(0.35 * draws.standard_normal(order.count))
    sizes_kw = share_out("city.connected_mw.storage", order.kw, wish, caps_kw)
    cabinet = pick_rows(draws, np.array([0.6, 0.4]), order.count)
    unit_kw = np.array([c[0] for c in CABINETS])[cabinet]
    unit_kwh = np.array([c[1] for c in CABINETS])[cabinet]
    number = _whole_cabinets(order.kw, sizes_kw, unit_kw, caps_kw)
    rated_kw, capacity_kwh = number * unit_kw, number * unit_kwh
    # What is left is less than a cabinet; the largest station takes it as a partly used one.
    largest = int(np.argmax(rated_kw))
    left_kw = order.kw - float(rated_kw.sum())
    capacity_kwh[largest] *= 1.0 + left_kw / rated_kw[largest]
    rated_kw[largest] += left_kw
    return {"site": sites, "rated_kw": rated_kw, "capacity_kwh": capacity_kwh}


def _whole_cabinets(
    total_kw: float,
    sizes_kw: NDArray[np.float64],
    unit_kw: NDArray[np.float64],
    caps_kw: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return cabinet numbers (at least 1) whose sum comes within one cabinet of the total."""
    number = np.maximum(np.floor(sizes_kw / unit_kw), 1.0)
    part = sizes_kw / unit_kw - number
    for row in np.argsort(-part, kind="stable"):
        left_kw = total_kw - float((number * unit_kw).sum())
        if left_kw < unit_kw.min():
            break
        if unit_kw[row] <= left_kw and (number[row] + 1.0) * unit_kw[row] <= caps_kw[row]:
            number[row] += 1.0
    while float((number * unit_kw).sum()) > total_kw + unit_kw.max() and number.max() > 1.0:
        number[int(np.argmax(number * unit_kw))] -= 1.0
    return number


def add_industry(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place interruptible lines at unprotected industrial customers."""
    names = ("step_min", "stock_h", "min_run_min", "restart_min", "base_share")
    if order.count == 0:
        return no_devices(*names)
    draws = order.draws("industry")
    demand_kw = book.f8("demand_kw")
    rows = _at_sites(book, INDUSTRY, SMALLEST_LINE_SITE_KW)
    rows = rows[~book.flag("protected")[rows]]
    room_kw = order.figures["fleet.line_cap"] * demand_kw[rows]
    sites = choose(
        draws, "city.counts.industry", rows, demand_kw[rows], order.count, room_kw, order.kw
    )
    wish = demand_kw[sites] * np.exp(0.3 * draws.standard_normal(order.count))
    caps_kw = order.figures["fleet.line_cap"] * demand_kw[sites]
    process = DataRows("processes.csv")
    kind = pick_rows(draws, process.f8("share"), order.count)

    def between(name: str) -> NDArray[np.float64]:
        low, high = process.f8(f"{name}_low")[kind], process.f8(f"{name}_high")[kind]
        return np.asarray(low + (high - low) * draws.random(order.count), dtype=np.float64)

    return {
        "site": sites,
        "rated_kw": share_out("city.connected_mw.industry", order.kw, wish, caps_kw),
        "step_min": np.round(between("step_min")),
        "stock_h": np.round(between("stock_h"), 2),
        "min_run_min": process.f8("min_run_min")[kind],
        "restart_min": process.f8("restart_min")[kind],
        "base_share": process.f8("base_share")[kind],
    }


def add_solar(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place rooftop PV by the districts' PV shares; some sites have an agreed export."""
    if order.count == 0:
        return no_devices("tilt_deg", "azimuth_deg")
    draws = order.draws("solar")
    figures = order.figures
    demand_kw, district = book.f8("demand_kw"), book.i8("district")
    rows = np.concatenate(
        [_at_sites(book, sector, SMALLEST_SOLAR_SITE_KW) for sector in (INDUSTRY, TERTIARY)]
    )
    roof = demand_kw[rows] * np.where(book.i8("sector")[rows] == INDUSTRY, 3.0, 1.0)
    share = order.districts.pv_share
    roof_total = np.bincount(district[rows], roof, order.districts.n)
    # A district cannot hold more plants than it has roofs; the rest goes to the others by weight.
    weight = roof / roof_total[district[rows]] * share[district[rows]]
    room_kw = figures["fleet.solar_cap"] * demand_kw[rows]
    sites = choose(draws, "city.counts.solar", rows, weight, order.count, room_kw, order.kw)
    exports = draws.random(order.count) < figures["fleet.solar_export_share"]
    caps_kw = demand_kw[sites] * np.where(
        exports, figures["fleet.solar_cap_export"], figures["fleet.solar_cap"]
    )
    here = np.bincount(district[sites], demand_kw[sites], order.districts.n)
    wish = demand_kw[sites] / here[district[sites]] * share[district[sites]]
    wish *= np.exp(0.4 * draws.standard_normal(order.count))
    rated_kw = share_out("city.connected_mw.solar", order.kw, wish, caps_kw)
    book.set("export_limit_kw", sites, np.where(exports, rated_kw, 0.0))
    return {
        "site": sites,
        "rated_kw": rated_kw,
        "tilt_deg": np.round(draws.uniform(5.0, 20.0, order.count), 1),
        "azimuth_deg": np.round(180.0 + 45.0 * draws.uniform(-1.0, 1.0, order.count), 0),
    }


def add_hydrogen(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place electrolyser refuelling stations with accounts of their own."""
    if order.count == 0:
        return no_devices("tank_kg", "kg_per_day", "fuelcell_kw", "min_load")
    draws = order.draws("hydrogen")
    figures = order.figures
    n = order.count
    wish = np.exp(0.4 * draws.standard_normal(n))
    rated_kw = share_out("city.connected_mw.hydrogen", order.kw, wish, np.full(n, order.kw))
    counts = whole_shares(n, order.districts.sector_share[INDUSTRY])
    district = draws.permutation(np.repeat(np.arange(order.districts.n), counts))
    sold = figures["fleet.hydrogen_use"] * draws.uniform(0.85, 1.15, n)
    kg_per_day = 24.0 * rated_kw * sold / figures["fleet.hydrogen_kwh_per_kg"]
    has_cell = draws.random(n) < figures["fleet.fuelcell_share"]
    fuelcell_kw = np.where(has_cell, np.minimum(draws.choice([200.0, 400.0], n), rated_kw), 0.0)
    min_load = np.where(draws.random(n) < PEM_SHARE, PEM_MIN_LOAD, ALKALINE_MIN_LOAD)
    return {
        "site": own_sites(book, district, TERTIARY, rated_kw),
        "rated_kw": rated_kw,
        "tank_kg": kg_per_day * draws.uniform(0.9, 1.5, n),
        "kg_per_day": kg_per_day,
        "fuelcell_kw": fuelcell_kw,
        "min_load": min_load,
    }
