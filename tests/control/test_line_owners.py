"""Owners of batch lines: what is learned of a made-up day, and what is expected of the next."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.clock import DAY_MS, HOUR_MS, MINUTE_MS, minute_of_day
from twin.control.baselines.lines import LineOwners
from twin.control.supervision.watch import Watch
from twin.record.columns import Columns
from twin.record.exchange import KindInventory, Point, Quality, Reading

POLL_MS = 5 * MINUTE_MS
RATED_KW, REST_KW, WORKS_KW = 1000.0, 100.0, 800.0
STEP_MIN, RESTART_MIN, STOCK_H = 40, 10, 2.0
TARIFF = np.ones(1440, np.int64)
TARIFF[15 * 60 : 17 * 60] = 3
STOP, START = {1: 1.0, 3: 0.7}, {1: 0.7, 3: 0.45}  # of the stock
LEARNED = (
    "first_kw", "last_kw", "restart_kw", "rest_kw", "step_h", "batch_h", "ended", "opens", "closes",
    "late", *(f"{level}_{period}" for level in ("start", "ran", "stop") for period in range(4)),
)  # fmt: skip
POINTS = tuple(Point(n, "1", n, n) for n in ("power_kw", "state", "step_remaining_s", "stock_h"))


class TrueLine:
    """One line as it really is: levels, hours and stock that nobody has registered."""

    def __init__(self, stock: float, scale: float, opens: int = 0, closes: int = 1440) -> None:
        self.stock, self.scale, self.hours = stock, scale * STOCK_H, (opens, closes)
        self.state, self.left, self.idle = 1, float(STEP_MIN), False

    def minute(self, minute: int, paused: bool = False) -> float:
        period = int(TARIFF[(minute - 10) % 1440])
        on = self.hours[0] <= minute < self.hours[1]
        if self.stock >= STOP[period] * self.scale:
            self.idle = True
        if self.stock <= START[period] * self.scale:
            self.idle = False
        rest = self.idle or not on or paused
        if self.state in (1, 2):
            self.state = 2 if rest else 1
        elif rest:
            self.state = 0
        elif self.state != 4:
            self.state, self.left = 4, float(RESTART_MIN)
        power = REST_KW if self.state == 0 else WORKS_KW
        if self.state != 0:
            self.left -= 1.0
        self.stock = max(self.stock - (1.0 / 60.0 if on else 0.0), 0.0)
        if self.state != 0 and self.left <= 0.0:
            if self.state == 4:
                self.state = 1
            else:
                self.stock += 1.15 * STEP_MIN / 60.0
                self.state = 0 if rest else 1
            self.left = float(STEP_MIN)
        return power

    def shown(self, power_kw: float) -> list[float]:
        left = self.left * 60.0 if self.state in (1, 2) else 0.0
        return [-power_kw, float(self.state), left, self.stock]


def lines() -> list[TrueLine]:
    spread = np.linspace(0.85, 1.0, 24)
    night = [TrueLine(0.8 + 0.03 * i, float(s)) for i, s in enumerate(spread)]
    return [*night, *(TrueLine(1.0 + 0.05 * i, 0.9, 480, 1200) for i in range(6))]


def taught(city: list[TrueLine], until_ms: int) -> tuple[LineOwners, Watch]:
    """Return what was learned from the day before to `until_ms`."""
    n = len(city)
    columns = Columns({
        "rated_kw": np.full(n, RATED_KW), "base_share": np.full(n, REST_KW / RATED_KW),
        "step_min": np.full(n, float(STEP_MIN)), "stock_h": np.full(n, STOCK_H),
        "restart_min": np.full(n, float(RESTART_MIN)), "min_run_min": np.zeros(n),
    })  # fmt: skip
    kind = KindInventory("industry", POINTS, (), columns)
    watch, owners = Watch(kind, {}), LineOwners(columns, TARIFF)
    value = np.zeros((len(POINTS), n))
    for at_ms in range(-DAY_MS, until_ms, MINUTE_MS):
        for i, line in enumerate(city):
            value[:, i] = line.shown(line.minute(minute_of_day(at_ms)))
        now_ms = at_ms + MINUTE_MS
        if now_ms % POLL_MS == 0:
            read = Reading(value.copy(), np.full(n, now_ms), np.full(n, Quality.GOOD, np.uint8))
            watch.take(now_ms, read)
            owners.observe(now_ms, watch, np.ones(n, np.bool_))
    return owners, watch


@pytest.fixture(scope="module")
def known() -> tuple[LineOwners, Watch, list[TrueLine]]:
    city = lines()
    owners, watch = taught(city, 14 * HOUR_MS + 30 * MINUTE_MS)
    return owners, watch, city


def test_levels_are_seen_by_tariff_period_and_scaled_to_each_line(
    known: tuple[LineOwners, Watch, list[TrueLine]],
) -> None:
    owners, _, city = known
    stop, start = owners.levels()
    scale = np.array([line.scale for line in city])[:24]
    for period in (1, 3):
        for level, true in ((stop, STOP), (start, START)):
            off = level[period, :24] / scale - true[period]
            assert abs(float(off.mean())) < 0.04
            assert float(np.abs(off).max()) < 0.12
    assert np.isinf(stop[0]).all()  # nobody was seen in a valley
    assert np.isinf(start[0]).all()


def test_hours_steps_and_batches_are_seen(
    known: tuple[LineOwners, Watch, list[TrueLine]],
) -> None:
    owners, _, _ = known
    on = {h: owners.on_shift(h * HOUR_MS) for h in (3, 12, 22)}
    assert on[3][:24].all()
    assert on[12].all()
    assert not on[3][24:].any()
    assert not on[22][24:].any()
    assert owners.steps_h() == pytest.approx(np.full(30, STEP_MIN / 60.0), abs=0.03)
    assert owners.batches_h() == pytest.approx(np.full(30, 1.15 * STEP_MIN / 60.0), abs=0.05)


def test_two_hours_ahead_are_foreseen_tariff_change_included(
    known: tuple[LineOwners, Watch, list[TrueLine]],
) -> None:
    owners, watch, city = known
    now_ms, minutes = 14 * HOUR_MS + 30 * MINUTE_MS, 120
    n = len(city)
    expected = owners.demand_kw(now_ms, minutes, watch, np.zeros(n, np.bool_))
    true: NDArray[np.float64] = np.empty((minutes, n))
    for m in range(minutes):
        true[m] = [line.minute(minute_of_day(now_ms) + m) for line in city]
    assert expected.sum() == pytest.approx(true.sum(), rel=0.06)
    right = (expected > 2.0 * REST_KW) == (true > 2.0 * REST_KW)
    assert right.mean() > 0.9


def test_a_pause_waits_for_the_step_and_ends_before_the_stock_does() -> None:
    city = [TrueLine(1.6, 1.0)]
    owners, watch = taught(city, 5 * MINUTE_MS)
    asked = owners.demand_kw(5 * MINUTE_MS, 240, watch, np.ones(1, np.bool_))[:, 0]
    rests = np.flatnonzero(asked < 2.0 * REST_KW)
    assert len(rests) > 10
    assert watch.or_zero("state")[0] == 1.0
    assert rests[0] >= watch.or_zero("step_remaining_s")[0] / 60.0 - 2.0
    stock = watch.or_zero("stock_h")[0] + 1.15 * STEP_MIN / 60.0
    assert len(rests) / 60.0 <= stock - owners.reserve_h()[0] + 0.2


def test_readings_that_are_none_teach_nothing() -> None:
    owners, watch = taught([TrueLine(1.0, 1.0)], 0)
    before = {name: owners.memory[name].copy() for name in LEARNED}
    watch.memory["value"][:] = np.nan
    owners.observe(POLL_MS, watch, np.ones(1, np.bool_))
    for name, values in before.items():
        np.testing.assert_array_equal(owners.memory[name], values, name)
