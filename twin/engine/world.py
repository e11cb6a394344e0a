"""Everything about a run that does not evolve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.city.calendar_days import Days
from twin.city.weather import Weather
from twin.clock import DAY_MS, MINUTE_MS, minute_of_day
from twin.engine.gaming import Gamers, uplift
from twin.engine.timeline import Entry
from twin.record.columns import Columns
from twin.record.exchange import Inventory

POWER_FACTOR_TAN = 0.3287  # power factor 0.95 at the 10 kV busbars (assumed)


@dataclass(frozen=True, slots=True)
class Demand:
    """What the city draws beside the modelled devices; calibrated once, then frozen.

    Attributes
    ----------
    free_kw, aircon_kw : float64[sectors, districts, 1440]  weather-free part, and
        weather-driven part on the design day
    site_weight : float64[sites]  share of its sector-district that each site's host load is
    rest_share : float64[sectors, districts]  share that is spread over the busbars
    busbar_district : int64[busbars]; busbar_weight : float64[busbars], 1 in sum by district
    heat : float64[minutes]  weather factor on `aircon_kw` by minute from `first_minute` on, 1 on
        the design day
    activity : float64[days, sectors]  factor of each day on both parts, the scenario's day last;
        None: every day is a workday
    """

    free_kw: NDArray[np.float64]
    aircon_kw: NDArray[np.float64]
    site_weight: NDArray[np.float64]
    rest_share: NDArray[np.float64]
    busbar_district: NDArray[np.int64]
    busbar_weight: NDArray[np.float64]
    heat: NDArray[np.float64]
    first_minute: int = -1440
    activity: NDArray[np.float64] | None = None

    def aircon_at(self, now_ms: int) -> NDArray[np.float64]:
        """Return float64[sectors, districts], the weather-driven part now [kW]."""
        heat = self.heat[now_ms // MINUTE_MS - self.first_minute]
        return np.asarray(self.aircon_kw[:, :, minute_of_day(now_ms)] * heat)

    def free_at(self, now_ms: int) -> NDArray[np.float64]:
        """Return float64[sectors, districts], the weather-free part now [kW]."""
        return self.free_kw[:, :, minute_of_day(now_ms)]

    def curve_at(self, now_ms: int, occupancy: float) -> NDArray[np.float64]:
        """Return float64[sectors, districts], both parts with the day's people [kW].

        Sector 1, the tertiary one, goes with `occupancy`.
        """
        people = np.array([1.0, occupancy, 1.0])
        if self.activity is not None:
            last = len(self.activity) - 1
            people = people * self.activity[min(max(now_ms // DAY_MS + last, 0), last)]
        return np.asarray((self.free_at(now_ms) + self.aircon_at(now_ms)) * people[:, None])

    def background_kw(self, now_ms: int, occupancy: float) -> NDArray[np.float64]:
        """Return float64[busbars], demand that stands at no site."""
        by_district = (self.curve_at(now_ms, occupancy) * self.rest_share).sum(axis=0)
        return np.asarray(by_district[self.busbar_district] * self.busbar_weight)


@dataclass(frozen=True, slots=True)
class World:
    """The constants of one run.

    Attributes
    ----------
    day : the scenario's date, `workday` whether people work on it
    start_ms, end_ms : span of the run since that day's midnight
    control_period_ms, grid_period_ms, tick_ms : beats; the fleet steps by 1 s inside a tick
    inventory : what is registered
    nameplates : by device kind
    tariff_day : int64[1440]; price_day : float64[1440] [CNY/kWh]
    plant_mw : float64[1440, plants]; pumped_mw : float64[1440]
    cloud_seed : seed of the weather's chance, by default the scenario's
    timeline : sorted entries
    maps : by kind the register map of each device, where there is a wire
    days : the days before and the day, where the run has a history; None: the day before is
        like the day
    gaming : owners who bend their own baseline
    """

    name: str
    day: date
    workday: bool
    seed: int
    start_ms: int
    end_ms: int
    control_period_ms: int
    grid_period_ms: int
    tick_ms: int
    inventory: Inventory
    nameplates: Mapping[str, Columns]
    weather: Weather
    demand: Demand
    tariff_day: NDArray[np.int64]
    price_day: NDArray[np.float64]
    plant_mw: NDArray[np.float64]
    pumped_mw: NDArray[np.float64]
    timeline: tuple[Entry, ...]
    maps: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    days: Days | None = None
    gaming: tuple[Gamers, ...] = ()

    def gamers(self) -> NDArray[np.int64] | None:
        """Return int64[sites], the group that bends its baseline, -1 for who is honest.

        None where nobody does it.
        """
        if not self.gaming:
            return None
        who = np.full(self.inventory.sites.n, -1, np.int64)
        for number, group in enumerate(self.gaming):
            who[group.rows] = number
        return who

    def uplift_at(self, now_ms: int) -> NDArray[np.float64] | None:
        """Return float64[sites], the factor of gaming on host load now; None where nobody does."""
        return uplift(self.gaming, now_ms, self.inventory.sites.n)

    def city_points(self, now_ms: int, load_mw: float) -> NDArray[np.float64]:
        """Return float64[points, 1], the truth behind the readings of ``city``."""
        air = self.weather.at(now_ms).temperature_c
        return np.array([[load_mw], [air], [self.pumped_mw[minute_of_day(now_ms)]]])

    def environment(self, now_ms: int) -> Environment:
        """Return the world outside during the minute of `now_ms`."""
        start_ms = now_ms - now_ms % MINUTE_MS
        air = self.weather.at(start_ms)
        minute = minute_of_day(start_ms)
        workday, tariff, price = self.workday, self.tariff_day, self.price_day
        if self.days is not None:
            row = self.days.row(start_ms)
            workday, tariff = bool(self.days.workday[row]), self.days.tariff_period[row]
            price = self.days.price_cny_kwh[row]
        return Environment(
            now_ms=start_ms,
            temperature_c=air.temperature_c,
            wet_bulb_c=air.wet_bulb_c,
            ghi_w_m2=air.ghi_w_m2,
            dni_w_m2=air.dni_w_m2,
            dhi_w_m2=air.dhi_w_m2,
            zenith_deg=air.zenith_deg,
            azimuth_deg=air.azimuth_deg,
            cloud=air.cloud,
            occupancy=air.occupancy,
            workday=workday,
            tariff_period=int(tariff[minute]),
            tariff_day=tariff,
            price_cny_kwh=float(price[minute]),
            seed=self.seed,
        )
