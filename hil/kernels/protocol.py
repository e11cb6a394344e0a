"""Modbus on TCP as pure functions of bytes and arrays: no socket, no clock.

The length field is the only boundary between requests. A stream whose header cannot be right is
broken for good: nothing in it tells where the next request begins, and a guess may execute what
was data (libmodbus#514).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import image as im
from hil.kernels import modbus as mb
from hil.kernels.image import Bank, Layout
from hil.kernels.reads import copy_bits, copy_words, find, identify, readable
from hil.kernels.writes import mask, write

__all__ = ["BROKEN", "NEED_MORE", "answer", "device_of", "frame_length"]

U1 = NDArray[np.uint8]

NEED_MORE, BROKEN = 0, -1
PROTOCOL_AT, SHORTEST, LONGEST = 2, 2, mb.LONGEST_PDU + 1


@njit(cache=True, nogil=True, forceinline=True)
def frame_length(frame: U1, start: int, stop: int) -> int:
    """Return the bytes of the request that begins at `start`: NEED_MORE, or BROKEN where none can.

    A header is broken as soon as its protocol is not 0 or its length not 2 to 254.
    """
    held = stop - start
    if held >= mb.LENGTH_AT and mb.word(frame, start + PROTOCOL_AT) != 0:
        return BROKEN
    if held < mb.UNIT_AT:
        return NEED_MORE
    length = mb.word(frame, start + mb.LENGTH_AT)
    if length < SHORTEST or length > LONGEST:
        return BROKEN
    return mb.UNIT_AT + length if held >= mb.UNIT_AT + length else NEED_MORE


@njit(cache=True, nogil=True, forceinline=True)
def device_of(bank: Bank, unit: int, first: int, count: int) -> int:
    """Return which device of an endpoint a unit is; -1: nobody, -2: nobody, and no answer at all.

    A device with an address of its own also answers to 255, as the TCP guide asks.
    """
    if unit == mb.BROADCAST:
        return -2
    own = mb.byte(bank.unit, first)
    if own <= unit < own + count:
        return first + unit - own
    if unit == mb.ANY_UNIT and count == 1:
        return first
    return -1


@njit(cache=True, nogil=True, forceinline=True)
def answer(
    bank: Bank,
    layout: Layout,
    where: tuple[int, int, int],
    frame: U1,
    span: tuple[int, int],
    now_ns: int,
    out: U1,
    at: int,
) -> int:
    """Answer one request; return where the answer ends, `at` itself for silence.

    Parameters
    ----------
    bank, layout : what devices hold
    where : lane; first device and number of devices of the endpoint, units consecutive
    frame, span : the request is ``frame[span[0]:span[1]]``, as `frame_length` found it
    now_ns : monotonic
    out : uint8  room for 260 bytes from `at` on
    """
    lane, first, count = where
    start, stop = span
    unit = mb.byte(frame, start + mb.UNIT_AT)
    device = device_of(bank, unit, first, count)
    if device == -2 or (device == -1 and bank.far[first] == 0):
        return at
    if device >= 0 and bank.silent[device] == 1:
        return at
    pdu, body = start + mb.PDU_AT, at + mb.PDU_AT
    if device == -1:
        end = -mb.byte(bank.far, first)
    else:
        end = _execute(bank, layout, (lane, device), frame, (pdu, stop), now_ns, out, body)
    if end < 0:
        if device >= 0:
            bank.refused[lane, device] += 1
        out[body] = frame[pdu] | 0x80
        out[body + 1] = -end
        end = body + 2
    for i in range(mb.LENGTH_AT):
        out[at + i] = frame[start + i]
    length = end - at - mb.UNIT_AT
    out[at + mb.LENGTH_AT] = length >> 8
    out[at + mb.LENGTH_AT + 1] = length & 0xFF
    out[at + mb.UNIT_AT] = unit
    return end


@njit(cache=True, nogil=True, forceinline=True)
def _execute(
    bank: Bank,
    layout: Layout,
    where: tuple[int, int],
    frame: U1,
    whole: tuple[int, int],
    now_ns: int,
    out: U1,
    at: int,
) -> int:
    """Do what a PDU asks for; return where the answer's PDU ends, or minus the exception."""
    lane, device = where
    pdu, stop = whole
    function, size = mb.byte(frame, pdu), stop - pdu
    if function in (mb.READ_HOLDING, mb.READ_INPUT, mb.READ_COILS, mb.READ_DISCRETE):
        if size != 5:
            return -mb.ILLEGAL_VALUE
        span = function, mb.word(frame, pdu + 1), mb.word(frame, pdu + 3)
        return _read(bank, layout, where, span, now_ns, out, at)
    if function in (mb.WRITE_COIL, mb.WRITE_REGISTER, mb.WRITE_COILS, mb.WRITE_REGISTERS):
        return _write(bank, layout, where, frame, whole, now_ns, out, at)
    if function == mb.MASK_REGISTER:
        if size != 7:
            return -mb.ILLEGAL_VALUE
        masks = mb.word(frame, pdu + 3), mb.word(frame, pdu + 5)
        code = mask(bank, layout, where, mb.word(frame, pdu + 1), masks, out, at, now_ns)
        if code != 0:
            return -code
        bank.writes[lane, device] += 1
        return _echo(frame, pdu, 7, out, at)
    if function == mb.READ_WRITE_REGISTERS:
        return _read_write(bank, layout, where, frame, whole, now_ns, out, at)
    if function == mb.ENCAPSULATED and size >= 2:
        if frame[pdu + 1] != mb.DEVICE_IDENTIFICATION:
            return -mb.ILLEGAL_FUNCTION
        if size != 4:
            return -mb.ILLEGAL_VALUE
        end = identify(bank, device, mb.byte(frame, pdu + 2), mb.byte(frame, pdu + 3), out, at)
        if end > 0:
            bank.reads[lane, device] += 1
        return end
    if function == mb.ENCAPSULATED:
        return -mb.ILLEGAL_VALUE
    return -mb.ILLEGAL_FUNCTION


