"""The sixteenth input: answers that broke Modbus clients, for head-ends under test.

A `Lie` makes a wrong answer of a request and of what an honest device would say. `HostileServer`
tells it on an address of its own, so that any vendor's master can be pointed there.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = ["LIES", "HostileServer", "Lie"]

PDU = 7
WAIT_S = 0.05
RECEIVE = 4096


@dataclass(frozen=True, slots=True)
class Lie:
    """A wrong answer.

    Attributes
    ----------
    name, source : what it is and who broke
    tell : request and honest answer, both whole, to what is sent
    """

    name: str
    source: str
    tell: Callable[[bytes, bytes], bytes]


def _head(answer: bytes, **other: int) -> bytes:
    """Return an answer with parts of its header exchanged."""
    names = ("tid", "protocol", "length", "unit")
    head = dict(zip(names, struct.unpack(">HHHB", answer[:PDU]), strict=True)) | other
    return struct.pack(">HHHB", *(head[n] & (0xFF if n == "unit" else 0xFFFF) for n in names))


def _with(answer: bytes, pdu: bytes, **other: int) -> bytes:
    return _head(answer, **({"length": len(pdu) + 1} | other)) + pdu


CVE_COUNT = "CVE-2026-29972"
CVE_CLIENT = "CVE-2023-26793, CVE-2024-34244"

LIES = (
    Lie("byte count 250 in a short answer", CVE_COUNT,
        lambda _, a: _with(a, bytes([a[PDU], 250]) + a[PDU + 2 :])),
    Lie("byte count 250 with 250 bytes", CVE_COUNT,
        lambda _, a: _with(a, bytes([a[PDU], 250]) + bytes(250))),
    Lie("byte count 0", CVE_CLIENT, lambda _, a: _with(a, bytes([a[PDU], 0]))),
    Lie("one byte missing", CVE_CLIENT, lambda _, a: _with(a, a[PDU:-1])),
    Lie("one byte more", CVE_CLIENT, lambda _, a: _with(a, a[PDU:] + b"\0")),
    Lie("another's transaction", "pymodbus#1949", lambda _, a: _with(a, a[PDU:], tid=a[1] + 77)),
    Lie("another unit", CVE_CLIENT, lambda _, a: _with(a, a[PDU:], unit=a[6] + 1)),
    Lie("another function", CVE_CLIENT, lambda _, a: _with(a, bytes([a[PDU] ^ 1]) + a[PDU + 1 :])),
    Lie("another protocol", CVE_CLIENT, lambda _, a: _with(a, a[PDU:], protocol=7)),
    Lie("exception 0", CVE_CLIENT, lambda q, a: _with(a, bytes([q[PDU] | 0x80, 0]))),
    Lie("exception of another function", CVE_CLIENT,
        lambda q, a: _with(a, bytes([(q[PDU] ^ 1) | 0x80, 2]))),
    Lie("exception without a code", CVE_CLIENT, lambda q, a: _with(a, bytes([q[PDU] | 0x80]))),
    Lie("length 0", CVE_CLIENT, lambda _, a: _head(a, length=0) + a[PDU:]),
    Lie("length 65535", CVE_CLIENT, lambda _, a: _head(a, length=65535) + bytes(600)),
    Lie("length that says more", CVE_CLIENT,
        lambda _, a: _head(a, length=len(a) - PDU + 9) + a[PDU:]),
    Lie("half an answer", CVE_CLIENT, lambda _, a: a[: len(a) // 2]),
    Lie("noise", "general knowledge", lambda _, a: bytes(range(7, 256)) + a),
    Lie("another protocol's text", "general knowledge", lambda *_: b"HTTP/1.1 400 Bad\r\n\r\n"),
)  # fmt: skip


class HostileServer:
    """Answers every request with a lie, from `start` to `stop` or inside a ``with``.

    Parameters
    ----------
    lie : one of `LIES`
    honest : request to the answer of an honest device, both whole
    address, port : where; port 0 takes a free one
    """

    def __init__(
        self,
        lie: Lie,
        honest: Callable[[bytes], bytes],
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.lie, self.honest = lie, honest
        self._listener = socket.create_server((address, port))
        self._listener.settimeout(WAIT_S)
        self.port: int = self._listener.getsockname()[1]
        self._going = True
        self._threads = [threading.Thread(target=self._accept, name="hostile", daemon=True)]

    def start(self) -> None:
        """Begin to lie."""
        self._threads[0].start()

    def stop(self) -> None:
        """End every connection."""
        self._going = False
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while self._going:
            with suppress(TimeoutError):
                one, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(one,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, one: socket.socket) -> None:
        data = b""
        one.settimeout(WAIT_S)
        with one:
            while self._going:
                try:
                    part = one.recv(RECEIVE)
                    if not part:
                        return
                    data += part
                    while len(data) > PDU and len(data) >= 6 + int.from_bytes(data[4:6], "big"):
                        size = 6 + int.from_bytes(data[4:6], "big")
                        one.sendall(self.lie.tell(data[:size], self.honest(data[:size])))
                        data = data[size:]
                except TimeoutError:
                    continue
                except OSError:
                    return
