"""Building blocks of the page: a chart, a table, a paragraph; and how they become HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twin.results.report.plot import Figure
from twin.results.report.words import escape

__all__ = ["Block", "Cell", "Chart", "Section", "Table", "Text"]


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with its heading and the sentence that says what is to be seen in it.

    `wide` charts take the whole width; two narrow ones in a row stand side by side.
    """

    id: str
    title: str
    text: str
    figure: Figure
    wide: bool = True

    def html(self) -> str:
        """Return the frame into which the page's script draws."""
        height = int(str(self.figure["layout"]["height"]))  # type: ignore[index]
        return (
            f'<figure class="chart{"" if self.wide else " half"}" id="{escape(self.id)}">'
            f"<h3>{escape(self.title)}</h3>"
            f'<div class="plot" data-figure="{escape(self.id)}" style="height:{height}px"></div>'
            f"<figcaption>{escape(self.text)}</figcaption></figure>"
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell: text and, where wanted, a class (``num``, ``soft``, ``mark pass`` ...)."""

    text: str
    kind: str = ""
    span: int = 1
    sub: str = ""

    def html(self, tag: str = "td") -> str:
        """Return the cell."""
        attributes = f' class="{self.kind}"' if self.kind else ""
        if self.span > 1:
            attributes += f' colspan="{self.span}"'
        sub = f'<span class="sub">{escape(self.sub)}</span>' if self.sub else ""
        return f"<{tag}{attributes}>{escape(self.text)}{sub}</{tag}>"


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `rows` hold cells, a row of one wide ``group`` cell is a heading inside it."""

    id: str
    title: str
    text: str
    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    wide: bool = True

    def html(self) -> str:
        """Return the table with heading and note."""
        head = "".join(c.html("th") for c in self.head)
        body = "".join(
            f"<tr{_row_class(row)}>" + "".join(c.html() for c in row) + "</tr>" for row in self.rows
        )
        title = f"<h3>{escape(self.title)}</h3>" if self.title else ""
        note = f'<p class="note">{escape(self.text)}</p>' if self.text else ""
        return (
            f'<div class="table{"" if self.wide else " half"}" id="{escape(self.id)}">{title}'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
        )


def _row_class(row: Sequence[Cell]) -> str:
    if len(row) == 1:
        return ' class="group"'
    return ' class="total"' if "total" in row[0].kind.split() else ""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, or a list when there are several lines."""

    lines: Sequence[str]
    kind: str = ""

    def html(self) -> str:
        """Return the paragraph."""
        marked = f' class="{self.kind}"' if self.kind else ""
        if len(self.lines) == 1:
            return f"<p{marked}>{escape(self.lines[0])}</p>"
        return f"<ul{marked}>" + "".join(f"<li>{escape(t)}</li>" for t in self.lines) + "</ul>"


Block = Chart | Table | Text


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its blocks."""

    id: str
    title: str
    blocks: Sequence[Block]

    def html(self) -> str:
        """Return the section."""
        inner = "".join(b.html() for b in _paired(self.blocks))
        return (
            f'<section id="{escape(self.id)}"><h2>{escape(self.title)}</h2>'
            f'<div class="blocks">{inner}</div></section>'
        )

    def charts(self) -> list[Chart]:
        """Return the charts in it."""
        return [b for b in self.blocks if isinstance(b, Chart)]


def _paired(blocks: Sequence[Block]) -> list[Block]:
    """Return blocks with every half one that has no neighbour made wide."""
    out: list[Block] = []
    open_half = False
    for block in blocks:
        half = not isinstance(block, Text) and not block.wide
        if open_half and not half:
            out[-1] = _widened(out[-1])
        out.append(block)
        open_half = half and not open_half
    if open_half:
        out[-1] = _widened(out[-1])
    return out


def _widened(block: Block) -> Block:
    return block if isinstance(block, Text) else replace(block, wide=True)
