"""Which of the four tables a point lies in, its class, and who may write it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hil.registers.pointtable.findings import Choices, Notes
from hil.registers.pointtable.headers import Layout, Row
from hil.registers.pointtable.wiretypes import read_type
from hil.registers.pointtable.words import lookup, shape, statements

__all__ = ["Area", "Hints", "read_functions", "read_hints", "settle_area"]

EVERY = frozenset({"coil", "discrete", "input", "holding"})
BITS = frozenset({"coil", "discrete"})
REGISTERS = frozenset({"input", "holding"})
WRITABLE = frozenset({"coil", "holding"})
READ = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
WRITE = {5: "coil", 15: "coil", 6: "holding", 16: "holding", 22: "holding", 23: "holding"}
# Tables that a class may lie in, best guess of the trade first (AI, DI, DO, AO).
BY_CLASS = {
    "yc": ("input", "holding"),
    "yx": ("discrete", "coil", "input", "holding"),
    "yk": ("coil", "holding"),
    "yt": ("holding",),
}
_CODE = re.compile(r"0x[0-9a-f]{1,2}|[0-9a-f]{1,2}h?")
FUNCTIONS = "function codes 1 to 6, 15, 16, 22, 23 of one table, such as 03 or 03/06/16"


@dataclass(frozen=True, slots=True)
class Hints:
    """What a row says of itself, before the address is understood.

    Attributes
    ----------
    tables : left open by function code, area column, type and class
    told : why they are, of these the strongest; empty where only class and type speak
    reads, writes : function codes say so
    cls : class, or None
    access : ``r``, ``w``, ``rw`` or None, by its column
    """

    tables: frozenset[str]
    told: str
    reads: bool
    writes: bool
    cls: str | None
    access: str | None


@dataclass(frozen=True, slots=True)
class Area:
    """Where a point lies, of which class it is, and its access."""

    table: str
    cls: str
    access: str


def read_functions(text: str) -> frozenset[int] | None:
    """Return the function codes that a text lists, None where one is no code of points.

    >>> sorted(read_functions("03/06/10H")), sorted(read_functions("FC04")), read_functions("99")
    ([3, 6, 16], [4], None)
    """
    shaped = re.sub(r"fc|功能码|读|写|[:()]", " ", shape(text))
    codes = set()
    for token in re.split(r"[\s,;、/和及+]+", shaped):
        if token == "":
            continue
        if _CODE.fullmatch(token) is None:
            return None
        digits = token.removeprefix("0x").removesuffix("h")
        bases = (16,) if digits != token or not digits.isdecimal() else (10, 16)
        known = [n for base in bases if (n := int(digits, base)) in READ or n in WRITE]
        if not known:
            return None
        codes.add(known[0])
    return frozenset(codes)


def read_hints(layout: Layout, notes: Notes) -> dict[int, Hints]:
    """Return what each row says of table, class and access, by index."""
    return {index: _hints(row, layout, notes) for index, row in enumerate(layout.rows)}


def settle_area(
    row: Row,
    hints: Hints,
    by_address: str | None,
    in_register: bool,
    choices: Choices,
    notes: Notes,
) -> Area | None:
    """Return a row's table, class and access; None, with a problem, where nothing fits.

    Parameters
    ----------
    by_address : table that the address names (40001), or None
    in_register : the row names a bit of a register, or takes several registers
    """
    open_ = hints.tables & REGISTERS if in_register else hints.tables
    if by_address is not None:
        open_ &= {by_address}
    if not open_:
        tables = ", ".join(sorted(hints.tables))
        value = f"{by_address or 'a register'} by its address or bit, {tables} by the rest"
        notes.wrong(row.place, "table", value, "one table for one point")
        return None
    cls = hints.cls
    assumed = cls or ("yt" if _writes(hints) else "yx" if _is_bit(row) else "yc")
    ordered = [t for t in (*BY_CLASS[assumed], *sorted(EVERY)) if t in open_]
    table = next(iter(dict.fromkeys(ordered)))
    if by_address is not None:
        notes.find(row.place, f"table {table}", "the address names it")
    elif len(open_) == 1:
        notes.find(row.place, f"table {table}", hints.told or "the only one for class and type")
    elif (chosen := choices.table(assumed, open_)) is not None:
        table = chosen
        notes.find(row.place, f"table {table}", "--table")
    else:
        values = [f"{assumed}={t}" for t in dict.fromkeys(ordered)]
        what = f"in which table points of class {assumed} lie"
        notes.doubt("tables", row.place, what, "no function code, no area, no note", values)
    access = _access(row, hints, table, choices, notes)
    if "w" in access and table not in WRITABLE:
        notes.wrong(row.place, "access", f"{access} in table {table}", "r: it cannot be written")
        return None
    return Area(table, cls or _class(row, table, access, notes), access)


def _hints(row: Row, layout: Layout, notes: Notes) -> Hints:
    cls = row.cls
    if row.get("class") != "":
        found = lookup("classes", row.get("class"))
        if found is None:
            notes.wrong(row.place, "class", repr(row.get("class")), "遥测, 遥信, 遥控 or 遥调")
        cls = found or cls
    elif cls is not None:
        notes.find(row.place, f"class {cls}", "the name of its sheet or section")
    access = None
    if row.get("access") != "":
        access = lookup("access", row.get("access"))
        if access is None:
            notes.wrong(row.place, "access", repr(row.get("access")), "R, W, RW, 只读, 只写, 读写")
    codes: set[int] = set()
    for meaning in ("fc", "fc_write"):
        read = read_functions(row.get(meaning))
        if read is None:
            notes.wrong(row.place, meaning, repr(row.get(meaning)), FUNCTIONS)
        codes |= read or set()
    said = read_type(row.get("type"))
    fitting = EVERY
    if said is not None and said.family in ("int", "float", "string", "bits"):
        fitting &= REGISTERS
    written = access is not None and "w" in access
    if written or bool(codes & WRITE.keys()) or cls in ("yk", "yt"):
        fitting &= WRITABLE
    if cls is not None:
        fitting = fitting & frozenset(BY_CLASS[cls]) or fitting
    tables, told = _named(row, codes, notes)
    if told == "":
        tables, told = _spoken(row, layout, fitting)
    # What its own columns say of the table stands, and is a problem where it does not fit.
    tables = tables & fitting or tables
    reads = bool(codes & READ.keys())
    return Hints(tables, told, reads, bool(codes & WRITE.keys()), cls, access)


def _named(row: Row, codes: Iterable[int], notes: Notes) -> tuple[frozenset[str], str]:
    """Return the tables that a row's own columns leave open, and which of them said so."""
    tables, told = EVERY, ""
    if row.get("table") != "":
        named = lookup("tables", row.get("table"))
        if named is None:
            allowed = "线圈, 离散输入, 输入寄存器, 保持寄存器, coil, discrete, input, holding"
            notes.wrong(row.place, "table", repr(row.get("table")), allowed)
        else:
            tables, told = frozenset({named}), "its column"
    by_code = frozenset({**READ, **WRITE}[code] for code in codes)
    if by_code:
        if not by_code & tables:
            value = f"{row.get('table')!r} with function code {row.get('fc')!r}"
            notes.wrong(row.place, "table", value, "a table and its own function codes")
        tables, told = by_code & tables or tables, told or "its function code"
    return tables, told


