"""The pytest plugin from the outside: other people's suites, run by other people's pytest."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from hil.bench.files import load_bench
from hil.certify.evidence import sha256_of
from hil.plugin.cities import warm_city
from tests.plugin.lab import lab

pytest_plugins = ["pytester"]

SUITE = Path(__file__).resolve().parents[2] / "scenarios" / "platform-suite"
Properties = dict[str, dict[str, str]]


def properties(path: Path) -> Properties:
    """Return the properties of each case of a JUnit file."""
    return {
        str(case.get("name")): {str(p.get("name")): str(p.get("value"))
                                for p in case.iter("property")}
        for case in ET.parse(path).getroot().iter("testcase")
    }  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Load what a suite in this process is going to: numba does not bear being loaded twice."""
    importlib.import_module("hil.plugin.benches")
    prepared = warm_city("tiny", ())
    importlib.import_module("hil.plugin.fleets")
    run = prepared.built.start(None)
    run.run(run.now_ms + 60_000)


# -- what a machine that has suitwin notices of it ---------------------------------------------


def test_it_is_found_without_an_import() -> None:
    (found,) = entry_points(group="pytest11", name="suitwin")
    assert found.value == "hil.plugin.hooks"


def test_it_brings_nothing_with_it_until_it_is_used() -> None:
    code = "import json, sys; import hil.plugin.hooks; print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = set(json.loads(said.stdout))
    assert not {"numpy", "numba", "pymodbus", "pydantic", "twin"} & loaded
    ours = {m for m in loaded if m.partition(".")[0] == "hil"}
    assert ours == {"hil", "hil.plugin", "hil.plugin.hooks"}


def test_fixtures_and_markers_of_others_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def device():
            return "mine"

        @pytest.mark.hardware
        def test_own_device(device):
            assert device == "mine"

        @pytest.mark.hardware
        def test_no_device():
            pass
    """)
    pytester.runpytest_inprocess("--strict-markers", "-W", "error").assert_outcomes(passed=2)


# -- the suite that ships ------------------------------------------------------------------------


def test_the_platform_teams_suite_passes_on_emulated_devices(pytester: pytest.Pytester) -> None:
    shutil.copytree(SUITE, pytester.path, dirs_exist_ok=True)
    result = pytester.runpytest_inprocess(
        "-m",
        "not day",
        "-W",
        "error",
        "--junit-xml=junit.xml",
        "--device-evidence=kept",
        "--durations=6",
    )
    result.assert_outcomes(passed=10, skipped=1, deselected=1)
    result.stdout.fnmatch_lines(["*needs hardware: --bench FILE"])
    found = properties(pytester.path / "junit.xml")
    told = found["test_it_does_what_it_is_told[emulated-storage-0.5]"]
    assert told["device.evidence"] == "emulated"
    assert told["device.time"] == "time-compressed (emulated)"
    assert told["device.safe_state"] == "confirmed"
    assert float(told["device.figure.settled"].removesuffix(" s")) <= 5.0
    for name in ("frames.jsonl", "journal.jsonl"):
        path = Path(told[f"device.{name}"])
        assert path.parts[0] == "kept"
        assert sha256_of(pytester.path / path) == told[f"device.{name}.sha256"]
    fleet = found["test_every_storage_device_follows"]
    assert (fleet["city.scenario"], fleet["fleet.devices"]) == ("tiny", "5")
    assert int(fleet["fleet.writes"]) >= 4


@pytest.mark.slow
def test_the_suites_whole_day_passes(pytester: pytest.Pytester) -> None:
    shutil.copytree(SUITE, pytester.path, dirs_exist_ok=True)
    pytester.runpytest_inprocess("-m", "day").assert_outcomes(passed=1, deselected=11)


def test_the_bench_file_that_ships_is_sound_and_writes_nothing() -> None:
    bench = load_bench(SUITE / "bench.toml")
    assert bench.dry_only
    assert [d.name for d in bench.devices] == ["cabinet-1"]


FAILS = """
def test_whole_bench(bench):
    (one,) = bench.devices.values()
    assert one.order("power_kw", 0.1 * one.rated_kw, within_s=5.0).accepted
    assert one.wait_until(lambda: one.power_kw().value > 0.05 * one.rated_kw, 5.0, 0.2) < 5.0
    raise RuntimeError("in the middle of a discharge")
