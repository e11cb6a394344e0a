"""The city: 500, 220 and 110 kV stations with their 10 kV busbars, drawn from the districts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from twin.chance import generator
from twin.grid.draft import BusbarRow, Draft, SourceRow
from twin.grid.equipment import Equipment
from twin.grid.feeders import draw_feeders
from twin.grid.placement import (
    Points,
    centres,
    distances,
    feed,
    largest_remainder,
    loops,
    names_near,
    one_each,
    ring,
    route_km,
    scatter,
)
from twin.grid.spec import NetworkSpec, PlantSpec

__all__ = ["draw_city"]


@dataclass(slots=True)
class _Level:
    """Stations of one voltage level."""

    at: Points
    district: NDArray[np.int64]
    load_mw: NDArray[np.float64]
    bus: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _City:
    """What the drawing steps share."""

    spec: NetworkSpec
    parts: Equipment
    draft: Draft
    s500: _Level
    s220: _Level
    s110: _Level
    area: NDArray[np.int64]  # 500 kV station of each 220 kV one
    feeder: NDArray[np.int64]  # 220 kV station of each 110 kV one
    relief_mw: NDArray[np.float64]  # plants' peak output on each 220 kV station


def draw_city(spec: NetworkSpec, parts: Equipment) -> Draft:
    """Draw the city form of `spec`."""
    city = _place(spec, parts)
    _draw_500(city)
    _draw_220(city)
    _draw_110(city)
    return city.draft


def _place(spec: NetworkSpec, parts: Equipment) -> _City:
    chance = generator(spec.seed, "grid.placement")
    loads = [d.load_mw for d in spec.districts]
    lower = _scattered(spec, largest_remainder(loads, spec.stations_110), chance)
    spread = parts.sizing["station_spread"]
    lower.load_mw = chance.uniform(1.0 - spread, 1.0 + spread, len(lower.at))
    for d, load in enumerate(loads):
        inside = lower.district == d
        lower.load_mw[inside] *= load / lower.load_mw[inside].sum()
    middle = _scattered(spec, largest_remainder(loads, spec.stations_220), chance)
    feeder = feed(lower.at, middle.at)
    middle.load_mw = _sums(feeder, lower.load_mw, len(middle.at))
    at = centres(middle.at, spec.stations_500)
    area = feed(middle.at, at)
    towns = np.array([[d.x_km, d.y_km] for d in spec.districts])
    upper = _Level(at, distances(at, towns).argmin(axis=1), _sums(area, middle.load_mw, len(at)))
    relief = np.zeros(len(middle.at))
    return _City(spec, parts, Draft(), upper, middle, lower, area, feeder, relief)


def _sums(owner: NDArray[np.int64], load_mw: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(owner, load_mw, n), dtype=np.float64)


def _scattered(spec: NetworkSpec, counts: list[int], chance: Generator) -> _Level:
    towns = zip(spec.districts, counts, strict=True)
    at = np.vstack([scatter(chance, d.x_km, d.y_km, d.radius_km, n) for d, n in towns])
    return _Level(at, np.repeat(np.arange(len(counts)), counts), np.zeros(len(at)))


def _peak_mw(plant: PlantSpec, parts: Equipment) -> float:
    if plant.peak_mw is not None:
        return plant.peak_mw
    return plant.rated_mw * parts.source["plant_peak_share"]


def _draw_500(city: _City) -> None:
    spec, parts, draft = city.spec, city.parts, city.draft
    size, line = parts.sizing, parts.lines["oh500"]
    level = city.s500
    for k, name in enumerate(names_near(level.at, parts.names_500)):
        level.bus.append(
            draft.bus(f"{name} 500 kV", 500.0, name, int(level.district[k]), *level.at[k])
        )
    for a, b in ring(level.at):
        km = route_km(level.at[a], level.at[b], size["detour"])
        draft.circuits(level.bus[a], level.bus[b], 2, line, km, apart=True)
    local_mw = math.fsum(_peak_mw(p, parts) for p in spec.plants)
    import_mw = max(0.0, spec.load_mw * (1.0 + size["losses"]) - local_mw)
    total = math.fsum(s.share for s in spec.infeeds)
    gates = np.array([[s.x_km, s.y_km] for s in spec.infeeds])
    at_station = one_each(gates, level.at)
    for k, infeed in enumerate(spec.infeeds):
        share = infeed.share / total
        bus = draft.bus(f"{infeed.name} 500 kV", 500.0, infeed.name, -1, infeed.x_km, infeed.y_km)
        # one circuit may be out
        most = size["line500_loading"] * line.rating_mva
        count = max(2, math.ceil(share * import_mw / most) + 1)
        to = at_station[k]
        km = route_km(gates[k], level.at[to], size["detour"])
        draft.circuits(bus, level.bus[to], count, line, km, apart=True)
        vm_pu = parts.source["infeed_vm_pu"]
        draft.sources.append(
            SourceRow(infeed.name, "infeed", "", bus, share, import_mw * share, vm_pu)
        )
    if spec.pumped_storage is not None:
        pumped = spec.pumped_storage
        here = np.array([[pumped.x_km, pumped.y_km]])
        bus = draft.bus(f"{pumped.name} 500 kV", 500.0, pumped.name, -1, pumped.x_km, pumped.y_km)
        to = int(distances(here, level.at).argmin())
        km = route_km(here[0], level.at[to], size["detour"])
        draft.circuits(bus, level.bus[to], 2, line, km, apart=True)


def _draw_220(city: _City) -> None:
    parts, draft = city.parts, city.draft
    size, level = parts.sizing, city.s220
    _number(city, level, 220.0)
    _attach_plants(city)
    pf = size["power_factor"]
    for k, hub in enumerate(city.s500.bus):
        members = np.flatnonzero(city.area == k)
        station = draft.buses[hub].station
        low = draft.bus(
            f"{station} 220 kV", 220.0, station, draft.buses[hub].district, *city.s500.at[k]
        )
        net_mva = (
            (level.load_mw[members] - city.relief_mw[members]).sum() * (1 + size["losses"]) / pf
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


def _draw_loop(city: _City, hub: int, at: NDArray[np.float64], loop: list[int]) -> None:
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


def _number(city: _City, level: _Level, kv: float) -> None:
    """Add the buses of a level, numbered within their district."""
    count = [0] * len(city.spec.districts)
    for at, d in zip(level.at, level.district, strict=True):
        count[d] += 1
        station = f"{city.spec.districts[d].name} {kv:g}-{count[d]:02d}"
        level.bus.append(city.draft.bus(f"{station} {kv:g} kV", kv, station, int(d), *at))


def _attach_plants(city: _City) -> None:
    """Connect each plant where its district's station has the most load left."""
    parts, draft, level = city.parts, city.draft, city.s220
    towns = np.array([[d.x_km, d.y_km] for d in city.spec.districts])
    for plant in city.spec.plants:
        peak = _peak_mw(plant, parts)
        if plant.voltage_kv == 500:
            near = int(distances(towns[plant.district : plant.district + 1], city.s500.at).argmin())
            bus, vm_pu = city.s500.bus[near], parts.source["plant_vm_pu"]
        else:
            inside = np.flatnonzero(level.district == plant.district)
            left = level.load_mw[inside] - city.relief_mw[inside]
            chosen = int(inside[int(left.argmax())])
            city.relief_mw[chosen] += peak
            bus, vm_pu = level.bus[chosen], parts.source["plant_vm_pu"]
            if plant.voltage_kv == 110:
                # its 110 kV bus is drawn with the 110 kV level: note the station for now
                bus, vm_pu = -1 - chosen, parts.source["plant110_vm_pu"]
        row = SourceRow(plant.name, "plant", plant.kind, bus, 0.0, plant.rated_mw, vm_pu)
        draft.sources.append(row)