def _spoken(row: Row, layout: Layout, fitting: frozenset[str]) -> tuple[frozenset[str], str]:
    """Return the fitting tables of which the section speaks, else the sheet, else the file."""
    for texts in (row.section, row.block.texts, layout.texts):
        said = _said(texts) & fitting
        if said:
            return said, f"text of the table speaks of {', '.join(sorted(said))}"
    return fitting, ""


def _said(texts: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for text in texts:
        codes: set[int] = set()
        for words in statements("fc", text).values():
            codes |= read_functions(words) or set()
        found |= {{**READ, **WRITE}[code] for code in codes}
        found |= statements("table", text).keys()
    return frozenset(found)


def _writes(hints: Hints) -> bool:
    return hints.writes or (hints.access is not None and "w" in hints.access)


def _is_bit(row: Row) -> bool:
    said = read_type(row.get("type"))
    return row.get("bit") != "" or (said is not None and said.family in ("bit", "bits"))


def _access(row: Row, hints: Hints, table: str, choices: Choices, notes: Notes) -> str:
    if hints.access is not None:
        return hints.access
    if hints.writes:
        access = "rw" if hints.reads else "w"
        notes.find(row.place, f"access {access}", "its function codes")
        return access
    if table not in WRITABLE:
        return "r"
    if hints.reads:
        notes.find(row.place, "access r", "its function codes only read", ("rw",))
        return "r"
    if hints.cls is not None:
        access = "rw" if hints.cls in ("yk", "yt") else "r"
        notes.find(row.place, f"access {access}", f"its class {hints.cls}")
        return access
    if choices.access is not None:
        notes.find(row.place, f"access {choices.access}", "--access")
        return choices.access
    what, evidence = "whether points may be written", "no column, no class, no function code"
    notes.doubt("access", row.place, what, evidence, ("r", "rw"))
    return "r"


def _class(row: Row, table: str, access: str, notes: Notes) -> str:
    bits = table in BITS or _is_bit(row)
    cls = ("yk" if bits else "yt") if "w" in access else ("yx" if bits else "yc")
    what = "it is written" if "w" in access else "it is read only"
    notes.find(row.place, f"class {cls}", f"{what}, {'bits' if bits else 'a number'}")
    return cls
