"""CO2: the factor of each district over the day, the totals, and what the orders spared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from twin.clock import MINUTE_MS
from twin.results.report import plot
from twin.results.report.blocks import Cell, Chart, Table
from twin.results.report.figures_load import bounds
from twin.results.report.inputs import PageData
from twin.results.report.lookup import mapping, real
from twin.results.report.plot import COLOUR, Trace
from twin.results.report.series import scalar, table
from twin.results.report.words import Words, number

__all__ = ["emission_totals", "factors", "spared"]

QUARTER = 15
_FLAT = 5e-4  # kgCO2/kWh: half of the last digit that is shown
_FACTOR_SCALE = [[0.0, "#e2eef7"], [0.5, "#7fb0d6"], [1.0, "#084070"]]


def factors(data: PageData, words: Words) -> Chart | None:
    """Return the emission factor by district and quarter of an hour."""
    history = data.histories.ordered
    values = table(history, "district.factor")
    burnt = scalar(history, "emission_t_h")
    if values is None or burnt is None:
        return None
    factor = np.array(values, dtype=np.float64)
    factor[~np.isfinite(burnt)] = np.nan
    begin = max(-(history.start_ms // MINUTE_MS), 0)
    quarters = factor[begin + QUARTER // 2 :: QUARTER]
    names = data.district_names(words)
    if not bool(np.isfinite(quarters).any()) or quarters.shape[1] != len(names):
        return None
    start_ms, end_ms = bounds(history)
    shapes, _ = plot.order_windows([s.order for s in data.steps], words, labelled=False)
    known = quarters[np.isfinite(quarters)]
    if float(np.ptp(known)) < _FLAT:
        return None  # one source, one factor: the table says it
    text = words(
        "factors.text", low=number(float(known.min()), 3), high=number(float(known.max()), 3)
    )
    title = words("factors.title")
    if len(names) == 1:
        traces: list[Trace] = [
            plot.line(quarters[:, 0], start_ms, names[0], COLOUR["run"], digits=4,
                      step_ms=QUARTER * MINUTE_MS)
        ]  # fmt: skip
        chart = plot.figure(
            traces, height=260, xaxis=plot.time_axis(start_ms, end_ms),
            yaxis=plot.axis("kgCO₂/kWh", tickformat=".3f", range=plot.reach(known)),
            shapes=shapes,
        )  # fmt: skip
        return Chart("factors", title, text, chart)
    turn = np.argsort(np.nanmean(quarters, axis=0), kind="stable")
    trace: Trace = {
        "type": "heatmap", "x0": plot.clock_text(start_ms + QUARTER * MINUTE_MS // 2),
        "dx": QUARTER * MINUTE_MS, "y": [names[i] for i in turn],
        "z": [plot.listed(quarters[:, i], 4) for i in turn],
        "colorscale": _FACTOR_SCALE, "ygap": 1, "hoverongaps": False, "name": "",
        "hovertemplate": "%{y} %{x|%H:%M}: %{z:.3f} kgCO₂/kWh",
        "colorbar": {"title": {"text": "kgCO₂/kWh", "side": "right"}, "thickness": 12,
                     "outlinewidth": 0, "tickformat": ".2f"},
    }  # fmt: skip
    for shape in shapes:  # over the strip: edges only
        shape |= {"layer": "above", "fillcolor": "rgba(0,0,0,0)",
                  "line": {"width": 1.2, "dash": "dot", "color": COLOUR["ink"]}}  # fmt: skip
    chart = plot.figure(
        [trace], height=110 + 22 * len(names), xaxis=plot.time_axis(start_ms, end_ms),
        yaxis={"type": "category", "automargin": True, "ticks": ""}, shapes=shapes,
        hovermode="closest",
    )  # fmt: skip
    return Chart("factors", title, text, chart)


def _emissions(data: PageData) -> Mapping[str, object]:
    return mapping(mapping(data.summary, "figures"), "emissions")


def _tonnes(value: float | None, data: PageData) -> str:
    return data.mw(value)


def emission_totals(data: PageData, words: Words) -> Table | None:
    """Return CO2 of the day with and without the orders."""
    told = _emissions(data)
    days = ("undisturbed", "ordered") if data.steps else ("undisturbed",)
    if real(told, "undisturbed_t") is None:
        return None
    rows = [
        [
            Cell(words(f"emissions.{day}")),
            Cell(_tonnes(real(told, f"{day}_t"), data), "num strong"),
            Cell(_tonnes(real(told, f"{day}_losses_t"), data), "num"),
            Cell(number(real(told, f"{day}_kg_kwh"), 4), "num"),
        ]
        for day in days
    ]
    head = [Cell(words("emissions.day"))]
    head += [Cell(words(f"emissions.{k}"), "num") for k in ("total", "losses", "factor")]
    title = words("emissions.title")
    return Table("emission-totals", title, words("emissions.text"), head, rows, wide=False)


def spared(data: PageData, words: Words) -> Table | None:
    """Return what each order spared, at the average and at the marginal factor."""
    told = _emissions(data)
    by_order = mapping(told, "by_order")
    rows: list[Sequence[Cell]] = []
    for step in data.steps:
        found = mapping(by_order, step.order.id)
        if real(found, "import_mwh") is not None:
            rows.append(_spared_row(data, plot.order_name(step.order, words, short=True), found))
    if not rows:
        return None
    if len(rows) > 1:
        total = mapping(told, "all_orders")
        rows.append(_spared_row(data, words("spared.total"), total, "total"))
    head = [Cell(words("spared.order"))]
    head += [Cell(words(f"spared.{k}"), "num") for k in ("import", "average", "marginal")]
    title = words("spared.title")
    return Table("spared", title, words("spared.text"), head, rows, wide=False)


def _spared_row(
    data: PageData, name: str, found: Mapping[str, object], kind: str = ""
) -> list[Cell]:
    return [
        Cell(name, kind),
        Cell(data.mw(real(found, "import_mwh")), "num"),
        Cell(_tonnes(real(found, "average_t"), data), "num strong"),
        Cell(_tonnes(real(found, "marginal_t"), data), "num strong"),
    ]
