"""The tables of the page: verdicts first, then fleet, outages, figures, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from twin.results.report.blocks import Cell, Table
from twin.results.report.figures_orders import step_summary
from twin.results.report.inputs import NetworkFacts, PageData
from twin.results.report.lookup import mapping, real, text, verdicts
from twin.results.report.plot import order_name
from twin.results.report.series import FLEXIBLE
from twin.results.report.words import Words, number, number_against, plain
from twin.verify.verdict import NOT_APPLICABLE

__all__ = ["counts", "figures_table", "fleet", "outages", "provenance", "state_of", "verdict_table"]

SIGNS = {">=": "≥", "<=": "≤", "==": "=", ">": ">", "<": "<"}
_GROUPS = ("dr", "lm", "monitor")


def state_of(verdict: Mapping[str, object]) -> str:
    """Return ``pass``, ``fail``, ``figure`` or ``na``."""
    passed = verdict.get("passed")
    if passed is None:
        return "na" if text(verdict, "reason") in NOT_APPLICABLE else "figure"
    return "pass" if passed else "fail"


def counts(summary: Mapping[str, object]) -> dict[str, int]:
    """Return how many verdicts are in each state."""
    found = dict.fromkeys(("pass", "fail", "figure", "na"), 0)
    for verdict in verdicts(summary):
        found[state_of(verdict)] += 1
    return found


def verdict_table(data: PageData, words: Words) -> Table:
    """Return all verdicts, grouped by demand response, load management and monitoring."""
    rows: list[Sequence[Cell]] = []
    columns = 8
    lines = {s.order.id: s for s in data.steps}
    listed = sorted(  # groups in one order, within them as the judge gave them
        verdicts(data.summary), key=lambda v: _group_rank(text(v, "id"))
    )
    for (group, order_id), members in groupby(listed, _heading):
        title = words.get(f"verdicts.group_{group}", group)
        if order_id in lines:
            step = lines[order_id]
            title = f"{order_name(step.order, words)} — {step_summary(data, step, words)}"
        elif order_id:
            title = f"{title} — {order_id}"
        rows.append([Cell(title, "group", columns)])
        idle: dict[str, list[Mapping[str, object]]] = {}
        for verdict in members:
            if state_of(verdict) == "na":
                idle.setdefault(text(verdict, "reason"), []).append(verdict)
            else:
                rows.append(_verdict_row(verdict, words))
        for several in idle.values():
            rows.append(_idle_row(several, words, columns))
    head = [Cell(words("verdicts.state")), Cell(words("verdicts.what"))]
    head += [Cell(words(f"verdicts.{k}"), "num") for k in ("value", "limit")]
    head += [Cell(words("verdicts.unit"), "unit")]
    head += [Cell(words(f"verdicts.{k}"), "num") for k in ("base", "window")]
    head += [Cell(words("verdicts.source"))]
    return Table("verdict-table", "", words("verdicts.note"), head, rows)


def _heading(verdict: Mapping[str, object]) -> tuple[str, str]:
    return text(verdict, "id").split(".")[0], text(verdict, "order")


def _idle_row(several: Sequence[Mapping[str, object]], words: Words, columns: int) -> list[Cell]:
    """Return one row for all verdicts of a group that do not apply for one reason."""
    if len(several) == 1:
        return _verdict_row(several[0], words)
    reason = words.reason(text(several[0], "reason"))
    names = ", ".join(text(v, "id") for v in several)
    what = Cell(f"{number(len(several))} · {reason}", "title", columns - 1, names)
    return [Cell(words("verdicts.na"), "mark na"), what]


def _group_rank(verdict_id: str) -> int:
    group = verdict_id.split(".")[0]
    return _GROUPS.index(group) if group in _GROUPS else len(_GROUPS)


def _verdict_row(verdict: Mapping[str, object], words: Words) -> list[Cell]:
    state = state_of(verdict)
    value, limit = real(verdict, "value"), real(verdict, "limit")
    sign = SIGNS.get(text(verdict, "comparison"), "")
    shown = number(value) if value is None or limit is None else number_against(value, limit)
    reason = words.reason(text(verdict, "reason"))
    unit = text(verdict, "unit")
    return [
        Cell(words(f"verdicts.{state}"), f"mark {state}"),
        Cell(
            words.verdict_title(verdict),
            "title one" if limit is None else "title",
            sub=_join(text(verdict, "id"), reason),
        ),
        Cell(shown, "num strong"),
        Cell(f"{sign} {plain(limit)}" if limit is not None and sign else "", "num"),
        Cell(words.get(f"units.{unit}", unit), "unit"),
        Cell(_or_blank(real(verdict, "base_mw"), 0), "num soft"),
        Cell(_or_blank(real(verdict, "window_min"), 0), "num soft"),
        Cell(_source(verdict, words), "soft source"),
    ]


def _source(verdict: Mapping[str, object], words: Words) -> str:
    """Return source and grade, ``"<source> (grade <grade>)"``, in the reader's language.

    A figure has no limit: its source is told only where it is one outside the project.
    """
    said = text(verdict, "source")
    source, mark, grade = said.rpartition(" (grade ")
    if real(verdict, "limit") is None and grade.startswith("assumed"):
        return ""
    if not mark:
        return words.get(f"sources.{said}", said)
    source, grade = words.get(f"sources.{source}", source), grade.rstrip(")")
    return words("verdicts.graded", source=source, grade=words.get(f"grades.{grade}", grade))


def _join(*parts: str) -> str:
    return " · ".join(p for p in parts if p)


def _or_blank(value: float | None, digits: int) -> str:
    return "" if value is None else number(value, digits)


def fleet(data: PageData, words: Words) -> Table | None:
    """Return devices, connected and adjustable MW by kind; adjustable is a result."""
    devices = mapping(data.summary, "devices")
    connected, adjustable = (
        mapping(data.summary, "connected_mw"),
        mapping(data.summary, "adjustable_mw"),
    )
    if not devices:
        return None
    rows: list[Sequence[Cell]] = []
    totals = [0.0, 0.0, 0.0]
    kinds = [k for k in FLEXIBLE if k in devices]
    for kind in kinds:
        values = [real(m, kind) for m in (devices, connected, adjustable)]
        totals = [t + (v if v is not None else 0.0) for t, v in zip(totals, values, strict=True)]
        rows.append(_fleet_row(data, words.get(f"kinds.{kind}", kind), values))
    if connected:
        called = totals[2] if adjustable else None
        rows.append(_fleet_row(data, words("fleet.total"), [totals[0], totals[1], called], "total"))
    for kind in (k for k in devices if k not in FLEXIBLE):
        values = [real(m, kind) for m in (devices, connected)]
        rows.append(_fleet_row(data, words.get(f"kinds.{kind}", kind), [*values, None], "soft"))
    head = [Cell(words("kinds.kind"))]
    head += [Cell(words(f"fleet.{k}"), "num") for k in ("devices", "connected", "adjustable")]
    head.append(Cell(words("fleet.ratio"), "num"))
    plan = real(mapping(data.summary, "figures"), "plan_adjustable_mw")
    note = words("fleet.text")
    if plan is not None:
        note = words.together(note, words("fleet.plan", mw=number(plan, 0)))
    return Table("fleet", words("fleet.title"), note, head, rows)


def _fleet_row(
    data: PageData, name: str, values: Sequence[float | None], kind: str = ""
) -> list[Cell]:
    devices, connected, adjustable = values
    ratio = (
        None
        if connected is None or adjustable is None or connected <= 0
        else adjustable / connected
    )
    return [
        Cell(name, kind),
        Cell(number(devices, 0), "num"),
        Cell(data.mw(connected), "num"),
        Cell(data.mw(adjustable, 1), "num strong"),
        Cell(number(ratio, 2), "num"),
    ]


def outages(facts: NetworkFacts, words: Words) -> Table:
    """Return the single outages that overload something or cannot be solved."""
    rows = [
        [
            Cell(o.name),
            Cell(number(o.kv, 0) if o.kv > 0 else "", "num"),
            Cell(words("outages.solved" if o.solved else "outages.unsolved")),
            Cell(number(o.overloaded, 0), "num"),
            Cell(o.worst),
            Cell(number(o.worst_pct, 1), "num strong"),
        ]
        for o in sorted(facts.outages, key=lambda o: (o.solved, -o.worst_pct, o.name))
    ]
    unsolved = sum(not o.solved for o in facts.outages)
    overloading = sum(o.overloaded > 0 for o in facts.outages)
    note = words(
        "outages.text", run=number(facts.outages_run, 0),
        solved=number(facts.outages_run - unsolved, 0), overloading=number(overloading, 0),
        at=facts.outages_at or words("outages.at_peak"),
    )  # fmt: skip
    head = [Cell(words("outages.name")), Cell("kV", "num"), Cell(words("outages.state"))]
    head += [Cell(words("outages.count"), "num"), Cell(words("outages.worst")), Cell("%", "num")]
    return Table("outages", words("outages.title"), note, head, rows)


def figures_table(data: PageData, words: Words) -> Table | None:
    """Return the remaining figures of summary.json under their names."""
    figures = mapping(data.summary, "figures")
    named = [(words.get(f"figures.{name}", name), figures, name) for name in figures]
    for group in ("over_published_max_load", "writes"):
        inner = mapping(figures, group)
        title = words(f"figures.{group}")
        named += [
            (f"{title}: {words.get(f'figures.{n}', n)}", inner, n)
            for n in inner
            if "error" not in n  # an error is no share of a maximum load
        ]
    rows: list[Sequence[Cell]] = [
        [Cell(title), Cell(number(value), "num")]
        for title, table, name in named
        if (value := real(table, name)) is not None
    ]
    if not rows:
        return None
    head = [Cell(words("figures.name")), Cell(words("verdicts.value"), "num")]
    return Table("figures", words("figures.title"), "", head, rows, wide=False)


_PROVENANCE = ("scenario", "scenario_hash", "seed", "carrier")
_SIZES = ("sites", "buses", "branches", "load_flows", "realtime_factor", "peak_rss_mib")


def provenance(data: PageData, words: Words) -> Table:
    """Return what it takes to run this again, and how long it took."""
    summary = data.summary
    rows: list[Sequence[Cell]] = [
        [Cell(words(f"provenance.{key}")), Cell(text(summary, key), "wrap")]
        for key in _PROVENANCE
        if text(summary, key)
    ]
    versions = ", ".join(f"{k} {v}" for k, v in mapping(summary, "versions").items())
    if versions:
        rows.append([Cell(words("provenance.versions")), Cell(versions, "wrap")])
    rows += [
        [Cell(words(f"provenance.{key}")), Cell(number(real(summary, key)))]
        for key in _SIZES
        if real(summary, key) is not None
    ]
    wall = mapping(summary, "wall_s")
    if wall:
        spent = ", ".join(f"{words.get(f'phases.{k}', k)} {number(real(wall, k), 1)}" for k in wall)
        rows.append([Cell(words("provenance.wall_s")), Cell(spent, "wrap")])
    head = [Cell(words("provenance.what")), Cell(words("provenance.value"))]
    return Table("provenance-table", "", "", head, rows)
