"""The dispatcher's unit: orders as registers and as lines of a file, and the platform's reports.

A platform reads here what is ordered, acknowledges it, and may report its own figures of the
fleet, which supervision is judged by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hil.registers.bank import RegisterBank
from hil.testbed.places import DISPATCHER
from twin.clock import MINUTE_MS, SECOND_MS, format_time_of_day
from twin.record.columns import Columns
from twin.record.exchange import FleetReport, Inventory, KindInventory
from twin.record.monitor import DEVICE_KINDS, SOC_KINDS
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

__all__ = ["SLOTS", "Dispatcher", "fleet_inventory"]

SLOTS = 8
KIND_CODES = {OrderKind.DEMAND_RESPONSE: 1, OrderKind.LOAD_MANAGEMENT: 2}
FORM_CODES = {OrderForm.REDUCTION: 1, OrderForm.CAP: 2}
ANNOUNCED, WARNING, IN_FORCE, ENDED, CANCELLED = 1, 2, 3, 4, 5


class Dispatcher:
    """Announces orders and hears the platform.

    Parameters
    ----------
    bank : holds the dispatcher's unit
    max_load_mw, rate : shown there
    log : file of announcements, one JSON object a line; None writes none
    """

    def __init__(
        self, bank: RegisterBank, max_load_mw: float, rate: float, log: Path | None
    ) -> None:
        self.bank, self.log = bank, log
        self.group = bank.group_of(DISPATCHER)
        self.orders: list[Order] = []
        self.cancelled: set[str] = set()
        self.ticks = 0
        self._heard = 0
        self._hold("max_load_mw", max_load_mw)
        self._hold("rate", rate)

    def _hold(self, name: str, value: float) -> None:
        self.bank.hold(self.group, name, value)

    def _held(self, name: str) -> float:
        return float(np.asarray(self.bank.shown(self.group, name))[0])

    # -- down: clock and orders ------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Show clock and the state of every order as of `now_ms`."""
        self.ticks += 1
        self._hold("clock_s", now_ms // SECOND_MS)
        self._hold("clock_ms", now_ms % SECOND_MS)
        self._hold("tick", self.ticks)
        for slot, order in enumerate(self.orders[:SLOTS], start=1):
            self._hold(f"order_{slot}_state", self._state(order, now_ms))

    def _state(self, order: Order, now_ms: int) -> int:
        if order.id in self.cancelled:
            return CANCELLED
        if now_ms >= order.end_ms:
            return ENDED
        if now_ms >= order.start_ms:
            return IN_FORCE
        warned = order.warning_min > 0.0
        return WARNING if warned and now_ms >= self._warning_ms(order) else ANNOUNCED

    @staticmethod
    def _warning_ms(order: Order) -> int:
        return order.start_ms - int(order.warning_min * MINUTE_MS)

    def announce(self, notice: Notice) -> None:
        """Make an order, a change or a cancellation known.

        The first `SLOTS` orders of a run have registers; what comes after them stands in the file
        alone, and in the number of orders.
        """
        order = notice.order
        known = [o.id for o in self.orders]
        if order.id in known:
            number = known.index(order.id) + 1
            self.orders[number - 1] = order
        else:
            self.orders.append(order)
            number = len(self.orders)
        if notice.kind is NoticeKind.CANCELLATION:
            self.cancelled.add(order.id)
        if number <= SLOTS:
            self._show(number, order, notice.now_ms)
        self._hold("orders", len(self.orders))
        self._write(notice, number)

    def _show(self, slot: int, order: Order, now_ms: int) -> None:
        """Put an order into its registers."""
        values = {
            "number": slot,
            "revision": order.revision,
            "kind": KIND_CODES[order.kind],
            "form": FORM_CODES[order.form],
            "mw": 0.0 if order.mw is None else order.mw,
            "level": order.level,
            "state": self._state(order, now_ms),
            "notice_s": order.notice_ms // SECOND_MS,
            "start_s": order.start_ms // SECOND_MS,
            "full_by_s": order.full_by_ms // SECOND_MS,
            "end_s": order.end_ms // SECOND_MS,
            "warning_min": order.warning_min,
        }
        for name, value in values.items():
            self._hold(f"order_{slot}_{name}", value)

    def _write(self, notice: Notice, number: int) -> None:
        if self.log is None:
            return
        order = notice.order
        times = {
            name: format_time_of_day(ms)
            for name, ms in (
                ("notice", order.notice_ms),
                ("start", order.start_ms),
                ("full_by", order.full_by_ms),
                ("end", order.end_ms),
            )
        }
        line = {
            "what": notice.kind.value,
            "at": format_time_of_day(notice.now_ms),
            "number": number,
            "id": order.id,
            "revision": order.revision,
            "kind": order.kind.value,
            "form": order.form.value,
            "mw": order.mw,
            "level": order.level,
            **times,
            "warning_min": order.warning_min,
        }
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    # -- up: acknowledgements and reports --------------------------------------------------------

    def acknowledged(self) -> dict[str, bool]:
        """Return by order id whether its last revision was acknowledged."""
        return {
            order.id: number <= SLOTS
            and self._held(f"order_{number}_acknowledge") == order.revision + 1
            for number, order in enumerate(self.orders, start=1)
        }

    def reports(self, kinds: Sequence[str]) -> list[FleetReport]:
        """Return what the platform reported since the last call, of the `kinds` given."""
        sequence = int(self._held("report_sequence"))
        if sequence == self._heard:
            return []
        self._heard = sequence
        soc, energy = np.array([self._held("soc")]), np.array([self._held("energy_today_kwh")])
        return [
            FleetReport(
                kind,
                np.array([self._held(f"{kind}_power_kw")]),
                soc if kind in SOC_KINDS else None,
                energy if kind in SOC_KINDS else None,
            )
            for kind in kinds
        ]

    def figures(self) -> dict[str, float]:
        """Return the figures that the platform reported last, none before the first report."""
        if self._heard == 0:
            return {}
        return {
            "platform_load_mw": self._held("load_mw"),
            "platform_devices_online": self._held("devices_online"),
        }


def fleet_inventory(inventory: Inventory, rows: Mapping[str, NDArray[np.int64]]) -> Inventory:
    """Return an inventory in which each kind of `rows` is one device: what a platform reports on.

    Parameters
    ----------
    rows : by kind the rows that are served
    """
    kinds = {}
    for name in (k for k in DEVICE_KINDS if k in rows):
        known = inventory.kinds[name]
        rated = float(known.columns.f8("rated_kw")[rows[name]].sum())
        columns = Columns({"rated_kw": np.array([rated]), "site": np.zeros(1, np.int64)})
        kinds[name] = KindInventory(name, known.points, known.setpoints, columns)
    return Inventory(
        inventory.max_load_mw, inventory.districts, inventory.sectors, inventory.sites, kinds
    )
