"""``certificate.html``: a certification for people, in Chinese and English, in one file.

It asks nothing of any network. Its charts and its look are those of the run's page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path

from hil.certify.certificate import PAGE_FILE
from hil.certify.junit import safe_state_of
from hil.certify.measurement import Outcome
from hil.certify.page_plots import chart_of
from hil.certify.page_tables import (
    configuration,
    device,
    evidence,
    instruments,
    measurements,
    summary,
)
from hil.certify.page_texts import MARKS, Both, both
from hil.certify.record import CertificationRecord, ProcedureRecord
from twin.clock import SHANGHAI
from twin.results.report.blocks import Block, Chart, Section, Text
from twin.results.report.words import escape

__all__ = ["render", "write_page"]

COMPRESSED = "time-compressed"


def write_page(record: CertificationRecord, folder: Path) -> Path:
    """Write the page of a record into its folder; it appears whole or not at all."""
    path = folder / PAGE_FILE
    partial = path.with_name(path.name + ".part")
    partial.write_text(render(record, folder), encoding="utf-8")
    partial.replace(path)
    return path


def render(record: CertificationRecord, folder: Path) -> str:
    """Return the page as text; time series are read from the run's folder."""
    sections = [
        _Part("summary", both("section.summary"), [summary(record)]),
        _Part("device", both("section.device"), [device(record)]),
        *[_procedure(record, p, folder) for p in record.procedures],
        _Part("configuration", both("section.configuration"),
              [configuration(record), *instruments(record)]),
        _Part("evidence", both("section.evidence"), [evidence(record)]),
    ]  # fmt: skip
    charts = [b for part in sections for b in part.blocks if isinstance(b, Chart)]
    parts = {
        "title": escape(f"{record.title_zh} / {record.title}"),
        "style": _asset("twin.results.report", "page.css"),
        "own_style": _asset("hil.certify", "templates/certificate.css"),
        "header": _header(record),
        "contents": "".join(part.link() for part in sections),
        "sections": "".join(part.html() for part in sections) + _verification(),
        "noscript": both("note.noscript").html(),
        "footer": both("note.footer").html(),
        "figures": _json({chart.id: chart.figure for chart in charts}),
        "plotly": _asset("plotly", "package_data/plotly.min.js"),
        "script": _asset("twin.results.report", "page.js"),
    }
    template = _asset("hil.certify", "templates/certificate.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


class _Part:
    """A section with a heading in both languages."""

    def __init__(self, id: str, title: Both, blocks: Sequence[Block]) -> None:
        self.id, self.title, self.blocks = id, title, blocks

    def link(self) -> str:
        """Return the entry in the contents."""
        return f'<a href="#{escape(self.id)}">{self.title.html()}</a>'

    def html(self) -> str:
        """Return the section."""
        plain = Section(self.id, "\0", self.blocks).html()
        return plain.replace("\0", self.title.html(), 1)


def _procedure(record: CertificationRecord, procedure: ProcedureRecord, folder: Path) -> _Part:
    blocks: list[Block] = [measurements(procedure)]
    told = []
    for step in procedure.steps:
        if step.error:
            told.append(both("note.step_broken", step=step.name, why=step.error).line())
        if step.resumed:
            told.append(both("note.resumed", step=step.name).line())
        told += [f"{step.name}: {note}" for note in step.notes]
    if safe_state_of(procedure) is Outcome.FAIL:
        told.append(f"{both('column.safe').line()}: {procedure.safe_state}")
    if told:
        blocks.append(Text(told, "warning"))
    for step in procedure.steps:
        inside = f"{step.folder}/"
        files = [f.path for f in record.evidence if f.path.startswith(inside)]
        for name in (f for f in files if step.folder and f.endswith(".csv")):
            file = name.removeprefix(inside)
            chart = chart_of(f"{procedure.id}-{step.name}-{file}", folder / name, step.name, file)
            blocks += [] if chart is None else [chart]
    return _Part(f"procedure-{procedure.id}", Both(procedure.title_zh, procedure.title), blocks)


def _header(record: CertificationRecord) -> str:
    counts = record.counts
    passed, failed = counts["pass"], counts["fail"]
    open_, idle = counts["inconclusive"], counts["not_applicable"]
    failures = both("card.failed", n=failed) if failed > 0 else both("card.none_failed")
    unsafe = [p.id for p in record.procedures if safe_state_of(p) is Outcome.FAIL]
    outcome = Outcome.FAIL if unsafe else record.outcome  # as the certificate has it
    rests = record.subject.evidence
    cards = [
        _card(both("card.outcome"), both(f"outcome.{outcome.value}"), failures,
              MARKS[outcome.value]),
        _card(both("card.rests"), both(f"evidence.{rests}"), Both(*(record.subject.time,) * 2), ""),
        _card(both("card.passed"), Both(*(f"{passed} / {passed + failed + open_}",) * 2),
              both("card.figures", n=counts["figure"]), ""),
        _card(both("card.open"), Both(*(f"{open_} / {idle}",) * 2), Both("", ""), ""),
    ]  # fmt: skip
    span = both("card.from_to", started=_local(record.started), ended=_local(record.ended))
    lines = [both(f"rests.{rests}"), both("rests.limits")]
    if record.subject.time.startswith(COMPRESSED):
        lines.insert(1, both("rests.compressed"))
    told = "".join(f"<div>{line.html()}</div>" for line in lines)
    if unsafe:
        told = (
            f'<p class="broken">{both("safe.doubtful", where=", ".join(unsafe)).html()}</p>{told}'
        )
    return (
        f"<h1>{Both(record.title_zh, record.title).html()}</h1>"
        f'<p class="subtitle">{escape(record.subject.name)} · {span.html()}</p>'
        f'<div class="cards">{"".join(cards)}</div><div class="rests">{told}</div>'
    )


def _local(iso: str) -> str:
    """Return an ISO time as Guangzhou's clocks show it."""
    return datetime.fromisoformat(iso).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def _card(title: Both, value: Both, note: Both, state: str) -> str:
    return (
        f'<div class="card {state}"><div class="card-title">{title.html()}</div>'
        f'<div class="card-value">{value.html()}</div>'
        f'<div class="card-note">{note.html()}</div></div>'
    )


def _verification() -> str:
    title, how, note = (
        both("section.verification"), both("note.verify"), both("note.unsigned")
    )  # fmt: skip
    command = "hil verify-certificate certificate.json --key NAME.pub"
    return (
        f'<section id="verification"><h2>{title.html()}</h2><div class="blocks">'
        f"<p>{how.html()}</p><p><code>{command}</code></p>"
        f"<p class=warning>{note.html()}</p></div></section>"
    )


def _json(value: object) -> str:
    """Return JSON that may stand inside a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _asset(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text("utf-8")
