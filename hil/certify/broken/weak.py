"""Servers that break on bytes: a front before an emulated device, with one weakness.

The front passes whole requests on to the device's own server and its answers back; a weakness
sees each request first. What such servers did in the field is told by hil/certify/cases.py.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from hil.bench.line import LineSpec
from hil.testbed.stage import Stage

__all__ = ["FrontedStage", "Weakness", "dies_of_no_coils", "runs_what_hides", "takes_nothing"]

HEADER, LEAST = 6, 8
LONGEST = 260  # that a header's length may say; it believes a little too much
RECEIVE = 4096
LOOK_S = 0.05
READ_COILS, READ_REGISTERS = 1, 3
READS = (1, 2, 3, 4)
READ_SIZE = 12

# Gets a whole request; returns requests to be passed on, or bytes to be answered at once.
Weakness = Callable[[bytes], "list[bytes] | bytes"]


class DeadError(Exception):
    """The device says nothing any more, to nobody."""


def takes_nothing(request: bytes) -> list[bytes] | bytes:
    """Answer a read of no registers as if it were right."""
    if request[7] == READ_REGISTERS and request[10:12] == b"\0\0":
        return request[:4] + b"\0\3" + request[6:8] + b"\0"
    return [request]


def runs_what_hides(request: bytes) -> list[bytes] | bytes:
    """Take a read for as long as reads are, and what comes behind it for another request."""
    rest = request[READ_SIZE:]
    if request[7] not in READS or len(rest) < LEAST or rest[2:4] != b"\0\0":
        return [request]
    size = HEADER + int.from_bytes(rest[4:6], "big")
    if not LEAST <= size <= len(rest):
        return [request]
    return [request[:4] + struct.pack(">H", READ_SIZE - HEADER) + request[6:READ_SIZE],
            rest[:size]]  # fmt: skip


def dies_of_no_coils(request: bytes) -> list[bytes] | bytes:
    """Fall silent for good at a read of no coils; raises DeadError."""
    if request[7] == READ_COILS and request[10:12] == b"\0\0":
        raise DeadError
    return [request]


class Front:
    """Listens on a free port of loopback while inside, a thread a connection.

    Parameters
    ----------
    behind : where the device itself is
    weakness : looks at each request
    """

    def __init__(self, behind: LineSpec, weakness: Weakness) -> None:
        self.behind, self.weakness = behind, weakness
        self.listener = socket.create_server((behind.host, 0))
        self.listener.settimeout(LOOK_S)
        self.port = int(self.listener.getsockname()[1])
        self._going, self._dead = True, False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._going = False
        for thread in self._threads:
            thread.join()
        self.listener.close()

    def _begin(self, act: Callable[..., None], *given: socket.socket) -> None:
        self._threads = [t for t in self._threads if t.is_alive()]
        thread = threading.Thread(target=act, args=given, name="front", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while self._going:
            with suppress(TimeoutError):
                self._begin(self._serve, self.listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(
            (self.behind.host, self.behind.port)
        ) as device:  # fmt: skip
            held = b""
            while self._going:
                ready = select.select([client, device], [], [], LOOK_S)[0]
                if device in ready:
                    answer = device.recv(RECEIVE)
                    if not answer:
                        return
                    if not self._dead:
                        client.sendall(answer)
                if client in ready:
                    piece = client.recv(RECEIVE)
                    if not piece:
                        return
                    if not self._dead:
                        held = self._pass(client, device, held + piece)

    def _pass(self, client: socket.socket, device: socket.socket, data: bytes) -> bytes:
        """Pass whole requests of `data` on; return the rest."""
        for request in self._whole(data):
            data = data[len(request) :]
            try:
                passed = self.weakness(request)
            except DeadError:
                self._dead = True
                return b""
            if isinstance(passed, bytes):
                client.sendall(passed)
            else:
                device.sendall(b"".join(passed))
        if len(data) >= HEADER and not _fits(data):  # no request: the device's own server judges
            device.sendall(data)
            return b""
        return data

    def _whole(self, data: bytes) -> Iterator[bytes]:
        while len(data) >= HEADER and _fits(data):
            size = HEADER + int.from_bytes(data[4:6], "big")
            if len(data) < size:
                return
            yield data[:size]
            data = data[size:]


def _fits(data: bytes) -> bool:
    return data[2:4] == b"\0\0" and 2 <= int.from_bytes(data[4:6], "big") <= LONGEST


class FrontedStage(Stage):
    """A stage whose device is reached through a front.

    Parameters
    ----------
    weakness : of the front; the others are those of `Stage`
    """

    def __init__(self, weakness: Weakness, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.weakness = weakness

    def _serve(self, stack: ExitStack) -> LineSpec:
        behind = super()._serve(stack)
        front = stack.enter_context(Front(behind, self.weakness))
        return replace(behind, port=front.port)
