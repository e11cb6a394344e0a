"""What people and vehicles noticed: indoor temperatures, stored energy, departures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.record.history import History
from twin.results.report import plot
from twin.results.report.blocks import Chart
from twin.results.report.figures_load import bounds
from twin.results.report.inputs import PageData
from twin.results.report.plot import COLOUR, Trace
from twin.results.report.series import Series, fan, table
from twin.results.report.words import Words, number

__all__ = ["departures", "indoor", "stored", "too_warm"]

COMFORT_MAX_C = 28.0  # the judge's comfort limit (event band 26 to 28 °C, general knowledge)
SHORT_SHARE = 0.10  # a session short by more than this counts (dr.mobility_short)
_TEAL, _INDIGO, _GREEN = (27, 122, 140), (51, 34, 136), (17, 119, 51)
_BIN_MS = 30 * MINUTE_MS


def _names(words: Words) -> tuple[str, str, str]:
    return words("fan.median"), words("fan.inner"), words("fan.outer")


def _occupied(history: History) -> NDArray[np.bool_] | None:
    occupied = table(history, "aircon.occupied")
    return None if occupied is None else np.asarray(occupied) > 0.5


def indoor(data: PageData, words: Words) -> Chart | None:
    """Return indoor temperatures of occupied buildings as a fan."""
    ordered, undisturbed = data.histories.ordered, data.histories.undisturbed
    warm, free = table(ordered, "aircon.temperature_c"), table(undisturbed, "aircon.temperature_c")
    if warm is None or free is None:
        return None
    own = fan(warm, _occupied(ordered))
    other = fan(free, _occupied(undisturbed))
    traces = plot.fan_traces(own, ordered.start_ms, _names(words), _TEAL)
    for row in (2, 4):
        name = words("indoor.free_median" if row == 2 else "indoor.free_p95")
        traces.append(
            plot.line(other[row], undisturbed.start_ms, name, COLOUR["without"], width=1.3,
                      dash="dash" if row == 2 else "dot", digits=2)
        )  # fmt: skip
    shapes, notes = plot.order_windows([s.order for s in data.steps], words)
    shapes.append(plot.level(COMFORT_MAX_C, COLOUR["limit"]))
    notes.append(
        plot.note(0, COMFORT_MAX_C, words("indoor.limit"), xref="paper", xanchor="left",
                  yanchor="bottom", color=COLOUR["limit"])
    )  # fmt: skip
    chart = plot.figure(
        traces, height=350, xaxis=plot.time_axis(*bounds(ordered)), yaxis=plot.axis("°C"),
        shapes=shapes, notes=notes,
    )  # fmt: skip
    text = words("indoor.text", n=number(warm.shape[1], 0))
    return Chart("indoor", words("indoor.title"), text, chart)


def _share_too_warm(history: History, floor_m2: Series) -> Series | None:
    """Return the share of occupied floor area above the comfort limit [%], minute by minute."""
    warm, occupied = table(history, "aircon.temperature_c"), _occupied(history)
    if warm is None or occupied is None:
        return None
    area = occupied @ floor_m2
    above = ((np.asarray(warm) > COMFORT_MAX_C) & occupied) @ floor_m2
    return np.divide(100.0 * above, area, out=np.zeros_like(area), where=area > 0)


def too_warm(data: PageData, words: Words) -> Chart | None:
    """Return the share of occupied floor area that is too warm, with and without orders."""
    aircon = data.inventory.kinds.get("aircon")
    if aircon is None or "floor_m2" not in aircon.columns:
        return None
    floor_m2 = aircon.columns.f8("floor_m2")
    ordered, undisturbed = data.histories.ordered, data.histories.undisturbed
    run, free = _share_too_warm(ordered, floor_m2), _share_too_warm(undisturbed, floor_m2)
    if run is None or free is None:
        return None
    traces = [
        plot.line(free, undisturbed.start_ms, words("load.without"), COLOUR["without"], dash="dot",
                  digits=2),
        plot.line(run, ordered.start_ms, words("load.with"), COLOUR["run"], digits=2),
    ]  # fmt: skip
    shapes, notes = plot.order_windows([s.order for s in data.steps], words)
    chart = plot.figure(
        traces, height=240, xaxis=plot.time_axis(*bounds(ordered)),
        yaxis=plot.axis("%", rangemode="tozero"), shapes=shapes, notes=notes,
    )  # fmt: skip
    text = words("too_warm.text", top=number(float(run.max())), free=number(float(free.max())))
    return Chart("too-warm", words("too_warm.title"), text, chart)


def stored(data: PageData, words: Words) -> Chart | None:
    """Return state of charge of the storage fleet as a fan."""
    ordered, undisturbed = data.histories.ordered, data.histories.undisturbed
    soc, free = table(ordered, "storage.soc"), table(undisturbed, "storage.soc")
    if soc is None or free is None:
        return None
    own, other = 100.0 * fan(soc), 100.0 * fan(free)
    traces = plot.fan_traces(own, ordered.start_ms, _names(words), _INDIGO, digits=1)
    traces.append(
        plot.line(other[2], undisturbed.start_ms, words("stored.free_median"), COLOUR["without"],
                  width=1.3, dash="dash")
    )  # fmt: skip
    shapes, notes = plot.order_windows([s.order for s in data.steps], words)
    chart = plot.figure(
        traces, height=350, xaxis=plot.time_axis(*bounds(ordered)),
        yaxis=plot.axis("SOC, %", range=[0, 100]), shapes=shapes, notes=notes,
    )  # fmt: skip
    return Chart(
        "stored", words("stored.title"), words("stored.text", n=number(soc.shape[1], 0)), chart
    )


def _shortfall(history: History) -> tuple[NDArray[np.int64], Series, Series] | None:
    """Return end of session [ms], share missing [%] and asked [kWh] of every session that ended."""
    sessions = history.events("charging.sessions")
    if not sessions or len(sessions["now_ms"]) == 0:
        return None
    asked = np.asarray(sessions["asked_kwh"], dtype=np.float64)
    got = np.asarray(sessions["got_kwh"], dtype=np.float64)
    missing = np.maximum(asked - got, 0.0)
    share = np.divide(100.0 * missing, asked, out=np.zeros_like(asked), where=asked > 0)
    return np.asarray(sessions["now_ms"], dtype=np.int64), share, asked


def _binned(ended_ms: NDArray[np.int64], share: Series, edges_ms: Series) -> tuple[Series, Series]:
    """Return the fan of `share` and the share of sessions short by more than a tenth, by bin."""
    out, short = np.full((5, len(edges_ms)), np.nan), np.full(len(edges_ms), np.nan)
    place = np.searchsorted(edges_ms, ended_ms, side="right") - 1
    order = np.argsort(place, kind="stable")
    for bin_row, rows in zip(
        np.unique(place), np.split(order, np.flatnonzero(np.diff(place[order])) + 1), strict=True
    ):
        if bin_row >= 0:
            out[:, bin_row] = np.percentile(share[rows], [5, 25, 50, 75, 95])
            short[bin_row] = 100.0 * float(np.mean(share[rows] > 100.0 * SHORT_SHARE))
    return out, short


def departures(data: PageData, words: Words) -> Chart | None:
    """Return the energy missing at departure as a fan over half-hours, and sessions short."""
    ordered = data.histories.ordered
    run, free = _shortfall(ordered), _shortfall(data.histories.undisturbed)
    if run is None or free is None:
        return None
    start_ms, end_ms = bounds(ordered)
    edges = np.arange(start_ms, end_ms, _BIN_MS, dtype=np.float64)
    own, own_short = _binned(run[0], run[1], edges)
    _, free_short = _binned(free[0], free[1], edges)
    middle_ms = start_ms + _BIN_MS // 2
    traces: list[Trace] = plot.fan_traces(
        own, middle_ms, _names(words), _GREEN, digits=2, step_ms=_BIN_MS
    )
    for values, key, colour, dash in (
        (own_short, "departures.short", COLOUR["run"], "solid"),
        (free_short, "departures.short_free", COLOUR["without"], "dash"),
    ):
        traces.append(
            plot.line(values, middle_ms, words(key), colour, width=1.4, dash=dash, digits=2,
                      step_ms=_BIN_MS)
        )  # fmt: skip
    shapes, notes = plot.order_windows([s.order for s in data.steps], words)
    chart = plot.figure(
        traces, height=320, xaxis=plot.time_axis(start_ms, end_ms),
        yaxis=plot.axis("%", rangemode="tozero"), shapes=shapes, notes=notes,
    )  # fmt: skip
    text = words(
        "departures.text", n=number(len(run[0]), 0), asked=number(float(run[2].sum()) / 1000, 1),
        missing=number(float((run[1] * run[2]).sum()) / 1e5, 2),
        free=number(float((free[1] * free[2]).sum()) / 1e5, 2),
    )  # fmt: skip
    return Chart("departures", words("departures.title"), text, chart)
