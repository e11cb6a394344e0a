"""Points that are read with one request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hil.registers.schema import TableName, WirePoint

__all__ = ["Block", "blocks"]

MOST_BITS = 2000


@dataclass(frozen=True, slots=True)
class Block:
    """Registers or bits side by side.

    Attributes
    ----------
    table, address, count : of the request
    points : that lie in it
    """

    table: TableName
    address: int
    count: int
    points: tuple[WirePoint, ...]


def blocks(points: Iterable[WirePoint], longest: int) -> list[Block]:
    """Return the requests that read `points`, in the order of tables and addresses.

    No address is read that no point takes: what a device does with a gap is its own affair.

    Parameters
    ----------
    longest : registers of one read
    """
    found: list[Block] = []
    run: list[WirePoint] = []
    end = 0
    for point in sorted(
        {p.name: p for p in points}.values(), key=lambda p: (p.table, p.address, p.bit or 0)
    ):
        most = MOST_BITS if point.table in ("coil", "discrete") else longest
        stop = point.address + point.width
        joins = bool(run) and (
            point.table == run[0].table
            and point.address <= end
            and max(stop, end) - run[0].address <= most
        )
        if run and not joins:
            found.append(_block(run, end))
            run = []
        end = max(stop, end) if run else stop
        run.append(point)
    if run:
        found.append(_block(run, end))
    return found


def _block(run: list[WirePoint], end: int) -> Block:
    return Block(run[0].table, run[0].address, end - run[0].address, tuple(run))
