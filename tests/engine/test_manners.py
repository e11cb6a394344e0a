"""Each manner does what it says, to the second, for as long as it lasts.

::

    begin ───── manner in force ───── end        writes: ▼      fall back: ◄
      ●───▼─────────────◄───▼──────────●
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.engine.manner_runs import (
    ALL_OK,
    ALL_REFUSED,
    at,
    forced,
    manner,
    put,
    remote,
    shown,
)
from tests.engine.wire_runs import SECOND_MS, wire_run
from twin.assets.manners import Manner
from twin.assets.remote import REVERT_MS
from twin.engine.timeline import MannerChange
from twin.record.exchange import Outcome, Refusal
from twin.scenario.build import Built
from twin.scenario.schema import Scenario
from twin.scenario.timetable import timeline_of

# -- local mode ----------------------------------------------------------------------------------


def test_local_mode_refuses_everything_and_the_owner_is_back() -> None:
    run = wire_run(manner("storage", Manner(local=True), 30, 90))
    assert put(run, "storage", "power_kw", 10.0) == ALL_OK
    assert remote(run, "storage") == [1.0] * 6
    run.run(at(31))
    assert remote(run, "storage") == [0.0] * 6
    assert (run.kinds["storage"].refusal() == Refusal.LOCAL).all()
    for point, value in (("power_kw", 0.0), ("heartbeat", 1.0), ("release", 1.0)):
        assert put(run, "storage", point, value) == ALL_REFUSED
    run.run(at(91))
    assert (run.kinds["storage"].refusal() == Refusal.NONE).all()
    assert put(run, "storage", "power_kw", 10.0) == ALL_OK


def test_a_terminal_in_local_mode_keeps_its_circuits() -> None:
    run = wire_run(manner("terminal", Manner(local=True), 30))
    n = run.kinds["terminal"].n
    assert put(run, "terminal", "circuit_1", 0.0) == [0] * n
    run.run(at(31))
    assert put(run, "terminal", "circuit_1", 1.0) == [int(Outcome.REFUSED)] * n
    assert (forced(run, "terminal", "circuit_1") == 0.0).all()


# -- timers ------------------------------------------------------------------------------------


def test_a_heartbeat_that_stops_ends_the_command_to_the_second() -> None:
    run = wire_run(manner("storage", Manner(heartbeat_s=27), rows=(0, 1, 2)))
    run.run(at(5))
    put(run, "storage", "power_kw", 20.0)
    run.run(at(25))
    assert put(run, "storage", "heartbeat", 7.0, [1]) == [0]
    assert forced(run, "storage", "heartbeat").tolist() == [0.0, 7.0, 0.0, 0.0, 0.0, 0.0]
    run.run(at(31))
    assert remote(run, "storage") == [1.0] * 6
    run.run(at(33))
    assert remote(run, "storage") == [0.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    assert forced(run, "storage", "power_kw").tolist() == [0.0, 20.0, 0.0, 20.0, 20.0, 20.0]
    run.run(at(53))
    assert remote(run, "storage") == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_heartbeats_alone_command_nothing_and_wear_nothing_out() -> None:
    run = wire_run(manner("charging", Manner(heartbeat_s=10)))
    for second in range(1, 60, 3):
        run.run(at(second))
        put(run, "charging", "heartbeat", float(second))
    assert not any(remote(run, "charging"))
    assert (run.kinds["charging"].state["writes"] == 0).all()


def test_a_watchdog_counts_from_its_beginning() -> None:
    run = wire_run(manner("storage", Manner(heartbeat_s=20), 60, 70))
    put(run, "storage", "power_kw", 5.0)
    run.run(at(69))
    assert remote(run, "storage") == [1.0] * 6  # silent for a minute, watched for 9 s
    run.run(at(200))
    assert remote(run, "storage") == [1.0] * 6  # nobody watches any more


@pytest.mark.parametrize("by", ["manner", "set-point"])
def test_a_command_holds_for_the_devices_own_time(by: str) -> None:
    run = wire_run(manner("storage", Manner(revert_s=30), rows=(0, 1)) if by == "manner" else ())
    if by == "set-point":
        assert put(run, "storage", "revert_s", 29.2, [0, 1]) == [0, 0]  # rounded up
    put(run, "storage", "power_kw", 5.0)
    run.run(at(29))
    put(run, "storage", "power_kw", 6.0, [1])
    run.run(at(31))
    assert remote(run, "storage") == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert forced(run, "storage", "revert_s").tolist() == [30.0, 30.0] + [3600.0] * 4
    run.run(at(60))
    assert remote(run, "storage") == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def test_a_revert_time_ends_with_its_manner() -> None:
    run = wire_run(manner("aircon", Manner(revert_s=30), 60, 75))
    put(run, "aircon", "limit_kw", 5.0)
    run.run(at(76))
    assert (run.kinds["aircon"].state["revert_ms"] == REVERT_MS).all()
    until_ms = run.kinds["aircon"].state["remote_until_ms"]
    assert (until_ms == at(75) + REVERT_MS).all()  # a new time, counted from its beginning
    run.run(at(121))
    assert all(remote(run, "aircon"))


def test_what_was_stopped_may_not_start_again_at_once() -> None:
    run = wire_run(manner("charging", Manner(min_off_s=45), rows=(0,)))
    put(run, "charging", "limit_kw", 0.0, [0, 1])
    run.run(at(44))
    assert run.kinds["charging"].refusal()[:2].tolist() == [Refusal.BUSY, Refusal.NONE]
    busy = int(Outcome.REFUSED)
    assert put(run, "charging", "limit_kw", 9.0, [0, 1]) == [busy, 0]
    assert put(run, "charging", "release", 1.0, [0, 1]) == [busy, 0]
    run.run(at(45))
    assert put(run, "charging", "limit_kw", 9.0, [0, 1]) == [0, 0]
    assert put(run, "charging", "limit_kw", 0.0, [0]) == [0]
    assert run.kinds["charging"].refusal()[0] == Refusal.BUSY


@pytest.mark.parametrize(
    ("kind", "point", "stop"),
    [("storage", "power_kw", 0), ("solar", "limit_kw", 0), ("industry", "pause", 1)],
)
def test_what_stops_a_kind(kind: str, point: str, stop: int) -> None:
    run = wire_run(manner(kind, Manner(min_off_s=600)))
    run.kinds[kind].state["supplied"] = 1.0
    if kind == "industry":
        run.kinds[kind].state["stock_s"] = 1e6
    assert put(run, kind, point, 1.0 - stop, [0]) == [0]
    assert run.kinds[kind].refusal()[0] == Refusal.NONE
    assert put(run, kind, point, float(stop), [0]) == [0]
    assert run.kinds[kind].refusal()[0] == Refusal.BUSY


def test_a_timer_waits_until_a_start_is_allowed() -> None:
    """No way back to the owner starts what may not be started; the watchdog rests meanwhile."""
    both = Manner(min_off_s=60, heartbeat_s=20, revert_s=30)
    run = wire_run(manner("charging", both, rows=(0,)))
    put(run, "charging", "limit_kw", 0.0, [0])
    run.run(at(60))
    assert remote(run, "charging")[0] == 1.0
    run.run(at(61))
    assert remote(run, "charging")[0] == 0.0  # the command's time was over long ago
    run = wire_run(manner("charging", replace(both, revert_s=None), rows=(0,)))
    put(run, "charging", "limit_kw", 0.0, [0])
    run.run(at(80))
    assert remote(run, "charging")[0] == 1.0
    run.run(at(81))
    assert remote(run, "charging")[0] == 0.0


# -- writes that do nothing --------------------------------------------------------------------


def test_ignored_writes_change_nothing_but_their_count() -> None:
    run = wire_run(manner("storage", Manner(ignore_writes=True), rows=(2, 3)))
    assert put(run, "storage", "power_kw", 8.0) == [0, 0, 2, 2, 0, 0]
    assert put(run, "storage", "power_kw", 1e9) == ALL_REFUSED
    assert put(run, "storage", "heartbeat", 3.0) == [0, 0, 2, 2, 0, 0]
    assert remote(run, "storage") == [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]
    assert forced(run, "storage", "heartbeat").tolist() == [3.0, 3.0, 0.0, 0.0, 3.0, 3.0]
    assert run.kinds["storage"].state["writes"].tolist() == [1] * 6


def test_a_memory_wears_out() -> None:
    run = wire_run(manner("storage", Manner(wear_limit=2), rows=(0, 1)))
    said = [put(run, "storage", "power_kw", float(k)) for k in (1, 2, 3)]
    assert said == [ALL_OK, ALL_OK, [2, 2, 0, 0, 0, 0]]
    assert put(run, "storage", "heartbeat", 1.0) == ALL_OK
    assert forced(run, "storage", "power_kw").tolist() == [2.0, 2.0, 3.0, 3.0, 3.0, 3.0]
    assert run.kinds["storage"].state["writes"].tolist() == [3] * 6


# -- what is shown -----------------------------------------------------------------------------


def test_a_read_back_comes_late() -> None:
    run = wire_run(manner("storage", Manner(readback_lag_s=10), rows=(0,)), tick_s=1)
    run.run(at(30))
    before = shown(run, "storage", "setpoint_kw")[0]
    for second, value in ((30, 11.0), (34, 22.0)):
        run.run(at(second))
        put(run, "storage", "power_kw", value)
        assert forced(run, "storage", "power_kw")[1] == value
    for second in range(34, 50):
        run.run(at(second))
        late = (0.0, 11.0, 22.0)[(second >= 40) + (second >= 44)]
        assert forced(run, "storage", "power_kw")[0] == late
        assert shown(run, "storage", "setpoint_kw")[0] == (before if late == 0.0 else late)
        assert shown(run, "storage", "remote")[0] == (late > 0.0)
        assert shown(run, "storage", "remote")[1] == 1.0
    assert run.kinds["storage"].state["power_set_kw"][0] == 22.0  # it obeyed all the time


def test_a_lag_that_ends_shows_the_present() -> None:
    run = wire_run(manner("aircon", Manner(readback_lag_s=300), 0, 60))
    put(run, "aircon", "limit_kw", 5.0)
    run.run(at(59))
    assert (forced(run, "aircon", "limit_kw") > 5.0).all()
    run.run(at(61))
    assert (forced(run, "aircon", "limit_kw") == 5.0).all()


def test_a_frozen_sensor_stands_where_it_was_when_it_began(tiny: Built) -> None:
    run = wire_run(manner("storage", Manner(frozen=True, point="soc"), 600, 1200, rows=(1,)))
    run.run(at(600))
    stood = run.channels["storage"].show(run.true_points("storage"), run.now_ms)[1, 1]
    put(run, "storage", "power_kw", 200.0)
    run.run(at(1199))
    seen = run.channels["storage"].show(run.true_points("storage"), run.now_ms)
    assert seen[1, 1] == stood != pytest.approx(run.true_points("storage")[1, 1], abs=0.02)
    assert seen[0, 1] > 100.0  # its other sensors are well
    run.run(at(1201))
    seen = run.channels["storage"].show(run.true_points("storage"), run.now_ms)
    assert seen[1, 1] == pytest.approx(run.true_points("storage")[1, 1], abs=0.021)


def test_without_a_point_the_first_sensor_freezes() -> None:
    run = wire_run(manner("meter", Manner(frozen=True), share=1.0))
    here = run.channels["meter"]
    begun = run.true_points("meter")
    run.run(at(300))
    assert not np.array_equal(run.true_points("meter"), begun)
    seen = here.show(run.true_points("meter"), run.now_ms)
    np.testing.assert_allclose(np.abs(seen), np.abs(begun), rtol=0.01, atol=2.0)


def test_a_sensor_wanders_from_its_beginning_on() -> None:
    drift = manner("aircon", Manner(drift_per_h=6.0, point="zone_temperature_c"), 600, rows=(4,))
    run = wire_run(drift)
    plain = wire_run()
    for second, off in ((600, 0.0), (1200, 1.0), (2400, 3.0)):
        for each in (run, plain):
            each.run(at(second))
            each.run(at(second) + SECOND_MS)
        now_ms = at(second)
        seen, well = (
            r.channels["aircon"].show(r.true_points("aircon"), now_ms) for r in (run, plain)
        )
        assert (seen - well)[1, 4] == pytest.approx(off, abs=0.051)
        np.testing.assert_array_equal(np.delete(seen, 4, axis=1), np.delete(well, 4, axis=1))


# -- whom it concerns --------------------------------------------------------------------------


def test_shares_are_keyed_and_maps_known_to_a_wire_only() -> None:
    change = MannerChange(3, "charging", Manner(local=True), share=0.3)
    rows = change.rows_of(5_000, 1, None)
    assert len(rows) == pytest.approx(1_500, abs=150)
    assert rows.tolist() == replace(change, ended=True).rows_of(5_000, 1, None).tolist()
    assert rows[rows < 900].tolist() == change.rows_of(900, 1, None).tolist()
    for other in (replace(change, number=4), replace(change, kind="swap")):
        assert other.rows_of(5_000, 1, None).tolist() != rows.tolist()
    mapped = replace(change, share=1.0, map="b")
    assert mapped.rows_of(4, 1, np.array(["a", "b", "b", "a"])).tolist() == [1, 2]
    assert mapped.rows_of(4, 1, None).tolist() == []
    assert replace(mapped, rows=(0, 2)).rows_of(3, 1, np.array(["b", "a", "b"])).tolist() == [0, 2]


def test_of_two_manners_the_later_one_counts_and_the_earlier_comes_back() -> None:
    first = manner("storage", Manner(revert_s=100, local=True), 0, number=0)
    second = manner("storage", Manner(revert_s=50), 10, 20, number=1, rows=(0,))
    run = wire_run(first + second)
    for second_s, expected in ((5, [100, 100]), (15, [50, 100]), (25, [100, 100])):
        run.run(at(second_s))
        run.run(at(second_s + 1))
        assert forced(run, "storage", "revert_s")[:2].tolist() == expected
        assert (run.kinds["storage"].refusal() == Refusal.LOCAL).all()


def test_the_scenario_says_it_all() -> None:
    rows = [
        {"kind": "storage", "delay_ms": 50.0},
        {"kind": "storage", "share": 0.5, "heartbeat_s": 27, "at": "01:00", "until": "02:00"},
        {"kind": "solar", "rows": [1], "drift_per_h": 1.0, "point": "power_kw", "map": "x"},
    ]
    scenario = Scenario.model_validate({"name": "x", "start": "00:30", "manners": rows})
    solar, begin, end = timeline_of(scenario)
    assert begin.what == MannerChange(1, "storage", Manner(heartbeat_s=27), share=0.5)
    assert (begin.now_ms, end.now_ms, solar.now_ms) == (3_600_000, 7_200_000, 1_800_000)
    assert end.what == replace(begin.what, ended=True)  # type: ignore[type-var]
    drift = Manner(drift_per_h=1.0, point="power_kw")
    assert solar.what == MannerChange(2, "solar", drift, rows=(1,), map="x")
