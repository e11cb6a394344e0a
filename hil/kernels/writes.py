"""What a device makes of writes: checked as a whole, then queued for the simulation.

Nothing of a request is written where any of it is refused. Refusals come in this order: an
address that is not there or can only be read, or a part of a point that takes whole writes only
(2); a value outside its limits or that says 'not implemented' (3); the device's state (its own
code); no room in the queue (6).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import atomic, pack
from hil.kernels import image as im
from hil.kernels import modbus as mb
from hil.kernels.image import Bank, Layout
from hil.kernels.reads import copy_words, find

__all__ = ["mask", "write"]

U1 = NDArray[np.uint8]
SLACK = 1e-9  # of a bound: a value that was scaled twice may miss it by rounding


@njit(cache=True, nogil=True)
def _given(table: int, data: U1, at: int, byte: int) -> int:
    """Return byte `byte` of the image that a request's data stands for."""
    if table == im.COIL:
        return (mb.byte(data, at + byte // 8) >> (byte % 8)) & 1
    return mb.byte(data, at + byte)


@njit(cache=True, nogil=True)
def _assemble(
    bank: Bank, layout: Layout, device: int, p: int, span: tuple[int, int], data: U1, at: int
) -> tuple[bool, np.uint64]:
    """Return whether point `p` is whole with this request and what was latched, and its raw value.

    Parameters
    ----------
    span : first address and count of the request
    """
    point = layout.point[p]
    first, count = span
    if point[im.TABLE] == im.COIL:
        return True, np.uint64(_given(im.COIL, data, at, point[im.ADDRESS] - first))
    raw = np.uint64(0)
    place = bank.base[device] + point[im.BYTE]
    for i in range(2 * point[im.WIDTH]):
        own = pack.byte_place(point[im.ORDER], point[im.WIDTH], i)
        offset = 2 * (point[im.ADDRESS] - first) + own
        if 0 <= offset < 2 * count:
            byte = mb.byte(data, at + offset)
        elif bank.latched[place + own] == 1:
            byte = mb.byte(bank.latch, place + own)
        else:
            return False, raw
        raw = (raw << np.uint64(8)) | np.uint64(byte)
    return True, raw


@njit(cache=True, nogil=True)
def _value(layout: Layout, p: int, raw: np.uint64) -> float:
    """Return what `raw` stands for in the point's own unit."""
    number = pack.value_of(raw, layout.point[p, im.TYPE], layout.na[p])
    return float(number * layout.factor[p, im.SCALE])


@njit(cache=True, nogil=True)
def _allowed(bank: Bank, layout: Layout, device: int, p: int, value: float) -> bool:
    """Return whether a value keeps the map's limits and what the twin accepts of this device."""
    point, factor = layout.point[p], layout.factor[p]
    if not np.isfinite(value):
        return False
    low, high = factor[im.LOW], factor[im.HIGH]
    if point[im.HAS_LOW] == 1 and value < low - SLACK * abs(low):
        return False
    if point[im.HAS_HIGH] == 1 and value > high + SLACK * abs(high):
        return False
    if point[im.BOUND] < 0:
        return True
    twin = pack.to_twin(value, bank.rated[device], point, factor, layout.value)
    row = bank.bound_first[device] + point[im.BOUND]
    low, high = bank.bound[row, 0], bank.bound[row, 1]
    return not (twin < low - SLACK * abs(low) or twin > high + SLACK * abs(high))


@njit(cache=True, nogil=True)
def _address(layout: Layout, segment: int, first: int, count: int) -> int:
    """Return 0 where every register of a range may be written, else the exception."""
    row = layout.segment[segment, im.SEG_REGISTER] + first - layout.segment[segment, im.SEG_START]
    i = 0
    while i < count:
        p = layout.register[row + i, im.OWNER]
        if p < 0 or layout.point[p, im.WRITABLE] == 0:
            return mb.ILLEGAL_ADDRESS
        begun = first + i - layout.point[p, im.ADDRESS]
        rest = layout.point[p, im.WIDTH] - begun
        if (begun > 0 or i + rest > count) and layout.point[p, im.LATCH] == 0:
            return mb.ILLEGAL_ADDRESS
        i += rest
    return 0


@njit(cache=True, nogil=True)
def write(
    bank: Bank,
    layout: Layout,
    where: tuple[int, int],
    span: tuple[int, int, int],
    data: U1,
    at: int,
    now_ns: int,
) -> int:
    """Write a range of coils or holding registers; return 0 or the exception code.

    Parameters
    ----------
    where : lane, device
    span : table, first address, count
    data, at : registers big-endian, or packed bits, from byte `at` on
    now_ns : monotonic
    """
    lane, device = where
    table, first, count = span
    segment = find(layout, bank.map[device], table, first, count)
    if segment < 0:
        return mb.ILLEGAL_ADDRESS
    code = _address(layout, segment, first, count)
    if code != 0:
        return code
    row = layout.segment[segment, im.SEG_REGISTER] + first - layout.segment[segment, im.SEG_START]
    i, whole_points = 0, 0
    while i < count:
        p = layout.register[row + i, im.OWNER]
        whole, raw = _assemble(bank, layout, device, p, (first, count), data, at)
        if whole:
            if not _allowed(bank, layout, device, p, _value(layout, p, raw)):
                return mb.ILLEGAL_VALUE
            whole_points += 1
        i = layout.point[p, im.ADDRESS] + layout.point[p, im.WIDTH] - first
    if bank.refusal[device] != 0:
        return mb.byte(bank.refusal, device)
    put, room = bank.queue_count[lane, im.PUT], bank.queue.shape[1]
    if put + whole_points - atomic.load(bank.queue_count[lane], im.TAKEN) > room:
        return mb.BUSY
    _execute(bank, layout, where, (row, first, count), data, at, now_ns)
    return 0


@njit(cache=True, nogil=True)
def _execute(
    bank: Bank,
    layout: Layout,
    where: tuple[int, int],
    span: tuple[int, int, int],
    data: U1,
    at: int,
    now_ns: int,
) -> None:
    """Queue and show what was checked; keep parts of points until they are whole.

    Parameters
    ----------
    span : row of the first register in the layout, its address, count
    """
    lane, device = where
    row, first, count = span
    base = bank.base[device]
    if bank.pending_ns[device] <= bank.applied_ns[atomic.load(bank.front, 0)]:
        bank.written[base : base + layout.size[bank.map[device]]] = 0
    begun = bank.queue_count[lane, im.PUT]
    put = begun
    i = 0
    while i < count:
        p = layout.register[row + i, im.OWNER]
        point = layout.point[p]
        whole, raw = _assemble(bank, layout, device, p, (first, count), data, at)
        wide = 1 if point[im.TABLE] == im.COIL else 2
        place = base + point[im.BYTE]
        offset = wide * (point[im.ADDRESS] - first)
        for k in range(wide * point[im.WIDTH]):
            inside = 0 <= offset + k < wide * count
            if not whole:
                if inside:
                    bank.latch[place + k] = data[at + offset + k]
                    bank.latched[place + k] = 1
                continue
            byte = bank.latch[place + k]
            if inside:
                byte = np.uint8(_given(point[im.TABLE], data, at, offset + k))
            bank.overlay[place + k] = byte
            bank.written[place + k] = 1
            bank.latched[place + k] = 0
        if whole:
            r = put % bank.queue.shape[1]
            bank.queue[lane, r, im.Q_NS] = now_ns
            bank.queue[lane, r, im.Q_DEVICE] = device
            bank.queue[lane, r, im.Q_POINT] = p
            bank.queue[lane, r, im.Q_RAW] = np.int64(raw)
            bank.queue[lane, r, im.Q_REQUEST] = begun
            bank.queue_value[lane, r] = _value(layout, p, raw)
            put += 1
        i = point[im.ADDRESS] + point[im.WIDTH] - first
    if put > begun:
        bank.pending_ns[device] = now_ns
        atomic.store(bank.queue_count[lane], im.PUT, put)


@njit(cache=True, nogil=True)
def mask(
    bank: Bank,
    layout: Layout,
    where: tuple[int, int],
    address: int,
    masks: tuple[int, int],
    scratch: U1,
    at: int,
    now_ns: int,
) -> int:
    """Set one holding register to ``(now & and) | (or & ~and)``; return 0 or the exception code.

    Parameters
    ----------
    masks : and, or
    scratch, at : two bytes that are overwritten
    """
    device = where[1]
    segment = find(layout, bank.map[device], im.HOLDING, address, 1)
    if segment < 0:
        return mb.ILLEGAL_ADDRESS
    byte = layout.segment[segment, im.SEG_BYTE] + 2 * (
        address - layout.segment[segment, im.SEG_START]
    )
    copy_words(bank, device, byte, 2, scratch, at)
    for k in range(2):
        if bank.latched[bank.base[device] + byte + k] == 1:
            scratch[at + k] = bank.latch[bank.base[device] + byte + k]
        keep, given = (masks[0] >> (8 * (1 - k))) & 0xFF, (masks[1] >> (8 * (1 - k))) & 0xFF
        scratch[at + k] = np.uint8((mb.byte(scratch, at + k) & keep) | (given & ~keep & 0xFF))
    return int(write(bank, layout, where, (im.HOLDING, address, 1), scratch, at, now_ns))
