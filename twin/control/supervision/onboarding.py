"""Only who has been brought in is commanded (有序接入); how many stand where is reported.

A station that is suspended is given back to its owner, and that is the last it hears; one that
is not live yet hears nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from twin.record.exchange import PSEUDO_KINDS, Inventory, SetPoint
from twin.record.onboarding import Onboarding, column, live, state
from twin.record.table import Table

__all__ = ["Gate", "live", "state"]


def gives_back(write: SetPoint) -> NDArray[np.bool_]:
    """Return where `write` takes a command back: a release, a circuit closed, no warning."""
    values = np.asarray(write.values)
    if write.point == "release" or write.point.startswith("circuit_"):
        return np.asarray(values >= 0.5)
    if write.point == "warning":
        return np.asarray(values < 0.5)
    return np.zeros(len(values), np.bool_)


class Gate:
    """Lets set-points through to devices that are live, and counts the states.

    Parameters
    ----------
    inventory : kinds whose columns hold the steps' times (`twin.record.onboarding`)

    Attributes
    ----------
    kinds : those that have such times; the others are live
    """

    def __init__(self, inventory: Inventory) -> None:
        self.kinds = {
            name: kind.columns
            for name, kind in inventory.kinds.items()
            if name not in PSEUDO_KINDS and column("live") in kind.columns
        }
        self.sizes = {
            name: kind.n for name, kind in inventory.kinds.items() if name not in PSEUDO_KINDS
        }
        # What was reported last, -1 before the first report.
        self.memory = Table((), 0, {"counts": np.full((len(self.sizes), len(Onboarding)), -1)})

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {"onboarding": self.memory}

    def let(self, now_ms: int, setpoints: Iterable[SetPoint]) -> list[SetPoint]:
        """Return `setpoints` without the rows that may not hear them at `now_ms`."""
        out: list[SetPoint] = []
        for write in setpoints:
            columns = self.kinds.get(write.kind)
            if columns is None:
                out.append(write)
                continue
            now = state(columns, now_ms)[write.rows]
            open_ = now == Onboarding.LIVE
            open_ |= (now == Onboarding.SUSPENDED) & gives_back(write)
            if open_.all():
                out.append(write)
            elif open_.any():
                rows, values = write.rows[open_], write.values[open_]
                out.append(SetPoint(write.kind, write.point, rows, values))
        return out

    def report(self, now_ms: int) -> Mapping[str, NDArray[np.generic]] | None:
        """Return the number of devices by kind and state where it has changed, else None.

        Columns ``now_ms``, ``kind``, ``state`` (`Onboarding`) and ``count``; kinds that changed
        are given with all their states.
        """
        held = self.memory.extra["counts"]
        counts = held.copy()
        for i, (name, n) in enumerate(self.sizes.items()):
            if name in self.kinds:
                now = state(self.kinds[name], now_ms)
                counts[i] = np.bincount(now, minlength=len(Onboarding))
            else:
                counts[i] = 0
                counts[i, Onboarding.LIVE] = n
        changed = np.flatnonzero((counts != held).any(axis=1))
        if len(changed) == 0:
            return None
        self.memory.extra["counts"][...] = counts
        names = np.array(tuple(self.sizes))
        return {
            "now_ms": np.full(len(changed) * len(Onboarding), now_ms, np.int64),
            "kind": np.repeat(names[changed], len(Onboarding)),
            "state": np.tile(np.arange(len(Onboarding), dtype=np.uint8), len(changed)),
            "count": counts[changed].ravel().astype(np.int64),
        }
