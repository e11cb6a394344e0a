"""What a city is built from, and what comes out."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.city.districts import Districts
from twin.city.plants import Supply
from twin.city.tables import DataRows
from twin.city.tariffs import Tariff
from twin.city.weather import FIRST_MINUTE, MINUTES, Day, Weather
from twin.clock import MINUTE_MS, minute_of_day
from twin.errors import InputProblems, Problem
from twin.grid.spec import NetworkSpec
from twin.record.columns import Columns

YEARS = (2025, 2026, 2027)
DAYS = ("design", "hot", "normal")


@dataclass(frozen=True, slots=True)
class CitySpec:
    """A city to be built.

    Attributes
    ----------
    year : plan year, 2025 to 2027
    seed : of every keyed draw
    day : design, hot or normal
    districts : names (Chinese or English), None for all; one alone becomes a small network
    detail : districts with 10 kV feeders
    max_load_mw : None takes the plan year's
    fleet_scale : on connected MW and device counts alike
    counts, connected_mw : overrides by kind (also ``v2g``; ``terminal`` counts as of 2027)
    day_date : None takes 15 July of the year
    epw, epw_day : weather file and its (month, day); None takes its hottest day
    weather_offset_c : added to the dry bulb
    sites_csv, fleet_csv, load_csv, chain_csv : the user's own, see `twin.city.own_files` and
        `twin.city.supply_chain`
    stock_scale : factor on the synthetic stocks of the supply graph
    """

    year: int = 2027
    seed: int = 1
    day: Day = "design"
    districts: tuple[str, ...] | None = None
    detail: tuple[str, ...] = ()
    max_load_mw: float | None = None
    fleet_scale: float = 1.0
    counts: Mapping[str, int] = field(default_factory=dict)
    connected_mw: Mapping[str, float] = field(default_factory=dict)
    day_date: date | None = None
    epw: Path | None = None
    epw_day: tuple[int, int] | None = None
    weather_offset_c: float = 0.0
    sites_csv: Path | None = None
    fleet_csv: Path | None = None
    load_csv: Path | None = None
    chain_csv: Path | None = None
    stock_scale: float = 1.0

    @property
    def local_date(self) -> date:
        """The scenario's date."""
        return date(self.year, 7, 15) if self.day_date is None else self.day_date

    def check(self) -> None:
        """Raise InputProblems with everything wrong in the figures (files are read later)."""
        found: list[tuple[str, object, str]] = []
        if self.year not in YEARS:
            found.append(("city.year", self.year, "one of 2025, 2026, 2027"))
        if self.day not in DAYS:
            found.append(("city.day", self.day, "design, hot or normal"))
        if self.max_load_mw is not None and not 0.0 < self.max_load_mw < float("inf"):
            found.append(("city.max_load_mw", self.max_load_mw, "MW above 0"))
        if not 0.0 <= self.fleet_scale < float("inf"):
            found.append(("city.fleet_scale", self.fleet_scale, "0 or more"))
        if not 0.0 <= self.stock_scale <= 100.0:
            found.append(("city.stock_scale", self.stock_scale, "0 to 100"))
        if not -15.0 <= self.weather_offset_c <= 15.0:
            found.append(("city.weather_offset_c", self.weather_offset_c, "-15 to 15 °C"))
        if self.epw_day is not None and not _is_day(self.epw_day):
            found.append(("city.epw_day", self.epw_day, "month and day, e.g. 07-15"))
        if found:
            raise InputProblems(Problem("scenario", key, str(v), ok) for key, v, ok in found)


def _is_day(day: tuple[int, int]) -> bool:
    """Whether (month, day) exists in a leap year."""
    return 1 <= day[0] <= 12 and 1 <= day[1] <= calendar.monthrange(2024, day[0])[1]


def plan_year_load(year: int) -> float:
    """Return the maximum load of a plan year in MW (``max_load.csv``)."""
    return float(DataRows("max_load.csv").by("year")[str(year)]["max_load_mw"])


