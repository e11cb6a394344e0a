"""Supervision: what the platform believes of the whole fleet, and the alarms it raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from twin.control.supervision.alarms import Alarms
from twin.control.supervision.watch import FRESH_MS, NEVER_MS, Watch, well_formed
from twin.control.supervision.wiring import Wiring
from twin.record.exchange import Alarm, Inventory, Reading
from twin.record.table import Table

__all__ = ["FRESH_MS", "Supervision", "Watch"]

UNUSED = ("busbar",)  # no rule of this platform looks at station meters


class Supervision:
    """Belief on the whole fleet.

    Attributes
    ----------
    watch : by kind, `Watch`
    alarms : by kind, `Alarms`
    """

    def __init__(self, inventory: Inventory) -> None:
        self.kinds = inventory.kinds
        self.sites = sites = {
            name: inventory.sites.f8(name)
            for name in ("contracted_kw", "export_limit_kw")
            if name in inventory.sites
        }
        self.watch = {
            name: Watch(kind, sites) for name, kind in inventory.kinds.items() if name not in UNUSED
        }
        self.alarms = {name: Alarms(watch) for name, watch in self.watch.items()}
        self.wiring = Wiring(inventory, self.sites)
        meters = self.watch.get("meter")
        if meters is not None:
            meters.memory.extra["turned"] = np.zeros(meters.n, np.bool_)

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        held = {f"watch.{name}": watch.memory for name, watch in self.watch.items()}
        return held | {f"alarms.{name}": alarms.memory for name, alarms in self.alarms.items()}

    def sound(self, readings: Mapping[str, Reading]) -> dict[str, Reading]:
        """Return those of `readings` that are of a registered kind and of its shape and type."""
        return {
            name: reading
            for name, reading in readings.items()
            if name in self.kinds and well_formed(self.kinds[name], reading)
        }

    def take(self, now_ms: int, readings: Mapping[str, Reading]) -> list[Alarm]:
        """Take readings; return alarms that began or ended."""
        found: list[Alarm] = []
        # Meters come last: what they can show depends on the generation behind them.
        for name, reading in sorted(readings.items(), key=lambda item: item[0] == "meter"):
            watch = self.watch.get(name)
            if watch is None or watch.n == 0:
                continue
            first = watch.memory.extra["first_ms"]
            if int(first[0]) == NEVER_MS:
                first[0] = now_ms
            took = watch.take(now_ms, reading)
            if name == "meter" and took is not None:
                self._turn_meters(now_ms, watch, took)
            found += self.alarms[name].look(now_ms)
        return found

    def _turn_meters(self, now_ms: int, watch: Watch, took: NDArray[np.bool_]) -> None:
        """Turn meters that show more feed-in than the generators behind them make."""
        if "demand_kw" not in watch.index:
            return
        demand = watch.get("demand_kw")
        turned = cast("NDArray[np.bool_]", watch.memory.extra["turned"])
        feeds = {
            kind: (unit.or_zero("power_kw"), unit.fresh(now_ms, 3 * unit.period_ms))
            for kind, unit in self.watch.items()
            if kind in self.wiring.generators
        }
        self.wiring.turn(demand, took, turned, feeds)
        np.copyto(watch.clean[watch.index["demand_kw"]], demand, where=took)
        mended = watch.flags("mended")
        mended |= turned & took

    def known(self, kind: str) -> bool:
        """Return whether `kind` was ever read."""
        watch = self.watch[kind]
        return watch.n == 0 or int(watch.memory.extra["first_ms"][0]) != NEVER_MS

    def scalar(self, kind: str, point: str) -> float | None:
        """Return the value of a single-row kind's point, None when it is not known."""
        watch = self.watch.get(kind)
        if watch is None or watch.n == 0 or point not in watch.index:
            return None
        value = float(watch.get(point)[0])
        return value if np.isfinite(value) else None
