"""Time series of the evidence as pictures: one chart a file, one panel a unit."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.certify.page_texts import both, known
from twin.results.report.blocks import Chart
from twin.results.report.plot import COLOUR, Figure, axis, figure, listed

__all__ = ["chart_of", "read_series", "thinned"]

F8 = NDArray[np.float64]
MOST_BUCKETS = 600  # stretches of a line; each keeps its least and its greatest value
PANEL_PX, SEVERAL_PX, MARGIN_PX = 190, 120, 70
GAP = 0.09  # between two panels, as a share of the picture's height
# Paul Tol's "muted" set, as the run's page has it.
COLOURS = ("#0b4f8a", "#b34700", "#117733", "#882255", "#999933", "#332288")
# Ends of names that mean the same unit.
UNITS = {"kwh": "kWh", "kw": "kW", "kvar": "kvar", "hz": "Hz", "pu": "pu", "s": "s", "ms": "ms",
         "soc": "", "pct": "%", "c": "°C", "v": "V", "a": "A"}  # fmt: skip


def read_series(path: Path) -> tuple[list[str], F8] | None:
    """Return the columns of a CSV file and its numbers, shape (rows, columns).

    Cells that are no number are NaN. None where the file holds no two rows or columns of numbers.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 3 or len(rows[0]) < 2:
        return None
    names = rows[0]
    values = np.full((len(rows) - 1, len(names)), np.nan)
    for i, row in enumerate(rows[1:]):
        for j, cell in enumerate(row[: len(names)]):
            values[i, j] = _number(cell)
    good = np.isfinite(values).sum(axis=0) >= 2
    if not good[0] or not good[1:].any():
        return None
    keep = np.flatnonzero(good)
    return [names[int(j)] for j in keep], values[:, keep]


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def thinned(x: F8, y: F8, most: int = MOST_BUCKETS) -> tuple[F8, F8]:
    """Return a line with at most ``2 * most`` points that keeps the extremes of every stretch."""
    if len(x) <= 2 * most:
        return x, y
    edges = np.linspace(0, len(x), most + 1).astype(np.int64)
    kept: list[int] = []
    for first, last in pairwise(edges):
        part = y[first:last]
        if np.isfinite(part).any():
            kept += sorted({first + int(np.nanargmin(part)), first + int(np.nanargmax(part))})
        else:
            kept.append(int(first))
    chosen = np.array(kept)
    return x[chosen], y[chosen]


def chart_of(id: str, path: Path, step: str, file: str) -> Chart | None:
    """Return the chart of a file of the evidence, None where there is nothing to draw."""
    found = read_series(path)
    if found is None:
        return None
    names, values = found
    text = ""
    if len(values) > 2 * MOST_BUCKETS:
        text = both("note.thinned", n=f"{len(values):,}").line()
    drawn, panels = _figure(names, values)
    title = both("note.chart", step=step, file=file).line()
    return Chart(id, title, text, drawn, wide=panels > 1)


def _unit(name: str) -> str:
    return UNITS.get(name.rpartition("_")[2].lower(), "")


def _label(name: str) -> str:
    return both(f"quantity.{name}").line() if known(f"quantity.{name}") else name


def _figure(names: Sequence[str], values: F8) -> tuple[Figure, int]:
    """Return the picture and the number of its panels."""
    units = list(dict.fromkeys(_unit(n) for n in names[1:]))
    height = (1.0 - GAP * (len(units) - 1)) / len(units)
    traces: list[dict[str, object]] = []
    axes: dict[str, Any] = {}
    for i, unit in enumerate(units):
        top = 1.0 - i * (height + GAP)
        suffix = "" if i == 0 else str(i + 1)
        axes[f"yaxis{suffix}"] = axis(unit, domain=[max(top - height, 0.0), top])
    for j, name in enumerate(names[1:], 1):
        i = units.index(_unit(name))
        x, y = thinned(values[:, 0], values[:, j])
        traces.append({
            "type": "scatter", "mode": "lines", "x": listed(x, 3), "y": listed(y, 4),
            "name": _label(name), "yaxis": "y" if i == 0 else f"y{i + 1}",
            "line": {"color": COLOURS[(j - 1) % len(COLOURS)], "width": 1.5},
        })  # fmt: skip
    last = "y" if len(units) == 1 else f"y{len(units)}"
    time = axis(_label(names[0]), anchor=last, zerolinecolor=COLOUR["grid"])
    drawn = figure(
        traces,
        height=MARGIN_PX + (PANEL_PX if len(units) == 1 else SEVERAL_PX * len(units)),
        xaxis=time,
        yaxis=axes.pop("yaxis"),
        margin={"l": 64, "r": 24, "t": 30, "b": 50},
        **axes,
    )
    return drawn, len(units)
