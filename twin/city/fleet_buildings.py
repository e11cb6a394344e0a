"""Cooling: central air conditioning of buildings and ice-storage district cooling plants."""

from __future__ import annotations

import numpy as np

from twin.city.districts import INDUSTRY, TERTIARY
from twin.city.order import DeviceColumns, FleetOrder, no_devices, own_sites, pick_rows
from twin.city.sharing import choose, share_out
from twin.city.sites import SiteBook
from twin.city.tables import DataRows
from twin.units import KW_PER_RT

HOSPITAL, INDUSTRIAL = 3, 4
SMALLEST_BUILDING_SITE_KW = 150.0  # below it split units are usual (assumed)
HOSPITALS_OF_PROTECTED = 0.4  # of protected tertiary customers with central cooling (assumed)
PUBLIC_LEAST_C = 26.0  # public buildings hold 26 °C or more in summer (State Council rule)
COMFORT_MARGIN_K = 1.5  # comfort limit at least this far above the set-point (assumed)


def add_aircon(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place central cooling plants at tertiary customers, some at industrial ones.

    ``rated_kw`` is the electrical rating of the whole plant: chillers, pumps, towers and fans.
    Hospitals stand at protected customers.
    """
    names = ("floor_m2", "cooling_kw", "use", "setpoint_c", "comfort_max_c")
    if order.count == 0:
        return no_devices(*names)
    draws = order.draws("aircon")
    uses = DataRows("building_uses.csv")
    demand_kw, sector = book.f8("demand_kw"), book.i8("sector")
    big = book.flag("terminal") & (demand_kw >= SMALLEST_BUILDING_SITE_KW)
    works = round(order.count * float(uses.f8("share")[INDUSTRIAL]))
    sites = np.concatenate(
        [
            choose(
                draws,
                "city.counts.aircon",
                rows,
                demand_kw[rows],
                n,
                order.figures["fleet.aircon_cap"] * demand_kw[rows],
                order.kw * n / order.count,
            )
            for rows, n in (
                (np.flatnonzero(big & (sector == TERTIARY)), order.count - works),
                (np.flatnonzero(big & (sector == INDUSTRY)), works),
            )
        ]
    )
    n = order.count
    common = pick_rows(draws, uses.f8("share")[:HOSPITAL], n)
    hospital = book.flag("protected")[sites] & (draws.random(n) < HOSPITALS_OF_PROTECTED)
    # Other protected customers are schools, agencies and stations: used like offices.
    use = np.where(hospital, HOSPITAL, np.where(book.flag("protected")[sites], 0, common))
    use = np.where(sector[sites] == INDUSTRY, INDUSTRIAL, use)
    wish = demand_kw[sites] * np.exp(0.25 * draws.standard_normal(n))
    # A works' air conditioning is a smaller part of its demand than an office's.
    wish *= np.where(use == INDUSTRIAL, 0.4, 1.0)
    caps_kw = order.figures["fleet.aircon_cap"] * demand_kw[sites]
    rated_kw = share_out("city.connected_mw.aircon", order.kw, wish, caps_kw)
    cooling_kw = rated_kw * order.figures["fleet.plant_cop"] * draws.uniform(0.92, 1.08, n)
    w_m2 = uses.f8("cooling_w_m2")[use] * draws.uniform(0.85, 1.15, n)
    setpoint_c = uses.f8("setpoint_c")[use] + np.round(draws.uniform(-1.5, 1.5, n)) * 0.5
    public = book.flag("public")[sites] & (use != HOSPITAL)
    setpoint_c = np.where(public, np.maximum(setpoint_c, PUBLIC_LEAST_C), setpoint_c)
    comfort_max_c = np.maximum(uses.f8("comfort_max_c")[use], setpoint_c + COMFORT_MARGIN_K)
    return {
        "site": sites,
        "rated_kw": rated_kw,
        "floor_m2": 1000.0 * cooling_kw / w_m2,
        "cooling_kw": cooling_kw,
        "use": use,
        "setpoint_c": setpoint_c,
        "comfort_max_c": comfort_max_c,
    }


def add_icestore(book: SiteBook, order: FleetOrder) -> DeviceColumns:
    """Place the named district cooling plants; only the connected part of each counts.

    Chillers, tank and user load are scaled alike so that the ratings sum to the connected MW.
    """
    if order.count == 0:
        return no_devices("cooling_kw", "tank_kwh", "peak_cooling_kw")
    rows = DataRows("ice_plants.csv")
    known = order.districts.names
    open_now = [
        i
        for i, (year, place) in enumerate(
            zip(rows.i8("from_year"), rows.text("district"), strict=True)
        )
        if year <= order.year and place in known
    ]
    # A part of the city without a named plant takes the first one as its pattern.
    pattern = np.array((open_now or [0])[: order.count])
    place = [rows.text("district")[i] for i in pattern]
    district = np.array([order.districts.row(p) if p in known else 0 for p in place])
    chiller_rt, kw_per_rt = rows.f8("chiller_rt")[pattern], rows.f8("kw_per_rt")[pattern]
    scale = order.kw / float((chiller_rt * kw_per_rt).sum())
    rated_kw = scale * chiller_rt * kw_per_rt
    return {
        "site": own_sites(book, district, TERTIARY, rated_kw),
        "rated_kw": rated_kw,
        "cooling_kw": scale * chiller_rt * KW_PER_RT,
        "tank_kwh": scale * rows.f8("tank_krth")[pattern] * 1000.0 * KW_PER_RT,
        "peak_cooling_kw": scale * rows.f8("peak_load_rt")[pattern] * KW_PER_RT,
    }
