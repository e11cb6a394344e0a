"""Fills the history while a simulation runs."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.kind import Kind
from twin.assets.terminal import Terminal
from twin.clock import MINUTE_MS
from twin.engine.emissions import EMISSION_SCALARS, FACTOR_TABLE, EmissionRecord
from twin.engine.simulation import Period, Simulation
from twin.engine.telemetry import NEVER_MS
from twin.engine.world import World
from twin.grid import Limits, Network, violations
from twin.record.alarms import AlarmWatch
from twin.record.exchange import Inventory, Reports, SetPoint
from twin.record.fleet_states import device_state
from twin.record.history import REPORT, History, Incident
from twin.record.monitor import DEVICE_KINDS, SOC_KINDS, TrueFleet
from twin.record.table import Table

LEVELS = (10, 110, 220, 500)  # kV
STATES_MS = 15 * MINUTE_MS  # between two looks at the true state of every device
SCALARS = (
    "load_mw", "demand_mw", "losses_mw", "import_mw", "plant_mw", "pumped_mw", "temperature_c",
    "aircon_modelled_mw", "aircon_background_mw", "security_cut_kw", "violations_bus",
    "violations_branch", "max_loading_pct", "tap_moves", "capacitor_moves", "converged",
    "tariff_period", "out_of_contact", *EMISSION_SCALARS,
    "chain_direct_cny", "chain_downstream_cny", "chain_stopped",
    *(f"v{level}_{end}" for level in LEVELS for end in ("min", "max")),
    *(f"loading_{level}_max" for level in (110, 220, 500)),
)  # fmt: skip


def history_tables(world: World, kinds: Mapping[str, Kind]) -> dict[str, tuple[int, str]]:
    """Return width and dtype of every table of a run's history."""
    sites, districts = world.inventory.sites.n, len(world.inventory.districts)
    tables = {
        "site.demand_kw": (sites, "f4"),
        "site.interrupted": (sites, "u1"),
        "district.load_mw": (districts, "f8"),
        FACTOR_TABLE: (districts, "f8"),
        "kind.power_mw": (len(DEVICE_KINDS), "f8"),
        "kind.enrolled_power_mw": (len(DEVICE_KINDS), "f8"),
    }
    for name, kind in kinds.items():
        for row in kind.truth:
            tables[f"{name}.{row}"] = (kind.n, "f4")
    return tables


