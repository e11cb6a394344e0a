"""Puts the page together: one self-contained HTML file that asks nothing of any network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from twin.clock import format_time_of_day
from twin.record.exchange import Inventory
from twin.record.orders import Order, OrderKind
from twin.results.report import (
    figures_capability,
    figures_cut,
    figures_emissions,
    figures_fleet,
    figures_load,
    figures_network,
    figures_orders,
    figures_people,
    tables,
    tables_market,
)
from twin.results.report.blocks import Block, Chart, Section, Text
from twin.results.report.inputs import Districts, Histories, NetworkFacts, PageData, Step, steps
from twin.results.report.lookup import real, text, verdict_of
from twin.results.report.plot import order_name
from twin.results.report.tables_bench import bench_blocks
from twin.results.report.tables_wire import lateness_state, wire_table
from twin.results.report.words import Words, escape, number, number_against, plain

__all__ = ["render", "write_report"]

_HEADLINES = ("dr.capability", "lm.connected")


def write_report(
    path: Path,
    summary: Mapping[str, object],
    histories: Histories,
    inventory: Inventory,
    *,
    orders: Sequence[Order] = (),
    districts: Districts | None = None,
    network: NetworkFacts | None = None,
    lang: str = "en",
) -> Path:
    """Write ``report.html``.

    Parameters
    ----------
    path : file to write; it appears whole or not at all
    summary : as in summary.json
    histories, orders : the runs and the orders given; what was not recorded leaves its chart out
    inventory : what is registered
    districts, network : for the map, the voltage bands and the table of outages
    lang : ``"en"`` or ``"zh"``

    Raises
    ------
    ValueError
        for a language that the page does not know
    """
    page = render(
        summary,
        histories,
        inventory,
        orders=orders,
        districts=districts,
        network=network,
        lang=lang,
    )
    half = path.with_name(path.name + ".part")
    half.write_text(page, encoding="utf-8")
    half.replace(path)
    return path


def render(
    summary: Mapping[str, object],
    histories: Histories,
    inventory: Inventory,
    *,
    orders: Sequence[Order] = (),
    districts: Districts | None = None,
    network: NetworkFacts | None = None,
    lang: str = "en",
) -> str:
    """Return the page as text; arguments as `write_report`."""
    words = Words(lang, inventory.max_load_mw)
    data = PageData(
        summary, histories, inventory, orders, steps(histories, orders), districts, network
    )
    sections = [s for s in _sections(data, words) if s.blocks]
    figures = {c.id: c.figure for s in sections for c in s.charts()}
    parts = {
        "lang": "zh-CN" if lang == "zh" else "en",
        "title": escape(words("page.title", scenario=text(summary, "scenario"))),
        "style": _asset("page.css"),
        "header": _header(data, words),
        "contents": _contents(sections),
        "sections": "".join(s.html() for s in sections),
        "footer": escape(words("page.footer")),
        "noscript": escape(words("page.noscript")),
        "figures": _json(figures),
        "plotly": _plotly(),
        "script": _asset("page.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("template.html"))


def _sections(data: PageData, words: Words) -> list[Section]:
    def charts(*makers: Callable[[PageData, Words], Chart | None]) -> list[Block]:
        return [chart for make in makers if (chart := make(data, words)) is not None]

    sections = [
        Section("verdicts", words("sections.verdicts"), [tables.verdict_table(data, words)]),
        Section("city", words("sections.city"), charts(figures_load.city_load)),
    ]
    sections.extend(_order_sections(data, words))
    sections += [
        Section(
            "people",
            words("sections.people"),
            charts(
                figures_people.indoor,
                figures_people.too_warm,
                figures_people.stored,
                figures_people.departures,
            ),
        ),
        Section("supervision", words("sections.fleet"), _supervision(data, words, charts)),
        Section("network", words("sections.network"), _network(data, words, charts)),
        Section("emissions", words("sections.emissions"), _emissions(data, words, charts)),
        Section("on-the-wire", words("sections.wire"), _present(wire_table(data, words))),
        Section("bench", words("sections.bench"), bench_blocks(data, words)),
        Section(
            "background",
            words("sections.background"),
            [
                *charts(figures_load.tariff, figures_load.composition),
                *_present(tables.fleet(data, words)),
            ],
        ),
        Section("provenance", words("sections.provenance"), _provenance(data, words)),
    ]
    return sections


def _response_parts(data: PageData, step: Step, words: Words) -> list[Block | None]:
    return [
        figures_capability.capability(data, step, words),
        tables_market.cost(data, step, words),
        figures_capability.capability_table(data, step, words),
        tables_market.market(data, step, words),
        tables_market.baselines(data, step, words),
    ]


def _cut_parts(data: PageData, step: Step, words: Words) -> list[Block | None]:
    return [
        figures_cut.measures(data, step, words),
        figures_cut.chain(data, step, words),
        figures_cut.plans(data, step, words),
        figures_cut.fairness(data, step, words),
        tables_market.cost(data, step, words),
    ]


def _own_parts(data: PageData, step: Step, words: Words) -> list[Block | None]:
    of_kind = step.order.kind is OrderKind.LOAD_MANAGEMENT
    return (_cut_parts if of_kind else _response_parts)(data, step, words)


def _order_sections(data: PageData, words: Words) -> list[Section]:
    sections = []
    for step in data.steps:
        blocks: list[Block] = [Text([figures_orders.step_summary(data, step, words)], "lead")]
        blocks += _present(
            figures_orders.delivered(data, step, words),
            figures_orders.anyway(data, step, words),
            figures_orders.kinds_table(data, step, words),
            figures_orders.rebound(data, step, words),
            figures_network.district_map(data, step, words),
            figures_network.district_table(data, step, words),
            *_own_parts(data, step, words),
        )
        title = order_name(step.order, words)
        sections.append(Section(f"order-{step.order.id}", title, blocks))
    return sections


def _network(data: PageData, words: Words, charts: Callable[..., list[Block]]) -> list[Block]:
    blocks = charts(figures_network.voltages, figures_network.loadings, figures_network.moves)
    if data.network is not None and data.network.outages_run > 0:
        blocks.append(tables.outages(data.network, words))
    return blocks


def _supervision(data: PageData, words: Words, charts: Callable[..., list[Block]]) -> list[Block]:
    return [
        *charts(figures_fleet.fleet_states, figures_fleet.storage_states),
        *_present(
            figures_fleet.states_table(data, words),
            figures_fleet.storage_table(data, words),
            figures_fleet.onboarding(data, words),
            figures_fleet.alarms(data, words),
        ),
    ]


def _emissions(data: PageData, words: Words, charts: Callable[..., list[Block]]) -> list[Block]:
    return [
        *charts(figures_emissions.factors),
        *_present(
            figures_emissions.emission_totals(data, words),
            figures_emissions.spared(data, words),
        ),
    ]


def _provenance(data: PageData, words: Words) -> list[Block]:
    blocks: list[Block] = [Text([words("page.synthetic")], "warning")]
    given = data.summary.get("warnings")
    lines = (
        [str(w) for w in given]
        if isinstance(given, Sequence) and not isinstance(given, str)
        else []
    )
    incidents = [
        f"{format_time_of_day(i.now_ms)} {i.kind}: {i.text}"
        for i in data.histories.ordered.incidents
    ]
    told = list(dict.fromkeys([*lines, *incidents]))  # a warning may repeat an incident
    if told:
        blocks.append(Text([words.note(line) for line in told], "warning"))
    blocks.append(tables.provenance(data, words))
    blocks += _present(tables.figures_table(data, words))
    return blocks


def _present(*blocks: Block | None) -> list[Block]:
    return [b for b in blocks if b is not None]


def _header(data: PageData, words: Words) -> str:
    summary = data.summary
    found = tables.counts(summary)
    cards = [_peak_card(data, words)]
    for verdict_id in _HEADLINES:
        verdict = verdict_of(summary, verdict_id)
        if verdict is not None:
            gross = verdict_of(summary, f"{verdict_id}_gross", text(verdict, "order") or None)
            cards.append(_verdict_card(verdict, gross, words))
    tally = words("page.tally", **{k: number(v) for k, v in found.items()})
    state = "fail" if found["fail"] else "pass"
    cards.append(_card(words("page.verdicts"), number(found["fail"]) if found["fail"] else "✓",
                       words("page.failed") if found["fail"] else words("page.none_failed"),
                       tally, state))  # fmt: skip
    late = lateness_state(data)
    if late is not None:
        note = words(f"verdicts.{late[0]}") + " · " + words("wire.limit", limit=number(late[2], 0))
        cards.append(_card(words("wire.card"), number(late[1], 1), " ms", note, late[0]))
    unfinished = "" if summary.get("complete", True) else (
        f'<p class="broken">{escape(words("page.incomplete"))}</p>'
    )  # fmt: skip
    subtitle = words(
        "page.subtitle", scenario=text(summary, "scenario"), seed=text(summary, "seed"),
        base=data.mw(data.inventory.max_load_mw),
    )  # fmt: skip
    return (
        f"<h1>{escape(words('page.heading'))}</h1><p class=subtitle>{escape(subtitle)}</p>"
        f'{unfinished}<div class="cards">{"".join(cards)}</div>'
        f'<p class="synthetic">{escape(words("page.synthetic"))}</p>'
    )


def _card(title: str, value: str, unit: str, note: str, state: str = "") -> str:
    return (
        f'<div class="card {state}"><div class="card-title">{escape(title)}</div>'
        f'<div class="card-value">{escape(value)}'
        f'<span class="card-unit">{escape(unit)}</span></div>'
        f'<div class="card-note">{escape(note)}</div></div>'
    )


def _peak_card(data: PageData, words: Words) -> str:
    peak = figures_load.peak_of(data.histories.undisturbed)
    if peak is None:
        return ""
    note = words("page.peak_note", at=format_time_of_day(peak[1]))
    return _card(words("page.peak"), data.mw(peak[0]), " MW", note)


def _verdict_card(
    verdict: Mapping[str, object], gross: Mapping[str, object] | None, words: Words
) -> str:
    value, limit = real(verdict, "value"), real(verdict, "limit")
    state = tables.state_of(verdict)
    shown = number(value) if value is None or limit is None else number_against(value, limit)
    sign = tables.SIGNS.get(text(verdict, "comparison"), "")
    note = words(f"verdicts.{state}")
    if limit is not None:
        note += " · " + words("page.wanted", limit=f"{sign} {plain(limit)} %")
    if value is None and gross is not None and real(gross, "value") is not None:
        note += " · " + words("page.gross", value=number(real(gross, "value")))
    title = words(f"page.{text(verdict, 'id').replace('.', '_')}")
    return _card(title, shown, " %", note, state)


def _contents(sections: Sequence[Section]) -> str:
    return "".join(f'<a href="#{escape(s.id)}">{escape(s.title)}</a>' for s in sections)


def _json(value: object) -> str:
    """Return JSON that may stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace(
        "</", "<\\/"
    )


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _plotly() -> str:
    """Return plotly.js as the installed plotly package ships it, read without importing it all."""
    script = resources.files("plotly").joinpath("package_data/plotly.min.js")
    return script.read_text("utf-8")