"""


def test_the_same_file_runs_on_a_bench(pytester: pytest.Pytester) -> None:
    shutil.copytree(SUITE, pytester.path, dirs_exist_ok=True)
    pytester.makepyfile(test_whole=FAILS)
    with lab(pytester.path):
        result = pytester.runpytest_inprocess(
            "test_storage.py", "test_whole.py", "-k", "shows_itself or discharge or whole",
            "-W", "error",
            "--bench=bench.toml", "--junit-xml=junit.xml",
        )  # fmt: skip
    result.assert_outcomes(passed=2, failed=1, deselected=6)
    result.stdout.fnmatch_lines(["Real hardware.*", "*red button beside the rack*"])
    found = properties(pytester.path / "junit.xml")
    shown = found["test_it_shows_itself[bench-storage]"]
    assert (shown["device.name"], shown["device.evidence"]) == ("battery-0", "hardware")
    assert shown["device.time"] == "wall clock"
    assert shown["device.safe_state"] == "confirmed"
    assert json.loads(shown["device.safe_state.read_back"])["set_power_kw"] == 0.0
    assert shown["device.bench.sha256"] == sha256_of(pytester.path / "bench.toml")
    # A test that fails in the middle of an order leaves its device safe.
    failed = found["test_whole_bench"]
    assert failed["bench.safe_state"] == "confirmed"
    assert json.loads(failed["bench.safe_state.read_back"])["set_power_kw"] == 0.0
    # What is simulated stays so.
    ran = found["test_a_full_discharge_ends_by_itself[emulated-storage]"]
    assert ran["device.evidence"] == "emulated"


# -- which device ----------------------------------------------------------------------------------

LOOK = """
import pytest

@pytest.mark.device("storage")
def test_storage(device):
    assert device.real
    assert device.readings("soc")["soc"] > 0.0

@pytest.mark.device("storage")
def test_order(device):
    assert device.order("power_kw", 10.0).accepted

@pytest.mark.device("charging")
def test_charging(device):
    pass

@pytest.mark.device("storage", "storage-sunspec-7xx")
def test_other_map(device):
    pass

def test_bench(bench):
    assert [d.name for d in bench.of_kind("storage")] == list(bench.devices)
