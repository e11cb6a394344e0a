"""Whether a bench fits a scenario, before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hil.bench.fit.parameters import load_parameters
from hil.bench.scale import scale_of
from hil.bench.schema import BenchFile, DeviceEntry
from hil.testbed.places import Places
from hil.testbed.session import TICK_MS
from twin.clock import SECOND_MS
from twin.engine.telemetry import Distortion, answering
from twin.errors import InputProblems, Problem
from twin.record.exchange import PSEUDO_KINDS
from twin.run import Prepared

__all__ = ["Bench", "replaced"]

# The guard hears of the run once a tick: so many of them fit into the time that it waits (ours).
BEATS = 2.0
# Nobody can be asked every second.
MANUAL = ("meter_manual", "source_manual")


@dataclass(slots=True)
class Bench:
    """A bench that takes part in a run.

    Attributes
    ----------
    file : what is on it; devices whose entry says ``replaces`` take part
    dry : devices are read and nothing is written
    out : the run directory
    """

    file: BenchFile
    dry: bool = False
    out: Path = Path("out")

    @property
    def entries(self) -> list[DeviceEntry]:
        """Devices that take part."""
        return [e for e in self.file.devices if e.replaces is not None]

    def check(self, prepared: Prepared, rate: float, places: Places | None) -> None:
        """Hold the bench against a scenario; raises InputProblems with all that does not fit.

        Parameters
        ----------
        rate : simulated seconds a wall second
        places : where emulated devices will stand; None: that is not known
        """
        file, found = self.file, []
        names = set() if places is None else {d.name for d in places.devices}
        if file.dry_only and not self.dry:
            allowed = "where the hardware emergency stop is and when it was tested; or --dry-run"
            found.append(Problem(file.path, "emergency_stop", "not confirmed", allowed))
        tick_s = TICK_MS / SECOND_MS / rate
        if not self.dry and BEATS * tick_s > file.guard.heartbeat_s:
            value = f"{file.guard.heartbeat_s:g} s, with a tick every {tick_s:g} s"
            allowed = f"{BEATS * tick_s:g} s or more; or a higher --rate"
            found.append(Problem(file.path, "guard.heartbeat_s", value, allowed))
        if not self.entries:
            allowed = 'a device with replaces = "storage-00003" or another device of the twin'
            found.append(Problem(file.path, "devices", "none takes a twin's place", allowed))
        found += [
            Problem(
                file.path, f"instruments ({i.name})", i.driver, "one that no person answers for"
            )
            for i in file.instruments
            if i.driver in MANUAL
        ]
        for entry in self.entries:
            wrong = list(_misfits(entry, file.path, prepared))
            if not wrong and places is not None and entry.replaces not in names:
                allowed = "a device that is served: --kinds, --limit"
                place = f"devices ({entry.name}).replaces"
                wrong.append(Problem(file.path, place, str(entry.replaces), allowed))
            found += wrong
        if found:
            raise InputProblems(found)


def replaced(entry: DeviceEntry) -> tuple[str, int]:
    """Return kind and row of the twin's device whose place an entry takes.

    >>> from types import SimpleNamespace
    >>> replaced(SimpleNamespace(replaces="storage-00003"))
    ('storage', 3)
    """
    kind, _, number = str(entry.replaces).rpartition("-")
    return kind, int(number)


def _parameters(entry: DeviceEntry, path: str, kind: str) -> Iterator[Problem]:
    """Yield what is wrong with the parameters that a device's twin is to take."""
    if entry.parameters == "":
        return
    if kind != "storage":
        place = f"devices ({entry.name}).parameters"
        yield Problem(path, place, kind, "none: physics is fitted for storage only")
        return
    try:
        load_parameters(Path(entry.parameters))
    except InputProblems as error:
        yield from error.problems


def _misfits(entry: DeviceEntry, path: str, prepared: Prepared) -> Iterator[Problem]:
    """Yield what is wrong with putting a device in its twin's place in this scenario."""
    inventory = prepared.built.world.inventory
    kind, row = replaced(entry)
    place = f"devices ({entry.name}).replaces"
    known = inventory.kinds.get(kind)
    if known is None or known.n == 0 or kind in PSEUDO_KINDS:
        kinds = (k for k, v in inventory.kinds.items() if v.n > 0 and k not in PSEUDO_KINDS)
        yield Problem(path, place, kind, f"a kind of this scenario: {', '.join(kinds)}")
        return
    if row >= known.n:
        allowed = f"{kind}-00000 to {kind}-{known.n - 1:05d}"
        yield Problem(path, place, str(entry.replaces), allowed)
        return
    yield from _parameters(entry, path, kind)
    plate = known.columns
    stored = float(plate.f8("capacity_kwh")[row]) if "capacity_kwh" in plate else None
    try:
        scale_of(entry, float(plate.f8("rated_kw")[row]), stored, path)
    except InputProblems as error:
        yield from error.problems
    sector = inventory.sites.i8("sector")[plate.i8("site")]
    heard = answering(kind, known.n, sector, Distortion.from_data(), prepared.scenario.seed)
    if not heard[row]:
        near = ", ".join(f"{kind}-{i:05d}" for i in np.flatnonzero(heard)[:3])
        yield Problem(path, place, f"{entry.replaces} has no contact on this day", f"e.g. {near}")
