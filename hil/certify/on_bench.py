"""Subjects that are hardware: a device of a bench file, under guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hil.bench.assembly import chosen, permit_of
from hil.bench.drivers.opening import Means, open_instrument, role_of
from hil.bench.files import load_bench
from hil.bench.frames import FrameLog
from hil.bench.guarded import Guarded, guarded, plan_of
from hil.bench.schema import BenchFile, DeviceEntry
from hil.certify.subject import Subject

__all__ = ["on_bench", "subject_of"]


class _BeatingLog(FrameLog):
    """Frames of a run; each that goes by beats the guard, those of our own connections too."""

    def __init__(self) -> None:
        super().__init__()
        self.beat: Callable[[], None] = _nothing

    def add(self, line: str, sent: bool, data: bytes) -> None:
        """Keep a frame that went just now."""
        super().add(line, sent, data)
        self.beat()


def _nothing() -> None:
    """There is no guard to beat."""


@contextmanager
def on_bench(
    path: Path, name: str, journal: Path, *, dry_run: bool = False
) -> Iterator[Subject]:  # fmt: skip
    """Yield a device of a bench as a subject; a guard watches over it while inside.

    However it ends, the device is told its safe state and read back.

    Parameters
    ----------
    path : the bench file
    name : of its device
    journal : file of what is written
    dry_run : nothing is written

    Raises InputProblems with everything wrong with the bench file, and where the guard cannot
    be armed; RunBroken where the device is not proven safe at the end.
    """
    file = load_bench(path)
    entry = chosen(file, [name])[0]
    frames = _BeatingLog()
    with ExitStack() as stack:
        here = stack.enter_context(
            guarded(file, journal, names=[name], dry_run=dry_run, frames=frames)
        )
        if here.guard is not None:
            frames.beat = here.guard.beat
        yield subject_of(file, entry, here, frames, stack, dry_run)


def subject_of(
    file: BenchFile,
    entry: DeviceEntry,
    here: Guarded,
    frames: FrameLog,
    stack: ExitStack,
    dry_run: bool = False,
) -> Subject:
    """Return a device of an open bench as a subject.

    Parameters
    ----------
    here : the open bench
    frames : its log
    stack : ends the instruments' connections
    """
    one = entry.register_map()
    return Subject(
        name=entry.name,
        kind=one.kind,
        map=one,
        device=here.devices[entry.name],
        clock=here.clock,
        instruments=_instruments(file, entry, here, stack, dry_run),
        evidence="hardware",
        nameplate=_nameplate(entry),
        spec=None if _held(file, entry, here.journal.path) else entry.spec(),
        frames=frames,
        bench={"file": Path(file.path).name, "name": file.name, "sha256": file.sha256},
        may_write=here.guard is not None,
        silent=here.silent,
    )


def _held(file: BenchFile, entry: DeviceEntry, journal: Path) -> bool:
    """Whether the guard holds the device's only connection."""
    plan = plan_of(file, journal, [entry.name])
    return any(d.held and d.name == entry.name for d in plan.devices)


def _nameplate(entry: DeviceEntry) -> dict[str, float]:
    found = {"rated_kw": entry.rated_kw}
    if entry.capacity_kwh is not None:
        found["capacity_kwh"] = entry.capacity_kwh
    if entry.heartbeat is not None:
        found["heartbeat_s"] = entry.heartbeat.expires_s
    return {**found, **entry.declared.values()}


def _instruments(
    file: BenchFile, entry: DeviceEntry, here: Guarded, stack: ExitStack, dry_run: bool
) -> dict[str, object]:
    """Return the instruments at a device's terminals, by role; its own before one for all."""

    def before(instrument: str, command: str) -> None:
        permit_of(file, dry_run)()
        here.journal.record("write", instrument, command=command)

    means = Means(here.clock, line=here.line, before=before)
    found: dict[str, object] = {}
    for place in (entry.name, ""):
        for one in file.instruments:
            role = role_of(one)
            if one.device == place and role not in found:
                opened = open_instrument(one, means)
                stack.callback(opened.release)
                found[role] = opened
    return found
