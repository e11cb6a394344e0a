from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.witness.fleet import Fleet


@pytest.fixture(scope="session")
def compiled_fleet() -> Iterator[Fleet]:
    with Fleet("compiled").serving() as fleet:
        yield fleet


@pytest.fixture(scope="session")
def portable_fleet() -> Iterator[Fleet]:
    with Fleet("portable").serving() as fleet:
        yield fleet


@pytest.fixture(params=["compiled", "portable"])
def fleet(request: pytest.FixtureRequest) -> Fleet:
    """Return every map behind either body, as nobody has written to it."""
    fleet: Fleet = request.getfixturevalue(f"{request.param}_fleet")
    fleet.reset()
    return fleet
