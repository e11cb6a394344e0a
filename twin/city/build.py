"""Builds the city: data, weather, sites, fleet and what the network is sized for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.city.aggregators import join_aggregators, registered_aggregators, with_offers
from twin.city.attach import host_weights
from twin.city.demand import DayShape, read_day_shape, target_demand, weather_factor
from twin.city.districts import SECTORS, Districts, read_districts
from twin.city.fleet import (
    build_fleet,
    expected_device_kw,
    fleet_scale,
    plan_fleet,
)
from twin.city.own_files import read_fleet, read_load_shape, read_sites
from twin.city.plants import Supply, build_supply
from twin.city.sites import SiteBook, add_terminal_sites
from twin.city.spec import City, CitySpec, plan_year_load
from twin.city.supply_chain import build_chain, read_chain, with_branches
from twin.city.tables import DataRows, Parameters, read_parameters
from twin.city.tariffs import build_tariff
from twin.city.weather import build_weather
from twin.errors import InputProblems, Problem
from twin.grid.spec import DistrictSpec, NetworkSpec
from twin.record.columns import Columns

# Public counts of stations are not to be had; these carry the plan years' load (assumed).
STATIONS_500, STATIONS_220, STATIONS_110 = 8, 50, 220
FEWEST_TERMINALS = 60  # in a small part of a city (assumed)


def build_city(spec: CitySpec) -> City:
    """Return the city of `spec`; the same specification gives the same city bit for bit.

    Raises InputProblems with everything wrong in the specification, or in the first of the
    user's files that has problems.
    """
    spec.check()
    figures = read_parameters()
    districts = read_districts(spec.districts)
    detail = _detail_rows(spec, districts)
    notes: list[str] = []

    shape, max_load_mw = _load(spec, districts, notes)
    target_mw = target_demand(districts, max_load_mw, figures["demand.loss_share"], shape)
    load_shape = _sent_out(target_mw, max_load_mw, figures)
    peak_minute = int(np.argmax(load_shape))
    peak_mw = target_mw[:, :, peak_minute]

    book = SiteBook()
    # Part of a city has its part of the fleet; another maximum load of the whole city has not.
    load_scale = 1.0 if spec.districts is None else max_load_mw / _usual_mw(spec, districts)
    scale = fleet_scale(read_districts(), districts, load_scale, spec.fleet_scale)
    plan, left_out = plan_fleet(spec.year, scale, spec.connected_mw, spec.counts)
    notes += left_out
    if spec.sites_csv is None:
        # Terminals are customers, not fleet: `fleet_scale` does not touch their number.
        rows = DataRows("flexible.csv").by("kind")
        part = fleet_scale(read_districts(), districts, load_scale, 1.0)["terminal"]
        usual = round(float(rows["terminal"]["count_2027"]) * part)
        terminals = spec.counts.get("terminal", max(usual, FEWEST_TERMINALS))
        add_terminal_sites(book, districts, peak_mw, spec.year, terminals, spec.seed, figures)
        names = None
        notes.append("sites: synthetic")
    else:
        names = read_sites(spec.sites_csv, districts, book)
        notes.append(f"sites: {spec.sites_csv.name}")
    if spec.fleet_csv is None:
        nameplates = build_fleet(book, districts, spec.year, plan, spec.seed, figures)
        notes.append("fleet: synthetic")
    else:
        nameplates = read_fleet(spec.fleet_csv, book, names)
        notes.append(f"fleet: {spec.fleet_csv.name}")
    join_aggregators(book, nameplates, spec.seed)
    aggregators = registered_aggregators(spec.seed, figures)
    nameplates = with_offers(nameplates, book, aggregators)
    device_kw = _host_load(book, nameplates, figures)
    sites = with_branches(book.build(), spec.seed)
    if spec.chain_csv is None:
        chain = build_chain(sites, districts, spec.seed, spec.stock_scale)
        notes.append("supply graph: synthetic")
    else:
        chain = read_chain(spec.chain_csv, sites.n, names)
        notes.append(f"supply graph: {spec.chain_csv.name}")
    weights = _site_weights(sites, device_kw, peak_mw)

    day = spec.local_date
    weather = build_weather(
        day,
        spec.day,
        spec.seed,
        districts.n,
        epw=spec.epw,
        epw_day=spec.epw_day,
        offset_c=spec.weather_offset_c,
    )
    design = build_weather(day, "design", spec.seed, districts.n).expected()
    notes.append(f"weather: {weather.source}")
    supply = build_supply(districts, max_load_mw, load_shape, spec.districts is None)
    return City(
        spec=spec,
        max_load_mw=max_load_mw,
        districts=districts,
        sectors=SECTORS,
        sites=sites,
        nameplates=nameplates,
        aggregators=aggregators,
        chain=chain,
        network=_network(spec, districts, peak_mw, supply, detail),
        supply=supply,
        weather=weather,
        design_weather=design,
        tariff=build_tariff(day, weather.max_c),
        load_shape=load_shape,
        target_demand_mw=target_mw,
        aircon_share=shape.aircon_share,
        weather_factor=weather_factor(weather.temperature_c, design.temperature_c),
        site_weight=weights,
        answer_share=DataRows("sectors.csv").f8("answer_share"),
        connected_mw={
            kind: float(columns.f8("rated_kw").sum()) / 1000.0
            for kind, columns in nameplates.items()
        },
        notes=tuple(notes),
    )


def _detail_rows(spec: CitySpec, districts: Districts) -> tuple[int, ...]:
    """Return the rows of the districts in detail; InputProblems for unknown names."""
    allowed = ", ".join(districts.names + districts.names_en)
    problems = [
        Problem("scenario", "city.detail", name, f"one of {allowed}")
        for name in spec.detail
        if name not in districts.names + districts.names_en
    ]
    if problems:
        raise InputProblems(problems)
    return tuple(sorted({districts.row(name) for name in spec.detail}))


def _load(spec: CitySpec, districts: Districts, notes: list[str]) -> tuple[DayShape, float]:
    """Return the day shape and the maximum load, synthetic or the user's."""
    shape = read_day_shape()
    usual_mw = _usual_mw(spec, districts)
    if spec.load_csv is None:
        notes.append("load curve: synthetic")
    else:
        load, own_mw = read_load_shape(spec.load_csv)
        usual_mw = own_mw
        synthetic = districts.sector_share.sum(axis=1) @ shape.sector
        shape = DayShape(load, shape.sector * (load / synthetic), shape.aircon_share)
        notes.append(f"load curve: {spec.load_csv.name}")
    return shape, usual_mw if spec.max_load_mw is None else spec.max_load_mw


