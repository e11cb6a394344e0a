"""Where the city's stations stand, what feeds what, and where plants connect."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from twin.chance import generator
from twin.grid.draft import Draft
from twin.grid.equipment import Equipment
from twin.grid.placement import Points, centres, distances, feed, largest_remainder, scatter
from twin.grid.spec import NetworkSpec, PlantSpec

__all__ = ["City", "Level", "peak_mw", "place"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(slots=True)
class Level:
    """Stations of one voltage level."""

    at: Points
    district: I8
    load_mw: F8
    bus: list[int] = field(default_factory=list)


@dataclass(slots=True)
class City:
    """What the drawing steps share.

    Attributes
    ----------
    area : 500 kV station of each 220 kV one
    feeder : 220 kV station of each 110 kV one
    plant_at : row of the station of each plant, at 500 kV or else at the 220 kV level
    relief_500_mw, relief_220_mw : plants' peak output on each station
    """

    spec: NetworkSpec
    parts: Equipment
    draft: Draft
    s500: Level
    s220: Level
    s110: Level
    area: I8
    feeder: I8
    plant_at: list[int]
    relief_500_mw: F8
    relief_220_mw: F8


def place(spec: NetworkSpec, parts: Equipment) -> City:
    """Place stations by the districts' loads and connect each level to the one above."""
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
    upper = Level(at, distances(at, towns).argmin(axis=1), _sums(area, middle.load_mw, len(at)))
    none_500, none_220 = np.zeros(len(at)), np.zeros(len(middle.at))
    city = City(spec, parts, Draft(), upper, middle, lower, area, feeder, [], none_500, none_220)
    _site_plants(city, towns)
    return city


def _sums(owner: I8, load_mw: F8, n: int) -> F8:
    return np.asarray(np.bincount(owner, load_mw, n), dtype=np.float64)


def _scattered(spec: NetworkSpec, counts: list[int], chance: Generator) -> Level:
    towns = zip(spec.districts, counts, strict=True)
    at = np.vstack([scatter(chance, d.x_km, d.y_km, d.radius_km, n) for d, n in towns])
    return Level(at, np.repeat(np.arange(len(counts)), counts), np.zeros(len(at)))


def peak_mw(plant: PlantSpec, parts: Equipment) -> float:
    """Return a plant's output at the peak hour."""
    if plant.peak_mw is not None:
        return plant.peak_mw
    return plant.rated_mw * parts.source["plant_peak_share"]


def _site_plants(city: City, towns: Points) -> None:
    """Connect each plant where its district's station has the most load left."""
    level = city.s220
    for plant in city.spec.plants:
        peak = peak_mw(plant, city.parts)
        if plant.voltage_kv == 500:
            town = towns[plant.district : plant.district + 1]
            chosen = int(distances(town, city.s500.at).argmin())
            city.relief_500_mw[chosen] += peak
        else:
            inside = np.flatnonzero(level.district == plant.district)
            left = level.load_mw[inside] - city.relief_220_mw[inside]
            chosen = int(inside[int(left.argmax())])
            city.relief_220_mw[chosen] += peak
        city.plant_at.append(chosen)
