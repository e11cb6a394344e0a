"""Addresses as vendors write them, and where on the wire they lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hil.registers.pointtable.findings import Choices, Notes
from hil.registers.pointtable.headers import Layout, Row
from hil.registers.pointtable.words import shape, statements

__all__ = ["AREAS", "Located", "Written", "locate", "read_address"]

# First digit of a five- or six-digit address, and its table.
AREAS = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
ALLOWED = (
    "an address such as 1000, 0x5B02, 5B02H, 40001, 400001, 4x0001; with a bit 1000.3; "
    "a range 1000-1003"
)
_ONE = r"0x[0-9a-f]+|[0134]x\d{4,5}|[0-9a-f]+h|[0-9a-f]+"
_ADDRESS = re.compile(
    rf"(?:(?P<unit>\d{{1,3}})!)?(?P<first>{_ONE})(?:(?:-|~|至|,|/|\.\.)(?P<last>{_ONE}))?"
    r"(?:[.:](?:bit)?(?P<bit>\d{1,3}|[a-f])(?P<letter>[hlde]?)|\[(?:bit)?(?P<index>\d{1,2})\])?"
    r"(?:#(?P<order>[bl]{1,2}))?"
)


@dataclass(frozen=True, slots=True)
class Written:
    """An address as it is written.

    Attributes
    ----------
    first, last : the texts; `last` is empty where no range is given
    bit : of the register, or None
    room : bytes of a text, of the form ``1!40001.20H``, or None
    unit : station number before ``!``, or None
    order : letters after ``#``, or None
    """

    first: str
    last: str = ""
    bit: int | None = None
    room: int | None = None
    unit: int | None = None
    order: str | None = None

    @property
    def style(self) -> str:
        """Return ``hex`` (marked), ``area`` (4x0001), ``letters`` (5B02) or ``digits``."""
        if self.first.startswith("0x") or (self.first.endswith("h") and "x" not in self.first):
            return "hex"
        if "x" in self.first:
            return "area"
        return "digits" if self.first.isdecimal() else "letters"

    def number(self, text: str, hexadecimal: bool) -> int:
        """Return one of the texts as a number."""
        if self.style == "hex":
            return int(text.removeprefix("0x").removesuffix("h"), 16)
        if "x" in text:
            return int(text[2:])
        return int(text, 16 if hexadecimal or not text.isdecimal() else 10)


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


def read_address(text: str) -> Written | None:
    """Return an address as written, None where the text is none.

    >>> read_address("5B02H").first, read_address("1000.3").bit, read_address("1!40001.20H").room
    ('5b02h', 3, 20)
    >>> read_address("电压") is None
    True
    """
    match = _ADDRESS.fullmatch(re.sub(r"\s", "", shape(text)))
    if match is None:
        return None
    bit, index = match["bit"], match["index"]
    number = None if bit is None else int(bit, 16 if bit in "abcdef" else 10)
    number = int(index) if index is not None else number
    room = number if number is not None and (match["letter"] or number > 15) else None
    return Written(
        match["first"],
        match["last"] or "",
        None if room is not None else number,
        room,
        None if match["unit"] is None else int(match["unit"]),
        match["order"],
    )


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
    base = _base(layout, written, numbers, allowed, choices, notes)
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
        example = next(w.first for w in open_.values() if w.style == "letters")
        for index in open_:
            notes.find(layout.rows[index].place, "unmarked addresses are hexadecimal", example)
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


def _base(
    layout: Layout,
    written: Mapping[int, Written],
    numbers: Mapping[int, int],
    allowed: Mapping[int, frozenset[str]],
    choices: Choices,
    notes: Notes,
) -> str:
    """Return ``0``, ``1`` or ``modicon``; a doubt where more than one fits."""
    rows = [layout.rows[i].place for i in written if written[i].style != "area"]

    def settled(base: str, evidence: str, others: tuple[str, ...] = ()) -> str:
        what = {
            "0": "addresses count from 0, as on the wire",
            "1": "addresses count from 1: one less on the wire",
            "modicon": "addresses name table and register: 40001 is holding register 0",
        }[base]
        for place in rows:
            notes.find(place, what, evidence, others)
        return base

    if not rows:
        return "modicon"
    if choices.base is not None:
        return settled(choices.base, "--base")
    numbers = {i: n for i, n in numbers.items() if written[i].style != "area"}
    long = [i for i in numbers if _parts(written[i].first, 6) is not None]
    fits = _fits_areas(written, numbers, allowed)
    if fits and (len(long) == len(numbers)):
        return settled("modicon", "six digits, more than a wire address has")
    headers = [b.columns["address"].text for b in layout.blocks if "address" in b.columns]
    said = [set(statements("base", text)) for text in headers]
    if said and all(len(s) == 1 for s in said) and len(set.union(*said)) == 1:
        base = next(iter(said[0]))
        if not (fits and base == "1"):
            return settled(base, "the header of the address column")
    spoken: dict[str, str] = {}
    for text in layout.texts:
        spoken |= statements("base", text)
    if min(numbers.values()) == 0 and not fits:
        return settled("0", "address 0 occurs")
    if max(numbers.values()) == 65536:
        return settled("1", "address 65536 occurs")
    paired = _paired(layout, numbers)
    if paired is not None:
        return settled(paired, "the hexadecimal column gives the wire address")
    values: tuple[str, ...] = ("0", "1", "modicon") if fits else ("0", "1")
    strong = fits and _starts_an_area(written, numbers)
    if len(spoken) == 1 and not (fits and set(spoken) != {"modicon"}):
        base, words = next(iter(spoken.items()))
        if base in values:
            return settled(base, f"the table says {words!r}")
    if strong and not set(spoken) & {"0"}:
        return settled("modicon", strong, ("0", "1"))
    evidence = "no address 0, no note that tells"
    if spoken:
        values = tuple(v for v in values if v in spoken or v == "modicon")
        evidence = "the table says " + " and ".join(repr(w) for w in spoken.values())
    elif fits:
        evidence = "these may be wire addresses above 10000, or name table and register"
    for place in rows:
        notes.doubt("base", place, "what address counts as the first", evidence, values)
    return values[0]


def _parts(text: str, digits: int) -> tuple[str, int] | None:
    """Return table and register of an address such as 40001 or 400001, None where it is none."""
    if not text.isdecimal() or len(text) != digits or text[0] not in AREAS:
        return None
    register = int(text[1:])
    return (AREAS[text[0]], register) if 1 <= register <= 65536 else None


def _area(text: str) -> tuple[str, int] | None:
    if "x" in text and text[0] in AREAS:
        return AREAS[text[0]], int(text[2:])
    return _parts(text, 5) or _parts(text, 6)


def _fits_areas(
    written: Mapping[int, Written],
    numbers: Mapping[int, int],
    allowed: Mapping[int, frozenset[str]],
) -> bool:
    """Return whether every address names a table, and one that the rest of its row allows."""
    for index in numbers:
        found = _area(written[index].first) if written[index].style == "digits" else None
        if found is None or found[0] not in allowed[index]:
            return False
    return True


def _starts_an_area(written: Mapping[int, Written], numbers: Mapping[int, int]) -> str:
    """Return why five digits are table and register; empty where that is not certain."""
    found = [_area(written[i].first) for i in numbers]
    tables = {f[0] for f in found if f is not None}
    if len(tables) > 1:
        return "first digits of several tables, each as its row allows"
    if any(f is not None and f[1] == 1 for f in found) and tables != {"coil"}:
        return f"{next(iter(written.values())).first[0]}0001, the first of its table, occurs"
    return ""


def _paired(layout: Layout, numbers: Mapping[int, int]) -> str | None:
    """Return the base under which every decimal address is the hexadecimal one beside it."""
    pairs = []
    for index, number in numbers.items():
        row = layout.rows[index]
        other = read_address(row.get("address_hex"))
        if row.get("address") == "" or other is None:
            return None
        area = _area(row.get("address"))
        pairs.append((number, area, other.number(other.first, hexadecimal=True)))
    if all(h == n for n, _, h in pairs):
        return None
    if all(h == n - 1 for n, _, h in pairs):
        return "1"
    if all(a is not None and h == a[1] - 1 for _, a, h in pairs):
        return "modicon"
    return None


def _on_wire(
    row: Row, one: Written, number: int, hexadecimal: bool, base: str, notes: Notes
) -> Located | None:
    table = None
    wire = number - (base == "1")
    if base == "modicon" or one.style == "area":
        found = None if one.style in ("hex", "letters") else _area(one.first)
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
