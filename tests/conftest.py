"""What every test shares: hypothesis profiles, and honesty about what was not run.

``SUITWIN_REQUIRE=all`` (set by `.ci/run`) turns a missing tool into an error and a
skipped test into a failed run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.look.browser import CANDIDATES, find_chromium

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


@pytest.hookimpl(trylast=True)  # after -m and -k have had their say
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none, saying so; refuse to under `REQUIRE_ALL`."""
    if find_chromium() is not None:
        return
    needy = [item for item in items if item.get_closest_marker("browser") is not None]
    reason = f"no browser found: none of {', '.join(CANDIDATES)}"
    if needy and REQUIRE_ALL:
        raise pytest.UsageError(f"{reason}, and {len(needy)} tests need one")
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
