"""One order: who delivered what, what the same devices did anyway, and what came back after."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twin.clock import HOUR_MS, MINUTE_MS, format_time_of_day
from twin.record.orders import OrderForm, OrderKind
from twin.results.report import plot
from twin.results.report.blocks import Cell, Chart, Table
from twin.results.report.inputs import PageData, Step
from twin.results.report.lookup import limit_of, mapping, real
from twin.results.report.plot import COLOUR, KIND_COLOUR, Trace
from twin.results.report.series import (
    FLEXIBLE,
    KINDS,
    Series,
    difference,
    kind_power,
    quarter_means,
    scalar,
)
from twin.results.report.words import Words, number

__all__ = ["REBOUND_MS", "anyway", "delivered", "kinds_table", "rebound", "step_summary"]

REBOUND_MS = 4 * HOUR_MS  # how long the judge looks for a rebound
_BEFORE_MS = HOUR_MS
_NOTHING_MW = 5e-4  # half of the last digit that is shown


def _rows(step: Step, start_ms: int, end_ms: int) -> slice:
    n = min(step.run.filled, step.without.filled)
    return slice(min(step.run.index(start_ms), n), min(step.run.index(end_ms), n))


def _view(step: Step) -> tuple[int, int]:
    """Return the stretch of time that the charts of an order show."""
    first_ms = max(step.run.start_ms, step.order.start_ms - _BEFORE_MS)
    last_ms = step.run.start_ms + min(step.run.filled, step.without.filled) * MINUTE_MS
    return first_ms, min(step.order.end_ms + REBOUND_MS, last_ms)


def _verdict_prefix(step: Step) -> tuple[str, str]:
    if step.order.kind is OrderKind.LOAD_MANAGEMENT:
        return "lm.shed", "lm.overshed"
    return "dr.delivered", "dr.overdelivered"


def step_summary(data: PageData, step: Step, words: Words) -> str:
    """Return the order in one line."""
    order = step.order
    size = "" if order.mw is None else data.mw(order.mw)
    share = "" if order.mw is None else number(100 * order.mw / data.inventory.max_load_mw, 1)
    key = "orders.line_cap" if order.form.value == "cap" else "orders.line"
    warning = (
        words("orders.warning", minutes=number(order.warning_min)) if order.warning_min > 0 else ""
    )
    return words(
        key, id=order.id, mw=size, share=share, notice=format_time_of_day(order.notice_ms),
        start=format_time_of_day(order.start_ms), full_by=format_time_of_day(order.full_by_ms),
        end=format_time_of_day(order.end_ms), warning=warning,
    )  # fmt: skip


def stacked(values: Series, start_ms: int, words: Words, group: str) -> list[Trace]:
    """Return areas by kind, what is above and what is below zero stacked each for itself."""
    traces: list[Trace] = []
    for i, kind in enumerate(KINDS):
        own = values[:, i]
        if not bool(np.any(np.abs(own) > _NOTHING_MW)):
            continue
        name, colour = words(f"kinds.{kind}"), KIND_COLOUR[kind]
        shown = False
        for sign, part in (("up", np.maximum(own, 0.0)), ("down", np.minimum(own, 0.0))):
            if bool(np.any(np.abs(part) > _NOTHING_MW)):
                traces.append(
                    plot.line(part, start_ms, name, colour, width=0, stackgroup=f"{group}-{sign}",
                              fillcolor=colour, legendgroup=kind, showlegend=not shown,
                              hoverinfo="skip", digits=2)
                )  # fmt: skip
                shown = True
        traces.append(  # carries the hover text: the two halves together
            plot.line(own, start_ms, name, colour, width=0, legendgroup=kind, showlegend=False,
                      hovertemplate="%{y:,.2f} MW", digits=2)
        )  # fmt: skip
    return traces


def delivered(data: PageData, step: Step, words: Words) -> Chart | None:
    """Return the reduction against the counterfactual, stacked by kind, with what was asked."""
    change = difference(kind_power(step.run), kind_power(step.without))
    if change is None:
        return None
    start_ms, end_ms = _view(step)
    rows = _rows(step, start_ms, end_ms)
    traces = stacked(change[rows], start_ms, words, "cut")
    judged = step.judged_mw(data.inventory, start_ms, end_ms)
    held: list[Series | float] = [
        np.maximum(change[rows], 0.0).sum(axis=1), np.minimum(change[rows], 0.0).sum(axis=1)
    ]  # fmt: skip
    if judged is not None:
        held.append(judged)
        traces.append(
            plot.line(judged, start_ms, words("delivered.judged"), COLOUR["ink"],
                      hovertemplate="%{y:,.2f} MW")
        )  # fmt: skip
    believed = _believed(step, rows)
    if believed is not None:
        held.append(believed)
        traces.append(
            plot.line(believed, start_ms, words("delivered.believed"), COLOUR["believed"],
                      dash="dot", hovertemplate="%{y:,.2f} MW")
        )  # fmt: skip
    shapes, notes = plot.order_windows([step.order], words, labelled=False)
    asked = _asked(data, step)
    traces.extend(asked)
    held.extend(np.asarray(t["y"], dtype=np.float64) for t in asked)
    chart = plot.figure(
        traces, height=400, xaxis=plot.time_axis(start_ms, end_ms),
        yaxis=plot.axis("MW", zeroline=True, zerolinecolor="#9aa5b1", range=plot.reach(*held)),
        shapes=shapes, notes=notes,
    )  # fmt: skip
    return Chart(
        f"delivered-{step.order.id}",
        words("delivered.title"),
        words("delivered.text"),
        chart,
        False,
    )


def _believed(step: Step, rows: slice) -> Series | None:
    """Return what the platform thought it had delivered, within the order's own window."""
    believed = step.run.figures.get("delivered_mw")
    if believed is None:
        return None
    own = np.full_like(believed, np.nan)
    window = _rows(step, step.order.start_ms, step.order.end_ms)
    own[window] = believed[window]
    return own[rows] if bool(np.isfinite(own[rows]).any()) else None


