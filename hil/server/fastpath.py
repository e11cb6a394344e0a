"""The server's one door: compiled lanes for the well-mannered, the portable body for the others."""

from __future__ import annotations

import select
import socket
import ssl
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Literal, Self

import numpy as np

from hil.kernels import protocol, serve
from hil.kernels.image import Bank, Layout
from hil.server.behaviour import GAPS, Behaviour, WireManner
from hil.server.listen import Acceptor, Endpoint, open_listeners
from hil.server.tcp import PortableBody

__all__ = ["Server"]

# Descriptors that a process needs beside its connections.
RESERVE = 128
MOST_FILES = 1 << 18
JOIN_S = 10.0


class _Lane:
    """One compiled loop in a thread of its own."""

    def __init__(self, bank: Bank, layout: Layout, sockets: serve.Sockets, number: int) -> None:
        self.number, self.sockets = number, sockets
        self.control = sockets.control[number]
        self.epoll = select.epoll()
        # The lane's end of the pair is its alarm clock, and tells Python of what it gives back.
        self.wake, self.woken = socket.socketpair()
        for end in (self.wake, self.woken):
            end.setblocking(False)
        self.epoll.register(self.woken, select.EPOLLIN)
        self.accepted = 0
        self.thread = threading.Thread(
            target=serve.serve,
            args=(bank, layout, sockets, number, self.epoll.fileno(), self.woken.fileno()),
            name=f"lane {number}",
            daemon=True,
        )

    def open(self) -> int:
        """Return how many connections the lane has."""
        return self.accepted - int(self.control[serve.CLOSED]) - int(self.control[serve.GAVE])

    def take(self, one: socket.socket, endpoint: Endpoint) -> None:
        """Hand a connection over to the loop."""
        s, fd = self.sockets, one.detach()
        s.row[fd] = 0
        s.row[fd, serve.FIRST], s.row[fd, serve.COUNT] = endpoint.first_device, endpoint.count
        s.row[fd, serve.LANE] = self.number
        s.state[fd] = serve.OPEN
        self.accepted += 1
        self.epoll.register(fd, select.EPOLLIN)

    def nudge(self) -> None:
        """Let the loop look at what has changed."""
        with suppress(BlockingIOError):
            self.wake.send(b"\0")

    def given(self) -> list[tuple[socket.socket, int, bytes]]:
        """Return the connections given back: socket, first device, and what was read of each."""
        with suppress(BlockingIOError):
            self.wake.recv(4096)
        s, found = self.sockets, []
        gave = serve.gave(self.control)
        for i in range(int(self.control[serve.TAKEN]), gave):
            fd = int(s.gone[self.number, i % s.gone.shape[1]])
            held = s.held[fd, : s.row[fd, serve.HELD]].tobytes()
            first = int(s.row[fd, serve.FIRST])
            s.state[fd] = serve.FREE
            found.append((socket.socket(fileno=fd), first, held))
        self.control[serve.TAKEN] = gave
        return found

    def stop(self) -> None:
        """End the loop; it closes its connections."""
        self.control[serve.STOP] = 1
        self.nudge()
        self.thread.join(JOIN_S)
        for one, _, _ in self.given():
            one.close()
        for end in (self.epoll, self.wake, self.woken):
            end.close()


