"""Workbooks: the one home of openpyxl."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from hil.registers.pointtable.findings import Notes, Place
from hil.registers.pointtable.sheet import MOST_COLUMNS, MOST_ROWS, RawTable

__all__ = ["read_workbook", "write_workbook"]

# Unpacked; a point table of 20 000 rows takes a tenth [bytes].
LARGEST = 256 * 1024 * 1024
_ZEROS = re.compile(r"^0+$")
_DECIMALS = re.compile(r"^[#,]*0+\.(0+)(_ )?$")


def read_workbook(data: bytes, notes: Notes) -> tuple[RawTable, ...]:
    """Return the sheets of an xlsx file; empty, with a problem, where it is none.

    Cells are taken as they are shown where showing changes their meaning: leading zeros
    (00001), a fixed number of decimals (1000.10), an exponent that a hex address became.
    Formulas give the value that the workbook stores.
    """
    allowed = "an xlsx workbook that Excel opens"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > LARGEST:
            notes.wrong(Place(""), "", f"{size} bytes unpacked", f"at most {LARGEST}")
            return ()
        shown, stored = _load(data, formulas=True), None
        sheets = [sheet for sheet in shown.worksheets if _fits(sheet, notes)]
        if any(cell.data_type == "f" for sheet in sheets for row in sheet for cell in row):
            stored = _load(data, formulas=False)
        return tuple(_sheet(sheet, stored, notes) for sheet in sheets)
    # A foreign parser on foreign bytes: whatever it stumbles over, the file is not readable.
    except Exception as error:
        notes.wrong(Place(""), "", f"not readable ({type(error).__name__}: {error})", allowed)
        return ()


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]]) -> None:
    """Write sheets of rows, the first row of each a header; text stays text, '=' or not."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for number, row in enumerate(rows, start=1):
            for column, value in enumerate(row, start=1):
                if value is None or value == "":
                    continue
                cell = sheet.cell(number, column, value)
                if isinstance(value, str):
                    cell.data_type = "s"
                    cell.number_format = "@"
        for column in range(1, len(rows[0]) + 1):
            head = sheet.cell(1, column)
            head.font = Font(bold=True)
            head.alignment = Alignment(wrap_text=True, vertical="top")
            widest = max(len(str(row[column - 1])) for row in rows)
            sheet.column_dimensions[get_column_letter(column)].width = min(40, 3 + 2 * widest)
        sheet.freeze_panes = "A2"
    book.save(path)


def _load(data: bytes, formulas: bool) -> Any:
    with warnings.catch_warnings():
        # Styles and validations that openpyxl does not know are no matter of ours.
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(io.BytesIO(data), data_only=not formulas)


def _fits(sheet: Any, notes: Notes) -> bool:
    if sheet.max_row <= MOST_ROWS and sheet.max_column <= MOST_COLUMNS:
        return True
    size = f"{sheet.max_row} rows, {sheet.max_column} columns (with formatting)"
    allowed = f"at most {MOST_ROWS} rows and {MOST_COLUMNS} columns: delete the empty ones"
    notes.wrong(Place(sheet.title), "", size, allowed)
    return False


def _sheet(sheet: Any, stored: Any, notes: Notes) -> RawTable:
    rows = []
    for number, row in enumerate(sheet.iter_rows(), start=1):
        texts = []
        for cell in row:
            value = cell.value
            if cell.data_type == "f":
                value = stored[sheet.title][cell.coordinate].value
                if value is None:
                    allowed = "a value: open and save the workbook in Excel"
                    notes.wrong(Place(sheet.title, number), cell.coordinate, cell.value, allowed)
            texts.append(_text(value, cell.number_format))
        rows.append(texts)
    merged = {}
    for area in sheet.merged_cells.ranges:
        first = (area.min_row - 1, area.min_col - 1)
        for r in range(area.min_row - 1, area.max_row):
            for c in range(area.min_col - 1, area.max_col):
                rows[r][c] = rows[first[0]][first[1]]
                merged[(r, c)] = first
    numbers = tuple(range(1, len(rows) + 1))
    hidden = sheet.sheet_state != "visible"
    return RawTable(sheet.title, tuple(tuple(row) for row in rows), numbers, merged, hidden)


def _text(value: object, number_format: str) -> str:
    """Return a cell's value as text.

    >>> _text(1000.1, "0.00"), _text(1.0, "00000"), _text(500.0, "0.00E+00"), _text(0.1, "General")
    ('1000.10', '00001', '5E+2', '0.1')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if not isinstance(value, int | float):
        return str(value).strip()
    if "E+" in number_format.upper():
        return format(Decimal(repr(value)).normalize(), "E")
    whole = float(value).is_integer()
    if whole and _ZEROS.match(number_format):
        return str(int(value)).zfill(len(number_format))
    decimals = _DECIMALS.match(number_format)
    if decimals is not None and not whole:
        text = f"{value:.{len(decimals.group(1))}f}"
        if float(text) == value:
            return text
    return str(int(value)) if whole and abs(value) < 1e15 else repr(value)
