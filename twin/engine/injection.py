"""From devices to meters to the network: what one grid period put where."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.assets.kind import Kind
from twin.assets.site import Sites
from twin.clock import minute_of_day
from twin.engine.world import POWER_FACTOR_TAN, World

Floats = NDArray[np.float64]

GENERATING = ("solar", "storage")  # inverters at unity power factor

# By kind int64[k] rows and float64[k] their power [kW], positive into the grid.
Replaced = Mapping[str, tuple[NDArray[np.int64], Floats]]


def means_kw(kinds: Mapping[str, Kind], seconds: int, replaced: Replaced) -> dict[str, Floats]:
    """Return by kind float64[n], each device's mean power over a grid period [kW].

    Parameters
    ----------
    seconds : length of the period
    replaced : devices whose power comes from elsewhere (measured on a bench), not from the twin
    """
    means = {
        # A kind whose steps do not fit the period books some of them whole in a neighbouring
        # one; within a step its power is constant.
        name: kind.power_kw.copy()
        if seconds % kind.step_s != 0
        else kind.state["energy_kws"] / seconds
        for name, kind in kinds.items()
    }
    for name, (rows, power_kw) in replaced.items():
        means[name][rows] = power_kw
    return means


def meter_kw(sites: Sites, mean_kw: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Return float64[sites] twice: demand at the meters, and what inverters behind them fed.

    Parameters
    ----------
    mean_kw : by kind each device's mean power over the period, positive into the grid
    """
    meter = sites.state["host_kw"].copy()
    if "terminal" in mean_kw:
        meter[sites.device_site["terminal"]] = -mean_kw["terminal"]
    inverter = np.zeros(sites.n)
    for name, mean in mean_kw.items():
        if name == "terminal":
            continue
        at_site = sites.by_site(name, mean)
        meter -= at_site
        if name in GENERATING:
            inverter += at_site
    return meter, inverter


def injections(
    world: World,
    sites: Sites,
    flows_kw: tuple[Floats, Floats],
    background_kw: Floats,
    start_ms: int,
) -> dict[str, Floats]:
    """Return what the load flow takes, by name [MW, Mvar].

    Parameters
    ----------
    flows_kw : what `meter_kw` returned
    background_kw : float64[busbars]  demand that stands at no site
    start_ms : begin of the period
    """
    meter, inverter = flows_kw
    busbars, busbar = len(background_kw), sites.columns.i8("busbar")
    demand_kw = np.bincount(busbar, weights=meter, minlength=busbars) + background_kw
    rotating = np.bincount(busbar, weights=meter + inverter, minlength=busbars)
    reactive = POWER_FACTOR_TAN * np.maximum(rotating + background_kw, 0.0)
    minute = minute_of_day(start_ms)
    return {
        "demand_mw": demand_kw / 1_000.0,
        "demand_mvar": reactive / 1_000.0,
        "plant_mw": world.plant_mw[minute],
        "pumped_mw": np.array(world.pumped_mw[minute]),
    }
