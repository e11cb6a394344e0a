"""The network as a dispatcher's desk sees it: estimated loadings, and where a cut helps.

Flows follow from what is drawn at the busbars by the distribution factors that the logic got
beforehand (`twin.record.network_view`), and after outages by the closed form for several at
once: with ``L`` the outage factors and O the lost branches, opening them one after the other is
the same as moving ``x = (I - L_OO)^-1 f_O`` (zero on the diagonal of ``L_OO``) to the others,
``f + L_:O x``. The same holds for every column of the distribution factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.clock import DAY_MS, MINUTE_MS, minute_of_day
from twin.control.supervision.watch import well_formed
from twin.record.exchange import Inventory, Quality, Reading
from twin.record.network_view import NetworkView
from twin.record.orders import News, OutageNotice
from twin.record.table import Table

__all__ = ["NetworkWatch"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CLOSE = 0.95  # of the rating: from here on a branch is to be relieved (assumed)
FULL = 1.00  # here the weights are at their strongest
STRONGEST = 4.0  # most that a device counts for, or 1 over it for one that makes it worse (assumed)
LEAST_EFFECT = 0.02  # MW/MW; busbars that move the branch less count as before (assumed)
NEAR = 0.80  # of what is allowed: branches above it stand in `rows` (assumed)
FRESH_MS = 20 * MINUTE_MS  # an older reading of a station is an estimate's business (assumed)
ABSURD = 3.0  # a reading beyond this many times the rating of its busbar is not believed
QUARTER_MS = 15 * MINUTE_MS
_SINGULAR = 1e-6


class NetworkWatch:
    """Estimates branch loadings and says where a reduction helps.

    Parameters
    ----------
    inventory : for busbars and sites
    view : what is known of the network; None watches nothing and weighs everything alike
    """

    def __init__(self, inventory: Inventory, view: NetworkView | None) -> None:
        self.inventory = inventory
        self.view = view if view is not None and _fits(inventory, view) else None
        n_branch, n_busbar = (0, 0) if self.view is None else self.view.ptdf.shape
        self.busbar = Table(("demand_mw", "time_ms"), n_busbar)
        self.busbar["demand_mw"] = np.nan
        self.branch = Table(("out", "flow_mw"), n_branch)
        self._row = {} if self.view is None else {str(b): i for i, b in enumerate(self.view.branch)}
        columns = inventory.kinds.get("busbar")
        rated = np.full(n_busbar, np.inf) if columns is None else columns.columns.f8("rated_kw")
        self._rated_mw = np.resize(rated, n_busbar) / 1_000.0
        itself = np.arange(n_busbar)
        named = columns is not None and "parent" in columns.columns
        self._parent = columns.columns.i8("parent") if columns is not None and named else itself
        self._matrix: tuple[bytes, Floats] = (b"", np.zeros((0, 0)))

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {"network.busbar": self.busbar, "network.branch": self.branch}

    # -- what becomes known ----------------------------------------------------------------

    def take(self, now_ms: int, notices: Sequence[News], readings: Mapping[str, Reading]) -> None:
        """Take outage notices and readings of busbars and city; estimate the flows of now.

        A busbar without a reading that can be believed is taken as planned for this time of
        day, scaled by the city's metered load. Absurd readings change nothing.
        """
        for notice in notices:
            if isinstance(notice, OutageNotice) and notice.branch in self._row:
                self.branch["out"][self._row[notice.branch]] = 0.0 if notice.restored else 1.0
        if self.view is None:
            return
        self._read(now_ms, readings.get("busbar"))
        demand = self._demand_mw(now_ms, readings.get("city"))
        quarter = minute_of_day(now_ms) // 15
        planned = self.view.expected_demand_mw[:, quarter]
        flow = self.view.expected_mw[:, quarter] - self.view.ptdf @ (demand - planned)
        self.branch["flow_mw"] = self._after_outages(flow[:, None])[:, 0]

    def _read(self, now_ms: int, reading: Reading | None) -> None:
        station = self.inventory.kinds.get("busbar")
        if reading is None or station is None:
            return
        if station.n != self.busbar.n or not well_formed(station, reading):
            return
        value = np.asarray(reading.value[station.point("power_mw")], np.float64)
        good = np.isfinite(value) & (np.asarray(reading.quality) == Quality.GOOD)
        good &= np.abs(np.where(good, value, 0.0)) <= ABSURD * self._rated_mw
        self.busbar["demand_mw"] = np.where(good, value, self.busbar["demand_mw"])
        time_ms = np.clip(np.asarray(reading.time_ms, np.float64), -DAY_MS, now_ms)
        self.busbar["time_ms"] = np.where(good, time_ms, self.busbar["time_ms"])

    def _demand_mw(self, now_ms: int, city: Reading | None) -> Floats:
        """Return float64[busbars], what is drawn now as far as it is known."""
        if self.view is None:
            return np.zeros(0)
        planned = self.view.expected_demand_mw[:, minute_of_day(now_ms) // 15]
        known = self.inventory.kinds.get("city")
        scale = 1.0
        if city is not None and known is not None and well_formed(known, city):
            load_mw = float(city.value[known.point("load_mw"), 0])
            if 0.0 < load_mw <= ABSURD * self.inventory.max_load_mw:
                scale = load_mw / max(float(planned.sum()), 1e-6)
        held = self.busbar["demand_mw"]
        fresh = np.isfinite(held) & (now_ms - self.busbar["time_ms"] <= FRESH_MS)
        demand = np.where(fresh, held, scale * planned)
        # A station's meter shows its feeders' nodes as well, which stand for themselves.
        node = self._parent != np.arange(len(demand))
        below = np.bincount(self._parent[node], demand[node], len(demand))
        return np.where(fresh & ~node, demand - below, demand)

    # -- outages -----------------------------------------------------------------------------

    def _after_outages(self, columns: Floats) -> Floats:
        """Return `columns` (branches first) with the lost branches' part moved to the others.

        Where the loss of a branch splits the network and no infeed alone is cut off, nothing is
        known of what it carried: its row is 0 and nobody takes over. The same holds where lost
        branches only together split it; then each is taken for itself.
        """
        view, out = self.view, self.branch["out"] > 0.5
        if view is None or not out.any():
            return columns
        columns, gone = self._without_infeeds(columns, out)
        known = np.flatnonzero(out & ~gone & ~np.isnan(view.lodf[0]))
        moved = columns.copy()
        if len(known) > 0:
            factor = view.lodf[:, known]
            among = factor[known].copy()
            np.fill_diagonal(among, 0.0)
            system = np.eye(len(known)) - among
            alone = abs(np.linalg.det(system)) < _SINGULAR
            x = columns[known] if alone else np.linalg.solve(system, columns[known])
            moved = columns + factor @ x
        moved[out] = 0.0
        return moved

    def _without_infeeds(self, columns: Floats, out: NDArray[np.bool_]) -> tuple[Floats, Flags]:
        """Let the others take over the imports of infeeds all of whose branches are `out`.

        With share s and column p of its distribution factors, an infeed that gave m is made up
        for by ``-p m / (1 - s)``; its branches then carry nothing and may open. Returns the
        columns and which branches were of lost infeeds.
        """
        gone = np.zeros(len(out), np.bool_)
        if self.view is None or self.view.infeed_end.shape[0] != len(out):
            return columns, gone
        end, share = self.view.infeed_end, self.view.infeed_share.copy()
        held = end != 0.0
        lost = held.any(axis=0) & ~(held & ~out[:, None]).any(axis=0)
        whole = np.hstack([columns, self.view.infeed_ptdf])
        for k in np.flatnonzero(lost):
            left = 1.0 - share[k]
            if left < _SINGULAR:
                break  # nobody is left to take over
            own = whole[:, columns.shape[1] + k].copy()
            whole = whole - np.outer(own, end[:, k] @ whole) / left
            share /= left
            share[k] = 0.0
            gone |= held[:, k]
        return whole[:, : columns.shape[1]], gone

    def _ptdf(self) -> Floats:
        """Return float64[branches, busbars] with the lost branches out; kept while they are."""
        if self.view is None:
            return np.zeros((0, 0))
        key = self.branch["out"].tobytes()
        if self._matrix[0] != key:
            self._matrix = (key, self._after_outages(self.view.ptdf))
        return self._matrix[1]

    # -- what follows from it ----------------------------------------------------------------

    def loading(self) -> Floats:
        """Return float64[branches], estimated flow over rating now."""
        if self.view is None:
            return np.zeros(0)
        return np.asarray(np.abs(self.branch["flow_mw"]) / self.view.rating_mw)

    def busbar_of(self, kind: str) -> Ints:
        """Return the busbar row of every device of `kind`, -1 where it is not known."""
        sites = self.inventory.sites
        if kind not in self.inventory.kinds or "busbar" not in sites:
            return np.full(
                0 if kind not in self.inventory.kinds else self.inventory.kinds[kind].n, -1
            )
        site = self.inventory.kinds[kind].columns.i8("site")
        inside = (site >= 0) & (site < sites.n)
        return np.where(inside, sites.i8("busbar")[np.where(inside, site, 0)], -1)

    def relief(self, busbar: Ints) -> Floats:
        """Return what a reduction at each of `busbar` counts for, 1 where the network is at ease.

        More than 1, up to `STRONGEST`, where it relieves a branch above `CLOSE` of its rating;
        less than 1 where it makes one worse. Strongest once a branch is at its rating.

        Parameters
        ----------
        busbar : int64[n]  rows, e.g. `busbar_of` a kind; those that do not exist count 1
        """
        busbar = np.asarray(busbar, np.int64)
        loading = self.loading()
        close = np.flatnonzero(loading > CLOSE)
        if len(close) == 0:
            return np.ones(len(busbar))
        strength = np.clip((loading[close] - CLOSE) / (FULL - CLOSE), 0.0, 1.0)
        # What 1 MW less at a busbar takes off each close branch.
        off = -np.sign(self.branch["flow_mw"][close])[:, None] * self._ptdf()[close]
        off = np.where(np.abs(off) < LEAST_EFFECT, 0.0, off)
        most = np.maximum(np.abs(off).max(axis=1, initial=0.0), LEAST_EFFECT)
        effect = np.clip((strength / most) @ off, -1.0, 1.0)
        inside = (busbar >= 0) & (busbar < len(effect))
        at = np.where(inside, busbar, 0)
        return np.where(inside, STRONGEST ** effect[at], 1.0)

    def rows(self, margin: float = 0.05) -> tuple[Floats, Floats]:
        """Return ``A, room`` so that ``A @ reduction_mw <= room`` keeps the branches in limits.

        Parameters
        ----------
        margin : of the rating that is kept free, for the error of the estimate

        Returns
        -------
        A : float64[rows, busbars]  MW that a branch's flow grows by for 1 MW less at a busbar
        room : float64[rows]  MW; negative where the branch is over its limit already: then only
            a reduction that relieves it keeps the row, and there may be none

        Only branches above `NEAR` of what is allowed stand in it.
        """
        n_busbar = 0 if self.view is None else self.view.ptdf.shape[1]
        if self.view is None:
            return np.zeros((0, n_busbar)), np.zeros(0)
        allowed = (1.0 - margin) * self.view.rating_mw
        flow = self.branch["flow_mw"]
        near = np.flatnonzero(np.abs(flow) > NEAR * allowed)
        grows = np.sign(flow[near])[:, None] * self._ptdf()[near]
        return grows, allowed[near] - np.abs(flow[near])

    @property
    def strained(self) -> bool:
        """Whether a branch is so near its rating that stations are worth reading each minute."""
        return bool((self.loading() > NEAR).any())

    def report(self, now_ms: int) -> dict[str, Mapping[str, NDArray[np.generic]]]:
        """Return the report table that is due: each quarter of an hour while a branch is close."""
        if now_ms % QUARTER_MS != 0 or not (self.loading() > CLOSE).any():
            return {}
        return {"network": self.table(now_ms)}

    def table(self, now_ms: int) -> dict[str, NDArray[np.generic]]:
        """Return rows for the report table ``network``: branches close to their rating now."""
        loading = self.loading()
        close = np.flatnonzero(loading > CLOSE)
        names = np.array([], np.str_) if self.view is None else self.view.branch[close]
        return {
            "now_ms": np.full(len(close), now_ms, np.int64),
            "branch": np.asarray(names, np.str_),
            "flow_mw": self.branch["flow_mw"][close],
            "loading_pct": 100.0 * loading[close],
        }


def _fits(inventory: Inventory, view: NetworkView) -> bool:
    """Return whether the view is of this inventory's busbars."""
    station = inventory.kinds.get("busbar")
    return station is None or station.n == view.ptdf.shape[1]
