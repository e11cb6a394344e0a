import dataclasses
import json

import numpy as np
import pytest

from tests.verify.world import Record, at, by_id, dr_order, dr_run, evidence, ms
from twin.clock import DAY_MS, MINUTE_MS
from twin.record.orders import OrderForm
from twin.verify.baselines import BASELINE_IDS
from twin.verify.demand_response import IDS, judge_demand_response
from twin.verify.flexibility import CAPABILITY_IDS
from twin.verify.settlement import SETTLEMENT_IDS


def verdicts(run, order=None, **more):
    return by_id(judge_demand_response(evidence(order or dr_order(), run, **more)).verdicts)


def test_every_id_once_and_plain_json():
    found = verdicts(dr_run())
    assert tuple(found) == IDS
    json.dumps([v.to_dict() for v in found.values()], allow_nan=False)


def test_an_order_met_passes_everything():
    found = verdicts(dr_run(), capability=dr_run())
    assert {k: v.passed for k, v in found.items() if v.passed is not True} == {
        "dr.capability_gross": None,
        "dr.capability_60": None,
        "dr.capability_120": None,
        "dr.tracking_baseline": None,
        "dr.tracking_execution": None,
        "dr.rebound_back": None,
        "dr.rebound_before": None,
        **dict.fromkeys(BASELINE_IDS),
        **dict.fromkeys(SETTLEMENT_IDS),
        **dict.fromkeys(CAPABILITY_IDS),
    }
    assert found["dr.delivered"].value == pytest.approx(100.0)
    assert found["dr.delivered"].base_mw == 100.0
    assert found["dr.delivered"].window_min == 105.0
    assert found["dr.capability"].value == pytest.approx(10.0)
    assert found["dr.capability"].base_mw == 1000.0
    assert found["dr.baseline_error"].reason == "no history"


def test_an_order_ignored_fails():
    found = verdicts(Record())
    assert found["dr.delivered"].value == 0.0
    assert found["dr.delivered"].passed is False
    assert found["dr.overdelivered"].passed is True
    assert found["dr.response_time"].value is None
    assert found["dr.response_time"].passed is False
    assert "not reached" in found["dr.response_time"].reason
    assert found["dr.tracking"].value == pytest.approx(100.0)
    assert found["dr.tracking_execution"].reason.startswith("the logic does not report")


def test_the_worst_quarter_counts():
    run = dr_run()
    run.demand_mw[at(14) : at(14, 15), 0] += 8.0
    run.demand_mw[at(14, 30) : at(14, 45), 0] -= 15.0
    found = verdicts(run)
    assert found["dr.delivered"].value == pytest.approx(92.0)
    assert found["dr.overdelivered"].value == pytest.approx(115.0)
    assert not found["dr.delivered"].passed
    assert not found["dr.overdelivered"].passed


def test_only_enrolled_sites_deliver():
    run = Record()
    run.demand_mw[at(13, 5) : at(15), 2] -= 100.0
    assert verdicts(run)["dr.delivered"].value == 0.0


@pytest.mark.parametrize(("full", "minutes"), [(at(13, 0), 1), (at(13, 14), 15), (at(13, 15), 16)])
def test_response_time_is_counted_to_the_end_of_the_minute(full, minutes):
    run = Record()
    run.demand_mw[full : at(15), 0] -= 96.0
    found = verdicts(run)["dr.response_time"]
    assert found.value == minutes
    assert found.passed is (minutes <= 15)


def test_response_that_falls_to_90_percent_has_to_come_again():
    run = dr_run()
    run.demand_mw[at(13, 30), 0] += 10.0
    assert verdicts(run)["dr.response_time"].value == 32.0
    run.demand_mw[at(13, 30), 0] -= 9.0
    assert verdicts(run)["dr.response_time"].value == 6.0


