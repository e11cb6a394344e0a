"""What a network is built from; the city fills this in, the grid reads no CSV.

Positions are in km east (`x_km`) and north (`y_km`) of the city centre.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from twin.errors import InputProblems, Problem

__all__ = ["DistrictSpec", "InfeedSpec", "NetworkSpec", "PlantSpec", "PumpedStorageSpec"]


@dataclass(frozen=True, slots=True)
class DistrictSpec:
    """One district.

    Attributes
    ----------
    name : unique
    load_mw : demand at the 10 kV busbars for which the network is sized [MW]
    x_km, y_km, radius_km : where its stations lie
    cable : 110 and 220 kV circuits are cables
    """

    name: str
    load_mw: float
    x_km: float
    y_km: float
    radius_km: float
    cable: bool = False


@dataclass(frozen=True, slots=True)
class PlantSpec:
    """One local plant.

    Attributes
    ----------
    district : row in `NetworkSpec.districts`
    rated_mw : rating of all its units [MW]
    voltage_kv : 500, 220 or 110, bus to which it is connected
    kind : coal, gas, waste, ...
    peak_mw : output at the peak hour for which the network is sized; None takes the table's share
    """

    name: str
    district: int
    rated_mw: float
    voltage_kv: float
    kind: str
    peak_mw: float | None = None


@dataclass(frozen=True, slots=True)
class InfeedSpec:
    """One import point.

    Attributes
    ----------
    share : of the imports; shares are normalised to 1
    short_circuit_mva : the source stands behind this short-circuit power; None holds the
        voltage at the boundary bus itself
    """

    name: str
    share: float
    x_km: float
    y_km: float
    short_circuit_mva: float | None = None


@dataclass(frozen=True, slots=True)
class PumpedStorageSpec:
    """The pumped storage plant; power is positive into the grid, pumping negative."""

    name: str
    rated_mw: float
    x_km: float
    y_km: float


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Everything from which `build_network` makes a network.

    Attributes
    ----------
    stations_500, stations_220, stations_110 : numbers of stations (city form)
    detail : rows of districts that get 10 kV feeders (city form)
    detail_busbars : number of 10 kV busbars in each such district that get feeders
    detail_feeders : feeders on each detailed busbar, of `feeder_nodes` nodes
    form : "city" or "district" (one district behind one 220 kV infeed, always in detail)
    """

    districts: tuple[DistrictSpec, ...]
    plants: tuple[PlantSpec, ...] = ()
    infeeds: tuple[InfeedSpec, ...] = ()
    pumped_storage: PumpedStorageSpec | None = None
    stations_500: int = 8
    stations_220: int = 50
    stations_110: int = 220
    detail: tuple[int, ...] = ()
    detail_busbars: int = 2
    detail_feeders: int = 3
    feeder_nodes: int = 20
    seed: int = 1
    form: Literal["city", "district"] = "city"

    @property
    def load_mw(self) -> float:
        """Demand at 10 kV for which the network is sized [MW]."""
        return math.fsum(d.load_mw for d in self.districts)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for hashing and for the run directory."""
        return asdict(self)

    def check(self, file: str = "network") -> None:
        """Raise `InputProblems` with everything that is wrong in the specification."""
        found = [Problem(file, place, value, allowed) for place, value, allowed in _wrong(self)]
        if found:
            raise InputProblems(found)


def _wrong(spec: NetworkSpec) -> list[tuple[str, str, str]]:
    """Return (place, value, allowed) of each wrong entry."""
    bad: list[tuple[str, str, str]] = []

    def need(good: bool, place: str, value: object, allowed: str) -> None:
        if not good:
            bad.append((place, str(value), allowed))

    need(len(spec.districts) > 0, "districts", "none", "at least one")
    need(len(spec.infeeds) > 0, "infeeds", "none", "at least one")
    for i, d in enumerate(spec.districts):
        need(_positive(d.load_mw), f"districts[{i}].load_mw", d.load_mw, "MW above 0")
        need(_positive(d.radius_km), f"districts[{i}].radius_km", d.radius_km, "km above 0")
    for i, p in enumerate(spec.plants):
        inside = 0 <= p.district < len(spec.districts)
        need(inside, f"plants[{i}].district", p.district, f"0 to {len(spec.districts) - 1}")
        need(_positive(p.rated_mw), f"plants[{i}].rated_mw", p.rated_mw, "MW above 0")
        need(
            p.voltage_kv in (500, 220, 110), f"plants[{i}].voltage_kv", p.voltage_kv, "500|220|110"
        )
    for i, s in enumerate(spec.infeeds):
        need(_positive(s.share), f"infeeds[{i}].share", s.share, "above 0")
    for i in spec.detail:
        need(0 <= i < len(spec.districts), "detail", i, f"0 to {len(spec.districts) - 1}")
    need(spec.feeder_nodes >= 2, "feeder_nodes", spec.feeder_nodes, "2 or more")
    need(spec.detail_busbars >= 1, "detail_busbars", spec.detail_busbars, "1 or more")
    need(spec.detail_feeders >= 1, "detail_feeders", spec.detail_feeders, "1 or more")
    if spec.form == "city":
        need(spec.stations_500 >= 3, "stations_500", spec.stations_500, "3 or more")
        need(spec.stations_220 >= spec.stations_500, "stations_220", spec.stations_220, ">= 500 kV")
        need(spec.stations_110 >= spec.stations_220, "stations_110", spec.stations_110, ">= 220 kV")
        enough = spec.stations_220 >= len(spec.districts)
        need(enough, "stations_220", spec.stations_220, "at least one a district")
        below = len(spec.infeeds) <= spec.stations_500
        need(below, "infeeds", len(spec.infeeds), "at most one a 500 kV station")
    else:
        need(len(spec.districts) <= 1, "districts", len(spec.districts), "one, in district form")
        need(len(spec.infeeds) <= 1, "infeeds", len(spec.infeeds), "one, in district form")
        need(spec.pumped_storage is None, "pumped_storage", "given", "none, in district form")
        need(not spec.plants, "plants", len(spec.plants), "none, in district form")
    return bad


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0.0
