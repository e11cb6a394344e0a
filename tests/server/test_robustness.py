"""The twenty inputs against both bodies and a serial line; and that the suite finds faults."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial
from pymodbus.framer import FramerRTU

from hil.certify import Attack, Target, cases, run
from hil.registers.bank import RegisterBank
from hil.server import SerialLine, SerialServer
from hil.server.rtu import GAP_S
from tests.server.line import PtyLine
from tests.server.serving import frame, serving
from tests.server.world import rig_bank

SERVER_CASES = [c.number for c in cases() if c.side == "server"]


def inside() -> dict[str, float]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_mib": pages * resource.getpagesize() / 2**20,
        "threads": threading.active_count(),
        "files": sum(1 for _ in Path("/proc/self/fd").iterdir()),
    }


def target_of(address: str, port: int) -> Target:
    return Target(address, port, 1, read=(3, 2, 1), setting=2, coil=0, last=144)


def test_there_are_twenty_and_each_says_who_broke() -> None:
    found = cases()
    assert [c.number for c in found] == list(range(1, 21))
    assert all(c.source and c.expectation and c.title_zh for c in found)
    assert all(c.frames for c in found if c.side in ("server", "serial"))
    assert {c.number: c.side for c in found if c.side != "server"} == {
        16: "client", 18: "files", 19: "serial",
    }  # fmt: skip
    assert sum(len(c.frames) for c in found) > 400


@pytest.mark.parametrize("number", SERVER_CASES)
def test_no_input_breaks_the_server(bank: RegisterBank, body: str, number: int) -> None:
    with serving(bank, body) as server:
        one, other = server.endpoints[0], server.endpoints[1]
        before = bank.arrays.words.copy()
        found = run(
            one.address,
            target=target_of(one.address, one.port),
            numbers=[number],
            others=[target_of(other.address, other.port)],
            watch=[(3, 0, 13), (3, 26, 119), (1, 0, 3), (3, 1000, 1)],
            inside=inside,
        )
        assert [str(f) for f in found] == []
        assert not bank.arrays.queue_count.any(), "something was written"
        assert not bank.arrays.latched.any()
        assert (bank.arrays.words == before).all()


NOISES = next(c.frames for c in cases(target_of("", 0)) if c.side == "serial")


@pytest.mark.parametrize("noise", NOISES, ids=lambda attack: attack.name)
def test_a_serial_line_ignores_noise(noise: Attack) -> None:
    bank, good = rig_bank(), b"\x01" + target_of("", 0).good
    wanted = b"\x01\x03\x02\x00\x03"
    with PtyLine() as line:
        where = SerialLine(line.ends[0], 115_200)
        with (
            SerialServer(bank.arrays, bank.compiled.layout, where, [0], 1),
            serial.Serial(line.ends[1], 115_200, timeout=2.0) as port,
        ):
            for piece in noise.pieces:
                port.write(piece)
            time.sleep(2 * GAP_S)
            assert port.in_waiting == 0
            port.write(good + FramerRTU.compute_CRC(good).to_bytes(2, "big"))
            assert port.read(7) == wanted + FramerRTU.compute_CRC(wanted).to_bytes(2, "big")
    assert not bank.arrays.queue_count.any()


class Broken:
    """A server with a fault."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.05)
        self.going = True
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> tuple[str, int]:
        self.threads.append(threading.Thread(target=self._accept))
        self.threads[0].start()
        address, port = self.listener.getsockname()
        return str(address), int(port)

    def __exit__(self, *_: object) -> None:
        self.going = False
        for thread in self.threads:
            thread.join()
        self.listener.close()

    def _accept(self) -> None:
        while self.going:
            try:
                one, _ = self.listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._serve, args=(one,))
            self.threads.append(thread)
            thread.start()

    def _serve(self, one: socket.socket) -> None:
        one.settimeout(0.05)
        with one:
            while self.going:
                try:
                    data = one.recv(4096)
                except TimeoutError:
                    continue
                except OSError:
                    return
                said = self.answer(data) if data else None
                if said is None:
                    return
                one.sendall(said)


def of_first(data: bytes) -> bytes:
    """Answer the first request of a segment only, whatever its length says."""
    return data[:2] + frame(b"\x03\x02\x00\x03")[2:]


def careless(data: bytes) -> bytes:
    """Answer everything as if it were a read."""
    said = b""
    while len(data) >= 8:
        said += of_first(data)
        data = data[12:]
    return said


def fragile(data: bytes) -> bytes | None:
    """Drop the connection at anything but a read."""
    return careless(data) if data[7:8] == b"\x03" else None


@pytest.mark.parametrize(("answer", "number", "wrong"), [
    (careless, 1, "answered as if it were right"),
    (careless, 8, "answered as if it were right"),
    (careless, 20, "answered as if it were right"),
    (of_first, 14, "1 of 50 answers"),
    (fragile, 14, "answers"),
])  # fmt: skip
def test_a_faulty_server_is_found_out(
    answer: Callable[[bytes], bytes | None], number: int, wrong: str
) -> None:
    with Broken(answer) as (address, port):
        target = target_of(address, port)
        found = run(address, target=target, numbers=[number], patience_s=0.3)
    assert any(wrong in f.wrong for f in found), [str(f) for f in found]


def test_a_changed_register_slow_neighbours_and_growth_are_found(bank: RegisterBank) -> None:
    grows = iter(range(0, 10_000, 100))
    with serving(bank, "compiled") as server:
        one = server.endpoints[0]
        target = target_of(one.address, one.port)
        state = {"rss": 0.0}

        def look() -> dict[str, float]:
            state["rss"] = float(next(grows))
            bank.arrays.words[:, bank.arrays.base[0]] ^= 1  # somebody writes
            return {"rss_mib": state["rss"]}

        found = run(one.address, target=target, numbers=[17], watch=[(1, 0, 1)], inside=look)
    assert {f.wrong for f in found} == {"registers have changed", "rss_mib has grown"}


def test_a_device_that_does_not_answer_is_no_target() -> None:
    with Broken(lambda _: None) as (address, port), pytest.raises(ConnectionError):
        run(address, port, patience_s=0.2)
