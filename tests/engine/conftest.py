"""`tiny`, calibrated and warm, shared by the tests of the engine."""

from __future__ import annotations

import pytest

from twin.scenario.build import Built, build, calibrated, warmed
from twin.scenario.files import find_scenario, load_scenario


@pytest.fixture(scope="session")
def tiny() -> Built:
    path = find_scenario("tiny")
    return warmed(calibrated(build(load_scenario(path), path)))
