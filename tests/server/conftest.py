from __future__ import annotations

from collections.abc import Iterator

import pytest

from hil.registers.bank import RegisterBank
from hil.server import Server
from tests.server.serving import BODIES, Client, serving
from tests.server.world import rig_bank


@pytest.fixture(params=BODIES)
def body(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bank() -> RegisterBank:
    """Two devices a map: any gap refuses (0, 1), all (2, 3), zero (4, 5)."""
    return rig_bank()


@pytest.fixture
def server(bank: RegisterBank, body: str) -> Iterator[Server]:
    with serving(bank, body) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.endpoints[0]) as one:
        yield one
