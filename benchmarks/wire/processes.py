"""Servers under load as processes: start on one core, load from another, count, always end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "127.0.0.1"
START_S = 90.0  # a server may have to compile first
STOP_S = 5.0
SETTLE_S = 0.2  # to notice that a connection has ended
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A server or the load generator did not do what was asked of it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One server under one load."""

    requests: int
    errors: int
    wrong: dict[str, int]
    seconds: float
    cpu_s: float
    p50_us: int
    p99_us: int
    max_us: int

    @property
    def cpu_us(self) -> float:
        """CPU time of the server per request [us]."""
        return 1e6 * self.cpu_s / self.requests if self.requests > 0 else float("inf")

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def free_port() -> int:
    """Return a port of `ADDRESS` that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Start what is started inside on `core`: children and their threads inherit it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its threads and its children, ended or alive [s]."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total = TICK_S * sum(int(word) for word in fields[11:15])
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(cpu_seconds(int(child)) for child in children.read_text().split())
    except FileNotFoundError as gone:
        raise BenchError(f"process {pid} has ended") from gone
    return total


def end(process: subprocess.Popen[str]) -> None:
    """Terminate a process that leads its own session; kill what does not obey."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            return
    raise BenchError(f"process {process.pid} does not end")


def wait_for(process: subprocess.Popen[str], said: Path) -> None:
    """Return when the server has said that it is ready; BenchError when it ends or takes too long.

    A connection alone proves nothing: it may wait in the backlog of a server that compiles.
    """
    deadline = time.monotonic() + START_S
    while process.poll() is None:
        if "ready" in said.read_text():
            return
        if time.monotonic() > deadline:
            raise BenchError(f"not ready within {START_S:.0f} s")
        time.sleep(0.05)
    raise BenchError(f"ended with status {process.returncode} before it served")


@contextlib.contextmanager
def server(argv: Sequence[str], core: int) -> Iterator[int]:
    """Run a server on `core` and yield its process id; what it said is shown when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with said.open("w") as output, pinned(core):
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True,
                start_new_session=True,
            )  # fmt: skip
        try:
            wait_for(process, said)
            yield process.pid
            if process.poll() is not None:
                raise BenchError(f"ended with status {process.returncode} under load")
        except BenchError as error:
            text = said.read_text()[-2000:]
            raise BenchError(f"{' '.join(argv)}\n{error}\n{text}") from error
        finally:
            end(process)


def next_line(process: subprocess.Popen[str], seconds: float) -> str:
    """Return what the load generator says next; BenchError when it says nothing in time."""
    if process.stdout is None:
        raise BenchError("the load generator's output is not read")
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    line = process.stdout.readline() if ready else ""
    if line == "":
        raise BenchError(f"the load generator said nothing within {seconds:.0f} s")
    return line


def measure(
    load: Path, pid: int, port: int, connections: int, seconds: int, core: int, *words: str
) -> Sample:
    """Load the server `pid` from `core`; its CPU time counts from the first request timed.

    The connections are open, and each has had one answer, before the measurement; they are
    closed after it. One more has come and gone before them, as in any server that is in use:
    stock pymodbus needs a quarter less once a connection has ended.
    """
    socket.create_connection((ADDRESS, port), START_S).close()
    time.sleep(SETTLE_S)
    argv = [
        str(load), "--wait", "--address", ADDRESS, "--port", str(port),
        "--connections", str(connections), "--seconds", str(seconds), *words,
    ]  # fmt: skip
    with pinned(core):
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            start_new_session=True,
        )  # fmt: skip
    try:
        next_line(process, START_S)
        before = cpu_seconds(pid)
        if process.stdin is not None:
            process.stdin.write("go\n")
        result = json.loads(next_line(process, seconds + START_S))
        cpu_s = cpu_seconds(pid) - before
    finally:
        end(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    return Sample(cpu_s=cpu_s, **result)
