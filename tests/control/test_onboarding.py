"""Only who is live is commanded; who is suspended is given back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fakecity import FakeCity, make_calendar, make_inventory, run
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.platform import Platform
from twin.control.supervision.onboarding import Gate, live, state
from twin.record.columns import Columns
from twin.record.exchange import Inventory, SetPoint
from twin.record.onboarding import ALWAYS_MS, FOREVER_MS, STEPS, Onboarding, column
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

NOON = 12 * HOUR_MS
PLAIN = make_inventory()
DR = Order("dr", 0, OrderKind.DEMAND_RESPONSE, OrderForm.REDUCTION, 5.0, 0,
           NOON, NOON + 10 * MINUTE_MS, NOON + 20 * MINUTE_MS, NOON + 50 * MINUTE_MS)  # fmt: skip
LM = Order("lm", 0, OrderKind.LOAD_MANAGEMENT, OrderForm.REDUCTION, 30.0, 1,
           NOON, NOON + 15 * MINUTE_MS, NOON + 20 * MINUTE_MS, NOON + 45 * MINUTE_MS,
           10.0)  # fmt: skip


def stepped(given: Inventory, times: dict[str, dict[str, np.ndarray]]) -> Inventory:
    """Return `given` with the moments of steps by kind; steps not given were always taken."""
    kinds = dict(given.kinds)
    for name, moments in times.items():
        n = kinds[name].n
        columns = {
            column(step): moments.get(
                step, np.full(n, FOREVER_MS if step in ("suspended", "resumed") else ALWAYS_MS)
            )
            for step in STEPS
        }
        kinds[name] = replace(kinds[name], columns=Columns({**kinds[name].columns, **columns}))
    return replace(given, kinds=kinds)


def random_steps(seed: int, n: int, from_ms: int, to_ms: int) -> dict[str, np.ndarray]:
    """Return moments that rise from step to step, the last ones often never reached."""
    draw = np.random.Generator(np.random.Philox(seed))
    moments = np.sort(draw.integers(from_ms, to_ms, (len(STEPS), n)), axis=0)
    reached = draw.integers(1, len(STEPS) + 1, n)
    moments[np.arange(len(STEPS))[:, None] >= reached] = FOREVER_MS
    return dict(zip(STEPS, moments, strict=True))


@given(seed=st.integers(0, 2**31), now_ms=st.integers(0, 1000), point=st.sampled_from(
    ["power_kw", "limit_kw", "release", "circuit_1", "warning"]
))  # fmt: skip
def test_the_gate_opens_for_the_live_only(seed: int, now_ms: int, point: str) -> None:
    inventory = stepped(PLAIN, {"storage": random_steps(seed, PLAIN.kinds["storage"].n, 0, 1000)})
    columns = inventory.kinds["storage"].columns
    draw = np.random.Generator(np.random.Philox(seed))
    rows = np.flatnonzero(draw.random(columns.n) < 0.7)
    values = draw.integers(0, 2, len(rows)).astype(float)
    other = SetPoint("aircon", "limit_kw", np.array([1]), np.array([0.0]))
    out = Gate(inventory).let(now_ms, [SetPoint("storage", point, rows, values), other])
    assert out[-1] is other
    heard = out[0] if len(out) > 1 else replace(other, rows=rows[:0], values=values[:0])
    now = state(columns, now_ms)
    assert np.isin(heard.rows, rows).all()
    is_live = live(columns, now_ms)
    assert set(rows[is_live[rows]]) <= set(heard.rows)
    rest = ~is_live[heard.rows]
    assert (now[heard.rows[rest]] == Onboarding.SUSPENDED).all()
    if point in ("power_kw", "limit_kw"):
        assert not rest.any()
    else:
        assert (heard.values[rest] == (0.0 if point == "warning" else 1.0)).all()
    assert np.array_equal(is_live, now == Onboarding.LIVE)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), order=st.sampled_from([DR, LM]))
def test_set_points_never_go_to_a_device_that_is_not_live(seed: int, order: Order) -> None:
    """Stations come in and are suspended while an order runs."""
    from_ms, to_ms = NOON - 30 * MINUTE_MS, NOON + 80 * MINUTE_MS
    kinds = {k: v.n for k, v in PLAIN.kinds.items() if k not in ("meter", "city")}
    inventory = stepped(
        PLAIN,
        {k: random_steps(seed + i, n, from_ms, to_ms) for i, (k, n) in enumerate(kinds.items())},
    )
    city, logic = FakeCity(inventory, NOON - 5 * MINUTE_MS), Platform()
    logic.start(inventory, make_calendar())
    notice = Notice(order.notice_ms, NoticeKind.ORDER, order)
    written = 0
    while city.now_ms < order.end_ms + 20 * MINUTE_MS:
        news = [notice] if city.now_ms == order.notice_ms else []
        actions = logic.digest(city.now_ms, city.readings(logic.plan(city.now_ms)), news)
        for write in actions.setpoints:
            now = state(inventory.kinds[write.kind].columns, city.now_ms)[write.rows]
            back = now == Onboarding.SUSPENDED
            if write.point == "warning":
                assert (write.values[back] == 0.0).all()
            elif back.any():
                assert write.point == "release" or write.point.startswith("circuit_")
                assert (write.values[back] == 1.0).all()
            assert (now[~back] == Onboarding.LIVE).all(), (write.kind, write.point)
            written += len(write.rows)
        city.apply(actions.setpoints)
        city.step()
    assert written > 0


def test_everybody_live_from_the_start_changes_nothing() -> None:
    """Registered moments that are all past give the same writes, bit for bit."""
    writes = []
    kinds = ("storage", "charging", "terminal", "aircon")
    for inventory in (PLAIN, stepped(PLAIN, {k: {} for k in kinds})):
        city, logic = FakeCity(inventory, NOON - 5 * MINUTE_MS), Platform()
        logic.start(inventory, make_calendar())
        notice = Notice(DR.notice_ms, NoticeKind.ORDER, DR)
        demand, _ = run(city, logic, NOON + 30 * MINUTE_MS, [notice])
        writes.append(demand)
    assert np.array_equal(writes[0], writes[1])


def test_states_are_reported_when_they_change() -> None:
    n = PLAIN.kinds["storage"].n
    live_ms = np.where(np.arange(n) < 3, 100, ALWAYS_MS)
    gate = Gate(stepped(PLAIN, {"storage": {"live": live_ms}}))
    first = gate.report(0)
    assert first is not None
    of_storage = (first["kind"] == "storage") & (first["state"] == Onboarding.CERTIFIED)
    assert first["count"][of_storage].tolist() == [3]
    assert gate.report(99) is None
    later = gate.report(100)
    assert later is not None
    assert set(later["kind"]) == {"storage"}
    assert later["count"].tolist() == [0, 0, 0, 0, n, 0]
