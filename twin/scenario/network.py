"""The network of a scenario: drawn from the city, or the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from twin.city.spec import City
from twin.engine.world import POWER_FACTOR_TAN
from twin.errors import InputProblems, Problem
from twin.grid import GridOperation, Network, build_network, from_pandapower, network_key
from twin.grid.sensitivity import QUARTERS, network_view
from twin.record.network_view import NetworkView
from twin.scenario.cache import cache_folder
from twin.scenario.files import resolve
from twin.scenario.schema import Scenario


def scenario_network(scenario: Scenario, path: Path, city: City) -> Network:
    """Return the scenario's network; a drawn one is kept by the hash of what it is drawn from.

    Raises InputProblems with everything wrong in the user's network, also when it cannot carry
    the scenario's maximum load.
    """
    if scenario.city.network is not None:
        return _imported(resolve(path, scenario.city.network), city)
    name = cache_folder() / f"network-{network_key(city.network)}.npz"
    if name.is_file():
        try:
            return Network.load(name)
        except InputProblems:
            name.unlink()
    network = build_network(city.network)
    name.parent.mkdir(parents=True, exist_ok=True)
    draft = name.with_suffix(".part")
    network.save(draft)
    draft.replace(name)
    return network


def _imported(file: Path, city: City) -> Network:
    districts = list(zip(city.districts.names, city.districts.names_en, strict=True))
    peak = int(np.argmax(city.load_shape))
    district_mw = city.target_demand_mw[:, :, peak].sum(axis=0)
    network = from_pandapower(file, districts, district_mw)
    busbars = network.busbars
    demand_mw = busbars.weight * district_mw[busbars.district]
    demand_mvar = POWER_FACTOR_TAN * demand_mw
    operation = GridOperation(network)
    shot = operation.settle(0, demand_mw, demand_mvar, np.zeros(0), 0.0)
    if not shot.converged:
        text = f"no load flow solution at the maximum load of {city.max_load_mw:g} MW"
        own_mw = float(network.design_mw.sum())
        allowed = (
            f"a network that carries it (its own loads are {own_mw:.4g} MW), "
            "or a lower city.max_load_mw"
        )
        raise InputProblems([Problem(str(file), "network", text, allowed)])
    return network


def plant_schedule(
    network: Network, city: City
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return float64[1440, plants] MW of the network's plants; the user's own has none."""
    if len(network.plant_rows) == city.supply.plant_schedule_mw.shape[1]:
        return city.supply.plant_schedule_mw
    return np.zeros((1440, len(network.plant_rows)))


def pumped_schedule(
    network: Network, city: City
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return float64[1440] MW of the pumped storage, 0 where the network has none."""
    has = len(network.pumped_rows) > 0
    return city.supply.pumped_schedule_mw if has else np.zeros(1440)


def expected_view(network: Network, city: City) -> NetworkView:
    """Return what a logic may know of the network, with the flows of a day as planned.

    Demand is the city's by district and quarter of an hour, shared out to the busbars as the
    network was sized; plants and pumped storage keep to their schedules.
    """
    busbars = network.busbars
    district_mw = _by_quarter(city.target_demand_mw.sum(axis=0))
    demand_mw = busbars.weight[:, None] * district_mw[busbars.district]
    plant_mw = _by_quarter(plant_schedule(network, city).T)
    pumped_mw = _by_quarter(pumped_schedule(network, city)[None, :])[0]
    return network_view(network, demand_mw, plant_mw, pumped_mw)


def _by_quarter(
    minutes: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the means over quarters of an hour of rows of 1440 minutes."""
    return np.asarray(minutes.reshape(len(minutes), QUARTERS, 1440 // QUARTERS).mean(axis=2))
