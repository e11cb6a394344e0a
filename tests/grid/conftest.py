"""Networks that the grid's tests share: built once, then read back from their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.grid.cases import city_spec, tiny_spec
from twin.grid import Network, build_network


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The city of 25 300 MW."""
    return _kept(build_network(city_spec()), tmp_path_factory.mktemp("city") / "network.npz")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """One district of 40 MW in detail."""
    return _kept(build_network(tiny_spec()), tmp_path_factory.mktemp("tiny") / "network.npz")


def _kept(network: Network, path: Path) -> Network:
    network.save(path)
    return Network.load(path)
