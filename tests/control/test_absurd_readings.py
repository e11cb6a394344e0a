"""Whatever comes in as a reading, supervision and the whole platform go on.

Missing, stale, contradictory and absurd readings: NaN, infinities, huge values, other shapes and
types, qualities that do not exist, clocks that run ahead or backwards, the same reading twice,
kinds that nobody registered. Set-points stay inside what each device's map allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from fakecity import FakeCity, make_calendar, make_inventory
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.platform import Platform
from twin.control.supervision.fleet import Supervision
from twin.control.supervision.onboarding import Gate
from twin.control.supervision.overview import Overview
from twin.control.supervision.watch import AHEAD_MS, PLAUSIBLE
from twin.record.exchange import Reading, SetPoint
from twin.record.fleet_states import DeviceState
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

SIZES = {"storage": 4, "aircon": 4, "charging": 4, "industry": 3, "swap": 2, "icestore": 1,
         "hydrogen": 1, "shorepower": 1, "solar": 3, "terminal": 12}  # fmt: skip
INVENTORY, CALENDAR = make_inventory(SIZES), make_calendar()
NOON = 12 * HOUR_MS
INT64 = np.iinfo(np.int64)
Draw = np.random.Generator
Spoil = Callable[[Draw, Reading, int], Reading]


def values(make: Callable[[Draw, np.ndarray], np.ndarray]) -> Spoil:
    def spoil(draw: Draw, reading: Reading, now_ms: int) -> Reading:
        return replace(reading, value=make(draw, reading.value))

    return spoil


def some(draw: Draw, value: np.ndarray, given: float) -> np.ndarray:
    return np.where(draw.random(value.shape) < draw.random(), given, value)


def times(draw: Draw, reading: Reading, now_ms: int) -> Reading:
    wrong = np.array([now_ms + 10**7, now_ms - 10**7, INT64.max, INT64.min, -1, 0])
    stamp = np.where(
        draw.random(reading.time_ms.shape) < 0.5, draw.choice(wrong, reading.time_ms.shape),
        reading.time_ms,
    )  # fmt: skip
    return replace(reading, time_ms=stamp)


def qualities(draw: Draw, reading: Reading, now_ms: int) -> Reading:
    return replace(reading, quality=draw.integers(0, 256, reading.quality.shape).astype(np.uint8))


SPOILS: Mapping[str, Spoil] = {
    "nothing": values(lambda _, v: v),
    "nan": values(lambda _, v: np.full(v.shape, np.nan)),
    "some nan": values(lambda d, v: some(d, v, np.nan)),
    "infinite": values(lambda d, v: some(d, v, d.choice([np.inf, -np.inf]))),
    "huge": values(lambda d, v: some(d, v, d.choice([1e12, -1e300, 1.7e308, -1.7e308]))),
    "large": values(lambda d, v: some(d, v, d.choice([9.9e8, -9.9e8, 1e6, -1e6]))),
    "zero": values(lambda _, v: 0.0 * np.nan_to_num(v)),
    "turned": values(lambda _, v: -v),
    "anything": values(lambda d, v: d.uniform(-1000.0, 1000.0, v.shape)),
    "words": values(lambda d, v: d.integers(-1, 6, v.shape).astype(float)),
    "tiny": values(lambda d, v: some(d, v, d.choice([5e-324, -5e-324]))),
    "a point less": values(lambda _, v: v[:-1]),
    "a device less": values(lambda _, v: v[:, :-1]),
    "flat": values(lambda _, v: v.ravel()),
    "nothing at all": values(lambda _, v: np.empty((0, 0))),
    "texts": values(lambda _, v: v.astype("U8")),
    "objects": values(lambda _, v: np.full(v.shape, None, object)),
    "float32": values(lambda _, v: v.astype(np.float32)),
    "times": times,
    "times short": lambda _, r, __: replace(r, time_ms=r.time_ms[:-1]),
    "times of floats": lambda _, r, __: replace(r, time_ms=np.full(len(r.time_ms), np.nan)),  # type: ignore[arg-type]
    "qualities": qualities,
    "all stale": lambda _, r, __: replace(r, quality=np.ones_like(r.quality)),
    "qualities short": lambda _, r, __: replace(r, quality=r.quality[:-1]),
}
PLANS = st.lists(st.sampled_from(sorted(SPOILS)), min_size=1, max_size=4)
SEEDS = st.integers(0, 2**31)


def spoiled(
    draw: Draw, plan: list[str], readings: dict[str, Reading], now_ms: int,
    before: dict[str, Reading],
) -> dict[str, Reading]:  # fmt: skip
    """Return `readings`, each as one of `plan` makes it, left out or said a second time."""
    out = {}
    for kind, reading in readings.items():
        chance = draw.random()
        if chance < 0.05:
            continue
        if chance < 0.1 and kind in before:
            out[kind] = before[kind]
        elif chance < 0.7:
            out[kind] = SPOILS[plan[draw.integers(len(plan))]](draw, reading, now_ms)
        else:
            out[kind] = reading
    if draw.random() < 0.1:
        out["windmill"] = next(iter(readings.values()))
    return out


def check_belief(fleet: Supervision, overview: Overview, now_ms: int) -> None:
    for kind, watch in fleet.watch.items():
        value = watch.memory["value"]
        assert (np.isnan(value) | (np.abs(value) <= PLAUSIBLE)).all(), kind
        assert np.isfinite(watch.clean).all(), kind
        assert (watch.memory.extra["time_ms"] <= now_ms + AHEAD_MS).all(), kind
    for kind, unit in overview.estimate.units.items():
        power, _, _ = overview.estimate.power_kw(kind, now_ms)
        assert (np.isnan(power) | ((power >= unit.low) & (power <= unit.high))).all(), kind
        assert (unit.variance(now_ms) >= 0.0).all(), kind
        assert (overview.state.states(kind, now_ms) <= DeviceState.OFFLINE).all()
    for book in overview.state.energy.values():
        assert (book.memory.block[:4] >= 0.0).all()


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, plan=PLANS)
def test_supervision_survives_everything(seed: int, plan: list[str]) -> None:
    draw = np.random.Generator(np.random.Philox(seed))
    city, fleet = FakeCity(INVENTORY, NOON - MINUTE_MS), Supervision(INVENTORY)
    overview = Overview(INVENTORY, fleet, Gate(INVENTORY))
    before: dict[str, Reading] = {}
    for _ in range(6):
        readings = spoiled(draw, plan, city.readings(INVENTORY.kinds), city.now_ms, before)
        alarms = fleet.take(city.now_ms, readings)
        for alarm in alarms:
            assert 0 <= alarm.row < INVENTORY.kinds[alarm.kind].n
            assert alarm.end_ms is None or alarm.end_ms >= alarm.start_ms
        _, tables = overview.look(city.now_ms, readings, alarms)
        for name, table in tables.items():
            assert len({len(column) for column in table.values()}) == 1, name
        check_belief(fleet, overview, city.now_ms)
        before = readings
        city.step()
        city.now_ms += int(draw.integers(0, 5)) * MINUTE_MS


DR = Order("dr", 0, OrderKind.DEMAND_RESPONSE, OrderForm.REDUCTION, 0.6, 0,
           NOON, NOON + 10 * MINUTE_MS, NOON + 20 * MINUTE_MS, NOON + 50 * MINUTE_MS)  # fmt: skip
LM = Order("lm", 0, OrderKind.LOAD_MANAGEMENT, OrderForm.REDUCTION, 2.0, 1,
           NOON + 40 * MINUTE_MS, NOON + 55 * MINUTE_MS, NOON + 60 * MINUTE_MS,
           NOON + 80 * MINUTE_MS, 10.0)  # fmt: skip


def check_write(write: SetPoint) -> None:
    """Every value is inside what the set-point's own range allows, rows are there and ascend."""
    known = INVENTORY.kinds[write.kind]
    spec = next(s for s in known.setpoints if s.name == write.point)
    rated = known.columns.f8("rated_kw")[write.rows] if spec.per_rating else 1.0
    assert (np.diff(write.rows) > 0).all()
    assert ((write.rows >= 0) & (write.rows < known.n)).all()
    assert np.isfinite(write.values).all()
    assert (write.values >= spec.low * rated - 1e-9).all(), (write.kind, write.point)
    assert (write.values <= spec.high * rated + 1e-9).all(), (write.kind, write.point)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, plan=PLANS, order=st.sampled_from([DR, LM]), sound_min=st.integers(0, 30))
