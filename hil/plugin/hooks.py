"""What pytest sees: options, markers and fixtures. Everything else is imported when it is used.

Fixtures
--------
``device`` : the device that the test is about, emulated or, with ``--bench``, real
``bench`` : the bench of ``--bench``; a test that asks for it is skipped where there is none
``city`` : a scenario's city, which can be run against a logic
``fleet`` : the devices of that city on the network

Markers
-------
``device(kind, map=None, **nameplate)`` : which device; with ``--bench`` those of this kind
``simulated`` : on an emulated device even where there is a bench
``hardware`` : on a bench only
``city(scenario="tiny", *assignments)`` : which city; assignments as ``--set`` takes them
``fleet(kinds=None, limit=None, rate=None, address="ip")`` : which part of its fleet, and how
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hil.plugin.benches import BenchOfTest
    from hil.plugin.cities import City
    from hil.plugin.devices import DeviceUnderTest
    from hil.plugin.fleets import Fleet

__all__ = [
    "bench", "city", "device", "fleet", "pytest_addoption", "pytest_configure",
    "pytest_generate_tests", "pytest_report_header", "suitwin_choice",
]  # fmt: skip

MARKERS = (
    "device(kind, map=None, **nameplate): suitwin: the device that the test is about",
    "simulated: suitwin: runs on an emulated device, even with --bench",
    "hardware: suitwin: runs on a bench only",
    "city(scenario='tiny', *assignments): suitwin: the city of fixtures city and fleet",
    "fleet(kinds=None, limit=None, rate=None, address='ip'): suitwin: what of it is served",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("suitwin", "devices, benches and cities (suitwin)")
    group.addoption("--bench", metavar="FILE", help="bench file: its devices are tested")
    group.addoption(
        "--bench-dry-run", action="store_true", help="read the bench's devices, write nothing"
    )  # fmt: skip
    group.addoption(
        "--bench-devices", choices=("any", "each"), default="any",
        help="of several equal devices on the bench a test takes any free one, or runs on each",
    )  # fmt: skip
    group.addoption(
        "--device-evidence", metavar="DIR", help="keep frames and journals of tests here"
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known, and read the bench file."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if config.getoption("--bench") is not None:
        from hil.plugin.choice import bench_file

        bench_file(config)  # what is wrong with it is said before anything is collected


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say on which bench a run is, and that this is no emergency stop."""
    if config.getoption("--bench") is None:
        return []
    from hil.bench.assembly import banner
    from hil.plugin.choice import bench_file

    file = bench_file(config)
    return [] if file is None else [f"suitwin: bench {file.name}", *banner(file).splitlines()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test of fixture `device` one device, or each of several."""
    # Only our own `device` asks for this one: somebody else's fixture of that name is not ours.
    if "suitwin_choice" not in metafunc.fixturenames:
        return
    from hil.plugin.choice import choices

    found = choices(metafunc.config, metafunc.definition)
    metafunc.parametrize("suitwin_choice", found, ids=[c.id for c in found], indirect=True)


@pytest.fixture
def suitwin_choice(request: pytest.FixtureRequest) -> object:
    """Return which device the test runs on."""
    return request.param


@pytest.fixture
def device(
    request: pytest.FixtureRequest,
    suitwin_choice: object,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DeviceUnderTest]:
    """Yield the device under test at its safe state; it is left there whatever happens."""
    from hil.plugin.choice import Choice
    from hil.plugin.devices import opened

    assert isinstance(suitwin_choice, Choice)
    with opened(suitwin_choice, request, tmp_path_factory) as found:
        yield found


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BenchOfTest]:
    """Yield the bench; skipped where there is none."""
    from hil.plugin.benches import opened_bench

    with opened_bench(request, tmp_path_factory) as found:
        yield found


@pytest.fixture
def city(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> City:
    """Return the city of marker `city`, prepared and warm."""
    from hil.plugin.cities import city_of

    return city_of(request, tmp_path_factory)


@pytest.fixture
def fleet(
    request: pytest.FixtureRequest, city: City, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """Yield the devices of the city on the network, on a port of this test's own."""
    from hil.plugin.fleets import fleet_of

    with fleet_of(request, city, tmp_path_factory) as found:
        yield found
