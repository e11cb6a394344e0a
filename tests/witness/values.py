"""What a map lets a client read and write, as plain arithmetic on the map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hil.registers import codec
from hil.registers.kinds import catalogue
from hil.registers.schema import WHOLE, Command, RegisterMap, WirePoint
from tests.witness.fleet import Spot

BITS = ("coil", "discrete")
INFINITY = 0x7F80_0000  # f32
FAR_OFF = 60_000.0  # where there is no limit
Words = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """Addresses without a gap, read by one request."""

    table: str
    first: int
    count: int


def runs(addresses: Sequence[int]) -> Iterator[list[int]]:
    """Yield sorted addresses, cut where one is missing."""
    part: list[int] = []
    for address in sorted(set(addresses)):
        if part and address > part[-1] + 1:
            yield part
            part = []
        part.append(address)
    if part:
        yield part


def blocks(one: RegisterMap) -> Iterator[Block]:
    """Yield requests that read all of a map."""
    for table in ("coil", "discrete", "input", "holding"):
        most = 2000 if table in BITS else one.longest_read
        taken = [p.address + i for p in one.points if p.table == table for i in range(p.width)]
        for run in runs(taken):
            for at in range(0, len(run), most):
                part = run[at : at + most]
                yield Block(table, part[0], len(part))


def readable(one: RegisterMap) -> list[WirePoint]:
    return [p for p in one.points if "r" in p.access]


def writable(one: RegisterMap) -> list[WirePoint]:
    return [p for p in one.points if "w" in p.access]


def words_at(image: dict[tuple[str, int], int], point: WirePoint) -> Words:
    return tuple(image[point.table, point.address + i] for i in range(point.width))


def expected(spot: Spot, image: dict[tuple[str, int], int], point: WirePoint) -> object:
    """Return the value that a client should see."""
    return codec.decode(point, spot.one.order, words_at(image, point))


def _commanded(one: RegisterMap, point: WirePoint) -> str | None:
    """Return the set-point behind a point, directly or through a command."""
    by_command: list[Command] = [c for c in one.commands if point.name in (c.value, c.low)]
    if by_command:
        return by_command[0].setpoint
    return None if point.source is None else point.source.setpoint


def limits(spot: Spot, point: WirePoint) -> tuple[float, float]:
    """Return the least and the greatest value in the point's unit that the device takes.

    Those of the map, and those of the set-point behind it.
    """
    low = -math.inf if point.low is None else point.low
    high = math.inf if point.high is None else point.high
    name, source = _commanded(spot.one, point), point.source
    if name is None or source is None:
        return low, high
    ends = [_shown(spot, point, end) for end in _accepted(spot, name)]
    return max(low, min(ends)), min(high, max(ends))


def _accepted(spot: Spot, setpoint: str) -> tuple[float, float]:
    """Return what the twin takes of this device, in its own unit."""
    twin = catalogue()[spot.one.kind].setpoints[setpoint]
    size = spot.rated_kw if twin.per_rating else 1.0
    return twin.low * size, twin.high * size


def _shown(spot: Spot, point: WirePoint, own: float) -> float:
    """Return a twin's value in the point's unit, codes aside."""
    source = point.source
    assert source is not None
    return source.gain * own / (spot.rated_kw if source.per_rating else 1.0) + source.offset


def _codes(spot: Spot, point: WirePoint) -> list[float]:
    """Return the registers' codes for what the twin takes."""
    source = point.source
    if source is None or source.setpoint is None:
        return []
    low, high = _accepted(spot, source.setpoint)
    return [code for own, code in source.values if low <= own <= high]


def legal(spot: Spot, point: WirePoint) -> list[Words]:
    """Return registers (or the bit) that the device takes and shows as they were written."""
    low, high = limits(spot, point)
    codes = _codes(spot, point)
    few = high - low <= 1.0  # a state: its codes are all there is
    low, high = max(low, -FAR_OFF), min(high, FAR_OFF)
    middle = low + 0.375 * (high - low)
    wanted = codes if codes and few else [middle, *codes] if codes else [high, middle, low]
    found = [codec.encode(point, spot.one.order, _inwards(point, v, low, high)) for v in wanted]
    return list(dict.fromkeys(tuple(words) for words in found))


def _inwards(point: WirePoint, value: float, low: float, high: float) -> float:
    """Return the nearest value that registers can show between `low` and `high`."""
    if point.type == "f32":
        return float(np.float32(value))
    raw = round(value / point.scale)
    if not low <= value <= high:
        return value  # a code
    while raw * point.scale > high * (1.0 + math.copysign(1e-9, high)):
        raw -= 1
    while raw * point.scale < low * (1.0 - math.copysign(1e-9, low)):
        raw += 1
    return raw * point.scale


def refused(spot: Spot, point: WirePoint) -> list[Words]:
    """Return registers with a value that the device must refuse: outside its limits, or none."""
    if point.type == "bit":
        return []
    low, high = limits(spot, point)
    found = []
    if point.type == "f32":
        raws = [INFINITY, codec.not_implemented(point)]
        outside = [low - 1.0 - 0.01 * abs(low), high + 1.0 + 0.01 * abs(high)]
        raws += [int(np.float32(v).view(np.uint32)) for v in outside if math.isfinite(v)]
        found = [_raw(spot, point, raw) for raw in raws]
    else:
        least, most = (int(end) for end in WHOLE[point.type])
        beyond = [math.floor(low / point.scale) - 1 if math.isfinite(low) else None,
                  math.ceil(high / point.scale) + 1 if math.isfinite(high) else None]  # fmt: skip
        numbers = [n for n in beyond if n is not None and least <= n <= most]
        numbers = [n for n in numbers if n * point.scale not in _codes(spot, point)]
        found = [_raw(spot, point, n) for n in (*numbers, codec.not_implemented(point))]
    return list(dict.fromkeys(found))


def _raw(spot: Spot, point: WirePoint, raw: int) -> Words:
    """Return the registers of a raw number, in the point's byte order."""
    data = (raw % (1 << 16 * point.width)).to_bytes(2 * point.width, "big")
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    order = point.order or spot.one.order
    if order in ("BADC", "DCBA"):
        words = [(w & 0xFF) << 8 | w >> 8 for w in words]
    return tuple(words[::-1] if order in ("CDAB", "DCBA") else words)
