"""The network in operation: imports re-scheduled, taps and capacitors moved, once a grid period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.errors import InputProblems, Problem
from twin.grid.flow import LoadFlow, Solution
from twin.grid.network import Network
from twin.grid.snapshot import Divergence, GridSnapshot
from twin.kernels import flow as kernel
from twin.record.table import Table

__all__ = ["GridOperation"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
C16 = NDArray[np.complex128]

_SETTLE_ROUNDS = 200
_SETTLE_PERIOD_MS = 60_000
_EASED, _EASE_STEP = 0.6, 0.02  # of the load, where all of it cannot be met at once
_SETTLED_ROUNDS = 6  # quiet periods in a row, longer than the longest delay


class GridOperation:
    """What the engine calls once a grid period.

    Everything that evolves stands in `state`: tap positions, capacitor steps, their timers and
    counts, complex voltages, reactive modes, losses. `fork` copies it and shares the rest.
    """

    def __init__(self, network: Network, *, flow: LoadFlow | None = None) -> None:
        self.network = network
        self.flow = LoadFlow(network) if flow is None else flow
        taps, banks, sources = network.taps, network.capacitors, network.sources
        self._tap_rule = np.vstack([taps.target_vm_pu, taps.half_band_vm_pu, 1.0 * taps.delay_ms])
        self._tap_span = np.vstack([taps.tap_min, taps.tap_max])
        self._bank_rule = np.vstack(
            [banks.low_vm_pu, banks.high_vm_pu, banks.q_band_mvar, 1.0 * banks.delay_ms]
        )
        self._bank_span = np.vstack([banks.step_min, banks.step_max])
        self._infeeds, self._plants = network.infeed_rows, network.plant_rows
        self._pumped = network.pumped_rows
        self._share = sources.share[self._infeeds]
        self._slacks = np.flatnonzero(sources.slack)
        self._others = np.flatnonzero(~sources.slack)
        self._fixed_pu = network.fixed_mva / network.base_mva
        self.state = self._first_state()

    def _first_state(self) -> Table:
        network = self.network
        n_tap, n_bank = len(network.taps.bus), len(network.capacitors.bus)
        tap = np.zeros((3, n_tap), dtype=np.int64)
        tap[kernel.POSITION] = network.taps.start
        tap[kernel.TIMER_MS] = kernel.IDLE
        bank = np.zeros((3, n_bank), dtype=np.int64)
        bank[kernel.POSITION] = network.capacitors.start
        bank[kernel.TIMER_MS] = kernel.IDLE
        v = network.v_start
        extra: dict[str, NDArray[np.generic]] = {
            "tap": tap,
            "capacitor": bank,
            "out_of_service": np.zeros(network.n_branch, dtype=np.int8),
            "dead": np.zeros(network.n_bus, dtype=np.int8),
            "reactive_mode": np.zeros(len(self.flow.regulated), dtype=np.int64),
            "losses_mw": np.zeros(1),
            "slack_mw": np.zeros(1),
            "source_mw": np.zeros(len(network.sources.bus)),
            "counts": np.zeros(2, dtype=np.int64),  # load flows, divergences
        }
        table = Table(("v_real", "v_imag"), network.n_bus, extra)
        table["v_real"] = v.real
        table["v_imag"] = v.imag
        return table

    def fork(self) -> GridOperation:
        """Return an operation that continues bit for bit as this one would."""
        twin = GridOperation.__new__(GridOperation)
        twin.__dict__.update(self.__dict__)
        twin.flow = LoadFlow(self.network, like=self.flow)
        twin.state = self.state.copy()
        return twin

    def switch_branch(self, name: str, *, in_service: bool) -> None:
        """Trip the branch called `name`, or bring it back.

        Buses that no slack reaches any more are dead: their voltage is 0 and what stands there
        is not supplied.

        Raises InputProblems when there is no such branch.
        """
        rows = np.flatnonzero(self.network.branches.name == name)
        if len(rows) != 1:
            problem = Problem("network", "branch", name, "the name of one branch of the network")
            raise InputProblems([problem])
        out, dead = self._whole("out_of_service"), self._whole("dead")
        out[rows] = 0 if in_service else 1
        reached = self.flow.reached(np.flatnonzero(out))
        back = np.flatnonzero((dead == 1) & reached)
        dead[:] = ~reached
        start = self.network.v_start
        self.state["v_real"][back], self.state["v_imag"][back] = start.real[back], start.imag[back]

    @property
    def tap_position(self) -> I8:
        """Present tap position of each group (a view)."""
        return self._row("tap", kernel.POSITION)

    @property
    def capacitor_step(self) -> I8:
        """Present step of each capacitor bank (a view)."""
        return self._row("capacitor", kernel.POSITION)

    @property
    def tap_moves(self) -> I8:
        """Moves of each tap group so far (a view)."""
        return self._row("tap", kernel.MOVES)

    @property
    def capacitor_moves(self) -> I8:
        """Switchings of each capacitor bank so far (a view)."""
        return self._row("capacitor", kernel.MOVES)

    @property
    def branches_out(self) -> I8:
        """Rows of branches out of service."""
        return np.flatnonzero(self._whole("out_of_service"))

    @property
    def reactive_mode(self) -> I8:
        """Mode of each regulated bus (a view): 0 holds its voltage, +-1 at a reactive limit."""
        return self._whole("reactive_mode")

    @property
    def v(self) -> C16:
        """Last complex voltages [pu]."""
        return np.asarray(self.state["v_real"] + 1j * self.state["v_imag"])

    def _whole(self, name: str) -> I8:
        return self.state[name]  # type: ignore[return-value]

    def _row(self, name: str, row: int) -> I8:
        found: I8 = self._whole(name)[row]
        return found

    def step(
        self,
        now_ms: int,
        period_s: float,
        demand_mw: F8,
        demand_mvar: F8,
        plant_mw: F8,
        pumped_mw: float,
    ) -> GridSnapshot:
        """Solve the network at `now_ms`, then let regulators act for the next period.

        Parameters
        ----------
        now_ms : simulated time
        period_s : length of the grid period; regulators keep time by `now_ms`
        demand_mw, demand_mvar : (busbars,) positive consumption
        plant_mw : (plants,) into the grid
        pumped_mw : pumped storage, positive into the grid; ignored where there is none

        Raises ValueError when a demand or a plant's power is not finite.
        """
        del period_s
        solution, source_mw, power = self.solve(demand_mw, demand_mvar, plant_mw, pumped_mw)
        tap_moves, bank_moves = 0, 0
        counts = self._whole("counts")
        counts[0] += 1
        divergence = None
        if solution.converged:
            self._keep(solution, source_mw, power)
            tap_moves, bank_moves = self._regulate(now_ms, solution.v)
        else:
            counts[1] += 1
            gap = solution.mismatch_pu * self.network.base_mva
            divergence = Divergence(now_ms, gap, solution.worst_bus)
        # loadings are of the positions that were solved, before the regulators' moves
        return self._snapshot(now_ms, solution, (tap_moves, bank_moves), divergence)

    def settle(
        self,
        now_ms: int,
        demand_mw: F8,
        demand_mvar: F8,
        plant_mw: F8,
        pumped_mw: float,
    ) -> GridSnapshot:
        """Let taps and capacitors act under constant load until they are quiet.

        Where the load cannot be met at the positions at hand, it is raised to its value in
        steps, so that the regulators can follow. Counts of moves and timers are cleared at the
        end. Returns the snapshot at `now_ms`; one that has not converged says so.
        """
        quiet, at, eased = 0, now_ms - _SETTLE_ROUNDS * _SETTLE_PERIOD_MS, 1.0
        for _ in range(_SETTLE_ROUNDS):
            at += _SETTLE_PERIOD_MS
            shot = self.step(at, 60.0, eased * demand_mw, eased * demand_mvar, plant_mw, pumped_mw)
            if not shot.converged or eased < 1.0:
                eased = _EASED if not shot.converged else min(1.0, eased + _EASE_STEP)
                continue
            quiet = quiet + 1 if shot.tap_moves + shot.capacitor_moves == 0 else 0
            if quiet == _SETTLED_ROUNDS:
                break
        for name in ("tap", "capacitor"):
            table = self._whole(name)
            table[kernel.TIMER_MS] = kernel.IDLE
            table[kernel.MOVES] = 0
        self._whole("counts")[:] = 0
        return self.step(now_ms, 60.0, demand_mw, demand_mvar, plant_mw, pumped_mw)

    def injections(
        self, demand_mw: F8, demand_mvar: F8, plant_mw: F8, pumped_mw: float
    ) -> tuple[F8, C16]:
        """Return every source's power [MW] and the complex power into every bus [pu].

        Imports are shared out so that they meet demand and the last losses; the slack gives its
        share and what is left over. Reactive power of sources is not in.
        """
        network, base = self.network, self.network.base_mva
        source_mw = np.zeros(len(network.sources.bus))
        source_mw[self._plants] = plant_mw
        source_mw[self._pumped] = pumped_mw
        share, fixed = self._share, self._fixed_pu
        dead = self._whole("dead")
        if dead.any():
            lost = dead == 1
            unsupplied = lost[network.busbars.bus]
            demand_mw = np.where(unsupplied, 0.0, demand_mw)
            demand_mvar = np.where(unsupplied, 0.0, demand_mvar)
            source_mw[lost[network.sources.bus]] = 0.0
            share = np.where(lost[network.sources.bus[self._infeeds]], 0.0, share)
            share = share / share.sum()
            fixed = np.where(lost, 0.0, fixed)
        needed = float(demand_mw.sum()) + float(self.state["losses_mw"][0])
        needed -= float(fixed.real.sum()) * base
        source_mw[self._infeeds] = (needed - float(source_mw.sum())) * share
        power = fixed.copy()
        power[network.busbars.bus] -= (demand_mw + 1j * demand_mvar) / base
        np.add.at(power, network.sources.bus[self._others], source_mw[self._others] / base)
        if not np.isfinite(power).all():
            raise ValueError("a demand or a plant's power is not finite")
        return source_mw, power

    def reactive_limits(self, source_mw: F8) -> tuple[F8, F8]:
        """Return lower and upper reactive limits of the regulated buses [pu]."""
        sources, at = self.network.sources, self.flow.source_regulated
        own = at >= 0
        size = np.abs(source_mw[own])
        base, n = self.network.base_mva, len(self.flow.regulated)
        low = sources.q_min_mvar[own] + sources.q_min_per_p[own] * size
        high = sources.q_max_mvar[own] + sources.q_max_per_p[own] * size
        q_min = np.bincount(at[own], low, n) / base
        q_max = np.bincount(at[own], high, n) / base
        return q_min, q_max

    def solve(
        self, demand_mw: F8, demand_mvar: F8, plant_mw: F8, pumped_mw: float
    ) -> tuple[Solution, F8, C16]:
        """Solve at the present positions without keeping anything.

        Returns the solution, every source's scheduled power [MW] and the injections [pu].
        """
        source_mw, power = self.injections(demand_mw, demand_mvar, plant_mw, pumped_mw)
        q_min, q_max = self.reactive_limits(source_mw)
        self.write_positions()
        solution = self.flow.solve(power, self.v, self.reactive_mode, q_min, q_max)
        if not solution.converged:
            # once more from the network's own start: the last solution may lie too far away
            start = self.network.v_start
            again = self.flow.solve(power, start, self.reactive_mode, q_min, q_max)
            if again.converged:
                return again, source_mw, power
        return solution, source_mw, power

    def write_positions(self) -> None:
        """Write present taps, steps and lost branches into the load flow."""
        out = self.branches_out
        dead = np.flatnonzero(self._whole("dead"))
        self.flow.set_positions(self.tap_position, self.capacitor_step, out, dead)

    def settle_losses(
        self, demand_mw: F8, demand_mvar: F8, plant_mw: F8, pumped_mw: float, rounds: int = 2
    ) -> None:
        """Solve until the scheduled imports cover the losses; taps and capacitors stand still."""
        for _ in range(rounds):
            solution, source_mw, power = self.solve(demand_mw, demand_mvar, plant_mw, pumped_mw)
            if solution.converged:
                self._keep(solution, source_mw, power)

    def take(self, state: Table) -> None:
        """Take positions, voltages and losses of an operation of the same buses and branches."""
        for name in ("v_real", "v_imag", "tap", "capacitor", "losses_mw", "out_of_service", "dead"):
            self.state[name] = state[name]

    def _keep(self, solution: Solution, source_mw: F8, power: C16) -> None:
        """Put a solution into the state."""
        state, base = self.state, self.network.base_mva
        state["v_real"] = solution.v.real
        state["v_imag"] = solution.v.imag
        self.reactive_mode[:] = solution.mode
        state["losses_mw"] = float(solution.power.real.sum()) * base
        bus = self.network.sources.bus[self._slacks]
        scheduled = source_mw[self._slacks]
        given = (solution.power.real[bus] - power.real[bus]) * base
        state["slack_mw"] = float((given - scheduled).sum())
        source_mw[self._slacks] = given
        state["source_mw"] = source_mw

    def _regulate(self, now_ms: int, v: C16) -> tuple[int, int]:
        vm = np.abs(v)
        taps, banks = self.network.taps, self.network.capacitors
        vm[self._whole("dead") == 1] = np.nan  # compares as neither low nor high: nothing moves
        q_group = np.zeros(len(taps.bus))
        flow = self.flow
        kernel.group_reactive(flow.pattern.tapped, flow.ends, flow.y, v, q_group)
        q_group *= self.network.base_mva
        drawn = np.append(q_group, 0.0)[banks.group]  # group -1 sees 0
        measured = np.vstack([vm[banks.bus], drawn])
        moved = kernel.regulate_taps(
            now_ms, vm[taps.bus], self._tap_rule, self._tap_span, self._whole("tap")
        )
        switched = kernel.regulate_capacitors(
            now_ms, measured, self._bank_rule, self._bank_span, self._whole("capacitor")
        )
        return int(moved), int(switched)

    def _snapshot(
        self,
        now_ms: int,
        solution: Solution,
        moves: tuple[int, int],
        divergence: Divergence | None,
    ) -> GridSnapshot:
        source_mw = self.state["source_mw"].copy()
        v, infeed = solution.v, source_mw[self._infeeds]
        vm = np.abs(v)
        plant = source_mw[self._plants]
        pumped = float(source_mw[self._pumped].sum())
        load = float(infeed.sum()) + float(plant.sum()) + pumped
        return GridSnapshot(
            now_ms=now_ms,
            vm_pu=vm,
            va_rad=np.angle(v),
            loading_pct=self.flow.loading_pct(v),
            infeed_mw=infeed,
            slack_mw=float(self.state["slack_mw"][0]),
            plant_mw=plant,
            pumped_mw=pumped,
            losses_mw=float(self.state["losses_mw"][0]),
            load_mw=load,
            tap_moves=moves[0],
            capacitor_moves=moves[1],
            converged=solution.converged,
            divergence=divergence,
        )
