"""From a bench file to devices that can be read and told; no line is opened yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hil.bench.clock import Clock
from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.errors import Forbidden
from hil.bench.frames import FrameLog
from hil.bench.gate import Permit
from hil.bench.journal import Journal
from hil.bench.line import Line, Speaking, Wire
from hil.bench.schema import BenchFile, DeviceEntry
from twin.city.spelling import did_you_mean
from twin.errors import InputProblems, Problem

__all__ = ["banner", "chosen", "device_of", "lines_of", "permit_of"]

BANNER = (
    "Real hardware. Nothing in this program replaces a hardware emergency stop "
    "(本程序不能代替硬件急停按钮)."
)
NOTHING = Envelope(0.0, 0.0)


def banner(bench: BenchFile) -> str:
    """Return what is said before anything on a bench is spoken to."""
    stop = bench.emergency_stop
    if stop is None:
        return f"{BANNER}\nNone is confirmed (emergency_stop): the bench runs dry only (仅试读)."
    return f"{BANNER}\nThe emergency stop (急停): {stop}"


def chosen(bench: BenchFile, names: Iterable[str] | None = None) -> list[DeviceEntry]:
    """Return devices by name, None: all; raises InputProblems with every name that is not there."""
    if names is None:
        return list(bench.devices)
    known = {entry.name: entry for entry in bench.devices}
    wanted = list(names)
    found = [
        Problem(bench.path, "device", repr(n), f"one of {', '.join(known)}{did_you_mean(n, known)}")
        for n in wanted if n not in known
    ]  # fmt: skip
    if found:
        raise InputProblems(found)
    return [known[n] for n in wanted]


def lines_of(entries: Iterable[DeviceEntry], frames: FrameLog | None = None) -> dict[str, Line]:
    """Return a line a device, by name; units of one connection share it.

    Raises InputProblems with everything that stands against the files of TLS lines.
    """
    wires: dict[str, Wire] = {}
    found: dict[str, Line] = {}
    problems: list[Problem] = []
    for entry in entries:
        spec = entry.spec()
        try:
            wire = wires.get(spec.place)
            if wire is None:
                wire = wires[spec.place] = Wire(spec, frames)
            found[entry.name] = Line(spec, wire=wire)
        except InputProblems as error:
            problems += error.problems
    if problems:
        raise InputProblems(problems)
    return found


def permit_of(bench: BenchFile, dry_run: bool = False) -> Permit:
    """Return what is asked before every write to a bench; raises Forbidden where it runs dry."""

    def permit() -> None:
        if dry_run:
            raise Forbidden("dry run: nothing is written")
        if bench.dry_only:
            raise Forbidden(
                f"{bench.path}: no emergency_stop is confirmed: the bench runs dry only, nothing "
                "is written"
            )

    return permit


def device_of(
    entry: DeviceEntry,
    line: Speaking,
    journal: Journal,
    clock: Clock,
    permit: Permit,
    scale: float = 1.0,
) -> BenchDevice:
    """Return a device of the bench; one without limits can be read only."""

    def read_only() -> None:
        raise Forbidden(f"{entry.name}: no limits in the bench file: it is only read")

    one = entry.register_map()
    safe: Mapping[str, float] = entry.safe_state
    return BenchDevice(
        entry.name, one.kind, one, line,
        NOTHING if entry.limits is None else entry.limits.envelope(),
        journal, clock, scale, rated_kw=entry.rated_kw, safe_state=safe,
        permit=read_only if entry.limits is None else permit, closed=True,
    )  # fmt: skip
