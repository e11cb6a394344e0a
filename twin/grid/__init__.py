"""The transmission network and its operation: specification, load flow, taps, limits, outages.

Power into the grid is positive; ``demand_`` is positive consumption. pandapower builds and
describes a network (`build_network`, `from_pandapower`); a built one is kept with
`Network.save` and loaded without pandapower.
"""

from twin.grid.build import build_network, network_key
from twin.grid.flow import LoadFlow, Solution
from twin.grid.import_check import imported_load_mw
from twin.grid.imported import from_pandapower
from twin.grid.limits import Limits, Violations, violations
from twin.grid.network import Network
from twin.grid.operation import GridOperation
from twin.grid.outages import single_outages
from twin.grid.snapshot import Divergence, GridSnapshot
from twin.grid.spec import (
    DistrictSpec,
    InfeedSpec,
    NetworkSpec,
    PlantSpec,
    PumpedStorageSpec,
)

__all__ = [
    "DistrictSpec",
    "Divergence",
    "GridOperation",
    "GridSnapshot",
    "InfeedSpec",
    "Limits",
    "LoadFlow",
    "Network",
    "NetworkSpec",
    "PlantSpec",
    "PumpedStorageSpec",
    "Solution",
    "Violations",
    "build_network",
    "from_pandapower",
    "imported_load_mw",
    "network_key",
    "single_outages",
    "violations",
]
