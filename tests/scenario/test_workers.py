"""Work in a child process: result, error, a child that dies, and one that is stopped."""

from __future__ import annotations

import mmap
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from twin.errors import RunBroken
from twin.scenario import workers
from twin.scenario.workers import Worker, can_fork, private_mib

here = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@pytest.fixture(params=[True, False], ids=["forked", "in turn"])
def forked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    chosen: bool = request.param
    if chosen and not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    monkeypatch.setattr(workers, "can_fork", lambda: chosen)
    return chosen


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "can_fork", lambda: True)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_the_result_comes_back_whole_and_again(forked: bool) -> None:
    worker = Worker(lambda: {"pid": os.getpid(), "big": np.arange(300_000)})
    found = worker.result()
    assert (found["pid"] != os.getpid()) is forked
    assert np.array_equal(found["big"], np.arange(300_000))  # more than a pipe holds at once
    assert worker.result() is found
    worker.stop()
    assert worker.result() is found


def test_nothing_is_a_result_too(forked: bool) -> None:
    worker: Worker[None] = Worker(lambda: None)
    assert worker.result() is None
    assert worker.result() is None


def test_several_at_work_at_once_keep_their_own(forked: bool) -> None:
    many = [Worker(lambda i=i: i * i) for i in range(4)]  # type: ignore[misc]
    assert [w.result() for w in reversed(many)] == [9, 4, 1, 0]


@here
@pytest.mark.usefixtures("forking")
def test_an_exception_breaks_the_run_with_its_traceback() -> None:
    def job() -> int:
        raise ValueError("no such bus")

    worker = Worker(job)
    with pytest.raises(RunBroken, match="no such bus") as caught:
        worker.result()
    assert "in job" in str(caught.value)
    with pytest.raises(RunBroken):
        worker.result()
    worker.stop()


@here
@pytest.mark.usefixtures("forking")
def test_a_result_that_cannot_travel_breaks_the_run() -> None:
    with pytest.raises(RunBroken, match="pickle"):
        Worker(lambda: lambda: None).result()


@here
@pytest.mark.usefixtures("forking")
def test_a_killed_child_breaks_the_run_instead_of_hanging() -> None:
    def job() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    worker = Worker(job)
    with pytest.raises(RunBroken, match="without a result"):
        worker.result()
    worker.stop()


@here
@pytest.mark.usefixtures("forking")
def test_stop_ends_a_child_at_work_and_leaves_no_descriptor() -> None:
    before = descriptors()
    worker = Worker(lambda: time.sleep(60))
    pid = worker._pid  # noqa: SLF001
    assert pid is not None
    assert alive(pid)
    begun = time.monotonic()
    worker.stop()
    assert time.monotonic() - begun < 5.0
    assert not alive(pid)
    worker.stop()  # once more does no harm
    with pytest.raises(RunBroken, match="no result"):
        worker.result()
    Worker(lambda: 1).result()
    assert descriptors() == before


@here
@pytest.mark.usefixtures("forking")
def test_an_interruption_while_waiting_leaves_a_child_that_can_be_stopped() -> None:
    """Ctrl-C falls into `result`; the way out stops the children and says what happened."""
    worker = Worker(lambda: time.sleep(60))
    pid = worker._pid  # noqa: SLF001
    assert pid is not None

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            worker.result()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)
    worker.stop()
    assert not alive(pid)


@here
@pytest.mark.usefixtures("forking")
def test_a_child_whose_parent_no_longer_listens_ends_quietly(tmp_path: Path) -> None:
    """It must not come back into its parent's code, which would go on with the parent's work."""
    marker = tmp_path / "came-back"
    pid = os.getpid()
    worker: Worker[bytes] | None = None
    try:
        worker = Worker(lambda: (time.sleep(0.3), b"x" * 1_000_000)[1])
        child, read = worker._pid, worker._read  # noqa: SLF001
        assert child is not None
        os.close(read)
        os.waitpid(child, 0)
        worker._pid = None  # noqa: SLF001
    finally:
        if os.getpid() != pid:
            marker.write_text("the child ran its parent's code", encoding="utf-8")
            os._exit(1)
    assert not marker.exists()


def test_private_memory_is_told_where_the_system_knows_it() -> None:
    mib = private_mib()
    assert mib >= 0.0
    if Path("/proc/self/smaps_rollup").exists():
        # Not an array: a long run of tests has freed memory that one would be given again.
        size = 64 * 2**20
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as ballast:
            ballast.write(b"1" * size)
            assert private_mib() - mib > 30.0


def test_a_single_core_has_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert not can_fork()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert can_fork() is hasattr(os, "fork")
