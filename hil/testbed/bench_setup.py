"""From a bench file to real devices in a run.

Devices whose entry says ``replaces`` take part; others on the bench are left alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hil.bench.clock import Clock, WallClock
from hil.bench.device import BenchDevice
from hil.bench.drivers.opening import Means, open_instrument, role_of
from hil.bench.envelope import Envelope
from hil.bench.errors import Forbidden, LineError
from hil.bench.journal import Journal
from hil.bench.line import Line
from hil.bench.recorder import RecordedLine, RecordedMeter, RecordingFile
from hil.bench.roles import GridSource, InstrumentError, Meter
from hil.bench.schema import BenchFile, DeviceEntry
from hil.testbed.attendant import Attendant
from hil.testbed.bench_loop import BenchLoop, Stand
from hil.testbed.feed import Feed
from hil.testbed.field import Field
from twin.engine.telemetry import Distortion, answering
from twin.errors import InputProblems, Problem, RunBroken
from twin.record.exchange import PSEUDO_KINDS
from twin.run import Prepared

__all__ = ["Bench", "banner", "replaced", "standing"]

STOP_S = 10.0  # wall time that a device's thread may take to end


@dataclass(slots=True)
class Bench:
    """A bench that takes part in a run.

    Attributes
    ----------
    file : what is on it
    dry : devices are read and nothing is written
    out : the run directory
    """

    file: BenchFile
    dry: bool = False
    out: Path = Path("out")

    def check(self, prepared: Prepared) -> None:
        """Hold the bench against a scenario; raises InputProblems with all that does not fit."""
        file, found = self.file, []
        if file.dry_only and not self.dry:
            allowed = "where the hardware emergency stop is and when it was tested; or --dry-run"
            found.append(Problem(file.path, "emergency_stop", "not confirmed", allowed))
        entries = [e for e in file.devices if e.replaces is not None]
        if not entries:
            allowed = 'a device with replaces = "storage-00003" or another device of the twin'
            found.append(Problem(file.path, "devices", "none takes a twin's place", allowed))
        for entry in entries:
            found += _misfits(entry, file.path, prepared)
        if found:
            raise InputProblems(found)


def banner(file: BenchFile) -> str:
    """Return what is said before anything on a bench moves."""
    stop = file.emergency_stop
    where = f"It is here: {stop}" if stop is not None else "None is confirmed: dry runs only."
    return (
        "Real hardware takes part. Nothing in this program replaces a hardware emergency stop "
        f"(硬件急停). {where}"
    )


def replaced(entry: DeviceEntry) -> tuple[str, int]:
    """Return kind and row of the twin's device whose place an entry takes.

    >>> from types import SimpleNamespace
    >>> replaced(SimpleNamespace(replaces="storage-00003"))
    ('storage', 3)
    """
    kind, _, number = str(entry.replaces).rpartition("-")
    return kind, int(number)


def _misfits(entry: DeviceEntry, path: str, prepared: Prepared) -> Iterator[Problem]:
    """Yield what is wrong with putting a device in its twin's place in this scenario."""
    inventory = prepared.built.world.inventory
    kind, row = replaced(entry)
    place = f"devices ({entry.name}).replaces"
    known = inventory.kinds.get(kind)
    if known is None or known.n == 0 or kind in PSEUDO_KINDS:
        kinds = ", ".join(
            k for k, v in inventory.kinds.items() if v.n > 0 and k not in PSEUDO_KINDS
        )
        yield Problem(path, place, kind, f"a kind of this scenario: {kinds}")
        return
    if row >= known.n:
        last = f"{kind}-{known.n - 1:05d}"
        yield Problem(path, place, str(entry.replaces), f"{kind}-00000 to {last}")
        return
    sector = inventory.sites.i8("sector")[known.columns.i8("site")]
    heard = answering(kind, known.n, sector, Distortion.from_data(), prepared.scenario.seed)
    if not heard[row]:
        near = ", ".join(f"{kind}-{i:05d}" for i in np.flatnonzero(heard)[:3])
        yield Problem(path, place, f"{entry.replaces} has no contact on this day", f"e.g. {near}")


@contextmanager
def standing(
    bench: Bench | None, prepared: Prepared, field: Field, rate: float
) -> Iterator[BenchLoop | None]:
    """Have the real devices of a bench take part while inside.

    They are read once before it begins (RunBroken where that fails). However it ends, each is
    told its safe state and read back.
    """
    if bench is None:
        yield None
        return
    with ExitStack() as stack:
        journal = stack.enter_context(Journal((bench.out / "bench.jsonl").absolute()))
        clock = WallClock()
        made = _Making(bench, prepared, field, clock, journal, stack)
        stands = [made.stand(e) for e in bench.file.devices if e.replaces is not None]
        world = prepared.built.world
        loop = BenchLoop(
            stands, world.grid_period_ms, world.tick_ms, rate, feed=made.feed(stands),
            dry=bench.dry, stop_on_lost=bench.file.run.when_lost == "stop",
        )  # fmt: skip
        try:
            _begin(loop)
            field.ordered = loop.heard
            yield loop
        finally:
            field.ordered, field.real = None, {}
            field.run.replaced = {}
            _end(loop)


