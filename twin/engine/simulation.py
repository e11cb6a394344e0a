"""The simulation: simpy wakes, a table decides, arrays move.

At each moment at which anything happens the phases run in the order of `Phase`; between two
such moments the fleet steps in one stretch. The calendar is made anew at every call of `run`
from `now_ms` alone, so that a run can be saved, resumed and forked at any millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.kind import Kind
from twin.assets.manners import FOREVER_MS
from twin.assets.site import Sites
from twin.assets.terminal import Terminal
from twin.clock import SECOND_MS
from twin.engine.busbars import busbar_values
from twin.engine.calendar import Calendar, beats
from twin.engine.chain import Chain
from twin.engine.injection import Replaced, injections, means_kw, meter_kw
from twin.engine.telemetry import Channel, copy_channels
from twin.engine.timeline import (
    BranchOutage,
    ContactLoss,
    Entry,
    MannerChange,
    Phase,
    in_force,
    news_of,
)
from twin.engine.world import World
from twin.engine.writing import deliver, setpoints_at
from twin.grid import GridOperation, GridSnapshot
from twin.record.exchange import Logic, Reading, Reports, SetPoint
from twin.record.orders import News
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


class Simulation:
    """One run in progress.

    Parameters
    ----------
    world : the constants
    kinds : the fleet by kind name (with ``terminal`` where there are terminals)
    sites : the customer accounts
    grid : network in operation, or None to leave the load flow out (calibration)
    channels : telemetry by kind, `PSEUDO_KINDS` included
    logic : the logic under test, started, or None
    recorder : writes the history, or None
    chain : spread of cuts along the supply graph, or None
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
        chain: Chain | None = None,
    ) -> None:
        self.world = world
        self.kinds = dict(kinds)
        self.sites = sites
        self.grid = grid
        self.channels = dict(channels)
        self.logic = logic
        self.recorder = recorder
        self.chain = chain
        self.now_ms = world.start_ms
        self.timeline = world.timeline
        self.snapshot: GridSnapshot | None = None
        self.injections: dict[str, NDArray[np.float64]] = {}
        # Set from outside before a grid period ends, as measured on a bench; a fork goes on with
        # the twin's own power.
        self.replaced: Replaced = {}
        # Timeline entries done, set-points numbered, timeline entries told to the logic; writes
        # on the timeline are none of the first: a live run and its replay count alike.
        self.counters = Table((), 0, {"done": np.zeros(3, np.int64)})
        # The unfinished grid period, and what the grid's meters showed in the last finished one.
        station = world.inventory.kinds.get("busbar")
        shape = (0, 0) if station is None else (len(station.points), station.n)
        last = {"load_mw": np.full(1, np.nan), "busbar": np.full(shape, np.nan)}
        self.period = Table((), 0, {"seconds": np.zeros(1, np.int64), **last})

    @property
    def timeline(self) -> tuple[Entry, ...]:
        """What happens from outside: entries by time, then writes by time."""
        return (*self._events, *self._writes)

    @timeline.setter
    def timeline(self, entries: Sequence[Entry]) -> None:
        self._events = tuple(e for e in entries if e.phase != Phase.SET_POINT)
        self._writes = tuple(e for e in entries if e.phase == Phase.SET_POINT)

    def begin(self, now_ms: int) -> None:
        """Set the fleet to a plausible state at `now_ms`, before anything has run."""
        self.now_ms = now_ms
        env = self.world.environment(now_ms)
        for kind in self.kinds.values():
            kind.warm(env)
            kind.state["clock_ms"] = now_ms

    # -- the loop ----------------------------------------------------------------------------

    def run(self, until_ms: int) -> None:
        """Advance to `until_ms` and stop before the first phase of that moment."""
        if self.now_ms >= until_ms:
            return
        undone = self._events[int(self.counters["done"][0]) :]
        rhythm = beats(self.world, control=self.logic is not None)
        calendar = Calendar(self.now_ms, rhythm, undone, self._writes)
        while self.now_ms < until_ms:
            self._fall_back()
            for phase in calendar.due(self.now_ms):
                self._perform(phase)
            self._stretch(min(calendar.next_ms(), until_ms, self._next_fall_back_ms()))

    def _perform(self, phase: Phase) -> None:
        if phase is Phase.DISTURB:
            self._disturb()
        elif phase is Phase.CONTROL and self.logic is not None:
            self._control(self.logic)
        elif phase is Phase.SET_POINT:
            self._apply(setpoints_at(self._writes, self.now_ms))
        elif phase is Phase.MINUTE:
            self._minute()

    def _stretch(self, until_ms: int) -> None:
        """Step the fleet to `until_ms`, then flow and snapshot where a period ends."""
        env = self.world.environment(self.now_ms)
        seconds = (until_ms - self.now_ms) // SECOND_MS
        for kind in self.kinds.values():
            kind.step(self.now_ms, seconds, env)
            kind.state["clock_ms"] = until_ms
        self.period["seconds"][0] += seconds
        self.now_ms = until_ms
        if until_ms % self.world.grid_period_ms == 0:
            self._flow(env)

    def _fall_back(self) -> None:
        """End the commands whose own timers have run out, before anything else of the moment."""
        for kind in self.kinds.values():
            if kind.next_fall_back_ms() <= self.now_ms:
                kind.fall_back(self.now_ms)

    def _next_fall_back_ms(self) -> int:
        soon = min((kind.next_fall_back_ms() for kind in self.kinds.values()), default=FOREVER_MS)
        return max(soon, self.now_ms + SECOND_MS)

    # -- the phases --------------------------------------------------------------------------

    def _disturb(self) -> None:
        changed = set()
        for entry in self._events[int(self.counters["done"][0]) :]:
            if entry.now_ms > self.now_ms:
                break
            self.counters["done"][0] += 1
            what = entry.what
            if isinstance(what, MannerChange):
                changed.add(what.kind)
            elif isinstance(what, ContactLoss):
                channel = self.channels[what.kind]
                rows = what.rows(len(channel.answers), self.world.seed)
                channel.state["contact"][rows] = 1 if what.restored else 0
            elif isinstance(what, BranchOutage) and self.grid is not None:
                self.grid.switch_branch(what.branch, in_service=what.restored)
        for name in sorted(changed):
            self._behave(name)

    def _behave(self, name: str) -> None:
        """Tell the devices of a kind, and their sensors, the manners that are in force."""
        done, channel = self._events[: int(self.counters["done"][0])], self.channels[name]
        maps = self.world.maps.get(name)
        n, seed = len(channel.answers), self.world.seed
        active = [(c.manner, c.rows_of(n, seed, maps)) for c in in_force(done, name)]
        if name in self.kinds:
            self.kinds[name].behave(active, self.now_ms)
        channel.behave(active, self.true_points(name), self.now_ms)

    def _control(self, logic: Logic) -> None:
        readings = self.readings(logic.plan(self.now_ms))
        actions = logic.digest(self.now_ms, readings, self._notices())
        if self.recorder is not None:
            self.recorder.believe(self, actions.reports)
        self._apply(actions.setpoints)

    def _notices(self) -> Sequence[News]:
        done, told = int(self.counters["done"][0]), int(self.counters["done"][2])
        self.counters["done"][2] = done
        return news_of(self._events[told:done])

    def readings(self, names: Sequence[str]) -> dict[str, Reading]:
        """Return readings of the kinds named, taken from the last finished tick."""
        return {
            name: self.channels[name].sample(self.true_points(name), self.now_ms)
            for name in names
            if name in self.channels
        }

    def true_points(self, name: str) -> NDArray[np.float64]:
        """Return float64[points, n], what the devices of a kind say: the truth, but for echoes.

        Points that say what is commanded come late where that is a device's manner.
        """
        if name == "busbar":
            return self.period["busbar"].copy()
        if name == "meter":
            return self.sites.state["demand_kw"][None, :].copy()
        if name == "city":
            return self.world.city_points(self.now_ms, float(self.period["load_mw"][0]))
        kind = self.kinds[name]
        out = np.empty((len(kind.points), kind.n))
        kind.read(out)
        kind.lag(out)
        return out

    def write(self, setpoints: Sequence[SetPoint]) -> None:
        """Apply set-points from outside now, between two calls of `run`.

        They come after the timeline's entries of this moment and before its minute begins, as
        `timeline` entries in `Phase.SET_POINT` do: the command log replays to the same bits.
        A digest of this very moment, where the run has a logic of its own, comes later.
        """
        self._fall_back()
        self._disturb()
        self._apply(setpoints)

    def _apply(self, setpoints: Sequence[SetPoint]) -> None:
        for write in setpoints:
            if len(write.rows) == 0:
                continue  # leaves no line in the log, so it takes no number either
            kind, reached = self.kinds[write.kind], self.channels[write.kind].reachable()
            point, outcome = deliver(write, kind, reached, self.now_ms)
            if self.recorder is not None:
                number = int(self.counters["done"][1])
                self.recorder.wrote(self.now_ms, write, point, outcome, number)
            self.counters["done"][1] += 1
        if any(write.kind == "terminal" for write in setpoints):
            terminal = self.kinds["terminal"]
            self.sites.switch(self.kinds, terminal if isinstance(terminal, Terminal) else None)
            if self.chain is not None:
                self.chain.touch(self.now_ms)

    def _minute(self) -> None:
        env = self.world.environment(self.now_ms)
        terminal = self.kinds.get("terminal")
        rigid = terminal if isinstance(terminal, Terminal) else None
        curve = self.world.demand.curve_at(self.now_ms, env.occupancy)
        noise = self.sites.noise(self.now_ms)
        uplift = self.world.uplift_at(self.now_ms)
        noise = noise if uplift is None else noise * uplift
        self.sites.switch(self.kinds, rigid)
        drawn = None
        if self.chain is not None:
            self.chain.minute(self.now_ms, rigid, self.sites.terminal_site)
            drawn = self.chain.state["drawn"]
        self.sites.minute(env, curve, noise, rigid, drawn)
        self.sites.bound(self.kinds)
        for kind in self.kinds.values():
            kind.minute(env)
            kind.note(self.now_ms)

    def _flow(self, env: Environment) -> None:
        seconds = int(self.period["seconds"][0])
        self.period["seconds"][0] = 0
        sites, world = self.sites, self.world
        means = means_kw(self.kinds, seconds, self.replaced)
        meter, inverter = meter_kw(sites, means)
        sites.state["demand_kw"] = meter
        background = world.demand.background_kw(env.now_ms, env.occupancy)
        start_ms = self.now_ms - seconds * SECOND_MS
        if self.grid is not None:
            self.injections = injections(world, sites, (meter, inverter), background, start_ms)
            self.snapshot = self.grid.step(
                start_ms,
                float(seconds),
                self.injections["demand_mw"],
                self.injections["demand_mvar"],
                self.injections["plant_mw"],
                float(self.injections["pumped_mw"]),
            )
            self.period["load_mw"] = self.snapshot.load_mw
            if self.period["busbar"].size > 0:
                self.period["busbar"] = busbar_values(
                    self.grid.network,
                    self.snapshot,
                    self.injections["demand_mw"],
                    self.injections["demand_mvar"],
                )
        ended = {name: kind.drain() for name, kind in self.kinds.items()}
        if self.recorder is not None:
            self.recorder.period(self, Period(start_ms, seconds, means, background, ended, env))
        for kind in self.kinds.values():
            kind.state["energy_kws"] = 0.0

    # -- state ---------------------------------------------------------------------------------

    def tables(self) -> dict[str, Table]:
        """Return every table that evolves, by name."""
        held = {f"kind.{k}": kind.state for k, kind in self.kinds.items()}
        held |= {f"channel.{k}": channel.state for k, channel in self.channels.items()}
        held |= {"sites": self.sites.state, "counters": self.counters, "period": self.period}
        if self.grid is not None:
            held["grid"] = self.grid.state
        if self.chain is not None:
            held["chain"] = self.chain.state
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
            None if self.chain is None else self.chain.fork(),
        )
        if logic is not None and self.logic is not None:
            logic.load(self.logic.save())
        other.now_ms = self.now_ms
        done = int(self.counters["done"][0])
        other.timeline = (*self._events[:done], *sorted((*self.timeline[done:], *extra)))
        other.snapshot = self.snapshot
        other.injections = self.injections
        other.counters = self.counters.copy()
        other.period = self.period.copy()
        return other
