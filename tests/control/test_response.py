"""The 5 % order on a small linear city, held against its exact counterfactual."""

from __future__ import annotations

import numpy as np
import pytest
from fakecity import FakeCity, make_calendar, make_inventory, run

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.platform import Platform
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

INVENTORY, CALENDAR = make_inventory(), make_calendar()
NOTICE, START, FULL, END = 12 * HOUR_MS, 13 * HOUR_MS, 13 * HOUR_MS + 15 * MINUTE_MS, 14 * HOUR_MS


def order(mw: float | None, form: OrderForm = OrderForm.REDUCTION, **other: int) -> Order:
    kind = OrderKind.CAPABILITY if mw is None else OrderKind.DEMAND_RESPONSE
    times = {"notice_ms": NOTICE, "start_ms": START, "full_by_ms": FULL, "end_ms": END} | other
    return Order("o", 0, kind, form, mw, 0, **times)


def platform() -> Platform:
    logic = Platform()
    logic.start(INVENTORY, CALENDAR)
    return logic


@pytest.fixture(scope="module")
def before() -> tuple[FakeCity, bytes]:
    """City and logic at the notice."""
    city, logic = FakeCity(INVENTORY, 11 * HOUR_MS), platform()
    run(city, logic, NOTICE)
    return city, logic.save()


@pytest.fixture(scope="module")
def base(before: tuple[FakeCity, bytes]) -> np.ndarray:
    """Demand without the order, from the notice to 18:00 [MW]."""
    city = before[0].fork()
    return run(city, None, 18 * HOUR_MS)[0] / 1000.0


def with_order(before, notices, until_ms, lost=None):  # type: ignore[no-untyped-def]
    city, logic = before[0].fork(), platform()
    logic.load(before[1])
    if lost is not None:
        city.lost = lost
    demand, reports = run(city, logic, until_ms, notices)
    return demand / 1000.0, reports, city


def minutes(at_ms: int) -> int:
    return (at_ms - NOTICE) // MINUTE_MS


