"""What a device on the bench showed, and what became of what it was told."""

from __future__ import annotations

from dataclasses import dataclass

from twin.record.exchange import Quality

__all__ = ["Sample", "Value", "Written"]

Value = float | str


@dataclass(frozen=True, slots=True)
class Sample:
    """What a point showed.

    Attributes
    ----------
    value : in the point's own unit; None where it is not implemented or was refused
    words : registers or bits as they came; empty where refused
    at_s : of the device's clock, when the answer was there
    quality : GOOD, or MISSING
    code : the exception that a read was refused with, 0: none
    took_s : wall time of the request that brought it [s]
    """

    value: Value | None
    words: tuple[int, ...]
    at_s: float
    quality: Quality = Quality.GOOD
    code: int = 0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write.

    Attributes
    ----------
    point : its name
    wanted, sent : value that was asked for, and that the words stand for, in the point's unit
    words : as sent
    accepted : the device said yes
    code : the exception that it was refused with, 0: none
    cut : why `sent` differs from `wanted`: ``power`` and ``ramp`` are the bench's limits,
        ``register``: it does not hold the value; else empty
    at_s, took_s : the device's clock after the answer; wall time that it took [s]
    """

    point: str
    wanted: Value
    sent: Value | None
    words: tuple[int, ...]
    accepted: bool
    code: int
    cut: str
    at_s: float
    took_s: float