def test_tracking_is_split_into_baseline_and_execution():
    run = dr_run(94.0)
    run.figures["delivered_mw"] = np.full(1440, 101.0)
    found = verdicts(run)
    assert found["dr.tracking"].value == pytest.approx(6.0)
    assert found["dr.tracking"].passed
    assert found["dr.tracking_baseline"].value == pytest.approx(7.0)
    assert found["dr.tracking_execution"].value == pytest.approx(1.0)
    run = dr_run(89.0)
    assert not verdicts(run)["dr.tracking"].passed


def test_rebound_takes_the_worst_quarter_of_four_hours():
    run = dr_run()
    run.demand_mw[at(15) : at(15, 30), 0] += 41.0
    run.demand_mw[at(12) : at(12, 30), 1] += 20.0
    run.demand_mw[at(19, 30) : at(20), 1] += 500.0  # later than 4 h: not rebound
    found = verdicts(run)
    assert found["dr.rebound"].value == pytest.approx(41.0)
    assert not found["dr.rebound"].passed
    assert found["dr.rebound_back"].value == pytest.approx(20.5)
    assert found["dr.rebound_before"].value == pytest.approx(10.0)
    assert not found["dr.new_peak"].passed
    assert found["dr.new_peak"].value == pytest.approx(1.5)


def test_no_rebound_is_none():
    run = dr_run()
    run.demand_mw[at(15) : at(19), 0] -= 5.0
    found = verdicts(run)["dr.rebound"]
    assert (found.value, found.passed) == (0.0, True)


def test_a_peak_made_before_the_start_counts():
    run = dr_run()
    run.demand_mw[at(12, 30), 0] += 1.0
    found = verdicts(run)["dr.new_peak"]
    assert found.value == pytest.approx(1.001)
    assert not found.passed


def test_a_peak_within_the_event_or_before_the_notice_does_not():
    run = dr_run()
    run.demand_mw[at(10, 59), 0] += 1.0
    run.demand_mw[at(13, 1), 0] += 1.0
    assert verdicts(run)["dr.new_peak"].passed


def test_comfort_counts_floor_area_of_enrolled_buildings_in_excess():
    run, base = dr_run(), Record()
    run.temperature[at(13) : at(16), 0] = 28.5  # a third of the enrolled area, all three hours
    run.temperature[at(13) : at(16), 3] = 35.0  # not enrolled
    base.temperature[at(13) : at(14), 0] = 28.5
    found = verdicts(run, base=base)["dr.comfort"]
    assert found.value == pytest.approx(100.0 * (1 / 3 - 1 / 9), rel=1e-6)
    assert found.window_min == 180.0
    assert not found.passed
    run.occupied[:, 0] = 0.0
    assert verdicts(run, base=base)["dr.comfort"].value == 0.0


def test_28_degrees_is_within_the_band():
    run = dr_run()
    run.temperature[at(13) : at(16)] = 28.0
    assert verdicts(run)["dr.comfort"].value == 0.0


@pytest.mark.parametrize(("rate", "passed"), [(0.9, True), (1.2, False)])
def test_drift_is_the_rise_over_an_hour(rate, passed):
    run = dr_run()
    hours = np.arange(1440) / 60.0
    run.temperature[:] = 20.0 + rate * hours[:, None]
    found = verdicts(run)["dr.comfort_drift"]
    assert found.value == pytest.approx(rate, rel=1e-4)
    assert found.passed is passed


def test_cooling_down_is_no_drift():
    run = dr_run()
    run.temperature[:] = 60.0 - 2.0 * (np.arange(1440) / 60.0)[:, None]
    found = verdicts(run)["dr.comfort_drift"]
    assert found.value < 0.0
    assert found.passed


