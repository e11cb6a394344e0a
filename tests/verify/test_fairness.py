import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.world import Record, at, by_id, evidence, lm_order, lm_run
from twin.verify.fairness import gini
from twin.verify.load_management import judge_load_management

# Nothing, or more than a rounding error of a metered hour.
hour = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
hours = st.lists(hour, min_size=1, max_size=40)


def verdicts(run, **more):
    return by_id(judge_load_management(evidence(lm_order(), run, **more)).verdicts)


@given(hours, st.floats(0.1, 10.0))
def test_gini_is_a_share_that_does_not_depend_on_the_unit(values, unit):
    found = gini(np.array(values))
    if sum(values) <= 0.0:
        assert found is None
        return
    n = len(values)
    assert -1e-12 <= found <= (n - 1) / n + 1e-12
    assert gini(unit * np.array(values)) == pytest.approx(found, abs=1e-9)


@given(hours)
def test_taking_from_the_one_who_gave_most_is_fairer(values):
    values = np.array(values)
    most = int(np.argmax(values))
    if values.sum() <= 0.0 or (values == values[most]).all():
        return
    fairer = values.copy()
    fairer[most] = np.sort(values)[-2] if len(values) > 1 else values[most]
    if fairer.sum() > 0.0:
        assert gini(fairer) <= gini(values) + 1e-12


def test_two_of_three_gave_alike():
    # Sites 2 and 3 gave 150 MW of 240 contracted; 5 stands by; 4 is protected and does not count.
    found = verdicts(lm_run())
    assert found["lm.fairness"].value == pytest.approx(1 / 3)
    assert found["lm.fairness"].passed is None
    assert found["lm.fairness_district"].value == 0.0  # there is one


def test_only_minutes_of_a_command_count():
    run = lm_run()
    run.demand_mw[at(16, 35) : at(17, 30), 5] -= 60.0  # by itself, its circuits are closed
    assert verdicts(run)["lm.fairness"].value == pytest.approx(1 / 3)
    run.interrupted[at(16, 35) : at(17, 30), 5] = 1  # 60 of 120 MW against 150 of 240
    assert verdicts(run)["lm.fairness"].value == pytest.approx(2 * 0.125 / (3 * 1.75))


def test_an_earlier_order_is_not_booked_again():
    run, base = lm_run(), Record()
    for record in (run, base):
        record.interrupted[:, 5] = 1
        record.demand_mw[:, 5] -= 60.0
    assert verdicts(run, base=base)["lm.fairness"].value == pytest.approx(1 / 3)


def test_districts_are_compared_by_what_they_have_contracted():
    given_ = evidence(lm_order(), lm_run())
    columns = {k: given_.inventory.sites[k].copy() for k in given_.inventory.sites}
    columns["district"] = np.array([0, 0, 0, 1, 1, 1])
    sites = type(given_.inventory.sites)(columns)
    inventory = dataclasses.replace(given_.inventory, sites=sites, districts=("a", "b"))
    given_ = dataclasses.replace(given_, inventory=inventory)
    found = by_id(judge_load_management(given_).verdicts)["lm.fairness_district"]
    one, two = 150 / 240, 150 / 360
    assert found.value == pytest.approx((one - two) / (2 * (one + two)))


def test_nobody_cut_is_said():
    found = verdicts(Record())["lm.fairness"]
    assert (found.value, found.passed) == (None, None)
    assert found.reason == "nobody was cut"
