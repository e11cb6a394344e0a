"""Buildings are cooled before an order only as deep as it needs, and slowly."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from fakecity import FakeCity, make_calendar, make_inventory

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.capability import flexibility as flex
from twin.control.capability.flexibility import COOLEST_C, DEEPEST_C
from twin.control.demand_response.precooling import HOLD_MIN
from twin.control.platform import Platform
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

START = 13 * HOUR_MS
ORDER = Order("o", 0, OrderKind.DEMAND_RESPONSE, OrderForm.REDUCTION, 12.0, 0, 10 * HOUR_MS,
              START, START + 15 * MINUTE_MS, 17 * HOUR_MS)  # fmt: skip


def offsets(order: Order) -> dict[int, np.ndarray]:
    """Return what was written to buildings before the start, by time."""
    inventory = make_inventory()
    city, logic = FakeCity(inventory, 9 * HOUR_MS), Platform()
    logic.start(inventory, make_calendar())
    told, found = [Notice(order.notice_ms, NoticeKind.ORDER, order)], {}
    while city.now_ms < order.start_ms:
        now_ms = city.now_ms
        notices = told if now_ms == order.notice_ms else []
        actions = logic.digest(now_ms, city.readings(logic.plan(now_ms)), notices)
        for write in actions.setpoints:
            if (write.kind, write.point) == ("aircon", "setpoint_offset_c"):
                found[now_ms] = write.values
        city.apply(actions.setpoints)
        city.step()
    return found


def test_a_long_order_cools_before_it_begins() -> None:
    written = offsets(ORDER)
    assert written, "four hours of drift do not fit into the comfort band"
    deepest = min(float(v.min()) for v in written.values())
    # 4 h at the drift limit less the band from 25.5 °C to 27.7 °C, and no deeper than allowed.
    need = 4.0 * flex.DRIFT_C_H - (28.0 - flex.COMFORT_MARGIN_C - 25.5)
    assert -min(need, DEEPEST_C, 25.5 - COOLEST_C) - 1e-9 <= deepest < 0.0
    earliest = START - (HOLD_MIN + DEEPEST_C / flex.DRIFT_C_H * 60.0) * MINUTE_MS
    assert min(written) >= earliest


def test_set_points_fall_no_faster_than_they_rise() -> None:
    written = offsets(ORDER)
    times = sorted(written)
    for before, after in itertools.pairwise(times):
        step = float(written[before].min() - written[after].min())
        assert step <= flex.DRIFT_C_H * (after - before) / HOUR_MS + 1e-9


def test_a_short_order_needs_no_cooling() -> None:
    assert not offsets(replace(ORDER, end_ms=14 * HOUR_MS))
