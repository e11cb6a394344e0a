from __future__ import annotations

from functools import partial
from pathlib import Path

from hil.certify.broken import fields
from hil.certify.measurement import Outcome
from hil.registers.files import load_map
from tests.certify.suite_runs import failed, run
from twin.assets.manners import Manner

OWN = load_map("storage-own")
SUITE = "onboarding"


def test_a_good_station_is_brought_in(tmp_path: Path) -> None:
    """Every step is taken, in order, and the last state is 已接入."""
    found = run(SUITE, "storage", tmp_path / "run")
    assert {one.outcome for one in found.values()} == {Outcome.PASS}
    assert found["live"].value == "已接入"
    steps = tmp_path / "run/steps/onboarding"
    rows = (steps / "live/onboarding.csv").read_text("utf-8").splitlines()
    assert [r.split(",")[0] for r in rows[1:]] == [
        "registered", "point_table_checked", "joint_tested", "certified", "live",
    ]  # fmt: skip
    assert (steps / "point-table/levels.csv").exists()  # the register map's own evidence
    orders = (steps / "joint-test/orders.csv").read_text().splitlines()
    assert len(orders) == 21


def test_a_wrong_point_table_ends_the_way(tmp_path: Path) -> None:
    change = partial(fields.with_order, name="power_kw", order="CDAB")
    found = run(SUITE, "storage", tmp_path / "run", map_name=change(OWN), claimed=OWN)
    assert failed(found) == ["point_table", "certificate"]
    assert "out_of_range fail" in found["point_table"].note
    assert found["certificate"].value == "refused"
    for id in ("joint_orders", "joint_response", "live"):
        assert found[id].outcome is Outcome.NOT_APPLICABLE
        assert "点表已核对" in found[id].note


def test_a_stranger_is_not_registered(tmp_path: Path) -> None:
    other = fields.of_other_maker(OWN)
    found = run(SUITE, "storage", tmp_path / "run", map_name=other, claimed=OWN)
    assert failed(found) == ["registered", "certificate"]
    assert "vendor 'somebody', not 'suitwin'" in str(found["registered"].value)


def test_a_late_echo_fails_the_joint_test(tmp_path: Path) -> None:
    """Of what it shows late the point table check takes note too: nothing goes past it."""
    found = run(SUITE, "storage", tmp_path / "run", manner=Manner(readback_lag_s=30))
    assert failed(found) == ["point_table", "certificate"]
    assert "read_back_time fail" in found["point_table"].note
