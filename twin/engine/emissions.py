"""Writes the emission factors of a run into its history.

CO2 of the city is known each minute from what imports and plants give; factors by district need
the load flow traced and are taken in the middle of each quarter of an hour, and held until the
next are.
"""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.engine.simulation import Simulation
from twin.grid import Network
from twin.grid.carbon import EmissionMeter, Footprint
from twin.record.history import History

EMISSION_SCALARS = ("emission_t_h", "emission_loss_t_h", "storage_kg_kwh")
FACTOR_TABLE = "district.factor"  # kgCO2/kWh
QUARTER_MS = 15 * MINUTE_MS
_MIDDLE_MS = 8 * MINUTE_MS  # the end of the minute in which a quarter is traced


class EmissionRecord:
    """Emission factors of one run; forks with its recorder."""

    def __init__(self, network: Network, n_district: int) -> None:
        self.meter = EmissionMeter(network, n_district)
        self.last: Footprint | None = None

    def fork(self) -> EmissionRecord:
        """Return a record that continues from here."""
        other = copy.copy(self)
        other.meter = self.meter.fork()
        return other

    def minute(self, run: Simulation, history: History) -> None:
        """Write the minute that ends now; where the load flow failed, the last factors stand."""
        flow, grid = run.snapshot, run.grid
        if flow is None or grid is None:
            return
        demand_mw = self._supplied(run)
        due = self.last is None or run.now_ms % QUARTER_MS == _MIDDLE_MS
        if due and flow.converged:
            into = np.ascontiguousarray(grid.flow.branch_mva(grid.v).real)
            self.last = self.meter.take(
                run.now_ms, into, flow.infeed_mw, flow.plant_mw, flow.pumped_mw, demand_mw
            )
        if self.last is None:
            return
        history.row(FACTOR_TABLE)[:] = self.last.district_factor
        history.put_scalars(
            {
                "emission_t_h": self.meter.burnt_t_h(flow.infeed_mw, flow.plant_mw, demand_mw),
                "emission_loss_t_h": self.last.loss_t_h,
                "storage_kg_kwh": self.last.storage_kg_kwh,
            }
        )

    @staticmethod
    def _supplied(run: Simulation) -> NDArray[np.float64]:
        """Return float64[busbars], demand of the busbars that have a voltage [MW]."""
        if run.grid is None or run.snapshot is None:
            return np.empty(0)
        vm = run.snapshot.vm_pu[run.grid.network.busbars.bus]
        return np.where(vm > 0.0, run.injections["demand_mw"], 0.0)
