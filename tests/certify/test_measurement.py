from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.certify.limits import measurements
from hil.certify.measurement import (
    Comparison,
    Limit,
    Measurement,
    Outcome,
    Path,
    Taken,
    verdict,
    worst,
)
from hil.certify.suites import SUITES

PASS, FAIL, UNSURE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
METER = Path("instrument", "meter", 0.5, 1.0)


def declared(comparison: Comparison, limit: Limit, needs: str = "") -> Measurement:
    return Measurement(
        "one", "One", "一", "kW", limit, comparison, "1", "a source", "assumed", needs
    )  # fmt: skip


@pytest.mark.parametrize(
    ("comparison", "limit", "value", "uncertainty", "outcome"),
    [
        ("<=", 2.0, 1.875, 0.0625, PASS),
        ("<=", 2.0, 1.875, 0.125, UNSURE),
        ("<=", 2.0, 2.125, 0.125, UNSURE),
        ("<=", 2.0, 2.2, 0.1, FAIL),
        ("<=", 2.0, 2.0, 0.0, PASS),
        (">=", 2.0, 2.0, 0.0, PASS),
        (">=", 2.0, 1.8, 0.1, FAIL),
        ("within", (1.0, 2.0), 1.5, 0.4, PASS),
        ("within", (1.0, 2.0), 1.5, 0.5, UNSURE),
        ("within", (1.0, 2.0), 0.5, 0.4, FAIL),
        ("within", (1.0, 1.2), 5.0, 0.1, FAIL),
        ("==", 2.0, 2.0, 0.0, PASS),
        ("==", 2.0, 3.0, 0.0, FAIL),
        ("==", "as it is", "as it is", 0.0, PASS),
        ("==", "as it is", "another", 0.0, FAIL),
        ("==", 1.0, "no answer", 0.0, FAIL),
        ("<=", 2.0, math.nan, 0.0, UNSURE),
        ("<=", 2.0, None, 0.0, UNSURE),
        ("figure", None, 1e9, 0.0, Outcome.FIGURE),
    ],
)  # fmt: skip
def test_a_value_is_judged_with_its_uncertainty(
    comparison: Comparison, limit: Limit, value: object, uncertainty: float, outcome: Outcome
) -> None:
    found = declared(comparison, limit).taken(value, uncertainty, METER)  # type: ignore[arg-type]
    assert found.outcome is outcome


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e3), st.floats(-1e6, 1e6))
def test_more_uncertainty_never_turns_a_fail_into_a_pass(
    value: float, uncertainty: float, limit: float
) -> None:
    for comparison in ("<=", ">="):
        one = declared(comparison, limit)
        sure, unsure = one.judge(value, 0.0), one.judge(value, uncertainty)
        assert unsure in (sure, UNSURE)


def test_what_lacks_an_instrument_takes_part_and_what_does_not_apply_does_not() -> None:
    one = declared("<=", 1.0)
    good = one.taken(0.0, 0.0, METER)
    lacking = one.untaken(Outcome.NOT_APPLICABLE, "no instrument: meter", lacking=True)
    apart = one.untaken(Outcome.NOT_APPLICABLE, "the device has none")
    assert verdict([good, apart]) is PASS
    assert verdict([good, lacking]) is Outcome.NOT_APPLICABLE
    assert verdict([good, lacking, one.taken(2.0, 0.0, METER)]) is FAIL
    assert verdict([apart]) is verdict([]) is Outcome.NOT_APPLICABLE
    assert worst([PASS, UNSURE, Outcome.NOT_APPLICABLE]) is UNSURE


def test_a_taken_measurement_survives_json() -> None:
    one = declared("within", (1.0, 2.0), "meter, source")
    assert one.roles == ("meter", "source")
    for taken in (
        one.taken(1.5, 0.1, METER, "a note"),
        one.taken("no answer", 0.0, Path("wire", "own connection")),
        one.untaken(Outcome.NOT_APPLICABLE, "no instrument", lacking=True),
    ):
        assert Taken.of_row(json.loads(json.dumps(taken.row()))) == taken


def test_a_path_says_how_a_value_came_about() -> None:
    assert str(METER) == "instrument meter, ±0.5, every 1 s"
    assert str(Path("register", "soc", None, 5.0)) == "own register soc, every 5 s"
    assert str(Path("wire", "own connection")) == "on the wire: own connection"


@pytest.mark.parametrize("suite", SUITES)
def test_every_limit_says_where_it_comes_from(suite: str) -> None:
    """What is our own choice is graded so, and what is not names a clause of its source."""
    for one in measurements(suite).values():
        assert one.name
        assert any("\u4e00" <= ch <= "\u9fff" for ch in one.name_zh), one.id
        if one.grade in ("A", "B"):
            assert one.clause, f"{one.id}: grade {one.grade} without a clause"
            assert not one.source.startswith("assumed"), one.id
        elif one.grade == "assumed":
            assert not one.source.startswith(("GB", "IEEE", "MODBUS")), one.id
