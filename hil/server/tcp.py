"""The portable server: asyncio in a thread of its own, every manner included.

A connection holds at most `TURN_BYTES` of requests and, beside what `WRITE_BYTES` allows in its
transport, `WAITING` answers that are not due yet; beyond that it is not read. Requests are
answered by the same kernel as in the compiled server.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.kernels import modbus as mb
from hil.kernels.image import Bank, Layout
from hil.kernels.protocol import BROKEN, answer, device_of, frame_length
from hil.server.behaviour import Act, Behaviour, Link
from hil.server.listen import Endpoint

__all__ = ["Counters", "PortableBody"]

TURN_BYTES = 1040  # requests of full length that one turn takes: 4
WRITE_BYTES = 1 << 16
WAITING = 64
PATIENCE_S = 10.0  # for half requests, and for answers that nobody takes
SWEEP_S = 1.0
JOIN_S = 10.0


@dataclass(slots=True)
class Counters:
    """What happened: requests answered, connections closed, and why where it was our doing."""

    requests: int = 0
    closed: int = 0
    broken: int = 0
    half_requests: int = 0
    never_read: int = 0
    turned_away: int = 0


class _Connection(asyncio.BufferedProtocol):
    """One client's connection."""

    def __init__(self, body: PortableBody, endpoint: Endpoint, rest: bytes, fresh: bool) -> None:
        self.body, self.endpoint = body, endpoint
        self.given = np.zeros(TURN_BYTES, np.uint8)
        self.view = self.given.data
        self.held = len(rest)
        self.view[: self.held] = rest
        self.since_s = time.monotonic() if fresh else -math.inf
        self.links: dict[int, Link] = {}
        self.timers: set[asyncio.TimerHandle] = set()
        self.paused = False
        self.half_s: float | None = None
        # What waited in the transport at the last look, and since when it is so much.
        self.waiting, self.waiting_s = 0, 0.0
        self.transport: asyncio.Transport | None = None

    # -- asyncio's side ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("only streams are served")
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_BYTES)
        self.body.connections.add(self)
        if not self.body.room(self.endpoint):
            self.body.counters.turned_away += 1
            transport.abort()
            return
        self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
        self.transport = None
        self.body.connections.discard(self)
        self.body.counters.closed += 1

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.view[self.held :]

    def buffer_updated(self, nbytes: int) -> None:
        self.held += nbytes
        self._work()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._work()

    # -- requests ------------------------------------------------------------------------------

    def _full(self) -> bool:
        return self.paused or len(self.timers) >= WAITING

    def _work(self) -> None:
        """Answer every request that is whole, as far as there is room; keep the rest."""
        start = n = 0
        while self.transport is not None and not self.transport.is_closing() and not self._full():
            n = frame_length(self.given, start, self.held)
            if n <= 0:
                break
            self._request(start, start + n)
            start += n
        if self.transport is None or self.transport.is_closing():
            return
        if n == BROKEN:
            self.body.counters.broken += 1
            self.transport.close()
            return
        self.held -= start
        if start > 0:
            self.given[: self.held] = self.given[start : start + self.held].copy()
        if self.held == 0 or self._full():
            self.half_s = None
        elif self.half_s is None or start > 0:
            self.half_s = time.monotonic()
        if self._full():
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _request(self, start: int, stop: int) -> None:
        """Answer a request, now or later, or do not."""
        body, e = self.body, self.endpoint
        body.counters.requests += 1
        device = device_of(body.bank, int(self.given[start + mb.UNIT_AT]), e.first_device, e.count)
        behaviour = body.behaviours.get(device)
        if behaviour is None or body.bank.silent[device] == 1:
            self._answer(self.given, start, stop)
            return
        if device not in self.links:
            self.links[device] = Link(self.since_s)
        now_s = time.monotonic()
        reaction = behaviour.react(self.links[device], start > 0, now_s)
        frame = self.given[start:stop].copy()
        if reaction.act == Act.HANG_UP and self.transport is not None:
            self.transport.abort()
        elif reaction.act == Act.REFUSE:
            body.bank.refused[body.lane, device] += 1
            refusal = _refusal(frame.tobytes(), reaction.code)
            self._at(reaction.due_s, now_s, lambda: self._write(refusal))
        elif reaction.act == Act.ANSWER:
            self._at(reaction.due_s, now_s, lambda: self._answer(frame, 0, len(frame)))

    def _at(self, due_s: float, now_s: float, act: Callable[[], None]) -> None:
        """Do something when it is due; a device's answers keep their order."""
        if due_s <= now_s and not self.timers:
            act()
            return
        timer: asyncio.TimerHandle

        def fire() -> None:
            full = self._full()
            self.timers.discard(timer)
            act()
            if full:
                self._work()

        timer = asyncio.get_running_loop().call_at(due_s, fire)
        self.timers.add(timer)

    def _answer(self, frame: NDArray[np.uint8], start: int, stop: int) -> None:
        body, e = self.body, self.endpoint
        where = (body.lane, e.first_device, e.count)
        now_ns = time.monotonic_ns()
        end = answer(body.bank, body.layout, where, frame, (start, stop), now_ns, body.out, 0)
        if end > 0:
            self._write(body.out[:end].tobytes())

    def _write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def sweep(self, now_s: float) -> None:
        """End the connection where a half request or an untaken answer is too old."""
        if self.transport is None:
            return
        waiting = self.transport.get_write_buffer_size()
        if waiting != self.waiting or waiting == 0:
            self.waiting, self.waiting_s = waiting, now_s
        elif now_s - self.waiting_s > PATIENCE_S:
            self.body.counters.never_read += 1
            self.transport.abort()
            return
        if self.half_s is not None and now_s - self.half_s > PATIENCE_S:
            self.body.counters.half_requests += 1
            self.transport.abort()


