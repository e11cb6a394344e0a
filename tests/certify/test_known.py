"""The suites' own test: each fault is found by its measurement, good devices have none.

The whole table, every suite on every device with ten seeds, is made by
``python -m hil.certify.broken --seeds 1-10``; here each fault meets the procedure that must find
it, and the device on OpenDER the suites that are quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.certify.broken import BROKEN, GOOD, Specimen
from hil.certify.broken.__main__ import main
from hil.certify.broken.table import Row, failures, narrowed, suites_of, tried, written
from hil.certify.emulated import subject_on
from hil.certify.limits import measurements
from hil.certify.subject import Subject
from hil.certify.suites import SUITES
from hil.registers.files import check_map
from tests.certify.opender_device import OpenDer
from tests.certify.permit_device import PermitDer

HEARTBEAT_S = 90.0
# Found by waiting for answers that do not come, for seconds to a minute.
PATIENT = {
    "answers-late", "deaf-at-first", "dies-of-no-coils", "loses-requests", "needs-a-pause",
    "one-at-a-time",
}  # fmt: skip


def marked(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.slow) if name in PATIENT else name


@contextmanager
def known_good(journal: Path, seed: int) -> Iterator[Subject]:
    with (
        OpenDer(seed, HEARTBEAT_S) as device,
        subject_on(
            device,  # type: ignore[arg-type]
            journal,
            instruments=("meter", "source"),
            evidence="known-good",
            declared={"heartbeat_s": HEARTBEAT_S},
        ) as subject,
    ):
        yield subject


def test_catalogue_is_whole() -> None:
    assert len(BROKEN) >= 25
    for one in BROKEN.values():
        for finder in (one.finder, *one.along):
            suite, _, id = finder.partition(".")
            assert id in measurements(suite), f"{one.name}: {finder}"
        assert one.finder.partition(".")[0] in suites_of(one.map.kind), one.name
        assert one.fault, one.name
        assert one.because, one.name
        assert any("\u4e00" <= ch <= "\u9fff" for ch in one.fault_zh), one.name
    assert all(one.finder == "" and one.fault == "" for one in GOOD.values())
    assert {one.map.kind for one in BROKEN.values()} <= {one.map.kind for one in GOOD.values()}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_device_serves_a_map_that_could_be_somebodys(name: str) -> None:
    one = BROKEN[name]
    for each in (one.map, one.serve(one.map)):
        check_map(each.model_dump(by_alias=True, exclude_none=True), name)


@pytest.mark.parametrize("name", [marked(name) for name in sorted(BROKEN)])
def test_its_own_procedure_finds_a_fault(name: str) -> None:
    one = BROKEN[name]
    failed = failures(lambda journal: one.subject(journal, 1), [narrowed(one.finder)], 1)
    row = Row(name, 1, one.finder, one.along, failed)
    assert row.right, failed


@pytest.mark.parametrize("name", sorted(GOOD))
def test_no_register_of_a_good_device_is_wrong(name: str) -> None:
    assert tried(GOOD[name], 1, ["register-map"]).failed == ()


@pytest.mark.parametrize("name", ["good-terminal", "good-charging", "good-aircon", "good-solar"])
def test_no_suite_of_its_kind_finds_anything_in_a_good_device(name: str) -> None:
    kinds = [suite for suite in suites_of(GOOD[name].map.kind) if SUITES[suite].kinds]
    assert tried(GOOD[name], 1, kinds).failed == ()


@pytest.mark.parametrize("suite", ["register-map", "protocol", "interconnection", "onboarding"])
def test_nothing_is_found_in_the_device_on_opender(suite: str) -> None:
    assert failures(lambda j: known_good(j, 1), [SUITES[suite]], 1) == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_nothing_at_all_is_found_in_the_device_on_opender(seed: int) -> None:
    suites = [SUITES[name] for name in suites_of("storage")]
    assert failures(lambda j: known_good(j, seed), suites, seed) == ()


def test_a_wrong_finding_is_told_from_a_right_one() -> None:
    fault = Row("d", 1, "storage.soc_span", ("storage.soc_error",), ("storage.soc_error",))
    assert not fault.found
    assert fault.wrong == ()
    both = Row("d", 1, "storage.soc_span", (), ("storage.soc_span", "protocol.split"))
    assert both.found
    assert both.wrong == ("protocol.split",)
    assert not both.right
    # Whoever is broken is refused by the gate, whoever is good may not be.
    gate = ("storage.soc_span", "onboarding.certificate")
    assert Row("d", 1, "storage.soc_span", (), gate).right
    assert Row("good", 1, "", (), gate[1:], broken=False).wrong == gate[1:]


def test_the_table_counts_seeds_and_names_wrong_findings() -> None:
    rows = [
        Row("one", 1, "a.b", (), ("a.b",)), Row("one", 2, "a.b", (), ("a.b", "c.d")),
        Row("good", 1, "", (), ()), Row("good", 2, "", (), ()),
    ]  # fmt: skip
    text = written(rows)
    assert "1 of 2 devices right with every seed" in text
    assert "also c.d" in text
    assert "2/2" in text.splitlines()[1]


def test_a_device_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--device", "slugish"])
    assert "did you mean sluggish" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--seeds", "some"])
    assert "whole number" in capsys.readouterr().err


def test_a_specimen_without_a_fault_serves_its_own_map() -> None:
    one = GOOD["good-storage"]
    assert isinstance(one, Specimen)
    assert one.serve(one.map) == one.map


def test_the_device_on_opender_may_be_told_to_stay_out() -> None:
    with PermitDer(1) as device:
        assert device.map.point("permit_service").access == "rw"
