"""A small meshed network at its peak, solved, with its sensitivities."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.grid.cases import Point, peak
from twin.grid import (
    DistrictSpec,
    GridOperation,
    InfeedSpec,
    Network,
    NetworkSpec,
    PlantSpec,
    build_network,
)
from twin.grid.sensitivity import network_view
from twin.record.network_view import NetworkView


@cache
def meshed() -> Network:
    """Three districts, two infeeds, one plant: 34 buses, rings at 220 and 500 kV."""
    places = (("A", 480.0, 0.0, 0.0), ("B", 420.0, 20.0, 5.0), ("C", 300.0, 10.0, -20.0))
    return build_network(
        NetworkSpec(
            tuple(DistrictSpec(name, mw, x, y, 8.0) for name, mw, x, y in places),
            (PlantSpec("P", 0, 200.0, 220.0, "gas"),),
            (InfeedSpec("I1", 0.6, -20.0, 0.0), InfeedSpec("I2", 0.4, 40.0, 0.0)),
            stations_500=3,
            stations_220=5,
            stations_110=8,
        )
    )


@cache
def solved() -> tuple[NetworkView, GridOperation, np.ndarray]:
    """The view of the peak, the operation there, and the rows of the watched branches."""
    network, point = meshed(), peak(meshed())
    view = view_of(network, point)
    operation = GridOperation(network)
    assert operation.settle(0, *point.arguments).converged
    operation.settle_losses(*point.arguments)
    return view, operation, np.array([row_of(network, name) for name in view.branch])


def view_of(network: Network, point: Point) -> NetworkView:
    day = (np.tile(a[:, None], (1, 96)) for a in (point.demand_mw, point.plant_mw))
    return network_view(network, *day, np.zeros(96))


def row_of(network: Network, name: str) -> int:
    return int(np.flatnonzero(network.branches.name == name)[0])


def flow_mw(operation: GridOperation, rows: np.ndarray) -> np.ndarray:
    return operation.flow.branch_mva(operation.v)[0].real[rows]
