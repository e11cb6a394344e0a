"""However a runner ends, the device is at its safe state in time and the journal proves it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hil.testbed.stage import Stage
from tests.bench.guarding import (
    EXPIRES_S,
    SAFE_KW,
    Runner,
    bench_text,
    living,
    runner,
    wait_safe,
    watched_battery,
)


@pytest.fixture(scope="module")
def battery() -> Iterator[Stage]:
    with living(watched_battery()) as stage:
        yield stage


def kill(one: Runner) -> None:
    one.process.kill()


def terminate(one: Runner) -> None:
    one.process.terminate()


def interrupt(one: Runner) -> None:
    os.kill(one.process.pid, signal.SIGINT)


def interrupt_twice(one: Runner) -> None:
    interrupt(one)
    one.hear("discharging")  # the first one was swallowed
    interrupt(one)


def nothing(one: Runner) -> None:
    """It ends by itself."""


ORDER = "the runner ended in order"
ENDS: dict[str, tuple[str, Callable[[Runner], None], str]] = {
    "kill -9": ("", kill, "the runner ended without a word"),
    "second Ctrl-C": ("stubborn", interrupt_twice, "SIGINT for the second time"),
    "termination": ("", terminate, ORDER),
    "exception": ("exception", nothing, ORDER),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_device_is_safe_and_proven(battery: Stage, tmp_path: Path, end: str) -> None:
    how, act, why = ENDS[end]
    with runner(bench_text(battery), tmp_path, how) as one:
        one.hear("discharging")
        act(one)
        took_s = wait_safe(battery, EXPIRES_S)
        last = one.guard_ended()
        assert last["why"].startswith(why)
        assert last["proven"]
        assert took_s < EXPIRES_S / 2.0
        by, other = ("runner", "guard") if why == ORDER else ("guard", "runner")
        told = one.entries(by, "safe_state")[-1]
        assert not one.entries(other, "safe_state")
        proof = one.entries("guard", "read_back")[-1]
        assert proof["proven"]
        assert proof["values"]["set_power_kw"] == 0.0
        assert abs(proof["values"]["power_kw"]) < SAFE_KW
        # Its own watchdog did not do it: it obeys the platform still.
        assert proof["values"]["remote"] == 1.0
        assert told["wall_s"] < proof["wall_s"]
        one.process.join(5.0)
        assert one.process.exitcode not in (None, 0)


def test_a_runner_that_comes_back_writes_no_more(battery: Stage, tmp_path: Path) -> None:
    with runner(bench_text(battery), tmp_path) as one:
        one.hear("discharging")
        os.kill(one.process.pid, signal.SIGSTOP)
        wait_safe(battery, EXPIRES_S)
        os.kill(one.process.pid, signal.SIGCONT)
        one.hear("GuardTripped: the guard has brought the bench to its safe state: no heartbeat")
        assert one.guard_ended()["proven"]
        acted = one.entries("guard", "safe_state")[0]["wall_s"]
        late = [e for e in one.entries("runner", "write") if e["wall_s"] > acted + 0.5]
        assert not late
        assert abs(battery.meter.power_kw().value) < SAFE_KW


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_guard_that_is_lost_ends_the_run(
    battery: Stage, tmp_path: Path, number: signal.Signals
) -> None:
    with runner(bench_text(battery), tmp_path) as one:
        one.hear("discharging")
        os.kill(one.guard_pid, number)
        try:
            one.hear("GuardLost")
        finally:
            with suppress(ProcessLookupError):
                os.kill(one.guard_pid, signal.SIGKILL)
        wait_safe(battery, EXPIRES_S)
        assert one.entries("runner", "safe_state")[-1]["reason"].startswith("GuardLost")
        proof = one.entries("runner", "read_back")[-1]
        assert proof["proven"]
        assert proof["values"]["set_power_kw"] == 0.0


def test_a_guard_that_is_told_to_end_acts_first(battery: Stage, tmp_path: Path) -> None:
    with runner(bench_text(battery), tmp_path, "idle") as one:
        one.hear("discharging")
        os.kill(one.guard_pid, signal.SIGINT)  # which it does not hear
        os.kill(one.guard_pid, signal.SIGTERM)
        wait_safe(battery, EXPIRES_S)
        one.hear("GuardTripped")
        last = one.guard_ended()
        assert last["why"] == "the guard was told to end"
        assert last["proven"]
