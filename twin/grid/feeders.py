"""10 kV feeders with a 10/0.4 kV transformer at every node."""

from __future__ import annotations

import math
from dataclasses import replace

from twin.chance import generator
from twin.grid.draft import BusbarRow, Draft
from twin.grid.equipment import Equipment
from twin.grid.spec import NetworkSpec

__all__ = ["draw_feeders"]

_LATERAL_EVERY = 4  # each fourth node is a lateral of one node (assumed)
_SPREAD = 0.5  # nodes differ by +- half of the mean load (assumed)


def draw_feeders(draft: Draft, parts: Equipment, spec: NetworkSpec, row: int) -> None:
    """Hang `spec.detail_feeders` feeders on busbar `row` and move its load onto their nodes.

    In district form the feeders take the busbar's whole load, in the city at most the design
    load of a feeder each; the rest stays at the busbar.
    """
    size = parts.sizing
    busbar = draft.busbars[row]
    nodes = spec.feeder_nodes
    feeder_mw = busbar.weight_mw / spec.detail_feeders
    if spec.form == "city":
        feeder_mw = min(size["feeder_mw"], feeder_mw)
    draft.busbars[row] = replace(
        busbar, weight_mw=max(0.0, busbar.weight_mw - feeder_mw * spec.detail_feeders)
    )
    trunk, lateral = parts.lines["cable10_trunk"], parts.lines["cable10_lateral"]
    # a large feeder is built of parallel cables: three quarters of the rating at the design load
    parallel = 1 + int(feeder_mw / size["power_factor"] / (0.75 * trunk.rating_mva))
    unit = parts.transformers["t10"]
    station = draft.buses[busbar.bus]
    for f in range(spec.detail_feeders):
        chance = generator(spec.seed, "grid.feeder", draft.feeders)
        load = chance.uniform(1.0 - _SPREAD, 1.0 + _SPREAD, nodes)
        load *= feeder_mw / load.sum()
        angle = float(chance.uniform(0.0, 6.283))
        end, x, y = busbar.bus, station.x_km, station.y_km
        for k in range(nodes):
            name = f"{station.station} F{f + 1:02d}-{k + 1:02d}"
            off_trunk = k % _LATERAL_EVERY == _LATERAL_EVERY - 1
            km = size["feeder_node_km"] * float(chance.uniform(0.7, 1.3))
            turn = angle + float(chance.normal(0.0, 0.4)) + (1.57 if off_trunk else 0.0)
            dx, dy = km * math.cos(turn), km * math.sin(turn)
            node = draft.bus(f"{name} 10 kV", 10.0, name, busbar.district, x + dx, y + dy)
            draft.circuits(
                end,
                node,
                1 if off_trunk else parallel,
                lateral if off_trunk else trunk,
                km,
                apart=False,
            )
            low = draft.bus(f"{name} 0.4 kV", 0.4, name, busbar.district, x + dx, y + dy)
            at_10 = size["share_at_10_kv"] * float(load[k])
            at_low = float(load[k]) - at_10
            need_mva = at_low / size["power_factor"] / size["t10_loading"]
            count = max(1, -int(-need_mva // unit.sizes_mva[-1]))
            mva = unit.size_for(need_mva / count)
            draft.units(node, low, count, mva, unit, apart=False)
            room = (lateral if off_trunk else trunk).rating_mva * size["power_factor"]
            here = BusbarRow(node, busbar.district, "feeder", at_10, room, row, draft.feeders)
            draft.busbars.append(here)
            room = count * mva * size["power_factor"]
            here = BusbarRow(low, busbar.district, "low_voltage", at_low, room, row, draft.feeders)
            draft.busbars.append(here)
            if not off_trunk:
                end, x, y = node, x + dx, y + dy
        draft.feeders += 1
