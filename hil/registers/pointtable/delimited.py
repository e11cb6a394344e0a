"""Text files: encoding and delimiter are found, and what was found is said."""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from hil.registers.pointtable.findings import Notes, Place
from hil.registers.pointtable.sheet import MOST_COLUMNS, MOST_ROWS, RawTable
from hil.registers.pointtable.words import column_of

__all__ = ["Delimited", "read_delimited"]

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
WHOLE = Place("")
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Control characters that no table has.
BINARY = frozenset(chr(c) for c in range(32)) - set("\t\n\r\f\x1a")
# Signs beyond ASCII that English tables have in UTF-8.
SIGNS = frozenset("°±²³µ×÷·Ωαβ§¹")


@dataclass(frozen=True, slots=True)
class Delimited:
    """A text file's one table; `readings` by encoding in doubt, how its first row would read."""

    table: RawTable
    encoding: str
    delimiter: str
    readings: Mapping[str, str]


def read_delimited(data: bytes, notes: Notes, encoding: str | None) -> Delimited | None:
    """Return the table of a text file; None, with a problem, where there is none.

    The delimiter is the one under which a row has the most known column headers.
    """
    if data.strip(b"\xef\xbb\xbf\xff\xfe\r\n\t ,;\0") == b"":
        notes.wrong(WHOLE, "", "nothing in it", "a table with a header row")
        return None
    decoded = _decode(data, notes, encoding)
    if decoded is None:
        return None
    text, name, readings = decoded
    if any(c in BINARY for c in text):
        notes.wrong(WHOLE, "", "binary data", "text: xlsx, csv or txt")
        return None
    best, most = "", -1
    rows: list[tuple[str, ...]] = []
    for delimiter in DELIMITERS:
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False)
            found = [tuple(cell.strip() for cell in row) for row in reader]
        except csv.Error as error:
            notes.wrong(WHOLE, "", str(error), "text separated by comma, semicolon or tab")
            return None
        known = max(map(_known, found), default=0)
        if known > most:
            best, most, rows = delimiter, known, found
    if len(rows) > MOST_ROWS or max(len(row) for row in rows) > MOST_COLUMNS:
        size = f"{len(rows)} rows, {max(len(row) for row in rows)} columns"
        notes.wrong(WHOLE, "", size, f"at most {MOST_ROWS} rows and {MOST_COLUMNS} columns")
        return None
    if most > 1:
        evidence = f"{most} known column headers in one row"
        notes.find(WHOLE, f"columns are separated by {DELIMITERS[best]}", evidence)
    # As a spreadsheet counts: a row with line breaks in it is one.
    numbers = tuple(range(1, len(rows) + 1))
    return Delimited(RawTable("", tuple(rows), numbers), name, DELIMITERS[best], readings)


def _known(row: tuple[str, ...]) -> int:
    meanings = {header.meaning for cell in row if (header := column_of(cell)) is not None}
    return len(meanings)


def _decode(
    data: bytes, notes: Notes, stated: str | None
) -> tuple[str, str, Mapping[str, str]] | None:
    """Return text, encoding and, in doubt, the first row in each encoding."""
    bom = next((name for mark, name in BOMS if data.startswith(mark)), None)
    if bom is not None and (stated is None or stated.split("-")[0] == bom.split("-")[0]):
        notes.find(WHOLE, f"encoding {bom.removesuffix('-sig')}", "byte order mark")
        return _stated(data, bom, notes)
    if stated is not None:
        notes.find(WHOLE, f"encoding {stated}", "--encoding")
        return _stated(data, stated, notes)
    utf, chinese = _try(data, "utf-8"), _try(data, "gb18030")
    if utf is not None and utf.isascii():
        notes.find(WHOLE, "encoding ASCII", "no byte above 127")
        return utf, "utf-8", {}
    if utf is not None and (chinese is None or _plausible(utf)):
        notes.find(WHOLE, "encoding utf-8", "every byte fits, no byte order mark", ("gb18030",))
        return utf, "utf-8", {}
    if chinese is None:
        text = "neither UTF-8 nor GB18030 (GBK)"
        notes.wrong(WHOLE, "encoding", text, "text in one of these, or --encoding NAME")
        return None
    header = any(
        not cell.isascii() and column_of(cell) is not None
        for line in chinese.splitlines()
        for cell in line.replace(";", ",").replace("\t", ",").split(",")
    )
    if utf is None and header:
        notes.find(
            WHOLE, "encoding gb18030", "not UTF-8; Chinese column headers are read", ("big5",)
        )
        return chinese, "gb18030", {}
    other = "utf-8" if utf is not None else "cp1252"
    texts = {
        "gb18030": chinese,
        other: utf if utf is not None else data.decode("cp1252", "replace"),
    }
    evidence = "letters beyond ASCII fit both, and no Chinese column header tells"
    notes.doubt("encoding", WHOLE, "the encoding is not stated", evidence, texts)
    readings = {name: _first_beyond_ascii(text) for name, text in texts.items()}
    return chinese, "gb18030", readings


def _stated(data: bytes, name: str, notes: Notes) -> tuple[str, str, Mapping[str, str]] | None:
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        value = f"byte 0x{data[error.start]:02X} in line {line} is not {name}"
        notes.wrong(WHOLE, "encoding", value, "the encoding in which the file was saved")
        return None
    return text.removeprefix("\ufeff"), name.removesuffix("-sig"), {}


def _try(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return None


def _plausible(text: str) -> bool:
    """Return whether what is beyond ASCII is Chinese or a sign that tables have.

    GBK pairs that happen to be UTF-8 give letters of other scripts.
    """
    beyond = {c for c in text if not c.isascii()}
    return all(
        c in SIGNS or unicodedata.east_asian_width(c) in "WF" or c > "\u2000" for c in beyond
    )


def _first_beyond_ascii(text: str) -> str:
    line = next(line for line in text.splitlines() if not line.isascii())
    return line if len(line) <= 40 else line[:37] + "..."
