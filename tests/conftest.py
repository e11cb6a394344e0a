"""What every test shares: hypothesis profiles, and honesty about what was not run.

``SUITWIN_REQUIRE=all`` (set by `.ci/run`) turns a missing tool into an error and a
skipped test into a failed run.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.wire.programs import missing_tools
from tests.look.browser import CANDIDATES, find_chromium

# What is started in the background ignores Ctrl-C, and so would every process that a test ends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REQUIRE_ALL = os.environ.get("SUITWIN_REQUIRE") == "all"

# The first example of a property compiles kernels, so a deadline would measure the compiler.
settings.register_profile("developer", deadline=None)
settings.register_profile("pipeline", deadline=None, derandomize=True)
settings.load_profile("pipeline" if REQUIRE_ALL or "CI" in os.environ else "developer")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Look for doctests in the package only: beside the tests stand scripts and small worlds."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


def missing_browser() -> str | None:
    """Return why tests with a browser cannot run."""
    if find_chromium() is not None:
        return None
    return f"no browser found: none of {', '.join(CANDIDATES)}"


def missing_wiretools() -> str | None:
    """Return why tests with other people's Modbus tools cannot run."""
    missing = missing_tools()
    if shutil.which("mbpoll") is None:
        missing.append("mbpoll: apt-get install mbpoll")
    return "; ".join(missing) or None


NEEDS = {"browser": missing_browser, "wiretools": missing_wiretools}
# Single tests that run a whole day of a city: begun last they would keep one core waiting.
DAYS_LONG = ("tests/verify_city/", "tests/scenarios/")


@pytest.hookimpl(trylast=True)  # after -m and -k have had their say
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest; skip what needs a missing tool, refuse to under `REQUIRE_ALL`."""
    items.sort(key=lambda item: not item.nodeid.startswith(DAYS_LONG))
    for marker, missing in NEEDS.items():
        needy = [item for item in items if item.get_closest_marker(marker) is not None]
        reason = missing() if needy else None
        if reason is None:
            continue
        if REQUIRE_ALL:
            raise pytest.UsageError(f"{reason}, and {len(needy)} tests need it")
        for item in needy:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Under `REQUIRE_ALL` a run that skipped anything has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not REQUIRE_ALL or reporter is None or exitstatus != pytest.ExitCode.OK:
        return
    skipped = len(reporter.stats.get("skipped", []))
    if skipped > 0:
        reporter.ensure_newline()
        reporter.write_line(f"SUITWIN_REQUIRE=all: {skipped} skipped, so this run failed")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
