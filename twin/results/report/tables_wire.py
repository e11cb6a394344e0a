"""What the page says of a run over a wire: how late the clock was, and what was served."""

from __future__ import annotations

from collections.abc import Mapping

from twin.results.report.blocks import Cell, Table
from twin.results.report.inputs import PageData
from twin.results.report.words import Words, number

__all__ = ["lateness_state", "wire_table"]

# Rows of the table: key in the section, key in the summary, digits.
_PACING = (
    ("rate", "rate", 1), ("ticks", "ticks", 0), ("p50", "lateness_p50_ms", 2),
    ("p99", "lateness_p99_ms", 2), ("max", "lateness_max_ms", 1), ("overruns", "overruns", 0),
    ("drift", "drift_ms", 2),
)  # fmt: skip
_COUNTS = ("devices", "reads", "writes", "refused")


def _section(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def lateness_state(data: PageData) -> tuple[str, float, float] | None:
    """Return ``pass`` or ``fail``, the 99th percentile and its limit [ms]; None without a wire."""
    pacing = _section(_section(data.summary.get("wire")).get("pacing"))
    p99, limit = pacing.get("lateness_p99_ms"), pacing.get("lateness_limit_ms")
    if not isinstance(p99, int | float) or not isinstance(limit, int | float):
        return None
    return ("pass" if pacing.get("within_limit") is True else "fail"), float(p99), float(limit)


def wire_table(data: PageData, words: Words) -> Table | None:
    """Return lateness and counts, or None for a run without a wire."""
    wire = _section(data.summary.get("wire"))
    found = lateness_state(data)
    if found is None:
        return None
    state, _, limit = found
    pacing = _section(wire.get("pacing"))
    rows = [
        [Cell(words(f"wire.{name}")), Cell(_shown(pacing.get(key), digits), "num"), Cell("")]
        for name, key, digits in _PACING
    ]
    place = [name for name, _, _ in _PACING].index("p99")
    rows[place][2] = Cell(
        words(f"verdicts.{state}") + " · " + words("wire.limit", limit=number(limit, 0)),
        f"mark {state}",
    )
    rows += [
        [Cell(words(f"wire.{name}")), Cell(_shown(wire.get(name), 0), "num"), Cell("")]
        for name in _COUNTS
    ]
    head = [Cell(words("wire.what")), Cell(words("wire.value"), "num"), Cell("")]
    return Table("wire", "", words("wire.note"), head, rows)


def _shown(value: object, digits: int) -> str:
    return number(float(value), digits) if isinstance(value, int | float) else "–"
