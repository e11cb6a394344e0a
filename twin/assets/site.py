"""The customer account (户): host load, meter, and the owner's own limits at it.

Everything behind one meter meets here. The owner's own control keeps the meter inside the
export limit and the contracted demand, orders or not, by bounding what storage, chargers and
PV may do during the next minute.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.kind import Kind
from twin.assets.terminal import CIRCUITS, Terminal
from twin.chance import generator
from twin.clock import HOUR_MS
from twin.record.columns import Columns
from twin.record.table import Table

Floats = NDArray[np.float64]

HOST_NOISE = 0.08  # standard deviation of one site's host load (assumed)
# Kinds that the owner's control bounds.
BOUNDED = ("solar", "charging", "swap", "hydrogen", "storage")


def _limit(power_kw: Floats, part: Floats, room_kw: Floats, used_kw: Floats) -> Floats:
    """Return float64[n] >= 0, what each device may do at most in the direction of `power_kw`.

    Parameters
    ----------
    part : each device's part of its site's room
    room_kw : what its site's meter leaves, negative where it is over its limit
    used_kw : what the devices of its site do in this direction together
    """
    more = power_kw + part * room_kw
    less = np.maximum(power_kw, 0.0) * (1.0 + room_kw / np.maximum(used_kw, 1e-9))
    return np.maximum(np.where(room_kw >= 0.0, more, less), 0.0)


class Sites:
    """All sites as arrays.

    Parameters
    ----------
    columns : registered sites
    weight : float64[sites]  share of its sector-district's non-device demand
    kinds : the fleet by kind name, terminals included
    seed : the scenario's seed

    Attributes
    ----------
    state : rows ``nominal_kw`` (host load without open circuits), ``host_kw`` (drawn),
        ``demand_kw`` (meter, mean of the last period)
    """

    def __init__(
        self,
        columns: Columns,
        weight: NDArray[np.float64],
        kinds: Mapping[str, Kind],
        seed: int,
    ) -> None:
        self.columns = columns
        self.n = columns.n
        self.weight = weight
        self.seed = seed
        self.sector = columns.i8("sector")
        self.district = columns.i8("district")
        self.contracted_kw = columns.f8("contracted_kw")
        self.export_limit_kw = columns.f8("export_limit_kw")
        self.device_site = {k: kind.registered.i8("site") for k, kind in kinds.items()}
        self.device_circuit = {k: kind.registered.i8("circuit") for k, kind in kinds.items()}
        terminal_site = self.device_site.get("terminal", np.empty(0, np.int64))
        self.terminal_row = np.full(self.n, -1, np.int64)
        self.terminal_row[terminal_site] = np.arange(len(terminal_site))
        self.terminal_site = terminal_site
        self.state = Table(("nominal_kw", "host_kw", "demand_kw"), self.n)
        self._draws: dict[int, NDArray[np.float64]] = {}

    def noise(self, now_ms: int) -> NDArray[np.float64]:
        """Return float64[n], the keyed factor on each host load, drawn hourly, linear between."""
        hour, rest = divmod(now_ms, HOUR_MS)
        fraction = rest / HOUR_MS
        here, there = self._hourly(hour), self._hourly(hour + 1)
        mixed = (1.0 - fraction) * here + fraction * there
        return np.clip(1.0 + HOST_NOISE * mixed, 0.5, 1.5)

    def _hourly(self, hour: int) -> NDArray[np.float64]:
        """Return the hour's draw; a memo of a pure function, not state."""
        if hour not in self._draws:
            self._draws = {k: v for k, v in self._draws.items() if abs(k - hour) <= 1}
            self._draws[hour] = generator(self.seed, "site.host", hour).standard_normal(self.n)
        return self._draws[hour]

    def minute(
        self,
        env: Environment,
        curve_kw: NDArray[np.float64],
        noise: NDArray[np.float64],
        terminal: Terminal | None,
        drawn: NDArray[np.float64] | None = None,
    ) -> None:
        """Set this minute's host load.

        Parameters
        ----------
        curve_kw : float64[sectors, districts]  non-device demand now
        noise : float64[n]  from `noise`
        drawn : float64[n]  factor of sites whose production stands still; None: 1
        """
        nominal = self.weight * curve_kw[self.sector, self.district] * noise
        self.state["nominal_kw"] = nominal
        nominal = nominal if drawn is None else nominal * drawn
        self.state["host_kw"] = nominal
        if terminal is not None:
            site = self.device_site["terminal"]
            terminal.state["host_kw"] = nominal[site]
            self.state["host_kw"][site] = nominal[site] * terminal.supplied_share()

    def switch(self, kinds: Mapping[str, Kind], terminal: Terminal | None) -> None:
        """Take supply from devices behind open circuits, give it to the others."""
        if terminal is None:
            return
        is_open = terminal.open
        for name, kind in kinds.items():
            circuit = self.device_circuit[name]
            row = self.terminal_row[self.device_site[name]]
            behind = np.flatnonzero((circuit >= 0) & (row >= 0))
            if name != "terminal" and len(behind) > 0:
                kind.state["supplied"][behind] = 1.0 - is_open[circuit[behind], row[behind]]

    def bound(self, kinds: Mapping[str, Kind]) -> None:
        """Write each bounded kind's ``limit_low_kw`` and ``limit_high_kw`` for this minute.

        Room is what the meter leaves. All bounded devices of a site share it, whatever their
        kind: by rating where there is some, and where there is too little each gives way in
        proportion to what it does now. So together they never take more than there is.
        """
        net = self.state["host_kw"].copy()
        for name, kind in kinds.items():
            if name != "terminal":
                net -= self.by_site(name, kind.power_kw)
        bounded = [(kinds[name], self.device_site[name]) for name in BOUNDED if name in kinds]
        rated, feeding, drawing = np.zeros(self.n), np.zeros(self.n), np.zeros(self.n)
        for kind, site in bounded:
            rated += np.bincount(site, kind.rated_kw, self.n)
            feeding += np.bincount(site, np.maximum(kind.power_kw, 0.0), self.n)
            drawing += np.bincount(site, np.maximum(-kind.power_kw, 0.0), self.n)
        room_out, room_in = self.export_limit_kw + net, self.contracted_kw - net
        for kind, site in bounded:
            power, part = kind.power_kw, kind.rated_kw / np.maximum(rated[site], 1e-9)
            kind.state["limit_high_kw"] = _limit(power, part, room_out[site], feeding[site])
            kind.state["limit_low_kw"] = -_limit(-power, part, room_in[site], drawing[site])

    def by_site(self, kind: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64[sites], the sum of a kind's per-device values at each site."""
        total = np.bincount(self.device_site[kind], weights=values, minlength=self.n)
        return np.asarray(total, np.float64)

    def behind_circuits(
        self, kinds: Mapping[str, Kind], enrolled_only: bool
    ) -> NDArray[np.float64]:
        """Return float64[sites], demand of devices behind controllable circuits now [kW]."""
        total = np.zeros(self.n)
        for name, kind in kinds.items():
            if name == "terminal":
                continue
            behind = self.device_circuit[name] >= 0
            if enrolled_only:
                behind &= kind.registered.flag("enrolled")
            total -= self.by_site(name, np.where(behind, kind.power_kw, 0.0))
        return total

    def circuit_host_kw(self, terminal: Terminal) -> NDArray[np.float64]:
        """Return float64[sites], host load behind all controllable circuits, open or not."""
        total = np.zeros(self.n)
        share = terminal.share.sum(axis=0)
        total[self.device_site["terminal"]] = terminal.state["host_kw"] * share
        return total

    def fork(self) -> Self:
        """Return a twin that shares constants and owns a copy of the state."""
        other = copy.copy(self)
        other.state = self.state.copy()
        return other

    def open_circuits(self, terminal: Terminal | None) -> NDArray[np.uint8]:
        """Return uint8[sites], number of circuits that stand open by command."""
        count = np.zeros(self.n, np.uint8)
        if terminal is not None:
            real = terminal.open * (terminal.share > 0.0)
            count[self.device_site["terminal"]] = real.sum(axis=0).astype(np.uint8)
        return count


__all__ = ["BOUNDED", "CIRCUITS", "HOST_NOISE", "Sites"]