def _draw_110(city: _City) -> None:
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
    draft.sources[:] = [
        s if s.bus >= 0 else SourceRow(s.name, s.kind, s.plant_kind, sides[-1 - s.bus], *_tail(s))
        for s in draft.sources
    ]
    _pumped_source(city)
    for k, bus in enumerate(city.s110.bus):
        _draw_station_110(city, k, bus, sides[city.feeder[k]])
    _detail(city)


def _tail(row: SourceRow) -> tuple[float, float, float]:
    return row.share, row.rated_mw, row.vm_pu


def _pumped_source(city: _City) -> None:
    """Sources stand in the order infeeds, plants, pumped storage."""
    pumped = city.spec.pumped_storage
    if pumped is not None:
        bus = next(i for i, b in enumerate(city.draft.buses) if b.station == pumped.name)
        vm_pu = city.parts.source["storage_vm_pu"]
        row = SourceRow(pumped.name, "pumped_storage", "", bus, 0.0, pumped.rated_mw, vm_pu)
        city.draft.sources.append(row)


def _draw_station_110(city: _City, k: int, bus: int, side: int) -> None:
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


def _detail(city: _City) -> None:
    """Hang feeders on the first busbars of the districts asked for."""
    for d in city.spec.detail:
        rows = [
            i for i, b in enumerate(city.draft.busbars) if b.district == d and b.kind == "busbar"
        ]
        for row in rows[: city.spec.detail_busbars]:
            draw_feeders(city.draft, city.parts, city.spec, row)
