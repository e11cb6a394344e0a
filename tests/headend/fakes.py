"""Servers that tests bend as they like: asyncio on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterable

Image = dict[str, dict[int, int]]
TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
Reply = Callable[["Session", bytes], "bytes | None"]


class Device:
    """Registers and coils by address; refuses what is not there."""

    def __init__(self, image: Image | None = None) -> None:
        self.image: Image = image or {"coil": {}, "discrete": {}, "holding": {}, "input": {}}
        self.writes: list[tuple[int, int, list[int]]] = []
        self.refuse: dict[int, int] = {}  # address: exception

    def answer(self, pdu: bytes) -> bytes:
        code = pdu[0]
        address = int.from_bytes(pdu[1:3])
        if code in TABLES:
            return self._read(code, address, int.from_bytes(pdu[3:5]))
        if code in (5, 6):
            value = int.from_bytes(pdu[3:5])
            table, values = ("coil", [value // 0xFF00]) if code == 5 else ("holding", [value])
            return self._write(code, table, address, values) or pdu
        count, data = int.from_bytes(pdu[3:5]), pdu[6:]
        assert pdu[5] == len(data)
        if code == 15:
            values = [data[i // 8] >> (i % 8) & 1 for i in range(count)]
        else:
            values = list(struct.unpack(f">{count}H", data))
        table = "coil" if code == 15 else "holding"
        return self._write(code, table, address, values) or pdu[:5]

    def _read(self, code: int, address: int, count: int) -> bytes:
        try:
            values = [self.image[TABLES[code]][address + i] for i in range(count)]
        except KeyError:
            return bytes([code | 0x80, 2])
        if code <= 2:
            packed = bytearray((count + 7) // 8)
            for i, bit in enumerate(values):
                packed[i // 8] |= bit << (i % 8)
            return bytes([code, len(packed)]) + packed
        return bytes([code, 2 * count]) + struct.pack(f">{count}H", *values)

    def _write(self, code: int, table: str, address: int, values: list[int]) -> bytes | None:
        for i in range(len(values)):
            refused = self.refuse.get(address + i)
            if refused is None and address + i not in self.image[table]:
                refused = 2
            if refused is not None:
                return bytes([code | 0x80, refused])
        for i, value in enumerate(values):
            self.image[table][address + i] = value
        self.writes.append((code, address, values))
        return None


def frame(tid: int, unit: int, pdu: bytes, protocol: int = 0) -> bytes:
    return struct.pack(">HHHB", tid & 0xFFFF, protocol, len(pdu) + 1, unit) + pdu


class Session(asyncio.Protocol):
    """One connection; `reply` turns a request frame into the bytes that are sent, or None."""

    def __init__(self, server: FakeServer) -> None:
        self.server, self.buffer = server, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.server.sessions.append(self)
        self.server.accepted += 1
        if self.server.hang_up:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.sessions.remove(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= 6:
            length = 6 + int.from_bytes(self.buffer[4:6])
            if len(self.buffer) < length:
                return
            request, self.buffer = self.buffer[:length], self.buffer[length:]
            self.server.requests += 1
            self.server.pending[self] = self.server.pending.get(self, 0) + 1
            self.server.deepest = max(self.server.deepest, self.server.pending[self])
            later = self.server.delay_s(request)
            if later > 0.0:
                self.server.loop.call_later(later, self.send, request)
            else:
                self.send(request)

    def send(self, request: bytes) -> None:
        self.server.pending[self] -= 1
        reply = self.server.reply(self, request)
        if reply is not None and not self.transport.is_closing():
            self.transport.write(reply)


class FakeServer:
    """Serves devices by unit at one address; a context manager."""

    def __init__(
        self,
        devices: dict[int, Device],
        address: str = "127.0.0.1",
        port: int = 0,
        reply: Reply | None = None,
        delay_s: Callable[[bytes], float] = lambda _: 0.0,
        hang_up: bool = False,
    ) -> None:
        self.devices, self.address, self.port = devices, address, port
        self.reply = reply or self.honest
        self.delay_s, self.hang_up = delay_s, hang_up
        self.sessions: list[Session] = []
        self.accepted = self.requests = self.deepest = 0
        self.pending: dict[Session, int] = {}
        self.loop = asyncio.new_event_loop()

    def honest(self, session: Session, request: bytes) -> bytes | None:
        device = self.devices.get(request[6])
        if device is None:
            return None
        return frame(int.from_bytes(request[:2]), request[6], device.answer(request[7:]))

    def __enter__(self) -> FakeServer:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(5.0)
        return self

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        listening = self.loop.create_server(
            lambda: Session(self), self.address, self.port, reuse_address=True, backlog=512
        )
        server = self.loop.run_until_complete(listening)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        server.close()
        for _ in range(5):  # what was being accepted becomes a session meanwhile
            for session in list(self.sessions):
                session.transport.abort()
            waiting = asyncio.all_tasks(self.loop)
            if waiting:
                self.loop.run_until_complete(asyncio.wait(waiting, timeout=1.0))
            self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5.0)

    def drop(self) -> None:
        """Close every connection from here."""
        self.loop.call_soon_threadsafe(lambda: [s.transport.abort() for s in self.sessions])


def zeros(spans: dict[str, Iterable[int]]) -> Image:
    image: Image = {"coil": {}, "discrete": {}, "holding": {}, "input": {}}
    for table, addresses in spans.items():
        image[table].update(dict.fromkeys(addresses, 0))
    return image
