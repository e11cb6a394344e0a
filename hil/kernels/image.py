"""The arrays that the compiled wire works on: register layouts, and the bank of all devices.

`Layout` is what maps say and never changes; `Bank` is what devices hold. Both are named tuples
of arrays, which is what numba takes as one argument. Columns of the tables have names below.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bank", "Layout"]

I8 = NDArray[np.int64]
F8 = NDArray[np.float64]
U1 = NDArray[np.uint8]

# Tables, by the code that stands in the layout.
COIL, DISCRETE, INPUT, HOLDING = 0, 1, 2, 3
# Types.
U16, I16, U32, I32, U64, F32, STRING, BITS, BIT, BIT_OF = range(10)
# Byte orders.
ABCD, CDAB, BADC, DCBA = range(4)
# What stands behind a point.
STATIC, POINT, SETPOINT, HELD = range(4)
# Gap policies.
GAP_ANY, GAP_ALL, GAP_ZERO = range(3)

# Integer columns of `Layout.point`.
(
    TABLE, ADDRESS, WIDTH, TYPE, ORDER, READABLE, WRITABLE, LATCH, BYTE, BIT_NUMBER, SOURCE, INDEX,
    PER_RATING, FIRST_VALUE, VALUES, HAS_LOW, HAS_HIGH, BOUND,
) = range(18)  # fmt: skip
# BOUND: index of the set-point whose bounds (`Bank.bound`) a written value must keep, -1: none.
POINT_COLUMNS = 18
# Float columns of `Layout.factor`.
SCALE, GAIN, OFFSET, LOW, HIGH = range(5)
FACTOR_COLUMNS = 5
# Columns of `Layout.segment`: registers (or bits) `START .. START + COUNT - 1` of a table.
SEG_TABLE, SEG_START, SEG_COUNT, SEG_BYTE, SEG_REGISTER = range(5)
SEGMENT_COLUMNS = 5
# Columns of `Layout.register`: how many registers from here on are defined without a gap, how
# far the next defined one is, the point that lies here (-1: none), how far the next one is that
# can only be written.
RUN, NEXT, OWNER, BARRED = range(4)
REGISTER_COLUMNS = 4


class Layout(NamedTuple):
    """All maps in use, one after the other.

    Attributes
    ----------
    segment_first : int64[maps + 1]  first row of each map in `segment`
    segment : int64[segments, 5]
    register : int64[registers, 4]
    point_first : int64[maps + 1]  first row of each map in `point`
    point : int64[points, 18]; factor : float64[points, 5]
    na : uint64[points]  raw value that says 'not implemented'
    value : float64[pairs, 2]  (twin, register) codes of states
    size : int64[maps]  bytes of an image
    """

    segment_first: I8
    segment: I8
    register: I8
    point_first: I8
    point: I8
    factor: F8
    na: NDArray[np.uint64]
    value: F8
    size: I8


class Bank(NamedTuple):
    """What devices hold, and what clients wrote; one row a device.

    Words lie big-endian in two buffers: one is served while the other is written. A reader
    takes ``front``, remembers ``version[front]``, copies, and copies again where the version
    has changed or was odd (a sequence lock); so it never mixes two ticks.

    Attributes
    ----------
    words : uint8[2, bytes]; front : int64[1]; version : int64[2]
    applied_ns : int64[2]  writes up to this moment are in the buffer
    base : int64[devices]  first byte of a device's image
    map : int64[devices]; unit : uint8[devices]
    gaps, refusal, silent, far : uint8[devices]  gap policy; exception that any write gets (0:
        none); 1 where the device does not answer; exception for an unknown unit (0: silence)
    rated : float64[devices]
    bound_first : int64[devices]  first row in `bound`; bound : float64[rows, 2]  what the twin
        accepts of each set-point
    identity_first : int64[devices + 1]; identity : uint8[bytes]  objects of function 43/14,
        each as id, length, bytes
    overlay, written : uint8[bytes]  words written since `pending_ns`, and where
    latch, latched : uint8[bytes]  words of points that are not written whole yet
    pending_ns : int64[devices]  when a device was last written
    reads, writes, refused : int64[lanes, devices]  requests served
    answered_ns : int64[devices]  when a device last answered a read
    queue_count : int64[lanes, 2]  rows taken, rows put (ever growing)
    queue : int64[lanes, rows, 5]  columns below; queue_value : float64[lanes, rows]
    """

    words: U1
    front: I8
    version: I8
    applied_ns: I8
    base: I8
    map: I8
    unit: U1
    gaps: U1
    refusal: U1
    silent: U1
    far: U1
    rated: F8
    bound_first: I8
    bound: F8
    identity_first: I8
    identity: U1
    overlay: U1
    written: U1
    latch: U1
    latched: U1
    pending_ns: I8
    reads: I8
    writes: I8
    refused: I8
    answered_ns: I8
    queue_count: I8
    queue: I8
    queue_value: F8


# Columns of `Bank.queue`: when [ns, monotonic], device, point (row of `Layout.point`), raw value,
# number of the request within its lane (points of one request share it).
Q_NS, Q_DEVICE, Q_POINT, Q_RAW, Q_REQUEST = range(5)
QUEUE_COLUMNS = 5
TAKEN, PUT = range(2)
