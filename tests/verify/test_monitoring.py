from dataclasses import replace

import numpy as np
import pytest

from tests.verify.world import Record, by_id, inventory, ms
from twin.clock import MINUTE_MS
from twin.record.alarms import AlarmWatch, conditions, poll_period_ms
from twin.record.exchange import Alarm, AlarmQuality, FleetReport
from twin.record.monitor import (
    DEVICE_KINDS,
    POWER_BIN,
    POWER_BINS,
    MonitorTally,
    listed_kinds,
    percentile,
)
from twin.verify.monitoring import IDS, judge_monitoring, match_alarms

SIZES = {"storage": 10, "aircon": 4, "charging": 3, "terminal": 4}


def truth(power=50.0):
    return {k: np.full(n, power) for k, n in SIZES.items()}


def report(tally, now_ms, error=0.0, only=SIZES, soc=0.5, energy=10.0, late_ms=0):
    for kind in only:
        n = SIZES[kind]
        held = kind == "storage"
        tally.believe(
            now_ms,
            FleetReport(
                kind,
                np.full(n, 50.0 + error),
                np.full(n, soc) if held else None,
                np.full(n, energy) if held else None,
                np.full(n, now_ms - late_ms, np.int64),
            ),
        )


def tallied(minutes=100, **how):
    tally = MonitorTally(inventory())
    for minute in range(minutes):
        report(tally, minute * MINUTE_MS, **how)
        tally.add(minute * MINUTE_MS, truth(), {"storage": np.full(10, 0.5)},
                  {"storage": np.full(10, 10.0)})  # fmt: skip
    return tally


def verdicts(tally=None, alarms=(), true=()):
    history = Record(240).history()
    history.monitor = tally
    history.alarms, history.true_alarms = list(alarms), list(true)
    return by_id(judge_monitoring(history).verdicts)


def test_a_perfect_report_passes_everything():
    found = verdicts(tallied())
    assert tuple(found) == IDS
    assert all(v.passed for v in found.values() if v.comparison != "figure")
    assert found["monitor.power_error"].value <= 0.01 + 1e-9
    assert found["monitor.coverage"].value == 100.0


def test_power_error_is_the_95th_percentile_of_rating():
    assert verdicts(tallied(error=0.9))["monitor.power_error"].passed
    found = verdicts(tallied(error=1.2))["monitor.power_error"]
    assert found.value == pytest.approx(1.2, abs=0.02)
    assert not found.passed
    assert found.reason.startswith("100.0 % of device-minutes are beyond 1 %, of them storage 48 %")


def test_what_was_never_reported_is_missing():
    found = verdicts(tallied(only=("storage", "aircon", "charging")))  # 4 of 21 are missing
    assert found["monitor.power_error"].value is None
    assert found["monitor.power_error"].passed is False
    assert found["monitor.coverage"].value == pytest.approx(100.0 * 17 / 21)
    assert not found["monitor.coverage"].passed
    assert found["monitor.freshness"].passed  # of what is reported


def test_a_logic_that_reports_nothing_fails():
    found = verdicts(tallied(only=()))
    for id_ in IDS[:5]:
        assert found[id_].passed is False, id_
    assert found["monitor.energy_error"].value == pytest.approx(100.0)
    assert found["monitor.coverage"].value == 0.0


def test_soc_and_energy():
    found = verdicts(tallied(soc=0.44, energy=10.2))
    assert found["monitor.soc_error"].value == pytest.approx(0.06, abs=0.002)
    assert not found["monitor.soc_error"].passed
    assert found["monitor.energy_error"].value == pytest.approx(2.0)
    assert not found["monitor.energy_error"].passed
    assert verdicts(tallied(soc=0.53, energy=10.05))["monitor.soc_error"].passed


def test_freshness_counts_poll_periods_of_the_kind():
    assert poll_period_ms("storage") == MINUTE_MS
    assert poll_period_ms("terminal") == 5 * MINUTE_MS
    found = verdicts(tallied(late_ms=3 * MINUTE_MS))["monitor.freshness"]
    assert found.value == pytest.approx(3.0, abs=0.06)
    assert not found.passed
    assert verdicts(tallied(late_ms=MINUTE_MS))["monitor.freshness"].passed


