"""Which registers to read: the fewest requests that hold everything a reading needs.

A block is one request. It lies within one segment of the map, is no longer than the device
takes, begins and ends with points that are wanted, holds no point that cannot be read and, where
the device refuses missing registers (`gaps` = ``any``), no missing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.kernels import image as im
from hil.registers.files import reading_points
from hil.registers.layout import TABLES, Compiled
from hil.registers.schema import RegisterMap
from twin.record.exchange import Point

__all__ = ["Block", "MapPlan", "blocks_of", "plan_map"]

# Function codes by table, and the most that a request may ask for.
READ = {im.COIL: 1, im.DISCRETE: 2, im.HOLDING: 3, im.INPUT: 4}
MOST_BITS = 2000


@dataclass(frozen=True, slots=True)
class Block:
    """One read.

    Attributes
    ----------
    function : code; address, count : registers or bits
    byte : where its first register (or bit) lies in the map's image
    """

    function: int
    address: int
    count: int
    byte: int


@dataclass(frozen=True, slots=True)
class MapPlan:
    """How devices with one map are read.

    Attributes
    ----------
    wanted : int64[points]  row in `layout.point` of each point of the kind, -1: not shown
    blocks : that hold them
    """

    wanted: NDArray[np.int64]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class _Span:
    table: int
    address: int
    width: int
    byte: int

    @property
    def end(self) -> int:
        return self.address + self.width


def plan_map(compiled: Compiled, number: int, points: Sequence[Point]) -> MapPlan:
    """Return the plan of map `number`.

    Parameters
    ----------
    points : of the kind, in the order of its readings
    """
    names = reading_points(compiled.maps[number])
    wanted = np.array(
        [compiled.row(number, names[p.name]) if p.name in names else -1 for p in points], np.int64
    )
    return MapPlan(wanted, blocks_of(compiled, number, wanted[wanted >= 0]))


def blocks_of(compiled: Compiled, number: int, rows: NDArray[np.int64]) -> tuple[Block, ...]:
    """Return the fewest blocks that hold the points `rows` of `layout.point` of map `number`.

    The greedy choice is the best one: a block begins at the first point not held yet and is as
    long as the map lets it be.
    """
    one, layout = compiled.maps[number], compiled.layout
    spans = sorted(
        {
            _Span(*(int(layout.point[r, c]) for c in (im.TABLE, im.ADDRESS, im.WIDTH, im.BYTE)))
            for r in rows
        },
        key=lambda s: (s.table, s.address, s.width),
    )
    first, after = layout.segment_first[number], layout.segment_first[number + 1]
    segments = layout.segment[first:after]
    barred = {table: _barred(one, table) for table in {s.table for s in spans}}
    blocks: list[Block] = []
    begin: _Span | None = None
    end = 0
    for span in spans:
        if begin is not None and begin.table == span.table:
            most = MOST_BITS if span.table in (im.COIL, im.DISCRETE) else one.longest_read
            longer = max(end, span.end)
            if (
                longer - begin.address <= most
                and _segment(segments, begin) == _segment(segments, span)
                and not _crosses(barred[span.table], begin.address, longer)
            ):
                end = longer
                continue
        if begin is not None:
            blocks.append(_block(begin, end))
        begin, end = span, span.end
    if begin is not None:
        blocks.append(_block(begin, end))
    return tuple(blocks)


def _block(begin: _Span, end: int) -> Block:
    return Block(READ[begin.table], begin.address, end - begin.address, begin.byte)


def _segment(segments: NDArray[np.int64], span: _Span) -> int:
    mine = (segments[:, im.SEG_TABLE] == span.table) & (segments[:, im.SEG_START] <= span.address)
    return int(np.flatnonzero(mine)[-1])


def _barred(one: RegisterMap, table: int) -> NDArray[np.int64]:
    """Return, by address, how many addresses before it must not be read."""
    free = np.zeros(65537, np.bool_)
    unreadable = np.zeros(65537, np.bool_)
    for point in one.points:
        if TABLES[point.table] == table:
            place = slice(point.address, point.address + point.width)
            free[place] = True
            unreadable[place] |= "r" not in point.access
    barred = unreadable if one.gaps != "any" else unreadable | ~free
    return np.concatenate([[0], np.cumsum(barred)])


def _crosses(barred: NDArray[np.int64], first: int, after: int) -> bool:
    return bool(barred[after] > barred[first])
