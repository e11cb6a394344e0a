"""Listening sockets: an own address each, an own port each, or units behind a gateway.

Where many addresses share a port one socket listens on the wildcard address, bound to the
loopback device, and the device is chosen by the address that the client took. A connection to an
address that is not in the inventory is closed before a byte of it is read.
"""

from __future__ import annotations

import errno
import ipaddress
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twin.errors import InputProblems, Problem

__all__ = ["Acceptor", "Endpoint", "open_listeners"]

BACKLOG = 4096
# Kernel memory of a connection [bytes]; accepted sockets inherit it from their listener.
SEND_BUFFER, RECEIVE_BUFFER = 1 << 16, 1 << 16
AT_ONCE = 64  # connections accepted between two looks at the other listeners
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where devices are reached.

    Attributes
    ----------
    address, port : IPv4
    first_device, count : devices, with consecutive unit numbers where there are several
    """

    address: str
    port: int
    first_device: int
    count: int = 1


def open_listeners(endpoints: Sequence[Endpoint]) -> list[socket.socket]:
    """Return sockets that listen for all endpoints.

    Raises InputProblems with every address and port that cannot be had.
    """
    found: list[Problem] = []
    by_port: dict[int, list[str]] = {}
    for e in endpoints:
        try:
            ipaddress.IPv4Address(e.address)
        except ipaddress.AddressValueError:
            found.append(Problem("address", e.address, "not an address", "an IPv4 address"))
            continue
        if not 1 <= e.port <= 65535:
            found.append(Problem("port", f"{e.address}:{e.port}", str(e.port), "1 to 65535"))
        elif e.address in by_port.setdefault(e.port, []):
            found.append(_problem(e.address, e.port, "given twice", "an address and port each"))
        else:
            by_port[e.port].append(e.address)
    listeners: list[socket.socket] = []
    for port, addresses in by_port.items():
        listeners += _of_port(port, addresses, found)
    if found:
        for one in listeners:
            one.close()
        raise InputProblems(found)
    return listeners


def _of_port(port: int, addresses: list[str], found: list[Problem]) -> list[socket.socket]:
    """Return the listeners of one port; what cannot be had is added to `found`."""
    local = all(ipaddress.IPv4Address(a) in LOOPBACK for a in addresses)
    if len(addresses) > 1 and local:
        wild = _socket()
        if _bind_to_loopback(wild):
            return _listen(wild, "0.0.0.0", port, found)
        wild.close()
    listeners: list[socket.socket] = []
    for address in addresses:
        before = len(found)
        listeners += _listen(_socket(), address, port, found)
        if len(found) > before and len(addresses) > 1:
            break  # the others of this port fail alike
    return listeners


def _socket() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _plain_congestion(one)
    one.setblocking(False)
    return one


def _plain_congestion(one: socket.socket) -> None:
    """Take the plainest congestion control where the system has it.

    Short answers fill no path. BBR, the default of many systems, keeps a model of the path and a
    timer for its pace all the same, which is 2 to 5 % of what a request costs.
    """
    option: int | None = getattr(socket, "TCP_CONGESTION", None)
    if option is not None:
        with suppress(OSError):
            one.setsockopt(socket.IPPROTO_TCP, option, b"reno")


def _bind_to_loopback(one: socket.socket) -> bool:
    """Return whether the system lets a socket be bound to the loopback device."""
    option: int | None = getattr(socket, "SO_BINDTODEVICE", None)
    if option is None:
        return False
    try:
        one.setsockopt(socket.SOL_SOCKET, option, b"lo\0")
    except OSError:
        return False
    return True


def _listen(
    one: socket.socket, address: str, port: int, found: list[Problem]
) -> list[socket.socket]:
    try:
        one.bind((address, port))
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        if error.errno == errno.EADDRINUSE:
            fix = f"a free port; ss -ltnp 'sport = :{port}' shows who has it"
            found.append(_problem(address, port, "in use", fix))
        elif error.errno in (errno.EACCES, errno.EPERM):
            found.append(_problem(address, port, "not permitted", "a port from 1024 up"))
        elif error.errno == errno.EADDRNOTAVAIL:
            fix = "an address of this machine: 127.0.0.0/8, or one that `ip address` shows"
            found.append(_problem(address, port, "not here", fix))
        else:
            found.append(_problem(address, port, str(error), "an address and port to listen on"))
        return []
    return [one]


def _problem(address: str, port: int, value: str, allowed: str) -> Problem:
    return Problem("address", f"{address}:{port}", value, allowed)


class Acceptor:
    """A thread that accepts connections and hands them on.

    Parameters
    ----------
    listeners : it closes them in the end
    endpoints : the inventory
    take : gets a connection and its endpoint, and returns whether it keeps the connection

    Attributes
    ----------
    accepted, strangers, turned_away : connections that were kept, to addresses that are not in
        the inventory, and that `take` (or the system) had no room for
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        endpoints: Sequence[Endpoint],
        take: Callable[[socket.socket, Endpoint], bool],
    ) -> None:
        self.listeners, self.take = tuple(listeners), take
        self.endpoint_of = {(e.address, e.port): e for e in endpoints}
        self.accepted = self.strangers = self.turned_away = 0
        self._wake, self._woken = socket.socketpair()
        # Given up for a moment where descriptors run out, so that a client is told.
        self._spare = Path("/dev/null").open("rb")  # noqa: SIM115
        self._thread = threading.Thread(target=self._run, name="accept", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Close the listeners and end the thread."""
        self._wake.send(b"\0")
        if self._thread.is_alive():
            self._thread.join()
        for one in (*self.listeners, self._wake, self._woken):
            one.close()
        self._spare.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for one in (*self.listeners, self._woken):
                selector.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    if isinstance(key.fileobj, socket.socket):
                        self._accept(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                one, _peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in FULL:
                    self._turn_away(listener)
                return
            one.setblocking(False)
            try:
                endpoint = self.endpoint_of.get(one.getsockname())
            except OSError:
                endpoint = None
            if endpoint is None:
                self.strangers += 1
            elif self.take(one, endpoint):
                self.accepted += 1
                continue
            else:
                self.turned_away += 1
            one.close()

    def _turn_away(self, listener: socket.socket) -> None:
        """Close the next connection with the descriptor that is kept for this."""
        self._spare.close()
        with suppress(OSError):
            listener.accept()[0].close()
            self.turned_away += 1
        self._spare = Path("/dev/null").open("rb")  # noqa: SIM115
