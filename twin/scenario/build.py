"""From a scenario to a city at rest: network, sites, fleet, calibrated demand, warm start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.assets import KINDS
from twin.assets.kind import Kind
from twin.assets.site import Sites
from twin.assets.terminal import CIRCUITS
from twin.city.build import build_city
from twin.city.spec import City, CitySpec
from twin.city.tariffs import build_tariff
from twin.clock import DAY_MS, MINUTE_MS, parse_time_of_day
from twin.engine.busbars import busbar_columns
from twin.engine.chain import build_true_chain
from twin.engine.inventory import build_inventory
from twin.engine.recorder import SCALARS, Recorder, history_tables
from twin.engine.simulation import Simulation
from twin.engine.telemetry import open_channels
from twin.engine.world import Demand, World
from twin.errors import InputProblems
from twin.grid import GridOperation, Network, imported_load_mw
from twin.record.columns import Columns
from twin.record.exchange import Calendar, Logic
from twin.record.history import History
from twin.record.load_rules import LoadRules
from twin.record.metering import MeterHistory
from twin.record.monitor import MonitorTally
from twin.record.network_view import NetworkView
from twin.record.orders import Order
from twin.record.quarters import Quarters
from twin.scenario.background import calibrate
from twin.scenario.cache import key, read_arrays, write_arrays
from twin.scenario.files import resolve
from twin.scenario.history_build import days_of, gamers_of, gaming_problems, weather_of
from twin.scenario.inputs import attempt, distinct, file_problems, scenario_files
from twin.scenario.load_schema import load_rules
from twin.scenario.network import (
    expected_view,
    plant_schedule,
    pumped_schedule,
    scenario_network,
)
from twin.scenario.onboarding import onboarded, onboarding_problems
from twin.scenario.schema import Scenario
from twin.scenario.siting import attached, blank_demand, terminals
from twin.scenario.timetable import (
    branch_problems,
    kind_problems,
    manner_problems,
    order_problems,
    orders_of,
    timeline_of,
)

LOSS_GUESS = 0.013  # of the maximum load; the calibration replaces it by the load flow's


@dataclass(frozen=True, slots=True)
class Built:
    """A scenario ready to run.

    Attributes
    ----------
    scenario, city, network : what it was made from and what it became
    sites : registered sites with their busbars
    terminals : nameplate of the load-management terminals
    orders : the dispatcher's orders by time of notice
    world : constants of the run, with the calibrated demand
    warm : state of every table at the start of the run, None before it was run
    view : what the logic may know of the network, with a day as planned
    history : what meters showed on the days before, None without such days or not yet run
    rules : own rules of orderly use and an earlier ledger, None where the shipped ones hold
    watched : what the logic learned of the day before, None where it did not watch
    """

    scenario: Scenario
    city: City
    network: Network
    sites: Columns
    terminals: Columns
    orders: tuple[Order, ...]
    world: World
    warm: Mapping[str, NDArray[np.generic]] | None = None
    view: NetworkView | None = None
    history: MeterHistory | None = None
    rules: LoadRules | None = None
    watched: Mapping[str, NDArray[np.generic]] | None = None

    def simulation(
        self,
        world: World,
        first_ms: int,
        *,
        with_grid: bool = True,
        sorts: Mapping[str, type[Kind]] = KINDS,
    ) -> Simulation:
        """Return a simulation at `first_ms` with fresh devices, no logic and no record."""
        kinds: dict[str, Kind] = {
            name: sorts[name](plate, world.seed)
            for name, plate in world.nameplates.items()
            if plate.n > 0
        }
        sites = Sites(self.sites, world.demand.site_weight, kinds, world.seed)
        grid = GridOperation(self.network) if with_grid else None
        chain = build_true_chain(world.inventory, world.seed)
        channels = open_channels(world, kinds)
        run = Simulation(world, kinds, sites, grid, channels, None, None, chain)
        run.begin(first_ms)
        return run

    def start(self, logic: Logic | None) -> Simulation:
        """Return the undisturbed run at its start: warm, with a record and a started logic.

        None: whoever commands does so from outside, through `Simulation.write`.
        """
        run = self.simulation(self.world, self.world.start_ms)
        if self.warm is not None:
            for name, table in run.tables().items():
                prefix = f"{name}|"
                held = {k[len(prefix) :]: v for k, v in self.warm.items() if k.startswith(prefix)}
                if name.startswith(("kind.", "sites", "grid")):
                    table.restore(held)
        if logic is not None:
            logic.start(self.world.inventory, self.calendar())
        run.logic = logic
        history = History(
            self.world.start_ms,
            (self.world.end_ms - self.world.start_ms) // MINUTE_MS,
            SCALARS,
            history_tables(self.world, run.kinds),
        )
        history.monitor = MonitorTally(self.world.inventory)
        history.quarters = Quarters(
            self.world.start_ms,
            self.world.end_ms,
            {k: kind.n for k, kind in run.kinds.items() if k not in ("terminal", "solar")},
        )
        run.recorder = Recorder(history, self.world.inventory, self.network)
        return run

    def calendar(self) -> Calendar:
        """Return what the logic may know of the day beforehand."""
        forecast = np.array(
            [self.world.weather.at(t).temperature_c for t in range(0, DAY_MS, MINUTE_MS)]
        )
        return Calendar(
            self.world.start_ms,
            self.world.end_ms,
            self.world.control_period_ms,
            self.world.tariff_day,
            self.world.price_day,
            forecast,
            self.city.max_load_mw * self.city.load_shape,
            history=self.history,
            network=self.view,
            load_rules=self.rules,
            market=self.scenario.market.rules(),
            workday=self.world.environment(self.world.start_ms).workday,
            watched=self.watched,
        )


def build(scenario: Scenario, path: Path) -> Built:
    """Build the city of a scenario; everything that is not chance of the day.

    Raises InputProblems with everything wrong in the files that the scenario names.
    """
    try:
        return _build(scenario, path)
    except InputProblems as error:
        named = scenario_files(scenario)
        chosen = scenario.city.districts if len(scenario.city.districts) > 0 else None
        more = file_problems(path, named, chosen, scenario)
        raise InputProblems(distinct([*error.problems, *more], str(path))) from None


def _build(scenario: Scenario, path: Path) -> Built:
    day = date(scenario.year, 7, 15) if scenario.date is None else scenario.date
    city = build_city(_city_spec(scenario, path, day))
    found = order_problems(scenario, str(path), city.max_load_mw)
    network = attempt(found, lambda: scenario_network(scenario, path, city))
    if network is None:
        raise InputProblems(found)
    found += branch_problems(scenario, str(path), network.branches.name.tolist())
    sites = attempt(found, lambda: attached(city, network, scenario, path))
    rigid = terminals(city.sites if sites is None else sites)
    nameplates = {**city.nameplates, "terminal": rigid}
    found += kind_problems(scenario, str(path), {kind: c.n for kind, c in nameplates.items()})
    inventory = build_inventory(
        city.max_load_mw,
        city.districts.names,
        city.sectors,
        city.sites if sites is None else sites,
        nameplates,
        busbar_columns(network),
        city.aggregators,
        city.chain,
    )
    found += manner_problems(scenario, str(path), inventory)
    steps = scenario.onboarding
    found += onboarding_problems(steps, str(path), inventory, city.districts)
    found += gaming_problems(scenario.gaming, str(path), inventory)
    rules = attempt(
        found, lambda: load_rules(scenario.load_management, path.parent, inventory.sites.n)
    )
    if found or sites is None:
        raise InputProblems(found)
    inventory = onboarded(steps, inventory, city.districts, scenario.city.seed)
    orders = orders_of(scenario, city.max_load_mw)
    weather = weather_of(scenario, path, day, city.districts.n)
    days = days_of(scenario, day, weather)
    world = World(
        name=scenario.name,
        day=day,
        workday=day.weekday() < 5,
        seed=scenario.seed,
        start_ms=parse_time_of_day(scenario.start),
        end_ms=parse_time_of_day(scenario.end),
        control_period_ms=scenario.engine.control_period_s * 1000,
        grid_period_ms=scenario.engine.grid_period_s * 1000,
        tick_ms=scenario.engine.tick_s * 1000,
        inventory=inventory,
        nameplates=nameplates,
        weather=weather,
        demand=blank_demand(city, network, sites, weather, days),
        tariff_day=city.tariff.period,
        price_day=city.tariff.price_cny_kwh,
        plant_mw=plant_schedule(network, city),
        pumped_mw=pumped_schedule(network, city),
        timeline=timeline_of(scenario),
        days=days,
        gaming=gamers_of(scenario, inventory, orders, days),
    )
    view = expected_view(network, city)
    return Built(scenario, city, network, sites, rigid, orders, world, view=view, rules=rules)


def calibrated(built: Built) -> Built:
    """Return `built` with its background demand, from the cache or by running the engine."""
    name = "demand-" + key(city_inputs(built))
    held = read_arrays(name)
    demand = built.world.demand
    if held is None:
        world, target = _design_world(built), built.city.target_demand_mw

        def start(trial: Demand, warm: bool) -> Simulation:
            return built.simulation(
                replace(world, demand=trial), -DAY_MS if warm else 0, with_grid=warm
            )

        found = calibrate(
            start,
            replace(demand, heat=np.ones_like(demand.heat), activity=None),
            built.city.max_load_mw * built.city.load_shape,
            target / target.sum(axis=(0, 1)),
            built.city.aircon_share,
            LOSS_GUESS,
        )
        held = {"free_kw": found.free_kw, "aircon_kw": found.aircon_kw}
        write_arrays(name, held)
    demand = replace(
        demand,
        free_kw=np.asarray(held["free_kw"], np.float64),
        aircon_kw=np.asarray(held["aircon_kw"], np.float64),
    )
    return replace(built, world=replace(built.world, demand=demand))


def _city_spec(scenario: Scenario, path: Path, day: date) -> CitySpec:
    city, weather = scenario.city, scenario.weather
    max_load_mw = city.max_load_mw
    if max_load_mw is None and city.network is not None and city.load is None:
        max_load_mw = imported_load_mw(resolve(path, city.network))
    return CitySpec(
        year=scenario.year,
        seed=city.seed,
        day_date=day,
        day=weather.day,
        weather_offset_c=weather.offset_c,
        epw=None if weather.epw is None else resolve(path, weather.epw),
        districts=city.districts if len(city.districts) > 0 else None,
        detail=city.detail,
        max_load_mw=max_load_mw,
        connected_mw={str(k): mw for k, mw in city.connected_mw.items()},
        counts={str(k): n for k, n in city.counts.items()},
        sites_csv=None if city.sites is None else resolve(path, city.sites),
        fleet_csv=None if city.fleet is None else resolve(path, city.fleet),
        load_csv=None if city.load is None else resolve(path, city.load),
        stock_scale=city.stock_scale,
        chain_csv=None if city.chain is None else resolve(path, city.chain),
    )


def _design_world(built: Built) -> World:
    """Return the world of the expected design day of this city."""
    weather = built.city.design_weather
    tariff = build_tariff(weather.day, weather.max_c)
    return replace(
        built.world,
        seed=built.scenario.city.seed,
        weather=weather,
        workday=True,
        timeline=(),
        days=None,
        gaming=(),
        start_ms=0,
        end_ms=DAY_MS,
        tariff_day=tariff.period,
        price_day=tariff.price_cny_kwh,
    )


def city_inputs(built: Built) -> dict[str, object]:
    """Return what the calibration depends on."""
    scenario = built.scenario
    return {
        "year": scenario.year,
        "date": str(built.world.day),
        "city": scenario.city.model_dump(mode="json"),
        "network": built.network.network_hash,
        "sites": built.sites.digest(),
        "fleet": {name: c.digest() for name, c in built.world.nameplates.items()},
        "load": Columns({"shape": built.city.load_shape}).digest(),  # a file's name is not enough
        "max_load_mw": built.city.max_load_mw,
        "circuits": CIRCUITS,
    }


def day_inputs(built: Built) -> dict[str, object]:
    """Return what the day before depends on beside the city."""
    scenario, world = built.scenario, built.world
    return {
        "weather": scenario.weather.model_dump(mode="json"),
        "history": scenario.history.model_dump(mode="json"),
        "gaming": [(g.rows.tolist(), g.share, g.windows_ms) for g in world.gaming],
        "air": float(world.weather.temperature_c.sum()) + float(world.weather.ghi_w_m2.sum()),
        "seed": scenario.seed,
        "start": scenario.start,
        "engine": scenario.engine.model_dump(mode="json"),
    }
