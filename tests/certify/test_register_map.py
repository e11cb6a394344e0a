from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.certify.broken import fields
from hil.certify.measurement import Outcome
from hil.certify.suites.diagnosis import diagnose
from hil.registers.codec import encode
from hil.registers.files import load_map
from hil.registers.schema import RegisterMap, WirePoint
from tests.certify.suite_runs import failed, run, with_outcome

OWN = load_map("storage-own")
MAPS = ("storage-own", "storage-sunspec-7xx", "charging-post", "aircon-chiller", "terminal-own")


def served(tmp_path: Path, change: Any, *only: str) -> dict[str, Any]:
    """Return what the suite finds where a device serves another map than the one it claims."""
    return run("register-map", "storage", tmp_path / "run", *only,
               map_name=change(OWN), claimed=OWN)  # fmt: skip


@pytest.mark.parametrize("name", MAPS)
def test_a_device_that_is_as_its_table_says_passes(name: str, tmp_path: Path) -> None:
    one = load_map(name)
    found = run("register-map", one.kind, tmp_path / "run", map_name=name, seed=7)
    assert with_outcome(found, Outcome.FAIL) == []
    assert with_outcome(found, Outcome.INCONCLUSIVE) == []
    assert found["points_missing"].outcome is Outcome.PASS
    assert found["power_reading"].outcome is Outcome.PASS
    assert found["power_reading"].path.by == "instrument"


@pytest.mark.parametrize(
    ("change", "id", "told"),
    [
        (partial(fields.scaled, name="power_kw", factor=10.0), "power_reading",
         "a factor of 10 too small"),
        (partial(fields.scaled, name="power_kw", factor=0.01), "out_of_range",
         "a factor of 100 too large"),
        (partial(fields.scaled, name="capacity_kwh", factor=100.0), "ratings",
         "capacity_kwh shows 5.2 kWh, not .*; a factor of 100 too small"),
        (partial(fields.scaled, name="soc", factor=10.0), "changes", r"soc moved by .* 10\^-1"),
        (partial(fields.scaled, name="charged_today_kwh", factor=0.1), "changes", r"10\^1"),
        (partial(fields.with_order, name="power_kw", order="CDAB"), "out_of_range",
         r"words exchanged \(CDAB\)"),
        (partial(fields.with_order, name="temperature_c", order="BADC"), "out_of_range",
         r"bytes exchanged \(BADC\)"),
        (partial(fields.turned_sign, name="power_kw"), "power_reading", "sign turned"),
        (partial(fields.of_other_type, name="discharge_limit_kw", type_="f32"), "out_of_range",
         "type f32, scale 1"),
        (partial(fields.scaled, name="set_power_kw", factor=0.1), "orders_followed",
         "125 kW ordered, 12.5 kW came"),
        (partial(fields.scaled, name="set_power_kw", factor=10.0), "orders_refused", "exception"),
    ],
)  # fmt: skip
def test_scales_signs_and_word_orders_are_told_from_physics(
    change: Any, id: str, told: str, tmp_path: Path
) -> None:
    found = served(tmp_path, change, "readings")
    assert found[id].outcome is Outcome.FAIL
    assert re.search(told, found[id].note), found[id].note


def moved_by_one(one: RegisterMap) -> RegisterMap:
    return fields.counted_from_one(one, "input")


@pytest.mark.parametrize(
    ("change", "ids"),
    [
        (moved_by_one, ["points_missing", "beyond_table"]),
        (partial(fields.without, name="temperature_c"), ["points_missing"]),
        (partial(fields.without_write, name="set_revert_s"), ["not_writable"]),
        (partial(fields.without_read, name="set_heartbeat"), ["not_readable"]),
        (partial(fields.with_limits, name="set_revert_s", low=1.0, high=3.6e3), ["limits_refused"]),
    ],
)  # fmt: skip
def test_addresses_access_limits_and_gaps(change: Any, ids: list[str], tmp_path: Path) -> None:
    found = served(tmp_path, change, "addresses", "gaps", "access", "limits", "read-back")
    assert failed(found) == ids


def test_gaps_that_are_filled_are_found(tmp_path: Path) -> None:
    claimed = fields.with_hole(OWN)
    served_map = fields.filled_gaps(claimed)
    found = run("register-map", "storage", tmp_path / "run", "gaps", map_name=served_map,
                claimed=claimed)  # fmt: skip
    assert failed(found) == ["gap_policy"]
    assert found["gap_policy"].value == "zero"


def test_a_limit_that_is_not_kept_is_found(tmp_path: Path) -> None:
    """The device allows a day, its table an hour."""
    claimed = fields.with_limits(OWN, "set_revert_s", 1.0, 3_600.0)
    found = run("register-map", "storage", tmp_path / "run", "limits", claimed=claimed)
    assert failed(found) == ["limits_passed"]
    assert "set_revert_s = 3601" in found["limits_passed"].note


def test_without_a_meter_the_order_is_the_reference(tmp_path: Path) -> None:
    change = partial(fields.scaled, name="power_kw", factor=10.0)
    found = run("register-map", "storage", tmp_path / "run", "readings",
                map_name=change(OWN), claimed=OWN, instruments=())  # fmt: skip
    assert found["power_reading"].outcome is Outcome.NOT_APPLICABLE
    assert found["power_reading"].lacking
    assert failed(found) == ["orders_followed"]


def test_evidence_holds_every_register_that_was_read(tmp_path: Path) -> None:
    run("register-map", "storage", tmp_path / "run", "addresses", "readings")
    points = (tmp_path / "run/steps/addresses/points/points.csv").read_text().splitlines()
    assert points[0] == "time_s,point,table,address,words,value"
    assert len(points) == 1 + sum(p.access == "r" for p in OWN.points)
    levels = (tmp_path / "run/steps/readings/levels/levels.csv").read_text()
    assert "{'power_kw': -125.0}" in levels


# -- diagnosis -----------------------------------------------------------------------------------


def point(type_: str, scale: float, order: str = "ABCD") -> WirePoint:
    return WirePoint.model_validate({
        "name": "p", "class": "yc", "table": "input", "address": 0, "type": type_,
        "scale": scale, "order": order, "meaning": "p", "meaning_zh": "p",
        "source": {"point": "power_kw"},
    })  # fmt: skip


@given(st.floats(100.0, 3_000.0), st.sampled_from(["CDAB", "BADC", "DCBA"]))
def test_exchanged_words_are_seen_in_any_value(value: float, order: str) -> None:
    one = point("i32", 0.1)
    words = encode(point("i32", 0.1, order), "ABCD", value)

    def fits(shown: float) -> bool:
        return abs(shown - value) <= 0.06

    text = diagnose(one, "ABCD", words, fits)
    if words != encode(one, "ABCD", value):
        assert text != ""


@given(st.floats(1.0, 30.0), st.sampled_from([10.0, 100.0, 1000.0]))
def test_a_factor_is_named(value: float, factor: float) -> None:
    words = encode(point("u32", 0.001), "ABCD", value * factor)
    text = diagnose(point("u32", 0.001), "ABCD", words, lambda v: abs(v - value) <= 0.01 * value)
    assert text == f"a factor of {factor:g} too large"


def test_what_fits_no_way_is_left_open() -> None:
    assert diagnose(point("i32", 0.1), "ABCD", [1, 2], lambda v: False) == ""
    assert diagnose(point("i32", 0.1), "ABCD", [1], lambda v: True) == ""