def plan_adjustable_mw(year: int) -> float:
    """Return what the city's own plan expects to be adjustable in a year in MW (``plan.csv``)."""
    return float(DataRows("plan.csv").by("year")[str(year)]["adjustable_mw"])


@dataclass(frozen=True, slots=True)
class City:
    """A city as data; everything here is registered or expected, nothing is a true parameter.

    Attributes
    ----------
    spec : what it was built from
    max_load_mw : base of every percentage
    districts, sectors : sites and targets refer to their rows
    sites : one row a customer: district, sector, busbar (-1 until `attach_sites`), demand_kw
        (registered maximum), host_kw (expected host load at the city's maximum),
        contracted_kw, export_limit_kw, security_share and circuit_share_1..4 (of host load),
        terminal, protected, aggregator (-1 none), enrolled, public, restricted (限制类: first to
        be cut, nobody unless a file says so), branch, value_cny_kwh
    nameplates : by kind, registered
    aggregators : virtual power plants, see `twin.city.aggregators`
    chain : supply graph between sites, see `twin.city.supply_chain`
    network : to be built by the grid
    supply : plants, infeeds, pumped storage and their schedules
    weather, design_weather : of the scenario's day and of the design day (expected values)
    tariff : of the day
    load_shape : float64[1440] expected sent-out load over its maximum, design day
    target_demand_mw : float64[sectors, districts, 1440] at the busbars, devices in it
    aircon_share : float64[sectors, 1440] weather-driven share of the target
    weather_factor : float64[2881] on the weather-driven background, from -1440 min
    site_weight : float64[sites] share of the non-device demand of its sector and district
    answer_share : float64[sectors] share of terminals that answer
    connected_mw : registered electrical rating by kind
    notes : what was left out or fell back to synthetic data
    """

    spec: CitySpec
    max_load_mw: float
    districts: Districts
    sectors: tuple[str, ...]
    sites: Columns
    nameplates: Mapping[str, Columns]
    aggregators: Columns
    chain: Columns
    network: NetworkSpec
    supply: Supply
    weather: Weather
    design_weather: Weather
    tariff: Tariff
    load_shape: NDArray[np.float64]
    target_demand_mw: NDArray[np.float64]
    aircon_share: NDArray[np.float64]
    weather_factor: NDArray[np.float64]
    site_weight: NDArray[np.float64]
    answer_share: NDArray[np.float64]
    connected_mw: Mapping[str, float]
    notes: tuple[str, ...]

    def environment(self, now_ms: int) -> Environment:
        """Return what the devices see of the world during the minute at `now_ms`."""
        return self._environment(self.weather, now_ms)

    def design_environment(self, now_ms: int) -> Environment:
        """Return the same for the design day without chance, for the calibration."""
        return self._environment(self.design_weather, now_ms)

    def background_factor(self, now_ms: int) -> float:
        """Return the factor on the weather-driven background at `now_ms`; 1 on a design day."""
        i = min(max(now_ms // MINUTE_MS - FIRST_MINUTE, 0), MINUTES - 1)
        return float(self.weather_factor[i])

    def _environment(self, weather: Weather, now_ms: int) -> Environment:
        now = weather.at(now_ms)
        minute = minute_of_day(now_ms)
        return Environment(
            now_ms=now_ms,
            temperature_c=now.temperature_c,
            wet_bulb_c=now.wet_bulb_c,
            ghi_w_m2=now.ghi_w_m2,
            dni_w_m2=now.dni_w_m2,
            dhi_w_m2=now.dhi_w_m2,
            zenith_deg=now.zenith_deg,
            azimuth_deg=now.azimuth_deg,
            cloud=now.cloud,
            occupancy=now.occupancy,
            workday=weather.day.weekday() < 5,
            tariff_period=int(self.tariff.period[minute]),
            tariff_day=self.tariff.period,
            price_cny_kwh=float(self.tariff.price_cny_kwh[minute]),
            seed=self.spec.seed,
        )
