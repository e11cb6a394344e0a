"""What a device showed and was told, over time: the raw material of `hil fit`.

A CSV table with a header, one event a row (JSON lines with the same keys do as well):

==========  =========================================================================
time_s      device time [s]; rows may be out of order by `SLACK_S`, as several threads write
event       ``read``, ``write`` (accepted), ``refused`` (a write), ``reference`` (what an
            instrument showed), ``nameplate``
table       coil, discrete, input or holding; empty for the last two events
address     first address
words       registers or bits in decimal, one blank between them
point       name of the quantity for reference and nameplate, as the twin's kind has it
            (``power_kw`` positive into the grid, ``soc`` 0 to 1); else for the reader only
value       its value; of a refused write the exception code
==========  =========================================================================
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from hil.registers.schema import TableName
from twin.errors import InputProblems, Problem

__all__ = ["COLUMNS", "TABLES", "Block", "RecordedWrite", "Recording", "load_recording"]

F8 = NDArray[np.float64]
COLUMNS = ("time_s", "event", "table", "address", "words", "point", "value")
EVENTS = ("read", "write", "refused", "reference", "nameplate")
TABLES: tuple[TableName, ...] = get_args(TableName)
MOST_PROBLEMS = 20
SLACK_S = 1.0


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that were read together, again and again.

    Attributes
    ----------
    table, address : where it begins
    time_s : float64[n], rising
    words : int64[n, count]
    """

    table: TableName
    address: int
    time_s: F8
    words: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of registers or bits."""
        return int(self.words.shape[1])


@dataclass(frozen=True, slots=True)
class RecordedWrite:
    """One write; `code` is the exception that it was refused with, 0: accepted."""

    time_s: float
    table: TableName
    address: int
    words: tuple[int, ...]
    code: int = 0


@dataclass(slots=True)
class Recording:
    """A whole recording.

    Attributes
    ----------
    blocks : what was read
    writes : in order of time
    references : by quantity (float64[n] times [s], float64[n] values)
    nameplate : by quantity
    """

    blocks: list[Block] = field(default_factory=list)
    writes: list[RecordedWrite] = field(default_factory=list)
    references: dict[str, tuple[F8, F8]] = field(default_factory=dict)
    nameplate: dict[str, float] = field(default_factory=dict)


def load_recording(path: Path) -> Recording:
    """Return a recording from CSV or, where its name says so, from JSON lines.

    Raises InputProblems with what is wrong with it, the first `MOST_PROBLEMS` of it.
    """
    problems: list[Problem] = []

    def wrong(place: str, value: object, allowed: str) -> None:
        problems.append(Problem(str(path), place, str(value)[:60], allowed))

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputProblems([Problem(str(path), "file", str(error), "a recording")]) from None
    if "\n" in text:  # a line that was cut off by a crash is left out
        text = text[: text.rindex("\n") + 1]
    kept = _Kept()
    rows = _json_rows if path.suffix in (".jsonl", ".ndjson") else _csv_rows
    try:
        for number, row in rows(text):
            try:
                kept.add(row)
            except ValueError as error:
                wrong(f"line {number}", *error.args)
                if len(problems) == MOST_PROBLEMS:
                    break
    except ValueError as error:
        wrong(*error.args)
    if not problems and not kept.reads and not kept.references:
        wrong("file", "no reads and no references", "what a device showed over time")
    if problems:
        raise InputProblems(problems)
    return kept.recording()


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines())
    header = [name.strip() for name in reader.fieldnames or []]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise ValueError("header", f"{', '.join(missing)} missing", ",".join(COLUMNS))
    reader.fieldnames = header
    for row in reader:
        yield reader.line_num, row


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() == "":
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise ValueError(f"line {number}", line, "JSON") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number}", line, "a JSON object")
        yield number, row


@dataclass(slots=True)
class _Kept:
    """Rows as they come."""

    reads: dict[tuple[TableName, int, int], tuple[list[float], list[tuple[int, ...]]]] = field(
        default_factory=dict
    )
    writes: list[RecordedWrite] = field(default_factory=list)
    references: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    nameplate: dict[str, float] = field(default_factory=dict)
    latest_s: float = -math.inf

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row; raises ValueError(value, allowed)."""
        event = str(row.get("event") or "").strip()
        if event not in EVENTS:
            raise ValueError(repr(event), f"event: one of {', '.join(EVENTS)}")
        if event == "nameplate":
            self.nameplate[self._name(row)] = _number(row, "value")
            return
        time_s = _number(row, "time_s")
        if time_s < self.latest_s - SLACK_S:
            raise ValueError(f"{time_s:g} s after {self.latest_s:g} s", "time that never falls")
        self.latest_s = max(self.latest_s, time_s)
        if event == "reference":
            times, values = self.references.setdefault(self._name(row), ([], []))
            times.append(time_s)
            values.append(_number(row, "value"))
            return
        table, address, words = _place(row)
        if event == "read":
            into = self.reads.setdefault((table, address, len(words)), ([], []))
            into[0].append(time_s)
            into[1].append(words)
            return
        code = 0 if event == "write" else int(_number(row, "value"))
        self.writes.append(RecordedWrite(time_s, table, address, words, code))

    def _name(self, row: Mapping[str, Any]) -> str:
        name = str(row.get("point") or "").strip()
        if name == "":
            raise ValueError("no point", "the name of a quantity")
        return name

    def recording(self) -> Recording:
        """Return everything as arrays."""
        blocks = []
        for (table, address, _), (times, words) in sorted(self.reads.items()):
            order = np.argsort(times, kind="stable")
            rows = np.array(words, np.int64)[order]
            blocks.append(Block(table, address, np.array(times)[order], rows))
        references = {}
        for name, (times, values) in self.references.items():
            order = np.argsort(times, kind="stable")
            references[name] = np.array(times)[order], np.array(values)[order]
        writes = sorted(self.writes, key=lambda w: w.time_s)
        return Recording(blocks, writes, references, self.nameplate)


def _number(row: Mapping[str, Any], key: str) -> float:
    text = row.get(key)
    try:
        value = float(text if text is not None else "")
    except (TypeError, ValueError):
        raise ValueError(repr(text), f"{key}: a number") from None
    if not math.isfinite(value):
        raise ValueError(repr(text), f"{key}: a finite number")
    return value


def _place(row: Mapping[str, Any]) -> tuple[TableName, int, tuple[int, ...]]:
    table = next((t for t in TABLES if t == row.get("table")), None)
    if table is None:
        raise ValueError(repr(row.get("table")), f"table: one of {', '.join(TABLES)}")
    address = _number(row, "address")
    words = _words(row.get("words"), 1 if table in ("coil", "discrete") else 0xFFFF)
    if address != int(address) or not 0 <= address <= 65536 - len(words):
        raise ValueError(repr(row.get("address")), "address: 0 to 65535, the last word as well")
    return table, int(address), words


def _words(given: object, most: int) -> tuple[int, ...]:
    parts: Iterable[object] = given.split() if isinstance(given, str) else ()
    if isinstance(given, list):
        parts = given
    try:
        words = tuple(int(str(part)) for part in parts)
    except ValueError:
        words = ()
    if not words or not all(0 <= w <= most for w in words):
        raise ValueError(repr(given), f"words: numbers 0 to {most}, one blank between them")
    return words