class Recorder:
    """Writes one history; forks with its run.

    Sums over the minute are kept here while the grid period is shorter than a minute.
    """

    def __init__(self, history: History, inventory: Inventory, network: Network) -> None:
        self.history = history
        self.limits = Limits(network)
        level = network.branches.kv
        self.branch_level = {k: np.flatnonzero(np.isclose(level, k)) for k in (110, 220, 500)}
        self.watch: AlarmWatch | None = AlarmWatch(inventory)
        self.emissions = EmissionRecord(network, len(inventory.districts))
        self.peak_grid: Table | None = None  # the network's state in the minute of `peak`
        self.seconds = 0
        self.site_kws: NDArray[np.float64] = np.zeros(inventory.sites.n)

    def fork(self) -> Recorder:
        """Return a recorder on a forked history."""
        other = copy.copy(self)
        other.history = self.history.fork()
        other.watch = None if self.watch is None else self.watch.copy()
        other.emissions = self.emissions.fork()
        other.site_kws = self.site_kws.copy()
        return other

    def stop_supervision(self) -> None:
        """Compare belief with truth no longer: supervision is judged on the final run only."""
        self.watch = None
        self.history.monitor = None

    def believe(self, run: Simulation, reports: Reports) -> None:
        """Keep what the logic reports, and compare it with the truth of this moment."""
        self.believe_of(true_fleet(run, self.watch), reports)

    def believe_of(self, truth: TrueFleet, reports: Reports) -> None:
        """Keep what the logic reports of the moment of `truth`, and compare the two."""
        history = self.history
        if history.filled < history.minutes:
            for name, value in reports.figures.items():
                history.put_figure(name, value)
        history.alarms.extend(reports.alarms)
        history.settlement.extend(reports.settlement)
        for name, columns in reports.tables.items():
            history.add_events(f"{REPORT}{name}", dict(columns))
        tally = history.monitor
        if tally is None:
            return
        for report in reports.fleet:
            tally.believe(truth.now_ms, report)
        tally.add(truth.now_ms, truth.power_kw, truth.soc, truth.energy_today_kwh, truth.state)

    def wrote(
        self,
        now_ms: int,
        write: SetPoint,
        point: int,
        outcome: NDArray[np.uint8],
        number: int,
    ) -> None:
        """Keep one write in the command log."""
        n = len(outcome)
        self.history.add_events(
            "commands",
            {
                "now_ms": np.full(n, now_ms, np.int64),
                "number": np.full(n, number, np.int64),
                "kind": np.full(n, DEVICE_KINDS.index(write.kind), np.uint8),
                "point": np.full(n, point, np.uint8),
                "row": np.asarray(write.rows, np.int32),
                "value": np.asarray(write.values, np.float64),
                "outcome": outcome,
            },
        )

    def period(self, run: Simulation, period: Period) -> None:
        """Take one grid period; close the minute where it ends."""
        self.seconds += period.seconds
        self.site_kws += run.sites.state["demand_kw"] * period.seconds
        if self.history.quarters is not None:
            for name, mean_kw in period.mean_kw.items():
                self.history.quarters.add(period.start_ms, name, mean_kw, period.seconds)
        for name, ended in period.ended.items():
            if len(ended.get("now_ms", ())) > 0:
                self.history.add_events(f"{name}.sessions", dict(ended))
        if run.now_ms % MINUTE_MS == 0:
            self._close(run, period)

    def _close(self, run: Simulation, period: Period) -> None:
        history, sites = self.history, run.sites
        meter_kw = self.site_kws / self.seconds
        self.site_kws[:] = 0.0
        self.seconds = 0
        if history.filled >= history.minutes:
            return
        history.row("site.demand_kw")[:] = meter_kw
        rigid = run.kinds.get("terminal")
        terminal = rigid if isinstance(rigid, Terminal) else None
        history.row("site.interrupted")[:] = sites.open_circuits(terminal)
        power, enrolled = history.row("kind.power_mw"), history.row("kind.enrolled_power_mw")
        for i, name in enumerate(DEVICE_KINDS):
            if name in period.mean_kw:
                flag = run.kinds[name].registered.flag("enrolled")
                power[i] = period.mean_kw[name].sum() / 1_000.0
                enrolled[i] = period.mean_kw[name][flag].sum() / 1_000.0
        for name, kind in run.kinds.items():
            for row in kind.truth:
                history.row(f"{name}.{row}")[:] = kind.state[row]
        demand = run.world.demand
        by_district = np.bincount(
            sites.district, weights=meter_kw, minlength=len(run.world.inventory.districts)
        )
        by_district += np.bincount(
            demand.busbar_district, weights=period.background_kw, minlength=len(by_district)
        )
        history.row("district.load_mw")[:] = by_district / 1_000.0
        modelled = -sum(
            float(period.mean_kw[k].sum()) for k in ("aircon", "icestore") if k in period.mean_kw
        )
        history.put_scalars(
            {
                "demand_mw": by_district.sum() / 1_000.0,
                "temperature_c": period.env.temperature_c,
                "aircon_modelled_mw": modelled / 1_000.0,
                "aircon_background_mw": self._aircon_background_kw(run, period.env) / 1_000.0,
                "security_cut_kw": 0.0 if terminal is None else terminal.security_cut_kw(),
                "tariff_period": period.env.tariff_period,
                "out_of_contact": _out_of_contact(run),
            }
        )
        self._grid(run, period.env)
        self.emissions.minute(run, history)
        self._watch(run)
        if run.chain is not None:
            history.put_scalars(run.chain.figures(sites.state["nominal_kw"]))
            stops = run.chain.drain(run.now_ms)
            if len(stops) > 0:
                history.add_events("chain.stops", stops)
        self._peak(run, meter_kw, terminal)
        history.close_minute()

    @staticmethod
    def _aircon_background_kw(run: Simulation, env: Environment) -> float:
        return float(run.world.demand.aircon_at(env.now_ms).sum())

    def _grid(self, run: Simulation, env: Environment) -> None:
        flow, history = run.snapshot, self.history
        if flow is None:
            return
        found = violations(flow, self.limits)
        values = {
            "load_mw": flow.load_mw,
            "losses_mw": flow.losses_mw,
            "import_mw": float(flow.infeed_mw.sum()),
            "plant_mw": float(flow.plant_mw.sum()),
            "pumped_mw": flow.pumped_mw,
            "violations_bus": found.buses,
            "violations_branch": found.branches,
            "max_loading_pct": found.max_loading_pct,
            "tap_moves": flow.tap_moves,
            "capacitor_moves": flow.capacitor_moves,
            "converged": float(flow.converged),
        }
        for level, low, high in zip(self.limits.kv, found.low_pu, found.high_pu, strict=True):
            if int(level) in LEVELS:
                values[f"v{int(level)}_min"] = float(low)
                values[f"v{int(level)}_max"] = float(high)
        loading = flow.loading_pct
        for level, rows in self.branch_level.items():
            if len(rows) > 0:
                values[f"loading_{level}_max"] = float(loading[rows].max())
        history.put_scalars(values)
        if flow.divergence is not None:
            fault = flow.divergence
            text = (
                f"load flow without a solution, mismatch {fault.mismatch_mw:.1f} MVA at bus "
                f"{fault.worst_bus}"
            )
            history.incidents.append(Incident(env.now_ms, "divergence", text))

    def _watch(self, run: Simulation) -> None:
        """Watch for what is truly an alarm."""
        if self.watch is None:
            return
        states: dict[str, dict[str, NDArray[np.generic]]] = {
            name: {"contact": channel.reachable()}
            for name, channel in run.channels.items()
            if name in run.kinds
        }
        states["meter"] = {"demand_kw": run.sites.state["demand_kw"]}
        watched = ("soc", "temperature_c", "status", "power_kw", "setpoint_kw", "remote")
        for name in SOC_KINDS:
            if name in run.kinds:
                shown = _points(run, name)
                states[name] |= {point: shown[point] for point in watched}
        self.history.true_alarms.extend(self.watch.look(run.now_ms, states))

    def _peak(
        self, run: Simulation, meter_kw: NDArray[np.float64], terminal: Terminal | None
    ) -> None:
        """Keep per-site arrays of the minute with the highest load so far."""
        if run.snapshot is None:
            return
        history, sites, load = self.history, run.sites, run.snapshot.load_mw
        before = history.peak.get("load_mw")
        if before is not None and not load > before[0]:
            return
        circuit, enrolled = np.zeros(sites.n), np.zeros(sites.n)
        answered = np.full(sites.n, NEVER_MS, np.int64)
        if terminal is not None:
            has = sites.terminal_row >= 0
            circuit = sites.circuit_host_kw(terminal)
            circuit += np.where(has, sites.behind_circuits(run.kinds, enrolled_only=False), 0.0)
            enrolled = np.where(has, sites.behind_circuits(run.kinds, enrolled_only=True), 0.0)
            answered[sites.device_site["terminal"]] = run.channels["terminal"].state["time_ms"]
        if run.grid is not None:
            self.peak_grid = run.grid.state.copy()
        history.peak = {
            **{f"grid.{name}": values for name, values in run.injections.items()},
            "load_mw": np.array([load]),
            "index": np.array([history.filled]),
            "site.demand_kw": meter_kw.copy(),
            "site.circuit_kw": circuit,
            "site.circuit_enrolled_kw": enrolled,
            "site.security_kw": sites.columns.f8("security_share") * sites.state["host_kw"],
            "terminal.answered_ms": answered,
        }