"""


def test_a_test_that_lacks_its_device_says_so(pytester: pytest.Pytester) -> None:
    """And on a bench without a confirmed emergency stop nothing is written."""
    pytester.makepyfile(LOOK)
    with lab(pytester.path, 2, stop=""):
        result = pytester.runpytest_inprocess("-rs", "--bench=bench.toml", "-W", "error")
    result.assert_outcomes(passed=2, skipped=3)
    result.stdout.fnmatch_lines([
        "*bench lab has no confirmed emergency stop: it runs dry",
        "*no charging on bench lab: it has battery-0 (storage), battery-1 (storage)",
        "*no storage with map storage-sunspec-7xx on bench lab*",
    ])  # fmt: skip


def test_each_of_several_equal_devices_is_tested(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LOOK)
    with lab(pytester.path, 2):
        result = pytester.runpytest_inprocess(
            "-v", "-k", "test_storage", "--bench=bench.toml", "--bench-devices=each",
            "--bench-dry-run",
        )  # fmt: skip
    result.assert_outcomes(passed=2, deselected=5)
    result.stdout.fnmatch_lines(
        ["*test_storage*battery-0*PASSED*", "*test_storage*battery-1*PASS*"]
    )


def test_without_a_bench_the_bench_is_what_lacks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LOOK)
    result = pytester.runpytest_inprocess("-rs", "-k", "test_bench")
    result.assert_outcomes(skipped=1, deselected=4)
    result.stdout.fnmatch_lines(["*needs a bench: --bench FILE"])


def test_a_test_is_told_what_is_wrong_with_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        def test_no_kind(device): pass

        @pytest.mark.device("storrage")
        def test_spelling(device): pass

        @pytest.mark.device("storage", rated_mw=1.0)
        def test_nameplate(device): pass

        @pytest.mark.simulated
        @pytest.mark.hardware
        @pytest.mark.device("storage")
        def test_both(device): pass

        @pytest.mark.city("teeny")
        def test_city(city): pass

        @pytest.mark.fleet(kinds=["storrage"])
        def test_fleet(fleet): pass

        @pytest.mark.fleet(rate=0)
        def test_rate(fleet): pass

        @pytest.mark.fleet("storage")
        def test_marker(fleet): pass
    """)
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(errors=8)
    result.stdout.fnmatch_lines([
        "say which: @pytest.mark.device('storage')",
        "device: kind: storrage; allowed: *did you mean*storage*",
        "nameplate: rated_mw: unknown; allowed: *",
        "a test is simulated or hardware, not both",
        "teeny: scenario: not found; allowed: *",
        "--kinds: storrage: not in this scenario; allowed: *",
        "marker fleet: rate 0; allowed: above 0",
        "marker fleet takes kinds=, limit=, rate= and address= only",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*Traceback*")


def test_everything_wrong_with_a_bench_file_is_said_before_anything_runs(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(LOOK)
    (pytester.path / "bench.toml").write_text('name = "lab"\ntitel = "x"\n')
    result = pytester.runpytest_inprocess("--bench=bench.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stderr.str()
    assert "titel: unknown key" in said
    assert "devices: missing" in said


# -- several processes ---------------------------------------------------------------------

SHARED = """
import time
import pytest

@pytest.mark.parametrize("n", range(2))
@pytest.mark.device("storage")
def test_one_at_a_time(device, n, record_property):
    record_property("from", time.monotonic())
    device.wait(0.5)
    record_property("to", time.monotonic())

@pytest.mark.parametrize("n", range(2))
@pytest.mark.simulated
@pytest.mark.device("storage")
def test_beside_each_other(device, n):
    assert device.order("power_kw", 10.0 * n).accepted
"""


def test_workers_do_not_share_a_device(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SHARED)
    with lab(pytester.path):
        result = pytester.runpytest_subprocess(
            "-n", "2", "--bench=bench.toml", "--bench-dry-run", "--junit-xml=junit.xml",
            "-W", "error",
        )  # fmt: skip
    result.assert_outcomes(passed=4)
    found = properties(pytester.path / "junit.xml")
    spans = sorted((float(p["from"]), float(p["to"])) for p in found.values() if "from" in p)
    assert len(spans) == 2
    assert spans[0][1] <= spans[1][0]


# -- a fleet's time ----------------------------------------------------------------------------


def test_a_fleets_time_ends_with_its_scenario(pytester: pytest.Pytester) -> None:
    """Waiting for what never comes does not wait for ever."""
    pytester.makepyfile("""
        from dataclasses import replace

        import pytest
        from twin.errors import RunBroken

        @pytest.fixture
        def city(city):
            built = city.prepared.built
            world = replace(built.world, end_ms=built.world.start_ms + 120_000)
            city.prepared = replace(city.prepared, built=replace(built, world=world))
            return city

        @pytest.mark.fleet(kinds=["storage"], limit=1)
        def test_waiting(fleet):
            one = fleet.connect("storage-00000")
            with pytest.raises(RunBroken, match="ends at 13:02"):
                one.wait_until(lambda: False, 3600.0, 10.0)
            assert fleet.now_ms == (13 * 60 + 2) * 60_000
    """)
    pytester.runpytest_inprocess("-W", "error").assert_outcomes(passed=1)