class Server:
    """Serves devices over Modbus TCP while inside its ``with``, or from `start` to `stop`.

    Raises InputProblems in `start` with every address and port that cannot be had.

    Parameters
    ----------
    bank, layout : what devices hold; the bank has a queue for each lane and one more
    endpoints : where the devices are reached
    lanes : threads of the compiled body
    body : ``auto`` takes the compiled one where there is one; devices with manners are always
        served by the portable one
    manners : by device, in force from the start
    seed : of what is drawn for manners
    most : connections at a time; default: what the open-file limit leaves
    tls : `hil.server.tls.server_context`; the portable body serves then
    """

    def __init__(
        self,
        bank: Bank,
        layout: Layout,
        endpoints: Sequence[Endpoint],
        lanes: int = 1,
        body: Literal["compiled", "portable", "auto"] | str = "auto",
        manners: Mapping[int, WireManner] | None = None,
        seed: int = 0,
        most: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if body not in ("compiled", "portable", "auto"):
            raise ValueError(f"body {body!r}; compiled, portable or auto")
        linux = sys.platform == "linux"
        if body == "compiled" and not linux:
            raise ValueError("the compiled body needs Linux")
        if body == "compiled" and tls is not None:
            raise ValueError("the compiled body does not speak TLS")
        if lanes < 1 or len(bank.queue_count) < lanes + 1:
            raise ValueError(f"{len(bank.queue_count)} queues in the bank; lanes + 1 = {lanes + 1}")
        self.bank, self.layout, self.endpoints = bank, layout, tuple(endpoints)
        self.lane_count = lanes if body != "portable" and linux and tls is None else 0
        self.seed, self.most, self.tls = seed, most, tls
        self.behaviours: dict[int, Behaviour] = {}
        self._endpoint_of = {e.first_device + i: e for e in self.endpoints for i in range(e.count)}
        self._own_gaps = bank.gaps.copy()
        self._changing = threading.Lock()
        self._lanes: list[_Lane] = []
        self._next = 0
        self._portable: PortableBody | None = None
        self._acceptor: Acceptor | None = None
        self._stopped = False
        self._waiting = dict(manners or {})

    # -- begin and end -------------------------------------------------------------------------

    def start(self) -> None:
        """Listen and serve; once."""
        if self._acceptor is not None:
            raise RuntimeError("a server starts once")
        listeners = open_listeners(self.endpoints)
        try:
            files = min(_open_files(), MOST_FILES)
            if self.most is None:
                self.most = max(files - RESERVE - len(listeners), 1)
            self._portable = PortableBody(self.bank, self.layout, len(self.bank.queue_count) - 1,
                                          self.behaviours, self.tls)  # fmt: skip
            self.sockets = serve.sockets(files, max(self.lane_count, 1), len(self.bank.base))
            self._warm_up()
            self._acceptor = Acceptor(listeners, self.endpoints, self._take)
        except BaseException:
            for one in listeners:
                one.close()
            raise
        self._portable.start()
        for number in range(self.lane_count):
            lane = _Lane(self.bank, self.layout, self.sockets, number)
            self._lanes.append(lane)
            self._portable.watch(lane.wake, partial(self._take_back, lane))
            lane.thread.start()
        for device, manner in self._waiting.items():
            self.set_manner(device, manner)
        self._acceptor.start()

    def stop(self) -> None:
        """Close every connection and end every thread; the bank stays as it is."""
        if self._acceptor is None or self._stopped:
            return
        self._stopped = True
        self._acceptor.stop()
        if self._portable is not None:
            self._portable.stop()
        for lane in self._lanes:
            lane.stop()

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

    def _warm_up(self) -> None:
        """Compile what threads will run, so that the first client does not wait for it."""
        frame, out = np.zeros(12, np.uint8), np.zeros(300, np.uint8)
        protocol.frame_length(frame, 0, 0)
        protocol.device_of(self.bank, 1, 0, 1)
        protocol.answer(self.bank, self.layout, (0, 0, 1), frame, (0, 12), 0, out, 0)
        if self.lane_count > 0:
            self.sockets.control[0, serve.STOP] = 1
            serve.serve(self.bank, self.layout, self.sockets, 0, -1, -1)
            serve.gave(self.sockets.control[0])
            self.sockets.control[0, serve.STOP] = 0

    # -- connections ---------------------------------------------------------------------------

    def _open(self) -> int:
        portable = 0 if self._portable is None else len(self._portable.connections)
        return portable + sum(lane.open() for lane in self._lanes)

    def _take(self, one: socket.socket, endpoint: Endpoint) -> bool:
        """Give a new connection to the body it belongs to; False where there is no room."""
        if self._portable is None or self.most is None or self._open() >= self.most:
            return False
        if one.fileno() >= len(self.sockets.state):
            return False
        with self._changing:
            if not self._lanes or self._mannered(endpoint):
                self._portable.adopt(one, endpoint)
            else:
                # All connections of a device are one lane's: it writes the device's overlay.
                self._lanes[endpoint.first_device % len(self._lanes)].take(one, endpoint)
        return True

    def _take_back(self, lane: _Lane) -> None:
        """Move what a lane gives back to the portable body; runs in that body's thread."""
        for one, first, rest in lane.given():
            if self._portable is not None:
                self._portable.adopt(one, self._endpoint_of[first], rest, fresh=False)

    # -- manners -------------------------------------------------------------------------------

    def set_manner(self, device: int, manner: WireManner | None) -> None:
        """Give a device a manner, or take it away, for open connections as well.

        Connections that a manner brought to the portable body stay there.
        """
        endpoint = self._endpoint_of[device]
        with self._changing:
            if manner is None:
                self.behaviours.pop(device, None)
            else:
                self.behaviours[device] = Behaviour(manner, self.seed, device)
            gaps = None if manner is None else manner.gaps
            self.bank.gaps[device] = self._own_gaps[device] if gaps is None else GAPS[gaps]
            if self._lanes:
                leaves = self._mannered(endpoint)
                self.sockets.leave[endpoint.first_device] = leaves
                if leaves:
                    self._lanes[endpoint.first_device % len(self._lanes)].nudge()

    def _mannered(self, endpoint: Endpoint) -> bool:
        last = endpoint.first_device + endpoint.count
        return any(d in self.behaviours for d in range(endpoint.first_device, last))

    # -- counters ------------------------------------------------------------------------------

    def stats(self) -> dict[str, int]:
        """Return what happened so far.

        ``open`` connections, ``accepted`` ones, ``strangers`` (to addresses that are not in the
        inventory), ``turned_away`` (no room), ``requests``, ``closed``; closed by us because of
        ``broken`` headers, ``half_requests``, answers ``never_read`` or ``no_slot`` for them;
        ``violations`` of least gaps and requests ``lost`` by manners.
        """
        acceptor, portable = self._acceptor, self._portable
        own = None if portable is None else portable.counters
        control = np.zeros(serve.CONTROL_COLUMNS, np.int64)
        for lane in self._lanes:
            control += lane.control
        found = {
            "open": self._open(),
            "accepted": 0 if acceptor is None else acceptor.accepted,
            "strangers": 0 if acceptor is None else acceptor.strangers,
            "turned_away": 0 if acceptor is None else acceptor.turned_away,
            "requests": int(control[serve.REQUESTS]),
            "closed": int(control[serve.CLOSED]),
            "broken": int(control[serve.WRONG]),
            "half_requests": int(control[serve.LATE]),
            "never_read": int(control[serve.NEVER_READ]),
            "no_slot": int(control[serve.NO_SLOT]),
            "violations": sum(b.violations for b in self.behaviours.values()),
            "lost": sum(b.lost for b in self.behaviours.values()),
        }
        if own is not None:
            for name in ("turned_away", "requests", "closed", "broken", "half_requests"):
                found[name] += getattr(own, name)
            found["never_read"] += own.never_read
        return found


def _open_files() -> int:
    """Return how many descriptors this process may hold."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 512
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
