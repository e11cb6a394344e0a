"""A scenario's city, for a test of a logic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from hil.plugin.evidence import TestEvidence
from hil.testbed.setup import beats
from twin.errors import InputProblems
from twin.record.exchange import Inventory
from twin.run import Prepared, RunResult, prepare, run_scenario
from twin.scenario.build import calibrated
from twin.scenario.files import find_scenario
from twin.scenario.warm_start import warmed

__all__ = ["City", "city_of", "warm_city"]

DEFAULT_CITY = "tiny"


class City:
    """A scenario's city.

    Attributes
    ----------
    scenario, assignments : which, and what is changed in it
    prepared : its parts, calibrated and warm
    """

    def __init__(
        self, scenario: str, assignments: Sequence[str], prepared: Prepared, folder: Path
    ) -> None:
        self.scenario, self.assignments = scenario, tuple(assignments)
        self.prepared, self._folder = prepared, folder

    @property
    def inventory(self) -> Inventory:
        """What is registered: sites, devices, districts."""
        return self.prepared.built.world.inventory

    def run(self, logic: str | None = None) -> RunResult:
        """Run the scenario with a logic (``package.module:Class``) and have it judged.

        Returns its verdicts and its directory with page, tables and ``summary.json``. Raises
        InputProblems and RunBroken as `twin run` does.
        """
        more = [] if logic is None else [f'logic="{logic}"']
        return run_scenario(
            find_scenario(self.scenario), self._folder / "run", [*self.assignments, *more], "en",
            _unheard,
        )  # fmt: skip


def _unheard(
    phase: str, fraction: float, now_ms: int | None = None, speed: float | None = None
) -> None:
    """Hear of a run's progress, and say nothing."""


def city_of(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> City:
    """Return the city that the test's marker names."""
    marker = request.node.get_closest_marker("city")
    given = [] if marker is None else [str(a) for a in marker.args]
    scenario, assignments = (given[0], tuple(given[1:])) if given else (DEFAULT_CITY, ())
    evidence = TestEvidence(request, factory, "city")
    try:
        prepared = warm_city(scenario, assignments)
    except InputProblems as error:
        pytest.fail("\n".join(str(p) for p in error.problems), pytrace=False)
    evidence.say_all({
        "scenario": prepared.scenario.name, "seed": prepared.scenario.seed,
        "set": " ".join(assignments), "folder": evidence.folder,
    })  # fmt: skip
    return City(scenario, assignments, prepared, evidence.folder)


@cache
def warm_city(scenario: str, assignments: tuple[str, ...]) -> Prepared:
    """Return a scenario calibrated and warm, with the beats of the wire; once a process."""
    found = prepare(find_scenario(scenario), assignments)
    return beats(replace(found, built=warmed(calibrated(found.built))))
