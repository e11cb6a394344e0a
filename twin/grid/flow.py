"""Load flow: arrays in, arrays out.

Ybus is pandapower's; the hot path overwrites injections and the few entries that tap changers
and capacitors touch. Newton's method is `twin.kernels.flow_newton`; where its fixed elimination
order fails, lightsim2grid's KLU with a single slack tries (its distributed-slack variant moves
the reference voltages of further infeeds by 1e-4 pu and more). Nothing evolves in here: the
result depends on the arguments only, so that a fork continues bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from twin.grid.network import Network
from twin.grid.ordering import factor_pattern
from twin.kernels import flow as kernel
from twin.kernels.flow_newton import LOAD, REGULATED, SLACK, Symbolic, newton, power_gap

__all__ = ["LoadFlow", "Pattern", "Solution"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
C16 = NDArray[np.complex128]

_STOP = (1e-9, 20)  # power mismatch [pu], iterations; keeps voltages within 1e-8 pu
_NONE = np.zeros(0, dtype=np.int64)
AT_MAX, REGULATING, AT_MIN = 1, 0, -1
_COLLAPSED_PU = 0.5  # a converged voltage below this is a solution on the lower branch


@dataclass(frozen=True, slots=True)
class Solution:
    """One load flow.

    Attributes
    ----------
    converged : False leaves the voltages as they were given
    v : complex voltages [pu]
    power : complex power into each bus [pu]
    mode : by regulated bus: 0 holds its voltage, 1 at its upper, -1 at its lower reactive limit
    mismatch_pu : largest power mismatch at the end
    worst_bus : where it was
    solves : Newton calls
    """

    converged: bool
    v: C16
    power: C16
    mode: I8
    mismatch_pu: float
    worst_bus: int
    solves: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """What depends on buses and branches alone and is shared between forks.

    Attributes
    ----------
    symbolic : pattern of the factors, see `twin.grid.ordering.factor_pattern`
    tapped : (5, tapped branches), see `twin.kernels.flow.write_admittances`
    bank_place : places of the capacitors in Ybus
    rest : entries of Ybus without what taps and capacitors contribute [pu]
    """

    symbolic: Symbolic
    tapped: I8
    bank_place: I8
    rest: C16


class LoadFlow:
    """Load flow of one network.

    Parameters
    ----------
    network : whose arrays it takes; slack buses and regulated buses follow from its sources
    like : a load flow of the same buses and branches, whose pattern is taken over

    `regulated` are the buses that hold a voltage besides the slack, in ascending order.
    """

    def __init__(self, network: Network, *, like: LoadFlow | None = None) -> None:
        self.network = network
        n = network.n_bus
        sources = network.sources
        self.slack = np.unique(sources.bus[sources.slack]).astype(np.int32)
        own = ~np.isin(sources.bus, self.slack)
        self.regulated = np.unique(sources.bus[own]).astype(np.int32)
        self.source_regulated = np.where(
            own, np.searchsorted(self.regulated, sources.bus), -1
        ).astype(np.int64)
        self._set_points(n)
        m = network.matrix
        self.ends = np.ascontiguousarray(
            np.vstack([network.branches.from_bus, network.branches.to_bus])
        )
        b = network.branches
        self._y_start = np.ascontiguousarray(np.vstack([b.yff, b.yft, b.ytf, b.ytt]))
        self.y = self._y_start.copy()
        self._limit = np.ascontiguousarray(np.vstack([b.limit_from_pu, b.limit_to_pu]))
        self._ybus = sparse.csc_matrix((m.data.copy(), m.indices, m.indptr), shape=(n, n))
        self._matrix = (self._ybus.data, m.indices, m.indptr)
        self._dead = _NONE
        self.pattern: Pattern = _pattern(network) if like is None else like.pattern

    def _set_points(self, n: int) -> None:
        """Note the voltages that slack and regulated buses hold."""
        sources = self.network.sources
        held = np.ones(n)
        # where several sources share a bus, the first one's set-point holds
        held[sources.bus[::-1]] = sources.vm_pu[::-1]
        self._held_slack = held[self.slack]
        self._held = held[self.regulated]
        angle = np.angle(self.network.v_start[self.slack])
        self._v_slack = self._held_slack * np.exp(1j * angle)
        self._kind = np.full(n, LOAD, dtype=np.int64)
        self._kind[self.regulated] = REGULATED
        self._kind[self.slack] = SLACK

    def set_positions(self, tap: I8, capacitor: I8, out: I8 = _NONE, dead: I8 = _NONE) -> None:
        """Write tap positions, capacitor steps and lost branches into the admittances.

        What stands there depends on the arguments only, not on what stood there before.

        Parameters
        ----------
        tap, capacitor : position of each tap group, step of each bank
        out : rows of branches out of service
        dead : rows of buses that no slack reaches any more; they are held at 0
        """
        taps = self.network.taps
        ratio = (1.0 + tap * taps.step) / (1.0 + taps.start * taps.step)
        data, at = self._ybus.data, self.pattern
        data[:] = at.rest
        self.y[:] = self._y_start
        kernel.write_admittances(ratio, at.tapped, self._y_start, self.y, data)
        np.add.at(data, at.bank_place, _bank_y(self.network, capacitor))
        for row in out:
            self._take_out(int(row))
        self._dead = dead

    def _take_out(self, row: int) -> tuple[I8, C16]:
        """Take a branch out of the admittances; return where, and what stood there."""
        m, (f, t) = self.network.matrix, self.ends[:, row]
        at = _places(m.indices, m.indptr, np.array([f, f, t, t]), np.array([f, t, f, t]))
        before = self._ybus.data[at].copy()
        self._ybus.data[at] -= self.y[:, row]
        self.y[:, row] = 0.0
        return at, before

    @contextmanager
    def without_branch(self, row: int) -> Iterator[None]:
        """Take one branch out while the context lasts; positions must not be set meanwhile."""
        y = self.y[:, row].copy()
        at, before = self._take_out(row)
        try:
            yield
        finally:
            self._ybus.data[at] = before
            self.y[:, row] = y

    @property
    def ybus(self) -> sparse.csc_matrix:
        """The admittance matrix as it stands [pu], compressed columns."""
        return self._ybus

    def solve(self, power: C16, v: C16, mode: I8, q_min: F8, q_max: F8) -> Solution:
        """Solve for the voltages, keeping reactive limits as pandapower's ``enforce_q_lims``.

        Parameters
        ----------
        power : (buses,) complex power into each bus without what regulated buses supply of
            reactive power [pu]
        v : (buses,) complex start voltages [pu]
        mode : (regulated,) start modes
        q_min, q_max : (regulated,) reactive limits [pu]

        A regulated bus beyond a limit is held at the limit; one at a limit whose voltage shows
        that it need not be returns to its set-point, at most once.
        """
        mode = mode.copy()
        fixed = q_max - q_min <= 0.0
        mode[fixed] = AT_MAX
        returned = fixed.copy()
        at, found = v, np.empty_like(v)
        for solves in range(1, 3 * len(mode) + 4):
            good, at = self._newton(power, at, mode, q_min, q_max)
            if not good:
                return self._failed(power, v, mode, q_min, q_max, solves)
            kernel.bus_power(*self._matrix, at, found)
            if not self._switch(at, found, power, mode, returned, q_min, q_max):
                return Solution(True, at, found, mode, 0.0, -1, solves)
        return self._failed(power, v, mode, q_min, q_max, solves)

    def _switch(
        self, v: C16, found: C16, power: C16, mode: I8, returned: NDArray[np.bool_], *q: F8
    ) -> bool:
        """Switch modes in place; return whether any changed."""
        if len(mode) == 0:
            return False
        supplied = found.imag[self.regulated] - power.imag[self.regulated]
        vm = np.abs(v[self.regulated])
        above = (mode == REGULATING) & (supplied > q[1])
        below = (mode == REGULATING) & (supplied < q[0])
        idle = ((mode == AT_MAX) & (vm > self._held)) | ((mode == AT_MIN) & (vm < self._held))
        idle &= ~returned
        if not (above.any() or below.any() or idle.any()):
            return False
        returned |= idle
        mode[above] = AT_MAX
        mode[below] = AT_MIN
        mode[idle] = REGULATING
        return True

    def _newton(self, power: C16, v: C16, mode: I8, q_min: F8, q_max: F8) -> tuple[bool, C16]:
        """Run Newton's method once; return whether it converged, and the voltages."""
        at, target, kind = self.problem(power, v, mode, q_min, q_max)
        start = at.copy()
        good, _ = newton(self._matrix, self.pattern.symbolic, target, kind, at, _STOP)
        if not good:
            good, at = self.klu(start, target, kind)
        size = np.abs(at)
        size[self._dead] = 1.0
        low = float(size.min())
        return bool(good and np.isfinite(low) and low > _COLLAPSED_PU), at

    def klu(self, start: C16, target: C16, kind: I8) -> tuple[bool, C16]:
        """Solve by lightsim2grid, which pivots; for where blocks in a fixed order fail."""
        from lightsim2grid.algorithm import NR_KLU  # a second to import, seldom needed

        solver = NR_KLU()  # a fresh one: what was solved before must leave no trace
        slack = np.flatnonzero(kind == SLACK).astype(np.int32)
        weights = np.zeros(len(start))
        weights[slack] = 1.0 / len(slack)
        pv = np.flatnonzero(kind == REGULATED).astype(np.int32)
        pq = np.flatnonzero(kind == LOAD).astype(np.int32)
        good = solver.solve(self._ybus, start, target, slack, weights, pv, pq, *_STOP[::-1])
        # A copy: what the solver shows is gone with it.
        return (True, np.array(solver.get_V())) if good else (False, start)

    def problem(self, power: C16, v: C16, mode: I8, q_min: F8, q_max: F8) -> tuple[C16, C16, I8]:
        """Return start voltages, injections and bus types under the modes."""
        start, target, kind = v.copy(), power.copy(), self._kind.copy()
        start[self.slack] = self._v_slack
        free = mode == REGULATING
        held = self.regulated[free]
        start[held] *= self._held[free] / np.maximum(np.abs(start[held]), 1e-9)
        if len(held) < len(mode):
            limited = self.regulated[~free]
            target[limited] += 1j * np.where(mode == AT_MAX, q_max, q_min)[~free]
            kind[limited] = LOAD
        if len(self._dead) > 0:
            start[self._dead], target[self._dead], kind[self._dead] = 0.0, 0.0, SLACK
        return start, target, kind

    def _failed(self, power: C16, v: C16, mode: I8, q_min: F8, q_max: F8, solves: int) -> Solution:
        """Return the given voltages and how badly they fit the injections."""
        start, target, kind = self.problem(power, v, mode, q_min, q_max)
        found = np.empty_like(start)
        gap, worst = power_gap(self._matrix, target, kind, start, found)
        return Solution(False, v, found, mode, float(gap), int(worst), solves)

    def reached(self, out: I8) -> NDArray[np.bool_]:
        """Return which buses a slack reaches without the branches `out`."""
        n, left = self.network.n_bus, np.ones(self.network.n_branch, dtype=bool)
        left[out] = False
        f, t = self.ends[:, left]
        graph = sparse.coo_matrix((np.ones(len(f), dtype=np.int8), (f, t)), shape=(n, n))
        _, part = connected_components(graph, directed=False)
        return np.asarray(np.isin(part, part[self.slack]))

    def loading_pct(self, v: C16) -> F8:
        """Return the loading of every branch, the larger current of both ends [% of rated]."""
        loading = np.empty(self.network.n_branch)
        kernel.branch_loading(self.ends, self.y, self._limit, v, loading)
        return loading

    def branch_mva(self, v: C16) -> C16:
        """Return complex power into each branch at its from and to end, (2, branches) [MVA]."""
        power = np.empty((2, self.network.n_branch), dtype=np.complex128)
        kernel.branch_power(self.ends, self.y, v, power)
        return np.asarray(power * self.network.base_mva)


