"""One round of a head-end, compiled: requests out, answers in, on thousands of lines at once.

Every line has one request under way. Lines wait in lists ordered by time, so that finding who
waited too long costs nothing. At most so many requests are under way that are younger than some
milliseconds: that keeps answers quick, and a device that does not answer holds no place.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import atomic, client, libc
from hil.kernels import desk as dk
from hil.kernels import jobs as jb
from hil.kernels import lines as ln
from hil.kernels.desk import Desk
from hil.kernels.jobs import Jobs
from hil.kernels.lines import Lines

__all__ = ["exchange"]

I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]

# How a round ended.
ENDED, PAUSED = 0, 1
DIALS_SHARED = 16  # dials that a gateway has more than a device: its units share one line
UNITS = 4  # so many times more often than a device a gateway may be silent
BUSY = 6


@njit(cache=True, nogil=True)
def exchange(lines: Lines, jobs: Jobs, active: I8, settings: I8, raw: U1, tally: I8) -> int:
    """Send the waiting jobs of the `active` lines and take their answers.

    Parameters
    ----------
    lines : ``FIRST`` and ``STOP`` of the active ones name their jobs
    jobs : those with result ``WAITING`` are sent; results, times and codes are written
    active : int64[n]  lines; one without jobs is connected
    settings : int64[15]; raw : uint8[bytes]  where reads are put; tally : int64[6]  added to

    Returns
    -------
    `ENDED`: every job has its result; or `PAUSED`: call again, what was not answered still waits.
    """
    desk = dk.new_desk(len(lines.table))
    count = desk.numbers
    for i in active:
        _begin(lines, jobs, desk, settings, i)
    paused = False
    while True:
        count[dk.NOW] = libc.monotonic_ns(desk.scratch)
        _expire(lines, jobs, desk, settings, tally)
        paused = atomic.load(settings, dk.PAUSE) != 0
        while count[dk.READY] > 0 and count[dk.YOUNG] < settings[dk.PLACES] and not paused:
            i = desk.ready[count[dk.READY_FIRST]]
            count[dk.READY_FIRST] = (count[dk.READY_FIRST] + 1) % len(desk.ready)
            count[dk.READY] -= 1
            _start(lines, jobs, desk, settings, tally, i)
        if count[dk.OPEN] == 0 or count[dk.NOW] >= settings[dk.END_NS]:
            paused = False
            break
        if paused and count[dk.YOUNG] == 0:
            break
        found = libc.epoll_wait(
            settings[dk.EPOLL], desk.event.ctypes.data, dk.EVENTS, dk.nap(lines, desk, settings)
        )
        count[dk.NOW] = libc.monotonic_ns(desk.scratch)
        for k in range(found):
            i = desk.event[k * libc.EVENT_INTS + libc.EVENT_DATA]
            _hear(lines, jobs, desk, settings, raw, tally, i)
    for i in active:
        _finish(lines, jobs, desk, paused, i)
    return PAUSED if paused else ENDED


@njit(cache=True, nogil=True)
def _begin(lines: Lines, jobs: Jobs, desk: Desk, settings: I8, i: int) -> None:
    row, now = lines.table[i], desk.numbers[dk.NOW]
    row[ln.CURSOR], row[ln.PASS], row[ln.DIALS] = row[ln.FIRST], 0, 0
    row[ln.CURRENT], row[ln.LIST], row[ln.YOUNG] = -1, ln.NOWHERE, 0
    row[ln.HEARD] = 0
    left = 0
    for k in range(row[ln.FIRST], row[ln.STOP]):
        left += jobs.table[k, jb.RESULT] == jb.WAITING
    row[ln.LEFT], row[ln.WANTED] = left, 0
    if left == 0 and (row[ln.STATE] == ln.UP or row[ln.STOP] > row[ln.FIRST]):
        return
    row[ln.WANTED] = 1
    desk.numbers[dk.OPEN] += 1
    if row[ln.STATE] == ln.CONNECTING:
        if now - row[ln.DIALLED_NS] < settings[dk.DIAL_NS]:
            ln.join(lines.table, desk.lists, ln.REDIALLING, i, now)
            desk.numbers[dk.YOUNG] += 1
            return
        ln.close(lines, settings[dk.EPOLL], i)
        row[ln.FAILS] += 1
        row[ln.DIALS] = row[ln.DIALS] + 1
    dk.enqueue(lines, desk, i)


@njit(cache=True, nogil=True)
def _start(lines: Lines, jobs: Jobs, desk: Desk, settings: I8, tally: I8, i: int) -> None:
    """Let a line do what comes next: dial, sleep, send, rest or end."""
    row, now = lines.table[i], desk.numbers[dk.NOW]
    row[ln.LIST] = ln.NOWHERE
    if row[ln.WANTED] == 0:
        return
    if row[ln.STATE] == ln.DOWN and not _dial(lines, jobs, desk, settings, tally, i):
        return
    if row[ln.FREE_NS] > now:
        dk.sleep(lines, desk, i)
        return
    k = jb.next_job(jobs.table, row, settings[dk.RETRIES])
    if k == jb.DONE:
        dk.over(jobs, desk, row, jb.MISSED)
        return
    if k == jb.REST or k == jb.HOPELESS:
        # Answers to what was given up on a shared line may still come.
        if (
            k == jb.REST
            and row[ln.SHARED] == 1
            and row[ln.OUT] > 0
            and settings[dk.LIMIT_NS + ln.RESTING] > 0
        ):
            dk.wait(lines, desk, ln.RESTING, i)
        else:
            dk.over(jobs, desk, row, jb.TIMEOUT)
        return
    job = jobs.table[k]
    pdu = jobs.pdu[job[jb.BEGIN] : job[jb.BEGIN] + job[jb.LENGTH]]
    job[jb.TRIES] += 1
    row[ln.CURRENT] = k
    if not ln.say(lines, i, k, job[jb.UNIT], pdu, desk.out):
        _lose(lines, jobs, desk, settings, i, jb.CLOSED)
        return
    tally[dk.SENT] += 1
    job[jb.SENT_NS] = now
    waits = ln.PATIENT if row[ln.SHARED] == 1 else ln.NORMAL
    dk.wait(lines, desk, ln.SUSPECT if job[jb.SUSPECT] == 1 else waits, i)


@njit(cache=True, nogil=True)
def _dial(lines: Lines, jobs: Jobs, desk: Desk, settings: I8, tally: I8, i: int) -> bool:
    """Dial a line; return whether it is up already."""
    row, now = lines.table[i], desk.numbers[dk.NOW]
    most = settings[dk.RETRIES] + 1 + DIALS_SHARED * row[ln.SHARED]
    if row[ln.DUE_NS] > now or row[ln.DIALS] >= most:
        dk.over(jobs, desk, row, jb.NOT_CONNECTED)
        return False
    row[ln.DIALS] += 1
    row[ln.DIALLED_NS] = now
    tally[dk.DIALLED] += 1
    error = ln.dial(lines, settings[dk.EPOLL], i, desk.scratch)
    if error != 0:
        tally[dk.NO_FILES] += error in (libc.EMFILE, libc.ENFILE)
        row[ln.FAILS] += 1
        dk.over(jobs, desk, row, jb.NOT_CONNECTED)
        return False
    if row[ln.STATE] == ln.UP:
        row[ln.FAILS] = 0
        return True
    dk.wait(lines, desk, ln.DIALLING if row[ln.FAILS] == 0 else ln.REDIALLING, i)
    return False


@njit(cache=True, nogil=True)
def _lose(lines: Lines, jobs: Jobs, desk: Desk, settings: I8, i: int, cause: int) -> None:
    """Close a line that is broken, or that the other end closed."""
    row = lines.table[i]
    dk.leave(lines, desk, i)
    ln.close(lines, settings[dk.EPOLL], i)
    row[ln.LOST] += 1
    k = row[ln.CURRENT]
    row[ln.CURRENT] = -1
    if k >= 0:
        jobs.table[k, jb.CAUSE] = cause
        if cause == jb.CLOSED:
            # It may have been closed long ago: not the request's fault. Dials are numbered.
            jobs.table[k, jb.TRIES] -= 1
            row[ln.CURSOR] = k
        else:
            jb.skip(jobs.table, row, k)
    dk.enqueue(lines, desk, i)


@njit(cache=True, nogil=True)
def _expire(lines: Lines, jobs: Jobs, desk: Desk, settings: I8, tally: I8) -> None:
    """See who grew old, who waited too long and who wakes up."""
    table, lists, count = lines.table, desk.lists, desk.numbers
    dk.awaken(lines, desk, settings[dk.FRESH_NS])
    for number in range(ln.LISTS):
        i = lists[number, ln.HEAD]
        while i >= 0 and table[i, ln.SENT_NS] + settings[dk.LIMIT_NS + number] <= count[dk.NOW]:
            _tire(lines, jobs, desk, settings, tally, i, number)
            i = lists[number, ln.HEAD]


@njit(cache=True, nogil=True)
def _tire(
    lines: Lines, jobs: Jobs, desk: Desk, settings: I8, tally: I8, i: int, number: int
) -> None:
    """End the wait of a line that waited too long."""
    row, now = lines.table[i], desk.numbers[dk.NOW]
    dk.leave(lines, desk, i)
    if number in (ln.DIALLING, ln.REDIALLING):
        if now - row[ln.DIALLED_NS] >= settings[dk.DIAL_NS]:
            ln.close(lines, settings[dk.EPOLL], i)
            row[ln.FAILS] += 1
        dk.over(jobs, desk, row, jb.NOT_CONNECTED)
        return
    if number == ln.RESTING:
        dk.over(jobs, desk, row, jb.TIMEOUT)
        return
    k = row[ln.CURRENT]
    row[ln.CURRENT] = -1
    row[ln.SILENT] += 1
    row[ln.FREE_NS] = now + row[ln.GAP_NS]
    tally[dk.TIMED_OUT] += 1
    jobs.table[k, jb.CAUSE] = jb.TIMEOUT
    jb.skip(jobs.table, row, k)
    if row[ln.HAVE] > 0:  # half an answer
        jobs.table[k, jb.CAUSE] = jb.BROKEN
        _lose(lines, jobs, desk, settings, i, jb.BROKEN)
    elif row[ln.SHARED] == 0 and row[ln.SILENT] >= settings[dk.CLOSE_AFTER]:
        # Nobody is there: the line is dialled again after its pause.
        _lose(lines, jobs, desk, settings, i, jb.TIMEOUT)
        row[ln.FAILS] += 1
        dk.over(jobs, desk, row, jb.TIMEOUT)
    elif row[ln.HEARD] == 0 and row[ln.SILENT] >= settings[dk.CLOSE_AFTER] * UNITS:
        # The gateway itself seems gone. Its units may have fallen silent in a row: no pause.
        _lose(lines, jobs, desk, settings, i, jb.TIMEOUT)
        dk.over(jobs, desk, row, jb.TIMEOUT)
    else:
        dk.enqueue(lines, desk, i)


@njit(cache=True, nogil=True)
def _hear(lines: Lines, jobs: Jobs, desk: Desk, settings: I8, raw: U1, tally: I8, i: int) -> None:
    """Take what the other end of a line did."""
    row = lines.table[i]
    if row[ln.FD] < 0:
        return
    if row[ln.STATE] == ln.CONNECTING:
        dk.leave(lines, desk, i)
        if ln.settle(lines, settings[dk.EPOLL], i, desk.scratch) != 0:
            ln.close(lines, settings[dk.EPOLL], i)
            row[ln.FAILS] += 1
            dk.over(jobs, desk, row, jb.NOT_CONNECTED)
            return
        row[ln.FAILS] = 0
        dk.enqueue(lines, desk, i)
        return
    half = lines.half[i]
    have = row[ln.HAVE]
    got = libc.recv(row[ln.FD], half.ctypes.data + have, client.LONGEST - have, libc.DONT_WAIT)
    if got <= 0:
        if got < 0 and libc.errno() in (libc.EAGAIN, libc.EINTR):
            return
        _lose(lines, jobs, desk, settings, i, jb.BROKEN if have > 0 else jb.CLOSED)
        return
    have += got
    while have > 0:
        length = client.answer_length(half, have)
        whole = length > 0 and have >= length
        if length < 0 or (whole and not _file(lines, jobs, desk, raw, tally, i, length)):
            tally[dk.WRONG] += 1
            _lose(lines, jobs, desk, settings, i, jb.BROKEN)
            return
        if not whole:
            break
        have -= length
        for b in range(have):
            half[b] = half[length + b]
    row[ln.HAVE] = have


@njit(cache=True, nogil=True)
def _file(lines: Lines, jobs: Jobs, desk: Desk, raw: U1, tally: I8, i: int, length: int) -> bool:
    """Take one whole answer; False where it is none to anything that was asked."""
    row, now, frame = lines.table[i], desk.numbers[dk.NOW], lines.half[i]
    tid = (int(frame[0]) << 8) | int(frame[1])
    slot = tid & (ln.RECENT - 1)
    k = lines.recent[i, slot]
    if k == ln.NONE or (row[ln.TID] - tid) & 0xFFFF >= ln.RECENT:
        return False
    lines.recent[i, slot] = ln.NONE
    row[ln.OUT] -= 1
    row[ln.SILENT], row[ln.HEARD] = 0, 1
    if k == ln.FORGOTTEN:
        tally[dk.LATE] += 1
        if row[ln.LIST] == ln.SUSPECT:  # slow, not dead
            dk.leave(lines, desk, i)
            dk.wait(lines, desk, ln.NORMAL, i)
        return True
    job = jobs.table[k]
    asked = jobs.pdu[job[jb.BEGIN] : job[jb.BEGIN] + job[jb.LENGTH]]
    verdict = client.check(frame, length, job[jb.UNIT], asked)
    if verdict == client.WRONG:
        return False
    current = k == row[ln.CURRENT]
    if current:
        dk.leave(lines, desk, i)
        row[ln.CURRENT] = -1
        row[ln.FREE_NS] = now + row[ln.GAP_NS]
        job[jb.LATENCY_NS] = now - job[jb.SENT_NS]
    else:
        tally[dk.LATE] += 1
    if job[jb.RESULT] == jb.WAITING:
        job[jb.ANSWERED_NS] = now
        if verdict == client.GOOD:
            job[jb.RESULT] = jb.OK
            row[ln.LEFT] -= 1
            if job[jb.TO] >= 0:
                client.take(frame, asked, raw, job[jb.TO])
        elif frame[8] == BUSY:
            job[jb.CAUSE], job[jb.CODE] = jb.EXCEPTION, BUSY
            jb.skip(jobs.table, row, k)
        else:
            jb.refuse(jobs.table, row, k, int(frame[8]))
    if current:
        dk.enqueue(lines, desk, i)
    elif row[ln.LIST] == ln.RESTING and row[ln.LEFT] == 0:
        dk.leave(lines, desk, i)
        dk.over(jobs, desk, row, jb.MISSED)
    return True


@njit(cache=True, nogil=True)
def _finish(lines: Lines, jobs: Jobs, desk: Desk, paused: bool, i: int) -> None:
    """Forget what is under way on a line; a paused round will ask again."""
    row = lines.table[i]
    k = row[ln.CURRENT]
    if k >= 0:
        if paused:
            jobs.table[k, jb.TRIES] -= 1
        else:
            jobs.table[k, jb.CAUSE] = jb.TIMEOUT
        row[ln.CURRENT] = -1
    row[ln.LIST], row[ln.YOUNG] = ln.NOWHERE, 0
    if row[ln.OUT] > 0:
        for slot in range(ln.RECENT):
            if lines.recent[i, slot] >= 0:
                lines.recent[i, slot] = ln.FORGOTTEN
    if not paused:
        dk.over(jobs, desk, row, jb.MISSED if row[ln.STATE] == ln.UP else jb.NOT_CONNECTED)
