"""Turning from one tick to the next: the sequence lock of a bank, and its queues of writes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import atomic, pack
from hil.kernels import image as im

__all__ = ["begin", "end", "forget", "oldest", "put", "show", "taken"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@njit(cache=True)
def put(words: NDArray[np.uint8], base: I8, values: F8, row: int, layout: im.Layout) -> None:
    """Write one static point of devices, float64[n] in its own unit, into a buffer."""
    point = layout.point[row]
    for d in range(len(base)):
        value = values[d] / layout.factor[row, im.SCALE]
        pack.put_raw(words, base[d], point, pack.raw_of(value, point[im.TYPE], layout.na[row]))


@njit(cache=True)
def begin(version: I8, back: int) -> None:
    """Mark buffer `back` as being written; readers that meet it try again."""
    atomic.store(version, back, version[back] + 1)
    atomic.fence()


@njit(cache=True)
def end(version: I8, back: int) -> None:
    """Mark buffer `back` as whole."""
    atomic.store(version, back, version[back] + 1)


@njit(cache=True)
def show(front: I8) -> None:
    """Serve the other buffer from now on."""
    atomic.store(front, 0, 1 - front[0])


@njit(cache=True)
def taken(count: I8, queue: I8, until_ns: int) -> I8:
    """Return the rows of a ring that hold writes up to `until_ns`."""
    put, taken, size = atomic.load(count, im.PUT), count[im.TAKEN], len(queue)
    n = 0
    while taken + n < put and queue[(taken + n) % size, im.Q_NS] <= until_ns:
        n += 1
    rows = np.empty(n, np.int64)
    for i in range(n):
        rows[i] = (taken + i) % size
    return rows


@njit(cache=True)
def oldest(count: I8, queue: I8, until_ns: int) -> int:
    """Return the moment of the oldest write that a ring still holds, `until_ns` where it is later.

    A lane stamps a write before it puts it: one that is stamped earlier may come after a take.
    """
    if atomic.load(count, im.PUT) == count[im.TAKEN]:
        return until_ns
    return min(until_ns, int(queue[count[im.TAKEN] % len(queue), im.Q_NS]))


@njit(cache=True)
def forget(count: I8, n: int) -> None:
    """Take `n` rows off a ring."""
    atomic.store(count, im.TAKEN, count[im.TAKEN] + n)
