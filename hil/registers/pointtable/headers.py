"""Where the tables of a file are: header rows, columns by meaning, sections, running text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hil.registers.pointtable.findings import Notes, Place
from hil.registers.pointtable.sheet import RawTable
from hil.registers.pointtable.words import (
    Header,
    column_of,
    is_empty,
    lookup,
    plain,
    shape,
    statements,
    table_of_words,
)
from hil.registers.pointtable.written import read_address

__all__ = ["Block", "Column", "Layout", "Row", "find_rows"]

# Meanings that several columns may have; their texts are joined.
JOINED = ("note",)
# What may be read from a cell that is merged over rows above it, or left blank below.
CARRIED = ("address", "address_hex")
# A longer text is a sentence, whatever word it ends with [letters].
LONGEST = 40


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its place, the header's own text, what that means."""

    index: int
    text: str
    header: Header

    @property
    def meaning(self) -> str:
        """Return the meaning, a key of ``[columns]`` in `words.toml`."""
        return self.header.meaning


@dataclass(frozen=True, slots=True)
class Block:
    """A header row and what stands under it, up to the next header row.

    Attributes
    ----------
    sheet : its sheet
    row : of the header, as users count
    columns : by meaning
    texts : running text of the sheet: its name, titles, section rows, notes below
    """

    sheet: str
    row: int
    columns: Mapping[str, Column]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a block.

    Attributes
    ----------
    place : of the row
    cells : texts by meaning, those that say nothing left out
    origins : by meaning, the first cell of the merged range
    block : to which it belongs
    section : running text of the section in which it stands, newest first
    cls : class of points by section or sheet, or None
    """

    place: Place
    cells: Mapping[str, str]
    origins: Mapping[str, tuple[int, int]]
    block: Block
    section: tuple[str, ...]
    cls: str | None

    def get(self, meaning: str) -> str:
        """Return the text of a column, empty where there is none."""
        return self.cells.get(meaning, "")


@dataclass(frozen=True, slots=True)
class Layout:
    """All blocks and rows of a file, and its running text."""

    blocks: tuple[Block, ...]
    rows: tuple[Row, ...]
    texts: tuple[str, ...]


def find_rows(tables: Sequence[RawTable], sheets: Sequence[str], notes: Notes) -> Layout:
    """Return the rows of a file's tables, by meaning of their columns.

    Parameters
    ----------
    tables : the sheets
    sheets : to read, by name; empty for all that have a header row
    """
    names = [table.sheet for table in tables]
    for name in sheets:
        if name not in names:
            notes.wrong(Place(name), "--sheet", repr(name), "one of " + ", ".join(map(repr, names)))
    blocks: list[Block] = []
    rows: list[Row] = []
    texts: list[str] = []
    visible = [t.sheet for t in tables if not t.hidden and list(_headers(t))]
    for table in tables:
        if sheets and table.sheet not in sheets:
            notes.find(Place(table.sheet), "left out", "--sheet names others")
            continue
        starts = list(_headers(table))
        place = Place(table.sheet)
        if not starts:
            texts += [text for row in range(len(table.rows)) for text in table.distinct(row)]
            if len(tables) > 1:
                notes.find(place, "no points here, only text", "no row of known column headers")
            continue
        if table.hidden and not sheets:
            what = "a hidden sheet has a table of points"
            # One option a sheet: the visible ones together are what leaving it out means.
            notes.doubt("sheets", place, what, "sheet state", (*visible, table.sheet))
            continue
        for found, of_rows, spoken in _blocks(table, starts, notes):
            blocks.append(found)
            rows += of_rows
            texts += spoken
    if not blocks and not notes.problems:
        known = ("寄存器地址", "名称", "数据类型", "系数", "Address", "Name", "Type", "Scale")
        allowed = "a row with an address column and one more, such as " + ", ".join(known)
        notes.wrong(Place(""), "header row", "none found", allowed)
    return Layout(tuple(blocks), tuple(rows), tuple(texts))


def _headers(table: RawTable) -> Iterator[int]:
    """Yield the rows that are headers.

    That is an address column, another one that is known, at least half of all cells known, and
    no cell that is a number or an address: a point called 通讯地址 with access 读写 is no header.
    """
    for row in range(len(table.rows)):
        texts = table.distinct(row)
        if any(read_address(t) is not None and any(map(str.isdecimal, t)) for t in texts):
            continue
        meanings = [h.meaning for text in texts if len(text) <= LONGEST and (h := column_of(text))]
        known = set(meanings) - {"ignored"}
        if len(known) >= 2 and known & {"address", "offset"} and 2 * len(meanings) >= len(texts):
            yield row


def _blocks(
    table: RawTable, starts: list[int], notes: Notes
) -> Iterator[tuple[Block, list[Row], list[str]]]:
    """Yield each block with its rows and its running text, header cells included."""
    title = [text for row in range(starts[0]) for text in table.distinct(row)]
    texts = [table.sheet, *title] if table.sheet != "" else list(title)
    cls = _class_of(table.sheet) or next((c for t in reversed(title) if (c := _class_of(t))), None)
    reading = _Reading(texts, tuple(reversed(title)), cls)
    pending = []
    for start, end in zip(starts, [*starts[1:], len(table.rows)], strict=True):
        first = start + 1
        if first < end and _is_second_level(table, start):
            first += 1
        columns = _columns(table, start, first - 1, notes)
        held = list(reading.points(table, range(first, end), columns, notes))
        pending.append((columns, start, held))
    for columns, start, held in pending:
        block = Block(table.sheet, table.numbers[start], columns, tuple(texts))
        heads = [column.text for column in columns.values()]
        yield block, list(_rows(table, block, held, notes)), [*texts, *heads]


@dataclass(slots=True)
class _Reading:
    """What has been said so far down a sheet: all its text, the section's, the section's class."""

    texts: list[str]
    section: tuple[str, ...]
    cls: str | None

    def points(
        self, table: RawTable, rows: range, columns: Mapping[str, Column], notes: Notes
    ) -> Iterator[tuple[int, tuple[str, ...], str | None]]:
        """Yield the rows that are points, with section and class; the others are text."""
        spoken = False
        for row in rows:
            distinct = table.distinct(row)
            if not distinct:
                continue
            if len(distinct) > 1 and _is_point(table, row, columns):
                spoken = False
                yield row, self.section, self.cls
                continue
            self.texts += distinct
            self.section = (*distinct, *self.section) if spoken else tuple(distinct)
            self.cls = next((c for t in distinct if (c := _class_of(t))), self.cls)
            spoken = True
            notes.find(Place(table.sheet, table.numbers[row]), "text, no point", "no address")


def _is_point(table: RawTable, row: int, columns: Mapping[str, Column]) -> bool:
    """Return whether a row has an address or a bit, or a name and a type and lacks an address."""

    def has(meaning: str) -> bool:
        return meaning in columns and table.text(row, columns[meaning].index) != ""

    return any(map(has, ("address", "address_hex", "bit"))) or (has("name") and has("type"))


def _is_second_level(table: RawTable, row: int) -> bool:
    """Return whether the header goes on in the next row: some of it is merged sideways."""
    sideways = any(
        text != "" and table.origin(row, c) == table.origin(row, c + 1)
        for c, text in enumerate(table.rows[row][:-1])
    )
    return sideways and not any(ch.isdecimal() for ch in "".join(_below(table, row)))


def _below(table: RawTable, row: int) -> list[str]:
    return [
        text
        for c, text in enumerate(table.rows[row + 1])
        if table.origin(row + 1, c) != table.origin(row, c)
    ]


def _columns(table: RawTable, start: int, last: int, notes: Notes) -> dict[str, Column]:
    place = Place(table.sheet, table.numbers[start])
    found: dict[str, Column] = {}
    unknown, unused = [], []
    for index in range(len(table.rows[start])):
        text = table.text(start, index)
        below = table.text(last, index)
        if last > start and table.origin(last, index) != table.origin(start, index):
            text = f"{text} {below}".strip()
            header = column_of(text) or column_of(below) or column_of(table.text(start, index))
        else:
            header = column_of(text)
        if text == "":
            continue
        if header is None:
            unknown.append(text)
            continue
        if not header.exact:
            notes.find(place, f"column {text!r} is {header.meaning}", f"ends with {header.word!r}")
        if header.meaning == "ignored":
            unused.append(text)
        else:
            column = _by_contents(table, start, Column(index, text, header), notes)
            _add(table, start, found, column, place, notes)
    if "offset" in found and "address" not in found:
        column = found.pop("offset")
        found["address"] = Column(column.index, column.text, Header("address", column.header.word))
        notes.find(place, f"column {column.text!r} is address", "no other column is")
    if unknown:
        notes.find(place, "columns not used: " + ", ".join(unknown), "headers not known")
    if unused:
        notes.find(place, "columns not used: " + ", ".join(unused), "maps have no place for them")
    return found


def _add(
    table: RawTable, start: int, found: dict[str, Column], column: Column, place: Place,
    notes: Notes,
) -> None:  # fmt: skip
    """Add a column; one whose meaning is taken is a second address or name, or a problem."""
    meaning = column.meaning
    if meaning not in found:
        found[meaning] = column
        return
    before = found[meaning]
    if meaning == "address":
        hexes = [c for c in (before, column) if "hex" in statements("notation", c.text)]
        if len(hexes) == 1:
            found["address_hex"] = hexes[0]
            found["address"] = column if hexes[0] is before else before
            what = f"columns {before.text!r} and {column.text!r} give each address twice"
            notes.find(place, what, "one of them is hexadecimal")
            return
    if meaning == "name" and "name_en" not in found:
        english = [c for c in (before, column) if _is_ascii(table, start, c)]
        if len(english) == 1:
            found["name_en"] = english[0]
            found["name"] = column if english[0] is before else before
            notes.find(place, f"column {english[0].text!r} is the English name", "all ASCII")
            return
    if meaning in JOINED or (meaning == "name" and "note" not in found):
        extra = next(f"note{i}" for i in range(2, 99) if f"note{i}" not in found)
        found[extra] = column
        notes.find(place, f"column {column.text!r} is taken as a note", f"{before.text!r} is there")
        return
    value = f"{before.text!r} and {column.text!r} both mean {meaning}"
    notes.wrong(place, "columns", value, "one column a meaning: rename or remove one")


def _is_ascii(table: RawTable, start: int, column: Column) -> bool:
    return all(table.text(r, column.index).isascii() for r in range(start + 1, len(table.rows)))


def _by_contents(table: RawTable, start: int, column: Column, notes: Notes) -> Column:
    """Return a column called 类型 (type) as what its cells are: data type, class or table."""
    if column.meaning != "type":
        return column
    cells = [table.text(r, column.index) for r in range(start + 1, len(table.rows))]
    cells = [c for c in cells if c != "" and not ((h := column_of(c)) and h.exact)]
    for meaning, group in (("class", "classes"), ("table", "tables")):
        hits = [c for c in cells if lookup(group, c) is not None]
        if hits and 2 * len(hits) > len(cells):
            place = Place(table.sheet, table.numbers[start])
            notes.find(place, f"column {column.text!r} is {meaning}", f"it holds {hits[0]!r}")
            return replace(column, header=Header(meaning, column.header.word))
    return column


def _rows(
    table: RawTable,
    block: Block,
    held: list[tuple[int, tuple[str, ...], str | None]],
    notes: Notes,
) -> Iterator[Row]:
    above: dict[str, str] = {}
    for row, section, cls in held:
        cells, origins = {}, {}
        for meaning, column in block.columns.items():
            text = table.text(row, column.index)
            origins[meaning] = table.origin(row, column.index)
            if text != "" and (meaning.startswith(("name", "map_", "sign")) or not is_empty(text)):
                cells[meaning] = text
        notes_ = [cells.pop(m) for m in list(cells) if m.startswith("note")]
        if notes_:
            cells["note"] = "；".join(notes_)
        place = Place(table.sheet, table.numbers[row])
        for meaning in CARRIED:
            if meaning in cells:
                above[meaning] = cells[meaning]
            elif meaning in above and "bit" in cells:
                cells[meaning] = above[meaning]
                notes.find(place, f"{meaning} as in the row above", "blank beside a bit number")
        yield Row(place, cells, origins, block, section, cls)


def _class_of(text: str) -> str | None:
    """Return the class of points that a sheet's name or a section's title tells.

    >>> _class_of("二、遥信量（只读）"), _class_of("AI"), _class_of("PCS 参数")
    ('yx', 'yc', None)
    """
    exact = lookup("classes", text)
    if exact is not None:
        return exact
    shaped = plain(shape(text))
    found = {
        cls
        for cls, words in table_of_words()["classes"].items()
        for word in words
        if word.startswith("遥") and word in shaped
    }
    return found.pop() if len(found) == 1 else None
