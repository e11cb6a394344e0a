"""The JUnit file: a case a measurement, typed properties, and nothing passed that was not."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from hil.certify.junit import write_junit
from tests.certify.finished import finished_run


def cases(folder: Path, **more: object) -> dict[str, ET.Element]:
    record = finished_run(folder, **more)  # type: ignore[arg-type]
    write_junit(record, folder / "junit.xml")
    root = ET.parse(folder / "junit.xml").getroot()
    for name in ("tests", "failures", "skipped"):
        assert root.get(name) == str(sum(int(s.get(name, "")) for s in root))
    return {str(c.get("name")): c for c in root.iter("testcase")}


def properties(case: ET.Element) -> dict[str, str]:
    return {str(p.get("name")): str(p.get("value")) for p in case.iter("property")}


def state(case: ET.Element) -> str:
    return next((kind for kind in ("failure", "skipped") if case.find(kind) is not None), "passed")


def test_each_measurement_is_a_case(tmp_path: Path) -> None:
    found = cases(tmp_path)
    assert {name: state(case) for name, case in found.items()} == {
        "quick": "passed", "near": "skipped", "order": "passed", "band": "passed",
        "efficiency": "passed", "flicker": "skipped", "safe_state": "passed",
    }  # fmt: skip
    assert properties(found["quick"]) == {
        "name": "quick & more", "name_zh": "测量量 quick", "outcome": "pass", "value": "1.2",
        "unit": "s", "uncertainty": "0.1", "limit": "≤ 2", "clause": "7.2",
        "source": "a report <of ours>", "grade": "assumed",
        "path": "instrument meter, ±0.2, every 0.1 s",
    }  # fmt: skip


def test_what_xml_cannot_hold_is_replaced(tmp_path: Path) -> None:
    skipped = cases(tmp_path)["flicker"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "not applicable: no instrument: analyser�"


def test_a_failure_says_what_was_wanted(tmp_path: Path) -> None:
    failure = cases(tmp_path, fails=True)["quick"].find("failure")
    assert failure is not None
    assert failure.get("message") == "quick & more: 5 s; wanted: ≤ 2 s"


@pytest.mark.parametrize(
    ("safe", "wanted"), [("not touched", "skipped"), ("not confirmed: no answer", "failure")]
)
def test_the_safe_state_is_a_case_too(tmp_path: Path, safe: str, wanted: str) -> None:
    assert state(cases(tmp_path, safe=safe)["safe_state"]) == wanted