@njit(cache=True, nogil=True)
def _echo(frame: U1, pdu: int, size: int, out: U1, at: int) -> int:
    for i in range(size):
        out[at + i] = frame[pdu + i]
    return at + size


@njit(cache=True, nogil=True, forceinline=True)
def _read(
    bank: Bank,
    layout: Layout,
    where: tuple[int, int],
    span: tuple[int, int, int],
    now_ns: int,
    out: U1,
    at: int,
) -> int:
    """Answer functions 1 to 4; `span` is function, first address and quantity."""
    lane, device = where
    function, first, count = span
    bits = function in (mb.READ_COILS, mb.READ_DISCRETE)
    if count < 1 or count > (mb.READ_BITS if bits else mb.READ_WORDS):
        return -mb.ILLEGAL_VALUE
    # The four tables in the order of their functions 1, 2, 4 and 3.
    table = (
        im.COIL if function == mb.READ_COILS
        else im.DISCRETE if function == mb.READ_DISCRETE
        else im.INPUT if function == mb.READ_INPUT
        else im.HOLDING
    )  # fmt: skip
    segment = find(layout, bank.map[device], table, first, count)
    if segment < 0 or not readable(layout, mb.byte(bank.gaps, device), segment, first, count):
        return -mb.ILLEGAL_ADDRESS
    offset = first - layout.segment[segment, im.SEG_START]
    byte = layout.segment[segment, im.SEG_BYTE]
    size = (count + 7) // 8 if bits else 2 * count
    if bits:
        copy_bits(bank, device, byte + offset, count, out, at + 2)
    else:
        copy_words(bank, device, byte + 2 * offset, size, out, at + 2)
    out[at] = function
    out[at + 1] = size
    bank.reads[lane, device] += 1
    bank.answered_ns[device] = now_ns
    return at + 2 + size


@njit(cache=True, nogil=True)
def _write(
    bank: Bank,
    layout: Layout,
    where: tuple[int, int],
    frame: U1,
    span: tuple[int, int],
    now_ns: int,
    out: U1,
    at: int,
) -> int:
    """Answer functions 5, 6, 15 and 16."""
    lane, device = where
    pdu, size = span[0], span[1] - span[0]
    function = mb.byte(frame, pdu)
    if size < 5:
        return -mb.ILLEGAL_VALUE
    first, count, data = mb.word(frame, pdu + 1), 1, pdu + 3
    if function in (mb.WRITE_COIL, mb.WRITE_REGISTER):
        value = mb.word(frame, pdu + 3)
        if size != 5 or (function == mb.WRITE_COIL and value not in (0x0000, 0xFF00)):
            return -mb.ILLEGAL_VALUE
    else:
        count, data = mb.word(frame, pdu + 3), pdu + 6
        coils = function == mb.WRITE_COILS
        if count < 1 or count > (mb.WRITE_BITS if coils else mb.WRITE_WORDS) or size < 6:
            return -mb.ILLEGAL_VALUE
        needed = (count + 7) // 8 if coils else 2 * count
        if mb.byte(frame, pdu + 5) != needed or size != 6 + needed:
            return -mb.ILLEGAL_VALUE
    table = im.COIL if function in (mb.WRITE_COIL, mb.WRITE_COILS) else im.HOLDING
    code = write(bank, layout, where, (table, first, count), frame, data, now_ns)
    if code != 0:
        return -code
    bank.writes[lane, device] += 1
    return _echo(frame, pdu, 5, out, at)


@njit(cache=True, nogil=True)
def _read_write(
    bank: Bank,
    layout: Layout,
    where: tuple[int, int],
    frame: U1,
    span: tuple[int, int],
    now_ns: int,
    out: U1,
    at: int,
) -> int:
    """Answer function 23: nothing is written where the read would be refused."""
    lane, device = where
    pdu, size = span[0], span[1] - span[0]
    if size < 10:
        return -mb.ILLEGAL_VALUE
    read, many = mb.word(frame, pdu + 1), mb.word(frame, pdu + 3)
    first, count = mb.word(frame, pdu + 5), mb.word(frame, pdu + 7)
    if many < 1 or many > mb.READ_WORDS or count < 1 or count > mb.WRITE_WORDS_OF_23:
        return -mb.ILLEGAL_VALUE
    if mb.byte(frame, pdu + 9) != 2 * count or size != 10 + 2 * count:
        return -mb.ILLEGAL_VALUE
    segment = find(layout, bank.map[device], im.HOLDING, read, many)
    if segment < 0 or not readable(layout, mb.byte(bank.gaps, device), segment, read, many):
        return -mb.ILLEGAL_ADDRESS
    code = write(bank, layout, where, (im.HOLDING, first, count), frame, pdu + 10, now_ns)
    if code != 0:
        return -code
    bank.writes[lane, device] += 1
    end = _read(bank, layout, where, (mb.READ_HOLDING, read, many), now_ns, out, at)
    out[at] = mb.READ_WRITE_REGISTERS
    return end
