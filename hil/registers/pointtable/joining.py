"""Which rows are points at all: station numbers, values over several rows, order, spare rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from hil.registers.pointtable.addresses import Located
from hil.registers.pointtable.findings import Choices, Notes, Place
from hil.registers.pointtable.headers import Layout, Row
from hil.registers.pointtable.wiretypes import read_type
from hil.registers.pointtable.words import is_reserved, plain, shape
from hil.registers.pointtable.written import read_address

__all__ = ["bare_types", "is_spare", "joined", "of_one_unit", "sequence"]

_UNIT = re.compile(r"(?:0x)?\d{1,3}")


def of_one_unit(layout: Layout, choices: Choices, notes: Notes) -> tuple[Layout, int | None]:
    """Return the rows of one station, and its number where the table gives one.

    A table of several stations is in doubt until one is chosen.
    """
    units: dict[int, int] = {}
    for index, row in enumerate(layout.rows):
        text = row.get("slave")
        written = read_address(row.get("address"))
        if text != "":
            if _UNIT.fullmatch(shape(text)) is None:
                notes.wrong(row.place, "slave", repr(text), "a station number, 1 to 247")
            else:
                units[index] = int(shape(text), 0) if "x" in shape(text) else int(shape(text))
        elif written is not None and written.unit is not None:
            units[index] = written.unit
    numbers = sorted(set(units.values()))
    if len(numbers) < 2:
        return layout, numbers[0] if numbers else None
    texts = [str(n) for n in numbers]
    if choices.unit is None:
        for index in units:
            what = "the table has several stations, a map is of one"
            evidence = "station numbers " + ", ".join(texts)
            notes.doubt("unit", layout.rows[index].place, what, evidence, texts)
        chosen = numbers[0]
    else:
        chosen = int(choices.unit)
        if chosen not in numbers:
            notes.wrong(Place(""), "--unit", choices.unit, "one of " + ", ".join(texts))
    kept = []
    for index, row in enumerate(layout.rows):
        if units.get(index, chosen) == chosen:
            kept.append(row)
        else:
            notes.find(row.place, f"left out: not of station {chosen}", "--unit")
    return replace(layout, rows=tuple(kept)), chosen


def joined(layout: Layout, notes: Notes) -> tuple[Layout, dict[int, int]]:
    """Return rows with each value once, and the registers of those that stood in several rows.

    A 32-bit value is sometimes drawn over two rows, with one merged name and two addresses.
    """
    kept: list[Row] = []
    registers: dict[int, int] = {}
    for row in layout.rows:
        before = kept[-1] if kept else None
        if before is not None and _goes_on(before, row, registers.get(len(kept) - 1, 1)):
            index = len(kept) - 1
            registers[index] = registers.get(index, 1) + 1
            what, evidence = "goes on the value above", "merged name, next address"
            notes.find(row.place, what, evidence, ("a point of its own",))
        else:
            kept.append(row)
    return replace(layout, rows=tuple(kept)), registers


def sequence(layout: Layout, notes: Notes) -> Layout:
    """Return the rows in the order of their numbers, where each has one of its own."""
    texts = [row.get("number") for row in layout.rows]
    if not all(text.isdecimal() for text in texts):
        return layout
    numbers = [int(text) for text in texts]
    if len(set(numbers)) < len(numbers) or numbers == sorted(numbers):
        return layout
    for row in layout.rows:
        notes.find(row.place, "points stand in the order of their numbers", "each number once")
    return replace(layout, rows=tuple(row for _, row in sorted(zip(numbers, layout.rows))))  # noqa: B905


def is_spare(row: Row) -> bool:
    """Return whether a row only says that its place is kept free."""
    name = row.get("name") or row.get("name_en")
    return is_reserved(name)


def bare_types(layout: Layout, located: Mapping[int, Located]) -> dict[str, bool]:
    """Return, by a type word without bits such as INT, whether it must be one register wide.

    That is so where the next point begins one register after a point of that type.
    """
    taken = {
        (id(layout.rows[i].block), one.table, one.address)
        for i, one in located.items()
        if one.written.bit is None
    }
    found: dict[str, bool] = {}
    for index, one in located.items():
        row = layout.rows[index]
        said = read_type(row.get("type"))
        if said is not None and said.family == "int" and said.bits is None:
            word = plain(row.get("type"))
            next_ = (id(row.block), one.table, one.address + 1)
            found[word] = found.get(word, False) or next_ in taken
    return found


def _goes_on(before: Row, row: Row, so_far: int) -> bool:
    said = read_type(before.get("type"))
    first, second = read_address(before.get("address")), read_address(row.get("address"))
    return (
        before.place.sheet == row.place.sheet
        and before.get("name") != ""
        and before.origins.get("name") == row.origins.get("name")
        and before.origins.get("address") != row.origins.get("address")
        and row.get("bit") == ""
        and said is not None
        and said.bits is not None
        and said.bits > 16 * so_far
        and first is not None
        and second is not None
        and second.number(second.first, True) == first.number(first.first, True) + so_far
    )
