"""The load generator counts what is right and finds what is wrong."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from benchmarks.wire.processes import ADDRESS, free_port, measure, server
from benchmarks.wire.programs import Programs, build, missing_tools

pytestmark = pytest.mark.wiretools

CORE = min(os.sched_getaffinity(0))
REGISTERS = 100
WORDS = struct.pack(f">{REGISTERS}H", *range(REGISTERS))
PATIENCE_S = 10.0

Answer = Callable[[int], bytes]  # of a transaction


def frame(
    transaction: int,
    *,
    protocol: int = 0,
    length: int = 3 + len(WORDS),
    unit: int = 1,
    function: int = 3,
    size: int = len(WORDS),
    words: bytes = WORDS,
) -> bytes:
    head = struct.pack(">HHHBBB", transaction, protocol, length, unit, function, size)
    return head + words


WRONG: dict[str, Answer] = {
    "transaction": lambda t: frame(t + 1),
    "protocol": lambda t: frame(t, protocol=1),
    "length": lambda t: frame(t, length=len(WORDS)),
    "unit": lambda t: frame(t, unit=2),
    "function": lambda t: frame(t, length=3, function=0x83, size=2, words=b""),
    "byte_count": lambda t: frame(t, size=len(WORDS) - 2),
    "content": lambda t: frame(t, words=WORDS[:-1] + b"\0"),
    "surplus": lambda t: frame(t) + b"\0",
    "silent": lambda t: frame(t)[:-1],
    "closed": lambda t: b"",
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    missing = missing_tools()
    if missing:
        pytest.skip(f"missing: {', '.join(missing)}")
    return build(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def answering() -> Iterator[Callable[[Answer], int]]:
    """Serve one connection: the first request rightly, every later one as told."""
    listener = socket.create_server((ADDRESS, 0))
    listener.settimeout(PATIENCE_S)
    threads: list[threading.Thread] = []

    def serve(answer: Answer) -> None:
        connection, _ = listener.accept()
        connection.settimeout(PATIENCE_S)
        with connection:
            respond: Answer = frame
            while request := connection.recv(12):
                words = respond(int.from_bytes(request[:2]))
                if not words:
                    return
                connection.sendall(words)
                respond = answer

    def start(answer: Answer) -> int:
        threads.append(threading.Thread(target=serve, args=(answer,)))
        threads[-1].start()
        return int(listener.getsockname()[1])

    with listener:
        yield start
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def load(programs: Programs, port: int, *words: str) -> tuple[int, dict[str, object]]:
    command = [str(programs.load), "--address", ADDRESS, "--port", str(port), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, json.loads(done.stdout)


def test_libmodbus_under_load_answers_everything(programs: Programs) -> None:
    port = free_port()
    with server([str(programs.libmodbus_server), ADDRESS, str(port)], CORE) as pid:
        sample = measure(programs.load, pid, port, 10, 1, CORE, "--ramp")
    assert sample.errors == 0
    assert sample.requests > 10
    assert sample.cpu_s > 0.0
    assert 0 < sample.p50_us <= sample.p99_us <= sample.max_us


def test_as_many_requests_as_asked_for(programs: Programs) -> None:
    port = free_port()
    with server([str(programs.libmodbus_server), ADDRESS, str(port)], CORE):
        words = ("--connections", "3", "--requests", "100", "--seconds", "10")
        status, result = load(programs, port, *words)
    assert (status, result["requests"], result["errors"]) == (0, 100, 0)


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_answer_is_found(
    kind: str, programs: Programs, answering: Callable[[Answer], int]
) -> None:
    port = answering(WRONG[kind])
    words = ("--connections", "1", "--seconds", "1", "--timeout", "1", "--ramp")
    status, result = load(programs, port, *words)
    assert (status, result["requests"], result["wrong"]) == (1, 0, {kind: 1})


def test_an_answer_in_pieces_is_right(programs: Programs) -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        listener.settimeout(PATIENCE_S)

        def serve() -> None:
            connection, _ = listener.accept()
            connection.settimeout(PATIENCE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                while request := connection.recv(12):
                    answer = frame(int.from_bytes(request[:2]))
                    for piece in (answer[:5], answer[5:8], answer[8:60], answer[60:]):
                        connection.sendall(piece)
                        time.sleep(0.002)

        thread = threading.Thread(target=serve)
        thread.start()
        words = ("--connections", "1", "--requests", "20", "--seconds", "5", "--ramp")
        status, result = load(programs, listener.getsockname()[1], *words)
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert (status, result["requests"], result["errors"]) == (0, 20, 0)


def test_nobody_there_is_an_error(programs: Programs) -> None:
    status, result = load(programs, free_port(), "--connections", "2", "--seconds", "1")
    assert (status, result["requests"], result["wrong"]) == (1, 0, {"connect": 2})


@pytest.mark.parametrize(
    "words",
    [
        ("--address", "192.0.2.1", "--port", "502"),
        ("--address", "127.255.255.250", "--port", "502", "--connections", "50", "--spread"),
        ("--address", ADDRESS, "--port", "502", "--registers", "126"),
        ("--address", ADDRESS, "--port", "502", "--seconds", "1e3"),
    ],
)
def test_refused(words: tuple[str, ...], programs: Programs) -> None:
    command = [str(programs.load), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
    assert "load: --" in done.stderr
    assert done.stdout == ""


def test_the_server_refuses_other_addresses(programs: Programs) -> None:
    command = [str(programs.libmodbus_server), "0.0.0.0", "5020"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
    assert "127.0.0.0/8" in done.stderr
