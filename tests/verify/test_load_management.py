import dataclasses
import json

import numpy as np
import pytest

from tests.verify.world import Record, at, by_id, evidence, lm_order, lm_run, ms
from twin.record.orders import OrderForm
from twin.verify.load_management import IDS, judge_load_management


def verdicts(run, order=None, **more):
    return by_id(judge_load_management(evidence(order or lm_order(), run, **more)).verdicts)


def test_every_id_once_and_plain_json():
    found = verdicts(lm_run())
    assert tuple(found) == IDS
    json.dumps([v.to_dict() for v in found.values()], allow_nan=False)


def test_an_order_met_passes():
    found = verdicts(lm_run())
    judged = ("lm.shed", "lm.overshed", "lm.time", "lm.protected", "lm.protected_load",
              "lm.restoration", "lm.restoration_peak", "lm.connected")  # fmt: skip
    assert [found[k].passed for k in judged] == [True] * len(judged)
    assert found["lm.shed"].value == pytest.approx(100.0)
    assert found["lm.time"].value == 6.0
    assert found["lm.restoration"].value == 30.0
    assert found["lm.chain_loss"].reason == "no graph"


def test_connected_leaves_out_protected_silent_and_enrolled():
    # Sites 2 and 3 of the drawing: 120 + 120 MW less 20 MW enrolled; site 4 protected, 5 silent.
    found = verdicts(lm_run())
    assert found["lm.connected"].value == pytest.approx(22.0)
    assert found["lm.connected_with_enrolled"].value == pytest.approx(24.0)
    assert found["lm.connected_registered"].value == pytest.approx(24.0)
    assert found["lm.monitored"].value == pytest.approx(50.0)
    assert found["lm.connected"].base_mw == 1000.0


def test_connected_below_20_percent_fails():
    given = evidence(lm_order(), lm_run())
    given.undisturbed.peak["site.circuit_enrolled_kw"] = np.array([0, 0, 30e3, 20e3, 0, 0])
    found = by_id(judge_load_management(given).verdicts)["lm.connected"]
    assert found.value == pytest.approx(19.0)
    assert not found.passed


def test_a_terminal_that_answered_15_minutes_ago_still_counts():
    given = evidence(lm_order(), lm_run())
    answered = given.undisturbed.peak["terminal.answered_ms"].copy()
    answered[5] = ms(13, 26)  # the minute of the maximum ends at 13:41
    given.undisturbed.peak["terminal.answered_ms"] = answered
    value = by_id(judge_load_management(given).verdicts)["lm.connected"].value
    assert value == pytest.approx(28.0)


def test_security_load_is_taken_off_where_shares_overlap():
    given = evidence(lm_order(), lm_run())
    columns = {k: given.inventory.sites[k].copy() for k in given.inventory.sites}
    columns["security_share"] = np.array([0, 0, 0.5, 0.2, 0.5, 0.2])  # site 2: 0.6 + 0.5
    sites = type(given.inventory.sites)(columns)
    given = dataclasses.replace(given, inventory=dataclasses.replace(given.inventory, sites=sites))
    given.undisturbed.peak["site.security_kw"] = np.array([0, 0, 100e3, 40e3, 50e3, 20e3])
    value = by_id(judge_load_management(given).verdicts)["lm.connected"].value
    assert value == pytest.approx(20.0)


def test_without_a_record_of_the_maximum_connected_is_false():
    given = evidence(lm_order(), lm_run())
    given.undisturbed.peak.clear()
    found = by_id(judge_load_management(given).verdicts)
    assert found["lm.connected"].passed is False
    assert found["lm.connected"].value is None
    assert found["lm.monitored"].passed is None


def test_the_cut_is_over_all_sites_and_the_worst_quarter_counts():
    run = lm_run()
    run.demand_mw[at(17) : at(17, 15), 0] -= 40.0
    run.demand_mw[at(17, 15) : at(17, 30), 1] += 9.0
    found = verdicts(run)
    assert found["lm.shed"].value == pytest.approx(97.0)
    assert found["lm.overshed"].value == pytest.approx(100.0 * 340 / 300)
    assert not found["lm.shed"].passed
    assert not found["lm.overshed"].passed


def test_flexible_help_is_shown_apart_without_terminals():
    run = lm_run()
    run.enrolled_mw[at(16, 45) : at(17, 30)] = [10.0, 20.0, 5.0, 99.0]
    assert verdicts(run)["lm.flexible"].value == pytest.approx(35.0)


