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
    told = mapping(order_figures(data, step, "flexibility"), "up")
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
    """Return estimates by horizon and, where called, what was held and the signed error."""
    told = order_figures(data, step, "flexibility")
    estimates = _estimates(step)
    said = {} if estimates is None else estimates[1]
    rows: list[list[Cell]] = []
    for way in WAYS:
        called = mapping(told, way)
        part = [
            _row(
                data,
                words,
                kind,
                mapping(called, kind),
                [said.get((kind, h, way)) for h in HORIZONS],
            )
            for kind in FLEXIBLE
            if _worth(mapping(called, kind))
            or said.get((kind, HORIZONS[0], way), 0.0) > _NOTHING_MW
        ]
        if part:
            rows += [[Cell(words(f"capability.{way}"), "group", 9)], *part]
    if not rows:
        return None
    head = [Cell(words("kinds.kind")), Cell(words("delivered.connected"), "num")]
    head += [Cell(words("capability.horizon", minutes=h), "num") for h in HORIZONS]
    columns = ("said_call", "held_call", "signed", "median")
    head += [Cell(words(f"capability.{k}"), "num") for k in columns]
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
    found: Mapping[str, object],
    said: list[float | None],
) -> list[Cell]:
    signed = real(found, "signed_error_pct")
    connected = real(found, "connected_mw")
    if connected is None:
        connected = real(mapping(data.summary, "connected_mw"), kind)
    return [
        Cell(words(f"kinds.{kind}")),
        Cell(data.mw(connected), "num"),
        *(Cell(data.mw(value, 1), "num") for value in said),
        Cell(data.mw(real(found, "said_mw"), 1), "num"),
        Cell(data.mw(real(found, "held_mw"), 1), "num strong"),
        Cell(("+" if signed is not None and signed > 0.0 else "") + number(signed, 0), "num"),
        Cell(number(real(found, "median_error_pct"), 0), "num"),
    ]