def test_mobility_pairs_sessions_and_counts_the_excess():
    run, base = dr_run(), Record()
    for record, got in ((run, 15.0), (base, 19.0)):
        record.session(14, 0, 7, 20.0, got)
        record.session(14, 1, 7, 30.0, 30.0)
        record.session(14, 2, 8, 50.0, 10.0, touched=0)  # untouched: not counted
        record.session(10, 0, 1, 10.0, 0.0)  # left before the notice
    found = verdicts(run, base=base)
    assert found["dr.mobility"].value == pytest.approx(100.0 * 4.0 / 50.0)
    assert not found["dr.mobility"].passed
    assert found["dr.mobility_short"].value == pytest.approx(50.0)
    assert not found["dr.mobility_short"].passed


def test_a_session_that_would_be_short_anyway_costs_nothing():
    run, base = dr_run(), Record()
    for record in (run, base):
        record.session(14, 0, 7, 20.0, 5.0)
    found = verdicts(run, base=base)
    assert found["dr.mobility"].value == 0.0
    assert found["dr.mobility_short"].passed


def test_a_session_unknown_to_the_counterfactual_counts_in_full():
    run, base = dr_run(), Record()
    run.session(14, 0, 7, 20.0, 5.0)
    base.session(14, 0, 6, 20.0, 5.0)
    assert verdicts(run, base=base)["dr.mobility"].value == pytest.approx(75.0)


def test_network_excess_is_minute_by_minute():
    run, base = dr_run(), Record()
    base.scalars["violations_bus"][at(14)] = 5.0  # mended by the order
    run.scalars["violations_bus"][at(15)] = 2.0
    run.scalars["violations_branch"][at(16)] = 1.0
    run.scalars["violations_branch"][at(10)] = 9.0  # before the notice
    found = verdicts(run, base=base)["dr.network"]
    assert (found.value, found.passed) == (3.0, False)
    assert verdicts(dr_run(), base=base)["dr.network"].passed


def test_a_load_flow_that_diverged_leaves_the_network_open():
    run = dr_run()
    run.scalars["converged"][at(14)] = 0.0
    found = verdicts(run)["dr.network"]
    assert found.value is None
    assert found.passed is False
    assert "did not converge in 1 minutes" in found.reason


def test_a_call_that_breaks_comfort_does_not_count_but_stands_as_gross():
    call = dr_run(80.0)
    call.temperature[at(13, 30) : at(15), :3] = 29.0
    found = verdicts(dr_run(), capability=call)
    assert found["dr.capability"].value is None
    assert found["dr.capability"].passed is False
    assert "dr.comfort: 50" in found["dr.capability"].reason
    assert found["dr.capability_gross"].value == pytest.approx(8.0)


def test_a_call_too_small_fails_and_is_held_on_for_60_and_120_minutes():
    call = dr_run(40.0)
    call.demand_mw[at(15) : at(15, 15), 0] -= 30.0
    found = verdicts(dr_run(), capability=call)
    assert found["dr.capability"].value == pytest.approx(4.0)
    assert found["dr.capability"].passed is False
    assert found["dr.capability_60"].value == pytest.approx(4.0)
    assert found["dr.capability_120"].value == pytest.approx(3.0)


def test_without_a_call_there_is_no_capability():
    found = verdicts(dr_run())["dr.capability"]
    assert (found.value, found.passed, found.reason) == (None, False, "no capability call was run")


def test_a_cap_is_judged_on_the_load():
    order = dr_order(form=OrderForm.CAP, mw=900.0)
    run = dr_run(110.0)
    found = verdicts(run, order)
    assert found["dr.delivered"].value == pytest.approx(100.0 * 890 / 900)
    assert found["dr.delivered"].comparison == "<="
    assert found["dr.delivered"].passed
    assert found["dr.overdelivered"].value == pytest.approx(100.0 * 10 / 900)
    assert found["dr.overdelivered"].passed
    assert found["dr.tracking"].value == pytest.approx(10.0)
    over = verdicts(dr_run(99.0), order)
    assert not over["dr.delivered"].passed
    assert not verdicts(dr_run(130.0), order)["dr.overdelivered"].passed


