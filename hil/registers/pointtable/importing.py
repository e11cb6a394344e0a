"""A vendor's point table becomes a register map, or says what it must be told first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.registers.files import check_map
from hil.registers.pointtable.findings import OPTIONS, Choices, Doubt, Finding, Notes, Place
from hil.registers.pointtable.headers import Block, find_rows
from hil.registers.pointtable.mapdata import map_data
from hil.registers.pointtable.points import Built, build_points
from hil.registers.pointtable.rawtable import RawFile, read_table
from hil.registers.pointtable.readings import with_readings
from hil.registers.pointtable.samples import Decoded, decode_samples
from hil.registers.schema import RegisterMap
from twin.errors import InputProblems, Problem

__all__ = ["Dialect", "Imported", "import_table", "recognise"]

_POINT = re.compile(r"points\.(\d+)(?:\.([a-z_.]+))? \(([^)]*)\)")
_OVERLAP = re.compile(r"overlaps (\S+) at")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written.

    Attributes
    ----------
    encoding, delimiter : of a text file, empty for a workbook
    blocks : header rows and what their columns mean
    """

    encoding: str
    delimiter: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was made of a table.

    Attributes
    ----------
    file : as given
    dialect : how it is written
    map : None while there are doubts or problems
    data : the map as JSON has it, under the first reading of each doubt
    findings, doubts, problems : see `Notes`
    decoded : samples, under the first reading of each doubt
    """

    file: str
    dialect: Dialect
    map: RegisterMap | None
    data: Mapping[str, Any]
    findings: tuple[Finding, ...]
    doubts: tuple[Doubt, ...]
    problems: tuple[Problem, ...]
    decoded: tuple[Decoded, ...] = ()


def import_table(
    path: str | Path,
    choices: Choices | None = None,
    samples: Mapping[int, int] | None = None,
) -> Imported:
    """Return the register map of a vendor's point table.

    Parameters
    ----------
    path : xlsx, csv or txt
    choices : what the user states
    samples : words read from a real device, by register address on the wire

    Raises
    ------
    InputProblems  everything that is wrong with the table, and every doubt with the options
        that settle it
    """
    found = recognise(path, choices, samples)
    problems = [doubt.problem(found.file) for doubt in found.doubts]
    problems += found.problems
    if problems or found.map is None:
        raise InputProblems(problems)
    return found


def recognise(
    path: str | Path,
    choices: Choices | None = None,
    samples: Mapping[int, int] | None = None,
) -> Imported:
    """Return what can be said of a table, doubts and problems among it; raises nothing."""
    choices = Choices() if choices is None else choices
    path = Path(path)
    notes = Notes(str(path))
    words = _checked(samples or {}, notes)
    raw = read_table(path, notes, choices.encoding)
    layout, built, data = _draft(raw, path, choices, notes)
    _not_needed(choices, notes)
    doubts = notes.doubts()
    one = None
    if data and not [d for d in doubts if d.field != "kind"]:
        try:
            one = check_map(data, str(path))
        except InputProblems as error:
            known = [p for p in error.problems if p.place != "kind" or choices.kind is not None]
            for problem in known:
                notes.add(_at_row(problem, built, data))
        if doubts or notes.problems:
            one = None
    if doubts:

        def rebuilt(other: Choices) -> tuple[Built, Mapping[str, Any]]:
            return _draft(raw, path, other, Notes(str(path)))[1:]

        doubts = with_readings(doubts, choices, words, raw.readings, rebuilt)
    return Imported(
        str(path),
        Dialect(raw.encoding, raw.delimiter, layout),
        one,
        data,
        notes.findings(),
        doubts,
        notes.problems,
        decode_samples(data, words),
    )


def _draft(
    raw: RawFile, path: Path, choices: Choices, notes: Notes
) -> tuple[tuple[Block, ...], Built, dict[str, Any]]:
    """Return blocks, points and the map's data, empty where there are no rows."""
    if not raw.tables:
        return (), Built(), {}
    layout = find_rows(raw.tables, choices.sheets, notes)
    if not layout.rows:
        if layout.blocks:
            notes.wrong(Place(""), "", "a header and no points", "a row for each point")
        return layout.blocks, Built(), {}
    built = build_points(layout, choices, notes)
    return layout.blocks, built, map_data(layout, built, path, choices, notes)


def _not_needed(choices: Choices, notes: Notes) -> None:
    """Say which choices decided nothing, since the table speaks for itself or has no such row."""
    used = {finding.evidence for finding in notes.findings()}
    for name, (option, _) in OPTIONS.items():
        value = getattr(choices, name)
        if value in (None, ()) or name == "sheets" or option in used:
            continue
        shown = " ".join("=".join(pair) for pair in value) if name == "tables" else value
        evidence = "the table leaves nothing open there"
        notes.find(Place(""), f"{option} {shown} decided nothing", evidence)


def _checked(samples: Mapping[int, int], notes: Notes) -> dict[int, int]:
    good = {}
    for address, word in samples.items():
        if 0 <= address <= 65535 and 0 <= word <= 65535:
            good[address] = word
        else:
            notes.add(Problem("samples", str(address), str(word), "0 to 65535"))
    return good


def _at_row(problem: Problem, built: Built, data: Mapping[str, Any]) -> Problem:
    """Return a problem of the map with the row from which its point comes."""
    match = _POINT.match(problem.place)
    if match is None:
        return problem
    place = f"{built.places[int(match[1])]}: {match[2] or 'point'} ({match[3]})"
    other = _OVERLAP.search(problem.value)
    value = problem.value
    if other is not None:
        names = [point["name"] for point in data["points"]]
        row = built.places[names.index(other[1])]
        value = value.replace(other[0], f"overlaps {other[1]} ({row}) at")
    return Problem(problem.file, place, value, problem.allowed)
