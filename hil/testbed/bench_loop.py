"""Real devices in a run: their power in the load flow, orders to them, their twins beside them.

::

    logic ──► emulated registers ──► twin device ─────► (its power is left aside)
                     ▲        └─ ÷ scale ─► envelope, journal ─► real device
                     └──── × scale ◄── registers ◄───────────────────┤
                    load flow ◄── × scale ◄── meter, else register ◄─┘

The twin of a real device runs on under the same set-points; what the logic reads is the real
one. When contact with it is lost the run goes on with the twin, from that tick to the end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hil.bench.errors import Forbidden
from hil.bench.gate import Permit
from hil.bench.guard import Guard
from hil.bench.guard_errors import GuardLost, GuardTripped
from hil.testbed.attendant import Attendant, Order
from hil.testbed.bench_power import Taken
from hil.testbed.difference import Track, grows
from hil.testbed.feed import Feed
from hil.testbed.field import Field
from twin.assets.kind import Kind
from twin.clock import SECOND_MS
from twin.engine.simulation import Simulation
from twin.errors import RunBroken
from twin.record.exchange import SERVICE_POINTS, Outcome, SetPoint
from twin.record.monitor import TrueFleet

__all__ = ["BenchLoop", "Lost", "Stand"]

Floats = NDArray[np.float64]
# The bench's own watch over a device (its lease) uses these; no logic may lengthen it.
OURS = tuple(name for name in SERVICE_POINTS if name != "release")


@dataclass(frozen=True, slots=True)
class Lost:
    """Contact with a real device ended: when, and why."""

    now_ms: int
    device: str
    why: str


@dataclass(slots=True)
class Stand:
    """A real device in the place of a twin's.

    Attributes
    ----------
    attendant : of the device
    kind, row : of the twin's device
    scale : rating of the twin's device over that of the real one
    path : where power for the load flow comes from: ``meter`` or ``register``
    grid_bus : of the network, to which its site belongs
    orders, tracks : what was ordered; by point of the kind what twin and device showed
    permit : raises Forbidden once the guard has taken the device; None: it is only read
    lost : contact with the device, None while there is
    silent_periods : in which the twin answered nobody
    refused : by register in how many periods the device refused to show it
    """

    attendant: Attendant
    kind: str
    row: int
    scale: float
    path: str
    grid_bus: int
    orders: list[Order] = dataclasses.field(default_factory=list)
    tracks: dict[str, Track] = dataclasses.field(default_factory=dict)
    permit: Permit | None = None
    lost: Lost | None = None
    period_kws: float = 0.0
    period_s: float = 0.0
    silent_periods: int = 0
    refused: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the device on the bench."""
        return self.attendant.device.name