def test_a_cap_above_the_load_asks_nothing():
    found = verdicts(Record(), dr_order(form=OrderForm.CAP, mw=1100.0))
    assert found["dr.delivered"].passed
    assert found["dr.overdelivered"].value == 0.0
    assert found["dr.response_time"].reason.startswith("nothing was asked")


def test_windows_end_with_the_run():
    run, base = dr_run(), Record()
    early = evidence(dr_order(), run, base, end_ms=ms(14))
    found = by_id(judge_demand_response(early).verdicts)
    assert found["dr.delivered"].window_min == 45.0
    assert found["dr.delivered"].passed
    assert found["dr.rebound"].reason == "the run ends with the order"
    assert found["dr.rebound"].passed is False
    over = by_id(judge_demand_response(evidence(dr_order(), run, base, end_ms=ms(13))).verdicts)
    assert all(
        v.passed is not True for k, v in over.items() if k in ("dr.delivered", "dr.tracking")
    )
    json.dumps([v.to_dict() for v in over.values()], allow_nan=False)


def test_a_window_without_a_whole_quarter_is_not_judged():
    order = dr_order(full_by_ms=ms(13, 20), end_ms=ms(13, 40))
    found = verdicts(dr_run(), order)["dr.delivered"]
    assert found.value is None
    assert found.passed is False
    assert "no whole quarter" in found.reason


def test_gaps_in_the_load_fail():
    run = dr_run()
    run.extra_load_mw[at(17)] = np.nan
    found = verdicts(run)["dr.new_peak"]
    assert (found.value, found.passed) == (None, False)


def test_runs_must_begin_together():
    run = evidence(dr_order(), dr_run())
    run.counterfactual.start_ms += MINUTE_MS
    with pytest.raises(ValueError, match="runs begin at"):
        judge_demand_response(run)


def test_a_city_without_buildings_or_chargers_harms_nobody():
    given = evidence(dr_order(), dr_run())
    kinds = {k: v for k, v in given.inventory.kinds.items() if k in ("storage", "terminal")}
    bare = dataclasses.replace(given, inventory=dataclasses.replace(given.inventory, kinds=kinds))
    found = by_id(judge_demand_response(bare).verdicts)
    for id_ in ("dr.comfort", "dr.comfort_drift", "dr.mobility", "dr.mobility_short"):
        assert (found[id_].value, found[id_].passed) == (0.0, True)
    assert "takes part" in found["dr.comfort"].reason
    assert bare.end_ms == DAY_MS


def test_buildings_without_a_record_are_false_not_silent():
    given = evidence(dr_order(), dr_run())
    given.run.tables = {k: v for k, v in given.run.tables.items() if not k.startswith("aircon")}
    found = by_id(judge_demand_response(given).verdicts)
    for id_ in ("dr.comfort", "dr.comfort_drift"):
        assert found[id_].passed is False
        assert found[id_].reason == "no record of indoor temperatures"


def test_drift_needs_an_hour():
    found = by_id(
        judge_demand_response(evidence(dr_order(), dr_run(), end_ms=ms(13, 45))).verdicts
    )["dr.comfort_drift"]
    assert found.passed is False
    assert "no whole hour" in found.reason


def test_gaps_leave_network_and_cap_open():
    run = dr_run()
    run.scalars["violations_bus"][at(14)] = np.nan
    run.extra_load_mw[at(14)] = np.nan
    found = verdicts(run, dr_order(form=OrderForm.CAP, mw=900.0))
    for id_ in ("dr.network", "dr.delivered", "dr.overdelivered"):
        assert found[id_].value is None
        assert found[id_].passed is False
        assert "gaps" in found[id_].reason


def test_sessions_without_energies_are_false():
    run = dr_run()
    run.session(14, 0, 7, np.nan, 5.0)
    found = verdicts(run)["dr.mobility"]
    assert (found.value, found.passed) == (None, False)