def _usual_mw(spec: CitySpec, districts: Districts) -> float:
    """Return the plan year's maximum load of the chosen districts in MW."""
    whole = read_districts()
    rows = [whole.row(name) for name in districts.names]
    return plan_year_load(spec.year) * float(whole.share[rows].sum())


def _sent_out(
    target_mw: NDArray[np.float64], max_load_mw: float, figures: Parameters
) -> NDArray[np.float64]:
    """Return sent-out load over its maximum: s of demand = maximum (s - loss s^2)."""
    loss = figures["demand.loss_share"]
    demand = target_mw.sum(axis=(0, 1)) / max_load_mw
    return np.asarray((1.0 - np.sqrt(1.0 - 4.0 * loss * demand)) / (2.0 * loss))


def _host_load(
    book: SiteBook, nameplates: Mapping[str, Columns], figures: Parameters
) -> NDArray[np.float64]:
    """Set each site's expected host load at the maximum; return its devices' demand there."""
    device_kw = expected_device_kw(nameplates, book.n)
    shared = np.flatnonzero(book.f8("host_kw") == 0.0)
    demand_kw = book.f8("demand_kw")
    least_kw = figures["sites.least_host_share"] * demand_kw
    host_kw = np.maximum(demand_kw - device_kw, least_kw)
    book.set("host_kw", shared, host_kw[shared])
    return device_kw


def _site_weights(
    sites: Columns, device_kw: NDArray[np.float64], peak_mw: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the sites' shares of non-device demand, with the first estimate of the devices."""
    sector, district = sites.i8("sector"), sites.i8("district")
    cell = sector * peak_mw.shape[1] + district
    device_mw = np.bincount(cell, device_kw, peak_mw.size).reshape(peak_mw.shape) / 1000.0
    return host_weights(sites.f8("host_kw"), sector, district, peak_mw - device_mw)


def _network(
    spec: CitySpec,
    districts: Districts,
    peak_mw: NDArray[np.float64],
    supply: Supply,
    detail: tuple[int, ...],
) -> NetworkSpec:
    """Return what the network is built from, sized for the demand at the maximum."""
    district_mw = peak_mw.sum(axis=0)
    places = tuple(
        DistrictSpec(
            name=districts.names_en[i],
            load_mw=float(district_mw[i]),
            x_km=float(districts.x_km[i]),
            y_km=float(districts.y_km[i]),
            radius_km=float(districts.radius_km[i]),
            cable=bool(districts.cable[i]),
        )
        for i in range(districts.n)
    )
    if spec.districts is not None and districts.n == 1:
        return NetworkSpec(places, infeeds=supply.infeeds, seed=spec.seed, form="district")
    part = float(district_mw.sum()) / plan_year_load(spec.year)
    whole = spec.districts is None
    return NetworkSpec(
        places,
        plants=supply.plants,
        infeeds=supply.infeeds,
        pumped_storage=supply.pumped_storage,
        stations_500=STATIONS_500 if whole else max(3, round(STATIONS_500 * part)),
        stations_220=STATIONS_220 if whole else max(3, districts.n, round(STATIONS_220 * part)),
        stations_110=STATIONS_110 if whole else max(6, 2 * districts.n, round(STATIONS_110 * part)),
        detail=detail,
        seed=spec.seed,
    )
