"""States, energies over midnight, and the tables that an operator's page is made of."""

from __future__ import annotations

import numpy as np
import pytest
from fakecity import FakeCity, make_calendar, make_inventory

from twin.clock import DAY_MS, HOUR_MS, MINUTE_MS
from twin.control.platform import Platform
from twin.control.supervision.alarms import STANDS_MS, alarm_table
from twin.control.supervision.fleet import Supervision
from twin.control.supervision.fleet_state import OWNERS, EnergyBook, FleetState
from twin.record.exchange import Alarm, AlarmQuality, Reading
from twin.record.fleet_states import DeviceState, device_state
from twin.record.onboarding import Onboarding

INVENTORY = make_inventory()
NOON = 12 * HOUR_MS
STORAGE = [p.name for p in INVENTORY.kinds["storage"].points]


def storage_reading(now_ms: int, **points: float) -> Reading:
    n = INVENTORY.kinds["storage"].n
    value = np.zeros((len(STORAGE), n))
    for name, given in {"soc": 0.5, "temperature_c": 25.0, **points}.items():
        value[STORAGE.index(name)] = given
    return Reading(value, np.full(n, now_ms, np.int64), np.zeros(n, np.uint8))


@pytest.mark.parametrize(
    ("kind", "points", "expected"),
    [
        ("storage", {"power_kw": 0.0, "status": 3.0}, DeviceState.FAULT),
        ("storage", {"power_kw": -9.0, "status": 1.0}, DeviceState.CHARGING),
        ("storage", {"power_kw": 9.0, "status": 2.0}, DeviceState.DISCHARGING),
        ("storage", {"power_kw": -1.0, "status": 0.0}, DeviceState.STANDBY),
        ("storage", {"power_kw": np.nan, "status": np.nan}, DeviceState.STANDBY),
        ("charging", {"power_kw": -50.0}, DeviceState.CHARGING),
        ("charging", {"power_kw": 50.0}, DeviceState.DISCHARGING),
        ("swap", {"power_kw": -1.0}, DeviceState.STANDBY),
        ("solar", {"power_kw": 50.0}, DeviceState.RUNNING),
        ("solar", {"power_kw": 0.0}, DeviceState.STANDBY),
        ("industry", {"power_kw": -5.0, "state": 3.0}, DeviceState.STANDBY),
        ("industry", {"power_kw": -80.0, "state": 2.0}, DeviceState.RUNNING),
        ("icestore", {"power_kw": -80.0, "melt_kw": 0.0, "chiller_kw": 90.0,
                      "cooling_load_kw": 30.0}, DeviceState.CHARGING),
        ("icestore", {"power_kw": -10.0, "melt_kw": 60.0, "chiller_kw": 30.0,
                      "cooling_load_kw": 90.0}, DeviceState.DISCHARGING),
        ("icestore", {"power_kw": -20.0, "melt_kw": 0.0, "chiller_kw": 90.0,
                      "cooling_load_kw": 90.0}, DeviceState.RUNNING),
        ("hydrogen", {"power_kw": 30.0, "fuelcell_power_kw": 30.0}, DeviceState.DISCHARGING),
        ("hydrogen", {"power_kw": -30.0, "fuelcell_power_kw": 0.0}, DeviceState.RUNNING),
    ],
)  # fmt: skip
def test_state_of_a_device(kind: str, points: dict[str, float], expected: DeviceState) -> None:
    arrays = {name: np.array([value]) for name, value in points.items()}
    rated = np.array([100.0])
    assert device_state(kind, arrays, rated, np.zeros(1))[0] == expected
    assert device_state(kind, arrays, rated, np.full(1, 6.5))[0] == DeviceState.OFFLINE


def test_counters_of_the_day_survive_midnight() -> None:
    fleet = Supervision(INVENTORY)
    book = EnergyBook(fleet.watch["storage"])
    shown = [
        (DAY_MS - 2 * MINUTE_MS, 100.0, 40.0),
        (DAY_MS, 104.0, 41.0),  # at midnight sharp the day that ends is still shown
        (DAY_MS + MINUTE_MS, 0.0, 0.0),
        (DAY_MS + 2 * MINUTE_MS, 3.0, 0.0),
        (DAY_MS + 3 * MINUTE_MS, 1.0, 0.0),  # restarted: a counter that falls
        (3 * DAY_MS + HOUR_MS, 5.0, 0.0),  # silent over two midnights: higher and yet anew
    ]
    for now_ms, charged, discharged in shown:
        given = storage_reading(now_ms, charged_today_kwh=charged, discharged_today_kwh=discharged)
        fleet.take(now_ms, {"storage": given})
        book.count()
    assert np.allclose(book.memory["in_today_kwh"], 5.0)
    assert np.allclose(book.to_date_kwh("in"), 104.0 + 3.0 + 1.0 + 5.0)
    assert np.allclose(book.to_date_kwh("out"), 41.0)