def _refusal(frame: bytes, code: int) -> bytes:
    """Return an exception as the answer to a request."""
    return frame[: mb.LENGTH_AT] + bytes([0, 3, frame[6], frame[7] | 0x80, code])


class PortableBody:
    """The portable server's thread.

    Parameters
    ----------
    bank, layout : what devices hold
    lane : of the bank's queue
    behaviours : by device, those with manners; read anew with every request
    tls : how connections are made secret; None: they are not

    Attributes
    ----------
    connections : open ones
    counters : what happened
    """

    def __init__(
        self,
        bank: Bank,
        layout: Layout,
        lane: int,
        behaviours: Mapping[int, Behaviour],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.bank, self.layout, self.lane, self.behaviours = bank, layout, lane, behaviours
        self.tls = tls
        self.connections: set[_Connection] = set()
        self.counters = Counters()
        self.out = np.zeros(mb.LONGEST_ADU, np.uint8)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="portable", daemon=True)

    def start(self) -> None:
        """Begin to serve what is adopted."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join(JOIN_S)

    def adopt(
        self, one: socket.socket, endpoint: Endpoint, rest: bytes = b"", fresh: bool = True
    ) -> None:
        """Serve a connection, from any thread.

        Parameters
        ----------
        rest : what was read of it already
        fresh : it has only just been made
        """
        if self._loop is None:
            raise RuntimeError("adopt before start")
        self._loop.call_soon_threadsafe(self._adopt, one, endpoint, rest, fresh)

    def watch(self, one: socket.socket, act: Callable[[], None]) -> None:
        """Call `act` in the loop's thread whenever `one` can be read."""
        if self._loop is None:
            raise RuntimeError("watch before start")
        self._loop.call_soon_threadsafe(self._loop.add_reader, one, act)

    def room(self, endpoint: Endpoint) -> bool:
        """Return whether an endpoint's devices bear one more connection, the newest included."""
        last = endpoint.first_device + endpoint.count
        most = [
            b.manner.max_clients
            for d in range(endpoint.first_device, last)
            if (b := self.behaviours.get(d)) is not None and b.manner.max_clients is not None
        ]
        return not most or sum(c.endpoint == endpoint for c in self.connections) <= min(most)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        while not self._done.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), SWEEP_S)
            now_s = time.monotonic()
            for one in tuple(self.connections):
                one.sweep(now_s)
        self._loop = None
        for one in tuple(self.connections):
            if one.transport is not None:
                one.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.sleep(0)  # transports call `connection_lost` in the loop's next round
        await asyncio.sleep(0)

    def _adopt(self, one: socket.socket, endpoint: Endpoint, rest: bytes, fresh: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(one, endpoint, rest, fresh))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(
        self, one: socket.socket, endpoint: Endpoint, rest: bytes, fresh: bool
    ) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Connection(self, endpoint, rest, fresh),
                one,
                ssl=self.tls,
                ssl_handshake_timeout=None if self.tls is None else PATIENCE_S,
            )
        except (OSError, asyncio.CancelledError):
            one.close()
