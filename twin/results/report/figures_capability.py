"""Capability: what was said to be sustained against what was held when it was called."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twin.clock import MINUTE_MS, format_time_of_day
from twin.results.report import plot
from twin.results.report.blocks import Cell, Chart, Table
from twin.results.report.inputs import PageData, Step
from twin.results.report.lookup import mapping, real
from twin.results.report.plot import COLOUR, Trace
from twin.results.report.reported import reported, rows_of
from twin.results.report.series import FLEXIBLE
from twin.results.report.tables_market import order_figures
from twin.results.report.words import Words, number

__all__ = ["capability", "capability_table"]

HORIZONS = (30, 60, 120)
WAYS = ("up", "down")
_NOTHING_MW = 5e-3


def _kinds(told: Mapping[str, object]) -> list[str]:
    return [k for k in FLEXIBLE if real(mapping(told, k), "held_mw") is not None]


def capability(data: PageData, step: Step, words: Words) -> Chart | None:
    """Return estimated and shown MW by kind, for an hour upwards."""
    told = mapping(mapping(order_figures(data, step, "flexibility"), "up"), "60")
    kinds = _kinds(told)
    if not kinds:
        return None
    names = [words(f"kinds.{k}") for k in kinds]
    traces: list[Trace] = []
    for key, name, colour in (
        ("said_mw", "said", "#9fc3e3"),
        ("held_mw", "held", COLOUR["run"]),
    ):
        values = np.array([_or_nan(real(mapping(told, k), key)) for k in kinds])
        traces.append(
            {
                "type": "bar", "orientation": "h", "y": names, "x": plot.listed(values, 3),
                "name": words(f"capability.{name}"), "marker": {"color": colour},
                "hovertemplate": "%{x:,.1f} MW",
            }
        )  # fmt: skip
    height = 96 + 34 * len(kinds)
    chart = plot.figure(
        traces, height=height, barmode="group", bargap=0.3, hovermode="y unified",
        xaxis=plot.axis("MW", rangemode="tozero"),
        yaxis={"type": "category", "autorange": "reversed", "automargin": True},
    )  # fmt: skip
    return Chart(
        f"capability-{step.order.id}", words("capability.title"), words("capability.text"),
        chart, False,
    )  # fmt: skip


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _estimates(step: Step) -> tuple[int, dict[tuple[str, int, str], float]] | None:
    """Return what was sustained by kind, horizon and way at the last report before the start."""
    table = reported(
        step.run, "capability", texts=("kind",),
        numbers=("time_ms", "horizon_min", "up_mw", "down_mw"),
    )  # fmt: skip
    if table is None:
        return None
    moments = np.unique(table["time_ms"]).astype(np.int64)
    moments = moments[moments <= step.order.notice_ms + MINUTE_MS]
    if len(moments) == 0:
        return None
    own = rows_of(table, table["time_ms"] == moments[-1])
    if own is None:
        return None
    found: dict[tuple[str, int, str], float] = {}
    for kind in np.unique(own["kind"]).tolist():
        for horizon in HORIZONS:
            mine = (own["kind"] == kind) & (own["horizon_min"] == horizon)
            for way in WAYS:
                if bool(mine.any()):
                    found[kind, horizon, way] = float(own[f"{way}_mw"][mine].sum())
    return int(moments[-1]), found


def capability_table(data: PageData, step: Step, words: Words) -> Table | None:
    """Return by horizon what was estimated, what was held when called, and the signed error."""
    told = order_figures(data, step, "flexibility")
    estimates = _estimates(step)
    said = {} if estimates is None else estimates[1]
    rows: list[list[Cell]] = []
    for way in WAYS:
        called = [mapping(mapping(told, way), str(h)) for h in HORIZONS]
        part = [
            _row(
                data,
                words,
                kind,
                [mapping(c, kind) for c in called],
                [said.get((kind, h, way)) for h in HORIZONS],
            )
            for kind in FLEXIBLE
            if any(_worth(mapping(c, kind)) for c in called)
            or said.get((kind, HORIZONS[0], way), 0.0) > _NOTHING_MW
        ]
        if part:
            rows += [[Cell(words(f"capability.{way}"), "group", 3 + 2 * len(HORIZONS))], *part]
    if not rows:
        return None
    head = [Cell(words("kinds.kind")), Cell(words("delivered.connected"), "num")]
    for h in HORIZONS:
        head += [
            Cell(words(f"capability.{k}", minutes=h), "num") for k in ("said_held", "signed_at")
        ]
    head += [Cell(words("capability.median"), "num")]
    note = words("capability.table_text")
    if estimates is not None:
        note = words.together(
            words("capability.table_at", at=format_time_of_day(estimates[0])), note
        )
    return Table(f"capabilities-{step.order.id}", "", note, head, rows)


def _worth(found: Mapping[str, object]) -> bool:
    values = (real(found, "said_mw"), real(found, "held_mw"))
    return any(v is not None and abs(v) > _NOTHING_MW for v in values)


def _row(
    data: PageData,
    words: Words,
    kind: str,
    called: list[Mapping[str, object]],
    said: list[float | None],
) -> list[Cell]:
    """Return a kind's row; where it was not called the estimate stands alone."""
    connected = next(
        (mw for c in called if (mw := real(c, "connected_mw")) is not None),
        real(mapping(data.summary, "connected_mw"), kind),
    )
    cells = [Cell(words(f"kinds.{kind}")), Cell(data.mw(connected), "num")]
    for found, estimate in zip(called, said, strict=True):
        held, signed = real(found, "held_mw"), real(found, "signed_error_pct")
        told = estimate if held is None else real(found, "said_mw")
        cells.append(Cell(f"{data.mw(told, 1)} / {data.mw(held, 1)}", "num"))
        sign = "+" if signed is not None and signed > 0.0 else ""
        cells.append(Cell(sign + number(signed, 0), "num"))
    at_60 = called[HORIZONS.index(60)]
    return [*cells, Cell(number(real(at_60, "median_error_pct"), 0), "num strong")]
