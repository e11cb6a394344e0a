"""Lines: the connections of a head-end, as rows of one table.

A line leads to one address and port, be it a device or a gateway with many units. At most one
request is under way on a line, since real devices want it so; a request that was given up may
still be answered and is then known by its transaction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import client, libc

__all__ = ["Lines", "close", "dial", "join", "leave", "say"]

I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]

# Columns of `Lines.table`.
(
    FD, STATE, ADDRESS, PORT,  # where it leads; address as a number
    DUE_NS, FAILS,  # not dialled before; failed dials in a row
    SILENT,  # requests given up in a row
    TID, HAVE, OUT,  # last transaction, bytes of a half answer, transactions not answered
    GAP_NS, FREE_NS,  # least time between an answer and the next request; when that ends
    SHARED,  # several units
    FIRST, STOP, CURSOR, PASS, LEFT, DIALS,  # of this round: jobs, and how far they are
    CURRENT, SENT_NS, YOUNG, LIST, PREVIOUS, NEXT,  # what is under way, and who waits with it
    WANTED, DIALLED_NS,  # 1 while the round wants something of it; when it was last dialled
    HEARD,  # 1 where anything was answered in this round
    LOST,  # connections lost since the head-end began
) = range(29)  # fmt: skip
COLUMNS = 29
DOWN, CONNECTING, UP = range(3)

# Transactions that a line remembers: which job, or why none.
RECENT = 16
NONE, FORGOTTEN = -1, -2

# Lists of waiting lines, each ordered by the moment at which the wait began.
NORMAL, PATIENT, SUSPECT, DIALLING, REDIALLING, RESTING = range(6)
LISTS = 6
# A line that is in no list: because nothing is to do, it has something to send, it keeps a gap.
NOWHERE, IN_RING, SLEEPING = -1, -2, -3
HEAD, TAIL, FRESH = range(3)


class Lines(NamedTuple):
    """All lines.

    Attributes
    ----------
    table : int64[lines, 29]
    half : uint8[lines, 260]  bytes of an answer that is not whole yet
    recent : int64[lines, 16]  job of a transaction, by its last four bits
    """

    table: I8
    half: U1
    recent: I8


@njit(cache=True, nogil=True)
def join(table: I8, lists: I8, number: int, i: int, now: int) -> None:
    """Let line `i` wait in a list from `now` on; as the newest it holds a place."""
    tail = lists[number, TAIL]
    table[i, LIST], table[i, PREVIOUS], table[i, NEXT] = number, tail, -1
    table[i, SENT_NS] = now
    if tail >= 0:
        table[tail, NEXT] = i
    else:
        lists[number, HEAD] = i
    lists[number, TAIL] = i
    table[i, YOUNG] = 1
    if lists[number, FRESH] < 0:
        lists[number, FRESH] = i


@njit(cache=True, nogil=True)
def leave(table: I8, lists: I8, i: int) -> int:
    """Take line `i` off its list; return 1 where it held a place, else 0."""
    number = table[i, LIST]
    if number < 0:
        return 0
    before, after = table[i, PREVIOUS], table[i, NEXT]
    if before >= 0:
        table[before, NEXT] = after
    else:
        lists[number, HEAD] = after
    if after >= 0:
        table[after, PREVIOUS] = before
    else:
        lists[number, TAIL] = before
    if lists[number, FRESH] == i:
        lists[number, FRESH] = after
    table[i, LIST] = NOWHERE
    young = table[i, YOUNG]
    table[i, YOUNG] = 0
    return int(young)


@njit(cache=True, nogil=True)
def close(lines: Lines, epoll: int, i: int) -> None:
    """Close a line; what it was asked is forgotten."""
    row = lines.table[i]
    if row[FD] >= 0:
        # A forked process may hold the socket too: closing alone would neither tell the other
        # end nor take it off the epoll.
        libc.epoll_ctl(epoll, libc.EPOLL_DELETE, row[FD], 0)
        libc.shutdown(row[FD], libc.BOTH_WAYS)
        libc.close(row[FD])
    row[FD], row[STATE], row[HAVE], row[OUT] = -1, DOWN, 0, 0
    lines.recent[i, :] = NONE


@njit(cache=True, nogil=True)
def dial(lines: Lines, epoll: int, i: int, scratch: I8) -> int:
    """Begin to connect line `i`.

    Parameters
    ----------
    scratch : int64[>= 4]

    Returns
    -------
    0, or the number of the error; the line is down then.
    """
    row = lines.table[i]
    fd = libc.socket(libc.INTERNET, libc.STREAM | libc.NON_BLOCKING | libc.CLOSE_ON_EXEC, 0)
    if fd < 0:
        return libc.errno()
    row[FD], row[STATE], row[HAVE], row[OUT], row[SILENT] = fd, CONNECTING, 0, 0, 0
    lines.recent[i, :] = NONE
    one = scratch.view(np.int32)
    one[0] = 1
    libc.setsockopt(fd, libc.LEVEL_TCP, libc.TCP_NO_DELAY, scratch.ctypes.data, 4)
    place = scratch.view(np.uint8)  # struct sockaddr_in
    place[:16] = 0
    scratch.view(np.uint16)[0] = libc.INTERNET
    place[2], place[3] = row[PORT] >> 8, row[PORT] & 0xFF
    for k in range(4):
        place[4 + k] = (row[ADDRESS] >> (24 - 8 * k)) & 0xFF
    if libc.connect(fd, scratch.ctypes.data, 16) != 0:
        error = libc.errno()
        if error not in (libc.EINPROGRESS, libc.EINTR):
            close(lines, epoll, i)
            return error
    else:
        row[STATE] = UP
    mask = libc.EPOLL_IN if row[STATE] == UP else libc.EPOLL_OUT
    error = _watch(epoll, libc.EPOLL_ADD, fd, mask, i, scratch)
    if error != 0:
        close(lines, epoll, i)
    return error


@njit(cache=True, nogil=True)
def _watch(epoll: int, what: int, fd: int, mask: int, i: int, scratch: I8) -> int:
    event = scratch.view(np.int32)
    event[:4] = 0
    event[0], event[libc.EVENT_DATA] = mask, i
    if libc.epoll_ctl(epoll, what, fd, scratch.ctypes.data) != 0:
        return libc.errno()
    return 0


@njit(cache=True, nogil=True)
def settle(lines: Lines, epoll: int, i: int, scratch: I8) -> int:
    """Finish the connecting of line `i`; return 0, or the number of the error."""
    row, fd = lines.table[i], lines.table[i, FD]
    both = scratch.view(np.int32)
    both[0], both[2] = 0, 4  # the error, and the length of the place for it
    data = scratch.ctypes.data
    if libc.getsockopt(fd, libc.LEVEL_SOCKET, libc.SOCKET_ERROR, data, data + 8) != 0:
        return libc.errno()
    error = both[0]
    if error == 0:
        row[STATE] = UP
        error = _watch(epoll, libc.EPOLL_MODIFY, fd, libc.EPOLL_IN, i, scratch)
    return int(error)


@njit(cache=True, nogil=True)
def say(lines: Lines, i: int, job: int, unit: int, pdu: U1, out: U1) -> bool:
    """Send a request on line `i` as its next transaction; False where it cannot be sent.

    Parameters
    ----------
    pdu : uint8[n]  from the function code on
    out : uint8[260]  scratch
    """
    row = lines.table[i]
    tid = (row[TID] + 1) & 0xFFFF
    length = len(pdu)
    client.put_header(out, tid, unit, length)
    for k in range(length):
        out[client.HEADER + k] = pdu[k]
    whole = client.HEADER + length
    # A frame that does not fit the socket as a whole means that many before it were not taken.
    sent = libc.send(row[FD], out.ctypes.data, whole, libc.NO_SIGNAL | libc.DONT_WAIT)
    if sent != whole:
        return False
    row[TID] = tid
    slot = tid & (RECENT - 1)
    if lines.recent[i, slot] == NONE:
        row[OUT] += 1
    lines.recent[i, slot] = job
    return True
