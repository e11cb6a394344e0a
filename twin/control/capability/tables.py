"""Capability as report tables: by aggregator, district and kind, and by device at a notice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.control.capability.sustained import HORIZONS_MIN, Capability
from twin.record.orders import Order, OrderForm
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]
Rows = Mapping[str, NDArray[np.generic]]


class CapabilityTables:
    """Rows of `capability`'s estimates.

    Attributes
    ----------
    group : by kind int64[n], the group of each device; groups : by kind the aggregator (-1:
        none) and district of each group; connected_mw : by kind float64[groups]
    """

    def __init__(self, capability: Capability) -> None:
        self.capability = capability
        inventory = capability.inventory
        sites, width = inventory.sites, len(inventory.districts)
        agent = sites.i8("aggregator") if "aggregator" in sites else np.full(sites.n, -1, np.int64)
        self.group: dict[str, NDArray[np.int64]] = {}
        self.groups: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.connected_mw: dict[str, Floats] = {}
        for kind, column in capability.columns.items():
            place = (agent[column.i8("site")] + 1) * width + column.i8("district")
            found, group = np.unique(place, return_inverse=True)
            self.group[kind] = group.astype(np.int64)
            self.groups[kind] = found // width - 1, found % width
            rated = np.where(capability.enrolled[kind], column.f8("rated_kw"), 0.0)
            self.connected_mw[kind] = np.bincount(group, rated, len(found)) / KW_PER_MW

    def table(self, now_ms: int) -> Rows:
        """Return the rows of report table ``capability`` [MW].

        Columns ``time_ms, aggregator (-1: none), district, kind, horizon_min, up_mw, down_mw,
        connected_mw``; one row a group that has devices, and horizon.
        """
        parts: list[dict[str, NDArray[np.generic]]] = []
        for horizon in HORIZONS_MIN:
            for kind, given in self.capability.estimate(now_ms, horizon).items():
                (agent, district), group = self.groups[kind], self.group[kind]
                n = len(agent)
                parts.append({
                    "time_ms": np.full(n, now_ms, np.int64),
                    "aggregator": agent, "district": district, "kind": np.full(n, kind),
                    "horizon_min": np.full(n, horizon, np.int64),
                    "up_mw": np.bincount(group, given.up_kw, n) / KW_PER_MW,
                    "down_mw": np.bincount(group, given.down_kw, n) / KW_PER_MW,
                    "connected_mw": self.connected_mw[kind],
                })  # fmt: skip
        return _stacked(parts)

    def device_table(self, now_ms: int, order: Order) -> Rows:
        """Return the rows of report table ``capability_device`` at the notice of `order` [kW].

        Columns ``order, kind, row, connected_kw``, ``held_kw`` (what each can hold from the
        order's deadline to its end, the other way round where load is to be added) and
        ``up_<horizon>_kw, down_<horizon>_kw`` (called now); one row a device that takes part.
        """
        found = {h: self.capability.estimate(now_ms, h) for h in HORIZONS_MIN}
        held = self.capability.over(now_ms, (order.full_by_ms, order.end_ms))
        added = order.form is OrderForm.INCREASE
        parts: list[dict[str, NDArray[np.generic]]] = []
        for kind in self.capability.kinds:
            rows = np.flatnonzero(self.capability.enrolled[kind])
            part: dict[str, NDArray[np.generic]] = {
                "order": np.full(len(rows), order.id), "kind": np.full(len(rows), kind),
                "row": rows, "connected_kw": self.capability.columns[kind].f8("rated_kw")[rows],
                "held_kw": (held[kind].down_kw if added else held[kind].up_kw)[rows],
            }  # fmt: skip
            for horizon, given in found.items():
                part[f"up_{horizon}_kw"] = given[kind].up_kw[rows]
                part[f"down_{horizon}_kw"] = given[kind].down_kw[rows]
            parts.append(part)
        return _stacked(parts)


def _stacked(parts: list[dict[str, NDArray[np.generic]]]) -> Rows:
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]} if parts else {}


__all__ = ["CapabilityTables"]
