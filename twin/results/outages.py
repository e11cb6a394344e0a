"""What the network shows at the maximum of the undisturbed day: bands and single outages."""

from __future__ import annotations

import numpy as np

from twin.clock import MINUTE_MS, format_time_of_day
from twin.grid import GridOperation, Limits, single_outages
from twin.results.report import NetworkFacts, Outage
from twin.scenario.branches import Branches
from twin.scenario.build import Built

__all__ = ["network_facts"]


def network_facts(built: Built, branches: Branches) -> NetworkFacts:
    """Return bands and single outages at the maximum of the undisturbed day."""
    limits = Limits(built.network)
    bands = {
        f"{kv:g}": (float(limits.low_pu[rows][0]), float(limits.high_pu[rows][0]))
        for level, kv in enumerate(limits.kv)
        if len(rows := np.flatnonzero(limits.level == level)) > 0
    }
    if branches.peak_grid is None:
        return NetworkFacts(bands)
    peak = branches.runs[0].peak
    operation = GridOperation(built.network)
    operation.state.restore(branches.peak_grid.arrays())
    found = single_outages(
        operation,
        np.asarray(peak["grid.demand_mw"], np.float64),
        np.asarray(peak["grid.demand_mvar"], np.float64),
        np.asarray(peak["grid.plant_mw"], np.float64),
        float(peak["grid.pumped_mw"]),
    )
    names, kv = built.network.branches.name, built.network.branches.kv
    solved, overloads = found.flag("solved"), found.i8("overloads")
    worst, loading = found.i8("worst_branch"), found.f8("max_loading_pct")
    listed = [
        Outage(
            name=str(found["element"][i]),
            kv=float(kv[np.flatnonzero(names == found["element"][i])[:1]].max(initial=0.0)),
            solved=bool(solved[i]),
            overloaded=int(overloads[i]),
            worst=str(names[worst[i]]) if worst[i] >= 0 else "",
            worst_pct=float(loading[i]),
        )
        for i in np.flatnonzero(~solved | (overloads > 0))
    ]
    at_ms = built.world.start_ms + int(peak["index"][0]) * MINUTE_MS
    return NetworkFacts(bands, listed, found.n, format_time_of_day(at_ms))
