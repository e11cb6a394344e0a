"""An emulated battery in wall time, a bench with it, and runners on that bench."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from hil.bench.files import load_bench
from hil.bench.journal import read_journal
from hil.bench.schema import BenchFile
from hil.testbed.stage import Stage
from tests.bench.discharging import discharge
from twin.assets.manners import Manner

TICK_S = 0.05  # wall time between two steps of the device
RATE = 10.0  # simulated seconds a wall second: it ramps 100 kW/s
# The device's own watchdog, in wall seconds; the guard must be faster.
EXPIRES_S = 8.0
SAFE_KW = 5.0
# One process that has everything imported, from which runners begin at once.
START = multiprocessing.get_context("forkserver")
START.set_forkserver_preload(["tests.bench.discharging"])


@contextmanager
def living(stage: Stage) -> Iterator[Stage]:
    """Let a stage's time pass with the wall's."""
    end = threading.Event()

    def pump() -> None:
        while not end.wait(TICK_S):
            stage.clock.sleep(TICK_S * RATE)

    thread = threading.Thread(target=pump)
    with stage:
        thread.start()
        try:
            yield stage
        finally:
            end.set()
            thread.join()


def watched_battery() -> Stage:
    """Its own watchdog is slower than the guard: who made it safe is never in doubt."""
    manner = Manner(heartbeat_s=round(EXPIRES_S * RATE))
    return Stage("storage", state={"soc": 0.6}, manner=manner)


GUARD = {
    "heartbeat_s": 2.0, "watch_s": 0.2, "blind_s": 1.5, "settle_s": 4.0, "retry_s": 8.0,
}  # fmt: skip


def bench_text(
    stage: Stage,
    *,
    port: int | None = None,
    more: str = "",
    top: str = "",
    guard: Mapping[str, float] = GUARD,
) -> str:
    """Return a bench file with one battery on it."""
    spec, rated = stage.spec, stage.nameplate["rated_kw"]
    if spec.transport == "rtu":
        where = f'transport = "rtu"\nserial = "{spec.serial}"\nbaud = {spec.baud}'
    else:
        where = f'transport = "tcp"\nhost = "{spec.host}"\nport = {port or spec.port}'
    stop = 'emergency_stop = "red button beside the door, tested 2026-11-20"'
    return f"""
name = "shed"
{top if "emergency_stop" in top else stop}
[guard]
{chr(10).join(f"{k} = {v}" for k, v in guard.items())}
[[devices]]
name = "battery"
map = "{stage.map.name}"
{where}
unit = {spec.unit}
timeout_s = 0.3
rated_kw = {rated}
safe_state = {{ set_power_kw = 0.0 }}
{more}
[devices.limits]
power_low_kw = {-rated}
power_high_kw = {rated}
ramp_kw_s = 1000.0
[devices.heartbeat]
point = "set_heartbeat"
every_s = 0.5
expires_s = {EXPIRES_S}
[devices.lease]
point = "set_revert_s"
value = {EXPIRES_S * RATE}
"""


def without_timers(text: str) -> str:
    """Return a bench file whose battery has no timers of its own."""
    return text.split("[devices.heartbeat]")[0]


def bench_of(folder: Path, text: str) -> BenchFile:
    path = folder / "bench.toml"
    path.write_text(text)
    return load_bench(path)


def entries(folder: Path) -> list[Mapping[str, Any]]:
    return list(read_journal(folder / "journal.jsonl"))


def writes(stage: Stage) -> int:
    """Return how many writes have come to a device."""
    return int(stage.field.counts()["writes"].sum())


def guard_ended(journal: Path, within_s: float = 10.0) -> Mapping[str, Any]:
    """Wait for a guard's last entry and return it."""
    end_s = time.monotonic() + within_s
    while True:
        for entry in read_journal(journal):
            if entry["entry"] == "note" and entry["text"] == "guard ends":
                return entry
        assert time.monotonic() < end_s, journal.read_text()
        time.sleep(0.02)


@dataclass
class Runner:
    """A runner's process, and what is known of it."""

    process: Any
    said: Connection
    journal: Path
    guard_pid: int = 0
    words: list[str] = field(default_factory=list)

    def hear(self, word: str, within_s: float = 30.0) -> None:
        """Wait until it says something that begins with `word`."""
        end_s = time.monotonic() + within_s
        while self.said.poll(max(end_s - time.monotonic(), 0.0)):
            try:
                said = self.said.recv()
            except EOFError:
                break
            if isinstance(said, int):
                self.guard_pid = said
                continue
            self.words.append(said)
            if said.startswith(word):
                return
        raise AssertionError(f"it said {self.words}, not {word}: {self.stderr()}")

    def stderr(self) -> str:
        path = self.journal.with_suffix(".stderr")
        return path.read_text() if path.exists() else ""

    def entries(self, by: str, kind: str) -> list[Mapping[str, Any]]:
        """Return entries of the journal."""
        return [e for e in read_journal(self.journal) if e["by"] == by and e["entry"] == kind]

    def wait_for(self, by: str, kind: str, within_s: float = 10.0) -> None:
        """Wait for an entry of the journal."""
        end_s = time.monotonic() + within_s
        while not self.entries(by, kind):
            assert time.monotonic() < end_s, self.journal.read_text() + self.stderr()
            time.sleep(0.02)

    def guard_ended(self) -> Mapping[str, Any]:
        """Wait for the guard's last entry and return it."""
        return guard_ended(self.journal)


@contextmanager
def runner(text: str, folder: Path, how: str = "") -> Iterator[Runner]:
    """Have a runner begin to discharge; whatever is left of it is killed in the end."""
    bench, journal = folder / "bench.toml", folder / "journal.jsonl"
    bench.write_text(text)
    mine, its = START.Pipe()
    process = START.Process(target=discharge, args=(bench, journal, how, its))
    process.start()
    its.close()
    one = Runner(process, mine, journal)
    try:
        yield one
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.join()
        mine.close()


class Cable:
    """A TCP connection that can be cut: what comes in at `port` goes on to the device."""

    def __init__(self, target: int) -> None:
        self.target, self.whole = target, True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """End every connection, and take no new one."""
        self.whole = False
        for one in self._ends:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections through again."""
        self.whole = True

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self.whole:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.target))
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(target=self._carry, args=(one, other))
                self._threads.append(thread)
                thread.start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(4096):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        one.close()


def wait_safe(stage: Stage, within_s: float) -> float:
    """Return after how many wall seconds the device's true power is that of its safe state."""
    begun_s = time.monotonic()
    while time.monotonic() < begun_s + within_s:
        if abs(stage.meter.power_kw().value) < SAFE_KW:
            return time.monotonic() - begun_s
        time.sleep(0.01)
    raise AssertionError(f"{stage.meter.power_kw().value} kW after {within_s} s")