def test_an_old_report_does_not_cover():
    tally = MonitorTally(inventory())
    report(tally, 0)
    for minute in range(32):
        tally.add(minute * MINUTE_MS, truth(), {"storage": np.full(10, 0.5)},
                  {"storage": np.zeros(10)})  # fmt: skip
    assert tally.covered.sum() / tally.registered.sum() == pytest.approx(0.5)


def test_a_report_without_time_is_of_now():
    tally = MonitorTally(inventory())
    tally.believe(ms(1), FleetReport("aircon", np.full(4, 50.0)))
    tally.add(ms(1), truth(), {"storage": np.zeros(10)}, {"storage": np.zeros(10)})
    assert tally.age[tally.kinds.index("aircon"), 0] == 4


def test_a_report_on_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="not registered"):
        MonitorTally(inventory()).believe(0, FleetReport("kettle", np.zeros(1)))


def test_a_fork_of_a_tally_goes_its_own_way():
    tally = tallied(10)
    twin = tally.copy()
    report(twin, 0, error=9.0)
    twin.add(0, truth(), {"storage": np.full(10, 0.5)}, {"storage": np.full(10, 10.0)})
    assert twin.registered.sum() == tally.registered.sum() + 21
    assert twin.power.sum() == tally.power.sum() + 21
    tally.add(0, truth(), {"storage": np.full(10, 0.5)}, {"storage": np.full(10, 10.0)})
    assert tally.power[:, :2].sum() == tally.power.sum()  # untouched by the fork's belief


def test_percentile_of_bins():
    counts = np.zeros(POWER_BINS + 1, np.int64)
    assert percentile(counts, POWER_BIN, 0.95) is None
    counts[[10, 20]] = [95, 5]
    assert percentile(counts, POWER_BIN, 0.95) == pytest.approx(11e-4)
    assert percentile(counts, POWER_BIN, 0.96) == pytest.approx(21e-4)
    counts[-1] = 50
    assert percentile(counts, POWER_BIN, 0.95) == np.inf


def test_columns_by_kind():
    assert listed_kinds(inventory(), 10) == DEVICE_KINDS
    assert listed_kinds(inventory(), 4) == ("storage", "aircon", "charging", "terminal")
    with pytest.raises(ValueError, match="7 columns"):
        listed_kinds(inventory(), 7)


# -- alarms ----------------------------------------------------------------------------------


def alarm(start_min, end_min=None, row=0, condition="offline"):
    end = None if end_min is None else end_min * MINUTE_MS
    return Alarm("storage", row, condition, start_min * MINUTE_MS, end)


END = 1440 * MINUTE_MS


@pytest.mark.parametrize(
    ("believed", "expected"),
    [
        ([alarm(103)], (1, 1, 1, 0)),  # 3 min late
        ([alarm(95)], (1, 1, 1, 0)),  # seen a little early
        ([alarm(111)], (1, 0, 1, 0)),  # true, but found too late
        ([alarm(50, 60)], (1, 0, 1, 1)),  # nothing stood there
        ([alarm(0)], (1, 1, 1, 1)),  # always on: finds, and is false
        ([alarm(103, row=1)], (1, 0, 1, 1)),
        ([alarm(103, condition="stale")], (1, 0, 1, 1)),
        ([], (1, 0, 0, 0)),
        ([alarm(103), alarm(103, 120)], (1, 1, 1, 0)),  # raised, then ended: one alarm
    ],
)
def test_matching(believed, expected):
    assert match_alarms(believed, [alarm(100), alarm(100, 200)], END) == expected


def test_alarm_verdicts():
    true = [alarm(i, i + 20, row=i) for i in range(100)]
    good = verdicts(alarms=[alarm(i + 1, i + 21, row=i) for i in range(96)], true=true)
    assert (good["monitor.alarms"].value, good["monitor.alarms"].passed) == (96.0, True)
    assert good["monitor.false_alarms"].passed
    bad = verdicts(alarms=[alarm(i + 1, row=i + 10) for i in range(97)], true=true)
    assert bad["monitor.alarms"].value == 90.0
    assert bad["monitor.false_alarms"].value == pytest.approx(100.0 * 7 / 97)
    assert bad["monitor.false_alarms"].reason == "7 of 97; 0 were raised as doubtful"
    doubted = [replace(alarm(5), quality=AlarmQuality.DOUBTFUL), alarm(7)]
    assert "; 1 were raised" in verdicts(alarms=doubted)["monitor.false_alarms"].reason
    assert not bad["monitor.alarms"].passed
    assert not bad["monitor.false_alarms"].passed