def _begin(loop: BenchLoop) -> None:
    for stand in loop.stands:
        try:
            stand.attendant.start()
        except (LineError, InstrumentError) as error:
            raise RunBroken(f"bench device {stand.name} could not be read: {error}") from error
    if loop.feed is not None and not loop.dry:
        loop.feed[0].start()


def _end(loop: BenchLoop) -> None:
    """Stop every thread, then bring every device to its safe state, whatever happens."""
    for stand in loop.stands:
        stand.attendant.stop(STOP_S)
    if loop.feed is not None:
        loop.feed[0].stop()
    for stand in loop.stands:
        if loop.dry or stand.lost is not None:
            continue
        with contextlib.suppress(LineError, Forbidden):  # the guard reads back, and goes on
            stand.attendant.device.to_safe_state("the run has ended")


class _Making:
    """Makes what stands on a bench; what must be closed goes on the stack."""

    def __init__(
        self,
        bench: Bench,
        prepared: Prepared,
        field: Field,
        clock: Clock,
        journal: Journal,
        stack: ExitStack,
    ) -> None:
        self.bench, self.prepared, self.field = bench, prepared, field
        self.clock, self.journal, self.stack = clock, journal, stack
        self.means = Means(clock, before=self._before)

    def stand(self, entry: DeviceEntry) -> Stand:
        """Return a device in its twin's place."""
        kind, row = replaced(entry)
        run, world = self.field.run, self.prepared.built.world
        columns = world.inventory.kinds[kind].columns
        twin_kw = float(columns.f8("rated_kw")[row])
        scale = twin_kw / entry.rated_kw
        kept = self.bench.out / "bench" / f"{entry.name}.csv"
        kept.unlink(missing_ok=True)  # of an earlier run in this directory
        file = RecordingFile(kept)
        self.stack.callback(file.close)
        file.quantity("nameplate", 0.0, "rated_kw", entry.rated_kw)
        if entry.capacity_kwh is not None:
            file.quantity("nameplate", 0.0, "capacity_kwh", entry.capacity_kwh)
        line = Line(entry.spec())
        self.stack.callback(line.close)
        limits = entry.limits
        device = BenchDevice(
            entry.name, kind, entry.register_map(), RecordedLine(line, self.clock, file),
            Envelope(0.0, 0.0) if limits is None else limits.envelope(), self.journal, self.clock,
            scale, rated_kw=entry.rated_kw, safe_state=entry.safe_state,
            permit=None if limits is not None and not self.bench.dry else self._refuse,
        )  # fmt: skip
        self.journal.record(
            "note", entry.name, text="scale", twin_rated_kw=twin_kw, rated_kw=entry.rated_kw,
            scale=scale, replaces=entry.replaces,
        )  # fmt: skip
        meter = self._meter(entry.name)
        section = self.bench.file.run
        attendant = Attendant(
            device, [p.name for p in run.kinds[kind].points],
            None if meter is None else RecordedMeter(meter, file), section.poll_s,
            section.lost_after_s,
        )  # fmt: skip
        site = int(columns.i8("site")[row])
        network = self.prepared.built.network
        busbar = int(world.inventory.sites.i8("busbar")[site])
        return Stand(
            attendant, kind, row, scale, "register" if meter is None else "meter",
            int(network.busbars.bus[busbar]),
        )  # fmt: skip

    def feed(self, stands: list[Stand]) -> tuple[Feed, Stand] | None:
        """Return the bench's grid source with the device at whose bus it stands."""
        for entry in self.bench.file.instruments:
            if role_of(entry) != "source":
                continue
            source = open_instrument(entry, self.means)
            if not isinstance(source, GridSource):
                raise TypeError(f"{entry.name} is no grid source")
            self.stack.callback(source.release)
            here = next((s for s in stands if s.name == entry.device), stands[0])
            return Feed(entry.name, source, self.clock), here
        return None

    def _meter(self, device: str) -> Meter | None:
        for entry in self.bench.file.instruments:
            if role_of(entry) == "meter" and entry.device == device:
                meter = open_instrument(entry, self.means)
                if not isinstance(meter, Meter):
                    raise TypeError(f"{entry.name} is no meter")
                self.stack.callback(meter.release)
                return meter
        return None

    def _before(self, instrument: str, command: str) -> None:
        if self.bench.dry:
            self._refuse()
        self.journal.record("write", instrument, command=command)

    def _refuse(self) -> None:
        raise Forbidden("the bench runs dry, or the device has no limits: nothing is written")
