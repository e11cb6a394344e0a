"""Runs side by side: verdict by verdict, and their load curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from twin.clock import format_time_of_day
from twin.errors import InputProblems, Problem

__all__ = ["Comparison", "ComparisonRow", "compare_runs"]

_BARS = "▁▂▃▄▅▆▇█"
_BAR_MIN = 20  # minutes a character of a curve
_MARK = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: " "}


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One verdict in each run; `delta` is each value less the first run's.

    Values are None where a run has none. `delta` is None where one is missing, and where the
    values are shares of different MW.
    """

    id: str
    order: str | None
    title: str
    title_zh: str
    unit: str
    limit: float | None
    comparison: str
    values: tuple[float | None, ...]
    passed: tuple[bool | None, ...]
    delta: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What several runs have to say.

    Attributes
    ----------
    names : of the runs' directories
    max_load_mw : base of every percentage, the same for all
    rows : one a verdict id and order, in the order of the first run
    now_ms : int64[minutes]
    load_mw : by (run name, ``"ordered"`` or ``"undisturbed"``) float64[minutes]
    """

    names: tuple[str, ...]
    max_load_mw: float
    rows: tuple[ComparisonRow, ...]
    now_ms: NDArray[np.int64]
    load_mw: dict[tuple[str, str], NDArray[np.float64]]

    def table(self) -> Table:
        """Return the verdicts side by side, with the change against the first run."""
        table = Table(title=f"Verdicts, percentages of {self.max_load_mw:,.0f} MW", expand=False)
        table.add_column("verdict", no_wrap=True)
        table.add_column("order", no_wrap=True)
        table.add_column("unit")
        table.add_column("limit", justify="right")
        for number, name in enumerate(self.names):
            table.add_column(name, justify="right")
            if number > 0:
                table.add_column("Δ", justify="right")
        for row in self.rows:
            sign = {">=": "≥", "<=": "≤"}.get(row.comparison, "")
            limit = "" if row.limit is None else f"{sign} {row.limit:g}"
            cells = [row.id, "" if row.order is None else row.order, row.unit, limit]
            for number in range(len(self.names)):
                cells.append(f"{_number(row.values[number])} {_MARK[row.passed[number]]}")
                if number > 0:
                    delta = row.delta[number]
                    cells.append("" if delta is None else f"{delta:+.3g}")
            table.add_row(*cells)
        return table

    def curves(self) -> Text:
        """Return the load of each run, with and without orders, on one scale."""
        if len(self.now_ms) == 0:
            return Text("no minutes recorded")
        top = max(float(np.nanmax(v)) for v in self.load_mw.values())
        low = min(float(np.nanmin(v)) for v in self.load_mw.values())
        begin = format_time_of_day(int(self.now_ms[0]))
        width = max(len(f"{name} {run}") for name, run in self.load_mw)
        lines = [f"load, {low:,.0f} to {top:,.0f} MW, from {begin}, {_BAR_MIN} min a character"]
        for (name, run), load in self.load_mw.items():
            high = f"max {float(np.nanmax(load)):,.0f} MW"
            lines.append(f"{f'{name} {run}':<{width}}  {_spark(load, low, top)}  {high}")
        return Text("\n".join(lines), no_wrap=True)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _spark(load: NDArray[np.float64], low: float, top: float) -> str:
    """Return means over `_BAR_MIN` minutes as bars; a gap is a space."""
    marks = []
    for first in range(0, len(load), _BAR_MIN):
        part = load[first : first + _BAR_MIN]
        part = part[np.isfinite(part)]
        share = (float(part.mean()) - low) / max(top - low, 1e-9) if len(part) > 0 else None
        marks.append(" " if share is None else _BARS[min(int(share * 8), 7)])
    return "".join(marks)


def compare_runs(*directories: Path) -> Comparison:
    """Return two or more complete runs side by side.

    Raises InputProblems, all at once, where a directory holds no complete run or where the
    bases differ: maximum load, or the minutes covered.
    """
    problems: list[Problem] = []
    if len(directories) < 2:
        given = f"{len(directories)} runs"
        raise InputProblems([Problem("compare", "RUN", given, "two or more run directories")])
    summaries = [_summary(d, problems) for d in directories]
    curves = [_curves(d, problems) for d in directories]
    if problems:
        raise InputProblems(problems)
    first, names = directories[0], _names(directories)
    base_mw, clock = float(summaries[0]["max_load_mw"]), curves[0][0]
    for directory, summary, (now_ms, _) in zip(directories, summaries, curves, strict=True):
        if float(summary["max_load_mw"]) != base_mw:
            given = f"{summary['max_load_mw']} MW"
            allowed = f"{base_mw} MW as in {first}: percentages of different bases do not compare"
            problems.append(Problem(str(directory), "max_load_mw", given, allowed))
        if not np.array_equal(now_ms, clock):
            given, allowed = _extent(now_ms), f"{_extent(clock)} as in {first}"
            problems.append(Problem(str(directory), "timeseries", given, allowed))
    if problems:
        raise InputProblems(problems)
    load = {
        (name, run): values
        for name, (_, series) in zip(names, curves, strict=True)
        for run, values in series.items()
    }
    return Comparison(names, base_mw, _rows(summaries), clock, load)


def _names(directories: Sequence[Path]) -> tuple[str, ...]:
    """Return the directories' own names, whole paths where these are not distinct."""
    short = tuple(d.resolve().name for d in directories)
    return short if len(set(short)) == len(short) else tuple(str(d) for d in directories)