def test_power_is_summed_up_where_no_counter_is() -> None:
    fleet, n = Supervision(INVENTORY), INVENTORY.kinds["solar"].n
    book = EnergyBook(fleet.watch["solar"])
    names = [p.name for p in INVENTORY.kinds["solar"].points]
    for minute, power_kw in ((0, 0.0), (5, 120.0), (10, 120.0), (200, 120.0), (205, 0.0)):
        value = np.zeros((len(names), n))
        value[names.index("power_kw")] = power_kw
        now_ms = DAY_MS - 7 * MINUTE_MS + minute * MINUTE_MS
        stamp, good = np.full(n, now_ms, np.int64), np.zeros(n, np.uint8)
        fleet.take(now_ms, {"solar": Reading(value, stamp, good)})
        book.count()
    # 5 kWh before midnight, 10 over it; nothing over the gap of three hours, then 5.
    assert np.allclose(book.memory["out_today_kwh"], 15.0)
    assert np.allclose(book.to_date_kwh("out"), 20.0)
    assert (book.to_date_kwh("in") == 0.0).all()


def test_table_of_the_fleet_counts_everybody_once() -> None:
    city, fleet = FakeCity(INVENTORY, NOON), Supervision(INVENTORY)
    shown = FleetState(INVENTORY, fleet)
    readings = city.readings(INVENTORY.kinds)
    fleet.take(city.now_ms, readings)
    now_ms = NOON + 15 * MINUTE_MS
    tables = shown.look(now_ms, readings, lambda kind: fleet.watch[kind].get("power_kw"))
    table = tables["fleet_state"]
    states = [s.name.lower() for s in DeviceState]
    for kind, known in INVENTORY.kinds.items():
        rows = table["kind"] == kind
        if kind not in shown.watch:
            assert not rows.any(), kind
            continue
        assert table["devices"][rows].sum() == known.n
        assert sum(table[s][rows].sum() for s in states) == known.n
        power = fleet.watch[kind].get("power_kw").sum() / 1000.0
        assert table["power_mw"][rows].sum() == pytest.approx(power, rel=1e-5, abs=1e-6)
    assert set(table["owner"]) <= set(range(len(OWNERS)))
    assert len(tables["stations"]["row"]) == INVENTORY.kinds["storage"].n
    assert (tables["stations"]["age_s"] == 14 * 60).all()
    assert (tables["stations"]["onboarding"] == Onboarding.LIVE).all()
    district = INVENTORY.sites.i8("district")[tables["stations"]["site"].astype(int)]
    assert np.array_equal(tables["stations"]["district"], district)
    off_beat = shown.look(now_ms + MINUTE_MS, readings, lambda kind: np.zeros(1))
    assert off_beat == {}


def test_platform_reports_its_tables() -> None:
    city, logic = FakeCity(INVENTORY, NOON - MINUTE_MS), Platform()
    logic.start(INVENTORY, make_calendar())
    tables = logic.digest(NOON, city.readings(logic.plan(NOON)), []).reports.tables
    assert {"fleet_state", "stations", "onboarding"} <= tables.keys()
    city.step()
    later = logic.digest(city.now_ms, city.readings(logic.plan(city.now_ms)), []).reports.tables
    assert not {"fleet_state", "stations", "onboarding", "alarms"} & later.keys()


# -- alarms ------------------------------------------------------------------------------------


def raised(*readings: Reading | None) -> list[Alarm]:
    """Return the alarms of storage row 0 on readings a minute apart, None: no answer."""
    fleet, found = Supervision(INVENTORY), []
    for minute, reading in enumerate(readings):
        now_ms = NOON + minute * MINUTE_MS
        given = storage_reading(now_ms) if reading is None else reading
        if reading is None:
            given = Reading(given.value, given.time_ms, np.ones_like(given.quality))
        found += [a for a in fleet.take(now_ms, {"storage": given}) if a.row == 0]
    return found


def test_an_alarm_on_what_is_said_now_is_confirmed() -> None:
    hot = [storage_reading(NOON + m * MINUTE_MS, temperature_c=50.0) for m in range(3)]
    cool = storage_reading(NOON + 3 * MINUTE_MS)
    began, ended = raised(*hot, cool)
    assert (began.condition, began.quality) == ("temperature_high", AlarmQuality.CONFIRMED)
    assert ended.end_ms == NOON + 3 * MINUTE_MS
    table = alarm_table([began, ended])
    assert table is not None
    assert table["end_ms"].tolist() == [STANDS_MS, NOON + 3 * MINUTE_MS]
    assert len(set(table["start_ms"].tolist())) == 1


def test_an_alarm_on_an_old_or_refused_value_is_doubtful() -> None:
    hot = storage_reading(NOON, temperature_c=50.0)
    old = [a for a in raised(hot, None, None, None) if a.condition == "temperature_high"]
    assert [a.quality for a in old] == [AlarmQuality.CONFIRMED]  # one minute old when raised
    delayed = [a for a in raised(hot, None, None, None, None) if a.condition == "stale"]
    assert all(a.quality == AlarmQuality.CONFIRMED for a in delayed)  # silence is what it is
    absurd = storage_reading(NOON + MINUTE_MS, temperature_c=5e12)
    refused = [a for a in raised(hot, absurd, absurd) if a.condition == "temperature_high"]
    assert [a.quality for a in refused] == [AlarmQuality.DOUBTFUL]


def test_power_that_had_to_be_mended_makes_a_doubtful_alarm() -> None:
    """Status charging, power shown as discharge: turned, and not what is commanded."""
    given = [
        storage_reading(
            NOON + m * MINUTE_MS, power_kw=300.0, status=1.0, setpoint_kw=200.0, remote=1.0
        )
        for m in range(5)
    ]
    found = [a for a in raised(*given) if a.condition == "not_followed"]
    assert [a.quality for a in found] == [AlarmQuality.DOUBTFUL]
