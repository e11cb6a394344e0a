"""Point tables for tests, written as vendors write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl

from hil.registers.pointtable import Choices, Imported, recognise

# Settles what most small tables leave open, so that a test sees the one thing that it is about.
PLAIN = Choices(
    kind="storage", base="0", order="ABCD", tables=(("yc", "holding"), ("yx", "holding")),
    type="u16", access="r", sign="unsigned",
)  # fmt: skip
OPEN = Choices(kind="storage")


def text_file(folder: Path, text: str, encoding: str = "utf-8", name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def workbook(
    folder: Path,
    sheets: dict[str, Sequence[Sequence[object]]],
    merged: dict[str, Sequence[str]] | None = None,
    formats: dict[str, str] | None = None,
    hidden: Sequence[str] = (),
) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
        for area in (merged or {}).get(name, ()):
            sheet.merge_cells(area)
        for cell, shown in (formats or {}).items():
            sheet[cell].number_format = shown
        if name in hidden:
            sheet.sheet_state = "hidden"
    path = folder / "table.xlsx"
    book.save(path)
    return path


def read(folder: Path, text: str, choices: Choices = PLAIN, **given: Any) -> Imported:
    """Return what is made of a csv table under `choices` with `given` changed."""
    samples = given.pop("samples", None)
    return recognise(text_file(folder, text), replace(choices, **given), samples)


def points(found: Imported) -> dict[str, dict[str, Any]]:
    return {point["name"]: point for point in found.data["points"]}


def doubted(found: Imported) -> dict[str, tuple[str, ...]]:
    """Return the doubts: field and the values to choose from."""
    return {d.field: tuple(o.value for o in d.options) for d in found.doubts}


def found_text(found: Imported) -> str:
    return "\n".join(f"{f.place}: {f.what} [{f.evidence}]" for f in found.findings)


def wrong(found: Imported) -> list[tuple[str, str]]:
    """Return place and value of each problem."""
    return [(p.place, p.value) for p in found.problems]
