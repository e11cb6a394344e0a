"""Numbers of the Modbus application protocol (v1.1b3), and its bytes as numbers."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16
MASK_REGISTER, READ_WRITE_REGISTERS, ENCAPSULATED = 22, 23, 43
DEVICE_IDENTIFICATION = 14  # of function 43

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4
BUSY, GATEWAY_NO_PATH, GATEWAY_NO_ANSWER = 6, 10, 11

# Most of each that one request may carry.
READ_BITS, READ_WORDS, WRITE_BITS, WRITE_WORDS, WRITE_WORDS_OF_23 = 2000, 125, 1968, 123, 121

LONGEST_PDU, LONGEST_ADU = 253, 260
# Transaction, protocol, length; then the unit.
LENGTH_AT, UNIT_AT, PDU_AT = 4, 6, 7
BROADCAST, ANY_UNIT = 0, 255


@njit(cache=True, nogil=True, forceinline=True)
def byte(data: NDArray[np.uint8], at: int) -> int:
    """Return a byte as a signed number (numba keeps a bare one unsigned)."""
    return int(np.int64(data[at]))


@njit(cache=True, nogil=True, forceinline=True)
def word(data: NDArray[np.uint8], at: int) -> int:
    """Return two bytes as a number, the higher one first."""
    return byte(data, at) << 8 | byte(data, at + 1)
