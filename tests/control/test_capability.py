"""What the platform says it can hold: from readings alone, never absurd, without a trace."""

from __future__ import annotations

import numpy as np
import pytest
from fakecity import FakeCity, make_calendar, make_inventory, run
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.capability.owner_plans import OwnerPlans
from twin.control.capability.sustained import HORIZONS_MIN
from twin.control.platform import Platform
from twin.record.exchange import Reading
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

INVENTORY, CALENDAR = make_inventory(), make_calendar()
EVENING = 20 * HOUR_MS  # flat tariff until midnight: no owner charges, none delivers
FLEXIBLE = ("storage", "aircon", "icestore", "charging", "swap", "industry", "hydrogen",
            "shorepower")  # fmt: skip


def watching(now_ms: int = EVENING, minutes: int = 6) -> tuple[Platform, FakeCity]:
    logic, city = Platform(), FakeCity(INVENTORY, now_ms)
    logic.start(INVENTORY, CALENDAR)
    run(city, logic, now_ms + minutes * MINUTE_MS)
    return logic, city


def call(form: OrderForm, now_ms: int, horizon_min: int = 60) -> Order:
    full_ms = now_ms + 15 * MINUTE_MS
    return Order("q", 0, OrderKind.SUSTAINED, form, None, 0, now_ms, now_ms, full_ms,
                 full_ms + horizon_min * MINUTE_MS)  # fmt: skip


def test_an_estimate_leaves_no_trace_and_writes_nothing() -> None:
    logic, city = watching()
    before, written = logic.save(), city.set["storage", "power_kw"].copy()
    first = logic.adjustable.capability.estimate(city.now_ms, 60)
    for horizon in HORIZONS_MIN:
        logic.adjustable.capability.estimate(city.now_ms, horizon)
    again = logic.adjustable.capability.estimate(city.now_ms, 60)
    assert logic.save() == before
    np.testing.assert_array_equal(city.set["storage", "power_kw"], written)
    for kind in FLEXIBLE:
        np.testing.assert_array_equal(first[kind].up_kw, again[kind].up_kw)


def test_a_battery_is_bound_by_power_then_by_energy() -> None:
    """40 batteries of 500 kW and 1 000 kWh at 60 % SOC: 470 kWh over 10 % on the grid side."""
    logic, city = watching()
    capability = logic.adjustable.capability
    found = {h: capability.estimate(city.now_ms, h)["storage"] for h in (30, 120)}
    assert found[30].up_kw == pytest.approx(np.full(40, 500.0), rel=0.02)
    assert found[120].up_kw == pytest.approx(np.full(40, 235.0), rel=0.02)
    # Room to 90 %, lost on the way in, where the meter leaves it.
    room = 0.3 * 1000.0 / 0.94 / 2.0
    in_kw = capability.at_meter_kw(logic.fleet.watch["storage"], {})[1]
    assert found[120].down_kw == pytest.approx(np.minimum(in_kw, room), rel=0.02)
    assert (in_kw > room).sum() > 20


def test_an_owner_who_delivers_leaves_what_is_spare() -> None:
    """From 15:00 on owners feed what they have over two hours, of 500 kW the rest is left."""
    logic, city = watching(14 * HOUR_MS + 20 * MINUTE_MS)
    city.soc[:] = 0.9
    run(city, logic, city.now_ms + 4 * MINUTE_MS)
    capability = logic.adjustable.capability
    before, into = (capability.estimate(city.now_ms, h)["storage"].up_kw for h in (10, 60))
    assert before == pytest.approx(np.full(40, 500.0))
    assert (into < 0.6 * before).all()


@pytest.mark.parametrize("kind", ["icestore", "hydrogen", "storage", "shorepower", "swap"])
def test_longer_is_never_more_where_a_store_is_used_up(kind: str) -> None:
    logic, city = watching()
    ups = [logic.adjustable.capability.estimate(city.now_ms, h)[kind].up_kw for h in HORIZONS_MIN]
    assert ups[0].sum() > 0.0
    assert (ups[0] >= ups[1] - 1e-6).all()
    assert (ups[1] >= ups[2] - 1e-6).all()


