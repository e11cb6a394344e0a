"""What is wrong with a register whose value is not what it should be: other readings that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from hil.registers.codec import decode
from hil.registers.schema import WIDTH, Order, WirePoint

__all__ = ["diagnose"]

FACTORS = (10.0, 100.0, 1000.0)
ORDERS: tuple[Order, ...] = ("ABCD", "CDAB", "BADC", "DCBA")
SAY = {
    "CDAB": "words exchanged", "BADC": "bytes exchanged", "DCBA": "words and bytes exchanged",
    "ABCD": "the plain order",
}  # fmt: skip
TYPES = ("u16", "i16", "u32", "i32", "f32", "u64")


def diagnose(
    point: WirePoint, order: Order, words: Sequence[int], fits: Callable[[float], bool]
) -> str:
    """Return how the registers would have to be read to fit, ``""`` where no way was found.

    Parameters
    ----------
    point, order : as the table has it
    words : as read
    fits : whether a value, in the point's own unit, is what it should be
    """
    if point.type in ("bit", "bits", "string") or len(words) != point.width:
        return ""
    value = _value(point, order, words)
    if value is not None:
        for factor in FACTORS:
            if fits(value / factor):
                return f"a factor of {factor:g} too large"
            if fits(value * factor):
                return f"a factor of {factor:g} too small"
        if value != 0.0 and fits(-value):
            return "sign turned"
    own = point.order or order
    if point.width > 1 or own in ("ABCD", "BADC"):
        for other in ORDERS:
            again = _value(point.model_copy(update={"order": other}), order, words)
            if other != own and again is not None and again != value and fits(again):
                return f"{SAY[other]} ({other})"
    for kind in TYPES:
        if kind != point.type and WIDTH[kind] == point.width:
            for scale in (1.0, point.scale):
                one = point.model_copy(update={"type": kind, "scale": scale})
                again = _value(one, order, words)
                if again is not None and again != value and fits(again):
                    return f"type {kind}, scale {scale:g}"
    return ""


def _value(point: WirePoint, order: Order, words: Sequence[int]) -> float | None:
    try:
        return cast("float | None", decode(point, order, words))
    except (ValueError, OverflowError):
        return None
