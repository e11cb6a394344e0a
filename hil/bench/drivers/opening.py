"""From entries of a bench file to instruments; nothing is asked over a line yet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hil.bench.clock import Clock
from hil.bench.drivers.accuracy import Accuracy
from hil.bench.drivers.entries import (
    InstrumentEntry,
    MeterFakeEntry,
    MeterManualEntry,
    MeterModbusEntry,
    PersonTerminalEntry,
    RelayFakeEntry,
    RelayManualEntry,
    RelayModbusEntry,
    SourceFakeEntry,
    SourceManualEntry,
    SourceScpiEntry,
)
from hil.bench.drivers.meter_fake import MeterFake
from hil.bench.drivers.meter_manual import MeterManual
from hil.bench.drivers.meter_modbus import Counters, MeterModbus, kilo
from hil.bench.drivers.person_terminal import PersonTerminal
from hil.bench.drivers.relay_fake import RelayFake
from hil.bench.drivers.relay_manual import RelayManual
from hil.bench.drivers.relay_modbus import Contact, RelayModbus
from hil.bench.drivers.scpi import Scpi
from hil.bench.drivers.source_fake import SourceFake
from hil.bench.drivers.source_manual import SourceManual
from hil.bench.drivers.source_scpi import ScpiWords, SourceScpi
from hil.bench.line import Line, LineSpec, Speaking
from hil.bench.roles import GridSource, Meter, NobodyAnswered, Person, Relay
from hil.registers.files import load_map
from twin.errors import InputProblems, Problem

__all__ = ["DRIVERS", "Means", "instrument_problems", "open_instrument", "role_of"]

Opened = Meter | GridSource | Relay | Person


def _line(spec: LineSpec) -> Speaking:
    return Line(spec)


def _anything(name: str, command: str) -> None:
    """Let every command pass."""


@dataclass(frozen=True, slots=True)
class Means:
    """What instruments are made with.

    Attributes
    ----------
    clock : the bench's
    person : who is asked by manual drivers; None: somebody at this program's terminal
    line : makes the way to a Modbus instrument; units of one line may share their wire
    before : told (instrument, command) before anything that moves a source or a relay is
        sent; writes the journal, and raises `Forbidden` on a bench that runs dry
    """

    clock: Clock
    person: Person | None = None
    line: Callable[[LineSpec], Speaking] = _line
    before: Callable[[str, str], None] = _anything

    def asking(self) -> Person:
        """Return who is asked."""
        if self.person is not None:
            return self.person
        return _somebody("person", None)

    def told(self, name: str) -> Callable[[str], None]:
        """Return what an instrument calls before it moves anything."""
        return lambda command: self.before(name, command)


def open_instrument(entry: InstrumentEntry, means: Means) -> Opened:
    """Return the instrument of an entry; a Modbus meter's map must be there (InputProblems)."""
    return DRIVERS[entry.driver](entry, means)


def role_of(entry: InstrumentEntry) -> str:
    """Return the role that an entry fills: meter, meter_auxiliary, source, relay or person."""
    role = entry.driver.partition("_")[0]
    return f"{role}_auxiliary" if getattr(entry, "auxiliary", False) else role


def instrument_problems(
    entries: Iterable[InstrumentEntry], devices: Iterable[str], file: str
) -> list[Problem]:
    """Return what is wrong with instruments beyond what one entry says of itself.

    Parameters
    ----------
    devices : names of the bench's devices
    file : named in problems
    """
    known, found = list(devices), []
    seen: dict[str, int] = {}
    at: dict[tuple[str, str], str] = {}
    for number, entry in enumerate(entries):
        place = f"instruments.{number} ({entry.name})"
        before = seen.setdefault(entry.name, number)
        if before != number:
            found.append(Problem(file, place, f"named as instruments.{before}", "its own name"))
        if entry.device not in ("", *known):
            allowed = f"one of {', '.join(known) or 'no devices'}, or ''"
            found.append(Problem(file, f"{place}.device", repr(entry.device), allowed))
        role = role_of(entry)
        other = at.setdefault((role, entry.device), entry.name)
        if other != entry.name:
            found.append(Problem(file, place, f"a {role} where {other} is", f"one {role} a place"))
        if isinstance(entry, MeterModbusEntry):
            found += _map_problems(entry, place, file)
    return found


