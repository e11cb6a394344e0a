"""Said against held: hand-made calls with known errors."""

from __future__ import annotations

import numpy as np
import pytest

from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory
from twin.record.history import History
from twin.record.orders import Order, OrderForm, OrderKind
from twin.record.quarters import Quarters
from twin.verify.flexibility import Held, held_by_kind, summary

DOWN, UP = OrderForm.INCREASE, OrderForm.REDUCTION


def held(said: list[float], shown: list[float], group: list[int] | None = None) -> Held:
    n = len(said)
    place = np.arange(n) if group is None else np.array(group)
    return Held(np.array(said), np.array(shown), np.full(n, 100.0), place.astype(np.int64))


def test_the_median_weighs_groups_with_their_devices() -> None:
    # Group 0: three devices, +50 %; group 1: one device, exact.
    found = summary([held([50.0, 50.0, 50.0, 40.0], [30.0, 30.0, 40.0, 40.0], [0, 0, 0, 1])])
    assert found["median_error_pct"] == pytest.approx(50.0)
    assert found["signed_error_pct"] == pytest.approx(100.0 * 50.0 / 140.0)
    assert found["device_median_error_pct"] == pytest.approx(45.8333, abs=0.01)
    assert found["connected_mw"] == pytest.approx(0.4)
    assert (found["said_mw"], found["held_mw"]) == pytest.approx((0.19, 0.14))


def test_of_a_kind_each_call_counts_once() -> None:
    """Errors of the fleet: +20, -10 and +40 %; a call in which it held next to nothing is none."""
    calls = [
        held([60.0, 60.0], [20.0, 80.0]), held([45.0, 45.0], [50.0, 50.0]),
        held([70.0, 70.0], [50.0, 50.0]), held([9.0, 9.0], [0.5, 0.5]),
    ]  # fmt: skip
    assert summary(calls)["kind_median_error_pct"] == pytest.approx(20.0)
    assert summary(calls[3:])["kind_median_error_pct"] is None


def test_too_little_and_too_much_do_not_cancel_in_the_median() -> None:
    found = summary([held([50.0, 150.0], [100.0, 100.0])])
    assert found["signed_error_pct"] == pytest.approx(0.0)
    assert found["median_error_pct"] == pytest.approx(50.0)


def test_where_there_is_nothing_to_hold_there_is_no_error() -> None:
    found = summary([held([1.0, 20.0], [4.9, 10.0])])
    assert (found["groups"], found["groups_with_nothing"]) == (1, 1)
    assert found["median_error_pct"] == pytest.approx(100.0)
    nothing = summary([held([0.0], [0.9])])
    assert nothing["median_error_pct"] is None
    assert nothing["signed_error_pct"] is None
    assert summary([]) == {}


def test_said_without_anything_held_is_an_error_against_the_floor() -> None:
    assert summary([held([50.0], [-3.0])])["median_error_pct"] == pytest.approx(1060.0)


def order(form: OrderForm) -> Order:
    return Order("q", 0, OrderKind.SUSTAINED, form, None, 0, 0, 0, 15 * MINUTE_MS,
                 75 * MINUTE_MS)  # fmt: skip


def record(kw: list[float], minutes: int = 90) -> History:
    history = History(0, 120, ("load_mw",), {"site.demand_kw": (2, "f4")})
    history.quarters = Quarters(0, 2 * HOUR_MS, {"storage": len(kw)})
    for minute in range(minutes):
        history.quarters.add(minute * MINUTE_MS, "storage", np.array(kw), 60)
        history.close_minute()
    return history


def inventory() -> Inventory:
    storage = {"site": np.arange(2), "district": np.array([0, 1]), "rated_kw": np.full(2, 100.0)}
    kinds = {"storage": KindInventory("storage", (), (), Columns(storage))}
    sites = Columns({"aggregator": np.array([3, 3])})
    return Inventory(1.0, ("a", "b"), ("x",), sites, kinds)


@pytest.mark.parametrize(("form", "held_kw"), [(UP, [50.0, -10.0]), (DOWN, [-50.0, 10.0])])
def test_what_was_held_is_the_difference_of_the_two_runs(form, held_kw) -> None:  # type: ignore[no-untyped-def]
    call, base = record([30.0, 0.0]), record([-20.0, 10.0])
    told = {"order": np.array(["q", "q", "other"]), "kind": np.array(["storage"] * 3),
            "row": np.array([0, 1, 0]), "connected_kw": np.full(3, 100.0),
            "held_kw": np.array([45.0, 5.0, 99.0])}  # fmt: skip
    call.add_events("report.capability_device", told)
    found = held_by_kind(call, base, order(form), inventory())["storage"]
    assert found.held_kw == pytest.approx(held_kw, abs=1e-4)
    assert found.said_kw.tolist() == [45.0, 5.0]
    assert len(set(found.group.tolist())) == 2  # two districts of one aggregator


def test_a_run_that_ends_before_the_window_or_says_nothing_shows_nothing() -> None:
    assert held_by_kind(record([0.0, 0.0]), record([0.0, 0.0]), order(UP), inventory()) == {}
    told = {"order": np.array(["q"]), "kind": np.array(["storage"]), "row": np.array([0]),
            "connected_kw": np.ones(1), "held_kw": np.ones(1)}  # fmt: skip
    call = record([0.0, 0.0], minutes=60)
    call.add_events("report.capability_device", told)
    assert held_by_kind(call, record([0.0, 0.0]), order(UP), inventory()) == {}
