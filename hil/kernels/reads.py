"""What a device answers to reads: registers, bits and its identity, as functions of arrays.

A request must lie in one segment of the device's map. Missing registers in it are refused when
any is missing, when all are, or not at all, by the device's gap policy; a register that can only
be written is refused as if it were missing. Missing registers read 0.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import atomic, memory
from hil.kernels import image as im
from hil.kernels import modbus as mb
from hil.kernels.image import Bank, Layout

__all__ = ["copy_bits", "copy_words", "find", "identify", "readable"]

U1 = NDArray[np.uint8]

BASIC, REGULAR, EXTENDED, ONE = 1, 2, 3, 4  # what function 43/14 asks for
LAST_BASIC, LAST_REGULAR = 2, 0x7F
# What stands before the objects, and before each of them, in an answer to function 43/14.
IDENTITY_HEAD, OBJECT_HEAD = 7, 2


@njit(cache=True, nogil=True, forceinline=True)
def find(layout: Layout, map_number: int, table: int, first: int, count: int) -> int:
    """Return the row of the segment in which ``first .. first + count - 1`` lies, or -1."""
    for s in range(layout.segment_first[map_number], layout.segment_first[map_number + 1]):
        if layout.segment[s, im.SEG_TABLE] == table:
            start = layout.segment[s, im.SEG_START]
            if start <= first and first + count <= start + layout.segment[s, im.SEG_COUNT]:
                return s
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def readable(layout: Layout, gaps: int, segment: int, first: int, count: int) -> bool:
    """Return whether a device with gap policy `gaps` lets a range of a segment be read."""
    row = layout.segment[segment, im.SEG_REGISTER] + first - layout.segment[segment, im.SEG_START]
    if gaps == im.GAP_ANY and layout.register[row, im.RUN] < count:
        return False
    if gaps == im.GAP_ALL and layout.register[row, im.NEXT] >= count:
        return False
    return bool(layout.register[row, im.BARRED] >= count)


@njit(cache=True, nogil=True, forceinline=True)
def copy_words(bank: Bank, device: int, byte: int, length: int, out: U1, at: int) -> None:
    """Copy `length` bytes of a device's image from `byte` on, all of one tick.

    What was written after the moment of that tick stands over it.
    """
    start = bank.base[device] + byte
    while True:
        front = atomic.load(bank.front, 0)
        version = atomic.load(bank.version, front)
        if version & 1 == 1:
            continue
        memory.copy(out, at, bank.words[front], start, length)
        applied = bank.applied_ns[front]
        atomic.fence()
        if atomic.load(bank.version, front) == version:
            break
    if bank.pending_ns[device] > applied:
        for i in range(length):
            if bank.written[start + i] == 1:
                out[at + i] = bank.overlay[start + i]


@njit(cache=True, nogil=True, forceinline=True)
def copy_bits(bank: Bank, device: int, byte: int, count: int, out: U1, at: int) -> None:
    """Pack `count` bits of a device's image from `byte` on, the first one lowest, all of one tick.

    An image has a byte for each bit.
    """
    start = bank.base[device] + byte
    while True:
        front = atomic.load(bank.front, 0)
        version = atomic.load(bank.version, front)
        if version & 1 == 1:
            continue
        over = bank.pending_ns[device] > bank.applied_ns[front]
        for k in range((count + 7) // 8):
            packed = np.uint8(0)
            for i in range(8 * k, min(8 * k + 8, count)):
                bit = bank.words[front, start + i]
                if over and bank.written[start + i] == 1:
                    bit = bank.overlay[start + i]
                packed = np.uint8(packed | (bit & 1) << (i % 8))
            out[at + k] = packed
        atomic.fence()
        if atomic.load(bank.version, front) == version:
            return


@njit(cache=True, nogil=True)
def identify(bank: Bank, device: int, code: int, wanted: int, out: U1, at: int) -> int:
    """Write the answer to function 43/14 and return where it ends, or minus the exception.

    Parameters
    ----------
    bank, device : as everywhere
    code : 1 basic, 2 regular, 3 extended from object `wanted` on; 4 that object only
    wanted : object; one that is not there begins a stream anew, and is refused alone
    out, at : the PDU goes here
    """
    if code < BASIC or code > ONE:
        return -mb.ILLEGAL_VALUE
    first, end = bank.identity_first[device], bank.identity_first[device + 1]
    known, highest = False, 0
    i = first
    while i < end:
        number = mb.byte(bank.identity, i)
        known |= number == wanted
        highest = max(highest, number)
        i += OBJECT_HEAD + mb.byte(bank.identity, i + 1)
    if code == ONE and not known:
        return -mb.ILLEGAL_ADDRESS
    level = BASIC if highest <= LAST_BASIC else REGULAR if highest <= LAST_REGULAR else EXTENDED
    last = LAST_BASIC if code == BASIC else LAST_REGULAR if code == REGULAR else 255
    if code == ONE:
        last = wanted
    elif not known or wanted > last:
        wanted = 0
    out[at] = mb.ENCAPSULATED
    out[at + 1] = mb.DEVICE_IDENTIFICATION
    out[at + 2] = code
    out[at + 3] = 0x80 | level
    out[at + 4] = 0
    out[at + 5] = 0
    objects, here = 0, at + IDENTITY_HEAD
    i = first
    while i < end:
        number, length = mb.byte(bank.identity, i), mb.byte(bank.identity, i + 1)
        i += OBJECT_HEAD + length
        if number < wanted or number > last:
            continue
        shown = min(length, mb.LONGEST_PDU - IDENTITY_HEAD - OBJECT_HEAD)
        if here + OBJECT_HEAD + shown > at + mb.LONGEST_PDU:
            out[at + 4] = 0xFF
            out[at + 5] = number
            break
        for k in range(OBJECT_HEAD + shown):
            out[here + k] = bank.identity[i - OBJECT_HEAD - length + k]
        out[here + 1] = shown
        here += OBJECT_HEAD + shown
        objects += 1
    out[at + 6] = objects
    return here