def _map_problems(entry: MeterModbusEntry, place: str, file: str) -> list[Problem]:
    try:
        one = load_map(entry.map)
    except InputProblems as error:
        return [Problem(file, f"{place}.map", str(p), "a register map") for p in error.problems]
    found = []
    for key in ("point", "into_grid", "from_grid"):
        name = getattr(entry, key)
        if name == "" and key != "point":
            continue
        try:
            kilo(one.point(name))
        except KeyError:
            allowed = "a point of the map: " + ", ".join(p.name for p in one.points)
            found.append(Problem(file, f"{place}.{key}", repr(name), allowed))
        except ValueError as error:
            found.append(Problem(file, f"{place}.{key}", str(error), "a power or energy"))
    return found


# -- one maker a driver --------------------------------------------------------------------------


def _meter_fake(entry: MeterFakeEntry, means: Means) -> MeterFake:
    return MeterFake(entry.name, means.clock, entry.power_kw, sampling_s=entry.sampling_s)


def _meter_manual(entry: MeterManualEntry, means: Means) -> MeterManual:
    accuracy = Accuracy(entry.class_pct, entry.range_kw, entry.resolution_kw)
    about = entry.about(entry.class_pct)
    return MeterManual(about, means.clock, means.asking(), accuracy, entry.counters)


def _meter_modbus(entry: MeterModbusEntry, means: Means) -> MeterModbus:
    counters = Counters(entry.into_grid, entry.from_grid) if entry.into_grid != "" else None
    return MeterModbus(
        entry.about(entry.class_pct), means.clock, means.line(entry.spec()), load_map(entry.map),
        entry.point, 1 if entry.positive == "into_grid" else -1, entry.class_pct, entry.range_kw,
        counters,
    )  # fmt: skip


def _source_fake(entry: SourceFakeEntry, means: Means) -> SourceFake:
    return SourceFake(entry.name, means.clock)


def _source_manual(entry: SourceManualEntry, means: Means) -> SourceManual:
    return SourceManual(
        entry.about(entry.class_pct), means.clock, means.asking(), entry.nominal_v, entry.reach(),
        entry.errors(), means.told(entry.name),
    )  # fmt: skip


def _source_scpi(entry: SourceScpiEntry, means: Means) -> SourceScpi:
    return SourceScpi(
        entry.about(entry.class_pct), means.clock,
        Scpi(entry.name, entry.host, entry.port, entry.timeout_s), entry.nominal_v,
        entry.reach(), entry.errors(), ScpiWords(**entry.words.model_dump()),
        means.told(entry.name),
    )  # fmt: skip


def _relay_fake(entry: RelayFakeEntry, means: Means) -> RelayFake:
    return RelayFake(entry.name, means.clock)


def _relay_manual(entry: RelayManualEntry, means: Means) -> RelayManual:
    return RelayManual(entry.about(), means.asking(), means.told(entry.name))


def _relay_modbus(entry: RelayModbusEntry, means: Means) -> RelayModbus:
    order = Contact(entry.table, entry.address, entry.on, entry.off)
    shown = order
    if entry.shown_table is not None and entry.shown_address is not None:
        shown = Contact(entry.shown_table, entry.shown_address, *entry.shown_words())
    line = means.line(entry.spec())
    return RelayModbus(
        entry.about(), means.clock, line, order, shown, means.told(entry.name)
    )  # fmt: skip


def _person_terminal(entry: PersonTerminalEntry, means: Means) -> Person:
    return _somebody(entry.name, entry.timeout_s)


def _somebody(name: str, timeout_s: float | None) -> Person:
    """Return a person at this program's terminal; NobodyAnswered where it has none."""
    try:
        answers = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        raise NobodyAnswered(f"{name}: this program has no terminal to ask at") from None
    if timeout_s is None:
        return PersonTerminal(name, answers, sys.stderr)
    return PersonTerminal(name, answers, sys.stderr, timeout_s)


DRIVERS: Mapping[str, Callable[[Any, Means], Opened]] = {
    "meter_fake": _meter_fake,
    "meter_manual": _meter_manual,
    "meter_modbus": _meter_modbus,
    "person_terminal": _person_terminal,
    "relay_fake": _relay_fake,
    "relay_manual": _relay_manual,
    "relay_modbus": _relay_modbus,
    "source_fake": _source_fake,
    "source_manual": _source_manual,
    "source_scpi": _source_scpi,
}
