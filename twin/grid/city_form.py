"""The city: 500, 220 and 110 kV stations with their 10 kV busbars, drawn from the districts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twin.grid.backbone import draw_backbone
from twin.grid.city_plan import City, Level, place
from twin.grid.draft import BusbarRow, Draft, SourceRow
from twin.grid.equipment import Equipment
from twin.grid.feeders import draw_feeders
from twin.grid.placement import loops, route_km
from twin.grid.spec import NetworkSpec

__all__ = ["draw_city"]


def draw_city(spec: NetworkSpec, parts: Equipment) -> Draft:
    """Draw the city form of `spec`."""
    city = place(spec, parts)
    draw_backbone(city)
    _draw_220(city)
    _draw_110(city)
    return city.draft


def _draw_220(city: City) -> None:
    parts, draft = city.parts, city.draft
    size, level = parts.sizing, city.s220
    _number(city, level, 220.0)
    pf = size["power_factor"]
    for k, hub in enumerate(city.s500.bus):
        members = np.flatnonzero(city.area == k)
        station = draft.buses[hub].station
        low = draft.bus(
            f"{station} 220 kV", 220.0, station, draft.buses[hub].district, *city.s500.at[k]
        )
        net_mva = (
            (level.load_mw[members] - city.relief_220_mw[members]).sum() * (1 + size["losses"]) / pf
        )
        unit = parts.transformers["t500"]
        mva = unit.sizes_mva[0]
        needed = math.ceil(max(0.0, net_mva) / (size["t500_loading"] * mva)) + int(
            size["t500_spare"]
        )
        count = max(int(size["t500_least"]), needed)
        draft.units(hub, low, count, mva, unit, apart=True)
        draft.bank(low, parts.compensation["c500"], count * mva, -1)
        for loop in loops(members, level.at, city.s500.at[k]):
            _draw_loop(city, low, city.s500.at[k], loop)


def _draw_loop(city: City, hub: int, at: NDArray[np.float64], loop: list[int]) -> None:
    """Draw hub - station - station - hub, sized for the loop's load with one circuit out."""
    size, level, parts = city.parts.sizing, city.s220, city.parts
    mva = float(level.load_mw[loop].sum()) / size["power_factor"]
    stops = [(hub, at), *((level.bus[s], level.at[s]) for s in loop), (hub, at)]
    for k in range(len(stops) - 1):
        end = k in (0, len(stops) - 2)
        near = loop[min(k, len(loop) - 1)]
        cable = city.spec.districts[int(level.district[near])].cable
        line = parts.lines["cable220" if cable else ("oh220_heavy" if end else "oh220")]
        through = (0.5 if end else 0.3) * mva
        count = max(2, math.ceil(through / (size["line220_loading"] * line.rating_mva)) + 1)
        km = route_km(stops[k][1], stops[k + 1][1], size["detour"])
        city.draft.circuits(stops[k][0], stops[k + 1][0], count, line, km, apart=True)


def _number(city: City, level: Level, kv: float) -> None:
    """Add the buses of a level, numbered within their district."""
    count = [0] * len(city.spec.districts)
    for at, d in zip(level.at, level.district, strict=True):
        count[d] += 1
        station = f"{city.spec.districts[d].name} {kv:g}-{count[d]:02d}"
        level.bus.append(city.draft.bus(f"{station} {kv:g} kV", kv, station, int(d), *at))


def _draw_110(city: City) -> None:
    parts, draft, size = city.parts, city.draft, city.parts.sizing
    _number(city, city.s110, 110.0)
    pf = size["power_factor"]
    sides: list[int] = []
    for k, bus in enumerate(city.s220.bus):
        row = draft.buses[bus]
        side = draft.bus(
            f"{row.station} 110 kV", 110.0, row.station, row.district, row.x_km, row.y_km
        )
        sides.append(side)
        unit = parts.transformers["t220"]
        load_mva = city.s220.load_mw[k] * (1.0 + size["losses"]) / pf
        mva = unit.sizes_mva[-1]
        needed = math.ceil(load_mva / (size["t220_loading"] * mva)) + int(size["t220_spare"])
        count = max(int(size["t220_least"]), needed)
        group = draft.units(bus, side, count, mva, unit, apart=True)
        draft.bank(side, parts.compensation["c220"], count * mva, group)
    _local_sources(city, sides)
    for k, bus in enumerate(city.s110.bus):
        _draw_station_110(city, k, bus, sides[city.feeder[k]])
    _detail(city)


def _local_sources(city: City, sides: list[int]) -> None:
    """Add plants and pumped storage; sources stand in the order infeeds, plants, storage."""
    value, sources = city.parts.source, city.draft.sources
    for plant, at in zip(city.spec.plants, city.plant_at, strict=True):
        bus = {500: city.s500.bus, 220: city.s220.bus, 110: sides}[round(plant.voltage_kv)][at]
        vm_pu = value["plant110_vm_pu" if plant.voltage_kv == 110 else "plant_vm_pu"]
        row = SourceRow(plant.name, "plant", plant.kind, bus, 0.0, plant.rated_mw, vm_pu)
        sources.append(row)
    pumped = city.spec.pumped_storage
    if pumped is not None:
        bus = next(i for i, b in enumerate(city.draft.buses) if b.station == pumped.name)
        vm_pu = value["storage_vm_pu"]
        row = SourceRow(pumped.name, "pumped_storage", "", bus, 0.0, pumped.rated_mw, vm_pu)
        sources.append(row)


def _draw_station_110(city: City, k: int, bus: int, side: int) -> None:
    parts, draft, size = city.parts, city.draft, city.parts.sizing
    row = draft.buses[bus]
    d = row.district
    load_mw = float(city.s110.load_mw[k])
    mva = load_mw / size["power_factor"]
    line = parts.lines["cable110" if city.spec.districts[d].cable else "oh110"]
    circuits = max(2, math.ceil(mva / (size["line110_loading"] * line.rating_mva)))
    km = route_km(city.s220.at[city.feeder[k]], city.s110.at[k], size["detour"])
    draft.circuits(side, bus, circuits, line, km, apart=False)
    unit = parts.transformers["t110"]
    count = max(
        int(size["t110_least"]), math.ceil(mva / (size["t110_loading"] * unit.sizes_mva[-1]))
    )
    rating = unit.size_for(mva / (size["t110_loading"] * count))
    low = draft.bus(f"{row.station} 10 kV", 10.0, row.station, d, row.x_km, row.y_km)
    group = draft.units(bus, low, count, rating, unit, apart=False)
    draft.bank(low, parts.compensation["c110"], count * rating, group)
    own = len(draft.busbars)
    capacity = count * rating * size["power_factor"]
    draft.busbars.append(BusbarRow(low, d, "busbar", load_mw, capacity, own, -1))


def _detail(city: City) -> None:
    """Hang feeders on the first busbars of the districts asked for."""
    for d in city.spec.detail:
        rows = [
            i for i, b in enumerate(city.draft.busbars) if b.district == d and b.kind == "busbar"
        ]
        for row in rows[: city.spec.detail_busbars]:
            draw_feeders(city.draft, city.parts, city.spec, row)
