"""Who waits for what during a round: the desk of a head-end.

Lines that have something to send stand in a ring, lines that wait for an answer in lists
ordered by time, lines that keep a gap in slots of a millisecond.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import client, libc
from hil.kernels import jobs as jb
from hil.kernels import lines as ln
from hil.kernels.jobs import Jobs
from hil.kernels.lines import Lines

__all__ = ["Desk", "awaken", "enqueue", "leave", "nap", "new_desk", "over", "sleep", "wait"]

I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]

# Settings of a round.
(
    EPOLL, PLACES, FRESH_NS, RETRIES,
    CLOSE_AFTER,  # requests given up in a row after which a line is closed
    DIAL_NS,  # a line that does not come up for so long is given up
    END_NS,  # when the round ends
    PAUSE,  # set by another thread: begin nothing new, and return
    LIMIT_NS,  # from here on, by list: how long a line waits in it
) = range(9)  # fmt: skip
SETTINGS = LIMIT_NS + ln.LISTS
# What is counted.
SENT, LATE, TIMED_OUT, WRONG, NO_FILES, DIALLED = range(6)
TALLIES = 6

EVENTS = 256
SLOTS = 1024  # of one millisecond
MS = 1_000_000
# Columns of `Desk.numbers`.
YOUNG, OPEN, READY_FIRST, READY, ASLEEP, SLOT, NOW = range(7)


class Desk(NamedTuple):
    """What a round needs for itself.

    Attributes
    ----------
    lists : int64[6, 3]; numbers : int64[7]
    ready : int64[lines]  ring of lines that have something to send
    slot : int64[1024]  first of the lines that sleep until a millisecond
    out : uint8[260]; event : int32[256 * ints]; scratch : int64[4]
    """

    lists: I8
    numbers: I8
    ready: I8
    slot: I8
    out: U1
    event: NDArray[np.int32]
    scratch: I8


@njit(cache=True, nogil=True)
def new_desk(lines: int) -> Desk:
    """Return an empty desk for so many lines."""
    desk = Desk(
        np.full((ln.LISTS, 3), -1, np.int64),
        np.zeros(7, np.int64),
        np.empty(max(lines, 1), np.int64),
        np.full(SLOTS, -1, np.int64),
        np.empty(client.LONGEST, np.uint8),
        np.empty(EVENTS * libc.EVENT_INTS, np.int32),
        np.empty(4, np.int64),
    )
    desk.numbers[NOW] = libc.monotonic_ns(desk.scratch)
    desk.numbers[SLOT] = desk.numbers[NOW] // MS
    return desk


@njit(cache=True, nogil=True)
def enqueue(lines: Lines, desk: Desk, i: int) -> None:
    """Let a line do what comes next when there is a place; once, however often it is said."""
    row, count = lines.table[i], desk.numbers
    if row[ln.WANTED] == 1 and row[ln.LIST] == ln.NOWHERE:
        row[ln.LIST] = ln.IN_RING
        desk.ready[(count[READY_FIRST] + count[READY]) % len(desk.ready)] = i
        count[READY] += 1


@njit(cache=True, nogil=True)
def wait(lines: Lines, desk: Desk, number: int, i: int) -> None:
    """Let a line wait in a list; it holds a place."""
    ln.join(lines.table, desk.lists, number, i, desk.numbers[NOW])
    desk.numbers[YOUNG] += 1


@njit(cache=True, nogil=True)
def leave(lines: Lines, desk: Desk, i: int) -> None:
    """End a line's wait."""
    desk.numbers[YOUNG] -= ln.leave(lines.table, desk.lists, i)


@njit(cache=True, nogil=True)
def over(jobs: Jobs, desk: Desk, row: I8, result: int) -> None:
    """End the round for a line."""
    if row[ln.LEFT] > 0:
        jb.give_up(jobs.table, row, result)
    if row[ln.WANTED] == 1:
        row[ln.WANTED] = 0
        desk.numbers[OPEN] -= 1


@njit(cache=True, nogil=True)
def sleep(lines: Lines, desk: Desk, i: int) -> None:
    """Wake a line when its gap is over, or earlier to sleep on."""
    row, count = lines.table[i], desk.numbers
    ahead = (row[ln.FREE_NS] + MS - 1) // MS - count[SLOT]
    place = (count[SLOT] + min(max(ahead, 1), SLOTS - 1)) % SLOTS
    row[ln.LIST], row[ln.NEXT] = ln.SLEEPING, desk.slot[place]
    desk.slot[place] = i
    count[ASLEEP] += 1


@njit(cache=True, nogil=True)
def awaken(lines: Lines, desk: Desk, fresh_ns: int) -> None:
    """Take places from those who grew old, and wake those whose gap is over."""
    table, lists, count = lines.table, desk.lists, desk.numbers
    now = count[NOW]
    for number in range(ln.LISTS):
        i = lists[number, ln.FRESH]
        while i >= 0 and table[i, ln.SENT_NS] + fresh_ns <= now:
            table[i, ln.YOUNG] = 0
            count[YOUNG] -= 1
            i = table[i, ln.NEXT]
        lists[number, ln.FRESH] = i
    while count[SLOT] < now // MS:
        count[SLOT] += 1
        i = desk.slot[count[SLOT] % SLOTS]
        desk.slot[count[SLOT] % SLOTS] = -1
        while i >= 0:
            after = table[i, ln.NEXT]
            count[ASLEEP] -= 1
            table[i, ln.LIST] = ln.NOWHERE
            enqueue(lines, desk, i)
            i = after


@njit(cache=True, nogil=True)
def nap(lines: Lines, desk: Desk, settings: I8) -> int:
    """Return for how long nothing needs to be done [ms], rounded up."""
    table, lists, count = lines.table, desk.lists, desk.numbers
    until = settings[END_NS]
    crowded = count[READY] > 0
    for number in range(ln.LISTS):
        i = lists[number, ln.HEAD]
        if i >= 0:
            until = min(until, table[i, ln.SENT_NS] + settings[LIMIT_NS + number])
        i = lists[number, ln.FRESH]
        if i >= 0 and crowded:
            until = min(until, table[i, ln.SENT_NS] + settings[FRESH_NS])
    nap = (until - count[NOW] + MS - 1) // MS
    if count[ASLEEP] > 0:
        nap = min(nap, 1)
    return int(max(nap, 0))
