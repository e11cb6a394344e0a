"""The city: its load with and without orders, what it is made of, what the tariff does alone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from twin.clock import MINUTE_MS, format_time_of_day
from twin.record.history import History
from twin.record.orders import OrderForm, OrderKind
from twin.results.report import plot
from twin.results.report.blocks import Chart
from twin.results.report.inputs import PageData, Step
from twin.results.report.plot import COLOUR, KIND_COLOUR, Trace
from twin.results.report.series import KINDS, Series, difference, kind_power, scalar
from twin.results.report.words import Words, number

__all__ = ["city_load", "composition", "peak_of", "tariff"]

MARKS = (0.05, 0.20)  # the plan's two percentages (穗府函〔2024〕189号)
ORDER_COLOUR = {OrderKind.DEMAND_RESPONSE: "#0b4f8a", OrderKind.LOAD_MANAGEMENT: "#b36b00"}


def bounds(history: History) -> tuple[int, int]:
    """Return begin and end of what was recorded, without the warm-up of the day before."""
    return max(history.start_ms, 0), history.start_ms + history.filled * MINUTE_MS


def peak_of(history: History, name: str = "load_mw") -> tuple[float, int] | None:
    """Return the maximum of a scalar series and the time of its minute."""
    values = scalar(history, name)
    if values is None:
        return None
    row = int(np.nanargmax(values))
    return float(values[row]), history.start_ms + row * MINUTE_MS


def city_load(data: PageData, words: Words) -> Chart | None:
    """Return the load with and without orders, and below it what the orders took off."""
    ordered, undisturbed = data.histories.ordered, data.histories.undisturbed
    load, free = scalar(ordered, "load_mw"), scalar(undisturbed, "load_mw")
    if load is None or free is None:
        return None
    base = data.inventory.max_load_mw
    traces: list[Trace] = [
        plot.line(free, undisturbed.start_ms, words("load.without"), COLOUR["without"], dash="dot"),
        plot.line(load, ordered.start_ms, words("load.with"), COLOUR["run"], width=2.2),
    ]
    shapes, notes = plot.order_windows([s.order for s in data.steps], words)
    for mark in MARKS:
        label = words("load.mark", percent=round(mark * 100))
        traces.append(_flat(base * (1 - mark), data, label, "y"))
    traces.append(_flat(base, data, words("load.maximum"), "y"))
    drawn: list[Series | float] = [0.0]
    for step in data.steps:
        taken = _taken_off(step, words)
        traces.extend(taken)
        targets = _targets(step)
        traces.extend(targets)
        drawn += [np.asarray(t["y"], dtype=np.float64) for t in targets if t["yaxis"] == "y2"]
        drawn += [_numbers(t["y"]) for t in taken]
    below: Mapping[str, object] | None = None
    if data.steps:
        for mark in MARKS:
            shapes.append(plot.level(base * mark, COLOUR["limit"], yref="y2", dash="dot"))
            label = f"{round(mark * 100)} % = {data.mw(base * mark)} MW"
            notes.append(
                plot.note(0, base * mark, label, xref="paper", yref="y2", xanchor="left",
                          yanchor="bottom", color=COLOUR["limit"])
            )  # fmt: skip
        below = plot.axis(
            words("load.taken_axis"),
            domain=[0.0, 0.34],
            zeroline=True,
            zerolinecolor="#9aa5b1",
            range=plot.reach(*drawn),
        )
    start_ms, end_ms = bounds(ordered)
    chart = plot.figure(
        traces,
        height=560 if data.steps else 360,
        xaxis=plot.time_axis(start_ms, end_ms, anchor="y2" if data.steps else "y"),
        yaxis=plot.axis(words("load.axis"), domain=[0.42, 1.0] if data.steps else [0.0, 1.0]),
        shapes=shapes,
        notes=notes,
        yaxis2=below,
    )
    return Chart("city-load", words("load.title"), _load_text(data, words), chart)


def _numbers(drawn: object) -> Series:
    """Return what `plot.listed` made, gaps as NaN."""
    return np.array(drawn, dtype=np.float64)


def _flat(value: float, data: PageData, name: str, axis: str) -> Trace:
    start_ms, end_ms = bounds(data.histories.ordered)
    return {
        "type": "scatter",
        "mode": "lines+text",
        "x": [plot.clock_text(start_ms), plot.clock_text(end_ms)],
        "y": [value, value],
        "text": [f" {name} = {data.mw(value)} MW", ""],
        "textposition": "top right",
        "textfont": {"size": 11, "color": COLOUR["limit"]},
        "line": {"color": COLOUR["limit"], "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
        "cliponaxis": False,
        "yaxis": axis,
    }


def _taken_off(step: Step, words: Words) -> list[Trace]:
    change = difference(scalar(step.run, "load_mw"), scalar(step.without, "load_mw"))
    if change is None:
        return []
    first = step.run.index(step.order.notice_ms)
    colour = ORDER_COLOUR[step.order.kind]
    name = words("load.taken_by", order=plot.order_name(step.order, words, short=True))
    return [
        plot.line(
            -change[first:],
            step.run.start_ms + first * MINUTE_MS,
            name,
            colour,
            fill="tozeroy",
            fillcolor=f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},"
            f"{int(colour[5:7], 16)},0.10)",
            yaxis="y2",
        )
    ]


def _targets(step: Step) -> list[Trace]:
    """Return what was asked, as a line over the window in which it must be whole."""
    order = step.order
    if order.mw is None:
        return []
    axis = "y" if order.form is OrderForm.CAP else "y2"
    return [plot.stretch(order.full_by_ms, order.end_ms, order.mw, COLOUR["ink"], yaxis=axis)]


def _load_text(data: PageData, words: Words) -> str:
    free = peak_of(data.histories.undisturbed)
    run = peak_of(data.histories.ordered)
    if free is None or run is None:
        return ""
    return words(
        "load.text" if data.steps else "load.text_quiet",
        free=data.mw(free[0]),
        free_at=format_time_of_day(free[1]),
        run=data.mw(run[0]),
        run_at=format_time_of_day(run[1]),
        base=data.mw(data.inventory.max_load_mw),
    )


def composition(data: PageData, words: Words) -> Chart | None:
    """Return air conditioning against the rest of the load, with the temperature outdoors."""
    history = data.histories.undisturbed
    load = scalar(history, "load_mw")
    modelled, background = scalar(history, "aircon_modelled_mw"), scalar(
        history, "aircon_background_mw"
    )  # fmt: skip
    if load is None or modelled is None or background is None:
        return None
    rest = load - modelled - background
    traces: list[Trace] = []
    for values, key, colour in (
        (rest, "rest", "#d5dae0"),
        (background, "aircon_background", "#bfe0f3"),
        (modelled, "aircon_modelled", KIND_COLOUR["aircon"]),
    ):
        traces.append(
            plot.line(values, history.start_ms, words(f"composition.{key}"), colour, width=0,
                      stackgroup="load", fillcolor=colour)
        )  # fmt: skip
    right: Mapping[str, object] | None = None
    temperature = scalar(history, "temperature_c")
    if temperature is not None:
        traces.append(
            plot.line(temperature, history.start_ms, words("composition.temperature"),
                      COLOUR["limit"], yaxis="y2", digits=2)
        )  # fmt: skip
        right = plot.axis(
            "°C", overlaying="y", side="right", showgrid=False, tickmode="auto", nticks=6
        )
    row = int(np.nanargmax(load))
    share = 100 * (modelled[row] + background[row]) / load[row]
    text = words(
        "composition.text",
        share=number(share, 1),
        at=format_time_of_day(history.start_ms + row * MINUTE_MS),
        modelled=data.mw(modelled[row]),
        background=data.mw(background[row]),
    )
    chart = plot.figure(
        traces, height=330, xaxis=plot.time_axis(*bounds(history)),
        yaxis=plot.axis("MW", rangemode="tozero"), yaxis2=right,
    )  # fmt: skip
    return Chart("composition", words("composition.title"), text, chart)


TARIFF_SHADE = {
    0: "rgba(68,170,153,0.16)",
    2: "rgba(221,204,119,0.28)",
    3: "rgba(204,102,119,0.30)",
}


def tariff(data: PageData, words: Words) -> Chart | None:
    """Return what storage does on any day because of the tariff: a peak cut nobody ordered."""
    history = data.histories.undisturbed
    power, load = kind_power(history), scalar(history, "load_mw")
    if power is None or load is None:
        return None
    storage: Series = power[:, KINDS.index("storage")]
    shapes: list[dict[str, object]] = []
    periods = scalar(history, "tariff_period")
    if periods is not None:
        shapes = _tariff_spans(periods, history.start_ms)
    traces = [
        plot.line(storage, history.start_ms, words("tariff.storage"), KIND_COLOUR["storage"],
                  fill="tozeroy", fillcolor="rgba(51,34,136,0.20)", shape="hv")
    ]  # fmt: skip
    traces.extend(_tariff_keys(words) if shapes else [])
    row = int(np.nanargmax(load))
    bare = load + storage  # the load with every storage standing still, losses unchanged
    text = words(
        "tariff.text",
        power=data.mw(float(storage[row])),
        at=format_time_of_day(history.start_ms + row * MINUTE_MS),
        lower=data.mw(float(np.nanmax(bare) - np.nanmax(load))),
        bare=data.mw(float(np.nanmax(bare))),
        load=data.mw(float(np.nanmax(load))),
    )
    chart = plot.figure(
        traces, height=300, xaxis=plot.time_axis(*bounds(history)),
        yaxis=plot.axis(words("tariff.axis"), zeroline=True, zerolinecolor="#9aa5b1"),
        shapes=shapes,
    )  # fmt: skip
    return Chart("tariff", words("tariff.title"), text, chart)


def _tariff_spans(periods: Series, start_ms: int) -> list[dict[str, object]]:
    edges = [0, *(np.flatnonzero(np.diff(periods)) + 1).tolist(), len(periods)]
    shapes = []
    for first, stop in pairwise(edges):
        shade = TARIFF_SHADE.get(int(periods[first]))
        if shade is not None:
            begin_ms, end_ms = start_ms + first * MINUTE_MS, start_ms + stop * MINUTE_MS
            shapes.append(plot.span(begin_ms, end_ms, shade))
    return shapes


def _tariff_keys(words: Words) -> list[Trace]:
    """Return legend entries for the shades."""
    return [
        {
            "type": "scatter", "mode": "markers", "x": [None], "y": [None],
            "name": words(f"tariff.period_{period}"), "hoverinfo": "skip",
            "marker": {"symbol": "square", "size": 11, "color": shade},
        }
        for period, shade in TARIFF_SHADE.items()
    ]  # fmt: skip