class BenchLoop:
    """What happens at each tick for the devices on the bench.

    Parameters
    ----------
    stands : real devices
    period_ms, tick_ms : grid period and tick
    rate : simulated seconds a wall second
    feeds : grid sources, each with the stand at whose bus it is
    dry : devices are read only; the load flow keeps the twins' power
    stop_on_lost : a lost device ends the run
    guard : told at every tick that the run goes on; None: nothing is written

    Attributes
    ----------
    taken : what the load flow took, by grid period
    unsafe : which devices are not proven to be at their safe state after the run, empty: none
    """

    def __init__(
        self,
        stands: Sequence[Stand],
        period_ms: int,
        tick_ms: int,
        rate: float,
        *,
        feeds: Sequence[tuple[Feed, Stand]] = (),
        dry: bool = False,
        stop_on_lost: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self.stands, self.guard = list(stands), guard
        self.unsafe = ""
        self.taken = Taken()
        self.period_ms, self.tick_ms, self.rate = period_ms, tick_ms, rate
        self.feeds, self.dry, self.stop_on_lost = tuple(feeds), dry, stop_on_lost

    # -- orders --------------------------------------------------------------------------------

    def heard(self, run: Simulation, setpoints: Sequence[SetPoint]) -> None:
        """Pass on what is about to be written to the twins of real devices."""
        for setpoint in setpoints:
            for stand in self.stands:
                if setpoint.kind != stand.kind or setpoint.point in OURS:
                    continue
                place = np.flatnonzero(np.asarray(setpoint.rows) == stand.row)
                if len(place) > 0:
                    value = float(np.asarray(setpoint.values)[place[0]])
                    self._order(run, stand, setpoint.point, value)

    def _order(self, run: Simulation, stand: Stand, name: str, value: float) -> None:
        kind = run.kinds[stand.kind]
        number = next(i for i, p in enumerate(kind.setpoints) if p.name == name)
        scale = stand.scale if grows(kind.setpoints[number].unit) else 1.0
        answer = _answer(run, kind, stand, number, value)
        order = Order(run.now_ms, name, value, value / scale, answer)
        if self.dry:
            stand.orders.append(replace(order, bench="forbidden"))
        elif name == "release" and value < 0.5:
            stand.orders.append(replace(order, bench="accepted"))  # asks for nothing
        else:
            stand.attendant.order(order)

    # -- at each tick --------------------------------------------------------------------------

    def tick(self, now_ms: int, field: Field) -> None:
        """Take what was read: power for the load flow, values for the emulated registers.

        Raises RunBroken where the guard has acted, or a lost device is to end the run.
        """
        if self.guard is not None:
            self.guard.beat()
        run = field.run
        at_end = now_ms % self.period_ms == 0
        power: dict[str, list[tuple[int, float]]] = {}
        shown: dict[str, list[tuple[int, Floats]]] = {}
        for stand in self.stands:
            self._look(now_ms, stand)
            if at_end:
                stand.period_kws = stand.period_s = 0.0
            stand.orders += stand.attendant.done()
            values, ages = self._values(run, stand)
            if at_end:
                self._track(now_ms, run, stand, values, ages)
            if stand.lost is not None:
                continue
            measured = stand.attendant.power_kw()
            if measured is not None and not self.dry:
                stand.period_kws += measured * self.tick_ms / SECOND_MS
                stand.period_s += self.tick_ms / SECOND_MS
                mean_kw = stand.scale * stand.period_kws / stand.period_s
                power.setdefault(stand.kind, []).append((stand.row, mean_kw))
            shown.setdefault(stand.kind, []).append((stand.row, values))
        run.replaced = {
            kind: (np.array([r for r, _ in rows]), np.array([p for _, p in rows]))
            for kind, rows in power.items()
        }
        end_ms = now_ms + self.tick_ms
        if end_ms % self.period_ms == 0:
            for kind, rows in power.items():
                for row, mean_kw in rows:
                    self.taken.add(end_ms, kind, row, mean_kw)
        if at_end:
            self._drive(now_ms, run)
        field.real = {
            kind: (np.array([r for r, _ in rows]), np.stack([v for _, v in rows], axis=1))
            for kind, rows in shown.items()
            if not self.dry
        }

    def _look(self, now_ms: int, stand: Stand) -> None:
        """Notice that contact with a device was lost, here or at the guard."""
        if stand.permit is not None and stand.lost is None:
            try:
                stand.permit()
            except Forbidden as error:
                stand.attendant.give_up(str(error))
        try:
            why = stand.attendant.seen().lost
        except RunBroken:
            raise
        except Exception as error:
            raise RunBroken(f"bench device {stand.name}: {error}") from error
        if why and stand.lost is None:
            stand.lost = Lost(now_ms, stand.name, why)
            if self.stop_on_lost:
                raise RunBroken(f"bench device {stand.name} lost: {why}")

    def _values(self, run: Simulation, stand: Stand) -> tuple[Floats, Floats]:
        """Return what the device shows, at the twin's size, and its age: float64[points] each."""
        kind, clock = run.kinds[stand.kind], stand.attendant.device.clock
        samples, now_s = stand.attendant.seen().samples, clock.now_s()
        values, ages = np.full((2, len(kind.points)), math.nan)
        for i, point in enumerate(kind.points):
            sample = samples.get(point.name)
            if sample is None or not isinstance(sample.value, float):
                continue
            values[i] = sample.value * (stand.scale if grows(point.unit) else 1.0)
            ages[i] = (now_s - sample.at_s) * self.rate
        return values, ages

    def _track(
        self,
        now_ms: int,
        run: Simulation,
        stand: Stand,
        values: Floats,
        ages: Floats,
    ) -> None:
        """Put down twin and device at the end of a grid period."""
        kind = run.kinds[stand.kind]
        twin = run.true_points(stand.kind)[:, stand.row]
        commanded = "remote" in kind.state and bool(kind.state["remote"][stand.row] > 0.0)
        if run.channels[stand.kind].silent(now_ms)[stand.row]:
            stand.silent_periods += 1
        readings = stand.attendant.device.meanings.readings
        samples = stand.attendant.seen().samples
        for i, point in enumerate(kind.points):
            if point.name not in readings:
                continue
            if point.name in samples and samples[point.name].code != 0:
                name = readings[point.name]
                stand.refused[name] = stand.refused.get(name, 0) + 1
            track = stand.tracks.get(point.name)
            if track is None:
                register = readings[point.name]
                signal = stand.attendant.device.map.point(register).cls == "yx"
                track = Track(stand.name, point.name, register, point.unit, signal)
                stand.tracks[point.name] = track
            bench = math.nan if stand.lost is not None else float(values[i])
            track.add(now_ms, float(twin[i]), bench, float(ages[i]), commanded)

    def _drive(self, now_ms: int, run: Simulation) -> None:
        """Send the twin's voltages to the grid sources."""
        if run.snapshot is None or self.dry:
            return
        for feed, stand in self.feeds:
            feed.aim(now_ms, float(run.snapshot.vm_pu[stand.grid_bus]))

    # -- the end -------------------------------------------------------------------------------

    def busy(self) -> bool:
        """Return whether a thread may still speak to a device or the source."""
        devices = (s.attendant.alive for s in self.stands)
        return any(devices) or any(feed.alive for feed, _ in self.feeds)

    def beat_on(self) -> None:
        """Beat while the run begins or ends, whatever the guard has to say."""
        if self.guard is not None:
            with contextlib.suppress(GuardLost, GuardTripped):
                self.guard.beat()

    # -- truth ---------------------------------------------------------------------------------

    def truth(self, truth: TrueFleet, run: Simulation) -> TrueFleet:
        """Return the truth of a moment with the real devices' power and state of charge in it.

        What a meter on the bench shows is the nearest to truth that there is of a real device.
        """
        power = {kind: values.copy() for kind, values in truth.power_kw.items()}
        for kind, (rows, power_kw) in run.replaced.items():
            power[kind][rows] = power_kw
        soc = {kind: values.copy() for kind, values in truth.soc.items()}
        energy = {kind: values.copy() for kind, values in truth.energy_today_kwh.items()}
        for stand in self.stands:
            if self.dry or stand.lost is not None or stand.kind not in soc:
                continue
            samples = stand.attendant.seen().samples
            own = {n: s.value for n, s in samples.items() if isinstance(s.value, float)}
            if "soc" in own:
                soc[stand.kind][stand.row] = own["soc"]
            if "charged_today_kwh" in own and "discharged_today_kwh" in own:
                moved = own["charged_today_kwh"] + own["discharged_today_kwh"]
                energy[stand.kind][stand.row] = stand.scale * moved
        return replace(truth, power_kw=power, soc=soc, energy_today_kwh=energy)


def _answer(run: Simulation, kind: Kind, stand: Stand, number: int, value: float) -> str:
    """Return what the twin is about to make of a write; nothing is changed."""
    row = np.array([stand.row])
    if not run.channels[stand.kind].reachable()[stand.row]:
        return Outcome.LOST.name.lower()
    outcome = Outcome(int(kind.check(number, row, np.array([value]))[0]))
    if outcome is Outcome.ACCEPTED and kind.state["ignores"][stand.row] == 1:
        outcome = Outcome.IGNORED
    return outcome.name.lower()