def _bank_y(network: Network, step: I8) -> C16:
    """Return the shunt admittance of capacitor steps [pu]."""
    return np.asarray(1j * step * (network.capacitors.step_mvar / network.base_mva))


def _pattern(network: Network) -> Pattern:
    """Find the entries of Ybus that taps and capacitors touch, and what else is in them."""
    m, branches, banks = network.matrix, network.branches, network.capacitors
    rows = np.flatnonzero(branches.tap_group >= 0)
    f, t = branches.from_bus[rows], branches.to_bus[rows]
    places = [_places(m.indices, m.indptr, a, b) for a, b in ((f, f), (f, t), (t, f))]
    tapped = np.ascontiguousarray(np.vstack([rows, *places, branches.tap_group[rows]]))
    bank_place = _places(m.indices, m.indptr, banks.bus, banks.bus)
    rest = m.data.copy()
    for place, y in zip(places, (branches.yff, branches.yft, branches.ytf), strict=True):
        np.subtract.at(rest, place, y[rows])
    np.subtract.at(rest, bank_place, _bank_y(network, banks.start))
    symbolic = factor_pattern(m.indices, m.indptr)
    return Pattern(symbolic, tapped.astype(np.int64), bank_place, rest)


def _places(indices: NDArray[np.int32], indptr: NDArray[np.int32], row: I8, column: I8) -> I8:
    """Return where entries (row, column) stand in the data of a matrix of sorted columns."""
    place = np.empty(len(row), dtype=np.int64)
    for k, (r, c) in enumerate(zip(row, column, strict=True)):
        first, last = indptr[c], indptr[c + 1]
        place[k] = first + np.searchsorted(indices[first:last], r)
        if place[k] == last or indices[place[k]] != r:
            raise ValueError(f"Ybus has no entry ({r}, {c})")
    return place
