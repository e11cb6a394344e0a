"""Rows of an order of 10 MW on the world of tests/control/market_world.py.

Awarded are 6 and 4 MW to sites 0 and 1 (VPP 0) and, for the margin, 2 MW to site 2 (VPP 1), so
that 5, 3.33 and 1.67 MW are called. Given are 5, 2 and 1.5 MW from the deadline at 13:15.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.control.market_world import CAPABILITY, calendar, inventory, order
from twin.clock import MINUTE_MS
from twin.control.market.auction import Market
from twin.control.settlement import Settlement
from twin.record.market import market_rules

GIVEN = {"storage": np.array([5000.0, 2000.0, 1500.0, 0.0]), "icestore": np.zeros(2)}
ORDER = order(10.0)


def booked(minutes: int, **rules: object) -> Settlement:
    given = inventory()
    market = Market(given, calendar(), replace(market_rules(), reserve_margin=0.2, **rules))  # type: ignore[arg-type]
    market.followed = True
    market.clear(ORDER.notice_ms, ORDER, CAPABILITY)
    levers = SimpleNamespace(kinds=market.kinds, reduction_kw=lambda kind, fleet: GIVEN[kind])
    response = SimpleNamespace(
        name="r", levers=levers, up=CAPABILITY, numbers=SimpleNamespace(target_kw=10_200.0)
    )
    made = Settlement(given, response, market)  # type: ignore[arg-type]
    for minute in times(minutes):
        made.count(minute, ORDER, None, MINUTE_MS)  # type: ignore[arg-type]
    return made


def times(minutes: int) -> Iterator[int]:
    """From the order's start: nothing counts before the deadline."""
    yield from range(ORDER.start_ms, ORDER.full_by_ms + minutes * MINUTE_MS, MINUTE_MS)


def by_site(rows: list) -> dict[int, dict]:  # type: ignore[type-arg]
    return {r["site"]: r for r in rows if r["site"] >= 0}


def test_two_quarters_by_hand() -> None:
    made = booked(35)  # the third quarter was cut short: it is not settled
    rows = made.close("five")
    sites, vpps = by_site(rows), {r["aggregator"]: r for r in rows if r["site"] == -1}
    assert [sites[s]["ordered_kwh"] for s in (0, 1, 2)] == pytest.approx([2500, 1666.667, 833.333])
    assert [sites[s]["delivered_kwh"] for s in (0, 1, 2)] == pytest.approx([2500.0, 1000.0, 750.0])
    # VPP 0 gave 84 % of its call, VPP 1 90 %: both are valid, at the dearest accepted bid.
    assert vpps[0]["delivered_share"] == pytest.approx(0.84)
    assert vpps[0]["paid_cny"] == pytest.approx(3500.0 * 0.9)
    assert vpps[1]["paid_cny"] == pytest.approx(750.0 * 0.9)
    assert {r["penalty_cny"] for r in rows} == {0.0}
    assert {r["hours"] for r in rows} == {0.5}
    assert {r["baseline"] for r in rows} == {"counterfactual"}
    quarters = made.take_reports()["settlement_quarter"]
    assert quarters["paid_cny"].sum() == pytest.approx(4250.0 * 0.9)
    assert made.close("five") == []


def test_a_stricter_window_and_own_prices() -> None:
    rows = booked(30, valid_from=0.9, pricing="pay_as_bid", penalty_factor=1.0).close("five")
    vpps = {r["aggregator"]: r for r in rows if r["site"] == -1}
    assert vpps[0]["paid_cny"] == 0.0
    assert vpps[0]["penalty_cny"] == pytest.approx(0.8 * 666.67, abs=0.1)
    assert vpps[1]["paid_cny"] == pytest.approx(0.9 * 750.0)
    assert by_site(rows)[1]["penalty_cny"] == pytest.approx(0.8 * 666.67, abs=0.1)


def test_by_the_events_baseline_where_there_is_a_history() -> None:
    made = booked(45)
    asked = []

    def meters(method: str, first: int, quarters: int) -> tuple[np.ndarray, np.ndarray]:
        asked.append((method, first, quarters))
        metered = np.full((quarters, 6), 1000.0)
        base = np.tile([5000.0, 5000.0, np.nan, 9e9, 9e9, 9e9], (quarters, 1))
        return base, metered

    made.meters = meters
    rows = made.close("five")
    assert asked == [("guangzhou_2021", 53, 3)]  # from 13:15
    sites = by_site(rows)
    assert set(sites) == {0, 1, 2}  # others take no part, whatever their meters show
    assert [sites[s]["delivered_kwh"] for s in (0, 1)] == pytest.approx([3000.0, 3000.0])
    # Site 2 was not metered on the days before: what the platform saw counts.
    assert sites[2]["delivered_kwh"] == pytest.approx(1125.0)
    assert [sites[s]["baseline"] for s in (0, 2)] == ["guangzhou_2021", "counterfactual"]


def test_rows_of_sites_add_up_to_those_of_vpps() -> None:
    rows = booked(50).close("five")
    for name in ("ordered_kwh", "delivered_kwh", "paid_cny", "penalty_cny"):
        parts = sum(r[name] for r in rows if r["site"] >= 0)  # type: ignore[misc]
        whole = sum(r[name] for r in rows if r["site"] == -1)  # type: ignore[misc]
        assert parts == pytest.approx(whole, abs=1e-6), name
