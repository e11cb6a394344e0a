"""Where on the wire the rows of a table lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hil.registers.pointtable.bases import settle_base
from hil.registers.pointtable.findings import Choices, Notes
from hil.registers.pointtable.headers import Layout, Row
from hil.registers.pointtable.words import shape, statements
from hil.registers.pointtable.written import ALLOWED, Written, area_of, read_address

__all__ = ["Located", "locate"]

# D100 is a register of many a PLC, and 0xD100.
_DEVICE = re.compile(r"[bd]\d+")


@dataclass(frozen=True, slots=True)
class Located:
    """Where a row's point is on the wire.

    Attributes
    ----------
    address : of the first register (or bit of a bit table), from 0
    registers : that a range covers, None where no range is given
    table : that the address itself tells (40001), or None
    written : the address as written
    """

    address: int
    registers: int | None
    table: str | None
    written: Written


def locate(
    layout: Layout,
    allowed: Mapping[int, frozenset[str]],
    choices: Choices,
    notes: Notes,
) -> dict[int, Located]:
    """Return where the rows are on the wire, by index of the row.

    Parameters
    ----------
    layout : the rows
    allowed : by index, tables that function code, area column and class leave open
    choices : base and notation where stated

    A row without a readable address is a problem and left out. Where notation or base stay in
    doubt, the first reading is used.
    """
    written = {}
    for index, row in enumerate(layout.rows):
        text = row.get("address") or row.get("address_hex")
        found = read_address(text)
        if found is None:
            notes.wrong(row.place, "address", repr(text) if text != "" else "", ALLOWED)
        else:
            written[index] = found
    if not written:
        return {}
    _one_bit(layout.rows, written, notes)
    hexadecimal = _hexadecimal(layout, written, choices, notes)
    numbers = {i: w.number(w.first, hexadecimal[i]) for i, w in written.items()}
    base = settle_base(layout, written, numbers, allowed, choices, notes)
    located: dict[int, Located] = {}
    for index, one in written.items():
        place = _on_wire(layout.rows[index], one, numbers[index], hexadecimal[index], base, notes)
        if place is not None:
            located[index] = place
    _agree(layout, located, numbers, notes)
    return located


def _one_bit(rows: Sequence[Row], written: Mapping[int, Written], notes: Notes) -> None:
    """Refuse bit 1 that may be bit 10: a number loses its last zero in Excel."""
    texts = {i: shape(rows[i].get("address")) for i in written}
    near: dict[str, set[int]] = {}
    for one in written.values():
        if one.bit is not None:
            near.setdefault(one.first, set()).add(one.bit)
    for index, one in written.items():
        if one.bit != 1 or not texts[index].endswith(".1"):
            continue
        around = [written[j] for j in (index - 1, index + 1) if j in written]
        if any(w.first == one.first and w.bit in (9, 11) for w in around):
            allowed = "the address as text: 1000.10 is bit 10, 1000.1 is bit 1"
            value = f"{texts[index]!r} beside bit 9 or 11"
            notes.wrong(rows[index].place, "address", value, allowed)


def _hexadecimal(
    layout: Layout, written: Mapping[int, Written], choices: Choices, notes: Notes
) -> dict[int, bool]:
    """Return by row whether its unmarked address is hexadecimal."""
    found: dict[int, bool] = {}
    places = [layout.rows[i].place for i in written]
    stated: dict[int, bool] = {}
    for index in written:
        row = layout.rows[index]
        column = row.block.columns.get("address" if row.get("address") != "" else "address_hex")
        said = set() if column is None else set(statements("notation", column.text))
        if len(said) == 1:
            stated[index] = said == {"hex"}
    open_ = {i: w for i, w in written.items() if w.style in ("digits", "letters")}
    if choices.notation is not None:
        found = dict.fromkeys(open_, choices.notation == "hex")
        notes.find(places[0], f"unmarked addresses are {choices.notation}", "--notation")
    elif len(stated) == len(written):
        found = {i: stated[i] for i in open_}
        for index, is_hex in found.items():
            what = f"unmarked addresses are {'hexadecimal' if is_hex else 'decimal'}"
            notes.find(layout.rows[index].place, what, "the column's header")
    elif any(w.style == "letters" for w in open_.values()):
        found = dict.fromkeys(open_, True)
        letters = [w.first for w in open_.values() if w.style == "letters"]
        device = all(_DEVICE.fullmatch(text) for text in letters)
        for index in open_:
            place = layout.rows[index].place
            if device:
                what, evidence = "addresses may be hexadecimal, or a PLC's registers", letters[0]
                notes.doubt("notation", place, what, evidence, ("hex",))
            else:
                notes.find(place, "unmarked addresses are hexadecimal", letters[0])
    else:
        marked = any(w.style == "hex" for w in written.values())
        found = dict.fromkeys(open_, _digits(layout, written, open_, marked, notes))
    return {i: found.get(i, False) for i in written}


def _digits(
    layout: Layout,
    written: Mapping[int, Written],
    open_: Mapping[int, Written],
    marked: bool,
    notes: Notes,
) -> bool:
    """Settle addresses of digits only; in doubt beside marked ones, or padded to four digits."""
    if not open_:
        return False
    padded = all(len(w.first) == 4 for w in open_.values()) and any(
        w.first.startswith("0") for w in open_.values()
    )
    numbers = [int(w.first) for w in open_.values()]
    if padded and any(b - a == 1 and a % 10 == 9 for a, b in pairwise(numbers)):
        padded = False
    evidence, others = "no mark, no letter", ("hexadecimal",)
    if marked:
        decimal, hexadecimal = (_ascends(written, base) for base in (10, 16))
        if decimal != hexadecimal:
            marked, evidence = (
                False,
                f"beside marked ones they ascend as {'hexa' * hexadecimal}decimal",
            )
            if hexadecimal:
                for index in open_:
                    place = layout.rows[index].place
                    notes.find(place, "addresses of digits only are hexadecimal", evidence)
                return True
    if not (marked or (padded and max(numbers) > 9)):
        for index in open_:
            notes.find(
                layout.rows[index].place, "addresses of digits only are decimal", evidence, others
            )
        return False
    evidence = "beside addresses marked 0x or H" if marked else "four digits with leading zeros"
    for index in open_:
        what = "addresses of digits only may be decimal or hexadecimal"
        notes.doubt("notation", layout.rows[index].place, what, evidence, ("decimal", "hex"))
    return False


def _ascends(written: Mapping[int, Written], base: int) -> bool:
    """Return whether the addresses ascend down the rows, digits read in `base`."""
    numbers = [w.number(w.first, hexadecimal=base == 16) for w in written.values()]
    return all(a <= b for a, b in pairwise(numbers))


def _on_wire(
    row: Row, one: Written, number: int, hexadecimal: bool, base: str, notes: Notes
) -> Located | None:
    table = None
    wire = number - (base == "1")
    if base == "modicon" or one.style == "area":
        found = None if one.style in ("hex", "letters") else area_of(one.first)
        if found is None:
            allowed = "0, 1, 3 or 4 and four or five digits from 0001, such as 40001"
            notes.wrong(row.place, "address", repr(one.first), allowed)
            return None
        table, wire = found[0], found[1] - 1
    if not 0 <= wire <= 65535:
        least, most = (1, 65536) if base == "1" else (0, 65535)
        notes.wrong(row.place, "address", repr(one.first), f"{least} to {most}")
        return None
    registers = None
    if one.last != "":
        registers = one.number(one.last, hexadecimal) - one.number(one.first, hexadecimal) + 1
        if registers < 1:
            notes.wrong(row.place, "address", f"{one.first}-{one.last}", "first to last, ascending")
            return None
    return Located(wire, registers, table, one)


def _agree(
    layout: Layout, located: Mapping[int, Located], numbers: Mapping[int, int], notes: Notes
) -> None:
    """Hold the hexadecimal column against the decimal one."""
    for index, one in located.items():
        row = layout.rows[index]
        other = read_address(row.get("address_hex"))
        if other is None or row.get("address") == "":
            continue
        given = other.number(other.first, hexadecimal=True)
        if given not in (one.address, numbers[index]):
            value = f"{row.get('address')} and {row.get('address_hex')}"
            notes.wrong(row.place, "address", value, "the same address in both columns")
