"""The simulation: simpy wakes, a table decides, arrays move.

At each moment at which anything happens the phases run in the order of `Phase`; between two
such moments the fleet steps in one stretch. Processes are made anew at every call of `run`
from `now_ms` alone, so that a run can be saved, resumed and forked at any millisecond.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import simpy
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.kind import Kind
from twin.assets.site import Sites
from twin.assets.terminal import Terminal
from twin.clock import MINUTE_MS, SECOND_MS, minute_of_day
from twin.engine.telemetry import Channel, copy_channels
from twin.engine.timeline import BranchOutage, ContactLoss, Entry, Phase
from twin.engine.world import POWER_FACTOR_TAN, World
from twin.grid import GridOperation, GridSnapshot
from twin.record.exchange import Actions, Logic, Outcome, Reading, Reports, SetPoint
from twin.record.orders import Notice
from twin.record.table import Table


@dataclass(frozen=True, slots=True)
class Period:
    """A finished grid period, as a sink gets it.

    Attributes
    ----------
    start_ms, seconds : its begin and length
    mean_kw : by kind each device's mean power, positive into the grid
    background_kw : float64[busbars]  demand that stands at no site
    ended : by kind what ended meanwhile (charging sessions, ...), by column
    env : the world outside
    """

    start_ms: int
    seconds: int
    mean_kw: Mapping[str, NDArray[np.float64]]
    background_kw: NDArray[np.float64]
    ended: Mapping[str, Mapping[str, NDArray[np.generic]]]
    env: Environment


class Sink(Protocol):
    """What a simulation writes to."""

    def believe(self, run: Simulation, reports: Reports) -> None:
        """Take what the logic reports, at the moment at which it does."""
        ...

    def wrote(
        self, now_ms: int, write: SetPoint, point: int, outcome: NDArray[np.uint8], number: int
    ) -> None:
        """Take one write and what became of it at each device."""
        ...

    def period(self, run: Simulation, period: Period) -> None:
        """Take a finished grid period."""
        ...

    def fork(self) -> Sink:
        """Return a sink for a forked run."""
        ...


GENERATING = ("solar", "storage")  # inverters at unity power factor


class Simulation:
    """One run in progress.

    Parameters
    ----------
    world : the constants
    kinds : the fleet by kind name (with ``terminal`` where there are terminals)
    sites : the customer accounts
    grid : network in operation, or None to leave the load flow out (calibration)
    channels : telemetry by kind, with the pseudo kinds ``meter`` and ``city``
    logic : the logic under test, started, or None
    recorder : writes the history, or None
    """

    def __init__(
        self,
        world: World,
        kinds: Mapping[str, Kind],
        sites: Sites,
        grid: GridOperation | None,
        channels: Mapping[str, Channel],
        logic: Logic | None,
        recorder: Sink | None,
    ) -> None:
        self.world = world
        self.kinds = dict(kinds)
        self.sites = sites
        self.grid = grid
        self.channels = dict(channels)
        self.logic = logic
        self.recorder = recorder
        self.now_ms = world.start_ms
        self.timeline: tuple[Entry, ...] = world.timeline
        self.snapshot: GridSnapshot | None = None
        self.injections: dict[str, NDArray[np.float64]] = {}
        # Timeline entries done, set-point writes numbered, timeline entries told to the logic.
        self.counters = Table((), 0, {"done": np.zeros(3, np.int64)})
        # The unfinished grid period, and what the infeed meters showed in the last finished one.
        last = {"seconds": np.zeros(1, np.int64), "load_mw": np.full(1, np.nan)}
        self.period = Table((), 0, last)

    def begin(self, now_ms: int) -> None:
        """Set the fleet to a plausible state at `now_ms`, before anything has run."""
        self.now_ms = now_ms
        env = self._environment(now_ms)
        for kind in self.kinds.values():
            kind.warm(env)

    # -- the loop ----------------------------------------------------------------------------

    def run(self, until_ms: int) -> None:
        """Advance to `until_ms` and stop before the first phase of that moment."""
        if self.now_ms >= until_ms:
            return
        calendar = simpy.Environment(initial_time=self.now_ms)
        agenda: list[Phase] = []
        for period_ms, phase in self._beats():
            calendar.process(_beat(calendar, agenda, period_ms, phase))
        calendar.process(self._alarm_clock(calendar, agenda))
        while self.now_ms < until_ms:
            while calendar.peek() <= self.now_ms:
                calendar.step()
            for phase in sorted(set(agenda)):
                self._perform(phase)
            agenda.clear()
            self._stretch(int(min(calendar.peek(), until_ms)))

    def _beats(self) -> tuple[tuple[int, Phase], ...]:
        world = self.world
        beats = [(MINUTE_MS, Phase.MINUTE), (world.grid_period_ms, Phase.STEP)]
        if world.tick_ms < world.grid_period_ms:
            beats.append((world.tick_ms, Phase.STEP))
        if self.logic is not None:
            beats.append((world.control_period_ms, Phase.CONTROL))
        return tuple(beats)

    def _alarm_clock(
        self, calendar: simpy.Environment, agenda: list[Phase]
    ) -> Generator[simpy.Event, Any, None]:
        for entry in self.timeline[int(self.counters["done"][0]) :]:
            yield calendar.timeout(max(entry.now_ms - calendar.now, 0))
            agenda.append(Phase.DISTURB)
            if isinstance(entry.what, Notice):
                agenda.append(Phase.CONTROL)

    def _perform(self, phase: Phase) -> None:
        if phase is Phase.DISTURB:
            self._disturb()
        elif phase is Phase.CONTROL and self.logic is not None:
            self._control(self.logic)
        elif phase is Phase.MINUTE:
            self._minute()

    def _stretch(self, until_ms: int) -> None:
        """Step the fleet to `until_ms`, then flow and snapshot where a period ends."""
        env = self._environment(self.now_ms)
        seconds = (until_ms - self.now_ms) // SECOND_MS
        for kind in self.kinds.values():
            kind.step(self.now_ms, seconds, env)
        self.period["seconds"][0] += seconds
        self.now_ms = until_ms
        if until_ms % self.world.grid_period_ms == 0:
            self._flow(env)

    # -- the phases --------------------------------------------------------------------------

    def _disturb(self) -> None:
        for entry in self.timeline[int(self.counters["done"][0]) :]:
            if entry.now_ms > self.now_ms:
                break
            self.counters["done"][0] += 1
            what = entry.what
            if isinstance(what, ContactLoss):
                channel = self.channels[what.kind]
                rows = what.rows(len(channel.answers), self.world.seed)
                channel.state["contact"][rows] = 1 if what.restored else 0
            elif isinstance(what, BranchOutage) and self.grid is not None:
                self.grid.switch_branch(what.branch, in_service=what.restored)

    def _control(self, logic: Logic) -> None:
        readings = self.readings(logic.plan(self.now_ms))
        actions = logic.digest(self.now_ms, readings, self._notices())
        if self.recorder is not None:
            self.recorder.believe(self, actions.reports)
        self._apply(actions)

    def _notices(self) -> Sequence[Notice]:
        done, told = int(self.counters["done"][0]), int(self.counters["done"][2])
        self.counters["done"][2] = done
        return [e.what for e in self.timeline[told:done] if isinstance(e.what, Notice)]

    def readings(self, names: Sequence[str]) -> dict[str, Reading]:
        """Return readings of the kinds named, taken from the last finished tick."""
        return {
            name: self.channels[name].sample(self.true_points(name), self.now_ms)
            for name in names
            if name in self.channels
        }

    def true_points(self, name: str) -> NDArray[np.float64]:
        """Return float64[points, n], the truth behind the readings of a kind."""
        if name == "meter":
            return self.sites.state["demand_kw"][None, :].copy()
        if name == "city":
            air = self.world.weather.at(self.now_ms).temperature_c
            load = self.period["load_mw"][0]
            pumped = self.world.pumped_mw[minute_of_day(self.now_ms)]
            return np.array([[load], [air], [pumped]])
        kind = self.kinds[name]
        out = np.empty((len(kind.points), kind.n))
        kind.read(out)
        return out

    def _apply(self, actions: Actions) -> None:
        for write in actions.setpoints:
            kind = self.kinds[write.kind]
            point = next(i for i, p in enumerate(kind.setpoints) if p.name == write.point)
            rows = np.asarray(write.rows, np.int64)
            values = np.asarray(write.values, np.float64)
            outcome = np.full(len(rows), Outcome.LOST, np.uint8)
            heard = self.channels[write.kind].reachable()[rows]
            outcome[heard] = kind.apply(point, rows[heard], values[heard], self.now_ms)
            if self.recorder is not None:
                number = int(self.counters["done"][1])
                self.recorder.wrote(self.now_ms, write, point, outcome, number)
            self.counters["done"][1] += 1
        if any(write.kind == "terminal" for write in actions.setpoints):
            terminal = self.kinds["terminal"]
            self.sites.switch(self.kinds, terminal if isinstance(terminal, Terminal) else None)

    def _minute(self) -> None:
        env = self._environment(self.now_ms)
        terminal = self.kinds.get("terminal")
        rigid = terminal if isinstance(terminal, Terminal) else None
        demand = self.world.demand
        people = np.array([1.0, env.occupancy, 1.0])[:, None]
        curve = (demand.free_at(self.now_ms) + demand.aircon_at(self.now_ms)) * people
        noise = self.sites.noise(self.now_ms)
        self.sites.switch(self.kinds, rigid)
        self.sites.minute(env, curve, noise, rigid)
        self.sites.bound(self.kinds)
        for kind in self.kinds.values():
            kind.minute(env)

    def _flow(self, env: Environment) -> None:
        seconds = int(self.period["seconds"][0])
        self.period["seconds"][0] = 0
        sites, world = self.sites, self.world
        means = {name: kind.state["energy_kws"] / seconds for name, kind in self.kinds.items()}
        host = sites.state["host_kw"].copy()
        if "terminal" in means:
            host[sites.device_site["terminal"]] = -means["terminal"]
        meter = host.copy()
        inverter = np.zeros(sites.n)
        for name, mean in means.items():
            if name == "terminal":
                continue
            at_site = sites.by_site(name, mean)
            meter -= at_site
            if name in GENERATING:
                inverter += at_site
        sites.state["demand_kw"] = meter
        background = self.background_kw(env)
        start_ms = self.now_ms - seconds * SECOND_MS
        if self.grid is not None:
            busbars = len(background)
            busbar = sites.columns.i8("busbar")
            demand_kw = np.bincount(busbar, weights=meter, minlength=busbars) + background
            rotating = np.bincount(busbar, weights=meter + inverter, minlength=busbars)
            reactive = POWER_FACTOR_TAN * np.maximum(rotating + background, 0.0)
            minute = minute_of_day(start_ms)
            self.injections = {
                "demand_mw": demand_kw / 1_000.0,
                "demand_mvar": reactive / 1_000.0,
                "plant_mw": world.plant_mw[minute],
                "pumped_mw": np.array(world.pumped_mw[minute]),
            }
            self.snapshot = self.grid.step(
                start_ms,
                float(seconds),
                self.injections["demand_mw"],
                self.injections["demand_mvar"],
                self.injections["plant_mw"],
                float(self.injections["pumped_mw"]),
            )
            self.period["load_mw"] = self.snapshot.load_mw
        ended = {name: kind.drain() for name, kind in self.kinds.items()}
        if self.recorder is not None:
            self.recorder.period(self, Period(start_ms, seconds, means, background, ended, env))
        for kind in self.kinds.values():
            kind.state["energy_kws"] = 0.0

    def background_kw(self, env: Environment) -> NDArray[np.float64]:
        """Return float64[busbars], demand that stands at no site, in the minute of `env`."""
        demand = self.world.demand
        people = np.array([1.0, env.occupancy, 1.0])[:, None]
        curve = (demand.free_at(env.now_ms) + demand.aircon_at(env.now_ms)) * people
        by_district = (curve * demand.rest_share).sum(axis=0)
        return np.asarray(by_district[demand.busbar_district] * demand.busbar_weight)

    def _environment(self, now_ms: int) -> Environment:
        world = self.world
        start_ms = now_ms - now_ms % MINUTE_MS
        air = world.weather.at(start_ms)
        minute = minute_of_day(start_ms)
        return Environment(
            now_ms=start_ms,
            temperature_c=air.temperature_c,
            wet_bulb_c=air.wet_bulb_c,
            ghi_w_m2=air.ghi_w_m2,
            dni_w_m2=air.dni_w_m2,
            dhi_w_m2=air.dhi_w_m2,
            zenith_deg=air.zenith_deg,
            azimuth_deg=air.azimuth_deg,
            cloud=air.cloud,
            occupancy=air.occupancy,
            workday=world.workday,
            tariff_period=int(world.tariff_day[minute]),
            tariff_day=world.tariff_day,
            price_cny_kwh=float(world.price_day[minute]),
            seed=world.seed,
        )

    # -- state ---------------------------------------------------------------------------------

    def tables(self) -> dict[str, Table]:
        """Return every table that evolves, by name."""
        held = {f"kind.{k}": kind.state for k, kind in self.kinds.items()}
        held |= {f"channel.{k}": channel.state for k, channel in self.channels.items()}
        held |= {"sites": self.sites.state, "counters": self.counters, "period": self.period}
        if self.grid is not None:
            held["grid"] = self.grid.state
        return held

    def digest(self) -> str:
        """Return a hash of all state, the logic's included."""
        parts = [f"{name}:{table.digest()}" for name, table in sorted(self.tables().items())]
        if self.logic is not None:
            parts.append(self.logic.save().hex())
        return f"{self.now_ms}|" + "|".join(parts)

    def fork(self, logic: Logic | None, extra: Sequence[Entry] = ()) -> Simulation:
        """Return a run that continues from here with its own state.

        Parameters
        ----------
        logic : a started logic that takes over this run's logic state, or None
        extra : timeline entries that only the fork knows
        """
        other = Simulation(
            self.world,
            {name: kind.fork() for name, kind in self.kinds.items()},
            self.sites.fork(),
            None if self.grid is None else self.grid.fork(),
            copy_channels(self.channels),
            logic,
            None if self.recorder is None else self.recorder.fork(),
        )
        if logic is not None and self.logic is not None:
            logic.load(self.logic.save())
        other.now_ms = self.now_ms
        other.timeline = tuple(sorted((*self.timeline, *extra)))
        other.snapshot = self.snapshot
        other.injections = self.injections
        other.counters = self.counters.copy()
        other.period = self.period.copy()
        return other


def _beat(
    calendar: simpy.Environment, agenda: list[Phase], period_ms: int, phase: Phase
) -> Generator[simpy.Event, Any, None]:
    """Wake at every multiple of `period_ms`, beginning now if now is one."""
    yield calendar.timeout(-int(calendar.now) % period_ms)
    while True:
        agenda.append(phase)
        yield calendar.timeout(period_ms)
