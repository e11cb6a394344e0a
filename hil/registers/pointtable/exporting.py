"""A register map as a point table that the import reads back as the same map.

Everything is carried, in columns: what vendors' tables have as they have it, the rest (sources,
commands, the map's own manners) in columns of its own behind them; values of the map as a whole
stand in the first row. Headers state base, scale and unit of limits, so that no doubt is left.
A text file is UTF-8 with a byte order mark, since Excel opens it; a workbook has a sheet a class.

Not carried, and refused: texts that begin or end with blanks, hold control characters, or, in a
meaning, two blanks together; points without an own name or with a unit that maps do not know.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hil.registers.pointtable.mapdata import MAP_COLUMNS
from hil.registers.pointtable.twincells import write_commands, write_source
from hil.registers.pointtable.words import export_columns, is_reserved, table_of_words
from hil.registers.pointtable.workbook import write_workbook
from hil.registers.schema import Command, RegisterMap, Reserved, WirePoint
from twin.errors import InputProblems, Problem

__all__ = ["export_table"]

FUNCTIONS = {
    ("coil", "r"): "01", ("coil", "w"): "05/15", ("coil", "rw"): "01/05/15",
    ("discrete", "r"): "02", ("input", "r"): "04",
    ("holding", "r"): "03", ("holding", "w"): "06/16", ("holding", "rw"): "03/06/16",
}  # fmt: skip
SPARE = "预留"

Cells = dict[str, object]


def export_table(one: RegisterMap, path: str | Path) -> None:
    """Write a map as a point table.

    Parameters
    ----------
    one : the map
    path : ends with ``.csv``, ``.txt`` (tabs) or ``.xlsx``

    Raises
    ------
    InputProblems  the file cannot be written, or a text would not come back as it is
    """
    path = Path(path)
    problems = _lossy(one)
    endings = {".csv": ",", ".txt": "\t", ".xlsx": ""}
    if path.suffix.lower() not in endings:
        problems.append(Problem(str(path), "file", path.suffix or "no ending", ".csv, .txt, .xlsx"))
    if problems:
        raise InputProblems(problems)
    columns = export_columns()
    rows = _rows(one)
    try:
        if path.suffix.lower() == ".xlsx":
            sheets: dict[str, list[list[object]]] = {}
            for cls, sheet in _classes().items():
                first = cls == "yc"
                mine = [r for r in rows if r["class"] == sheet or (first and r["class"] == "")]
                sheets[sheet] = [list(columns.values()), *(_line(r, columns) for r in mine)]
            write_workbook(path, sheets)
            return
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, delimiter=endings[path.suffix.lower()])
            writer.writerow(columns.values())
            writer.writerows(_line(row, columns) for row in rows)
    except OSError as error:
        message = error.strerror or str(error)
        raise InputProblems([Problem(str(path), "file", message, "a file to write")]) from None


def _classes() -> dict[str, str]:
    """Return classes and their Chinese names."""
    return {cls: words[0] for cls, words in table_of_words()["classes"].items()}


def _line(row: Cells, columns: Mapping[str, str]) -> list[object]:
    return [row.get(column, "") for column in columns]


def _rows(one: RegisterMap) -> list[Cells]:
    """Return the cells of every row, by meaning of the column."""
    by_value: dict[str, dict[int, Command]] = {}
    for number, command in enumerate(one.commands):
        by_value.setdefault(command.value, {})[number] = command
    rows = [_point(point, by_value.get(point.name, {})) for point in one.points]
    rows += [_reserved(part) for part in one.reserved]
    for number, row in enumerate(rows, start=1):
        row["number"] = number
    if rows:
        # A workbook has a sheet a class, so the first row of the map may be in any of them.
        rows[0] |= _whole(one)
    return rows


def _point(point: WirePoint, commands: Mapping[int, Command]) -> Cells:
    words = table_of_words()
    cells: Cells = {
        "class": _classes()[point.cls],
        "identifier": point.name,
        "name": point.meaning_zh,
        "name_en": point.meaning,
        "table": words["tables"][point.table][0],
        "fc": FUNCTIONS[point.table, point.access],
        "address": point.address,
        # By its name: a bare number may count from 1.
        "bit": "" if point.bit is None else f"bit{point.bit}",
        "count": point.width,
        "type": point.type,
        "factor": point.scale,
        "unit": point.unit,
        "low": "" if point.low is None else point.low,
        "high": "" if point.high is None else point.high,
        "access": {"r": "R", "w": "W", "rw": "RW"}[point.access],
        "order": point.order or "",
        "partial": words["partial"][point.partial][0] if point.partial != "refuse" else "",
        "na": "" if point.na is None else hex(point.na),
        "twin_command": write_commands(commands),
    }
    return cells | write_source(point.source)


def _reserved(part: Reserved) -> Cells:
    return {
        "class": "",
        "name": SPARE,
        "table": table_of_words()["tables"][part.table][0],
        "address": part.first,
        "count": part.last - part.first + 1,
    }


def _whole(one: RegisterMap) -> Cells:
    data = one.model_dump()
    cells: Cells = {"slave": one.unit}
    for column, key in MAP_COLUMNS.items():
        value: Any = data
        for part in key.split("."):
            value = value[part]
        cells[column] = value
    return cells


def _lossy(one: RegisterMap) -> list[Problem]:
    """Return a problem for each text that would not come back as it is."""
    found = []
    texts = {key: value for key, value in _whole(one).items() if isinstance(value, str)}
    places = {f"map: {MAP_COLUMNS[column]}": text for column, text in texts.items()}
    for number, point in enumerate(one.points):
        place = f"points.{number} ({point.name})"
        source = "" if point.source is None else point.source.text or ""
        places |= {f"{place}: unit": point.unit, f"{place}: source.text": source}
        for key, text in (("meaning", point.meaning), ("meaning_zh", point.meaning_zh)):
            if text != " ".join(text.split()) or is_reserved(text):
                allowed = "single blanks within, no line breaks, and not the word for a spare place"
                found.append(Problem(one.name, f"{place}: {key}", repr(text), allowed))
    for place, text in places.items():
        if text != text.strip() or any(ord(c) < 32 for c in text):
            allowed = "no blanks at its ends, no control characters"
            found.append(Problem(one.name, place, repr(text), allowed))
    if not one.points:
        found.append(Problem(one.name, "points", "none", "at least one point"))
    return found