def _asked(data: PageData, step: Step) -> list[Trace]:
    """Return the order and the limits it is judged by, over the window in which it is judged."""
    order = step.order
    if order.mw is None or order.form.value == "cap":
        return []
    traces = []
    low_id, high_id = _verdict_prefix(step)
    for share, dash in (
        (100.0, "dash"),
        (limit_of(data.summary, low_id, order.id), "dot"),
        (limit_of(data.summary, high_id, order.id), "dot"),
    ):
        if share is not None:
            colour = COLOUR["ink"] if dash == "dash" else COLOUR["limit"]
            mw = order.mw * share / 100.0
            traces.append(plot.stretch(order.full_by_ms, order.end_ms, mw, colour, dash=dash))
    return traces


def anyway(data: PageData, step: Step, words: Words) -> Chart | None:
    """Return what the same kinds drew at the same minutes in the counterfactual."""
    power = kind_power(step.without)
    if power is None:
        return None
    start_ms, end_ms = _view(step)
    rows = _rows(step, start_ms, end_ms)
    drawn = -power[rows].copy()
    hosts = float(drawn[:, KINDS.index("terminal")].mean()) if drawn.size else 0.0
    drawn[:, KINDS.index("terminal")] = 0.0  # some ten times the rest: said in words instead
    shapes, _ = plot.order_windows([step.order], words, labelled=False)
    chart = plot.figure(
        stacked(drawn, start_ms, words, "anyway"), height=400,
        xaxis=plot.time_axis(start_ms, end_ms),
        yaxis=plot.axis("MW", zeroline=True, zerolinecolor="#9aa5b1"), shapes=shapes,
    )  # fmt: skip
    text = words("anyway.text", hosts=data.mw(hosts))
    return Chart(f"anyway-{step.order.id}", words("anyway.title"), text, chart, False)


