"""Station meters: what stands at each place of the network where load is attached.

The pseudo kind ``busbar`` has one row a place: the 10 kV busbars of the stations and, in a
detailed district, the nodes of its feeders as well. A station's meter shows what its busbar
and its feeders' sites draw, without the feeders' losses; a node's meter shows its own sites.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.grid import GridSnapshot, Network
from twin.record.columns import Columns
from twin.record.exchange import Point

Floats = NDArray[np.float64]

# Class 0.2 voltage and 0.5 power (general knowledge), of nominal voltage and of capacity.
BUSBAR_POINTS = (
    Point("voltage_kv", "kV", "Voltage", "母线电压", 0.0, resolution=0.001, accuracy=0.002),
    Point("power_mw", "MW", "Demand", "有功负荷", resolution=0.001, accuracy=0.005),
    Point("reactive_mvar", "Mvar", "Reactive demand", "无功负荷", resolution=0.001, accuracy=0.005),
)


def busbar_columns(network: Network) -> Columns:
    """Return what is registered of the busbars, in the order of ``network.busbars``.

    ``parent`` is the row of the station's busbar above, its own for one.
    Where no capacity is known, ``rated_kw`` is the demand for which the network was sized.
    """
    busbars, n = network.busbars, network.n_busbar
    known = np.isfinite(busbars.capacity_mw)
    rated_mw = np.where(known, busbars.capacity_mw, np.abs(network.design_mw))
    return Columns(
        {
            "site": np.full(n, -1),
            "circuit": np.full(n, -1),
            "district": busbars.district,
            "parent": busbars.parent,
            "rated_kw": 1_000.0 * np.maximum(rated_mw, 0.001),
            "enrolled": np.zeros(n, np.bool_),
            "nominal_kv": network.buses.kv[busbars.bus],
            "name": network.buses.name[busbars.bus],
        },
        n,
    )


def busbar_scale(columns: Columns) -> Floats:
    """Return float64[points, n], the spans to which the class errors refer [kV, MW, Mvar]."""
    rated_mw = columns.f8("rated_kw") / 1_000.0
    return np.stack([columns.f8("nominal_kv"), rated_mw, rated_mw])


def busbar_values(
    network: Network, flow: GridSnapshot, demand_mw: Floats, demand_mvar: Floats
) -> Floats:
    """Return float64[points, n], what the station meters show truly after a load flow.

    Parameters
    ----------
    demand_mw, demand_mvar : float64[busbars]  as the load flow took them; what stands at a
        bus without voltage is not drawn
    """
    busbars = network.busbars
    vm = flow.vm_pu[busbars.bus]
    station = busbars.parent == np.arange(len(vm))
    drawn = np.where(vm > 0.0, np.stack([demand_mw, demand_mvar]), 0.0)
    below = np.stack([np.bincount(busbars.parent, row, len(vm)) for row in drawn])
    return np.vstack([vm * network.buses.kv[busbars.bus], np.where(station, below, drawn)])
