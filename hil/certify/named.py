"""Subjects by name, as a user writes them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from hil.bench.assembly import chosen
from hil.bench.files import load_bench
from hil.certify.broken import BROKEN, GOOD
from hil.certify.emulated import emulated
from hil.certify.on_bench import on_bench
from hil.certify.subject import Subject
from hil.testbed.stage import check_stage
from twin.city.spelling import did_you_mean
from twin.errors import InputProblems, Problem
from twin.scenario.inputs import attempt

__all__ = ["FORMS", "TRANSPORTS", "bench_of", "named"]

FORMS = (
    "emulated:KIND, emulated:KIND:MAP, a device with one known fault as broken:NAME, one without "
    "as good:NAME, or a bench file's device as bench.toml:NAME"
)
TRANSPORTS: tuple[Literal["tcp", "tls", "rtu"], ...] = ("tcp", "tls", "rtu")
CATALOGUES = {"broken": BROKEN, "good": {n.removeprefix("good-"): g for n, g in GOOD.items()}}


def named(
    device: str, journal: Path, *, seed: int = 0, transport: str = "tcp", dry_run: bool = False
) -> AbstractContextManager[Subject]:
    """Return the device that is meant, to be entered; raises InputProblems where there is none.

    Parameters
    ----------
    device : see `FORMS`
    journal : file of what is written to it
    seed : of an emulated device
    transport : of an emulated device
    dry_run : nothing is written to a device of a bench
    """
    where, _, rest = device.partition(":")
    if where == "emulated" and rest:
        kind, _, map_name = rest.partition(":")
        found: list[Problem] = []
        attempt(found, lambda: check_stage(kind, map_name or None))
        way = attempt(found, lambda: _transport(transport))
        if found or way is None:
            raise InputProblems(found)
        return emulated(kind, map_name or None, journal=journal, seed=seed, transport=way)
    if where in CATALOGUES and rest:
        known = CATALOGUES[where]
        if rest not in known:
            allowed = ", ".join(known) + did_you_mean(rest, known)
            raise InputProblems([Problem("DEVICE", where, rest, allowed)])
        return known[rest].subject(journal, seed)
    bench = bench_of(device)
    if bench is not None:
        chosen(load_bench(bench[0]), [bench[1]])
        return on_bench(*bench, journal, dry_run=dry_run)
    raise InputProblems([Problem("DEVICE", "device", device, FORMS)])


def bench_of(device: str) -> tuple[Path, str] | None:
    """Return bench file and device name, None where something else is meant."""
    bench, _, name = device.rpartition(":")
    return (Path(bench), name) if bench.endswith(".toml") and name else None


def _transport(given: str) -> Literal["tcp", "tls", "rtu"]:
    for known in TRANSPORTS:
        if given == known:
            return known
    raise InputProblems([Problem("--transport", "transport", given, ", ".join(TRANSPORTS))])
