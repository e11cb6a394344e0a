"""Register maps as arrays: where each point lies in an image, and what a reader may cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.kernels import image as im
from hil.kernels.image import Layout
from hil.registers.schema import Command, RegisterMap, WirePoint
from twin.record.exchange import KindInventory

__all__ = ["Compiled", "compile_maps"]

TABLES = {"coil": im.COIL, "discrete": im.DISCRETE, "input": im.INPUT, "holding": im.HOLDING}
TYPES = {
    "u16": im.U16, "i16": im.I16, "u32": im.U32, "i32": im.I32, "u64": im.U64, "f32": im.F32,
    "string": im.STRING, "bits": im.BITS, "bit": im.BIT,
}  # fmt: skip
ORDERS = {"ABCD": im.ABCD, "CDAB": im.CDAB, "BADC": im.BADC, "DCBA": im.DCBA}
GAPS = {"any": im.GAP_ANY, "all": im.GAP_ALL, "zero": im.GAP_ZERO}
NOT_IMPLEMENTED = {
    im.U16: 0xFFFF, im.I16: 0x8000, im.U32: 0xFFFF_FFFF, im.I32: 0x8000_0000,
    im.U64: 0xFFFF_FFFF_FFFF_FFFF, im.F32: 0x7FC0_0000, im.STRING: 0, im.BITS: 0xFFFF,
    im.BIT: 0, im.BIT_OF: 0,
}  # fmt: skip
# Points further apart than this lie in segments of their own [registers].
FAR = 256
# Further than any request reaches [registers].
BEYOND = 65536


@dataclass(frozen=True, slots=True)
class Compiled:
    """Maps in use and their arrays.

    Attributes
    ----------
    maps : in the order of the layout
    layout : the arrays
    held : by map the names of points that keep what is written, in the order of their index
    """

    maps: tuple[RegisterMap, ...]
    layout: Layout
    held: tuple[tuple[str, ...], ...]

    def row(self, number: int, name: str) -> int:
        """Return the row in `layout.point` of point `name` of map `number`."""
        names = [p.name for p in self.maps[number].points]
        return int(self.layout.point_first[number]) + names.index(name)

    def points(self, number: int) -> NDArray[np.int64]:
        """Return the rows in `layout.point` of map `number`."""
        first = self.layout.point_first
        return np.arange(first[number], first[number + 1])


class _Rows:
    """The layout as it grows."""

    def __init__(self) -> None:
        self.segment: list[list[int]] = []
        self.register: list[list[int]] = []
        self.point: list[list[int]] = []
        self.factor: list[list[float]] = []
        self.na: list[int] = []
        self.value: list[tuple[float, float]] = []


def compile_maps(maps: Sequence[RegisterMap], kinds: dict[str, KindInventory]) -> Compiled:
    """Return the arrays of `maps`.

    Parameters
    ----------
    maps : checked
    kinds : inventory by kind, whose points and set-points the sources name; a kind that is not
        in it (the dispatcher) has no twin behind it
    """
    rows, held = _Rows(), []
    segment_first, point_first, size = [0], [0], []
    for one in maps:
        byte_of, owner_of, length = _segments(rows, one)
        size.append(length)
        segment_first.append(len(rows.segment))
        names: list[str] = []
        for point in one.points:
            _point(rows, one, point, byte_of, kinds.get(one.kind), names)
        _owners(rows, one, owner_of, point_first[-1])
        _bars(rows, segment_first[-2])
        point_first.append(len(rows.point))
        held.append(tuple(names))
    layout = Layout(
        segment_first=np.array(segment_first, np.int64),
        segment=np.array(rows.segment, np.int64).reshape(-1, im.SEGMENT_COLUMNS),
        register=np.array(rows.register, np.int64).reshape(-1, im.REGISTER_COLUMNS),
        point_first=np.array(point_first, np.int64),
        point=np.array(rows.point, np.int64).reshape(-1, im.POINT_COLUMNS),
        factor=np.array(rows.factor, np.float64).reshape(-1, im.FACTOR_COLUMNS),
        na=np.array(rows.na, np.uint64),
        value=np.array(rows.value, np.float64).reshape(-1, 2),
        size=np.array(size, np.int64),
    )
    return Compiled(tuple(maps), layout, tuple(held))


def _segments(
    rows: _Rows, one: RegisterMap
) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int], int]:
    """Add a map's segments; return the byte and the register row of each address, and the size."""
    byte_of: dict[tuple[str, int], int] = {}
    register_of: dict[tuple[str, int], int] = {}
    at = 0
    for table, code in TABLES.items():
        taken = sorted(
            {p.address + i for p in one.points if p.table == table for i in range(p.width)}
        )
        wide = 1 if code in (im.COIL, im.DISCRETE) else 2
        while taken:
            count = 1
            while count < len(taken) and taken[count] - taken[count - 1] <= FAR:
                count += 1
            part, taken = taken[:count], taken[count:]
            first, length = part[0], part[-1] - part[0] + 1
            rows.segment.append([code, first, length, at, len(rows.register)])
            defined = np.zeros(length + 1, np.bool_)
            defined[np.array(part) - first] = True
            run, ahead = 0, length + BEYOND
            found: list[list[int]] = []
            for i in range(length - 1, -1, -1):
                run = run + 1 if defined[i] else 0
                ahead = 0 if defined[i] else ahead + 1
                found.append([run, ahead, -1, length + BEYOND])
            for i in range(length):
                byte_of[(table, first + i)] = at + wide * i
                register_of[(table, first + i)] = len(rows.register) + i
            rows.register += found[::-1]
            at += wide * length
    return byte_of, register_of, at + at % 2


