"""The compiled server: one loop a lane over the connections of well-mannered devices. Linux only.

Python accepts connections and registers them with a lane's epoll; from then on the lane alone
touches them. What does not fit a socket waits in one of a bounded number of slots, and its
connection is not read meanwhile; so memory is bounded by construction: ``SLOTS`` times
``SLOT_BYTES`` a lane, and less than 400 bytes a file descriptor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import atomic, libc, memory
from hil.kernels import modbus as mb
from hil.kernels.borrow import borrowed
from hil.kernels.image import Bank, Layout
from hil.kernels.protocol import BROKEN, answer, frame_length

__all__ = ["Sockets", "gave", "serve", "sockets"]

U1 = NDArray[np.uint8]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

# What a connection is.
FREE, OPEN, STALLED, GIVEN = range(4)
# Columns of `Sockets.row`: endpoint's first device and number of devices, lane, bytes of a request
# that is not whole and since when, slot, what of it is sent, how much there is, last progress.
FIRST, COUNT, LANE, HELD, SINCE_NS, SLOT, SENT, SIZE, MOVED_NS = range(9)
ROW_COLUMNS = 9
# Columns of `Sockets.control`, a row a lane. STOP is set from outside, the others count.
STOP, REQUESTS, CLOSED, WRONG, LATE, NEVER_READ, NO_SLOT, GAVE, TAKEN = range(9)
CONTROL_COLUMNS = 16  # a lane's row fills its own cache lines

SLOTS, SLOT_BYTES = 256, 1 << 16
# One turn reads no more than what its answers, 260 bytes for each 11 of the shortest request that
# has such, find room for in a slot.
TURN_BYTES = 2750
EVENTS = 256
WAIT_MS = 500
SWEEP_NS = 1_000_000_000
# A request that is not whole, or an answer that nobody takes, for this long ends the connection.
PATIENCE_NS = 10_000_000_000


class Sockets(NamedTuple):
    """Connections by file descriptor, and what lanes need beside them.

    Attributes
    ----------
    state : uint8[files]; row : int64[files, 9]; held : uint8[files, 260]
    slots : uint8[lanes, slots, bytes]; free : int64[lanes, slots + 1]  how many are free, which
    given, out : uint8[lanes, bytes]  what a turn reads and what it answers
    events : int32[lanes, 257 events]  what a wake finds; the last one is for what is asked
    clock : int64[lanes, 8]  scratch
    control : int64[lanes, 16]
    leave : uint8[devices]  1 at an endpoint's first device: its connections are to be given back
    gone : int64[lanes, files]  ring of file descriptors given back, CONTROL counts them
    """

    state: U1
    row: I8
    held: U1
    slots: U1
    free: I8
    given: U1
    out: U1
    events: I4
    clock: I8
    control: I8
    leave: U1
    gone: I8


def sockets(files: int, lanes: int, devices: int) -> Sockets:
    """Return room for file descriptors below `files`; pages are taken as they are used."""
    free = np.zeros((lanes, SLOTS + 1), np.int64)
    free[:, 0] = SLOTS
    free[:, 1:] = np.arange(SLOTS)
    return Sockets(
        state=np.zeros(files, np.uint8),
        row=np.zeros((files, ROW_COLUMNS), np.int64),
        held=np.zeros((files, mb.LONGEST_ADU), np.uint8),
        slots=np.zeros((lanes, SLOTS, SLOT_BYTES), np.uint8),
        free=free,
        given=np.zeros((lanes, TURN_BYTES), np.uint8),
        out=np.zeros((lanes, SLOT_BYTES), np.uint8),
        events=np.zeros((lanes, (EVENTS + 1) * libc.EVENT_INTS), np.int32),
        clock=np.zeros((lanes, 8), np.int64),
        control=np.zeros((lanes, CONTROL_COLUMNS), np.int64),
        leave=np.zeros(devices, np.uint8),
        gone=np.zeros((lanes, files), np.int64),
    )


@njit(cache=True, nogil=True)
def gave(control: I8) -> int:
    """Return how many connections a lane has given back; their rows are complete."""
    return int(atomic.load(control, GAVE))


@njit(cache=True, nogil=True)
def _close(s: Sockets, lane: int, fd: int) -> None:
    """Forget a connection, then close it: its number may be another's at once."""
    if s.state[fd] == STALLED:
        s.free[lane, 0] += 1
        s.free[lane, s.free[lane, 0]] = s.row[fd, SLOT]
    s.state[fd] = FREE
    s.control[lane, CLOSED] += 1
    libc.close(fd)


