"""The city's 500 kV network: ring, chords, import lines and pumped storage."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twin.grid.city_plan import City, peak_mw
from twin.grid.draft import SourceRow
from twin.grid.placement import distances, names_near, one_each, ring, route_km

__all__ = ["draw_backbone", "link_circuits"]

F8 = NDArray[np.float64]
Link = tuple[int, int]
_MOST_CIRCUITS = 8


def draw_backbone(city: City) -> None:
    """Draw the 500 kV level; circuits are counted by a direct-current flow with one out."""
    draft, level, size = city.draft, city.s500, city.parts.sizing
    for k, name in enumerate(names_near(level.at, city.parts.names_500)):
        district = int(level.district[k])
        level.bus.append(draft.bus(f"{name} 500 kV", 500.0, name, district, *level.at[k]))
    infeeds = city.spec.infeeds
    gates = np.array([[s.x_km, s.y_km] for s in infeeds])
    at_station = one_each(gates, level.at)
    share = np.array([s.share for s in infeeds]) / math.fsum(s.share for s in infeeds)
    line = city.parts.lines["oh500"]
    links = ring(level.at)
    km = [route_km(level.at[a], level.at[b], size["detour"]) for a, b in links]
    normal, lost = _cases(city, at_station, share)
    most_mw = size["line500_loading"] * size["power_factor"] * line.rating_mva
    counts = link_circuits(links, np.array(km), normal, lost, most_mw)
    for (a, b), length, count in zip(links, km, counts, strict=True):
        draft.circuits(level.bus[a], level.bus[b], count, line, length, apart=True)
    import_mw = _import_mw(city)
    for k, infeed in enumerate(infeeds):
        bus = draft.bus(f"{infeed.name} 500 kV", 500.0, infeed.name, -1, infeed.x_km, infeed.y_km)
        # one circuit may be out, or the largest other infeed
        others = np.delete(share, k)
        taken = share[k] / (1.0 - others.max()) if len(others) > 0 else share[k]
        count = max(
            2,
            math.ceil(share[k] * import_mw / most_mw) + 1,
            math.ceil(taken * import_mw / most_mw),
        )
        length = route_km(gates[k], level.at[at_station[k]], size["detour"])
        draft.circuits(bus, level.bus[at_station[k]], count, line, length, apart=True)
        rated, vm_pu = float(import_mw * share[k]), city.parts.source["infeed_vm_pu"]
        row = SourceRow(infeed.name, "infeed", "", bus, float(share[k]), rated, vm_pu)
        draft.sources.append(row)
    _draw_pumped(city)


def _draw_pumped(city: City) -> None:
    pumped, level = city.spec.pumped_storage, city.s500
    if pumped is None:
        return
    here = np.array([[pumped.x_km, pumped.y_km]])
    name = f"{pumped.name} 500 kV"
    bus = city.draft.bus(name, 500.0, pumped.name, -1, pumped.x_km, pumped.y_km)
    to = int(distances(here, level.at).argmin())
    line = city.parts.lines["oh500"]
    km = route_km(here[0], level.at[to], city.parts.sizing["detour"])
    count = max(2, math.ceil(pumped.rated_mw / line.rating_mva) + 1)
    city.draft.circuits(bus, level.bus[to], count, line, km, apart=True)


def _import_mw(city: City) -> float:
    """Return the imports at the peak, pumped storage standing."""
    local_mw = math.fsum(peak_mw(p, city.parts) for p in city.spec.plants)
    return max(0.0, city.spec.load_mw * (1.0 + city.parts.sizing["losses"]) - local_mw)


def _cases(city: City, at_station: list[int], share: F8) -> tuple[F8, F8]:
    """Return power into each 500 kV station, (stations, cases) [MW].

    First the cases that must stand one circuit out: peak with the pumped storage standing and
    generating. Then the loss of each infeed, the others taking over.
    """
    level, n = city.s500, len(city.s500.at)
    grown = 1.0 + city.parts.sizing["losses"]
    relief = np.bincount(city.area, city.relief_220_mw, n) + city.relief_500_mw
    own = relief - level.load_mw * grown

    def balanced(shares: F8, pumped_mw: float) -> F8:
        into = own.copy()
        if city.spec.pumped_storage is not None:
            here = np.array([[city.spec.pumped_storage.x_km, city.spec.pumped_storage.y_km]])
            into[int(distances(here, level.at).argmin())] += pumped_mw
        into[at_station] += -into.sum() * shares / shares.sum()
        return into

    pumped_mw = 0.0 if city.spec.pumped_storage is None else city.spec.pumped_storage.rated_mw
    normal = [balanced(share, 0.0), balanced(share, pumped_mw)]
    lost = [
        balanced(np.where(np.arange(len(share)) == k, 0.0, share), 0.0) for k in range(len(share))
    ]
    if len(share) == 1:
        lost = normal
    return np.column_stack(normal), np.column_stack(lost)


def link_circuits(links: list[Link], km: F8, normal: F8, lost: F8, most_mw: float) -> list[int]:
    """Return the number of circuits of each link, at least 2.

    In the cases `normal` a link's circuits but one must carry what flows then; in the cases
    `lost` all of them. Circuits are added one by one where the excess is worst.

    Parameters
    ----------
    links : pairs of stations
    km : length of each link
    normal, lost : (stations, cases) power into each station [MW], summing to 0
    most_mw : what one circuit may carry
    """
    count = np.full(len(links), 2)
    while True:
        excess = np.zeros(len(links))
        whole = np.abs(_flows(links, count / km, lost)).max(axis=1)
        excess = whole / (count * most_mw)
        for k in range(len(links)):
            left = count.copy()
            left[k] -= 1
            worst = float(np.abs(_flows(links, left / km, normal)[k]).max())
            excess[k] = max(excess[k], worst / (left[k] * most_mw))
        excess[count >= _MOST_CIRCUITS] = 0.0
        k = int(excess.argmax())
        if excess[k] <= 1.0:
            return [int(c) for c in count]
        count[k] += 1


def _flows(links: list[Link], susceptance: F8, into: F8) -> F8:
    """Return the direct-current flow on each link, (links, cases)."""
    n = len(into)
    a, b = np.array([p[0] for p in links]), np.array([p[1] for p in links])
    matrix = np.zeros((n, n))
    np.add.at(matrix, (a, a), susceptance)
    np.add.at(matrix, (b, b), susceptance)
    np.add.at(matrix, (a, b), -susceptance)
    np.add.at(matrix, (b, a), -susceptance)
    angle = np.zeros_like(into)
    angle[1:] = np.linalg.solve(matrix[1:, 1:], into[1:])
    return np.asarray(susceptance[:, None] * (angle[a] - angle[b]))
