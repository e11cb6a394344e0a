"""From a scenario's ``[history]`` and ``[[gaming]]`` to days, weather and gaming owners."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator
from twin.city.calendar_days import Days, build_days
from twin.city.districts import SECTORS
from twin.city.weather import Weather, build_weather
from twin.clock import DAY_MS, HOUR_MS, parse_time_of_day
from twin.engine.gaming import Gamers
from twin.errors import Problem
from twin.record.exchange import Inventory
from twin.record.orders import Order, OrderKind
from twin.scenario.files import resolve
from twin.scenario.history_schema import GamingSection
from twin.scenario.schema import Scenario

__all__ = ["days_of", "gamers_of", "gaming_problems", "weather_of"]


def weather_of(scenario: Scenario, path: Path, day: date, districts: int) -> Weather:
    """Return the weather of the day and of those before it; its chance is the run's.

    A history of n days is begun one day earlier, so that its first morning is warm as well.
    """
    weather = scenario.weather
    return build_weather(
        day,
        weather.day,
        scenario.seed if weather.seed is None else weather.seed,
        districts,
        epw=None if weather.epw is None else resolve(path, weather.epw),
        offset_c=weather.offset_c,
        before=scenario.history.days + 1,
    )


def days_of(scenario: Scenario, day: date, weather: Weather) -> Days | None:
    """Return the calendar of the run's days, None where there is no history."""
    if scenario.history.days == 0:
        return None
    return build_days(day, scenario.history.days + 1, weather.daily_max_c())


def gaming_problems(
    gaming: Sequence[GamingSection], file: str, inventory: Inventory
) -> list[Problem]:
    """Return the rows that mean no site at all."""
    return [
        Problem(
            file,
            f"gaming.{i}",
            f"kind {row.kind or 'any'}, sector {row.sector or 'any'}",
            "at least one enrolled site",
        )
        for i, row in enumerate(gaming)
        if not _meant(row, inventory).any()
    ]


def _meant(row: GamingSection, inventory: Inventory) -> NDArray[np.bool_]:
    """Return bool[sites]: the sites of which a share games."""
    sites = inventory.sites
    meant = sites.flag("enrolled").copy()
    if row.sector is not None:
        meant &= sites.i8("sector") == SECTORS.index(row.sector)
    if row.kind is not None:
        there = np.zeros(sites.n, np.bool_)
        if row.kind in inventory.kinds:
            columns = inventory.kinds[row.kind].columns
            there[columns.i8("site")[columns.flag("enrolled")]] = True
        meant &= there
    return meant


def gamers_of(
    scenario: Scenario, inventory: Inventory, orders: Sequence[Order], days: Days | None
) -> tuple[Gamers, ...]:
    """Return who games when; which sites do is keyed by the run's seed, none in two groups."""
    groups: list[Gamers] = []
    free = np.ones(inventory.sites.n, np.bool_)
    for number, row in enumerate(scenario.gaming):
        meant = _meant(row, inventory)
        sites = np.flatnonzero(meant & free)
        order = generator(scenario.seed, "gaming", number).permutation(len(sites))
        chosen = np.sort(sites[order[: max(round(row.share * int(meant.sum())), 1)]])
        free[chosen] = False
        windows = _day_windows(row, scenario.history.days, days) + _order_windows(row, orders)
        groups.append(Gamers(chosen, row.uplift, tuple(windows)))
    return tuple(groups)


def _day_windows(row: GamingSection, count: int, days: Days | None) -> list[tuple[int, int]]:
    if "days" not in row.when or days is None:
        return []
    at, until = parse_time_of_day(row.at), parse_time_of_day(row.until)
    return [
        (-back * DAY_MS + at, -back * DAY_MS + until)
        for back in range(count, 0, -1)
        if days.workday[days.row(-back * DAY_MS)]
    ]


def _order_windows(row: GamingSection, orders: Sequence[Order]) -> list[tuple[int, int]]:
    if "same_day" not in row.when:
        return []
    before_ms = round(row.same_day_h * HOUR_MS)
    return [
        (order.start_ms - before_ms, order.start_ms)
        for order in orders
        if order.kind is OrderKind.DEMAND_RESPONSE
    ]
