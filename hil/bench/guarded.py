"""From a bench file to devices under guard; the one way in for whoever writes to real devices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from hil.bench.assembly import NOTHING, chosen, device_of, lines_of, permit_of
from hil.bench.beating import BeatingClock, BeatingLine, Pulse
from hil.bench.clock import Clock, WallClock
from hil.bench.connecting import LineSpec
from hil.bench.device import BenchDevice
from hil.bench.frames import FrameLog
from hil.bench.guard import Guard
from hil.bench.guard_plan import Condition, GuardedDevice, GuardPlan, Times
from hil.bench.journal import Journal
from hil.bench.lease import Timers
from hil.bench.line import Line, Speaking
from hil.bench.schema import BenchFile, DeviceEntry, Interlock

__all__ = ["Guarded", "guarded", "plan_of"]

# Of the time between two beats: how long a clock sleeps at once.
SLICE = 0.5


@dataclass(frozen=True, slots=True)
class Guarded:
    """Devices of a bench, as long as `guarded` lasts.

    Attributes
    ----------
    devices : by name, those that were asked for
    clock : wall time; its sleep beats
    journal : the run's
    guard : None where nothing can be written: a dry run, no device with limits, or no
        confirmed emergency stop
    line : makes the way to an instrument, which may share its line with a device
    silent : while inside what it makes, nobody keeps the devices' own heartbeats
    """

    devices: Mapping[str, BenchDevice]
    clock: Clock
    journal: Journal
    guard: Guard | None
    line: Callable[[LineSpec], Speaking]
    silent: Callable[[], AbstractContextManager[None]] = nullcontext


def plan_of(
    file: BenchFile,
    journal: Path,
    names: Collection[str] | None = None,
    *,
    lost_alone: bool = False,
) -> GuardPlan:
    """Return what the guard of a bench is armed with.

    Parameters
    ----------
    file : checked
    journal : that runner and guard share
    names : devices that take part; None: all. Of what is only read the guard sees what the
        interlock needs, whether it takes part or not
    lost_alone : as `GuardPlan`
    """
    asked = {e.name for e in chosen(file, names)}
    written = {e.name for e in file.devices if e.name in asked and e.limits is not None}
    needed = written | {one.device for one in file.interlock}
    # A serial line has one master, and what shares a connection with a device that takes one
    # client shares that client: the guard holds it.
    single = {e.place for e in file.devices if e.transport == "rtu" or e.single_client}
    held = {e.place for e in file.devices if e.name in needed and e.place in single}
    mine = [
        e for e in file.devices
        if e.name in needed or (e.name in asked and e.place in held)
    ]  # fmt: skip
    section = file.guard
    times = Times(
        section.heartbeat_s, section.watch_s, section.blind_s, section.settle_s,
        retry_s=section.retry_s,
    )  # fmt: skip
    return GuardPlan(
        journal.absolute(),
        tuple(_guarded_device(e, e.place in held, e.name in written) for e in mine),
        times,
        tuple(_condition(one) for one in file.interlock),
        file.instruments,
        lost_alone,
    )


def _guarded_device(entry: DeviceEntry, held: bool, written: bool) -> GuardedDevice:
    one = entry.register_map()
    limits = entry.limits
    return GuardedDevice(
        entry.name, one.kind, one, entry.spec(),
        NOTHING if limits is None else limits.envelope(),
        dict(entry.safe_state), rated_kw=entry.rated_kw, held=held,
        identity=entry.identity, heartbeat=entry.heartbeat, written=written,
    )  # fmt: skip


def _condition(lock: Interlock) -> Condition:
    low = -float("inf") if lock.low is None else lock.low
    high = float("inf") if lock.high is None else lock.high
    return Condition(lock.name, lock.device or lock.instrument, lock.point, low, high)


@contextmanager
def guarded(
    file: BenchFile,
    journal: Path,
    *,
    names: Collection[str] | None = None,
    dry_run: bool = False,
    frames: FrameLog | None = None,
) -> Iterator[Guarded]:
    """Open devices of a bench, under guard where they may be written to.

    For a run in one thread: requests to devices and sleeps on the clock are its beats. However
    it ends, every device that may have been written to is told its safe state and read back.

    Parameters
    ----------
    file : the bench
    journal : file that grows
    names : devices that take part; None: all
    dry_run : nothing is written, as where the bench has no confirmed emergency stop
    frames : where every frame goes

    Raises
    ------
    InputProblems : the guard cannot reach a device or an instrument of the interlock
    RunBroken : at the end, where a device is not proven to be at its safe state
    """
    entries = chosen(file, names)
    writing = [e for e in entries if e.limits is not None]
    with ExitStack() as stack:
        kept = stack.enter_context(Journal(journal))
        if file.dry_only or dry_run or not writing:
            permit = permit_of(file, dry_run)
            lines = lines_of(entries, frames)
            for line in lines.values():
                stack.callback(line.close)
            clock = WallClock()
            read = {e.name: device_of(e, lines[e.name], kept, clock, permit) for e in entries}
            yield Guarded(read, clock, kept, None, lambda spec: Line(spec, frames))
            return
        plan = plan_of(file, journal, [e.name for e in entries])
        held = {d.line.place for d in plan.devices if d.held}
        lines = lines_of([e for e in entries if e.place not in held], frames)
        for line in lines.values():
            stack.callback(line.close)
        with Guard(plan, kept) as guard:
            pulse = Pulse(guard)
            beating = BeatingClock(WallClock(), pulse, SLICE * plan.times.beat_s)
            devices = {}
            for entry in entries:
                own = lines.get(entry.name) or guard.line(entry.spec(), frames)
                devices[entry.name] = device_of(
                    entry,
                    BeatingLine(own, pulse, entry.name),
                    kept,
                    beating,
                    guard.permit(entry.name),
                )
            timers = {e.name: Timers.of(devices[e.name], e) for e in writing}
            guard.keep({e.name: devices[e.name] for e in writing}, list(timers.values()))
            for one in timers.values():
                one.arm()
            pulse.timers |= timers
            yield Guarded(
                devices, beating, kept, guard,
                lambda spec: BeatingLine(guard.line(spec, frames), pulse), pulse.silent,
            )  # fmt: skip
