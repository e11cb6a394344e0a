"""Serves the judge's question "hold what you can": each device by itself, steadily, to the end.

The call is a question about devices, not an order that is tracked: nobody makes up for
anybody. Every minute each device is asked for what the rest of the window can carry, so what it
shows is its own and not the estimate's: a battery that holds more than was thought gives more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.capability import flexibility as flex
from twin.control.capability.flexibility import Sustained
from twin.control.capability.sustained import Capability
from twin.control.pacing import Desk
from twin.record.exchange import SetPoint
from twin.record.orders import Order, OrderForm
from twin.record.table import Table

Floats = NDArray[np.float64]

FEEDBACK = 0.5  # of what melting is off its aim goes into the limit each minute (assumed)
MOST_OFFSET_C = 4.0
LEAST_LIMIT = 0.01  # of the rating: all that can be deferred, without a command to stop


class SustainedCall:
    """Set-points of one call of kind ``sustained``, up or down.

    Parameters
    ----------
    capability : what devices can hold
    desk : writes

    Rows of the memory of each kind: ``called`` (asked), ``usual_kw`` (demand when the call
    came), ``held`` (limit [kW] of ice stores, offset [K] of buildings, of batteries the least
    power that their owners have left to spare since everything had to be there).
    """

    def __init__(self, capability: Capability, desk: Desk) -> None:
        self.capability, self.desk = capability, desk
        self.memory = {
            k: Table(("called", "usual_kw", "held"), c.n) for k, c in capability.columns.items()
        }
        self.clock = Table((), 0, {"began_ms": np.full(1, -1, np.int64)})

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"sustained.{k}": t for k, t in self.memory.items()} | {"sustained": self.clock}

    @property
    def busy(self) -> bool:
        """Whether a call is being served."""
        return int(self.clock.extra["began_ms"][0]) >= 0

    def touched(self, kind: str) -> NDArray[np.bool_]:
        """Return which devices of `kind` do not show what they would do by themselves."""
        return np.asarray(self.memory[kind]["called"] > 0.0)

    def baseline(self, kind: str) -> Floats | None:
        """Return demand without the call [kW], None while there is none."""
        if not self.busy:
            return None
        table, watch = self.memory[kind], self.capability.fleet.watch[kind]
        return np.where(self.touched(kind), table["usual_kw"], -watch.or_zero("power_kw"))

    def run(self, now_ms: int, order: Order | None) -> list[SetPoint]:
        """Return this minute's set-points; `order` None or over gives everything back."""
        if order is None or now_ms >= order.end_ms:
            return self._release()
        if now_ms < order.start_ms:
            return []
        if not self.busy:
            self.clock["began_ms"] = now_ms
            for kind, table in self.memory.items():
                table["usual_kw"] = self.capability.demand_kw(kind)
                table["held"] = table["usual_kw"] if kind == "icestore" else 0.0
                if kind == "storage":
                    table["held"] = np.inf
        given = self.capability.over(now_ms, (order.full_by_ms, order.end_ms))
        if now_ms < order.full_by_ms - MINUTE_MS:
            given.pop("storage", None)  # there within seconds; the others need the time
        out: list[SetPoint] = []
        for kind, sustained in given.items():
            if order.form is OrderForm.INCREASE:
                out += self._down(now_ms, kind, sustained)
            else:
                out += self._up(now_ms, kind, sustained, order.end_ms)
        return out

    def _release(self) -> list[SetPoint]:
        out: list[SetPoint] = []
        for kind, table in self.memory.items():
            out += self.desk.release(kind, np.flatnonzero(self.touched(kind)))
            table.block[:] = 0.0
        self.clock["began_ms"] = -1
        return out

    def _rows(self, kind: str, able: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return who is asked: `able` now, or asked before; remember them."""
        table = self.memory[kind]
        table["called"] = np.where(able, 1.0, table["called"])
        return np.flatnonzero(self.touched(kind))

    def _down(self, now_ms: int, kind: str, given: Sustained) -> list[SetPoint]:
        if kind == "storage":
            return self._batteries(now_ms, given.down_kw, -1.0)
        if kind == "aircon":
            return self._buildings(now_ms, self._rows(kind, given.down_kw > 0.0), -1.0)
        return []

    def _up(self, now_ms: int, kind: str, given: Sustained, end_ms: int) -> list[SetPoint]:
        hours = max((end_ms - now_ms) / HOUR_MS, 1.0 / 60.0)
        if kind == "storage":
            return self._batteries(now_ms, given.up_kw, 1.0)
        rows = self._rows(kind, given.up_kw > 0.0)
        if len(rows) == 0:
            return []
        watch, column = self.capability.fleet.watch[kind], self.capability.columns[kind]
        if kind == "aircon":
            return self._buildings(now_ms, rows, 1.0)
        if kind == "industry":
            return self.desk.put(now_ms, kind, "pause", rows, np.ones(len(rows)))
        if kind == "icestore":
            return self._melt(now_ms, rows, hours)
        demand = self.capability.demand_kw(kind)
        limit, feed = np.maximum(demand - given.up_kw, 0.0), ("", np.zeros(watch.n))
        if kind in ("charging", "swap"):
            # Vehicles stay for hours here: one that comes between two writes loses a minute.
            limit = flex.promised_kw(watch, np.zeros(watch.n))
            feed = ("v2g_kw", watch.or_zero("v2g_available_kw"))
        elif kind == "shorepower":  # berths keep what cannot be deferred by themselves
            limit = LEAST_LIMIT * watch.rated_kw
        elif kind == "hydrogen":
            tank, rated = column.f8("tank_kg"), column.f8("fuelcell_kw")
            feed = ("fuelcell_kw", flex.fuelcell_kw(watch, tank, rated, hours))
            limit = np.maximum(demand - (given.up_kw - feed[1]), 0.0)
        out = self.desk.put(now_ms, kind, "limit_kw", rows, limit[rows], limit[rows])
        able = rows[feed[1][rows] > 0.0]
        return out + self.desk.put(now_ms, kind, feed[0], able, feed[1][able])

    def _batteries(self, now_ms: int, more_kw: Floats, sign: float) -> list[SetPoint]:
        """Bring batteries `more_kw` above their owners' schedule, below it where `sign` is -1.

        Steadily: where an owner's full delivery left nothing to spare, nothing is made up for it
        when he has stopped.
        """
        owners, table = self.capability.habits.owners, self.memory["storage"]
        if owners is None:
            return []
        rows, base = self._rows("storage", more_kw > 0.0), owners.coming_kw(now_ms)
        at_meter = self.capability.at_meter_kw(self.capability.fleet.watch["storage"], {})
        spare = at_meter[0 if sign > 0.0 else 1] - sign * base
        table["held"] = np.minimum(table["held"], np.maximum(spare, 0.0))
        power = base + sign * np.minimum(more_kw, table["held"])
        table["usual_kw"] = -base
        return self.desk.put(now_ms, "storage", "power_kw", rows, power[rows])

    def _buildings(self, now_ms: int, rows: NDArray[np.int64], sign: float) -> list[SetPoint]:
        """Shift set-points by one minute's drift, up to the comfort limit or down from them."""
        column, offset = self.capability.columns["aircon"], self.memory["aircon"]["held"]
        usual = column.f8("setpoint_c")
        most = np.minimum(column.f8("comfort_max_c") - flex.COMFORT_MARGIN_C - usual, MOST_OFFSET_C)
        least = -np.minimum(usual - flex.COOLEST_C, flex.DEEPEST_C)
        moved = offset + sign * flex.DRIFT_C_H * MINUTE_MS / HOUR_MS
        low, high = np.minimum(least, 0.0), np.maximum(most, 0.0)
        offset[rows] = np.clip(moved, low, high)[rows]
        return self.desk.put(now_ms, "aircon", "setpoint_offset_c", rows, offset[rows])

    def _melt(self, now_ms: int, rows: NDArray[np.int64], hours: float) -> list[SetPoint]:
        """Lower plants' limits until they melt what tank and melt rate sustain to the end."""
        watch, limit = self.capability.fleet.watch["icestore"], self.memory["icestore"]["held"]
        aim = flex.sustained_melt_kw(watch, hours)
        aim = np.minimum(aim, watch.or_zero("cooling_load_kw"))
        step = FEEDBACK * (watch.or_zero("melt_kw") - aim) / flex.PLANT_COP
        rated = self.capability.columns["icestore"].f8("rated_kw")
        limit[rows] = np.clip(limit + step, 0.0, rated)[rows]
        return self.desk.put(now_ms, "icestore", "limit_kw", rows, limit[rows])


__all__ = ["SustainedCall"]
