"""What is registered, as the logic and the judge see it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twin.assets import KINDS
from twin.engine.busbars import BUSBAR_POINTS
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory, Point

METER_POINTS = (
    Point("demand_kw", "kW", "Demand at the meter", "计量点负荷", accuracy=0.005, resolution=0.1),
)
CITY_POINTS = (
    Point("load_mw", "MW", "Sent-out load", "统调负荷", accuracy=0.0005, resolution=0.1),
    Point("temperature_c", "°C", "Outdoor air", "室外气温", resolution=0.1),
    Point("pumped_mw", "MW", "Pumped storage", "抽水蓄能出力", resolution=0.1),
)


def build_inventory(
    max_load_mw: float,
    districts: tuple[str, ...],
    sectors: tuple[str, ...],
    sites: Columns,
    nameplates: Mapping[str, Columns],
    busbars: Columns,
    aggregators: Columns | None = None,
    chain: Columns | None = None,
) -> Inventory:
    """Return the inventory, with the pseudo kinds ``meter`` (of sites), ``city`` and ``busbar``.

    They come last and in this order, so that none of them moves the turn of a device kind.
    """
    # Expected host load is how the city was made, not what anybody registered.
    sites = Columns({name: column for name, column in sites.items() if name != "host_kw"})
    kinds = {
        name: KindInventory(name, KINDS[name].points, KINDS[name].setpoints, plate)
        for name, plate in nameplates.items()
        if plate.n > 0
    }
    meter = {
        "site": np.arange(sites.n),
        "district": sites["district"],
        "rated_kw": sites["demand_kw"],
        "enrolled": sites["enrolled"],
        "circuit": np.full(sites.n, -1),
    }
    kinds["meter"] = KindInventory("meter", METER_POINTS, (), Columns(meter))
    kinds["city"] = KindInventory("city", CITY_POINTS, (), Columns({"site": np.zeros(1, int)}))
    kinds["busbar"] = KindInventory("busbar", BUSBAR_POINTS, (), busbars)
    agents = Columns({}) if aggregators is None else aggregators
    edges = Columns({}) if chain is None else chain
    return Inventory(max_load_mw, districts, sectors, sites, kinds, agents, edges)