def _extent(now_ms: NDArray[np.int64]) -> str:
    return f"{len(now_ms)} minutes from {int(now_ms[0]) if len(now_ms) > 0 else 0} ms"


def _summary(directory: Path, problems: list[Problem]) -> dict[str, Any]:
    file = directory / "summary.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(Problem(str(file), "file", str(error), "the summary of a run"))
        return {}
    if not isinstance(found, dict) or found.get("complete") is not True:
        reason = found.get("reason", "not complete") if isinstance(found, dict) else "no object"
        problems.append(Problem(str(file), "complete", str(reason), "a run that has finished"))
        return {}
    missing = [k for k in ("max_load_mw", "verdicts") if k not in found]
    problems += [Problem(str(file), k, "missing", "the summary of a run") for k in missing]
    return found


def _curves(
    directory: Path, problems: list[Problem]
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Return the minutes and the load by run."""
    file = directory / "timeseries" / "city.parquet"
    try:
        table = pq.read_table(file, columns=["run", "now_ms", "load_mw"])
    except (OSError, ValueError) as error:  # pyarrow's own errors are both or either
        problems.append(Problem(str(file), "file", str(error), "the city's series of a run"))
        return np.empty(0, np.int64), {}
    run = np.asarray(table["run"].to_pylist())
    now_ms = table["now_ms"].to_numpy()
    load = table["load_mw"].to_numpy()
    names = [str(n) for n in dict.fromkeys(run.tolist())]
    minutes = now_ms[run == names[0]] if names else np.empty(0, np.int64)
    return minutes, {name: load[run == name] for name in names}


def _rows(summaries: Sequence[dict[str, Any]]) -> tuple[ComparisonRow, ...]:
    tables = [{(v["id"], v["order"]): v for v in s["verdicts"]} for s in summaries]
    keys = dict.fromkeys(key for table in tables for key in table)
    return tuple(_row(key, [table.get(key) for table in tables]) for key in keys)


def _row(key: tuple[str, str | None], held: Sequence[dict[str, Any] | None]) -> ComparisonRow:
    about = next(v for v in held if v is not None)
    values = tuple(None if v is None else v["value"] for v in held)
    bases = {v["base_mw"] for v in held if v is not None}
    # A share is of one base; ratios to the day's own maximum are their own base.
    comparable = about["unit"] != "%" or len(bases) == 1
    start = values[0]
    return ComparisonRow(
        key[0],
        key[1],
        about["title"],
        about["title_zh"],
        about["unit"],
        about["limit"],
        about["comparison"],
        values,
        tuple(None if v is None else v["passed"] for v in held),
        tuple(None if v is None or start is None or not comparable else v - start for v in values),
    )
