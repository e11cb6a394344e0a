"""An import as a terminal shows it."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from hil.registers.pointtable.importing import Imported
from hil.registers.pointtable.words import table_of_words

__all__ = ["describe"]


def describe(imported: Imported) -> RenderableType:
    """Return what was found, what is in doubt, samples decoded, and points by class.

    Doubts come last, with the options that settle them: what a reader must answer stands above
    the prompt.
    """
    parts: list[RenderableType] = [_dialect(imported)]
    if imported.findings:
        parts.append(_findings(imported))
    if imported.decoded:
        parts.append(_decoded(imported))
    if imported.data:
        parts.append(_counts(imported))
    for problem in imported.problems:
        parts.append(Text.from_markup(f"[red]error[/red] {escape(str(problem))}"))
    if imported.doubts:
        parts.append(_doubts(imported))
    return Group(*parts)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _dialect(imported: Imported) -> Table:
    dialect = imported.dialect
    written = " ".join(part for part in (dialect.encoding, dialect.delimiter) if part != "")
    title = f"{imported.file} ({written or 'workbook'})"
    table = _table(escape(title), "sheet", "header", "columns")
    for block in dialect.blocks:
        named = [f"{c.text!r} {meaning}" for meaning, c in block.columns.items()]
        table.add_row(escape(block.sheet), f"row {block.row}", escape(", ".join(named)))
    return table


def _findings(imported: Imported) -> Table:
    table = _table("found", "where", "what", "evidence", "set aside")
    for one in imported.findings:
        cells = (one.place, one.what, one.evidence, ", ".join(one.alternatives))
        table.add_row(*map(escape, cells))
    return table


def _decoded(imported: Imported) -> Table:
    table = _table("samples", "point", "address", "words", "value")
    for one in imported.decoded:
        words = " ".join(f"{word:04X}" for word in one.words)
        table.add_row(escape(one.name), str(one.address), words, escape(str(one)))
    return table


def _counts(imported: Imported) -> Text:
    points = imported.data["points"]
    names = {cls: words[0] for cls, words in table_of_words()["classes"].items()}
    counts = [f"{names[c]} {sum(p['class'] == c for p in points)}" for c in names]
    spare = len(imported.data.get("reserved", ()))
    return Text(f"{len(points)} points: {', '.join(counts)}; {spare} spare ranges")


def _doubts(imported: Imported) -> Table:
    table = _table("in doubt: choose one of each", "where", "what", "option", "then")
    for one in imported.doubts:
        for number, option in enumerate(one.options):
            what = f"{one.what} ({one.evidence})" if number == 0 else ""
            place = one.place if number == 0 else ""
            table.add_row(*map(escape, (place, what, option.text, option.reading)))
    return table