def kinds_table(data: PageData, step: Step, words: Words) -> Table | None:
    """Return who delivered what, in figures, from the deadline to the end."""
    change = difference(kind_power(step.run), kind_power(step.without))
    load = difference(scalar(step.run, "load_mw"), scalar(step.without, "load_mw"))
    before = kind_power(step.without)
    if change is None or load is None or before is None:
        return None
    window = _rows(step, step.order.full_by_ms, step.order.end_ms)
    after = _rows(step, step.order.end_ms, step.order.end_ms + REBOUND_MS)
    if change[window].shape[0] == 0:
        return None
    total = float(-load[window].mean())
    connected, adjustable = (
        {k: v for k, v in mapping(data.summary, name).items() if k in FLEXIBLE}
        for name in ("connected_mw", "adjustable_mw")
    )
    rows: list[list[Cell]] = []
    for i, kind in enumerate(KINDS):
        if not bool(np.any(np.abs(before[:, i]) > _NOTHING_MW)) and kind not in connected:
            continue
        cut = float(change[window, i].mean())
        back = float(-change[after, i].sum()) / 60.0
        rows.append(
            [
                Cell(words(f"kinds.{kind}")),
                Cell(data.mw(real(connected, kind)), "num"),
                Cell(data.mw(real(adjustable, kind), 1), "num"),
                Cell(data.mw(float(-before[window, i].mean()), 1), "num"),
                Cell(data.mw(cut, 1), "num strong"),
                Cell(_share(cut, total), "num"),
                Cell(data.mw(back, 1), "num"),
            ]
        )
    losses = total - float(change[window].sum(axis=1).mean())
    dash = Cell("", "num")
    rest = [Cell(words("delivered.losses"), "soft"), dash, dash, dash]
    rows.append([*rest, Cell(data.mw(losses, 1), "num"), Cell(_share(losses, total), "num"), dash])
    back = float(load[after].sum()) / 60.0
    rows.append(
        [
            Cell(words("delivered.total"), "total"), Cell(data.mw(_sum(connected)), "num"),
            Cell(data.mw(_sum(adjustable), 1), "num"), dash,
            Cell(data.mw(total, 1), "num strong"), Cell(_share(total, total), "num"),
            Cell(data.mw(back, 1), "num"),
        ]
    )  # fmt: skip
    head = [Cell(words("kinds.kind"))]
    head += [Cell(words(f"delivered.{k}"), "num") for k in ("connected", "adjustable", "before")]
    head += [Cell(words(f"delivered.{k}"), "num") for k in ("cut", "share", "back")]
    return Table(f"kinds-{step.order.id}", "", words("delivered.table_text"), head, rows)


def _sum(values: Mapping[str, object]) -> float | None:
    known = [v for k in values if (v := real(values, k)) is not None]
    return sum(known) if known else None


def _share(part: float, total: float) -> str:
    return number(100.0 * part / total, 1) if abs(total) > _NOTHING_MW else "–"


def _energy_mwh(values_mw: Series) -> float:
    """Return the energy of the minutes above zero [MWh], as the judge counts it."""
    return float(np.maximum(values_mw, 0.0).sum()) / 60.0


def rebound(data: PageData, step: Step, words: Words) -> Chart | None:
    """Return demand in excess of the counterfactual for four hours after the end."""
    order = step.order
    ahead, during, after = (
        step.judged_mw(data.inventory, a, b)
        for a, b in (
            (order.notice_ms, order.start_ms),
            (order.start_ms, order.end_ms),
            (order.end_ms, order.end_ms + REBOUND_MS),
        )
    )
    if ahead is None or during is None or after is None or after.shape[0] < 15:
        return None
    lead, means = quarter_means(-after, order.end_ms)
    if len(means) == 0:  # a quarter of an hour, but none that is aligned with the clock
        return None
    traces = [
        plot.bars(means, order.end_ms + lead * MINUTE_MS, words("rebound.bars"), COLOUR["back"],
                  step_ms=15 * MINUTE_MS)
    ]  # fmt: skip
    shapes, notes = [], []
    limit = limit_of(data.summary, "dr.rebound", order.id)
    if limit is not None and order.mw is not None and order.kind is OrderKind.DEMAND_RESPONSE:
        bound = order.mw * limit / 100.0
        shapes.append(plot.level(bound, COLOUR["limit"]))
        text = words("rebound.limit", percent=number(limit, 0), mw=data.mw(bound))
        notes.append(plot.note(1, bound, text, xref="paper", xanchor="right", yanchor="bottom",
                               color=COLOUR["limit"]))  # fmt: skip
    top = max(float(means.max()), 0.0)
    asked = 0.0 if order.mw is None or order.form is OrderForm.CAP else order.mw
    text = words(
        "rebound.text",
        top=data.mw(top),
        share=number(100 * top / asked, 1) if asked > 0.0 else "–",
        back=data.mw(_energy_mwh(-after)), taken=data.mw(_energy_mwh(during)),
        ahead=data.mw(_energy_mwh(-ahead)),
    )  # fmt: skip
    end_ms = order.end_ms + after.shape[0] * MINUTE_MS
    chart = plot.figure(
        traces, height=250, xaxis=plot.time_axis(order.end_ms, end_ms),
        yaxis=plot.axis("MW", zeroline=True, zerolinecolor="#5b6875"), shapes=shapes, notes=notes,
    )  # fmt: skip
    return Chart(f"rebound-{order.id}", words("rebound.title"), text, chart)
