"""Servers of the benchmarks are always ended, and their time is counted whole."""

from __future__ import annotations

import os
import sys

import pytest

from benchmarks.wire.processes import BenchError, cpu_seconds, pinned, server

CORE = min(os.sched_getaffinity(0))
READY = "import time; print('ready', flush=True); time.sleep(60)"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_ends_with_its_block() -> None:
    seen: list[int] = []

    def fail_inside() -> None:
        with server([sys.executable, "-c", READY], CORE) as pid:
            assert alive(pid)
            seen.append(pid)
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert not alive(seen[0])


def test_what_a_failed_server_said_is_shown() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such map')"]
    words = "status 1 before it served\nno such map"
    with pytest.raises(BenchError, match=words), server(command, CORE):
        pytest.fail("it never served")


def test_time_of_a_living_child_counts() -> None:
    """The child works for 0.3 s before its parent is ready, so it is counted once it serves."""
    child = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    parent = (
        "import subprocess as p, sys; c = p.Popen([sys.executable, '-c', sys.argv[1]],"
        " stdin=p.PIPE, stdout=p.PIPE); c.stdout.readline(); " + READY
    )
    # The system counts user and system time of both in whole ticks.
    lost = 4 / os.sysconf("SC_CLK_TCK")
    with server([sys.executable, "-c", parent, child], CORE) as pid:
        assert cpu_seconds(pid) >= 0.3 - lost


def test_pinned_is_undone() -> None:
    before = os.sched_getaffinity(0)
    with pinned(CORE):
        assert os.sched_getaffinity(0) == {CORE}
    assert os.sched_getaffinity(0) == before
