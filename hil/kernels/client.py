"""Requests and answers of a Modbus TCP client as pure functions of bytes.

Every field of an answer is compared with the request; nothing that a server sends is believed.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["answer_length", "check", "put_header", "take"]

U1 = NDArray[np.uint8]

# What an answer is.
GOOD, EXCEPTION, WRONG = 0, 1, 2
# Bytes: of the header without the unit, of the whole header, of the longest frame.
PREFIX, HEADER, LONGEST = 6, 7, 260
NEED_MORE, NOT_MODBUS = 0, -1


@njit(cache=True, nogil=True)
def put_header(out: U1, tid: int, unit: int, length: int) -> None:
    """Write the seven bytes before a request of `length` bytes."""
    out[0], out[1] = (tid >> 8) & 0xFF, tid & 0xFF
    out[2], out[3] = 0, 0
    out[4], out[5] = (length + 1) >> 8, (length + 1) & 0xFF
    out[6] = unit


@njit(cache=True, nogil=True)
def answer_length(frame: U1, have: int) -> int:
    """Return the length of the frame that begins in `frame`.

    `NEED_MORE` (0) while it is not known; `NOT_MODBUS` (-1) where no answer begins like this:
    another protocol, or a length that no answer has. The shortest is an exception: unit,
    function, code.
    """
    if have < PREFIX:
        return NEED_MORE
    length = (int(frame[4]) << 8) | int(frame[5])
    if frame[2] != 0 or frame[3] != 0 or length < 3 or length > LONGEST - PREFIX:
        return NOT_MODBUS
    return PREFIX + length


@njit(cache=True, nogil=True)
def check(frame: U1, length: int, unit: int, asked: U1) -> int:
    """Compare an answer with what was asked.

    Parameters
    ----------
    frame : uint8[>= length]  one whole frame
    unit : that was asked
    asked : uint8[n]  the request from its function code on

    Returns
    -------
    `GOOD`, `EXCEPTION` (its code is byte 8, whatever it is) or `WRONG`. The transaction is the
    caller's to compare.
    """
    if frame[6] != unit:
        return WRONG
    function, body = int(asked[0]), length - HEADER
    if frame[7] == function | 0x80:
        return EXCEPTION if body == 2 else WRONG
    if frame[7] != function:
        return WRONG
    if function <= 4:
        count = (int(asked[3]) << 8) | int(asked[4])
        size = (count + 7) // 8 if function <= 2 else 2 * count
        return GOOD if body == 2 + size and frame[8] == size else WRONG
    if body != 5:
        return WRONG
    for i in range(1, 5):  # a write is answered with its address and its value or quantity
        if frame[HEADER + i] != asked[i]:
            return WRONG
    return GOOD


@njit(cache=True, nogil=True)
def take(frame: U1, asked: U1, image: U1, at: int) -> None:
    """Copy what a good answer to a read holds to `image`, from byte `at` on.

    Registers stay big-endian words; bits become one byte each.
    """
    function, count = int(asked[0]), (int(asked[3]) << 8) | int(asked[4])
    first = HEADER + 2
    if function <= 2:
        for i in range(count):
            image[at + i] = (frame[first + i // 8] >> (i % 8)) & 1
    else:
        for i in range(2 * count):
            image[at + i] = frame[first + i]