def quarters(values: np.ndarray, first_ms: int, last_ms: int) -> np.ndarray:
    part = values[minutes(first_ms) : minutes(last_ms)]
    return part[: len(part) // 15 * 15].reshape(-1, 15).mean(axis=1)


@pytest.fixture(scope="module")
def held(before):  # type: ignore[no-untyped-def]
    """A run under an order of 12 MW."""
    return with_order(before, [Notice(NOTICE, NoticeKind.ORDER, order(12.0))], 18 * HOUR_MS)


def test_order_is_held(base: np.ndarray, held) -> None:  # type: ignore[no-untyped-def]
    cut = base - held[0]
    means = quarters(cut, FULL, END)
    assert means.min() >= 0.95 * 12.0
    assert means.max() <= 1.10 * 12.0
    error = np.abs(cut[minutes(FULL) : minutes(END)] - 12.0) / 12.0
    assert np.percentile(error, 95) <= 0.10


def test_own_baseline_is_near_the_counterfactual(base, held) -> None:  # type: ignore[no-untyped-def]
    cut = base - held[0]
    # A figure given at a digest is about the minute before it.
    believed = np.array([r.figures["delivered_mw"] for r in held[1]])[minutes(FULL) + 1 :]
    true = cut[minutes(FULL) :]
    window = minutes(END) - minutes(FULL)
    assert np.percentile(np.abs(believed[: window - 1] - true[: window - 1]), 95) <= 0.08 * 12.0


def test_nothing_before_the_start_but_kept_charge(base, held) -> None:  # type: ignore[no-untyped-def]
    assert (base - held[0])[: minutes(START)].max() <= 0.01 * 12.0


def test_rebound_and_peak(base: np.ndarray, held) -> None:  # type: ignore[no-untyped-def]
    back = -quarters(base - held[0], END, 18 * HOUR_MS)
    assert back.max() <= 0.40 * 12.0
    assert held[0][minutes(END) :].max() <= base.max()


def test_zone_drift_and_comfort(before, held) -> None:  # type: ignore[no-untyped-def]
    city, logic = before[0].fork(), platform()
    logic.load(before[1])
    zones = []
    while city.now_ms < END + HOUR_MS:
        news = [Notice(NOTICE, NoticeKind.ORDER, order(12.0))] if city.now_ms == NOTICE else []
        city.apply(
            logic.digest(city.now_ms, city.readings(logic.plan(city.now_ms)), news).setpoints
        )
        city.step()
        zones.append(city.zone.copy())
    zone = np.array(zones)
    assert zone.max() <= 28.0
    assert np.percentile(zone[60:] - zone[:-60], 95) <= 1.0


def test_promises_at_charging_stations_are_kept(before) -> None:  # type: ignore[no-untyped-def]
    """Nobody who waits at a post is slowed down; others keep room for one more vehicle."""
    _, _, city = with_order(before, [Notice(NOTICE, NoticeKind.ORDER, order(None))], FULL)
    columns = INVENTORY.kinds["charging"].columns
    limit, waits = city.value("charging", "limit_kw"), columns.i8("use") == 0
    assert np.isnan(limit[waits]).all()
    assert np.isfinite(limit[~waits]).any()
    reading = city.readings(["charging"])["charging"].value
    least = reading[INVENTORY.kinds["charging"].point("minimum_kw")]
    free = reading[INVENTORY.kinds["charging"].point("demand_free_kw")]
    held = np.isfinite(limit) & (limit < free)
    assert (limit >= least + 0.9 * columns.f8("post_kw"))[held].all()


def test_everything_is_given_back(held) -> None:  # type: ignore[no-untyped-def]
    city = held[2]
    for (kind, point), value in city.set.items():
        if point != "release" and kind != "terminal":
            assert np.isnan(value).all(), f"{kind}.{point} is still held"


def test_capability_call_is_sustained(before, base: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    notices = [Notice(NOTICE, NoticeKind.ORDER, order(None))]
    demand, reports, _ = with_order(before, notices, END + HOUR_MS)
    means = quarters(base[: len(demand)] - demand, FULL, END)
    assert means.min() >= 25.0  # storage alone would have 17 MW not charged
    assert means.max() <= 1.25 * means.min()  # level, not a peak and a hole
    estimate = reports[minutes(FULL)].figures["capability_mw"]
    assert estimate == pytest.approx(means.mean(), rel=0.35)


def test_cap_is_kept(before, base: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    top = base[minutes(FULL) : minutes(END)].max()
    notices = [Notice(NOTICE, NoticeKind.ORDER, order(top - 10.0, OrderForm.CAP))]
    demand, _, _ = with_order(before, notices, END)
    means = quarters(demand, FULL, END)
    assert means.max() <= top - 10.0
    assert means.min() >= 0.97 * min(top - 10.0, base[minutes(FULL) :].min())


def test_change_and_cancellation(before, base: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    at, off = START + 25 * MINUTE_MS, START + 45 * MINUTE_MS
    bigger = Order("o", 1, OrderKind.DEMAND_RESPONSE, OrderForm.REDUCTION, 16.0, 0,
                   NOTICE, START, FULL, END)  # fmt: skip
    notices = [
        Notice(NOTICE, NoticeKind.ORDER, order(8.0)),
        Notice(at, NoticeKind.CHANGE, bigger),
        Notice(off, NoticeKind.CANCELLATION, bigger),
    ]
    demand, reports, _ = with_order(before, notices, 16 * HOUR_MS)
    cut = base[: len(demand)] - demand
    assert cut[minutes(at) - 5 : minutes(at)].mean() == pytest.approx(8.0, rel=0.1)
    assert cut[minutes(at) + 10 : minutes(off)].mean() == pytest.approx(16.0, rel=0.1)
    assert cut[minutes(off) + 90 :].max() < 4.0
    assert sum(len(r.settlement) > 0 for r in reports) == 1


def test_lost_contact_is_made_up(before, base: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    lost = {k: np.arange(v.n) % 10 == 4 for k, v in INVENTORY.kinds.items() if k != "terminal"}
    notices = [Notice(NOTICE, NoticeKind.ORDER, order(12.0))]
    demand, _, _ = with_order(before, notices, END, lost)
    means = quarters(base[: len(demand)] - demand, FULL, END)
    assert means.min() >= 0.95 * 12.0


def test_settlement_adds_up(held) -> None:  # type: ignore[no-untyped-def]
    rows = [row for r in held[1] for row in r.settlement]
    agents = [r for r in rows if r["site"] == -1]
    sites = [r for r in rows if r["site"] != -1]
    assert {r["aggregator"] for r in agents} == {0, 1, 2, 3}
    for key in ("ordered_kwh", "delivered_kwh"):
        total = sum(float(r[key]) for r in agents)
        assert total == pytest.approx(sum(float(r[key]) for r in sites), rel=1e-3)
    assert sum(float(r["delivered_kwh"]) for r in agents) == pytest.approx(9_000.0, rel=0.1)
    assert all(0.0 <= float(r["valid_share"]) <= 1.2 + 1e-3 for r in agents)


def test_impossible_order_gives_what_there_is(before, base: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    notices = [Notice(NOTICE, NoticeKind.ORDER, order(500.0))]
    demand, reports, _ = with_order(before, notices, END)
    means = quarters(base[: len(demand)] - demand, FULL, END)
    assert means.min() >= 15.0
    assert reports[minutes(FULL) + 5].figures["capability_mw"] < 100.0


def test_what_batteries_cannot_do_is_not_summed_up(before: tuple[FakeCity, bytes]) -> None:
    """Far beyond everything there is: the shortfall is told, and no correction is wound up."""
    city, logic = before[0].fork(), platform()
    logic.load(before[1])
    run(city, logic, END - 5 * MINUTE_MS, [Notice(NOTICE, NoticeKind.ORDER, order(200.0))])
    numbers = logic.response.numbers
    assert numbers.short_kw > 50_000.0
    assert abs(numbers.correction_kw) < 0.02 * 200_000.0
