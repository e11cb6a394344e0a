"""The 20 % order: measures in use, what was planned, what the chain lost, who bore it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import DAY_MS, HOUR_MS, MINUTE_MS, format_time_of_day
from twin.record.orders import OrderKind
from twin.results.report import plot
from twin.results.report.blocks import Cell, Chart, Table
from twin.results.report.inputs import PageData, Step
from twin.results.report.lookup import real, verdict_of
from twin.results.report.plot import COLOUR, Trace
from twin.results.report.reported import reported, rows_of
from twin.results.report.series import Series, difference, scalar
from twin.results.report.words import Words, number
from twin.verify.counterfactual import Pair
from twin.verify.fairness import comparable, cut_kwh

__all__ = ["chain", "fairness", "measures", "plans"]

QUARTER_MS = 15 * MINUTE_MS
MEASURE_COLOUR = {"shift": "#44aa99", "avoid": "#88ccee", "restrict": "#ddaa33", "trip": "#bb5566"}
_AHEAD_MS = HOUR_MS // 2
_AFTER_MS = 2 * HOUR_MS
_MOST_PLANS = 12
_MILLION = 1e6


def _view(step: Step) -> tuple[int, int]:
    n = min(step.run.filled, step.without.filled)
    last_ms = step.run.start_ms + n * MINUTE_MS
    first_ms = max(step.run.start_ms, step.order.start_ms - _AHEAD_MS)
    return first_ms, min(step.order.end_ms + _AFTER_MS, last_ms)


def measures(data: PageData, step: Step, words: Words) -> Chart | None:
    """Return MW by measure as the platform reports it, with the cut at the meters."""
    table = reported(step.run, "measures", texts=("order", "measure"), numbers=("now_ms", "mw"))
    own = rows_of(table, None if table is None else table["order"] == step.order.id)
    if own is None:
        return None
    start_ms, end_ms = _view(step)
    moments = np.unique(own["now_ms"])
    traces: list[Trace] = []
    up, down = np.zeros(len(moments)), np.zeros(len(moments))
    for name in dict.fromkeys(own["measure"].tolist()):
        mine = own["measure"] == name
        mw = np.zeros(len(moments))
        np.add.at(mw, np.searchsorted(moments, own["now_ms"][mine]), own["mw"][mine])
        up += np.maximum(mw, 0.0)
        down += np.minimum(mw, 0.0)
        traces.append(
            {
                "type": "bar", "x": [plot.clock_text(int(t)) for t in moments],
                "y": plot.listed(mw, 2), "width": 0.8 * QUARTER_MS,
                "name": words.get(f"measures.{name}", str(name)),
                "marker": {"color": MEASURE_COLOUR.get(str(name), COLOUR["faint"])},
                "hovertemplate": "%{y:,.1f} MW",
            }
        )  # fmt: skip
    held: list[Series | float] = [0.0, up, down]
    judged = step.judged_mw(data.inventory, start_ms, end_ms)
    if judged is not None:
        held.append(judged)
        traces.append(
            plot.line(judged, start_ms, words("delivered.judged"), COLOUR["ink"],
                      hovertemplate="%{y:,.1f} MW")
        )  # fmt: skip
    order = step.order
    if order.mw is not None and order.form.value != "cap":
        held.append(order.mw)
        traces.append(plot.stretch(order.full_by_ms, order.end_ms, order.mw, COLOUR["ink"]))
    shapes, _ = plot.order_windows([order], words, labelled=False)
    chart = plot.figure(
        traces, height=330, xaxis=plot.time_axis(start_ms, end_ms),
        yaxis=plot.axis("MW", zeroline=True, zerolinecolor="#9aa5b1", range=plot.reach(*held)),
        shapes=shapes, barmode="stack",
    )  # fmt: skip
    return Chart(
        f"measures-{order.id}", words("measures.title"), words("measures.text"), chart, False
    )


_PLAN_NUMBERS = ("now_ms", "circuits", "sites", "kw", "need_kw", "able_kw", "loss_cny", "gap")


def plans(data: PageData, step: Step, words: Words) -> Table | None:
    """Return what was planned: circuits, customers, MW, loss and how near to the least."""
    table = reported(step.run, "cut_plan", texts=("order", "how"), numbers=_PLAN_NUMBERS)
    own = rows_of(table, None if table is None else table["order"] == step.order.id)
    if own is None:
        return None
    count = len(own["how"])
    rows = [
        [
            Cell(format_time_of_day(int(own["now_ms"][i]))),
            Cell(words.get(f"plans.how_{own['how'][i]}", str(own["how"][i]))),
            Cell(number(float(own["circuits"][i]), 0), "num"),
            Cell(number(float(own["sites"][i]), 0), "num"),
            Cell(data.mw(float(own["able_kw"][i]) / 1e3), "num"),
            Cell(data.mw(float(own["need_kw"][i]) / 1e3, 1), "num"),
            Cell(data.mw(float(own["kw"][i]) / 1e3, 1), "num strong"),
            Cell(number(float(own["loss_cny"][i]), 0), "num"),
            Cell(number(100.0 * float(own["gap"][i]), 2), "num"),
        ]
        for i in range(min(count, _MOST_PLANS))
    ]
    head = [Cell(words("plans.at")), Cell(words("plans.how"))]
    columns = ("circuits", "sites", "able", "need", "planned", "loss", "gap")
    head += [Cell(words(f"plans.{k}"), "num") for k in columns]
    note = words("plans.text")
    if count > _MOST_PLANS:
        note = words.together(
            note, words("plans.more", shown=number(_MOST_PLANS), count=number(count))
        )
    return Table(f"plans-{step.order.id}", words("plans.title"), note, head, rows)


def chain(data: PageData, step: Step, words: Words) -> Chart | None:
    """Return the loss of the industry chain added up, and who stands still for want of input."""
    found = verdict_of(data.summary, "lm.chain_loss", step.order.id)
    total = None if found is None else real(found, "value")
    parts = {
        name: difference(
            scalar(step.run, f"chain_{name}_cny"), scalar(step.without, f"chain_{name}_cny")
        )
        for name in ("direct", "downstream")
    }
    direct, downstream = parts["direct"], parts["downstream"]
    if total is None or direct is None or downstream is None:
        return None
    start_ms, _ = _view(step)
    end_ms = step.run.start_ms + len(direct) * MINUTE_MS
    begin = step.run.index(step.order.notice_ms)
    first = step.run.index(start_ms)
    traces: list[Trace] = []
    for name, values, colour in (
        ("direct", direct, "#ddaa33"),
        ("downstream", downstream, "#bb5566"),
    ):
        summed = np.concatenate([np.zeros(begin), np.cumsum(np.nan_to_num(values[begin:]))])
        traces.append(
            plot.line(summed[first:] / _MILLION, start_ms, words(f"chain.{name}"), colour,
                      width=0, stackgroup="loss", fillcolor=colour, digits=4,
                      hovertemplate="%{y:,.3f}")
        )  # fmt: skip
    right: dict[str, object] | None = None
    stopped = scalar(step.run, "chain_stopped")
    if stopped is not None and float(np.nanmax(stopped)) > 0.0:
        traces.append(
            plot.line(stopped[first : len(direct)], start_ms, words("chain.stopped"),
                      COLOUR["ink"], digits=0, shape="hv", yaxis="y2", width=1.4)
        )  # fmt: skip
        right = plot.axis(
            words("chain.stopped_axis"), overlaying="y", side="right", showgrid=False,
            rangemode="tozero", tickmode="auto", nticks=5, tickformat=",d",
        )  # fmt: skip
    shapes, _ = plot.order_windows([step.order], words, labelled=False)
    chart = plot.figure(
        traces, height=330, xaxis=plot.time_axis(start_ms, end_ms),
        yaxis=plot.axis(words("chain.axis"), rangemode="tozero"), yaxis2=right, shapes=shapes,
    )  # fmt: skip
    said = {
        key: None if (v := verdict_of(data.summary, name, step.order.id)) is None
        else real(v, "value")
        for key, name in (("direct", "lm.direct_loss"), ("stops", "lm.downstream_stops"))
    }  # fmt: skip
    known = said["direct"]
    text = words(
        "chain.text", total=_million(total), direct=_million(known),
        downstream=_million(None if known is None else total - known),
        stops=number(said["stops"], 0),
    )  # fmt: skip
    return Chart(f"chain-{step.order.id}", words("chain.title"), text, chart, False)


def _million(cny: float | None) -> str:
    return number(None if cny is None else cny / _MILLION, 2)


def fairness(data: PageData, step: Step, words: Words) -> Chart | None:
    """Return cut energy over contracted demand by district, as the judge measures it."""
    if step.order.kind is not OrderKind.LOAD_MANAGEMENT or len(data.inventory.districts) < 2:
        return None
    hours = _cut_hours(data, step)
    if hours is None:
        return None
    by_district, mean = hours
    names = data.district_names(words)
    turn = np.argsort(-np.nan_to_num(by_district, nan=-1.0), kind="stable")
    turn = turn[np.isfinite(by_district[turn])]
    if len(turn) < 2:
        return None
    trace: Trace = {
        "type": "bar", "x": [names[i] for i in turn], "y": plot.listed(by_district[turn], 3),
        "marker": {"color": "#5d8fbd"}, "showlegend": False, "hovertemplate": "%{x}: %{y:.2f} h",
        "name": "",
    }  # fmt: skip
    label = words("fairness.mean", hours=number(mean, 2))
    chart = plot.figure(
        [trace], height=300, xaxis={"type": "category", "tickangle": -35, "automargin": True},
        yaxis=plot.axis(words("fairness.axis"), rangemode="tozero"),
        shapes=[plot.level(mean, COLOUR["limit"])],
        notes=[plot.note(1, mean, label, xref="paper", xanchor="right", yanchor="bottom",
                         color=COLOUR["limit"], bgcolor="rgba(255,255,255,0.6)")],
        hovermode="closest",
    )  # fmt: skip
    gini = [
        number(None if (v := verdict_of(data.summary, name, step.order.id)) is None
               else real(v, "value"), 2)
        for name in ("lm.fairness_district", "lm.fairness")
    ]  # fmt: skip
    text = words("fairness.text", district=gini[0], site=gini[1])
    return Chart(f"fairness-{step.order.id}", words("fairness.title"), text, chart, False)


def _cut_hours(data: PageData, step: Step) -> tuple[NDArray[np.float64], float] | None:
    """Return cut energy over contracted demand [h] by district and of all, None without a cut."""
    pair = Pair(step.run, step.without, data.inventory, DAY_MS * 366)
    sites = data.inventory.sites
    needed = ("terminal", "protected", "contracted_kw", "district")
    if not (pair.has("site.interrupted") and pair.has("site.demand_kw")):
        return None
    if any(name not in sites for name in needed):
        return None
    can = comparable(pair)
    kwh, contracted = cut_kwh(pair, step.order)[can], sites.f8("contracted_kw")[can]
    if not float(kwh.sum()) > 0.0:
        return None
    district, width = sites.i8("district")[can], len(data.inventory.districts)
    held = np.bincount(district, contracted, width)
    given = np.bincount(district, kwh, width)
    hours = np.divide(given, held, out=np.full(width, np.nan), where=held > 0.0)
    return hours, float(kwh.sum() / contracted.sum())
