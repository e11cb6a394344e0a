"""One sheet of a point table: texts of cells, and which cells are merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MOST_COLUMNS", "MOST_ROWS", "RawTable"]

# Beyond these a sheet is refused [columns, rows].
MOST_COLUMNS = 256
MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class RawTable:
    """Cells as text.

    Attributes
    ----------
    sheet : its name; empty for a text file
    rows : texts, each row as long as it has cells; merged cells all carry the text
    numbers : of each row, as a user counts them
    merged : by (row, column) as indices, the first cell of the merged range
    hidden : the workbook does not show the sheet
    """

    sheet: str
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    merged: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    hidden: bool = False

    def origin(self, row: int, column: int) -> tuple[int, int]:
        """Return the first cell of the merged range of a cell, else the cell itself."""
        return self.merged.get((row, column), (row, column))

    def text(self, row: int, column: int) -> str:
        """Return the text of a cell, empty beyond the end of its row."""
        cells = self.rows[row]
        return cells[column] if column < len(cells) else ""

    def distinct(self, row: int) -> list[str]:
        """Return the texts of a row that are not empty, a merged range once."""
        seen: dict[tuple[int, int], str] = {}
        for column, text in enumerate(self.rows[row]):
            if text != "":
                seen.setdefault(self.origin(row, column), text)
        return list(seen.values())