def test_orders_are_served_inside_every_range(
    seed: int, plan: list[str], order: Order, sound_min: int
) -> None:
    """The whole platform through notice, ramp, hold and recovery, sound readings at first."""
    draw = np.random.Generator(np.random.Philox(seed))
    city, logic = FakeCity(INVENTORY, order.notice_ms - 2 * MINUTE_MS), Platform()
    logic.start(INVENTORY, CALENDAR)
    told, before = False, dict[str, Reading]()
    while city.now_ms < order.end_ms + 25 * MINUTE_MS:
        now_ms = city.now_ms
        readings = city.readings(logic.plan(now_ms))
        if now_ms >= order.notice_ms + sound_min * MINUTE_MS:
            readings = spoiled(draw, plan, readings, now_ms, before)
        news = [] if told or now_ms < order.notice_ms else [Notice(now_ms, NoticeKind.ORDER, order)]
        told |= len(news) > 0
        actions = logic.digest(now_ms, readings, news)
        for write in actions.setpoints:
            check_write(write)
        city.apply(actions.setpoints)
        assert all(np.isfinite(v) for v in actions.reports.figures.values())
        before = readings
        city.step()
        city.now_ms += int(draw.integers(0, 3)) * MINUTE_MS
    check_belief(logic.fleet, logic.overview, city.now_ms)
