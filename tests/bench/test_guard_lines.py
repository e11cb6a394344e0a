"""The guard and its lines: cut and mended, held for the runner, refused."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.bench.errors import Forbidden
from hil.bench.frames import FrameLog
from hil.bench.guard import Guard
from hil.bench.guarded import guarded, plan_of
from hil.bench.journal import Journal
from hil.bench.line import Line
from hil.server import WireManner
from hil.testbed.stage import Stage
from tests.bench.boxes import unused_port
from tests.bench.guarding import (
    EXPIRES_S,
    GUARD,
    RATE,
    Cable,
    bench_of,
    bench_text,
    entries,
    guard_ended,
    living,
    runner,
    wait_safe,
    watched_battery,
    without_timers,
    writes,
)
from twin.assets.manners import Manner
from twin.errors import InputProblems, RunBroken


@pytest.fixture(scope="module")
def battery() -> Iterator[Stage]:
    with living(watched_battery()) as stage:
        yield stage


# -- cut and mended ------------------------------------------------------------------------------


def test_the_guard_goes_on_where_line_and_runner_are_gone(battery: Stage, tmp_path: Path) -> None:
    with (
        Cable(battery.spec.port) as cable,
        runner(bench_text(battery, port=cable.port), tmp_path) as one,
    ):
        one.hear("discharging")
        cable.cut()
        one.wait_for("guard", "read_back")  # told to prove what nobody could tell
        one.process.kill()
        assert battery.meter.power_kw().value > 50.0
        cable.mend()
        wait_safe(battery, EXPIRES_S)
        assert one.guard_ended()["proven"]
        assert one.entries("runner", "safe_state")[0]["reason"].startswith("LineDown")
        proofs = one.entries("guard", "read_back")
        assert [proofs[0]["proven"], proofs[-1]["proven"]] == [False, True]
        assert proofs[-1]["values"]["set_power_kw"] == 0.0


def test_a_lost_device_is_made_safe_alone(battery: Stage, tmp_path: Path) -> None:
    with Cable(battery.spec.port) as cable:
        one = bench_of(tmp_path, bench_text(battery, guard=GUARD | {"retry_s": 1.0}))
        plan = plan_of(one, tmp_path / "journal.jsonl", lost_alone=True)
        far = dataclasses.replace(
            plan.devices[0], name="far",
            line=dataclasses.replace(plan.devices[0].line, port=cable.port),
        )  # fmt: skip
        plan = dataclasses.replace(plan, devices=(*plan.devices, far))
        with Journal(plan.journal) as journal, Guard(plan, journal) as guard:
            cable.cut()
            with pytest.raises(Forbidden, match="contact was lost"):
                until_refused(guard, "far")
            guard.permit("battery")()
            cable.mend()
        assert guard.proofs["battery"].safe
        assert guard.proofs["far"].safe


def until_refused(guard: Guard, name: str) -> None:
    """Beat until a device may not be written to any more, 5 s at most."""
    permit = guard.permit(name)
    for _ in range(500):
        guard.beat()
        permit()
        time.sleep(0.01)


# -- held for the runner -------------------------------------------------------------------------


def test_a_device_with_one_client(tmp_path: Path) -> None:
    stage = Stage("storage", state={"soc": 0.6}, wire=WireManner(max_clients=1))
    with living(stage), runner(bench_text(stage, more="single_client = true"), tmp_path) as one:
        one.hear("discharging")
        with socket.create_connection((stage.spec.host, stage.spec.port), 1.0) as second:
            assert second.recv(1) == b""  # it takes one indeed
        one.process.kill()
        wait_safe(stage, EXPIRES_S)
        assert one.guard_ended()["proven"]
        written = one.entries("runner", "write")
        assert {e["point"] for e in written} >= {"set_power_kw", "set_heartbeat", "set_revert_s"}


def test_a_serial_line(tmp_path: Path) -> None:
    with living(Stage("storage", state={"soc": 0.6}, transport="rtu")) as stage:
        frames = FrameLog()
        one = bench_of(tmp_path, bench_text(stage))
        with guarded(one, tmp_path / "journal.jsonl", frames=frames) as here:
            device = here.devices["battery"]
            device.drive("power_kw", 50.0, 0.05, 5.0)
            assert device.identity()["vendor"] == "suitwin"
            assert device.read(["set_power_kw"])["set_power_kw"].value == 50.0
            # An instrument on the same line speaks through the guard as well.
            assert here.line(stage.spec).read("holding", 0, 2) == [0, 500]
        assert here.guard is not None
        assert here.guard.proofs["battery"].safe
        assert abs(stage.meter.power_kw().value) < 5.0
        sent = [f for f in frames.take() if f.sent]
        assert len(sent) > 5
        assert all(f.line == stage.spec.serial for f in sent)


# -- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["dry run", "no emergency_stop"])
def test_a_dry_bench_is_not_written_to(battery: Stage, tmp_path: Path, why: str) -> None:
    text = bench_text(battery)
    if why != "dry run":
        text = "\n".join(line for line in text.splitlines() if "emergency_stop" not in line)
    one = bench_of(tmp_path, text)
    before = writes(battery)
    with guarded(one, tmp_path / "journal.jsonl", dry_run=why == "dry run") as here:
        assert here.guard is None
        device = here.devices["battery"]
        assert device.read_twin(["soc"])["soc"].value is not None
        with pytest.raises(Forbidden, match=why):
            device.command("power_kw", 10.0)
        with pytest.raises(Forbidden, match=why):
            device.line.write("holding", 0, [0, 1])
    assert writes(battery) == before
    assert not [e for e in entries(tmp_path) if e["entry"] == "write"]


def test_what_the_guard_cannot_reach_is_not_written_to(battery: Stage, tmp_path: Path) -> None:
    one = bench_of(tmp_path, bench_text(battery, port=unused_port()))
    with (
        pytest.raises(InputProblems, match=r"battery.*refused"),
        guarded(one, tmp_path / "journal.jsonl"),
    ):
        pytest.fail("it was armed")
    assert not entries(tmp_path)


def test_another_device_than_the_file_means_is_not_written_to(
    battery: Stage, tmp_path: Path
) -> None:
    more = 'identity = { vendor = "suitwin", product = "Ice store" }'
    one = bench_of(tmp_path, bench_text(battery, more=more))
    before = writes(battery)
    with (
        pytest.raises(InputProblems, match="its product is 'Storage station'"),
        guarded(one, tmp_path / "journal.jsonl"),
    ):
        pytest.fail("it was armed")
    assert writes(battery) == before


def test_a_device_has_one_guard(battery: Stage, tmp_path: Path) -> None:
    one = bench_of(tmp_path, bench_text(battery))
    plan = plan_of(one, tmp_path / "second.jsonl")
    plan = dataclasses.replace(plan, times=dataclasses.replace(plan.times, own_s=0.2))
    with (
        guarded(one, tmp_path / "journal.jsonl"),
        Journal(plan.journal) as journal,
        pytest.raises(InputProblems, match="another run"),
        Guard(plan, journal),
    ):
        pytest.fail("it was armed")


def test_a_device_that_says_yes_and_does_nothing_is_not_proven(tmp_path: Path) -> None:
    manner = Manner(ignore_writes=True)
    text = GUARD | {"settle_s": 0.3, "retry_s": 1.0}
    with living(Stage("storage", state={"soc": 0.6}, manner=manner)) as stage:
        one = bench_of(tmp_path, without_timers(bench_text(stage, guard=text)))
        with (
            pytest.raises(RunBroken, match=r"not proven.*battery"),
            guarded(one, tmp_path / "journal.jsonl") as here,
        ):
            here.devices["battery"].command("power_kw", 30.0)
    assert guard_ended(tmp_path / "journal.jsonl")["unproven"] == ["battery"]


def test_the_lease_is_set_kept_and_given_back(battery: Stage, tmp_path: Path) -> None:
    one = bench_of(tmp_path, bench_text(battery))
    with Line(battery.spec) as line:
        line.write("holding", 3, [0, 600])
        battery.clock.sleep(1.0)
        with guarded(one, tmp_path / "journal.jsonl") as here:
            assert line.read("holding", 3, 2) == [0, round(EXPIRES_S * RATE)]
            here.clock.sleep(1.2)
        battery.clock.sleep(1.0)
        assert line.read("holding", 3, 2) == [0, 600]
    beats = [
        e["value"] for e in entries(tmp_path)
        if e["by"] == "runner" and e.get("point") == "set_heartbeat"
    ]  # fmt: skip
    assert beats[:3] == [1.0, 2.0, 3.0]
