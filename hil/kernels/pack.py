"""Values to registers and back, compiled: the only place where the hot path knows types.

A device's value ``v`` stands in a register as ``(gain * v + offset) / scale``, rounded half to
even; NaN, and what does not fit, follow `hil.registers.codec`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import image as im
from hil.kernels.image import (
    BIT,
    BIT_NUMBER,
    BIT_OF,
    BITS,
    BYTE,
    F32,
    FIRST_VALUE,
    GAIN,
    HELD,
    I16,
    I32,
    INDEX,
    OFFSET,
    ORDER,
    PER_RATING,
    POINT,
    SCALE,
    SETPOINT,
    SOURCE,
    STRING,
    TYPE,
    U16,
    U32,
    U64,
    VALUES,
    WIDTH,
)  # fmt: skip

__all__ = ["decode", "encode", "get_raw", "put_raw", "raw_of", "value_of"]

U1 = NDArray[np.uint8]
I8 = NDArray[np.int64]
F8 = NDArray[np.float64]


@njit(cache=True, nogil=True)
def byte_place(order: int, width: int, i: int) -> int:
    """Return where byte `i` (most significant first) of a value of `width` registers lies."""
    word, low = i // 2, i % 2
    if order in (im.CDAB, im.DCBA):
        word = width - 1 - word
    if order in (im.BADC, im.DCBA):
        low = 1 - low
    return 2 * word + low


@njit(cache=True, nogil=True)
def put_raw(words: U1, at: int, point: I8, raw: np.uint64) -> None:
    """Write `raw` as the registers (or the bit) of a point whose image begins at byte `at`."""
    kind, place = point[TYPE], at + point[BYTE]
    if kind == BIT:
        words[place] = raw & np.uint64(1)
        return
    if kind == BIT_OF:
        number = point[BIT_NUMBER]
        byte = place + (0 if number >= 8 else 1)
        mask = np.uint8(1 << (number % 8))
        if raw & np.uint64(1):
            words[byte] = words[byte] | mask
        else:
            words[byte] = words[byte] & ~mask
        return
    width, order = point[WIDTH], point[ORDER]
    for i in range(2 * width):
        shift = np.uint64(8 * (2 * width - 1 - i))
        words[place + byte_place(order, width, i)] = (raw >> shift) & np.uint64(0xFF)


@njit(cache=True, nogil=True)
def get_raw(words: U1, at: int, point: I8) -> np.uint64:
    """Return the raw value of a point; the inverse of `put_raw` (strings have none: 0)."""
    kind, place = point[TYPE], at + point[BYTE]
    if kind == BIT:
        return np.uint64(words[place])
    if kind == BIT_OF:
        number = point[BIT_NUMBER]
        byte = words[place + (0 if number >= 8 else 1)]
        return np.uint64((byte >> (number % 8)) & 1)
    raw = np.uint64(0)
    if kind == STRING:
        return raw
    width, order = point[WIDTH], point[ORDER]
    for i in range(2 * width):
        raw = (raw << np.uint64(8)) | np.uint64(words[place + byte_place(order, width, i)])
    return raw


@njit(cache=True, nogil=True)
def raw_of(value: float, kind: int, na: np.uint64) -> np.uint64:
    """Return the raw value of `value` (already divided by the scale); NaN gives `na`.

    What does not fit is kept at the end of the type's range, short of 'not implemented'.
    """
    if np.isnan(value):
        return na
    if kind == F32:
        one = np.empty(1, np.float32)
        one[0] = value
        return np.uint64(one.view(np.uint32)[0])
    if kind in (BIT, BIT_OF):
        return np.uint64(1) if value >= 0.5 else np.uint64(0)
    whole = np.rint(value)
    if kind in (I16, I32):
        top = 32767.0 if kind == I16 else 2147483647.0
        least = -top  # one above the lowest, which says 'not implemented'
        whole = min(max(whole, least), top)
        mask = np.uint64(0xFFFF) if kind == I16 else np.uint64(0xFFFFFFFF)
        return np.uint64(np.int64(whole)) & mask
    if kind == U64:
        if whole >= 9.2e18:
            return np.uint64(9200000000000000000)
        return np.uint64(np.int64(max(whole, 0.0)))
    top = 4294967294.0 if kind == U32 else 65534.0
    if na == 0 and kind in (U32, U16, BITS):
        top += 1.0  # an accumulator: 0 says 'not implemented'
    return np.uint64(np.int64(min(max(whole, 0.0), top)))


@njit(cache=True, nogil=True)
def value_of(raw: np.uint64, kind: int, na: np.uint64) -> float:
    """Return the number that `raw` stands for, before the scale; NaN for 'not implemented'."""
    if kind == F32:
        one = np.empty(1, np.uint32)
        one[0] = raw
        return float(one.view(np.float32)[0])
    if kind in (BIT, BIT_OF):
        return float(raw)
    if raw == na:
        return np.nan
    if kind == I16:
        return float(np.int64(raw) - 65536 if raw >= 32768 else np.int64(raw))
    if kind == I32:
        return float(np.int64(raw) - 4294967296 if raw >= 2147483648 else np.int64(raw))
    return float(raw)


@njit(cache=True, nogil=True)
def to_register(value: float, rated: float, point: I8, factor: F8, codes: F8) -> float:
    """Return what stands in the register for the twin's `value`, before rounding."""
    for k in range(point[FIRST_VALUE], point[FIRST_VALUE] + point[VALUES]):
        if codes[k, 0] == value:
            return float(codes[k, 1] / factor[SCALE])
    if point[PER_RATING] == 1:
        value = value / rated
    return float((factor[GAIN] * value + factor[OFFSET]) / factor[SCALE])