def _owners(
    rows: _Rows, one: RegisterMap, register_of: dict[tuple[str, int], int], first: int
) -> None:
    for number, point in enumerate(one.points):
        for i in range(point.width):
            row = rows.register[register_of[(point.table, point.address + i)]]
            if row[im.OWNER] < 0:
                row[im.OWNER] = first + number


def _bars(rows: _Rows, first_segment: int) -> None:
    """Say of each register of the last map how far the next one is that can only be written."""
    for segment in rows.segment[first_segment:]:
        row, count = segment[im.SEG_REGISTER], segment[im.SEG_COUNT]
        ahead = BEYOND
        for register in reversed(rows.register[row : row + count]):
            owner = register[im.OWNER]
            barred = owner >= 0 and rows.point[owner][im.READABLE] == 0
            ahead = 0 if barred else ahead + 1
            register[im.BARRED] = ahead


def _point(
    rows: _Rows,
    one: RegisterMap,
    point: WirePoint,
    byte_of: dict[tuple[str, int], int],
    kind: KindInventory | None,
    held: list[str],
) -> None:
    type_ = im.BIT_OF if point.bit is not None else TYPES[point.type]
    source, index, bound = _source(one, point, kind, held)
    behind = point.source
    values = () if behind is None else behind.values
    row = [0] * im.POINT_COLUMNS
    entries: dict[int, Any] = {
        im.TABLE: TABLES[point.table], im.ADDRESS: point.address, im.WIDTH: point.width,
        im.TYPE: type_, im.ORDER: ORDERS[point.order or one.order],
        im.READABLE: "r" in point.access, im.WRITABLE: "w" in point.access,
        im.LATCH: point.partial == "latch", im.BYTE: byte_of[(point.table, point.address)],
        im.BIT_NUMBER: 0 if point.bit is None else point.bit,
        im.SOURCE: source, im.INDEX: index,
        im.PER_RATING: behind is not None and behind.per_rating,
        im.FIRST_VALUE: len(rows.value), im.VALUES: len(values),
        im.HAS_LOW: point.low is not None, im.HAS_HIGH: point.high is not None,
        im.BOUND: bound,
    }  # fmt: skip
    for column, entry in entries.items():
        row[column] = int(entry)
    rows.point.append(row)
    rows.value += list(values)
    gain, offset = (1.0, 0.0) if behind is None else (behind.gain, behind.offset)
    low = 0.0 if point.low is None else point.low
    high = 0.0 if point.high is None else point.high
    rows.factor.append([point.scale, gain, offset, low, high])
    rows.na.append(NOT_IMPLEMENTED[type_] if point.na is None else point.na)


def _source(
    one: RegisterMap, point: WirePoint, kind: KindInventory | None, held: list[str]
) -> tuple[int, int, int]:
    """Return the class of a point's source, its index there, and the set-point that bounds it.

    `held` grows. A set-point that waits for another register keeps what was written, and is
    bounded all the same.
    """
    source = point.source
    names = [command.setpoint for command in one.commands if point.name in _parts(command)]
    if source is not None and source.setpoint is not None:
        names = [source.setpoint]
    bound = -1
    if names and kind is not None:
        bound = [p.name for p in kind.setpoints].index(names[0])
    waits = any(c.value == point.name and (c.enable or c.low) is not None for c in one.commands)
    if source is not None and (source.held is not None or (bound >= 0 and waits)):
        held.append(point.name)
        return im.HELD, len(held) - 1, bound
    if source is not None and source.point is not None and kind is not None:
        return im.POINT, kind.point(source.point), -1
    return (im.STATIC, 0, -1) if bound < 0 else (im.SETPOINT, bound, bound)


def _parts(command: Command) -> tuple[str, ...]:
    """Return the points that carry a command's value."""
    return (command.value,) if command.low is None else (command.value, command.low)
