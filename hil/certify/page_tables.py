"""Tables of the certificate's page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hil.certify.junit import limit_text, safe_state_of
from hil.certify.measurement import Outcome, Taken
from hil.certify.page_texts import Both, both, mark
from hil.certify.record import CertificationRecord, ProcedureRecord
from twin.results.report.blocks import Block, Cell, Table, Text
from twin.results.report.words import number, number_against, plain

__all__ = ["configuration", "device", "evidence", "instruments", "measurements", "summary"]


def _head(*names: str, right: Iterable[str] = ()) -> list[Cell]:
    return [both(f"column.{n}").cell("num" if n in right else "") for n in names]


def summary(record: CertificationRecord) -> Table:
    """Return the table of procedures with their outcomes."""
    rows = [
        [
            Both(p.title_zh, p.title).cell("title"),
            mark(p.outcome.value),
            Cell(", ".join(s.name for s in p.steps) or "–", "soft"),
            Cell(_took(p), "num"),
            _safe(p),
        ]
        for p in record.procedures
    ]
    head = _head("procedure", "outcome", "steps", "took", "safe", right=("took",))
    return Table("summary-table", "", "", head, rows)


def _took(procedure: ProcedureRecord) -> str:
    wall_s = sum(step.wall_s for step in procedure.steps)
    device_s = sum(step.device_s for step in procedure.steps)
    if device_s > 2.0 * wall_s:
        return f"{number(device_s, 0)} s ({number(wall_s, 1)} s)"
    return f"{number(wall_s, 1)} s"


def _safe(procedure: ProcedureRecord) -> Cell:
    outcome = safe_state_of(procedure)
    if outcome is Outcome.PASS:
        return both("safe.confirmed").cell("mark pass")
    if outcome is Outcome.NOT_APPLICABLE:
        return both("safe.not_touched").cell("mark na")
    return Cell(procedure.safe_state, "mark fail")


def measurements(procedure: ProcedureRecord) -> Table:
    """Return the table of a procedure's measurements."""
    names = ("measurement", "value", "limit", "outcome", "path", "source", "grade")
    head = _head(*names, right=("value", "limit"))
    rows = [_measured(m) for m in procedure.measurements]
    return Table(f"measurements-{procedure.id}", "", "", head, rows)


def _measured(taken: Taken) -> list[Cell]:
    said = taken.declared
    return [
        Cell(said.name_zh, "title", 1, said.name),
        Cell(_value(taken), "num"),
        Cell(_with_unit(_limit(taken), said.unit), "num"),
        mark(taken.outcome.value),
        Cell("" if taken.path is None else str(taken.path), "source wrap", 1, taken.note),
        Cell(said.source, "source wrap", 1, said.clause),
        Cell(said.grade),
    ]


def _value(taken: Taken) -> str:
    value, limit = taken.value, taken.declared.limit
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    shown = number_against(value, limit) if isinstance(limit, float | int) else number(value)
    if taken.uncertainty is not None and taken.uncertainty > 0.0:
        shown += f" ± {taken.uncertainty:.2g}"
    return _with_unit(shown, taken.declared.unit)


def _limit(taken: Taken) -> str:
    text = limit_text(taken.declared.comparison, taken.declared.limit)
    return text.replace("-", plain(-1.0)[0]) if text else "–"


def _with_unit(text: str, unit: str) -> str:
    return text if not unit or text == "–" else f"{text} {unit}"


def device(record: CertificationRecord) -> Table:
    """Return the table of the device's identity, nameplate and register map."""
    one = record.subject
    rows: list[tuple[Both, str]] = [
        (both("item.name"), one.name),
        (both("item.kind"), one.kind),
        (both("item.place"), one.place),
        (both("item.time"), one.time),
        (both("item.map"), f"{one.map}  SHA-256 {one.map_sha256}"),
    ]
    rows += [(both("item.identity", name=n), text) for n, text in one.identity.items()]
    if not one.identity:
        rows.append((both("item.no_identity"), both("item.no_answer").line()))
    rows += [(both("item.nameplate", name=n), number(v)) for n, v in one.nameplate.items()]
    return _items("device-table", rows)


def configuration(record: CertificationRecord) -> Table:
    """Return the table of what the suite was run with."""
    rows: list[tuple[Both, str]] = [
        (both("item.suite"), record.suite),
        (both("item.seed"), str(record.seed)),
        (both("item.limits"), f"limits.toml  SHA-256 {record.limits_sha256}"),
    ]
    rows += [(both("item.bench", name=n), text) for n, text in record.bench.items()]
    rows += [(both("item.version", name=n), text) for n, text in record.versions.items()]
    return _items("configuration-table", rows)


def _items(id: str, rows: Sequence[tuple[Both, str]]) -> Table:
    head = _head("what", "said")
    return Table(id, "", "", head, [[what.cell(), Cell(said, "wrap")] for what, said in rows])


def instruments(record: CertificationRecord) -> list[Block]:
    """Return the table of instruments with class and calibration, or a sentence."""
    if not record.instruments:
        return [Text([both("note.no_instruments").line()], "warning")]
    rows = [
        [
            Cell(i.role),
            Cell(i.name, "", 1, i.driver),
            Cell(i.identity, "wrap"),
            Cell("–" if i.class_pct is None else f"{i.class_pct:g} %", "num"),
            Cell(f"{i.sampling_s:g} s", "num"),
            Cell(i.calibrated or "–"),
        ]
        for i in record.instruments
    ]
    names = ("role", "name", "identity", "class", "sampling", "calibrated")
    head = _head(*names, right=("class", "sampling"))
    return [Table("instruments", "", "", head, rows)]


def evidence(record: CertificationRecord) -> Table:
    """Return the table of evidence files."""
    rows = [
        [Cell(f.path, "wrap"), Cell(number(f.bytes, 0), "num"), Cell(f.sha256, "hash")]
        for f in record.evidence
    ]
    return Table("files", "", "", _head("file", "size", "sha256", right=("size",)), rows)
