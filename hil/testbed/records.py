"""What a run over the wire adds to its run directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from hil.pacer import Lateness
from hil.testbed.session import Session
from hil.testbed.setup import Serving
from twin.results.store import RunDirectory

__all__ = ["WireRecords"]


class WireRecords:
    """Lateness, writes and counts of one run.

    Parameters
    ----------
    session, served : of the run, after its last tick
    lateness : of its ticks
    headend : what our head-end counted, empty for a platform outside
    digests_s : wall time from beat to command of each digest, empty for a platform outside
    acknowledged : by order whether the platform acknowledged it
    """

    def __init__(
        self,
        session: Session,
        lateness: Lateness,
        served: Serving,
        headend: Mapping[str, Any],
        digests_s: Sequence[float] = (),
        acknowledged: Mapping[str, bool] | None = None,
    ) -> None:
        self.lateness = lateness
        self.columns = session.columns()
        self.devices = served.field.places.devices
        self.counts = served.field.counts()
        self.server = dict(served.server.stats())
        self.headend, self.digests_s = dict(headend), list(digests_s)
        self.acknowledged = acknowledged

    def facts(self) -> dict[str, object]:
        """Return the section ``wire`` of ``summary.json``."""
        found: dict[str, object] = {
            "devices": len(self.devices),
            "pacing": self.lateness.to_dict(),
            "reads": int(self.counts["reads"].sum()),
            "writes": int(self.counts["writes"].sum()),
            "refused": int(self.counts["refused"].sum()),
            "server": self.server,
        }
        if self.headend:
            found["headend"] = self.headend
        if self.digests_s:
            p50, p99, most = np.percentile(self.digests_s, (50, 99, 100))
            found["digest_s"] = {"p50": round(p50, 4), "p99": round(p99, 4), "max": round(most, 4)}
        if self.acknowledged is not None:
            found["acknowledged"] = dict(self.acknowledged)
        return {"wire": found}

    def line(self) -> str:
        """Return one line for the command line."""
        late = self.lateness
        mark = "" if late.within else " PASSED"
        return (
            f"wire: {len(self.devices):,} devices, {int(self.counts['reads'].sum()):,} reads, "
            f"{int(self.counts['writes'].sum()):,} writes; {late.ticks:,} ticks at rate "
            f"{late.rate:g}, lateness p99 {late.p99_ms:.2f} ms (limit {late.limit_ms:g}{mark})"
        )

    def keep(self, store: RunDirectory) -> None:
        """Write ``writes.parquet`` and ``devices.parquet``."""
        store.write_table("writes.parquet", pa.table(dict(self.columns)))
        columns: dict[str, object] = {
            name: [d.columns()[name] for d in self.devices] for name in self.devices[0].columns()
        }
        store.write_table("devices.parquet", pa.table({**columns, **self.counts}))