@njit(cache=True, nogil=True)
def to_twin(value: float, rated: float, point: I8, factor: F8, codes: F8) -> float:
    """Return the twin's value for `value` in the point's own unit; inverse of `to_register`."""
    for k in range(point[FIRST_VALUE], point[FIRST_VALUE] + point[VALUES]):
        if codes[k, 1] == value:
            return float(codes[k, 0])
    value = (value - factor[OFFSET]) / factor[GAIN]
    if point[PER_RATING] == 1:
        value = value * rated
    return value


@njit(cache=True, nogil=True)
def encode(
    words: U1,
    base: I8,
    rows: I8,
    values: tuple[F8, F8, F8, F8],
    trim: F8,
    layout: im.Layout,
    span: tuple[int, int],
) -> None:
    """Write every moving point of one map for all its devices.

    Parameters
    ----------
    words : uint8[bytes]  the buffer that is not served
    base : int64[n]  first byte of each device's image
    rows : int64[n]  the devices' rows within their kind
    values : readings float64[points, kind], set-points in force float64[setpoints, kind], held
        float64[held, n], rated float64[kind]
    trim : float64[n, points of the map] factor on what is shown (a wrong scale), or [0, 0]
    layout, span : rows ``span[0]:span[1]`` of `layout.point` are the map's
    """
    readings, in_force, held, rated = values
    for p in range(span[0], span[1]):
        point, factor = layout.point[p], layout.factor[p]
        source, index, kind, na = point[SOURCE], point[INDEX], point[TYPE], layout.na[p]
        for d in range(len(base)):
            row = rows[d]
            if source == POINT:
                shown = to_register(readings[index, row], rated[row], point, factor, layout.value)
            elif source == SETPOINT:
                shown = to_register(in_force[index, row], rated[row], point, factor, layout.value)
            elif source == HELD:
                shown = held[index, d] / factor[SCALE]
            else:
                break
            if trim.shape[0] > 0:
                shown *= trim[d, p - span[0]]
            put_raw(words, base[d], point, raw_of(shown, kind, na))


@njit(cache=True, nogil=True)
def decode(
    words: U1,
    base: I8,
    rows: I8,
    wanted: I8,
    rated: F8,
    layout: im.Layout,
    out: F8,
) -> None:
    """Read the twin's points back from images.

    Parameters
    ----------
    words, base, rows, rated, layout : as `encode`
    wanted : int64[points]  for each point of the kind its row in `layout.point`, -1 where the
        map does not show it (NaN then)
    out : float64[points, kind]  written at `rows`
    """
    for i in range(len(wanted)):
        p = wanted[i]
        for d in range(len(base)):
            if p < 0:
                out[i, rows[d]] = np.nan
                continue
            point = layout.point[p]
            value = value_of(get_raw(words, base[d], point), point[TYPE], layout.na[p])
            value *= layout.factor[p, SCALE]
            out[i, rows[d]] = to_twin(value, rated[rows[d]], point, layout.factor[p], layout.value)
