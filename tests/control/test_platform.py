"""What holds for the whole platform: states, hostile readings, supervision, the order book."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakecity import FakeCity, make_calendar, make_inventory, run
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.baselines.owner import TariffReading
from twin.control.book import OrderBook
from twin.control.capability import flexibility as flex
from twin.control.logic import BaseLogic
from twin.control.memory import pack, unpack
from twin.control.platform import Platform
from twin.record.alarms import poll_period_ms
from twin.record.exchange import Reading
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind
from twin.record.table import Table

INVENTORY, CALENDAR = make_inventory(), make_calendar()
SMALL = make_inventory({"storage": 4, "aircon": 4, "charging": 4, "industry": 3, "terminal": 12})
NOON = 12 * HOUR_MS
DR = Order("dr", 0, OrderKind.DEMAND_RESPONSE, OrderForm.REDUCTION, 12.0, 0,
           NOON, NOON + 30 * MINUTE_MS, NOON + 45 * MINUTE_MS, NOON + 90 * MINUTE_MS)  # fmt: skip
LM = Order("lm", 0, OrderKind.LOAD_MANAGEMENT, OrderForm.REDUCTION, 40.0, 1,
           NOON + 80 * MINUTE_MS, NOON + 110 * MINUTE_MS, NOON + 120 * MINUTE_MS,
           NOON + 140 * MINUTE_MS, 10.0)  # fmt: skip
NOTICES = [Notice(o.notice_ms, NoticeKind.ORDER, o) for o in (DR, LM)]


def started(inventory=INVENTORY) -> Platform:  # type: ignore[no-untyped-def]
    logic = Platform()
    logic.start(inventory, CALENDAR)
    return logic


def test_saved_logic_goes_on_bit_for_bit() -> None:
    """Forks in preparation, ramp, recovery, tripping and restoration."""
    city, logic = FakeCity(INVENTORY, NOON - 30 * MINUTE_MS), started()
    for minute in (20, 38, 97, 114, 146):
        run(city, logic, NOON + minute * MINUTE_MS, NOTICES)
        twin_city, twin = city.fork(), started()
        twin.load(logic.save())
        until = city.now_ms + 6 * MINUTE_MS
        one, _ = run(city, logic, until, NOTICES)
        two, _ = run(twin_city, twin, until, NOTICES)
        assert np.array_equal(one, two)
        assert logic.save() == twin.save()


def test_idle_platform_writes_nothing() -> None:
    city, logic = FakeCity(INVENTORY, NOON), started()
    for _ in range(15):
        actions = logic.digest(city.now_ms, city.readings(logic.plan(city.now_ms)), [])
        assert len(actions.setpoints) == 0
        assert len(actions.reports.alarms) == 0
        city.step()


def test_plan_reads_in_turns_without_orders() -> None:
    city, logic = FakeCity(INVENTORY, NOON), started()
    assert set(logic.plan(NOON)) == set(INVENTORY.kinds)  # all of them once
    logic.digest(NOON, city.readings(logic.plan(NOON)), [])
    plans = [logic.plan(NOON + m * MINUTE_MS) for m in range(1, 31)]
    for kind in INVENTORY.kinds:
        every_min = 1 if kind == "city" else poll_period_ms(kind) // MINUTE_MS
        assert sum(kind in plan for plan in plans) == 30 // every_min, kind
    logic.digest(NOON + MINUTE_MS, {}, NOTICES[:1])  # known, but half an hour ahead
    plans = [logic.plan(NOON + m * MINUTE_MS) for m in range(2, 12)]
    assert sum("terminal" in plan for plan in plans) == 2
    close = [set(logic.plan(NOON + m * MINUTE_MS)) for m in range(16, 30)]
    assert all({"aircon", "charging", "industry", "storage"} <= plan for plan in close)
    assert not all("meter" in plan for plan in close)
    assert "meter" in logic.plan(NOON + 31 * MINUTE_MS)


def test_reports_are_of_what_was_read() -> None:
    city, logic = FakeCity(INVENTORY, NOON), started()
    logic.digest(NOON, city.readings(list(INVENTORY.kinds)), [])
    read_ms = city.now_ms
    city.step()
    actions = logic.digest(city.now_ms, city.readings(["storage", "city"]), [])
    for report in actions.reports.fleet:
        assert report.time_ms is not None
        expected_ms = city.now_ms if report.kind == "storage" else read_ms
        assert (report.time_ms == expected_ms).all(), report.kind


NASTY = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e12, -1e12, 3.0])


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    share=st.floats(0.0, 1.0),
    what=NASTY,
    silent=st.floats(0.0, 1.0),
)
def test_absurd_readings_never_break_it(
    seed: int, share: float, what: float, silent: float
) -> None:
    """FakeCity.apply asserts that every set-point is inside its range and rows ascend."""
    draw = np.random.Generator(np.random.Philox(seed))
    city, logic = FakeCity(SMALL, NOON - 5 * MINUTE_MS), started(SMALL)
    small = [
        Notice(n.now_ms, n.kind, replace(n.order, mw=0.05 * (n.order.mw or 1.0))) for n in NOTICES
    ]
    while city.now_ms < NOON + 170 * MINUTE_MS:
        readings = city.readings(logic.plan(city.now_ms))
        for kind, reading in list(readings.items()):
            value = reading.value.copy()
            value[draw.random(value.shape) < share] = what
            quality = (draw.random(value.shape[1]) < silent).astype(np.uint8)
            readings[kind] = Reading(value, reading.time_ms, quality)
            if draw.random() < 0.05:
                del readings[kind]
        news = [n for n in small if n.now_ms == city.now_ms]
        actions = logic.digest(city.now_ms, readings, news)
        city.apply(actions.setpoints)
        assert all(np.isfinite(v) for v in actions.reports.figures.values())
        for _ in range(4):
            city.step()
            city.now_ms -= MINUTE_MS
        city.now_ms += 5 * MINUTE_MS


def test_reading_of_another_shape_is_left_aside() -> None:
    logic = started()
    wrong = Reading(np.zeros((2, 3)), np.zeros(3, np.int64), np.zeros(3, np.uint8))
    logic.digest(NOON, {"storage": wrong, "nothing": wrong}, [])
    assert np.isnan(logic.fleet.watch["storage"].get("soc")).all()


# -- supervision -----------------------------------------------------------------------------


def storage_reading(city: FakeCity, **points: tuple[int, float]) -> dict[str, Reading]:
    reading = city.readings(["storage"])["storage"]
    value = reading.value.copy()
    names = [p.name for p in INVENTORY.kinds["storage"].points]
    for name, (row, number) in points.items():
        value[names.index(name), row] = number
    return {"storage": Reading(value, reading.time_ms, reading.quality)}


def test_last_good_value_is_held_and_its_time_told() -> None:
    city, logic = FakeCity(INVENTORY, NOON), started()
    logic.digest(NOON, city.readings(["storage"]), [])
    good = logic.fleet.watch["storage"].get("power_kw").copy()
    city.now_ms += MINUTE_MS
    bad = storage_reading(city, power_kw=(3, 9e9), soc=(4, np.nan))
    actions = logic.digest(city.now_ms, bad, [])
    report = next(r for r in actions.reports.fleet if r.kind == "storage")
    assert report.power_kw[3] == good[3]
    assert report.time_ms is not None
    assert report.time_ms[3] == report.time_ms[4] == city.now_ms - MINUTE_MS
    assert report.time_ms[5] == city.now_ms


def test_swapped_transformer_is_turned() -> None:
    city, logic = FakeCity(INVENTORY, NOON + 30 * MINUTE_MS), started()
    true = city.power["storage"]
    assert true[2] < -100.0  # charging, and the status word says so
    logic.digest(city.now_ms, storage_reading(city, power_kw=(2, -true[2])), [])
    assert logic.fleet.watch["storage"].get("power_kw")[2] == true[2]


def test_alarms_begin_and_end() -> None:
    city, logic = FakeCity(INVENTORY, NOON), started()
    hot, seen = (7, 60.0), []
    for minute in range(12):
        readings = storage_reading(city, temperature_c=hot if 2 <= minute < 8 else (7, 30.0))
        actions = logic.digest(city.now_ms, readings, [])
        seen += [(minute, a.row, a.condition, a.end_ms) for a in actions.reports.alarms]
        city.now_ms += MINUTE_MS
    assert [s[1:3] for s in seen] == [(7, "temperature_high")] * 2
    assert seen[0][0] == 3
    assert seen[0][3] is None
    assert seen[1][0] == 8
    assert seen[1][3] == NOON + 9 * MINUTE_MS  # a city begins with one minute


def test_silence_is_stale_then_offline() -> None:
    city, logic = FakeCity(INVENTORY, NOON), started()
    seen = {}
    for minute in range(10):
        reading = city.readings(["storage"])["storage"]
        quality, times = reading.quality.copy(), reading.time_ms.copy()
        if minute >= 1:
            quality[5], times[5] = 1, NOON + MINUTE_MS
        actions = logic.digest(city.now_ms, {"storage": Reading(reading.value, times, quality)}, [])
        for alarm in actions.reports.alarms:
            seen[alarm.condition, alarm.end_ms is None] = minute
            assert alarm.row == 5
        city.now_ms += MINUTE_MS
    assert seen == {("stale", True): 4, ("stale", False): 7, ("offline", True): 7}


# -- small parts -----------------------------------------------------------------------------


def test_state_of_another_fleet_is_refused() -> None:
    table = Table(("a",), 3, {"b": np.arange(4)})
    state = pack({"t": table}, {"x": [1.5, float("inf")]})
    assert unpack(state, {"t": table}) == {"x": [1.5, float("inf")]}
    with pytest.raises(ValueError, match="not"):
        unpack(state, {"t": Table(("a",), 4, {"b": np.arange(4)})})
    with pytest.raises(ValueError, match="state has no"):
        unpack(state, {"other": table})


def test_book_takes_changes_and_cancellations() -> None:
    book = OrderBook()
    assert book.take([Notice(NOON, NoticeKind.ORDER, DR)])
    later = replace(DR, revision=2, mw=20.0)
    book.take([Notice(NOON, NoticeKind.CHANGE, later), Notice(NOON, NoticeKind.CHANGE, DR)])
    assert book.live() == (later,)
    again = OrderBook.from_plain(book.plain())
    assert again.live() == (later,)
    again.take([Notice(DR.start_ms + MINUTE_MS, NoticeKind.CANCELLATION, later)])
    assert again.live()[0].end_ms == DR.start_ms + MINUTE_MS
    book.take([Notice(NOON, NoticeKind.CANCELLATION, later)])
    assert book.live() == ()


def test_base_logic_keeps_its_orders() -> None:
    one, two = BaseLogic(), BaseLogic()
    one.start(INVENTORY, CALENDAR)
    two.start(INVENTORY, CALENDAR)
    one.digest(NOON, {}, NOTICES)
    two.load(one.save())
    assert two.book.live() == one.book.live() == (DR, LM)
    assert two.order_in_force(DR.start_ms, []) == DR
    assert two.order_in_force(DR.end_ms, []) is None


@given(
    total=st.floats(0.0, 1e4),
    most=st.lists(st.floats(0.0, 1e3), min_size=1, max_size=20),
    seed=st.integers(0, 1000),
)
def test_share_out_fills_what_fits(total: float, most: list[float], seed: int) -> None:
    top = np.array(most)
    weight = np.random.Generator(np.random.Philox(seed)).uniform(0.1, 5.0, len(top))
    out = flex.share_out(total, top, weight)
    assert (out >= 0.0).all()
    assert (out <= top + 1e-9).all()
    assert out.sum() == pytest.approx(min(total, top.sum()), abs=1e-6)
    free = out < top - 1e-6
    levels = out[free] / weight[free]
    if free.any():
        assert levels.max() == pytest.approx(levels.min(), abs=1e-6)


def test_tariff_is_read_as_owners_do() -> None:
    reading = TariffReading(CALENDAR.tariff_period)
    assert reading.charge[:600].all()  # flat before the peak still pays
    assert reading.charge[720:840].all()
    assert not reading.charge[600:720].any()
    assert reading.deliver[600:720].all()
    assert reading.left_h[720] == pytest.approx(2.0)
    assert reading.dearer_h[14 * 60] == pytest.approx(2.0)
    assert reading.equal_h[15 * 60] == pytest.approx(2.0)
    assert reading.since_min[735] == 15
