"""One user at a time, across processes, and free again however a user ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.bench.locks import Busy, only_user

HOLD = """
import sys, time
from hil.bench.locks import only_user
with only_user([sys.argv[1]], 0.0):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def key(tmp_path: Path) -> str:
    return str(tmp_path)


def test_a_second_user_waits_and_then_gives_up(key: str) -> None:
    with only_user([key], 0.0):
        begun_s = time.monotonic()
        with pytest.raises(Busy, match=r"in use for 0\.2 s"), only_user([key], 0.2):
            pass
        assert time.monotonic() - begun_s >= 0.2
    with only_user([key], 0.0):
        pass


def test_the_first_free_one_is_taken(key: str) -> None:
    with only_user([key], 0.0), only_user([key, key + "-other"], 0.0) as number:
        assert number == 1


def test_what_fails_inside_is_not_mistaken_for_a_busy_lock(key: str) -> None:
    with pytest.raises(BlockingIOError), only_user([key], 0.0):
        raise BlockingIOError
    with only_user([key], 0.0):
        pass


def test_a_user_that_is_killed_lets_go(key: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, key], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Busy), only_user([key], 0.0):
            pass
        other.kill()
        other.wait()
    with only_user([key], 5.0):
        pass
