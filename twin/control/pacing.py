"""Set-points as they go out: inside the device's range, only where they change, often enough.

A device returns to its owner an hour after the last write, so a value that still holds is
written again after `REFRESH_MS`; one that hardly changed is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.memory import whole
from twin.record.exchange import SERVICE_POINTS, Inventory, KindInventory, SetPoint
from twin.record.table import Table

Floats = NDArray[np.float64]

REFRESH_MS = 20 * MINUTE_MS  # a third of the assumed revert time: two writes may be lost
CHANGE = 0.01  # of the set-point's span that is worth a write (assumed)
NEVER_MS = -(10**15)


class Pen:
    """Writes one set-point of one kind."""

    def __init__(self, kind: KindInventory, point: int) -> None:
        self.kind, self.name, self.n = kind.name, kind.setpoints[point].name, kind.n
        spec = kind.setpoints[point]
        rated = kind.columns.f8("rated_kw") if spec.per_rating else np.ones(kind.n)
        self.low, self.high = spec.low * rated, spec.high * rated
        span = np.where(np.isfinite(self.high - self.low), self.high - self.low, rated)
        self.change = CHANGE * np.maximum(span, 1e-9)
        if self.name in kind.columns:  # a nameplate of its own, such as that of V2G, is narrower
            self.high = np.minimum(self.high, kind.columns.f8(self.name))
        extra = {"written_ms": np.full(kind.n, NEVER_MS, np.int64)}
        self.memory = Table(("written",), kind.n, extra)

    def put(
        self, now_ms: int, rows: NDArray[np.int64], values: Floats, least: Floats | None = None
    ) -> list[SetPoint]:
        """Return the writes that bring `rows` to `values` (none, or one `SetPoint`).

        What stands below `least` is written however little it changes.
        """
        values = np.clip(values, self.low[rows], self.high[rows])
        held, since = self.memory["written"], whole(self.memory, "written_ms")
        old = now_ms - since[rows] >= REFRESH_MS
        moved = np.abs(values - held[rows]) > self.change[rows]
        if least is not None:
            moved |= (held[rows] < np.minimum(least, self.high[rows])) & (values > held[rows])
        go = (old | moved) & np.isfinite(values)
        rows, values = rows[go], values[go]
        if len(rows) == 0:
            return []
        held[rows], since[rows] = values, now_ms
        return [SetPoint(self.kind, self.name, rows, values)]

    def forget(self, rows: NDArray[np.int64]) -> None:
        """Forget what was written to `rows`, e.g. after a release."""
        self.memory.extra["written_ms"][rows] = NEVER_MS

    def stands(self) -> NDArray[np.bool_]:
        """Return where a written value may still be in force."""
        return np.asarray(self.memory.extra["written_ms"] != NEVER_MS)


class Desk:
    """All pens of the fleet."""

    def __init__(self, inventory: Inventory) -> None:
        self.pens = {
            (name, spec.name): Pen(kind, i)
            for name, kind in inventory.kinds.items()
            for i, spec in enumerate(kind.setpoints)
            if spec.name not in SERVICE_POINTS
        }
        self.release_points = {
            name
            for name, kind in inventory.kinds.items()
            if any(s.name == "release" for s in kind.setpoints)
        }

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"pen.{kind}.{point}": pen.memory for (kind, point), pen in self.pens.items()}

    def put(
        self, now_ms: int, kind: str, point: str, rows: NDArray[np.int64], values: Floats,
        least: Floats | None = None,
    ) -> list[SetPoint]:  # fmt: skip
        """Write `point` of `kind`; nothing where the kind has no such set-point."""
        pen = self.pens.get((kind, point))
        return [] if pen is None or len(rows) == 0 else pen.put(now_ms, rows, values, least)

    def commanded(self, kind: str) -> NDArray[np.bool_] | None:
        """Return where any set-point of `kind` may be in force, None if the kind has none."""
        pens = [pen for (name, _), pen in self.pens.items() if name == kind]
        return np.logical_or.reduce([p.stands() for p in pens]) if pens else None

    def release(self, kind: str, rows: NDArray[np.int64]) -> list[SetPoint]:
        """Give those of `rows` that were commanded back to their owners."""
        commanded = self.commanded(kind)
        if commanded is None or kind not in self.release_points:
            return []
        rows = rows[commanded[rows]]
        if len(rows) == 0:
            return []
        for (name, _), pen in self.pens.items():
            if name == kind:
                pen.forget(rows)
        return [SetPoint(kind, "release", rows, np.ones(len(rows)))]
