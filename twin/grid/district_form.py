"""One district in detail behind one 220 kV infeed."""

from __future__ import annotations

from twin.grid.draft import BusbarRow, Draft, SourceRow
from twin.grid.equipment import Equipment
from twin.grid.feeders import draw_feeders
from twin.grid.spec import NetworkSpec

__all__ = ["draw_district"]

_SHORT_CIRCUIT_MVA = 10_000.0  # of the 220 kV infeed where none is given (assumed)
_STATIONS = 2


def draw_district(spec: NetworkSpec, parts: Equipment) -> Draft:
    """Draw one 220/110 kV and two 110/10 kV stations with feeders, sized for the load."""
    draft, size = Draft(), parts.sizing
    town, infeed = spec.districts[0], spec.infeeds[0]
    total_mva = town.load_mw * (1.0 + size["losses"]) / size["power_factor"]
    gate = draft.bus(f"{infeed.name} 220 kV", 220.0, infeed.name, -1, infeed.x_km, infeed.y_km)
    name = f"{town.name} 220-01"
    high = draft.bus(f"{name} 220 kV", 220.0, name, 0, town.x_km, town.y_km)
    line = parts.lines["oh220"]
    # two circuits whose reactance together is that of the short-circuit power
    short_circuit = infeed.short_circuit_mva
    if short_circuit is None:
        short_circuit = _SHORT_CIRCUIT_MVA
    km = 2.0 * line.kv**2 / short_circuit / line.x_ohm_per_km
    draft.circuits(gate, high, 2, line, km, apart=True)
    vm_pu = parts.source["infeed220_vm_pu"]
    draft.sources.append(SourceRow(infeed.name, "infeed", "", gate, 1.0, town.load_mw, vm_pu))
    side = draft.bus(f"{name} 110 kV", 110.0, name, 0, town.x_km, town.y_km)
    unit = parts.transformers["t220"]
    mva = unit.size_for(total_mva)  # either of two carries all
    count = max(2, 1 + -int(-total_mva // mva))
    group = draft.units(high, side, count, mva, unit, apart=True)
    draft.bank(side, parts.compensation["c220"], count * mva, group)
    for k in range(_STATIONS):
        _draw_station(draft, spec, parts, side, k)
    return draft


def _draw_station(draft: Draft, spec: NetworkSpec, parts: Equipment, side: int, k: int) -> None:
    size, town = parts.sizing, spec.districts[0]
    x = town.x_km + (k - 0.5) * town.radius_km
    name = f"{town.name} 110-{k + 1:02d}"
    bus = draft.bus(f"{name} 110 kV", 110.0, name, 0, x, town.y_km)
    line = parts.lines["cable110" if town.cable else "oh110"]
    km = max(2.0, 0.5 * town.radius_km * size["detour"])
    load_mw = town.load_mw / _STATIONS
    mva = load_mw / size["power_factor"]
    circuits = max(2, -int(-mva // (size["line110_loading"] * line.rating_mva)))
    draft.circuits(side, bus, circuits, line, km, apart=False)
    unit = parts.transformers["t110"]
    least = int(size["t110_least"])
    count = max(least, -int(-mva // (size["t110_loading"] * unit.sizes_mva[-1])))
    rating = unit.size_for(mva / (size["t110_loading"] * count))
    low = draft.bus(f"{name} 10 kV", 10.0, name, 0, x, town.y_km)
    group = draft.units(bus, low, count, rating, unit, apart=False)
    draft.bank(low, parts.compensation["c110"], count * rating, group)
    row = len(draft.busbars)
    capacity = count * rating * size["power_factor"]
    draft.busbars.append(BusbarRow(low, 0, "busbar", load_mw, capacity, row, -1))
    draw_feeders(draft, parts, spec, row)
