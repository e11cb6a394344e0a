"""Set-points to requests, compiled: values of many devices into the bytes of their writes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hil.kernels import image as im
from hil.kernels import pack
from hil.kernels.image import Layout

__all__ = ["merge_coils", "put_values"]

I8 = NDArray[np.int64]
F8 = NDArray[np.float64]
U1 = NDArray[np.uint8]

# Where a value comes from: the set-point; the set-point in percent of rating, times a number; a
# number.
TWIN, PERCENT, CONSTANT = range(3)
WRITE_COIL, WRITE_COILS, MOST_COILS = 5, 15, 1968
# Columns of coils to write, and of the requests that they make.
C_DEVICE, C_ADDRESS, C_ORDER, C_VALUE = range(4)
R_DEVICE, R_FIRST, R_COUNT, R_BEGIN, R_LENGTH = range(5)


@njit(cache=True)
def put_values(
    out: U1, place: int, step: tuple[int, int, float], values: tuple[F8, F8], layout: Layout,
    fits: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Write one point of a command into the requests of all devices.

    Parameters
    ----------
    out : uint8[n, bytes]; place : where in a request the point lies
    step : row of `layout.point`, where the value comes from, the number
    values : set-points float64[n] in the twin's unit, ratings float64[n]
    fits : bool[n]  set to False where no register of this type holds the value
    """
    row, how, number = step
    given, rated = values
    point, factor = layout.point[row].copy(), layout.factor[row]
    point[im.BYTE] = 0
    kind, na = point[im.TYPE], layout.na[row]
    for d in range(len(given)):
        if how == TWIN:
            value = pack.to_register(given[d], rated[d], point, factor, layout.value)
        elif how == PERCENT:
            value = number * 100.0 * given[d] / rated[d] / factor[im.SCALE]
        else:
            value = number / factor[im.SCALE]
        if not np.isfinite(value):
            fits[d] = False
            continue
        raw = pack.raw_of(value, kind, na)
        held = pack.value_of(raw, kind, na)
        slack = 1e-6 * abs(value) if kind == im.F32 else 0.5 + 1e-9 * abs(value)
        if not abs(held - value) <= slack:
            fits[d] = False
            continue
        pack.put_raw(out[d], place, point, raw)


@njit(cache=True)
def merge_coils(coils: I8, requests: I8, pdu: U1) -> tuple[int, int]:
    """Write coils of one device that lie side by side with one request.

    A device takes the coils of a request from the first to the last; they are joined only where
    that is the order in which they were said.

    Parameters
    ----------
    coils : int64[n, 4]  sorted by device, address and order: device, coil, number of the set-point,
        value
    requests : int64[n, 5]  written: device, first coil, coils, first byte, bytes
    pdu : uint8[8 n]  written

    Returns
    -------
    how many requests, and how many bytes
    """
    count, at, k = 0, 0, 0
    while k < len(coils):
        n = 1
        while (
            k + n < len(coils)
            and n < MOST_COILS
            and coils[k + n, C_DEVICE] == coils[k, C_DEVICE]
            and coils[k + n, C_ADDRESS] == coils[k, C_ADDRESS] + n
            and coils[k + n, C_ORDER] >= coils[k + n - 1, C_ORDER]
        ):
            n += 1
        size = 5 if n == 1 else 6 + (n + 7) // 8
        pdu[at : at + size] = 0
        pdu[at] = WRITE_COIL if n == 1 else WRITE_COILS
        pdu[at + 1] = coils[k, C_ADDRESS] >> 8
        pdu[at + 2] = coils[k, C_ADDRESS] & 0xFF
        if n == 1:
            pdu[at + 3] = 0xFF * coils[k, C_VALUE]
        else:
            pdu[at + 3], pdu[at + 4], pdu[at + 5] = n >> 8, n & 0xFF, (n + 7) // 8
            for i in range(n):
                pdu[at + 6 + i // 8] |= coils[k + i, C_VALUE] << (i % 8)
        requests[count, R_DEVICE], requests[count, R_FIRST] = coils[k, C_DEVICE], k
        requests[count, R_COUNT], requests[count, R_BEGIN] = n, at
        requests[count, R_LENGTH] = size
        count, at, k = count + 1, at + size, k + n
    return count, at
