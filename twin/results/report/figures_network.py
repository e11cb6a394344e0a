"""The network: voltages in their bands, loadings, tap and capacitor moves, where it happened."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.record.history import History
from twin.results.report import plot
from twin.results.report.blocks import Cell, Chart, Table
from twin.results.report.figures_load import bounds
from twin.results.report.inputs import Districts, PageData, Step
from twin.results.report.plot import COLOUR, Trace
from twin.results.report.series import Series, scalar, table
from twin.results.report.words import Words, number

__all__ = ["district_map", "district_table", "loadings", "moves", "voltages"]

LEVELS = ("500", "220", "110", "10")
LEVEL_COLOUR = {"500": "#332288", "220": "#0b4f8a", "110": "#44aa99", "10": "#999933"}


def voltages(data: PageData, words: Words) -> Chart | None:
    """Return lowest and highest voltage by level, one panel each, with the permitted band."""
    ordered, undisturbed = data.histories.ordered, data.histories.undisturbed
    present = [n for n in LEVELS if scalar(ordered, f"v{n}_min") is not None]
    if not present:
        return None
    bands = data.network.bands_pu if data.network is not None else {}
    traces: list[Trace] = []
    layout: dict[str, object] = {}
    shapes, notes = plot.order_windows([s.order for s in data.steps], words, labelled=False)
    columns = min(len(present), 2)
    lines = -(-len(present) // 2)
    for i, name in enumerate(present):
        suffix = "" if i == 0 else str(i + 1)
        panel = (1.0 - 0.16 * (lines - 1)) / lines
        left, top = (i % 2) * 0.54, 1.0 - (i // 2) * (panel + 0.16)
        right, bottom = left + (0.46 if columns == 2 else 1.0), top - panel
        traces.extend(_voltage_traces(ordered, undisturbed, name, suffix, words))
        layout[f"xaxis{suffix}"] = plot.time_axis(
            *bounds(ordered), domain=[left, right], anchor=f"y{suffix}", sparse=True
        )
        layout[f"yaxis{suffix}"] = plot.axis(
            "pu", domain=[bottom, top], anchor=f"x{suffix}", tickformat=".2f",
            range=_voltage_range(ordered, undisturbed, name, bands),
        )  # fmt: skip
        for value in bands.get(name, ()):
            shape = plot.level(value, COLOUR["limit"], yref=f"y{suffix}", dash="dash")
            shapes.append(shape | {"x0": left, "x1": right})
        for shape in shapes[: len(data.steps)] if i > 0 else ():
            shapes.append(
                shape | {"xref": f"x{suffix}", "yref": f"y{suffix} domain", "y0": 0, "y1": 1}
            )
        notes.append(
            plot.note(left, top, f"<b>{name} kV</b>", xref="paper", yref="paper", xanchor="left",
                      yanchor="bottom", color=COLOUR["ink"])
        )  # fmt: skip
    for shape in shapes[: len(data.steps)]:
        shape.update(yref="y domain")
    first_x, first_y = layout.pop("xaxis"), layout.pop("yaxis")
    chart = plot.figure(
        traces, height=225 * lines + 50, xaxis=first_x, yaxis=first_y,  # type: ignore[arg-type]
        shapes=shapes, notes=notes, showlegend=False, **layout,
    )  # fmt: skip
    return Chart("voltages", words("voltages.title"), _voltage_text(data, present, words), chart)


def _voltage_range(
    ordered: History, undisturbed: History, name: str, bands: Mapping[str, tuple[float, float]]
) -> list[float]:
    """Return an axis that holds every voltage and the whole band."""
    seen = list(bands.get(name, ()))
    for history in (ordered, undisturbed):
        for edge, pick in (("min", np.nanmin), ("max", np.nanmax)):
            values = scalar(history, f"v{name}_{edge}")
            if values is not None:
                seen.append(float(pick(values)))
    return [min(seen) - 0.004, max(seen) + 0.004]


def _voltage_traces(
    ordered: History, undisturbed: History, name: str, suffix: str, words: Words
) -> list[Trace]:
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "digits": 4}
    colour = LEVEL_COLOUR[name]
    traces: list[Trace] = []
    for edge in ("min", "max"):
        values = scalar(ordered, f"v{name}_{edge}")
        if values is None:
            continue
        fill = {"fill": "tonexty", "fillcolor": "rgba(11,79,138,0.14)"} if edge == "max" else {}
        traces.append(
            plot.line(values, ordered.start_ms, words(f"voltages.{edge}"), colour, width=1.4,
                      **axes, **fill)  # type: ignore[arg-type]
        )  # fmt: skip
    for edge in ("min", "max"):
        values = scalar(undisturbed, f"v{name}_{edge}")
        if values is None:
            continue
        traces.append(
            plot.line(values, undisturbed.start_ms, words("voltages.free"), COLOUR["without"],
                      width=1.1, dash="dot", hoverinfo="skip", **axes)  # type: ignore[arg-type]
        )  # fmt: skip
    return traces


def _voltage_text(data: PageData, present: list[str], words: Words) -> str:
    counts = [
        float(np.nansum(v)) if v is not None else float("nan")
        for v in (
            scalar(h, "violations_bus")
            for h in (data.histories.ordered, data.histories.undisturbed)
        )
    ]
    return words("voltages.text", run=number(counts[0], 0), free=number(counts[1], 0))


def loadings(data: PageData, words: Words) -> Chart | None:
    """Return the highest loading by level."""
    ordered, undisturbed = data.histories.ordered, data.histories.undisturbed
    traces: list[Trace] = []
    for name in LEVELS[:3]:
        free = scalar(undisturbed, f"loading_{name}_max")
        run = scalar(ordered, f"loading_{name}_max")
        if free is not None:
            traces.append(
                plot.line(free, undisturbed.start_ms, words("loadings.free", kv=name),
                          LEVEL_COLOUR[name], width=1.1, dash="dot")
            )  # fmt: skip
        if run is not None:
            traces.append(
                plot.line(run, ordered.start_ms, f"{name} kV", LEVEL_COLOUR[name], width=1.8)
            )
    if not traces:
        return None
    shapes, _ = plot.order_windows([s.order for s in data.steps], words, labelled=False)
    shapes.extend(
        plot.level(v, COLOUR["limit"], dash=d) for v, d in ((100.0, "dash"), (90.0, "dot"))
    )
    chart = plot.figure(
        traces, height=330, xaxis=plot.time_axis(*bounds(ordered)),
        yaxis=plot.axis(words("loadings.axis"), rangemode="tozero"), shapes=shapes,
    )  # fmt: skip
    top = scalar(ordered, "max_loading_pct")
    text = words("loadings.text", top=number(None if top is None else float(np.nanmax(top)), 1))
    return Chart("loadings", words("loadings.title"), text, chart, False)


def moves(data: PageData, words: Words) -> Chart | None:
    """Return tap and capacitor moves added up over the day."""
    traces: list[Trace] = []
    totals: dict[str, float] = {}
    for name, colour in (("tap_moves", "#0b4f8a"), ("capacitor_moves", "#b36b00")):
        for history, mark, dash in (
            (data.histories.undisturbed, "free", "dot"),
            (data.histories.ordered, "run", "solid"),
        ):
            values = scalar(history, name)
            if values is None:
                continue
            summed = np.cumsum(np.nan_to_num(values))
            totals[f"{name}_{mark}"] = float(summed[-1])
            label = words(f"moves.{name}")
            label = label if mark == "run" else words("moves.free", what=label)
            traces.append(
                plot.line(summed, history.start_ms, label, colour, dash=dash, shape="hv",
                          width=1.8 if mark == "run" else 1.1, digits=0)
            )  # fmt: skip
    if not traces:
        return None
    shapes, _ = plot.order_windows([s.order for s in data.steps], words, labelled=False)
    chart = plot.figure(
        traces, height=330, xaxis=plot.time_axis(*bounds(data.histories.ordered)),
        yaxis=plot.axis(words("moves.axis"), rangemode="tozero"), shapes=shapes,
    )  # fmt: skip
    text = words("moves.text", taps=number(totals.get("tap_moves_run"), 0),
                 taps_free=number(totals.get("tap_moves_free"), 0))  # fmt: skip
    return Chart("moves", words("moves.title"), text, chart, False)


def district_change(step: Step) -> tuple[Series, Series] | None:
    """Return load without the order and reduction by district [MW], means of its window."""
    run, without = table(step.run, "district.load_mw"), table(step.without, "district.load_mw")
    if run is None or without is None:
        return None
    n = min(step.run.filled, step.without.filled)
    window = slice(
        min(step.run.index(step.order.full_by_ms), n), min(step.run.index(step.order.end_ms), n)
    )
    if window.stop <= window.start:
        return None
    before = np.asarray(without[window], dtype=np.float64).mean(axis=0)
    return before, before - np.asarray(run[window], dtype=np.float64).mean(axis=0)


def spread(x_km: Series, y_km: Series, radius: Series) -> tuple[Series, Series]:
    """Return centres moved apart until no two circles overlap (Dorling's cartogram).

    Deterministic: a fixed number of rounds, every pair in one order.
    """
    place = np.column_stack([x_km, y_km]).astype(np.float64)
    home = place.copy()
    n = len(radius)
    for turn in range(300):
        place += 0.02 * (home - place) * (1.0 - turn / 300.0)
        for i in range(n):
            for j in range(i + 1, n):
                way = place[j] - place[i]
                distance = float(np.hypot(way[0], way[1]))
                lack = 1.04 * (radius[i] + radius[j]) - distance
                if lack > 0.0:
                    unit = way / distance if distance > 1e-9 else np.array([1.0, 0.0])
                    place[i] -= 0.5 * lack * unit
                    place[j] += 0.5 * lack * unit
    return place[:, 0], place[:, 1]


def district_map(data: PageData, step: Step, words: Words) -> Chart | None:
    """Return the districts as circles: area is load, colour is the share that was cut."""
    change = district_change(step)
    if change is None or data.districts is None or len(data.districts.names) < 2:
        return None
    before, cut = change
    places: Districts = data.districts
    extent = max(float(np.ptp(places.x_km)), float(np.ptp(places.y_km)), 1.0)
    radius = np.sqrt(np.maximum(before, 0.0) / max(float(before.sum()), 1e-9)) * extent * 0.30
    x, y = spread(places.x_km, places.y_km, radius)
    share = np.divide(100.0 * cut, before, out=np.zeros_like(cut), where=before > 0)
    names = places.names_zh if words.lang == "zh" else places.names
    shapes, notes = [], []
    top = max(float(share.max()), 1e-9)
    for i, name in enumerate(names):
        part = float(np.clip(share[i] / top, 0.0, 1.0))
        shapes.append(
            {"type": "circle", "xref": "x", "yref": "y", "x0": x[i] - radius[i],
             "x1": x[i] + radius[i], "y0": y[i] - radius[i], "y1": y[i] + radius[i],
             "fillcolor": _shade(part), "line": {"color": "#ffffff", "width": 1.5},
             "layer": "below"}
        )  # fmt: skip
        text = f"<b>{name}</b><br>{data.mw(before[i])}<br>{data.mw(-cut[i])}"
        if radius[i] < 0.058 * extent:  # too small to write in: beside it
            notes.append(
                plot.note(float(x[i] + radius[i]), float(y[i]), text, xanchor="left", align="left")
            )
            continue
        colour = "#ffffff" if part > 0.55 else COLOUR["ink"]
        notes.append(plot.note(float(x[i]), float(y[i]), text, color=colour))
    hover = [words("map.hover", name=n, load=data.mw(b), cut=data.mw(c, 1), share=number(s, 1))
             for n, b, c, s in zip(names, before, cut, share, strict=True)]  # fmt: skip
    trace: Trace = {
        "type": "scatter", "mode": "markers", "x": plot.listed(x, 3), "y": plot.listed(y, 3),
        "text": hover, "hoverinfo": "text", "showlegend": False,
        "marker": {"size": 26, "opacity": 0, "color": plot.listed(share, 2), "cmin": 0,
                   "cmax": top, "colorscale": [[i / 4, _shade(i / 4)] for i in range(5)],
                   "showscale": True,
                   "colorbar": {"title": {"text": words("map.share"), "side": "top"},
                                "thickness": 12, "len": 0.7, "outlinewidth": 0}},
    }  # fmt: skip
    hidden: dict[str, object] = {"visible": False}
    chart = plot.figure(
        [trace], height=560,
        xaxis=hidden | {"range": _reach(x, radius)},
        yaxis=hidden | {"scaleanchor": "x", "range": _reach(y, radius)},
        shapes=shapes, notes=notes, hovermode="closest", margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )  # fmt: skip
    return Chart(f"map-{step.order.id}", words("map.title"), words("map.text"), chart, False)


def _reach(centre: Series, radius: Series) -> list[float]:
    pad = 0.3 * float(radius.max())
    return [float((centre - radius).min()) - pad, float((centre + radius).max()) + pad]


def _shade(part: float) -> str:
    """Return a blue between very light (0) and dark (1), even in grey print."""
    light, dark = np.array([226, 238, 247]), np.array([8, 64, 112])
    red, green, blue = (light + (dark - light) * part).round().astype(int).tolist()
    return f"rgb({red},{green},{blue})"


def district_table(data: PageData, step: Step, words: Words) -> Table | None:
    """Return load and reduction by district in figures."""
    change = district_change(step)
    if change is None or len(data.inventory.districts) < 2:
        return None
    before, cut = change
    names = data.district_names(words)
    order: NDArray[np.int64] = np.argsort(-before, kind="stable").astype(np.int64)
    rows = [_district_row(data, names[i], before[i], cut[i]) for i in order.tolist()]
    rows.append(_district_row(data, words("map.total"), before.sum(), cut.sum(), "total"))
    head = [Cell(words("map.district"))]
    head += [Cell(words(f"map.{k}"), "num") for k in ("load", "cut", "share")]
    return Table(f"districts-{step.order.id}", "", words("map.table_text"), head, rows, wide=False)


def _district_row(
    data: PageData, name: str, before: float, cut: float, kind: str = ""
) -> list[Cell]:
    share = 100.0 * cut / before if before > 0 else float("nan")
    return [
        Cell(name, kind),
        Cell(data.mw(before), "num"),
        Cell(data.mw(cut, 1), "num"),
        Cell(number(share, 1), "num"),
    ]