def test_only_batteries_and_buildings_can_be_told_to_draw_more() -> None:
    logic, city = watching()
    found = logic.adjustable.capability.estimate(city.now_ms, 60)
    assert found["storage"].down_kw.sum() > 0.0
    assert found["aircon"].down_kw.sum() > 0.0
    others = [k for k in FLEXIBLE if k not in ("storage", "aircon")]
    assert all(found[k].down_kw.sum() == 0.0 for k in others)


def test_who_is_not_heard_not_enrolled_or_behind_an_open_circuit_counts_for_nothing() -> None:
    logic, city = watching()
    capability = logic.adjustable.capability
    assert capability.estimate(city.now_ms, 60)["storage"].up_kw[:3].min() > 0.0
    capability.enrolled["storage"] = np.arange(40) != 0
    logic.fleet.watch["storage"].memory["time_ms"][1] = city.now_ms - HOUR_MS
    capability.barred = lambda kind: np.arange(capability.columns[kind].n) == 2
    given = capability.estimate(city.now_ms, 60)["storage"]
    assert given.up_kw[:3].tolist() == [0.0, 0.0, 0.0]
    assert given.down_kw[:3].tolist() == [0.0, 0.0, 0.0]
    assert given.up_kw[3] > 0.0


def test_a_fleet_never_read_has_nothing() -> None:
    logic = Platform()
    logic.start(INVENTORY, CALENDAR)
    for nothing in logic.adjustable.capability.estimate(EVENING, 60).values():
        assert nothing.up_kw.sum() == 0.0
        assert nothing.down_kw.sum() == 0.0


ABSURD = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0, 1e-9, -1e5, 1e5, 1e300, -1e300])
SMALL = make_inventory(dict.fromkeys((*FLEXIBLE, "terminal"), 3))


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_absurd_readings_give_no_absurd_capability(data: st.DataObject) -> None:
    logic = Platform()
    logic.start(SMALL, CALENDAR)
    now_ms = data.draw(st.integers(0, 1439)) * MINUTE_MS
    readings = {}
    for kind in (*FLEXIBLE, "meter"):
        known = SMALL.kinds[kind]
        shape = (len(known.points), known.n)
        drawn = data.draw(st.lists(ABSURD, min_size=shape[0], max_size=shape[0]))
        value = np.repeat(np.array(drawn)[:, None], shape[1], axis=1)
        readings[kind] = Reading(value, np.full(known.n, now_ms), np.zeros(known.n, np.uint8))
        # What supervision would not believe is put behind its back.
        if data.draw(st.booleans()):
            logic.fleet.watch[kind].memory["value"][:] = np.clip(value, -1e9, 1e9)
            logic.fleet.watch[kind].memory["time_ms"] = now_ms
            logic.fleet.watch[kind].refresh()
            del readings[kind]
    logic.fleet.take(now_ms, readings)
    logic.adjustable.learn(now_ms, lambda k: np.zeros(SMALL.kinds[k].n, np.bool_), FLEXIBLE)
    for horizon in HORIZONS_MIN:
        for kind, given_ in logic.adjustable.capability.estimate(now_ms, horizon).items():
            for power in (given_.up_kw, given_.down_kw):
                assert np.isfinite(power).all(), kind
                assert (power >= 0.0).all(), kind
    table = logic.adjustable.rows.table(now_ms)
    assert np.isfinite(np.asarray(table["up_mw"], np.float64)).all()


@pytest.mark.parametrize("window", [(-60, -30), (-30, 0), (30, 10), (0, 0), (600, 2000)])
def test_an_order_with_an_odd_window_is_answered_too(window: tuple[int, int]) -> None:
    logic, city = watching(minutes=2)
    span = tuple(city.now_ms + m * MINUTE_MS for m in window)
    for held in logic.adjustable.capability.over(city.now_ms, (span[0], span[1])).values():
        assert np.isfinite(held.up_kw).all()
        assert (held.up_kw >= 0.0).all()


def test_the_table_adds_up_to_the_devices() -> None:
    logic, city = watching()
    capability = logic.adjustable.capability
    table = logic.adjustable.rows.table(city.now_ms)
    rows = (table["kind"] == "aircon") & (table["horizon_min"] == 60)
    devices = capability.estimate(city.now_ms, 60)["aircon"]
    assert table["up_mw"][rows].sum() == pytest.approx(devices.up_kw.sum() / 1000.0)
    assert table["connected_mw"][rows].sum() == pytest.approx(80 * 0.5)
    agents = {(a, d) for a, d in zip(table["aggregator"][rows], table["district"][rows],
                                     strict=True)}  # fmt: skip
    assert len(agents) == rows.sum() == 12  # four aggregators in three districts


