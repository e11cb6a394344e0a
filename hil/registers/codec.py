"""One point's value to registers and back, plain and slow: what the compiled encoder must equal.

A value of `n` registers is `2n` bytes, most significant first: A B C D for two registers. The
orders are

====  ==================================================================
ABCD  big-endian
CDAB  the registers in reverse order, bytes within each as they are
BADC  the registers in order, the two bytes within each swapped
DCBA  both: little-endian throughout
====  ==================================================================

and mean the same for one register (ABCD = CDAB, BADC = DCBA) and for four. Text keeps the order
of its registers; BADC and DCBA swap the two letters within each. A bit table has no order, and a
single bit of a register is counted in the register as it stands on the wire.

Values are rounded half to even and kept within the type's range, short of the pattern that says
'not implemented' where that stands at an end of the range (0 of an accumulator does not).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np

from hil.registers.schema import WHOLE, Order, WirePoint

__all__ = ["decode", "encode", "not_implemented", "span"]

NOT_IMPLEMENTED = {
    "u16": 0xFFFF, "i16": 0x8000, "u32": 0xFFFF_FFFF, "i32": 0x8000_0000,
    "u64": 0xFFFF_FFFF_FFFF_FFFF, "f32": 0x7FC0_0000, "bits": 0xFFFF, "bit": 0, "string": 0,
}  # fmt: skip
# The compiled encoder counts in int64; no counter comes near.
LONGEST = 9_200_000_000_000_000_000


def not_implemented(point: WirePoint) -> int:
    """Return the raw value that says 'not implemented'; 0 for a single bit and for text."""
    if point.bit is not None or point.type in ("bit", "string"):
        return 0
    return NOT_IMPLEMENTED[point.type] if point.na is None else point.na


def span(point: WirePoint) -> tuple[int, int]:
    """Return the least and the greatest raw number that a whole-number point shows.

    Raises ValueError for ``f32`` and ``string``, which have none.
    """
    if point.type not in WHOLE:
        raise ValueError(f"{point.name}: type {point.type} has no whole numbers")
    if point.bit is not None or point.type == "bit":
        return 0, 1
    least, most = (int(end) for end in WHOLE[point.type])
    if point.type == "u64":
        return 0, LONGEST
    na = _signed(point, not_implemented(point))
    return least + (na == least < 0), most - (na == most)


def encode(point: WirePoint, order: Order, value: float | str | None) -> list[int]:
    """Return the registers (or the bit) of a value in the point's own unit.

    Parameters
    ----------
    point : with its scale; its own order goes before `order`
    order : the map's
    value : NaN and None are 'not implemented'; text for type ``string``, cut to its room
    """
    if point.type == "string":
        text = value if isinstance(value, str) else ""
        data = text.encode("utf-8")[: 2 * point.width].ljust(2 * point.width, b"\0")
        return _words(data, _text_order(point.order or order))
    if isinstance(value, str):
        raise TypeError(f"{point.name}: text for type {point.type}")
    raw = _raw(point, math.nan if value is None else value / point.scale)
    if point.type == "bit":
        return [raw]
    if point.bit is not None:
        return [raw << point.bit]
    return _words(raw.to_bytes(2 * point.width, "big"), point.order or order)


def decode(point: WirePoint, order: Order, words: Sequence[int]) -> float | str | None:
    """Return the value that registers (or a bit) stand for, None for 'not implemented'.

    Raises ValueError where the number of registers is not the point's.
    """
    if len(words) != point.width:
        raise ValueError(f"{point.name}: {len(words)} registers, not {point.width}")
    if point.type == "bit":
        return float(words[0] & 1)
    if point.type == "string":
        text = _bytes(words, _text_order(point.order or order)).rstrip(b"\0")
        return text.decode("utf-8", "replace") if text else None
    if point.bit is not None:
        return float(words[0] >> point.bit & 1)
    data = _bytes(words, point.order or order)
    raw = int.from_bytes(data, "big")
    if raw == not_implemented(point):
        return None
    if point.type == "f32":
        number = float(struct.unpack(">f", data)[0])
        return None if math.isnan(number) else number * point.scale
    return _signed(point, raw) * point.scale


def _raw(point: WirePoint, number: float) -> int:
    """Return the raw value of a number that is divided by the scale already."""
    if math.isnan(number):
        return not_implemented(point)
    if point.type == "f32":
        with np.errstate(over="ignore"):
            return int(np.float32(number).view(np.uint32))
    least, most = span(point)
    if point.type == "bit" or point.bit is not None:
        return int(number >= 0.5)
    whole = least if number <= least else most if number >= most else round(number)
    return int(whole % (1 << 16 * point.width))


def _signed(point: WirePoint, raw: int) -> int:
    top = 1 << (16 * point.width - 1)
    return raw - 2 * top if point.type.startswith("i") and raw >= top else raw


def _text_order(order: Order) -> Order:
    return "BADC" if order in ("BADC", "DCBA") else "ABCD"


def _words(data: bytes, order: Order) -> list[int]:
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    if order in ("BADC", "DCBA"):
        words = [(w & 0xFF) << 8 | w >> 8 for w in words]
    return words[::-1] if order in ("CDAB", "DCBA") else words


def _bytes(words: Sequence[int], order: Order) -> bytes:
    data = b"".join(int(w).to_bytes(2, "big") for w in words)
    return b"".join(w.to_bytes(2, "big") for w in _words(data, order))