@njit(cache=True, nogil=True)
def _await(epoll: int, fd: int, what: int, event: I4) -> None:
    """Wait for `what` (readable or writable) on a connection from now on."""
    event[:] = 0
    event[0] = what
    event[libc.EVENT_DATA] = fd
    libc.epoll_ctl(epoll, libc.EPOLL_MODIFY, fd, event.ctypes.data)


@njit(cache=True, nogil=True)
def _give(s: Sockets, lane: int, fd: int, ends: tuple[int, int], event: I4) -> None:
    """Give an open connection back to Python, its half request in `held`."""
    epoll, wake = ends
    libc.epoll_ctl(epoll, libc.EPOLL_DELETE, fd, event.ctypes.data)
    s.state[fd] = GIVEN
    s.gone[lane, s.control[lane, GAVE] % s.gone.shape[1]] = fd
    atomic.store(s.control[lane], GAVE, s.control[lane, GAVE] + 1)
    libc.send(wake, event.ctypes.data, 1, libc.DONT_WAIT | libc.NO_SIGNAL)


@njit(cache=True, nogil=True, forceinline=True)
def _send(
    s: Sockets, lane: int, fd: int, epoll: int, out: U1, size: int, now_ns: int, event: I4
) -> None:
    """Send answers; what does not fit waits in a slot, where one is free."""
    sent = libc.send(fd, out.ctypes.data, size, libc.DONT_WAIT | libc.NO_SIGNAL)
    if sent == size:
        return
    if sent < 0:
        if libc.errno() != libc.EAGAIN:
            _close(s, lane, fd)
            return
        sent = 0
    if s.free[lane, 0] == 0:
        s.control[lane, NO_SLOT] += 1
        _close(s, lane, fd)
        return
    slot = s.free[lane, s.free[lane, 0]]
    s.free[lane, 0] -= 1
    memory.copy(s.slots[lane, slot], 0, out, sent, size - sent)
    row = s.row[fd]
    row[SLOT], row[SENT], row[SIZE], row[MOVED_NS] = slot, 0, size - sent, now_ns
    s.state[fd] = STALLED
    _await(epoll, fd, libc.EPOLL_OUT, event)


@njit(cache=True, nogil=True)
def _drain(s: Sockets, lane: int, fd: int, ends: tuple[int, int], now_ns: int, event: I4) -> None:
    """Send on what waits; then read again."""
    row = s.row[fd]
    place = s.slots[lane, row[SLOT]].ctypes.data + row[SENT]
    sent = libc.send(fd, place, row[SIZE] - row[SENT], libc.DONT_WAIT | libc.NO_SIGNAL)
    if sent <= 0:
        if libc.errno() != libc.EAGAIN:
            _close(s, lane, fd)
        return
    row[SENT] += sent
    row[MOVED_NS] = now_ns
    if row[SENT] < row[SIZE]:
        return
    s.free[lane, 0] += 1
    s.free[lane, s.free[lane, 0]] = row[SLOT]
    s.state[fd] = OPEN
    _await(ends[0], fd, libc.EPOLL_IN, event)
    if s.leave[row[FIRST]] == 1:
        _give(s, lane, fd, ends, event)


