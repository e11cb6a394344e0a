"""From a bench file to real devices in a run, under guard.

The guard hears of the run at every tick and of nothing else: a run that stands still loses its
devices to the guard, whatever the threads beside it still do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hil.bench.assembly import device_of, permit_of
from hil.bench.clock import WallClock
from hil.bench.device import BenchDevice
from hil.bench.drivers.opening import Means, Opened, open_instrument, role_of
from hil.bench.errors import BenchError
from hil.bench.fit.parameters import load_parameters
from hil.bench.frames import FrameLog
from hil.bench.guard import Guard
from hil.bench.guarded import plan_of
from hil.bench.journal import Journal
from hil.bench.lease import Timers
from hil.bench.line import Line, LineSpec, Speaking, Wire
from hil.bench.recorder import RecordedLine, RecordedMeter, RecordingFile
from hil.bench.roles import GridSource, InstrumentError, Meter
from hil.bench.scale import Scale, scale_of
from hil.bench.schema import DeviceEntry
from hil.testbed.attendant import Attendant
from hil.testbed.bench_loop import BenchLoop, Stand
from hil.testbed.bench_preflight import Bench, replaced
from hil.testbed.bench_records import keep_part
from hil.testbed.feed import Feed
from hil.testbed.field import Field
from hil.testbed.fitted import at_size, take
from twin.assets.storage import Storage
from twin.errors import RunBroken
from twin.record.exchange import KindInventory
from twin.run import Prepared

__all__ = ["Bench", "standing"]

STOP_S = 10.0  # wall time that all threads together may take to end
BEAT_S = 0.1  # between two beats while they do


@contextmanager
def standing(
    bench: Bench | None, prepared: Prepared, field: Field, rate: float
) -> Iterator[BenchLoop | None]:
    """Have the real devices of a bench take part while inside.

    They are read once before it begins. However it ends, each that may have been written to is
    told its safe state and read back.

    Raises
    ------
    RunBroken : a device or instrument could not be reached at the beginning, or the guard has
        acted; that a device is not proven safe after a whole run is said by `BenchLoop.unsafe`
    InputProblems : the guard could not be armed; nothing was written
    """
    if bench is None:
        yield None
        return
    loop: BenchLoop | None = None
    well = False
    # Lines and recordings are needed until the guard has seen the safe state.
    with ExitStack() as stack:
        journal = stack.enter_context(Journal((bench.out / "bench.jsonl").absolute()))
        begun = {"bench": bench.file.name, "sha256": bench.file.sha256, "rate": rate}
        journal.record("note", "", text="run begins", dry_run=bench.dry, **begun)
        try:
            with ExitStack() as under:
                making = _Making(bench, prepared, field, journal, stack, under)
                loop = _loop(bench, prepared, making, rate)
                try:
                    _begin(loop)
                    field.ordered = loop.heard
                    yield loop
                    well = True
                finally:
                    field.ordered, field.real, field.run.replaced = None, {}, {}
                    _stop(loop)
        except BaseException as error:
            if loop is not None and not well:
                keep_part(loop, bench.out)
            if loop is None or not well or not isinstance(error, RunBroken):
                raise
            # The run is whole; that a device is not proven safe is said beside its results.
            loop.unsafe = str(error)


def _loop(bench: Bench, prepared: Prepared, making: _Making, rate: float) -> BenchLoop:
    stands = [making.stand(entry) for entry in bench.entries]
    world = prepared.built.world
    return BenchLoop(
        stands, world.grid_period_ms, world.tick_ms, rate, feeds=making.feeds(stands),
        dry=making.dry, stop_on_lost=bench.file.run.when_lost == "stop", guard=making.guard,
    )  # fmt: skip


def _begin(loop: BenchLoop) -> None:
    for stand in loop.stands:
        loop.beat_on()  # a device may take a while to show that its timers are set
        try:
            stand.attendant.start(armed=not loop.dry)
        except (BenchError, InstrumentError) as error:
            raise RunBroken(f"bench device {stand.name}: {error}") from error
    for feed, _ in loop.feeds:
        if not loop.dry:
            feed.start()


def _stop(loop: BenchLoop) -> None:
    """End every thread, so that nobody writes any more when the safe state is told."""
    for stand in loop.stands:
        stand.attendant.end()
    for feed, _ in loop.feeds:
        feed.end()
    limit_s = time.monotonic() + STOP_S
    while loop.busy() and time.monotonic() < limit_s:
        loop.beat_on()
        time.sleep(BEAT_S)
    for stand in loop.stands:
        stand.orders += stand.attendant.done()


class _Making:
    """Makes what stands on a bench; what must be closed goes on the stack, the guard on `under`."""

    def __init__(
        self,
        bench: Bench,
        prepared: Prepared,
        field: Field,
        journal: Journal,
        stack: ExitStack,
        under: ExitStack,
    ) -> None:
        self.bench, self.prepared, self.field = bench, prepared, field
        self.journal, self.stack, self.clock = journal, stack, WallClock()
        self.dry = bench.dry or bench.file.dry_only
        self.wires: dict[str, Wire] = {}
        self.guard: Guard | None = None
        names = [e.name for e in bench.entries]
        lost_alone = bench.file.run.when_lost == "twin"
        plan = plan_of(bench.file, journal.path, names, lost_alone=lost_alone)
        self.held = {d.line.place for d in plan.devices if d.held}
        if not self.dry and plan.devices:
            self.guard = under.enter_context(Guard(plan, journal))
        self.timers: list[Timers] = []
        self.kept: dict[str, BenchDevice] = {}
        self.means = Means(self.clock, line=self._line, before=self._before)

    def stand(self, entry: DeviceEntry) -> Stand:
        """Return a device in its twin's place."""
        kind, row = replaced(entry)
        inventory = self.prepared.built.world.inventory
        known = inventory.kinds[kind]
        scale = scale_of(entry, float(known.columns.f8("rated_kw")[row]))
        self._note_scale(entry, scale)
        self._take_parameters(entry, scale)
        file = self._recording(entry)
        device, timers = self._device(entry, scale, file)
        meter = self._meter(entry.name)
        section = self.bench.file.run
        attendant = Attendant(
            device, [p.name for p in known.points],
            None if meter is None else RecordedMeter(meter, file), section.poll_s,
            section.lost_after_s, timers,
        )  # fmt: skip
        path = "register" if meter is None else "meter"
        taken = None
        if self.guard is not None and entry.limits is not None:
            taken = self.guard.permit(entry.name)
        bus = self._bus(known, row)
        return Stand(attendant, kind, row, scale.factor, path, bus, permit=taken)

    def _note_scale(self, entry: DeviceEntry, scale: Scale) -> None:
        self.journal.record(
            "note", entry.name, text="scale", replaces=entry.replaces, twin_kw=scale.twin_kw,
            bench_kw=scale.bench_kw, factor=scale.factor,
        )  # fmt: skip

    def _take_parameters(self, entry: DeviceEntry, scale: Scale) -> None:
        """Give the device's twin what `hil fit` found, at the twin's size."""
        kind, row = replaced(entry)
        twin = self.field.run.kinds[kind]
        if entry.parameters == "" or not isinstance(twin, Storage):
            return
        fitted = at_size(load_parameters(Path(entry.parameters)), scale.factor)
        left = take(twin, row, fitted)
        self.journal.record(
            "note", entry.name, text="its twin takes fitted parameters", file=entry.parameters,
            parameters={n: p.value for n, p in fitted.items()}, left=left,
        )  # fmt: skip

    def _recording(self, entry: DeviceEntry) -> RecordingFile:
        """Return the file that `hil fit` takes."""
        path = self.bench.out / "bench" / f"{entry.name}.csv"
        path.unlink(missing_ok=True)  # of an earlier run in this directory
        file = RecordingFile(path)
        self.stack.callback(file.close)
        file.quantity("nameplate", 0.0, "rated_kw", entry.rated_kw)
        if entry.capacity_kwh is not None:
            file.quantity("nameplate", 0.0, "capacity_kwh", entry.capacity_kwh)
        return file

    def _device(
        self, entry: DeviceEntry, scale: Scale, file: RecordingFile
    ) -> tuple[BenchDevice, Timers | None]:
        """Return the device and its own timers, None where it is only read."""
        guard = self.guard
        permit = permit_of(self.bench.file, self.bench.dry)
        if guard is not None:
            permit = guard.permit(entry.name)
        line = RecordedLine(self._line(entry.spec()), self.clock, file)
        device = device_of(entry, line, self.journal, self.clock, permit, scale.factor)
        if guard is None or entry.limits is None:
            return device, None
        timers = Timers.of(device, entry)
        self.timers.append(timers)
        self.kept[entry.name] = device
        guard.keep(self.kept, self.timers)
        return device, timers

    def _line(self, spec: LineSpec) -> Speaking:
        """Return a line: through the guard where that holds the connection, else shared."""
        if self.guard is not None and spec.place in self.held:
            return self.guard.line(spec, FrameLog())
        wire = self.wires.get(spec.place)
        if wire is None:
            wire = self.wires[spec.place] = Wire(spec)
            self.stack.callback(wire.close)
        return Line(spec, wire=wire)

    def _bus(self, known: KindInventory, row: int) -> int:
        """Return the bus of the network to which a device's site belongs."""
        built = self.prepared.built
        site = int(known.columns.i8("site")[row])
        busbar = int(built.world.inventory.sites.i8("busbar")[site])
        return int(built.network.busbars.bus[busbar])

    # -- instruments ---------------------------------------------------------------------------

    def feeds(self, stands: list[Stand]) -> list[tuple[Feed, Stand]]:
        """Return the bench's grid sources, each with the device at whose bus it stands.

        One that stands at all devices follows the bus of the first.
        """
        found = []
        for entry in self.bench.file.instruments:
            if role_of(entry) == "source":
                source = self._opened(open_instrument(entry, self.means))
                here = next((s for s in stands if s.name == entry.device), stands[0])
                if isinstance(source, GridSource):
                    found.append((Feed(entry.name, source, self.clock), here))
        return found

    def _meter(self, device: str) -> Meter | None:
        """Return the meter at a device; one that stands at all of them is that of an only one."""
        places = (device, "") if len(self.bench.entries) == 1 else (device,)
        for entry in self.bench.file.instruments:
            if role_of(entry) == "meter" and entry.device in places:
                meter = self._opened(open_instrument(entry, self.means))
                if isinstance(meter, Meter):
                    return meter
        return None

    def _opened(self, instrument: Opened) -> Opened:
        self.stack.callback(instrument.release)
        return instrument

    def _before(self, instrument: str, command: str) -> None:
        """Put a command to an instrument on record before it is sent."""
        permit_of(self.bench.file, self.bench.dry)()
        self.journal.record("write", instrument, command=command)
