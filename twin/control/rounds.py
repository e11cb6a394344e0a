"""Rigid circuits: which may be opened, in which order, and what has become of them.

Rounds go first to last over the whole city; within a round each district gives the same share
of what it has, customers in a fixed drawn order. Circuits with devices that take part in
demand response come after all others and count without them. Protected customers and security
load are in no list.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.control.baseline import keyed_fraction
from twin.control.memory import whole
from twin.control.supervision import Supervision
from twin.record.exchange import Inventory
from twin.record.table import Table

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

CIRCUITS = 4
ANSWERED_MS = 900_000  # a terminal counts as connected when it answered within 15 min (verdict)
LEAST_KW = 0.5  # behind a circuit; less is not worth a switching (assumed)
FAILED_MS = 180_000  # a circuit that still reads closed so long after its trip has failed
NEVER_MS = -(10**15)


class Rounds:
    """The circuits behind all terminals, float64[4, n] unless said otherwise.

    Attributes
    ----------
    memory : ``open`` 1 where a trip was written and not taken back, ``used`` 1 once tripped
        under this order, ``failed`` 1 where a trip had no effect, ``ref_kw`` demand behind the
        circuit at the reference minute; ``host_kw`` float64[n] the site's demand then;
        ``opened_ms``
    """

    def __init__(self, inventory: Inventory) -> None:
        kind = inventory.kinds["terminal"]
        columns, sites = kind.columns, inventory.sites
        self.n = kind.n
        self.site = columns.i8("site")
        self.district = columns.i8("district")
        self.sector = sites.i8("sector")[self.site]
        self.protected = sites.flag("protected")[self.site]
        self.group = self.sector * len(inventory.districts) + self.district
        self.sectors = max(len(inventory.sectors), 1)
        self.groups = self.sectors * max(len(inventory.districts), 1)
        self.exists = np.stack(
            [
                columns.f8(name) > 0.0 if name in columns else np.ones(self.n, np.bool_)
                for name in (f"circuit_share_{i}" for i in range(1, CIRCUITS + 1))
            ]
        )
        self.flexible = self._behind(inventory)
        self.lot = keyed_fraction(np.arange(self.n, dtype=np.int64), 23)
        shape = (CIRCUITS, self.n)
        self.memory = Table(
            ("host_kw", "warned"),
            self.n,
            {
                "open": np.zeros(shape),
                "used": np.zeros(shape),
                "failed": np.zeros(shape),
                "ref_kw": np.zeros(shape),
                "opened_ms": np.full(shape, NEVER_MS, np.int64),
            },
        )

    def _behind(self, inventory: Inventory) -> NDArray[np.bool_]:
        """Return bool[4, n]: an enrolled device stands behind the circuit."""
        row = np.full(inventory.sites.n, -1, np.int64)
        row[self.site] = np.arange(self.n)
        found = np.zeros((CIRCUITS, self.n), np.bool_)
        for name, kind in inventory.kinds.items():
            if name == "terminal" or not {"site", "circuit", "enrolled"} <= kind.columns.keys():
                continue
            circuit, at = kind.columns.i8("circuit"), row[kind.columns.i8("site")]
            behind = (circuit >= 0) & (at >= 0) & kind.columns.flag("enrolled")
            found[circuit[behind], at[behind]] = True
        return found

    # -- readings --------------------------------------------------------------------------

    def demand_kw(self, fleet: Supervision) -> Floats:
        """Return the demand behind each circuit now."""
        watch = fleet.watch["terminal"]
        return np.stack([watch.or_zero(f"demand_circuit_{i}_kw") for i in range(1, CIRCUITS + 1)])

    def closed(self, fleet: Supervision) -> NDArray[np.bool_]:
        """Return which circuits read closed."""
        watch = fleet.watch["terminal"]
        return np.stack([watch.or_zero(f"closed_{i}") > 0.5 for i in range(1, CIRCUITS + 1)])

    def refer(self, fleet: Supervision) -> None:
        """Take this minute as the reference; no circuit is open yet under this order."""
        self.memory["ref_kw"] = self.demand_kw(fleet)
        self.memory["host_kw"] = fleet.watch["terminal"].or_zero("demand_kw")
        for name in ("used", "failed", "open"):
            self.memory[name] = 0.0
        self.memory["opened_ms"] = NEVER_MS

    def trend(self, fleet: Supervision, now_ms: int) -> Floats:
        """Return float64[n]: demand now over the reference, from what was never switched.

        Sites of one sector and district move together; small groups lean on their sector.
        """
        heard = fleet.watch["terminal"].fresh(now_ms, ANSWERED_MS)
        used = self.memory["used"] > 0.0
        rest = fleet.watch["terminal"].or_zero("demand_kw")
        rest = rest - np.where(used, self.demand_kw(fleet), 0.0).sum(axis=0)
        was = self.memory["host_kw"] - np.where(used, self.memory["ref_kw"], 0.0).sum(axis=0)
        rest, was = np.where(heard, rest, 0.0), np.where(heard, was, 0.0)
        sectors = self.sectors
        all_now = np.bincount(self.sector, rest, sectors)
        all_was = np.bincount(self.sector, was, sectors)
        of_sector = np.where(all_was > 0.0, all_now / np.maximum(all_was, 1e-6), 1.0)
        # A group weighs as itself plus two per cent of its sector.
        lean = 0.02 * all_was[self.sector]
        g_now = np.bincount(self.group, rest, self.groups)[self.group]
        g_was = np.bincount(self.group, was, self.groups)[self.group]
        ratio = (g_now + lean * of_sector[self.sector]) / np.maximum(g_was + lean, 1e-6)
        return np.clip(np.where(g_was + lean > 0.0, ratio, 1.0), 0.2, 3.0)

    def cut_kw(self, fleet: Supervision, trend: Floats) -> Floats:
        """Return float64[n], the host demand that switched circuits do not draw now."""
        used = self.memory["used"] > 0.0
        would = np.where(used, self.memory["ref_kw"], 0.0).sum(axis=0) * trend
        draws = np.where(used, self.demand_kw(fleet), 0.0).sum(axis=0)
        return np.asarray(would - draws)

    def note_failures(self, fleet: Supervision, now_ms: int) -> None:
        """Mark circuits that still read closed long after their trip."""
        closed = self.closed(fleet)
        since = now_ms - whole(self.memory, "opened_ms")
        stuck = (self.memory["open"] > 0.0) & closed & (since > FAILED_MS)
        self.memory["failed"][stuck] = 1.0

    # -- choice ----------------------------------------------------------------------------

    def may_open(self, fleet: Supervision, now_ms: int) -> NDArray[np.bool_]:
        """Return which circuits may be opened now."""
        answered = fleet.watch["terminal"].fresh(now_ms, ANSWERED_MS)
        good = self.exists & self.closed(fleet) & (self.demand_kw(fleet) > LEAST_KW)
        good &= (self.memory["open"] == 0.0) & (self.memory["failed"] == 0.0)
        return np.asarray(good & (answered & ~self.protected))

    def queue(self, fleet: Supervision, now_ms: int) -> tuple[Rows, Rows, Floats]:
        """Return circuits that may be opened, in order: circuit, terminal row, demand [kW]."""
        circuit, row = np.nonzero(self.may_open(fleet, now_ms))
        kw = self.demand_kw(fleet)[circuit, row]
        late = self.flexible[circuit, row]
        # Share of its district's round that stands before a circuit: equal shares everywhere.
        block = (late * CIRCUITS + circuit) * (self.district.max(initial=0) + 1)
        block = block + self.district[row]
        order = np.lexsort((row, self.lot[row], block))
        circuit, row, kw = circuit[order], row[order], kw[order]
        late, block = late[order], block[order]
        if len(row) == 0:
            return circuit, row, kw
        total = np.bincount(block, kw)
        first = np.concatenate([[True], block[1:] != block[:-1]])
        cumulated = np.cumsum(kw)
        before = (cumulated - kw)[first][np.cumsum(first) - 1]
        share = (cumulated - kw - before) / total[block]
        turn = np.lexsort((row, share, circuit, late))
        return circuit[turn], row[turn], kw[turn]

    def mark(self, circuit: Rows, row: Rows, now_ms: int, is_open: bool) -> None:
        """Note that circuits were told to open or close."""
        self.memory["open"][circuit, row] = 1.0 if is_open else 0.0
        if is_open:
            self.memory["used"][circuit, row] = 1.0
            self.memory.extra["opened_ms"][circuit, row] = now_ms

    def opened(self) -> tuple[Rows, Rows]:
        """Return circuits told to open: those open longest first, then in drawn order."""
        circuit, row = np.nonzero(self.memory["open"] > 0.0)
        since = self.memory.extra["opened_ms"][circuit, row]
        order = np.lexsort((row, self.lot[row], circuit, since))
        return circuit[order], row[order]
