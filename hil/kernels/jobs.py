"""Jobs: the requests of one round, as rows of one table, and in which order a line sends them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import lines as ln

__all__ = ["Jobs", "give_up", "next_job", "refuse", "skip"]

I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]

# Columns of `Jobs.table`. Jobs of a line, and of a chain within it, stand one after the other.
(
    LINE, DEVICE, CHAIN, UNIT, BEGIN, LENGTH, TO,  # to whom, which bytes of `pdu`; where in `raw`
    SUSPECT,  # its device did not answer last time: asked last, once, and not waited for long
    RESULT, CODE, CAUSE,  # what became of it; exception; what went wrong so far
    TRIES, SENT_NS, ANSWERED_NS, LATENCY_NS,
) = range(15)  # fmt: skip
COLUMNS = 15

# Results.
(
    WAITING, OK, EXCEPTION, TIMEOUT, BROKEN, CLOSED, NOT_CONNECTED,
    SKIPPED,  # one before it in its chain was refused
    MISSED,  # the round ended before it was sent
    RESTED,  # its device is not asked in this round
) = range(10)  # fmt: skip
DONE, REST, HOPELESS = -1, -2, -3


class Jobs(NamedTuple):
    """The requests of one round.

    A chain is what belongs together, such as the blocks of a device or the parts of a command:
    when one of it fails, those after it wait for the next pass; when one is refused, they are
    skipped.

    Attributes
    ----------
    table : int64[jobs, 15]
    pdu : uint8[bytes]  requests from their function codes on
    """

    table: I8
    pdu: U1


@njit(cache=True, nogil=True)
def _due(job: I8, number: int) -> bool:
    """Return whether a job is sent in pass `number`: 0 first tries, 1 suspects, then retries."""
    if job[RESULT] != WAITING:
        return False
    if job[SUSPECT] == 1:
        return number == 1 and job[TRIES] == 0
    return number != 1 and job[TRIES] <= max(number - 1, 0)


@njit(cache=True, nogil=True)
def next_job(jobs: I8, line: I8, retries: int) -> int:
    """Return the job that a line sends next.

    `DONE` where none is left, `REST` where what was given up may still be answered, `HOPELESS`
    where only suspects are left.
    """
    if line[ln.LEFT] == 0:
        return DONE
    while True:
        for k in range(line[ln.CURSOR], line[ln.STOP]):
            if _due(jobs[k], line[ln.PASS]):
                line[ln.CURSOR] = k + 1
                return k
        if line[ln.PASS] > retries:
            line[ln.CURSOR] = line[ln.STOP]
            for k in range(line[ln.FIRST], line[ln.STOP]):
                if jobs[k, RESULT] == WAITING and jobs[k, SUSPECT] == 0:
                    return REST
            return HOPELESS
        line[ln.PASS] += 1
        line[ln.CURSOR] = line[ln.FIRST]


@njit(cache=True, nogil=True)
def skip(jobs: I8, line: I8, k: int) -> None:
    """Let a line pass over what follows job `k` in its chain, for this pass."""
    after = k + 1
    while after < line[ln.STOP] and jobs[after, CHAIN] == jobs[k, CHAIN]:
        after += 1
    line[ln.CURSOR] = max(line[ln.CURSOR], after)


@njit(cache=True, nogil=True)
def refuse(jobs: I8, line: I8, k: int, code: int) -> None:
    """File an exception for job `k`; what follows in its chain is not sent."""
    jobs[k, RESULT], jobs[k, CODE] = EXCEPTION, code
    line[ln.LEFT] -= 1
    after = k + 1
    while after < line[ln.STOP] and jobs[after, CHAIN] == jobs[k, CHAIN]:
        if jobs[after, RESULT] == WAITING:
            jobs[after, RESULT], jobs[after, CODE] = SKIPPED, code
            line[ln.LEFT] -= 1
        after += 1


@njit(cache=True, nogil=True)
def give_up(jobs: I8, line: I8, result: int) -> None:
    """End what a line still waits for; `result` where nothing worse is known of a job."""
    for k in range(line[ln.FIRST], line[ln.STOP]):
        if jobs[k, RESULT] == WAITING:
            jobs[k, RESULT] = result if jobs[k, CAUSE] == WAITING else jobs[k, CAUSE]
    line[ln.LEFT] = 0
