"""Instruments of the tests: a SCPI source and a Modbus box, each on a real loopback socket."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"


class Time:
    """A clock that stands still between sleeps."""

    def __init__(self) -> None:
        self.s = 0.0

    def now_s(self) -> float:
        return self.s

    def sleep(self, seconds: float) -> None:
        self.s += max(seconds, 0.0)


@dataclass
class ScpiSource:
    """What stands behind the socket; a hook may answer a line in place of it."""

    volts: float = 230.0
    hertz: float = 50.0
    most_v: float = 300.0
    errors: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    hook: Callable[[str], bytes | None] = lambda line: None

    def answer(self, line: str) -> bytes | None:
        """Return what goes back, None: nothing does."""
        self.lines.append(line)
        mine = self.hook(line)
        if mine is not None:
            return mine
        word, _, number = line.partition(" ")
        if word == "*IDN?":
            return b"Example Instruments,AC-3000,SN0042,1.7\r\n"
        if word == "SYST:ERR?":
            return (self.errors.pop(0) if self.errors else '0,"No error"').encode() + b"\n"
        if word in ("VOLT?", "MEAS:VOLT?"):
            return f"{self.volts:.3f}\n".encode()
        if word in ("FREQ?", "MEAS:FREQ?"):
            return f"{self.hertz:+.4E}\n".encode()
        if word == "VOLT" and float(number) <= self.most_v:
            self.volts = float(number)
        elif word == "VOLT":
            self.errors.append('-222,"Data out of range"')
        elif word == "FREQ":
            self.hertz = float(number)
        else:
            self.errors.append('-113,"Undefined header"')
        return b""


@dataclass
class Registers:
    """Registers and bits by (table, address); what is not there is exception 2."""

    words: dict[tuple[str, int], int] = field(default_factory=dict)
    written: list[tuple[str, int, tuple[int, ...]]] = field(default_factory=list)
    hook: Callable[[bytes], bytes | None] = lambda pdu: None
    moved: Callable[[Registers], None] = lambda registers: None

    def answer(self, pdu: bytes) -> bytes | None:
        mine = self.hook(pdu)
        if mine is not None:
            return mine
        function, address = pdu[0], int.from_bytes(pdu[1:3], "big")
        if function > 6:
            return bytes([function | 0x80, 1])
        if function in (5, 6):
            table, word = ("coil", int(pdu[3] == 0xFF)) if function == 5 else (
                "holding", int.from_bytes(pdu[3:5], "big"))  # fmt: skip
            return self._write(table, address, (word,), pdu)
        table = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}[function]
        count = int.from_bytes(pdu[3:5], "big")
        places = [(table, address + i) for i in range(count)]
        if not all(p in self.words for p in places):
            return bytes([function | 0x80, 2])
        found = [self.words[p] for p in places]
        if function > 2:
            return bytes([function, 2 * count]) + struct.pack(f">{count}H", *found)
        packed = bytearray(-(-count // 8))
        for i, bit in enumerate(found):
            packed[i // 8] |= bit << i % 8
        return bytes([function, len(packed)]) + bytes(packed)

    def _write(self, table: str, address: int, words: tuple[int, ...], echo: bytes) -> bytes:
        if (table, address) not in self.words:
            return bytes([echo[0] | 0x80, 2])
        self.words[table, address] = words[0]
        self.written.append((table, address, words))
        self.moved(self)
        return echo


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def _serving(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            handle(self.request)

    with _Server((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join(5.0)


@contextmanager
def scpi_box(source: ScpiSource) -> Iterator[int]:
    """Serve a source; yields its port. An answer of None ends the connection."""

    def handle(one: socket.socket) -> None:
        one.settimeout(5.0)
        with one.makefile("rb") as lines:
            for line in lines:
                answer = source.answer(line.decode().strip())
                if answer is None:
                    return
                one.sendall(answer)

    with _serving(handle) as port:
        yield port


@contextmanager
def modbus_box(registers: Registers) -> Iterator[int]:
    """Serve registers to any unit; yields the port. An answer of None ends the connection."""

    def handle(one: socket.socket) -> None:
        one.settimeout(5.0)
        with one.makefile("rb") as stream:
            while len(head := stream.read(7)) == 7:
                answer = registers.answer(stream.read(int.from_bytes(head[4:6], "big") - 1))
                if answer is None:
                    return
                size = (len(answer) + 1).to_bytes(2, "big")
                one.sendall(head[:4] + size + head[6:7] + answer)

    with _serving(handle) as port:
        yield port


def unused_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