@njit(cache=True, nogil=True, forceinline=True)
def _turn(
    bank: Bank,
    layout: Layout,
    s: Sockets,
    lane: int,
    fd: int,
    epoll: int,
    scratch: tuple[I4, I8],
    now_ns: int,
) -> None:
    """Read once, answer every request that is whole, keep the rest.

    A write is stamped with the moment at which it is taken up, a read with the wake's, `now_ns`.
    """
    event, two = scratch
    given, out = s.given[lane], s.out[lane]
    row = s.row[fd]
    held = row[HELD]
    if held > 0:
        memory.copy(given, 0, s.held[fd], 0, held)
    got = libc.recv(fd, given.ctypes.data + held, TURN_BYTES - held, libc.DONT_WAIT)
    if got <= 0:
        if got == 0 or libc.errno() not in (libc.EAGAIN, libc.EINTR):
            _close(s, lane, fd)
        return
    stop = held + got
    start, at = 0, 0
    where = (lane, row[FIRST], row[COUNT])
    n = frame_length(given, start, stop)
    while n > 0:
        if given[start + mb.PDU_AT] > mb.READ_INPUT:
            now_ns = libc.monotonic_ns(two)
        at = answer(bank, layout, where, given, (start, start + n), now_ns, out, at)
        start += n
        s.control[lane, REQUESTS] += 1
        n = frame_length(given, start, stop)
    if n == BROKEN:
        if at > 0:
            libc.send(fd, out.ctypes.data, at, libc.DONT_WAIT | libc.NO_SIGNAL)
        s.control[lane, WRONG] += 1
        _close(s, lane, fd)
        return
    left = stop - start
    row[HELD] = left
    if left > 0:
        if start > 0 or held == 0:
            row[SINCE_NS] = now_ns
        memory.copy(s.held[fd], 0, given, start, left)
    if at > 0:
        _send(s, lane, fd, epoll, out, at, now_ns, event)


@njit(cache=True, nogil=True)
def _sweep(s: Sockets, lane: int, now_ns: int) -> None:
    """End connections whose half request or untaken answer is too old."""
    for fd in range(len(s.state)):
        if s.state[fd] == FREE or s.row[fd, LANE] != lane:
            continue
        if s.state[fd] == OPEN and s.row[fd, HELD] > 0:
            if now_ns - s.row[fd, SINCE_NS] > PATIENCE_NS:
                s.control[lane, LATE] += 1
                _close(s, lane, fd)
        elif s.state[fd] == STALLED and now_ns - s.row[fd, MOVED_NS] > PATIENCE_NS:
            s.control[lane, NEVER_READ] += 1
            _close(s, lane, fd)


@njit(cache=True, nogil=True)
def _woken(s: Sockets, lane: int, ends: tuple[int, int], event: I4) -> None:
    """Give back the connections of endpoints that are to leave; stalled ones follow later."""
    libc.recv(ends[1], s.given[lane].ctypes.data, TURN_BYTES, libc.DONT_WAIT)
    for fd in range(len(s.state)):
        if s.state[fd] == OPEN and s.row[fd, LANE] == lane and s.leave[s.row[fd, FIRST]] == 1:
            _give(s, lane, fd, ends, event)


@njit(cache=True, nogil=True)
def serve(
    held_bank: Bank, held_layout: Layout, held: Sockets, lane: int, epoll: int, wake: int
) -> None:
    """Serve the connections of a lane until STOP is set; what is open then is closed.

    Parameters
    ----------
    held_bank, held_layout : what devices hold
    held : the connections
    lane : whose they are
    epoll : file descriptor; connections and `wake` are registered there with their own number
    wake : socket; a byte from its other end says that STOP or `leave` has changed, a byte to it
        that a connection is given back
    """
    bank, layout, s = borrowed(held_bank), borrowed(held_layout), borrowed(held)
    events, two = s.events[lane], s.clock[lane]
    event = events[EVENTS * libc.EVENT_INTS :]
    swept_ns = libc.monotonic_ns(two)
    while atomic.load(s.control[lane], STOP) == 0:
        n = libc.epoll_wait(epoll, events.ctypes.data, EVENTS, WAIT_MS)
        now_ns = libc.monotonic_ns(two)
        for i in range(n):
            fd = int(events[i * libc.EVENT_INTS + libc.EVENT_DATA])
            if fd == wake:
                _woken(s, lane, (epoll, wake), event)
            elif s.row[fd, LANE] == lane and s.state[fd] == OPEN:
                _turn(bank, layout, s, lane, fd, epoll, (event, two), now_ns)
            elif s.row[fd, LANE] == lane and s.state[fd] == STALLED:
                _drain(s, lane, fd, (epoll, wake), now_ns, event)
        if now_ns - swept_ns > SWEEP_NS:
            _sweep(s, lane, now_ns)
            swept_ns = now_ns
    for fd in range(len(s.state)):
        if s.row[fd, LANE] == lane and s.state[fd] in (OPEN, STALLED):
            _close(s, lane, fd)
