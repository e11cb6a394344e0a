"""Finds everything wrong in all the files of a scenario, where the first was found.

A sound scenario never comes here: its files are read once, by those who need them. As soon as
one thing is wrong, the others are looked at as well, so that all of it is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from twin.city.districts import read_districts
from twin.city.epw import read_epw_days
from twin.city.own_files import fleet_problems, read_load_shape, read_sites, site_names
from twin.city.sites import SiteBook
from twin.city.supply_chain import chain_problems
from twin.errors import InputProblems, Problem
from twin.grid import from_pandapower
from twin.scenario.load_schema import LoadManagementSection, load_rules
from twin.scenario.schema import Scenario
from twin.scenario.timetable import branch_problems, order_problems

FILE_KEYS = (
    "city.network", "city.sites", "city.fleet", "city.load", "city.chain", "weather.epw",
    "load_management.measures", "load_management.ledger",
)  # fmt: skip
T = TypeVar("T")


def attempt(found: list[Problem], work: Callable[[], T]) -> T | None:
    """Return what `work` returns, or None after noting in `found` what was wrong."""
    try:
        return work()
    except InputProblems as error:
        found.extend(error.problems)
        return None


def distinct(problems: Sequence[Problem], scenario_file: str) -> list[Problem]:
    """Return each problem once; those of the scenario itself name its file."""
    named = [
        Problem(scenario_file, p.place, p.value, p.allowed) if p.file == "scenario" else p
        for p in problems
    ]
    return list(dict.fromkeys(named))


def scenario_files(scenario: Scenario) -> dict[str, str]:
    """Return the file names that a scenario gives, by their key."""
    city = scenario.city
    given = (
        city.network, city.sites, city.fleet, city.load, city.chain, scenario.weather.epw,
        scenario.load_management.measures, scenario.load_management.ledger,
    )  # fmt: skip
    return {key: name for key, name in zip(FILE_KEYS, given, strict=True) if name is not None}


def file_problems(
    path: Path,
    named: Mapping[str, str],
    districts: Sequence[str] | None,
    scenario: Scenario | None = None,
) -> list[Problem]:
    """Return what is wrong in the files that a scenario names, as far as each can be read alone.

    Parameters
    ----------
    path : the scenario file
    named : file names by their key in the scenario; the files exist
    districts : names that the scenario gives, None for all
    scenario : where it is sound itself, checks its names and sizes against the files
    """
    found: list[Problem] = []
    chosen = attempt(found, lambda: read_districts(districts))
    places = read_districts() if chosen is None else chosen
    at = {key: path.parent / value for key, value in named.items()}
    epw, load = at.get("weather.epw"), at.get("city.load")
    if epw is not None:
        attempt(found, lambda: read_epw_days(epw))
    shape = None if load is None else attempt(found, lambda: read_load_shape(load))
    rules = LoadManagementSection(
        measures=named.get("load_management.measures"), ledger=named.get("load_management.ledger")
    )
    attempt(found, lambda: load_rules(rules, path.parent, None))
    sites, fleet = at.get("city.sites"), at.get("city.fleet")
    if sites is not None:
        attempt(found, lambda: read_sites(sites, places, SiteBook()))
    names = None if sites is None else site_names(sites)
    if fleet is not None:
        found.extend(fleet_problems(fleet, names, None))
    chain = at.get("city.chain")
    if chain is not None:
        found.extend(chain_problems(chain, names))
    file = at.get("city.network")
    network = None if file is None else attempt(found, lambda: from_pandapower(file))
    if scenario is not None:
        if network is not None:
            found.extend(branch_problems(scenario, str(path), network.branches.name.tolist()))
        max_load_mw = scenario.city.max_load_mw
        if max_load_mw is None and shape is not None:
            max_load_mw = shape[1]
        if max_load_mw is not None:
            found.extend(order_problems(scenario, str(path), max_load_mw))
    return distinct(found, str(path))
