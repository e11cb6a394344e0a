"""A point table as cells, before anything of it is understood; from any file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hil.registers.pointtable.delimited import read_delimited
from hil.registers.pointtable.findings import Notes, Place
from hil.registers.pointtable.sheet import RawTable
from hil.registers.pointtable.workbook import read_workbook

__all__ = ["RawFile", "read_table"]

# Larger files are not point tables [bytes].
LARGEST = 32 * 1024 * 1024
ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0"
BINARY = {b"%PDF": "a PDF", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture"}


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file's tables.

    Attributes
    ----------
    file : as problems name it
    tables : one a sheet; a text file has one
    encoding, delimiter : of a text file, empty for a workbook
    readings : by encoding in doubt, how the first row would read
    """

    file: str
    tables: tuple[RawTable, ...] = ()
    encoding: str = ""
    delimiter: str = ""
    readings: Mapping[str, str] = field(default_factory=dict)


def read_table(path: str | Path, notes: Notes, encoding: str | None = None) -> RawFile:
    """Read the cells of a point table; what the file is, its first bytes say and not its name.

    Parameters
    ----------
    path : xlsx, or text separated by comma, semicolon or tab
    notes : takes problems (no file, not a table), findings and the doubt about an encoding
    encoding : of a text file where it is stated
    """
    path = Path(path)
    whole = Place("")
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= LARGEST else b""
    except OSError as error:
        notes.wrong(whole, "", error.strerror or str(error), "a readable xlsx, csv or txt file")
        return RawFile(str(path))
    if size > LARGEST:
        notes.wrong(whole, "", f"{size} bytes", f"at most {LARGEST} bytes")
        return RawFile(str(path))
    if data.startswith(ZIP):
        return RawFile(str(path), read_workbook(data, notes))
    wrong = next((what for magic, what in BINARY.items() if data.startswith(magic)), None)
    if data.startswith(OLE):
        wrong = "an xls workbook of before 2007, or one with a password"
    if wrong is not None:
        notes.wrong(
            whole, "", wrong, "xlsx without a password, csv or txt: save it as one of these"
        )
        return RawFile(str(path))
    text = read_delimited(data, notes, encoding)
    if text is None:
        return RawFile(str(path))
    return RawFile(str(path), (text.table,), text.encoding, text.delimiter, text.readings)
