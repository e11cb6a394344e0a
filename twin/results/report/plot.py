"""Figures as plain data for plotly.js: traces, layouts, colours, time axes.

Written as dicts, not through plotly's Python classes: those check every property of every
trace, which costs seconds on a page of this size and nothing is gained on a fixed set of figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.clock import DAY_MS, MINUTE_MS
from twin.record.orders import Order, OrderForm, OrderKind
from twin.results.report.series import FAN_PERCENTILES, Series
from twin.results.report.words import Words, number

__all__ = [
    "COLOUR",
    "KIND_COLOUR",
    "Figure",
    "axis",
    "bars",
    "clock_text",
    "fan_traces",
    "figure",
    "level",
    "line",
    "listed",
    "note",
    "order_name",
    "order_windows",
    "reach",
    "span",
    "stretch",
    "time_axis",
]

Trace = dict[str, object]
Figure = dict[str, object]

# Paul Tol's "muted" set: told apart in the three common kinds of colour blindness and in print.
KIND_COLOUR: Mapping[str, str] = {
    "storage": "#332288",
    "aircon": "#88ccee",
    "icestore": "#44aa99",
    "charging": "#117733",
    "swap": "#999933",
    "solar": "#ddcc77",
    "industry": "#cc6677",
    "hydrogen": "#aa4499",
    "shorepower": "#882255",
    "terminal": "#8d939b",
}
COLOUR: Mapping[str, str] = {
    "ink": "#1b2733",
    "soft": "#5b6875",
    "faint": "#9aa5b1",
    "grid": "#e6eaee",
    "run": "#0b4f8a",
    "without": "#8a8f96",
    "limit": "#b34700",
    "believed": "#7a3b9a",
    "back": "#d9822b",
    "demand_response": "rgba(68,136,204,0.13)",
    "load_management": "rgba(214,140,40,0.16)",
}
FONT = (
    '"Helvetica Neue", Arial, "Noto Sans", "PingFang SC", "Microsoft YaHei", '
    '"Noto Sans CJK SC", "Source Han Sans SC", sans-serif'
)
LEGEND: Mapping[str, object] = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "y": 1.02,  # above: below, its height and that of the axis labels would run into each other
    "yanchor": "bottom",
    "traceorder": "normal",
}
_VEIL = "rgba(255,255,255,0.55)"  # keeps a note readable over lines
_DAY_ZERO = np.datetime64("2001-01-01T00:00:00", "ms")  # only the time of day is ever shown


def clock_text(now_ms: int) -> str:
    """Return `now_ms` as a point on the time axis."""
    return str(_DAY_ZERO + np.timedelta64(now_ms, "ms")).replace("T", " ")[:19]


def listed(values: NDArray[np.generic], digits: int) -> list[float | None]:
    """Return values rounded for the page; what is no number becomes a gap."""
    rounded = np.round(np.asarray(values, dtype=np.float64), digits)
    out: list[float | None] = rounded.tolist()
    for i in np.flatnonzero(~np.isfinite(rounded)):
        out[int(i)] = None
    return out


def line(
    values: Series,
    start_ms: int,
    name: str,
    colour: str,
    *,
    digits: int = 2,
    step_ms: int = MINUTE_MS,
    **more: object,
) -> Trace:
    """Return a line over time, one value every `step_ms`."""
    style: dict[str, object] = {"color": colour, "width": more.pop("width", 1.8)}
    for key in ("dash", "shape"):
        if key in more:
            style[key] = more.pop(key)
    return {
        "type": "scatter",
        "mode": "lines",
        "x0": clock_text(start_ms),
        "dx": step_ms,
        "y": listed(values, digits),
        "name": name,
        "line": style,
        **more,
    }


def bars(
    values: Series, start_ms: int, name: str, colour: str, *, step_ms: int, digits: int = 2
) -> Trace:
    """Return bars over time that fill their interval."""
    return {
        "type": "bar",
        "x0": clock_text(start_ms + step_ms // 2),
        "dx": step_ms,
        "width": step_ms * 0.92,
        "y": listed(values, digits),
        "name": name,
        "marker": {"color": colour, "line": {"width": 0}},
    }


def fan_traces(
    fan: Series, start_ms: int, names: Sequence[str], rgb: tuple[int, int, int], **more: object
) -> list[Trace]:
    """Return the outer band, the inner band and the median of `series.fan`.

    `names` are those of the median, the inner and the outer band.
    """
    red, green, blue = rgb
    digits = int(str(more.pop("digits", 2)))
    step_ms = int(str(more.pop("step_ms", MINUTE_MS)))
    p5, p25, p50, p75, p95 = (fan[i] for i in range(len(FAN_PERCENTILES)))
    traces: list[Trace] = []
    for low, high, alpha, name in ((p5, p95, 0.16, names[2]), (p25, p75, 0.32, names[1])):
        fill = f"rgba({red},{green},{blue},{alpha})"
        edge = {"width": 0, "digits": digits, "step_ms": step_ms, "hoverinfo": "skip", **more}
        traces.append(line(low, start_ms, name, fill, showlegend=False, **edge))  # type: ignore[arg-type]
        traces.append(
            line(high, start_ms, name, fill, fill="tonexty", fillcolor=fill, **edge)  # type: ignore[arg-type]
        )
    colour = f"rgb({red},{green},{blue})"
    traces.append(line(p50, start_ms, names[0], colour, digits=digits, step_ms=step_ms, **more))
    return traces


def axis(title: str, **more: object) -> dict[str, object]:
    """Return a value axis."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 12}},
        "gridcolor": COLOUR["grid"],
        "zeroline": False,
        "linecolor": COLOUR["faint"],
        "ticks": "outside",
        "ticklen": 3,
        "tickcolor": COLOUR["faint"],
        "automargin": True,
        "tickformat": ",~f",
        **more,
    }


