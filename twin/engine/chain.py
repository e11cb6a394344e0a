"""The spread of a cut along the supply graph, as events.

A site runs at the part of its load that is served. What it needs from a supplier lasts as long
as its stock; when that is dry, the part of its production that needs the input goes on with
what still arrives, and so on down the graph. When the supplier delivers in full again, that
part comes back after its restart time and the stock is refilled by overcapacity; works down a
line prepare at the same time, and begin anew where their input is still not there.

Between two events all rates are constant, so nothing is computed. Events fall on whole minutes,
at which the simulation's calendar wakes: a circuit has been switched, a stock is dry (found at
the end of its minute), a restart is over. State lies in one table, `since_ms` and the rates in
it, so that a fork carries on bit for bit.

With p the share served, r the share running, q the use and tau the stock of an input [h]:

    r = p (1 - sum of w) + sum of w q over inputs      greatest solution           (1)
    q = p while stocked, min(p, r of the supplier) when dry                        (2)
    d tau/dt = f - q, f = r of the supplier, with overcapacity where that is 1     (3)
"""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twin.assets.manners import FOREVER_MS
from twin.assets.terminal import Terminal
from twin.chance import generator
from twin.city.supply_chain import branch_figures
from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.exchange import Inventory
from twin.record.table import Table

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

STOCKED, DRY, RESTARTING = 0, 1, 2
SAME = 1e-9  # shares and hours nearer than this are equal
ROUNDS = 50  # of changes at one moment; what is left then follows a minute later
SWEEPS = 200  # of (1); a loop of dry inputs shrinks by its shares each time


@dataclass(frozen=True, slots=True)
class Edges:
    """The supply graph as it truly is.

    Attributes
    ----------
    supplier, customer : int64[e]  sites
    share : float64[e]  part of the customer's production that needs the input
    full_h : float64[e]  true stock when full
    restart_ms : float64[e]  of the customer's part after the input is back
    """

    supplier: Rows
    customer: Rows
    share: Floats
    full_h: Floats
    restart_ms: Floats


