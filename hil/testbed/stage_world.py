"""One device alone in the world: a site, a day of July, and nothing else that draws power."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.assets.kind import Kind
from twin.assets.manners import Manner
from twin.assets.site import Sites
from twin.city.spelling import did_you_mean
from twin.city.tariffs import build_tariff
from twin.city.weather import Weather, build_weather
from twin.clock import DAY_MS, MINUTE_MS
from twin.engine.simulation import Simulation
from twin.engine.telemetry import Channel, Distortion
from twin.engine.timeline import Entry, MannerChange, Phase
from twin.engine.world import Demand, World
from twin.errors import InputProblems, Problem
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory

__all__ = ["alone", "default_nameplate", "start_hour", "start_state"]

DAY = date(2026, 7, 15)
SECTORS = ("industry", "tertiary", "other")
# The site's own limits stay out of the way: they bound a device at this many times its rating.
ROOM = 10.0
START_H = 10
MOST_MINUTES = 60 * 24 * 60
WHOLE = ("use", "posts", "packs")
CLEAN = Distortion(0.0, 0.0, 0.0, 0.0, 1.0, 1.0)


def default_nameplate(kind: str) -> dict[str, float]:
    """Return the nameplate of an emulated device of `kind`; raises InputProblems for no kind."""
    return {n: float(v) for n, v in _row(kind).items() if n not in ("start_h", "state")}


def start_hour(kind: str) -> int:
    """Return the hour of the day at which an emulated device of `kind` is met at work."""
    return int(_row(kind).get("start_h", START_H))


def start_state(kind: str) -> dict[str, float]:
    """Return rows of the state of `kind` and what they hold when a stage is set."""
    return dict(_row(kind).get("state", {}))


def _row(kind: str) -> Mapping[str, Any]:
    known = _nameplates()
    if kind not in known:
        allowed = ", ".join(known) + did_you_mean(kind, known)
        raise InputProblems([Problem("device", "kind", kind, allowed)])
    return known[kind]


@cache
def _nameplates() -> Mapping[str, Mapping[str, Any]]:
    text = files("hil.testbed").joinpath("stage.toml").read_text("utf-8")
    return tomllib.loads(text)


def alone(
    sort: type[Kind],
    nameplate: Mapping[str, float],
    seed: int,
    start_ms: int,
    manner: Manner | None = None,
) -> Simulation:
    """Return a simulation of one device at `start_ms` of a summer workday, warm.

    Parameters
    ----------
    sort : device kind, or a class that stands in for it
    nameplate : all columns of the kind but site, circuit, district and enrolled
    seed : of its single spread, of the weather and of its meters' errors
    manner : how it behaves from the start
    """
    kind = sort(_columns(sort, nameplate), seed)
    kind.step_s = 1  # type: ignore[misc]  # coarser steps are for fleets: one device has its own
    rated = float(nameplate["rated_kw"])
    known = KindInventory(sort.name, sort.points, sort.setpoints, kind.registered)
    sites = _sites(sort, nameplate, rated)
    inventory = Inventory(1.0, ("district",), SECTORS, sites, {sort.name: known})
    weather = _weather(seed)
    tariff = build_tariff(DAY, weather.max_c)
    world = World(
        name="stage",
        day=DAY,
        workday=True,
        seed=seed,
        start_ms=start_ms,
        end_ms=start_ms + DAY_MS,
        control_period_ms=MINUTE_MS,
        grid_period_ms=MINUTE_MS,
        tick_ms=MINUTE_MS,
        inventory=inventory,
        nameplates={sort.name: kind.registered},
        weather=weather,
        demand=_demand(rated if sort.name == "terminal" else 0.0, len(weather.temperature_c)),
        tariff_day=tariff.period,
        price_day=tariff.price_cny_kwh,
        plant_mw=np.zeros((1440, 0)),
        pumped_mw=np.zeros(1440),
        timeline=_timeline(sort.name, manner, start_ms),
    )
    kinds: dict[str, Kind] = {sort.name: kind}
    channel = Channel(
        sort.name, sort.points, np.array([rated]), np.ones(1, np.bool_), CLEAN, seed
    )  # fmt: skip
    run = Simulation(
        world, kinds, Sites(sites, world.demand.site_weight, kinds, seed), None,
        {sort.name: channel}, None, None,
    )  # fmt: skip
    run.begin(start_ms)
    return run


def _timeline(kind: str, manner: Manner | None, start_ms: int) -> tuple[Entry, ...]:
    if manner is None:
        return ()
    return (Entry(start_ms, Phase.DISTURB, 0, 0, 0, MannerChange(0, kind, manner, rows=(0,))),)


@cache
def _weather(seed: int) -> Weather:
    return build_weather(DAY, "design", seed, 1)


def _columns(sort: type[Kind], nameplate: Mapping[str, float]) -> Columns:
    wanted = ("rated_kw", *sort.nameplate)
    found = [
        Problem("nameplate", name, "missing", "a number")
        for name in wanted
        if name not in nameplate
    ]
    found += [
        Problem("nameplate", name, "unknown", ", ".join(wanted))
        for name in nameplate
        if name not in wanted
    ]
    if found:
        raise InputProblems(found)
    own: dict[str, NDArray[np.generic]] = {
        name: np.array([nameplate[name]], np.int64 if name in WHOLE else np.float64)
        for name in wanted
    }
    return Columns({
        "site": np.zeros(1, np.int64), "circuit": np.full(1, -1, np.int8),
        "district": np.zeros(1, np.int64), "enrolled": np.ones(1, np.bool_), **own,
    })  # fmt: skip


def _sites(sort: type[Kind], nameplate: Mapping[str, float], rated: float) -> Columns:
    shares = {f"circuit_share_{i}": nameplate.get(f"circuit_share_{i}", 0.0) for i in range(1, 5)}
    whole = {
        "demand_kw": rated, "contracted_kw": ROOM * rated, "export_limit_kw": ROOM * rated,
        "security_share": nameplate.get("security_share", 0.0), **shares,
    }  # fmt: skip
    return Columns({
        "district": np.zeros(1, np.int64), "sector": np.zeros(1, np.int64),
        "busbar": np.zeros(1, np.int64), "terminal": np.full(1, sort.name == "terminal"),
        "protected": np.zeros(1, np.bool_), "enrolled": np.ones(1, np.bool_),
        **{name: np.array([value], np.float64) for name, value in whole.items()},
    })  # fmt: skip


def _demand(host_kw: float, minutes: int) -> Demand:
    """Return a host load that is flat but for the site's own noise."""
    free = np.zeros((len(SECTORS), 1, 1440))
    free[0] = host_kw
    return Demand(
        free_kw=free,
        aircon_kw=np.zeros_like(free),
        site_weight=np.ones(1),
        rest_share=np.zeros((len(SECTORS), 1)),
        busbar_district=np.zeros(1, np.int64),
        busbar_weight=np.ones(1),
        # A stage may stand for weeks; the weather holds at its end.
        heat=np.ones(minutes + MOST_MINUTES),
    )
