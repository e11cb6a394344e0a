"""What the platform shows of the fleet at each digest: beliefs, states, alarms, onboarding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.control.supervision.alarms import alarm_table
from twin.control.supervision.estimate import Estimate
from twin.control.supervision.fleet import Supervision
from twin.control.supervision.fleet_state import FLEET_MS, FleetState
from twin.control.supervision.onboarding import Gate
from twin.record.exchange import Alarm, FleetReport, Inventory
from twin.record.table import Table

__all__ = ["Overview"]

Tables = dict[str, Mapping[str, NDArray[np.generic]]]


class Overview:
    """Reports on the fleet.

    Parameters
    ----------
    fleet : what is believed
    gate : who has been brought in
    """

    def __init__(self, inventory: Inventory, fleet: Supervision, gate: Gate) -> None:
        self.fleet, self.gate = fleet, gate
        self.estimate = Estimate(inventory, fleet)
        self.state = FleetState(inventory, fleet)

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return self.estimate.tables() | self.state.tables() | self.gate.tables()

    def look(
        self, now_ms: int, heard: Iterable[str], alarms: Sequence[Alarm]
    ) -> tuple[list[FleetReport], Tables]:
        """Take that kinds `heard` were read; return beliefs of now and the tables that are due."""
        heard = tuple(heard)
        self.estimate.read(now_ms, heard)
        belief = [self._belief(kind, now_ms) for kind in self.estimate.units]
        power = {report.kind: report.power_kw for report in belief}

        def of(kind: str) -> NDArray[np.float64]:
            return power[kind] if kind in power else self.fleet.watch[kind].or_zero("power_kw")

        tables: Tables = self.state.look(now_ms, heard, of)
        for name, columns in (
            ("alarms", alarm_table(alarms)),
            ("onboarding", self.gate.report(now_ms)),
        ):
            if columns is not None:
                tables[name] = columns
        return belief, tables

    def _belief(self, kind: str, now_ms: int) -> FleetReport:
        """Return belief on one kind: SOC and energy today (in plus out) where it has them."""
        watch = self.fleet.watch[kind]
        power, rests_on, substitute = self.estimate.power_kw(kind, now_ms)
        return FleetReport(
            kind,
            power,
            watch.get("soc").copy() if "soc" in watch.index else None,
            watch.energy_today_kwh(),
            rests_on,
            self.state.states(kind, now_ms) if now_ms % FLEET_MS == 0 else None,
            substitute,
        )