class Chain:
    """All sites' production and all stocks as arrays.

    Parameters
    ----------
    edges : the true graph
    value_cny_kwh : float64[sites]  lost per kilowatt-hour of host load not served
    follow_share : float64[sites]  part of the load that goes with production: a site that
        stands still for want of an input draws so much less

    Attributes
    ----------
    state : rows ``supply`` (p), ``running`` (r), ``drawn`` (factor on the host load);
        by edge ``stock_h``, ``use``, ``feed``, ``phase``, ``ready_ms``; ``since_ms``,
        ``next_ms``; by site ``told``: its stop has been recorded
    """

    def __init__(self, edges: Edges, value_cny_kwh: Floats, follow_share: Floats) -> None:
        self.edges = edges
        self.value_cny_kwh = value_cny_kwh
        self.follow_share = follow_share
        self.n = len(value_cny_kwh)
        figures = chain_figures()
        self.overcapacity = figures["overcapacity"][0]
        self.stop_share = figures["stop_share"][0]
        self.own_share = 1.0 - np.bincount(edges.customer, edges.share, self.n)
        many = len(edges.share)
        self.state = Table(
            ("supply", "running", "drawn"),
            self.n,
            {
                "stock_h": edges.full_h.copy(),
                "use": np.ones(many),
                "feed": np.ones(many),
                "phase": np.full(many, STOCKED, np.uint8),
                "ready_ms": np.full(many, FOREVER_MS, np.int64),
                "since_ms": np.full(1, 0, np.int64),
                "next_ms": np.full(1, FOREVER_MS, np.int64),
                "told": np.zeros(self.n, np.uint8),
            },
        )
        for row in ("supply", "running", "drawn"):
            self.state[row] = 1.0

    @property
    def next_ms(self) -> int:
        """When something happens next by itself; `FOREVER_MS`: never."""
        return int(self.state["next_ms"][0])

    def touch(self, now_ms: int) -> None:
        """Look at the circuits at the next whole minute: one may have been switched."""
        self.state["next_ms"] = min(self.next_ms, now_ms)

    # -- events ----------------------------------------------------------------------------

    def minute(self, now_ms: int, terminal: Terminal | None, terminal_site: Rows) -> None:
        """Do what is due at this whole minute, if anything is."""
        if now_ms < self.next_ms:
            return
        supply = np.ones(self.n)
        if terminal is not None:
            supply[terminal_site] -= np.einsum("ij,ij->j", terminal.share, terminal.open)
        self.advance(now_ms, np.clip(supply, 0.0, 1.0))

    def advance(self, now_ms: int, supply: Floats) -> None:
        """Bring the stocks to `now_ms`, then let the graph follow; `supply` is p of (1)."""
        state, edges = self.state, self.edges
        hours = (now_ms - int(state["since_ms"][0])) / HOUR_MS
        stock = state["stock_h"] + (state["feed"] - state["use"]) * hours
        state["stock_h"] = np.clip(stock, 0.0, edges.full_h)
        held, phase = state["use"].copy(), state.extra["phase"]
        for _ in range(ROUNDS):
            running, use = self._running(supply, held)
            feed = running[edges.supplier]
            feed = feed + self.overcapacity * (feed >= 1.0 - SAME)
            state["use"], state["feed"], state["running"] = use, feed, running
            if not self._turn(now_ms, supply, phase):
                break
        state["supply"] = supply
        missing = 1.0 - state["running"] / np.maximum(supply, SAME)
        state["drawn"] = 1.0 - np.where(supply > SAME, self.follow_share * missing, 0.0)
        state["since_ms"] = now_ms
        state["next_ms"] = self._next(now_ms)

    def _running(self, supply: Floats, held: Floats) -> tuple[Floats, Floats]:
        """Return r and q of (1) and (2), swept down from the most that could run."""
        edges, phase = self.edges, self.state.extra["phase"]
        most = supply[edges.customer]
        use = np.where(phase == RESTARTING, np.minimum(most, held), most)
        dry = np.flatnonzero(phase == DRY)
        own, running = self.own_share * supply, supply
        for _ in range(SWEEPS):
            before = running
            use[dry] = np.minimum(most[dry], running[edges.supplier[dry]])
            running = np.clip(own + np.bincount(edges.customer, edges.share * use, self.n), 0, 1)
            running = np.minimum(running, supply)
            if not (np.abs(running - before) > SAME).any():
                break
        return running, use

    def _turn(self, now_ms: int, supply: Floats, phase: NDArray[np.generic]) -> bool:
        """Change the phases of inputs where it is time; return whether any was."""
        state, edges = self.state, self.edges
        short = state["feed"] < state["use"] - SAME
        dries = (phase != DRY) & (state["stock_h"] <= SAME) & short
        served = state["running"][edges.supplier] >= supply[edges.customer] - SAME
        comes = (phase == DRY) & served
        done = (phase == RESTARTING) & (state["ready_ms"] <= now_ms) & ~dries
        phase[comes] = RESTARTING
        state["ready_ms"][comes] = now_ms + edges.restart_ms[comes]
        phase[done] = STOCKED
        phase[dries] = DRY
        state["ready_ms"][done | dries] = FOREVER_MS
        return bool((dries | comes | done).any())

    def _next(self, now_ms: int) -> int:
        """Return the whole minute at which something happens next by itself."""
        state, phase = self.state, self.state.extra["phase"]
        falls = state["use"] - state["feed"]
        lasting = np.flatnonzero((phase != DRY) & (falls > SAME))
        left_h = state["stock_h"][lasting] / falls[lasting]
        soon = now_ms + float(left_h.min()) * HOUR_MS if len(lasting) > 0 else float(FOREVER_MS)
        soon = min(soon, float(state["ready_ms"].min(initial=FOREVER_MS)))
        if soon >= FOREVER_MS:
            return FOREVER_MS
        return max(int(np.ceil(soon / MINUTE_MS)) * MINUTE_MS, now_ms + MINUTE_MS)

    # -- what is recorded ------------------------------------------------------------------

    @property
    def stopped(self) -> NDArray[np.bool_]:
        """bool[sites], a part of the production stands still for want of an input."""
        return np.asarray(self.state["supply"] - self.state["running"] > self.stop_share)

    def figures(self, nominal_kw: Floats) -> dict[str, float]:
        """Return the losses of one minute [CNY], and the number of sites stopped downstream.

        `nominal_kw` : float64[sites], host load without open circuits.
        """
        supply, running = self.state["supply"], self.state["running"]
        worth = self.value_cny_kwh * nominal_kw * (MINUTE_MS / HOUR_MS)
        return {
            "chain_direct_cny": float((worth * (1.0 - supply)).sum()),
            "chain_downstream_cny": float((worth * (supply - running)).sum()),
            "chain_stopped": float(self.stopped.sum()),
        }

    def drain(self, now_ms: int) -> dict[str, NDArray[np.generic]]:
        """Return the sites that stopped since the last call, by column; empty where none did."""
        stopped, told = self.stopped, self.state.extra["told"]
        fresh = np.flatnonzero(stopped & (told == 0))
        told[:] = stopped
        if len(fresh) == 0:
            return {}
        missing = self.state["supply"][fresh] - self.state["running"][fresh]
        return {"now_ms": np.full(len(fresh), now_ms), "site": fresh, "missing_share": missing}

    def fork(self) -> Self:
        """Return a twin that shares constants and owns a copy of the state."""
        other = copy.copy(self)
        other.state = self.state.copy()
        return other


def chain_figures() -> dict[str, tuple[float, ...]]:
    """Return the figures of ``chain.toml``, each as a tuple."""
    text = files("twin.engine").joinpath("chain.toml").read_text(encoding="utf-8")
    found = {name: row["value"] for name, row in tomllib.loads(text).items()}
    return {k: tuple(v) if isinstance(v, list) else (float(v),) for k, v in found.items()}


def build_true_chain(inventory: Inventory, seed: int) -> Chain | None:
    """Return the chain of the sites of `inventory`, None where no values are registered.

    True stocks differ from what is registered, keyed by `seed`.
    """
    chain, sites = inventory.chain, inventory.sites
    if "value_cny_kwh" not in sites:
        return None
    branch = sites.i8("branch")
    none, no_share = np.empty(0, np.int64), np.empty(0)
    customer = chain.i8("customer") if chain.n > 0 else none
    low, high = chain_figures()["stock_spread"]
    spread = generator(seed, "chain.true").uniform(low, high, chain.n)
    edges = Edges(
        supplier=chain.i8("supplier") if chain.n > 0 else none,
        customer=customer,
        share=chain.f8("share") if chain.n > 0 else no_share,
        full_h=chain.f8("stock_h") * spread if chain.n > 0 else no_share,
        restart_ms=MINUTE_MS * branch_figures("restart_min", branch)[customer],
    )
    return Chain(edges, sites.f8("value_cny_kwh"), branch_figures("follow_share", branch))
