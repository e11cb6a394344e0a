"""What stations of a use draw at a time of day: yesterday's means, and what weeks of meters add."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from fakecity import make_calendar, make_inventory

from twin.clock import DAY_MS, HOUR_MS, MINUTE_MS
from twin.control.capability.metered_days import unusual_share
from twin.control.capability.owner_plans import OwnerPlans
from twin.control.supervision.fleet import Supervision
from twin.record.columns import Columns
from twin.record.exchange import Calendar, Inventory
from twin.record.metering import MeterHistory

QUARTER_MS = 15 * MINUTE_MS


def curve(at_ms: float) -> float:
    """Share of the rating that is drawn: up to noon, then down."""
    hour = at_ms / HOUR_MS % 24.0
    return 0.02 * min(hour, 24.0 - hour)


def watched(plans: OwnerPlans, inventory: Inventory, begin_ms: int, end_ms: int, by: float) -> None:
    """Have `plans` read the stations every five minutes; each reading shows the minute before."""
    n = inventory.kinds["charging"].n
    rated = inventory.kinds["charging"].columns.f8("rated_kw")
    for now_ms in range(begin_ms + 5 * MINUTE_MS, end_ms + 1, 5 * MINUTE_MS):
        share = by * curve(now_ms - MINUTE_MS / 2)
        watch = SimpleNamespace(
            fresh=lambda now, age: np.ones(n, np.bool_), get=lambda name, s=share: -s * rated
        )
        fleet = cast("Supervision", SimpleNamespace(watch={"charging": watch}))
        plans.learn(now_ms, fleet, lambda kind: np.zeros(n, np.bool_), ["charging"])


def test_a_day_ago_is_told_between_the_quarters_and_today_does_not_hide_it() -> None:
    inventory = make_inventory()
    plans = OwnerPlans(inventory, make_calendar())
    watched(plans, inventory, -DAY_MS, 0, 1.0)
    watched(plans, inventory, 0, 18 * HOUR_MS + 7 * MINUTE_MS, 3.0)  # thrice as much today
    for at_ms in (8 * HOUR_MS, 17 * HOUR_MS + 3 * MINUTE_MS, 18 * HOUR_MS, 21 * HOUR_MS + 41_000):
        told = plans.drawn_share("charging", at_ms)
        # Readings are on average two minutes before the middle of the quarter they count for.
        assert told == pytest.approx(np.full(3, curve(at_ms)), abs=0.02 * 3.0 / 60.0)
    watched(plans, inventory, 18 * HOUR_MS + 7 * MINUTE_MS, DAY_MS, 3.0)
    tomorrow = plans.drawn_share("charging", DAY_MS + 8 * HOUR_MS)
    assert tomorrow == pytest.approx(np.full(3, 3.0 * curve(8 * HOUR_MS)), rel=0.02)


def test_what_was_never_seen_is_not_told() -> None:
    inventory = make_inventory()
    plans = OwnerPlans(inventory, make_calendar())
    watched(plans, inventory, -DAY_MS, -12 * HOUR_MS, 1.0)
    assert np.isfinite(plans.drawn_share("charging", 10 * HOUR_MS)).all()
    assert np.isnan(plans.drawn_share("charging", 13 * HOUR_MS)).all()


# -- meters of the days before ---------------------------------------------------------------------


def metered(inventory: Inventory, day_kw: list[float], workday: list[bool]) -> Calendar:
    """Return a calendar whose meters showed the same all day, `day_kw` each."""
    days = len(day_kw)
    demand = np.empty((days, 96, inventory.sites.n), np.float32)
    demand[:] = np.array(day_kw, np.float32)[:, None, None]
    demand[:, :, 2] = np.nan  # one that is not metered
    history = MeterHistory(
        demand, np.array(workday), np.full((days, 96), 30.0), np.arange(-days, 0)
    )
    return dataclasses.replace(make_calendar(), history=history)


def two_sites() -> Inventory:
    """Stations at sites 0 to 3, a building at site 1 as well."""
    inventory = make_inventory({"terminal": 4, "charging": 4, "aircon": 1})
    kinds = dict(inventory.kinds)
    for name, sites in (("charging", [0, 1, 2, 3]), ("aircon", [1])):
        columns = dict(kinds[name].columns.items())
        columns["site"] = np.array(sites)
        kinds[name] = dataclasses.replace(kinds[name], columns=Columns(columns, len(sites)))
    return dataclasses.replace(inventory, kinds=kinds)


def test_an_unusual_yesterday_is_told_from_meters_of_sites_with_nothing_else() -> None:
    inventory = two_sites()
    use = np.array([0, 0, 0, 1])
    calendar = metered(inventory, [100.0, 500.0, 110.0, 180.0], [True, False, True, True])
    found = unusual_share(inventory, calendar, "charging", use, 3)
    assert found is not None
    # Site 0 alone stands for use 0: a mean workday is 130 kW, yesterday had 180, rated 500.
    assert found[:, 0] == pytest.approx(np.full(96, -0.1))
    assert found[:, 1] == pytest.approx(np.full(96, -0.1))
    assert (found[:, 2] == 0.0).all()


@pytest.mark.parametrize("workday", [[True, True, False], [False, False, False]])
def test_a_yesterday_of_another_sort_tells_nothing(workday: list[bool]) -> None:
    inventory = two_sites()
    calendar = metered(inventory, [100.0, 100.0, 180.0], workday)
    assert unusual_share(inventory, calendar, "charging", np.zeros(4, np.int64), 3) is None
    assert unusual_share(inventory, make_calendar(), "charging", np.zeros(4, np.int64), 3) is None


def test_plans_take_out_what_was_unusual() -> None:
    inventory = two_sites()
    plans = OwnerPlans(inventory, metered(inventory, [100.0, 100.0, 160.0], [True, True, True]))
    watched(plans, inventory, -DAY_MS, 0, 1.0)
    use = plans.use["charging"][0]
    told = plans.drawn_share("charging", 12 * HOUR_MS + QUARTER_MS // 2)[use]
    assert told == pytest.approx(curve(12 * HOUR_MS) - 40.0 / 500.0, abs=0.005)
    assert (plans.drawn_share("charging", 1) >= 0.0).all()
    # The day after next is counted from today, of which no meter of another day says anything.
    watched(plans, inventory, 0, DAY_MS, 1.0)
    told = plans.drawn_share("charging", DAY_MS + 12 * HOUR_MS + QUARTER_MS // 2)[use]
    assert told == pytest.approx(curve(12 * HOUR_MS), abs=0.005)