def _out_of_contact(run: Simulation) -> float:
    """Return the number of enrolled devices that have lost contact."""
    lost = 0
    for name, kind in run.kinds.items():
        if name != "terminal":
            away = run.channels[name].state["contact"] != 1
            lost += int((away & kind.registered.flag("enrolled")).sum())
    return float(lost)


def _points(run: Simulation, kind: str) -> dict[str, NDArray[np.float64]]:
    """Return the true value of every point of a kind by name."""
    fleet = run.kinds[kind]
    values = np.empty((len(fleet.points), fleet.n))
    fleet.read(values)  # not what devices say: that may come late
    return {point.name: values[i] for i, point in enumerate(fleet.points)}


def true_fleet(run: Simulation, watch: AlarmWatch | None = None) -> TrueFleet:
    """Return the truth that reports of this moment are compared with.

    States are looked at each quarter of an hour, where a `watch` knows who has been silent.
    """
    soc, energy = {}, {}
    for name in SOC_KINDS:
        if name in run.kinds:
            shown = _points(run, name)
            soc[name] = shown["soc"]
            energy[name] = shown["charged_today_kwh"] + shown["discharged_today_kwh"]
    power = {name: kind.power_kw.copy() for name, kind in run.kinds.items()}
    state = {}
    if watch is not None and run.now_ms % STATES_MS == 0:
        for name, kind in run.kinds.items():
            silent = watch.silent_periods(name)
            state[name] = device_state(name, _points(run, name), kind.rated_kw, silent)
    return TrueFleet(run.now_ms, power, soc, energy, state)
