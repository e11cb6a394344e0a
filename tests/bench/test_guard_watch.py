"""What the guard sees: the interlock, devices that show nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.bench.guard_errors import GuardTripped
from hil.bench.guarded import Guarded, guarded
from hil.bench.journal import read_journal
from hil.testbed.stage import Stage
from tests.bench.guarding import (
    EXPIRES_S,
    GUARD,
    Cable,
    bench_of,
    bench_text,
    guard_ended,
    living,
    runner,
    wait_safe,
    watched_battery,
    without_timers,
    writes,
)
from twin.errors import InputProblems, RunBroken


@pytest.fixture(scope="module")
def battery() -> Iterator[Stage]:
    with living(watched_battery()) as stage:
        yield stage


TOO_MUCH = """
[[interlock]]
name = "too-much"
device = "battery"
point = "power_kw"
high = 60.0
"""
METERED = """
[[instruments]]
name = "meter"
driver = "meter_modbus"
host = "127.0.0.1"
port = {port}
map = "storage-own"
point = "power_kw"
positive = "into_grid"
class_pct = 0.5
range_kw = 250.0
device = "battery"
[[interlock]]
name = "too-much"
instrument = "meter"
point = "power_kw"
high = 60.0
"""


@pytest.mark.parametrize("what", ["device", "instrument"])
def test_the_interlock_trips(battery: Stage, tmp_path: Path, what: str) -> None:
    more = TOO_MUCH if what == "device" else METERED.format(port=battery.spec.port)
    with runner(bench_text(battery) + more, tmp_path) as one:
        one.hear(
            "GuardTripped: the guard has brought the bench to its safe state: interlock: too-much"
        )
        wait_safe(battery, EXPIRES_S)
        last = one.guard_ended()
        assert last["proven"]
        assert "above 60" in last["why"]


EYE = """
[[devices]]
name = "supply"
map = "storage-own"
transport = "tcp"
host = "127.0.0.1"
port = {port}
rated_kw = 250.0
[[interlock]]
name = "supply-well"
device = "supply"
point = "power_kw"
high = {high}
"""


def test_the_interlock_sees_what_is_only_read(battery: Stage, tmp_path: Path) -> None:
    with Cable(battery.spec.port) as cable:
        text = bench_text(battery) + EYE.format(port=cable.port, high=30.0)
        with guarded(bench_of(tmp_path, text), tmp_path / "j.jsonl", names=["battery"]) as here:
            assert list(here.devices) == ["battery"]
            here.devices["battery"].command("power_kw", 40.0)
            with pytest.raises(GuardTripped, match=r"supply-well: power_kw of supply is .* above"):
                here.clock.sleep(5.0)
        assert here.guard is not None
        assert list(here.guard.proofs) == ["battery"]
        assert here.guard.proofs["battery"].safe
    assert not [e for e in read_journal(tmp_path / "j.jsonl") if e["device"] == "supply"]


@pytest.mark.parametrize("what", ["device", "instrument"])
def test_a_bench_outside_its_interlock_does_not_begin(
    battery: Stage, tmp_path: Path, what: str
) -> None:
    more = (TOO_MUCH if what == "device" else METERED).replace("high = 60.0", "high = -500.0")
    one = bench_of(tmp_path, bench_text(battery) + more.format(port=battery.spec.port))
    before = writes(battery)
    with (
        pytest.raises(InputProblems, match="interlock: too-much: power_kw of"),
        guarded(one, tmp_path / "journal.jsonl"),
    ):
        pytest.fail("it was armed")
    assert writes(battery) == before


def test_a_device_that_shows_nothing_trips(battery: Stage, tmp_path: Path) -> None:
    with Cable(battery.spec.port) as cable:
        text = bench_text(battery, port=cable.port, guard=GUARD | {"retry_s": 1.0})
        one = bench_of(tmp_path, without_timers(text))
        with (
            pytest.raises(RunBroken, match="not proven"),  # how should it be
            guarded(one, tmp_path / "journal.jsonl") as here,
        ):
            cut_and_sleep(cable, here)
        assert guard_ended(tmp_path / "journal.jsonl")["unproven"] == ["battery"]


def cut_and_sleep(cable: Cable, here: Guarded) -> None:
    cable.cut()
    with pytest.raises(GuardTripped, match="battery shows nothing"):
        here.clock.sleep(5.0)
