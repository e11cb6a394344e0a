"""`tiny`, calibrated and warm, shared by the tests of what a scenario becomes."""

from __future__ import annotations

import pytest

from tests.engine.tiny_city import tiny_city
from twin.scenario.build import Built


@pytest.fixture(scope="session")
def tiny() -> Built:
    return tiny_city()