def time_axis(
    start_ms: int, end_ms: int, *, sparse: bool = False, **more: object
) -> dict[str, object]:
    """Return a time-of-day axis from `start_ms` to `end_ms`; `sparse` for a narrow panel."""
    hours = (end_ms - start_ms) / (DAY_MS / 24)
    every_min = next((m for h, m in ((2, 15), (4, 30), (9, 60), (15, 120)) if hours <= h), 180)
    every_min *= 2 if sparse else 1
    return {
        "type": "date",
        "range": [clock_text(start_ms), clock_text(end_ms)],
        "tickformat": "%H:%M",
        "hoverformat": "%H:%M",
        "dtick": every_min * MINUTE_MS,
        "tick0": clock_text(0),
        "gridcolor": COLOUR["grid"],
        "linecolor": COLOUR["faint"],
        "ticks": "outside",
        "ticklen": 3,
        "tickcolor": COLOUR["faint"],
        "zeroline": False,
        **more,
    }


def level(value: float, colour: str, *, yref: str = "y", dash: str = "dash") -> dict[str, object]:
    """Return a horizontal line across the figure at `value`."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "yref": yref,
        "y0": value,
        "y1": value,
        "line": {"color": colour, "width": 1.2, "dash": dash},
    }


def stretch(
    start_ms: int, end_ms: int, value: float, colour: str, *, dash: str = "dash", **more: object
) -> Trace:
    """Return a horizontal line over a stretch of time, which the value axis makes room for."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [clock_text(start_ms), clock_text(end_ms)],
        "y": [value, value],
        "line": {"color": colour, "width": 1.4, "dash": dash},
        "hoverinfo": "skip",
        "showlegend": False,
        **more,
    }


def reach(*parts: Series | float, pad: float = 0.06) -> list[float] | None:
    """Return an axis that holds all of `parts` with a little room, None where nothing is finite.

    Said outright, since plotly's own range may lose a trace when a page is laid out anew.
    """
    values = np.concatenate([np.atleast_1d(np.asarray(p, dtype=np.float64)) for p in parts])
    values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    low, high = float(values.min()), float(values.max())
    room = pad * max(high - low, 1e-6)
    return [low - room, high + room]


def span(start_ms: int, end_ms: int, colour: str, *, yref: str = "paper") -> dict[str, object]:
    """Return a shaded stretch of time, over the whole height of the figure."""
    return {
        "type": "rect",
        "layer": "below",
        "xref": "x",
        "x0": clock_text(start_ms),
        "x1": clock_text(end_ms),
        "yref": yref,
        "y0": 0,
        "y1": 1,
        "fillcolor": colour,
        "line": {"width": 0},
    }


def note(x: object, y: object, text: str, **more: object) -> dict[str, object]:
    """Return a short text in the figure, without an arrow."""
    font: dict[str, object] = {"size": 11, "color": more.pop("color", COLOUR["soft"])}
    return {"x": x, "y": y, "text": text, "showarrow": False, "font": font, **more}


def order_name(order: Order, words: Words, *, short: bool = False) -> str:
    """Return what the dispatcher calls the order, by its kind and its share of maximum load."""
    if order.form is OrderForm.CAP:
        return words("orders.short_cap" if short else "orders.cap")
    size = ""
    if order.mw is not None and words.base_mw > 0.0:
        share = 100.0 * order.mw / words.base_mw
        size = f"{number(share, 0 if abs(share - round(share)) < 0.05 else 1)} %"
    return words("orders.short" if short else f"orders.{order.kind.value}", size=size).strip()


def order_windows(
    orders: Sequence[Order], words: Words, *, labelled: bool = True
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return shapes and annotations that mark the windows of `orders`."""
    shapes: list[dict[str, object]] = []
    notes: list[dict[str, object]] = []
    for order in orders:
        if order.kind is OrderKind.CAPABILITY:
            continue
        shapes.append(span(order.start_ms, order.end_ms, COLOUR[order.kind.value]))
        if labelled:
            middle = clock_text((order.start_ms + order.end_ms) // 2)
            name = order_name(order, words, short=True)
            notes.append(note(middle, 1, name, yref="paper", yanchor="top", bgcolor=_VEIL))
    return shapes, notes


def figure(
    traces: Sequence[Trace],
    *,
    height: int,
    xaxis: Mapping[str, object],
    yaxis: Mapping[str, object],
    shapes: Sequence[Mapping[str, object]] = (),
    notes: Sequence[Mapping[str, object]] = (),
    **more: object,
) -> Figure:
    """Return a figure in the page's one style; `more` goes into the layout where it is not None."""
    layout: dict[str, object] = {
        "height": height,
        "margin": {"l": 64, "r": 24, "t": 20, "b": 34},
        "font": {"family": FONT, "size": 12, "color": COLOUR["ink"]},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "separators": ".\u2009",
        "hovermode": "x unified",
        "hoverlabel": {"font": {"size": 11}, "namelength": -1},
        "legend": dict(LEGEND),
        "xaxis": dict(xaxis),
        "yaxis": dict(yaxis),
        "shapes": list(shapes),
        "annotations": list(notes),
        **{k: v for k, v in more.items() if v is not None},
    }
    return {"data": list(traces), "layout": layout}
