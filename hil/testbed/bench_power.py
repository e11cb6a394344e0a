"""What the load flow took of real devices, period by period: enough to run it again."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twin.engine.injection import Replaced

__all__ = ["FILE", "Taken", "taken_of"]

FILE = "bench_power.parquet"


@dataclass(slots=True)
class Taken:
    """Power of real devices in grid periods.

    Attributes
    ----------
    end_ms : end of the period, simulated time
    kind, row : of the twin's device
    power_kw : mean over the period at the twin's size, positive into the grid
    """

    end_ms: array[int] = field(default_factory=lambda: array("q"))
    kind: list[str] = field(default_factory=list)
    row: array[int] = field(default_factory=lambda: array("q"))
    power_kw: array[float] = field(default_factory=lambda: array("d"))

    def add(self, end_ms: int, kind: str, row: int, power_kw: float) -> None:
        """Put down one device in one period; periods ascend."""
        self.end_ms.append(end_ms)
        self.kind.append(kind)
        self.row.append(row)
        self.power_kw.append(power_kw)

    def table(self) -> pa.Table:
        """Return the rows as `taken_of` reads them."""
        return pa.table(
            {
                "end_ms": np.array(self.end_ms, np.int64),
                "kind": pa.array(self.kind, pa.string()),
                "row": np.array(self.row, np.int64),
                "power_kw": np.array(self.power_kw, np.float64),
            }
        )


def taken_of(directory: Path) -> Iterator[tuple[int, Replaced]]:
    """Yield (end of a period [ms], what was taken in it), in order; nothing without a bench."""
    path = directory / FILE
    if not path.is_file():
        return
    table = pq.read_table(path)
    ends, rows = table["end_ms"].to_numpy(), table["row"].to_numpy()
    kinds, power_kw = np.array(table["kind"].to_pylist()), table["power_kw"].to_numpy()
    for end_ms in np.unique(ends):
        now = ends == end_ms
        yield (
            int(end_ms),
            {
                str(kind): (rows[now & (kinds == kind)], power_kw[now & (kinds == kind)])
                for kind in np.unique(kinds[now])
            },
        )