@pytest.mark.parametrize(
    ("first", "minutes"), [(at(16, 30), 1), (at(16, 44), 15), (at(16, 50), 21)]
)
def test_time_runs_from_the_end_of_the_warning(first, minutes):
    run = Record()
    run.demand_mw[first : at(17, 30), 2:4] -= 150.0
    found = verdicts(run)["lm.time"]
    assert found.value == minutes
    assert found.passed is (minutes <= 15)


def test_a_trip_before_the_warning_ends_fails():
    run = lm_run()
    run.interrupted[at(16, 29), 3] = 1
    found = verdicts(run)["lm.time"]
    assert found.value == 6.0
    assert found.passed is False
    assert found.reason.startswith("1 sites were interrupted before")


def test_a_cut_too_small_never_is_in_time():
    found = verdicts(lm_run(280.0))["lm.time"]
    assert (found.value, found.passed) == (None, False)


def test_a_protected_site_and_security_load_fail():
    run = lm_run()
    run.interrupted[at(16, 40) : at(16, 45), 4] = 1
    run.scalars["security_cut_kw"][at(16, 40)] = 12.0
    found = verdicts(run)
    assert (found["lm.protected"].value, found["lm.protected"].passed) == (1.0, False)
    assert (found["lm.protected_load"].value, found["lm.protected_load"].passed) == (12.0, False)


def test_what_an_earlier_order_interrupted_is_not_booked_again():
    run, base = lm_run(), Record()
    for record in (run, base):
        record.interrupted[:, 4] = 1
        record.scalars["security_cut_kw"][:] = 5.0
    found = verdicts(run, base=base)
    assert found["lm.protected"].passed
    assert found["lm.protected_load"].value == 0.0
    assert found["lm.time"].passed
    assert found["lm.restoration"].value == 30.0


def test_restoration_too_late_fails():
    run = lm_run()
    run.interrupted[at(18) : at(18, 31), 2] = 1
    found = verdicts(run)["lm.restoration"]
    assert (found.value, found.passed) == (61.0, False)


def test_a_site_left_dark_is_never_restored():
    run = lm_run()
    run.interrupted[at(18) :, 2] = 1
    found = verdicts(run)["lm.restoration"]
    assert (found.value, found.passed) == (None, False)
    assert found.reason.startswith("1 sites are still interrupted")


def test_restoration_peak_includes_the_pick_up_and_ends_with_it():
    run = lm_run()
    run.demand_mw[at(18, 59), 2] += 1.0
    found = verdicts(run)["lm.restoration_peak"]
    assert found.value == pytest.approx(1.001)
    assert not found.passed
    assert found.window_min == 90.0
    run = lm_run()
    run.demand_mw[at(19), 2] += 1.0
    assert verdicts(run)["lm.restoration_peak"].value == pytest.approx(1.0)


def test_a_cap_is_judged_on_the_load():
    order = lm_order(form=OrderForm.CAP, mw=700.0)
    found = verdicts(lm_run(310.0), order)
    assert found["lm.shed"].value == pytest.approx(100.0 * 690 / 700)
    assert found["lm.shed"].limit == 100.0
    assert found["lm.shed"].passed
    assert found["lm.overshed"].value == pytest.approx(100.0 * 10 / 700)
    assert found["lm.overshed"].passed
    assert "at most 3 %" in found["lm.overshed"].title
    assert found["lm.time"].value == 6.0
    assert not verdicts(lm_run(299.0), order)["lm.shed"].passed
    assert not verdicts(lm_run(330.0), order)["lm.overshed"].passed


def test_what_the_city_would_not_have_drawn_is_not_given_away():
    order = lm_order(form=OrderForm.CAP, mw=700.0)
    run, base = lm_run(310.0), Record()
    for record in (run, base):
        record.demand_mw[at(17) : at(17, 15), 0] -= 200.0
    # That quarter: 800 MW without the order, 490 with; the cap of 700 binds.
    assert verdicts(run, order, base=base)["lm.overshed"].value == pytest.approx(30.0)
    for record in (run, base):
        record.demand_mw[at(17) : at(17, 15), 1] -= 180.0
    # 620 MW without the order, so the logic could give away 620 - 310.
    value = verdicts(run, order, base=base)["lm.overshed"].value
    assert value == pytest.approx(100.0 * 310 / 700)


def test_an_order_beyond_the_run_is_false_not_silent():
    given = evidence(lm_order(), lm_run(), end_ms=ms(16))
    found = by_id(judge_load_management(given).verdicts)
    for id_ in ("lm.shed", "lm.overshed", "lm.time", "lm.restoration", "lm.restoration_peak"):
        assert found[id_].passed is False, id_
        assert found[id_].reason, id_
