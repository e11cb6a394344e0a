"""A run as a JUnit file, for whatever shows test results: one case for each measurement.

A measurement that passed, or is a figure without a limit, is a passed case with its value among
the properties; one that failed is a failure; what is inconclusive or not applicable is skipped
with the reason, so that no list of passed cases shows it as a pass.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from hil.certify.measurement import Limit, Outcome, Taken, Value
from hil.certify.record import CertificationRecord, ProcedureRecord

__all__ = ["limit_text", "safe_state_of", "value_text", "write_junit"]

# What XML 1.0 cannot hold.
UNSPEAKABLE = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SIGN = {"<=": "≤", ">=": "≥", "==": "=", "within": "", "figure": ""}
SKIPPED = {Outcome.INCONCLUSIVE: "inconclusive", Outcome.NOT_APPLICABLE: "not applicable"}


def write_junit(record: CertificationRecord, path: Path) -> None:
    """Write the JUnit file of a record; it appears whole or not at all."""
    root = ET.Element("testsuites", _clean({"name": record.title}))
    totals = {"tests": 0, "failures": 0, "skipped": 0}
    for procedure in record.procedures:
        suite = _suite(record, procedure)
        for name in totals:
            totals[name] += int(suite.get(name, "0"))
        root.append(suite)
    for name, count in totals.items():
        root.set(name, str(count))
    ET.indent(root, " ")
    partial = path.with_name(path.name + ".part")
    ET.ElementTree(root).write(partial, encoding="utf-8", xml_declaration=True)
    partial.replace(path)


def _suite(record: CertificationRecord, procedure: ProcedureRecord) -> ET.Element:
    cases = [_case(record, procedure, m) for m in procedure.measurements]
    cases.append(_safe_state(record, procedure))
    wall_s = sum(step.wall_s for step in procedure.steps)
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    suite = ET.Element("testsuite", _clean({
        "name": f"{record.suite}.{procedure.id}", "timestamp": record.started,
        "time": f"{wall_s:.3f}", "errors": "0", **{k: str(n) for k, n in counts.items()},
    }))  # fmt: skip
    device = record.subject
    _add_properties(suite, {
        "title": procedure.title, "title_zh": procedure.title_zh, "device": device.name,
        "kind": device.kind, "register_map": device.map, "evidence": device.evidence,
        "time": device.time, "seed": str(record.seed),
        **{f"identity.{name}": text for name, text in device.identity.items()},
    })  # fmt: skip
    suite.extend(cases)
    return suite


def _case(record: CertificationRecord, procedure: ProcedureRecord, taken: Taken) -> ET.Element:
    said = taken.declared
    case = _named(record, procedure, said.id)
    _add_properties(case, {
        "name": said.name, "name_zh": said.name_zh, "outcome": taken.outcome.value,
        "value": value_text(taken.value), "unit": said.unit,
        "uncertainty": value_text(taken.uncertainty),
        "limit": limit_text(said.comparison, said.limit), "clause": said.clause,
        "source": said.source, "grade": said.grade,
        "path": "" if taken.path is None else str(taken.path), "note": taken.note,
    })  # fmt: skip
    if taken.outcome is Outcome.FAIL:
        wanted = f"{limit_text(said.comparison, said.limit)} {said.unit}".strip()
        got = f"{value_text(taken.value)} {said.unit}".strip()
        message = f"{said.name}: {got}; wanted: {wanted}"
        ET.SubElement(
            case, "failure", _clean({"message": message, "type": "limit"})
        ).text = UNSPEAKABLE.sub("\ufffd", taken.note)
    elif taken.outcome in SKIPPED:
        message = f"{SKIPPED[taken.outcome]}: {taken.note}".removesuffix(": ")
        ET.SubElement(case, "skipped", _clean({"message": message}))
    return case


def _safe_state(record: CertificationRecord, procedure: ProcedureRecord) -> ET.Element:
    """Return the case that says whether the device was left at its safe state."""
    case = _named(record, procedure, "safe_state")
    outcome = safe_state_of(procedure)
    if outcome is Outcome.FAIL:
        message = _clean({"message": procedure.safe_state, "type": "safe_state"})
        ET.SubElement(case, "failure", message)
    elif outcome is Outcome.NOT_APPLICABLE:
        ET.SubElement(case, "skipped", _clean({"message": procedure.safe_state}))
    return case


def safe_state_of(procedure: ProcedureRecord) -> Outcome:
    """Return whether the device was seen at its safe state after a procedure.

    Not applicable where the procedure did not touch the device in this run.
    """
    known = {"confirmed": Outcome.PASS, "not touched": Outcome.NOT_APPLICABLE}
    return known.get(procedure.safe_state, Outcome.FAIL)


def _named(record: CertificationRecord, procedure: ProcedureRecord, name: str) -> ET.Element:
    at = {"classname": f"{record.suite}.{procedure.id}", "name": name, "time": "0"}
    return ET.Element("testcase", _clean(at))


def _add_properties(element: ET.Element, values: Mapping[str, str]) -> None:
    home = ET.SubElement(element, "properties")
    for name, text in values.items():
        if text:
            ET.SubElement(home, "property", _clean({"name": name, "value": text}))


def _clean(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: UNSPEAKABLE.sub("\ufffd", text) for name, text in texts.items()}


def value_text(value: Value) -> str:
    """Return a value in as many digits as a measurement has; nothing where there is none.

    >>> value_text(1.23456789), value_text("CDAB"), value_text(None), value_text(12)
    ('1.23457', 'CDAB', '', '12')
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.6g}"


def limit_text(comparison: str, limit: Limit) -> str:
    """Return a limit with its sign.

    >>> limit_text("<=", 2.0), limit_text("within", (0.98, 1.02)), limit_text("figure", None)
    ('≤ 2', '0.98 … 1.02', '')
    """
    if limit is None:
        return ""
    if isinstance(limit, tuple):
        return f"{value_text(limit[0])} … {value_text(limit[1])}"
    return f"{SIGN[comparison]} {value_text(limit)}".strip()
