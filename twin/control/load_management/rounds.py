"""Rigid circuits: which may be opened, in which order, and what has become of them.

The order is a rank from `twin.control.load_management.choice`; of one measure, circuits not used
under an order go before those that have had their turn. Protected customers and security load
are in no list. A circuit is not closed before its least time off and not opened again before
its least time on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.baselines.habits import keyed_fraction
from twin.control.load_management.measures import measure_of
from twin.control.memory import whole
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Inventory
from twin.record.load_rules import LoadRules
from twin.record.onboarding import live
from twin.record.table import Table

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
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
        circuit at the reference minute, ``rank`` place in the order of opening (infinite:
        never), ``step`` of the order of measures, ``opened_ms``, ``closed_ms`` by command;
        float64[n]: ``host_kw`` the site's demand at the reference, ``warned``, ``warned_ms``,
        ``ledger_kwh`` energy cut under this and all earlier orders
    """

    def __init__(self, inventory: Inventory, rules: LoadRules) -> None:
        kind = inventory.kinds["terminal"]
        columns, sites = kind.columns, inventory.sites
        self.n, self.rules = kind.n, rules
        self.columns, self.site = columns, columns.i8("site")
        self.district = columns.i8("district")
        self.sector = sites.i8("sector")[self.site]
        self.protected = sites.flag("protected")[self.site]
        self.contracted_kw = np.where(self.protected, 0.0, sites.f8("contracted_kw")[self.site])
        self.restricted = np.zeros(self.n, np.bool_)
        if "restricted" in sites:
            self.restricted = sites.flag("restricted")[self.site]
        self.busbar = np.full(self.n, -1, np.int64)
        if "busbar" in sites:
            self.busbar = sites.i8("busbar")[self.site]
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
            ("host_kw", "warned", "ledger_kwh"),
            self.n,
            {
                "open": np.zeros(shape),
                "used": np.zeros(shape),
                "failed": np.zeros(shape),
                "ref_kw": np.zeros(shape),
                "rank": np.full(shape, np.inf),
                "step": np.zeros(shape, np.int64),
                "opened_ms": np.full(shape, NEVER_MS, np.int64),
                "closed_ms": np.full(shape, NEVER_MS, np.int64),
                "warned_ms": np.full(self.n, NEVER_MS, np.int64),
            },
        )
        if rules.ledger_kwh is not None:
            self.memory["ledger_kwh"] = rules.ledger_kwh[self.site]

    def _behind(self, inventory: Inventory) -> Flags:
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

    @property
    def warned_ms(self) -> Rows:
        """int64[n], when each site was warned."""
        return whole(self.memory, "warned_ms")

    @property
    def open_kw(self) -> float:
        """Demand behind open circuits, as it was at the reference minute."""
        return float(self.memory["ref_kw"][self.memory["open"] > 0.0].sum())

    # -- readings --------------------------------------------------------------------------

    def demand_kw(self, fleet: Supervision) -> Floats:
        """Return the demand behind each circuit now."""
        watch = fleet.watch["terminal"]
        return np.stack([watch.or_zero(f"demand_circuit_{i}_kw") for i in range(1, CIRCUITS + 1)])

    def closed(self, fleet: Supervision) -> Flags:
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
        """Return the demand that switched circuits do not draw now."""
        used = self.memory["used"] > 0.0
        would = self.memory["ref_kw"] * trend
        return np.asarray(np.where(used, would - self.demand_kw(fleet), 0.0))

    def book(self, cut_kw: Floats, hours: float) -> None:
        """Enter the cut of open circuits over `hours` into the ledger of their sites."""
        kept = np.where(self.memory["open"] > 0.0, np.maximum(cut_kw, 0.0), 0.0)
        self.memory["ledger_kwh"] += kept.sum(axis=0) * hours

    def note_failures(self, fleet: Supervision, now_ms: int) -> None:
        """Mark circuits that still read closed long after their trip."""
        closed = self.closed(fleet)
        since = now_ms - whole(self.memory, "opened_ms")
        stuck = (self.memory["open"] > 0.0) & closed & (since > FAILED_MS)
        self.memory["failed"][stuck] = 1.0

    # -- choice ----------------------------------------------------------------------------

    def reachable(self, fleet: Supervision, now_ms: int) -> Flags:
        """Return which circuits can be commanded at all: connected, loaded, not protected."""
        answered = fleet.watch["terminal"].fresh(now_ms, ANSWERED_MS)
        answered &= live(self.columns, now_ms)
        return np.asarray(self.exists & (self.memory["failed"] == 0.0) & answered & ~self.protected)

    def may_open(self, fleet: Supervision, now_ms: int) -> Flags:
        """Return which circuits may be opened now."""
        least_ms = self.rules.switching.min_on_min * MINUTE_MS
        good = self.reachable(fleet, now_ms) & self.closed(fleet)
        good &= (self.demand_kw(fleet) > LEAST_KW) & np.isfinite(self.memory["rank"])
        good &= now_ms - whole(self.memory, "closed_ms") >= least_ms
        return np.asarray(good & (self.memory["open"] == 0.0))

    def must_stay(self, now_ms: int) -> Flags:
        """Return which circuits are open for less than their least time off."""
        least_ms = self.rules.switching.min_off_min * MINUTE_MS
        fresh = now_ms - whole(self.memory, "opened_ms") < least_ms
        return np.asarray((self.memory["open"] > 0.0) & fresh)

    def queue(
        self, fleet: Supervision, now_ms: int, *, by_rank: bool = False
    ) -> tuple[Rows, Rows, Floats]:
        """Return circuits that may be opened, in order: circuit, terminal row, demand [kW].

        By rank as a plan has it; else measure by measure those first that had no turn yet.
        """
        circuit, row = np.nonzero(self.may_open(fleet, now_ms))
        kw = self.demand_kw(fleet)[circuit, row]
        rank, used = self.memory["rank"][circuit, row], self.memory["used"][circuit, row]
        turn = np.lexsort((row, circuit, rank))
        if not by_rank:
            measure = measure_of(whole(self.memory, "step")[circuit, row])
            turn = np.lexsort((row, circuit, rank, used, measure))
        return circuit[turn], row[turn], kw[turn]

    def opened(self, now_ms: int, *, by_rank: bool) -> tuple[Rows, Rows]:
        """Return circuits told to open that may be closed, in the order of giving back.

        By rank the last to be opened go first; else those open longest, then by lot.
        """
        circuit, row = np.nonzero((self.memory["open"] > 0.0) & ~self.must_stay(now_ms))
        if by_rank:
            order = np.lexsort((row, circuit, -self.memory["rank"][circuit, row]))
        else:
            since = whole(self.memory, "opened_ms")[circuit, row]
            order = np.lexsort((row, self.lot[row], circuit, since))
        return circuit[order], row[order]

    def mark(self, circuit: Rows, row: Rows, now_ms: int, *, is_open: bool) -> None:
        """Note that circuits were told to open or close."""
        self.memory["open"][circuit, row] = 1.0 if is_open else 0.0
        if is_open:
            self.memory["used"][circuit, row] = 1.0
            whole(self.memory, "opened_ms")[circuit, row] = now_ms
        else:
            whole(self.memory, "closed_ms")[circuit, row] = now_ms