def test_no_tally_is_false():
    found = verdicts()
    assert all(found[k].passed is False for k in IDS[:5])
    assert "no true alarm" in found["monitor.alarms"].reason


def storage_state(**changes):
    state = {
        "contact": np.ones(10), "soc": np.full(10, 0.5), "temperature_c": np.full(10, 25.0),
        "status": np.full(10, 2.0), "power_kw": np.full(10, 40.0),
        "setpoint_kw": np.full(10, 40.0), "remote": np.ones(10),
    }  # fmt: skip
    for name, value in changes.items():
        state[name] = state[name].copy()
        state[name][3] = value
    return {"storage": state}


def watch(*minutes):
    """Return what a watch says of row 3 when shown these states, one a minute."""
    looking = AlarmWatch(inventory())
    rows = []
    for i, state in enumerate(minutes):
        for found in looking.look(i * MINUTE_MS, state):
            end_ms = found.end_ms
            end = None if end_ms is None else end_ms // MINUTE_MS
            rows.append((found.condition, found.start_ms // MINUTE_MS, end))
            assert found.row == 3
    return rows


QUIET = storage_state()


def test_eight_conditions_with_origin():
    assert [c.name for c in conditions()] == [
        "soc_limits", "temperature_high", "soc_jump", "stale", "offline", "not_followed",
        "reverse_power", "fault",
    ]  # fmt: skip
    assert all(c.source and c.grade and c.title_zh for c in conditions())


def test_nothing_wrong_no_alarm():
    assert watch(*[QUIET] * 30) == []


def test_temperature_with_delay_and_hysteresis():
    hot, warm = storage_state(temperature_c=45.5), storage_state(temperature_c=44.0)
    assert watch(QUIET, hot, QUIET) == []  # too short
    assert watch(hot, hot, warm, warm, QUIET, QUIET) == [
        ("temperature_high", 1, None),
        ("temperature_high", 1, 4),
    ]
    assert watch(warm, warm, warm) == []


def test_soc_limits_both_ways():
    assert watch(*[storage_state(soc=0.01)] * 3) == [("soc_limits", 1, None)]
    assert watch(*[storage_state(soc=0.99)] * 3) == [("soc_limits", 1, None)]


def test_soc_jump_lasts_one_minute():
    after = storage_state(soc=0.6)
    assert watch(QUIET, after, after) == [("soc_jump", 1, None), ("soc_jump", 1, 2)]


def test_silence_is_stale_then_offline_then_back():
    silent = storage_state(contact=0.0)
    assert watch(*[silent] * 8, QUIET) == [
        ("stale", 3, None),
        ("stale", 3, 6),
        ("offline", 6, None),
        ("offline", 6, 8),
    ]


def test_command_not_followed_only_under_remote_control():
    off = storage_state(power_kw=0.0)
    assert watch(*[off] * 3, QUIET) == []
    assert watch(*[off] * 5) == [("not_followed", 3, None)]
    assert watch(*[storage_state(power_kw=0.0, remote=0.0)] * 5) == []


def test_fault():
    assert watch(storage_state(status=3.0)) == [("fault", 0, None)]


def test_reverse_power_beyond_the_agreed_export():
    given = inventory()
    given.kinds["meter"] = type(given.kinds["storage"])("meter", (), (), given.sites)
    looking = AlarmWatch(given)
    demand = np.full(6, 1.0)
    demand[2] = -0.03 * 240e3
    found = [looking.look(i * MINUTE_MS, {"meter": {"demand_kw": demand}}) for i in range(4)]
    assert [[(a.kind, a.row, a.condition) for a in f] for f in found] == [
        [], [], [("meter", 2, "reverse_power")], [],
    ]  # fmt: skip


def test_a_fork_of_a_watch_goes_its_own_way():
    looking = AlarmWatch(inventory())
    hot = storage_state(temperature_c=50.0)
    looking.look(0, hot)
    twin = looking.copy()
    assert len(twin.look(MINUTE_MS, hot)) == 1
    assert looking.look(MINUTE_MS, QUIET) == []
    assert twin.look(2 * MINUTE_MS, QUIET)[0].end_ms == 2 * MINUTE_MS
