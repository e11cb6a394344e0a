"""Servers on loopback and the plainest client there is, for tests."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from hil.registers.bank import RegisterBank
from hil.server import Endpoint, Server, WireManner

BODIES = ("compiled", "portable")
TIMEOUT_S = 5.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(device: int) -> str:
    return f"127.9.{device // 200}.{device % 200 + 1}"


def own_addresses(bank: RegisterBank, port: int) -> list[Endpoint]:
    return [Endpoint(address(d), port, d) for d in range(len(bank.arrays.base))]


@contextmanager
def serving(
    bank: RegisterBank,
    body: str,
    endpoints: Sequence[Endpoint] | None = None,
    manners: Mapping[int, WireManner] | None = None,
    **more: int,
) -> Iterator[Server]:
    """Serve a bank's devices, by default each at its own address and one port."""
    if endpoints is None:
        endpoints = own_addresses(bank, free_port())
    layout, lanes = bank.compiled.layout, len(bank.arrays.queue_count) - 1
    with Server(bank.arrays, layout, endpoints, lanes, body, manners, **more) as server:
        yield server


def frame(pdu: bytes, unit: int = 1, tid: int = 1) -> bytes:
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu


class Client:
    """One connection; `ask` sends a PDU and returns the PDU that answers it."""

    def __init__(self, endpoint: Endpoint, timeout_s: float = TIMEOUT_S) -> None:
        self.socket = socket.create_connection((endpoint.address, endpoint.port), timeout_s)
        self.tid = 0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes, fewer where the other side closes."""
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                break
            data += part
        return data

    def answer(self) -> bytes:
        """Return one whole answer, empty where the other side has closed."""
        head = self.exactly(6)
        return head + self.exactly(int.from_bytes(head[4:6], "big")) if len(head) == 6 else b""

    def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        self.tid += 1
        self.send(frame(pdu, unit, self.tid))
        answer = self.answer()
        assert answer[:4] == struct.pack(">HH", self.tid, 0), "another request's answer"
        assert answer[6] == unit
        return answer[7:]

    def silent(self, data: bytes, for_s: float = 0.15) -> bool:
        """Return whether nothing comes back."""
        self.send(data)
        self.socket.settimeout(for_s)
        try:
            return self.socket.recv(1) == b"never"
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT_S)

    def closed(self) -> bool:
        """Return whether the other side closes, whatever it says before."""
        try:
            while self.socket.recv(4096):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True


@contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Yield the names of two pseudo-terminals that are wired to each other."""
    pairs = [os.openpty(), os.openpty()]
    for pair in pairs:
        for end in pair:
            tty.setraw(end)
    (left, _), (right, _) = pairs
    stop, stopped = os.pipe()[::-1]

    def carry() -> None:
        while True:
            for end in select.select([left, right, stopped], [], [])[0]:
                if end == stopped:
                    return
                os.write(right if end == left else left, os.read(end, 4096))

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        os.write(stop, b"\0")
        thread.join()
        for fd in (*pairs[0], *pairs[1], stop, stopped):
            os.close(fd)


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def read(function: int, first: int, count: int) -> bytes:
    return bytes([function]) + words(first, count)


def write_many(first: int, *values: int) -> bytes:
    return b"\x10" + words(first, len(values)) + bytes([2 * len(values)]) + words(*values)