def test_a_notice_is_answered_by_device_before_anything_is_written() -> None:
    logic, city = watching()
    now_ms = city.now_ms
    order = call(OrderForm.REDUCTION, now_ms)
    expected = logic.adjustable.capability.estimate(now_ms, 60)["industry"].up_kw
    notices = [Notice(now_ms, NoticeKind.ORDER, order)]
    told = logic.digest(now_ms, city.readings(logic.plan(now_ms)), notices).reports.tables
    device = told["capability_device"]
    rows = device["kind"] == "industry"
    assert set(device["order"]) == {"q"}
    assert device["held_kw"][rows].sum() == pytest.approx(expected.sum(), rel=0.05)
    assert device["up_60_kw"][rows].tolist() == device["held_kw"][rows].tolist()
    assert (device["connected_kw"] >= 0.0).all()


@pytest.mark.parametrize(("form", "sign"), [(OrderForm.REDUCTION, 1.0), (OrderForm.INCREASE, -1.0)])
def test_a_call_is_held_to_its_end_and_given_back(form: OrderForm, sign: float) -> None:
    logic, city = watching()
    left, order = city.fork(), call(form, city.now_ms, 30)
    alone = Platform()
    alone.start(INVENTORY, CALENDAR)
    alone.load(logic.save())
    until = order.end_ms + 3 * MINUTE_MS
    called, _ = run(city, logic, until, [Notice(order.notice_ms, NoticeKind.ORDER, order)])
    base, _ = run(left, alone, until)
    held = sign * (base - called)[15:45]
    assert held.min() > 0.8 * held.max() > 0.0
    assert not logic.adjustable.call.busy
    assert logic.save() != alone.save()
    assert not any(logic.adjustable.touched(k).any() for k in FLEXIBLE)


def test_what_an_owner_left_no_room_for_is_not_made_up_for_later() -> None:
    """Owners deliver at full power until 17:00, in the window's first minutes."""
    logic, city = watching(16 * HOUR_MS + 30 * MINUTE_MS, 1)
    city.soc[:] = 0.85
    run(city, logic, city.now_ms + 5 * MINUTE_MS)
    owners = logic.habits.owners
    assert owners is not None
    notices = [Notice(city.now_ms, NoticeKind.ORDER, call(OrderForm.REDUCTION, city.now_ms, 60))]
    given = []
    for _ in range(60):
        run(city, logic, city.now_ms + MINUTE_MS, notices)
        held = city.set["storage", "power_kw"]
        given.append(np.nan_to_num(held - owners.memory["power_kw"]).mean())
    # At full delivery nothing was left; free now, they could give more, and do not.
    free = logic.adjustable.capability.over(
        city.now_ms, (city.now_ms, city.now_ms + 15 * MINUTE_MS)
    )
    assert free["storage"].up_kw.max() > 100.0
    assert max(np.abs(given[30:])) < 25.0  # the minutes at 17:00 apart: the shadow follows


def test_a_saved_call_goes_on_bit_for_bit() -> None:
    logic, city = watching()
    order = call(OrderForm.REDUCTION, city.now_ms)
    notices = [Notice(order.notice_ms, NoticeKind.ORDER, order)]
    run(city, logic, city.now_ms + 20 * MINUTE_MS, notices)
    other, left = Platform(), city.fork()
    other.start(INVENTORY, CALENDAR)
    other.load(logic.save())
    until = city.now_ms + 5 * MINUTE_MS
    one, _ = run(city, logic, until, notices)
    two, _ = run(left, other, until, notices)
    np.testing.assert_array_equal(one, two)
    assert logic.save() == other.save()


def test_plans_keep_the_hour_and_know_nothing_of_the_others() -> None:
    logic, _ = watching()
    plans = logic.adjustable.plans
    assert isinstance(plans, OwnerPlans)
    assert np.isfinite(plans.at("swap", EVENING)).all()
    assert np.isnan(plans.at("swap", EVENING + HOUR_MS)).all()
