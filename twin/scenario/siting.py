"""Where the sites of a city stand on its network, and what is drawn beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from twin.city.attach import attach_sites, background_weights
from twin.city.calendar_days import Days
from twin.city.demand import weather_factor
from twin.city.own_files import check_busbars
from twin.city.spec import City
from twin.city.weather import Weather
from twin.engine.world import Demand
from twin.grid import Network
from twin.record.columns import Columns
from twin.scenario.files import resolve
from twin.scenario.schema import Scenario

__all__ = ["attached", "blank_demand", "terminals"]


def attached(city: City, network: Network, scenario: Scenario, path: Path) -> Columns:
    """Return the sites with a busbar each; raises InputProblems for one that does not exist."""
    busbars, sites = network.busbars, city.sites
    if scenario.city.sites is not None:
        check_busbars(resolve(path, scenario.city.sites), sites, network.n_busbar)
    busbar = attach_sites(
        sites.i8("district"),
        sites.f8("demand_kw"),
        busbars.district,
        busbars.weight,
        scenario.city.seed,
        given=sites.i8("busbar"),
        capacity_mw=busbars.capacity_mw,
        group=busbars.parent * 1000 + busbars.feeder,
    )
    return Columns({**sites, "busbar": busbar})


def terminals(sites: Columns) -> Columns:
    """Return the nameplate of the load-management terminals, one row a site that has one."""
    rows = np.flatnonzero(sites.flag("terminal"))
    shares = {f"circuit_share_{i}": sites.f8(f"circuit_share_{i}")[rows] for i in range(1, 5)}
    return Columns(
        {
            "site": rows,
            "circuit": np.full(len(rows), -1, np.int64),
            "district": sites.i8("district")[rows],
            "rated_kw": sites.f8("demand_kw")[rows],
            "enrolled": np.zeros(len(rows), np.bool_),
            "security_share": sites.f8("security_share")[rows],
            **shares,
        }
    )


def blank_demand(
    city: City, network: Network, sites: Columns, weather: Weather, days: Days | None
) -> Demand:
    """Return the demand beside the modelled devices, its curves still to be calibrated."""
    cells = (len(city.sectors), city.districts.n)
    taken = np.zeros(cells)
    np.add.at(taken, (sites.i8("sector"), sites.i8("district")), city.site_weight)
    peak = int(np.argmax(city.load_shape))
    busbars = network.busbars
    return Demand(
        free_kw=np.zeros((*cells, 1440)),
        aircon_kw=np.zeros((*cells, 1440)),
        site_weight=city.site_weight,
        rest_share=1.0 - taken,
        busbar_district=busbars.district,
        busbar_weight=background_weights(
            sites.i8("busbar"),
            sites.f8("demand_kw"),
            busbars.district,
            busbars.weight,
            1_000.0 * city.target_demand_mw[:, :, peak].sum(axis=0),
        ),
        heat=weather_factor(
            weather.temperature_c,
            np.resize(city.design_weather.temperature_c[:1440], len(weather.temperature_c)),
        ),
        first_minute=weather.first_minute,
        activity=None if days is None else days.activity,
    )
