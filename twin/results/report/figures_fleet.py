"""Supervision: states of the fleet over the day, storage by district, onboarding, alarms."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, format_time_of_day
from twin.record.exchange import AlarmQuality
from twin.record.fleet_states import DeviceState
from twin.record.onboarding import Onboarding
from twin.results.report import plot
from twin.results.report.blocks import Cell, Chart, Table
from twin.results.report.figures_load import bounds
from twin.results.report.inputs import PageData
from twin.results.report.lookup import real, verdict_of
from twin.results.report.plot import COLOUR, Trace
from twin.results.report.reported import Reported, reported, rows_of
from twin.results.report.series import FLEXIBLE
from twin.results.report.words import Words, number

__all__ = [
    "alarms",
    "fleet_states",
    "onboarding",
    "states_table",
    "storage_states",
    "storage_table",
]

STATES = tuple(state.name.lower() for state in DeviceState)
STATE_COLOUR = {
    "running": "#0b4f8a", "charging": "#44aa99", "discharging": "#ddaa33",
    "standby": "#d5dae0", "fault": "#bb5566", "offline": "#5b6875",
}  # fmt: skip
_ENERGIES = ("drawn_today_mwh", "fed_today_mwh", "drawn_to_date_mwh", "fed_to_date_mwh")
_NUMBERS = ("now_ms", "district", "devices", *STATES, "power_mw", "soc", *_ENERGIES)
_MOST_ALARM_KINDS = 3


def _fleet(data: PageData) -> Reported | None:
    return reported(data.histories.ordered, "fleet_state", texts=("kind",), numbers=_NUMBERS)


def fleet_states(data: PageData, words: Words) -> Chart | None:
    """Return flexible devices by state over the day."""
    table = _fleet(data)
    own = rows_of(table, None if table is None else np.isin(table["kind"], FLEXIBLE))
    return None if own is None else _states_chart(own, "fleet-states", "fleet_states", data, words)


def storage_states(data: PageData, words: Words) -> Chart | None:
    """Return storage stations by state over the day."""
    table = _fleet(data)
    own = rows_of(table, None if table is None else table["kind"] == "storage")
    if own is None:
        return None
    return _states_chart(own, "storage-states", "storage_states", data, words)


def _states_chart(
    own: Reported, chart_id: str, key: str, data: PageData, words: Words
) -> Chart | None:
    moments, place = np.unique(own["now_ms"], return_inverse=True)
    if len(moments) < 2:
        return None
    traces: list[Trace] = []
    for state in STATES:
        count = np.bincount(place, own[state].astype(np.float64), len(moments))
        if not bool((count > 0).any()):
            continue
        traces.append(
            {
                "type": "scatter", "mode": "lines", "stackgroup": "states",
                "x": [plot.clock_text(int(t)) for t in moments], "y": plot.listed(count, 0),
                "name": words(f"states.{state}"), "fillcolor": STATE_COLOUR[state],
                "line": {"width": 0, "color": STATE_COLOUR[state]},
            }
        )  # fmt: skip
    shapes, _ = plot.order_windows([s.order for s in data.steps], words, labelled=False)
    for shape in shapes:  # areas hide what lies below: edges only
        shape |= {"layer": "above", "fillcolor": "rgba(0,0,0,0)",
                  "line": {"width": 1, "dash": "dot", "color": COLOUR["ink"]}}  # fmt: skip
    devices = int(np.bincount(place, own["devices"].astype(np.float64), len(moments)).max())
    chart = plot.figure(
        traces, height=320, xaxis=plot.time_axis(*bounds(data.histories.ordered), sparse=True),
        yaxis=plot.axis(words("fleet_states.axis"), range=[0, devices]), shapes=shapes,
    )  # fmt: skip
    text = words(f"{key}.text", devices=number(devices, 0))
    return Chart(chart_id, words(f"{key}.title"), text, chart, False)


def _moment(data: PageData, moments: NDArray[np.generic]) -> int:
    """Return the reported moment nearest the middle of the first order, else of the maximum."""
    history = data.histories.ordered
    wanted = history.start_ms + history.filled * MINUTE_MS
    if data.steps:
        order = data.steps[0].order
        wanted = (order.full_by_ms + order.end_ms) // 2
    elif "load_mw" in history.scalars and bool(np.isfinite(history.series("load_mw")).any()):
        wanted = history.start_ms + int(np.nanargmax(history.series("load_mw"))) * MINUTE_MS
    held = np.unique(moments).astype(np.int64)
    return int(held[int(np.argmin(np.abs(held - wanted)))])


def states_table(data: PageData, words: Words) -> Table | None:
    """Return the whole fleet by kind and state at one moment, as the operator reads it."""
    table = _fleet(data)
    if table is None:
        return None
    at_ms = _moment(data, table["now_ms"])
    own = rows_of(table, table["now_ms"] == at_ms)
    if own is None:
        return None
    kinds = list(dict.fromkeys(own["kind"].tolist()))
    rows = [
        _states_row(data, words.get(f"kinds.{kind}", kind), own, own["kind"] == kind)
        for kind in kinds
    ]
    note = words("states_table.text", at=format_time_of_day(at_ms))
    title = words("states_table.title", at=format_time_of_day(at_ms))
    return Table("fleet-state", title, note, _states_head(words, "kinds.kind"), rows)


def storage_table(data: PageData, words: Words) -> Table | None:
    """Return storage stations by district and state, with energy today and to date."""
    table = _fleet(data)
    if table is None:
        return None
    at_ms = _moment(data, table["now_ms"])
    own = rows_of(table, (table["now_ms"] == at_ms) & (table["kind"] == "storage"))
    names = data.district_names(words)
    if own is None or len(names) < 2:
        return None
    rows: list[Sequence[Cell]] = [
        _states_row(data, name, own, own["district"] == i)
        for i, name in enumerate(names)
        if bool((own["district"] == i).any())
    ]
    everywhere = np.ones(len(own["kind"]), dtype=np.bool_)
    rows.append(_states_row(data, words("map.total"), own, everywhere, "total"))
    title = words("storage_table.title", at=format_time_of_day(at_ms))
    head = _states_head(words, "map.district")
    return Table("storage-state", title, words("storage_table.text"), head, rows)


def _states_head(words: Words, first: str) -> list[Cell]:
    head = [Cell(words(first)), Cell(words("fleet.devices"), "num")]
    head += [Cell(_capital(words(f"states.{state}")), "num") for state in STATES]
    return head + [
        Cell(words(f"states_table.{k}"), "num") for k in ("power", "soc", "today", "to_date")
    ]


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _states_row(
    data: PageData, name: str, own: Reported, mine: NDArray[np.bool_], kind: str = ""
) -> list[Cell]:
    def total(column: str) -> float:
        return float(own[column][mine].astype(np.float64).sum())

    soc, weight = own["soc"][mine].astype(np.float64), own["devices"][mine].astype(np.float64)
    known = np.isfinite(soc)
    mean = float(np.average(soc[known], weights=weight[known])) if bool(known.any()) else None
    cells = [Cell(name, kind), Cell(number(total("devices"), 0), "num")]
    cells += [Cell(number(n, 0) if (n := total(state)) > 0 else "", "num") for state in STATES]
    cells.append(Cell(data.mw(-total("power_mw"), 1), "num strong"))
    cells.append(Cell("" if mean is None else number(100.0 * mean, 0), "num"))
    for span in ("today", "to_date"):
        drawn, fed = (data.mw(total(f"{way}_{span}_mwh")) for way in ("drawn", "fed"))
        cells.append(Cell(f"{drawn} / {fed}", "num"))
    return cells


def onboarding(data: PageData, words: Words) -> Table | None:
    """Return devices by kind and step of onboarding, None where all are live all the time."""
    table = reported(data.histories.ordered, "onboarding", texts=("kind",),
                     numbers=("now_ms", "state", "count"))  # fmt: skip
    if table is None:
        return None
    live = int(Onboarding.LIVE)
    if not bool((table["count"][table["state"] != live] > 0).any()):
        return None
    rows: list[list[Cell]] = []
    for kind in dict.fromkeys(table["kind"].tolist()):
        own = rows_of(table, table["kind"] == kind)
        if own is None:
            continue
        first, last = (own["now_ms"] == own["now_ms"].min(), own["now_ms"] == own["now_ms"].max())
        counts = {
            int(s): float(c) for s, c in zip(own["state"][last], own["count"][last], strict=True)
        }
        began = float(own["count"][first & (own["state"] == live)].sum())
        if {k for k, c in counts.items() if c > 0} <= {live} and began == counts.get(live, 0.0):
            continue
        cells = [Cell(words.get(f"kinds.{kind}", kind)), Cell(number(began, 0), "num")]
        cells += [
            Cell(number(n, 0) if (n := counts.get(int(state), 0.0)) > 0 else "", "num")
            for state in Onboarding
        ]
        rows.append(cells)
    head = [Cell(words("kinds.kind")), Cell(words("onboarding.began"), "num")]
    head += [Cell(words(f"onboarding.{state.name.lower()}"), "num") for state in Onboarding]
    note = words("onboarding.text")
    return Table("onboarding", words("onboarding.title"), note, head, rows) if rows else None


def alarms(data: PageData, words: Words) -> Table | None:
    """Return alarms by condition: raised, confirmed, doubtful, still standing at the end."""
    raised: Counter[str] = Counter()
    doubtful: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for alarm in data.histories.ordered.alarms:
        if alarm.end_ms is not None:
            ended[alarm.condition] += 1
            continue
        raised[alarm.condition] += 1
        doubtful[alarm.condition] += alarm.quality is AlarmQuality.DOUBTFUL
        kinds[alarm.condition][alarm.kind] += 1
    if not raised:
        return None
    rows = []
    for name, count in raised.most_common():
        most = ", " if words.lang != "zh" else "、"
        listed = most.join(
            f"{words.get(f'kinds.{k}', k)} {number(n, 0)}"
            for k, n in kinds[name].most_common(_MOST_ALARM_KINDS)
        )
        numbers = (count, count - doubtful[name], doubtful[name], max(count - ended[name], 0))
        rows.append(
            [
                Cell(words.get(f"alarms.{name}", name)),
                *(Cell(number(n, 0), "num") for n in numbers),
                Cell(listed, "soft"),
            ]
        )
    head = [Cell(words("alarms.condition"))]
    columns = ("raised", "confirmed", "doubtful", "standing")
    head += [Cell(words(f"alarms.{k}"), "num") for k in columns]
    head.append(Cell(words("alarms.kinds")))
    shares = [
        None if (v := verdict_of(data.summary, name)) is None else real(v, "value")
        for name in ("monitor.alarms", "monitor.false_alarms")
    ]
    note = words("alarms.text", found=number(shares[0], 1), wrong=number(shares[1], 1))
    return Table("alarms", words("alarms.title"), note, head, rows)
