"""What every client must find: points read as they are, take what they may, refuse the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hil.registers.schema import WirePoint
from tests.witness.fleet import OWN_ADDRESS, OWN_PORT, SILENT, Fleet, Spot
from tests.witness.values import (
    Words,
    blocks,
    expected,
    legal,
    readable,
    refused,
    writable,
)

ILLEGAL_VALUE = 3
# Own address and own port, and behind a gateway the one that shows nothing.
READ_FROM = (OWN_ADDRESS, OWN_PORT, SILENT)


class Client(Protocol):
    """Somebody's client, connected to one device."""

    def read(self, table: str, first: int, count: int) -> Sequence[int]:
        """Return registers or bits."""

    def write(self, table: str, first: int, words: Words) -> int:
        """Write registers or bits; return 0 or the exception that came back."""

    def value(self, point: WirePoint) -> object:
        """Return a point's value by the client's own conversion; None for 'not implemented'."""


def reads_every_point(fleet: Fleet, spot: Spot, client: Client) -> None:
    image = fleet.image(spot)
    for block in blocks(spot.one):
        got = list(client.read(block.table, block.first, block.count))
        assert got == [image[block.table, block.first + i] for i in range(block.count)], block
    for point in readable(spot.one):
        assert client.value(point) == expected(spot, image, point), point.name


def writes_every_point(
    fleet: Fleet, spot: Spot, client: Client, points: Sequence[WirePoint] | None = None
) -> None:
    """Write legal values, which read back at once and in the next tick, and others."""
    for point in writable(spot.one) if points is None else points:
        where = (point.table, point.address)
        for words in legal(spot, point):
            assert client.write(*where, words) == 0, (point.name, words)
            assert tuple(client.read(*where, point.width)) == words, point.name
            fleet.tick()
            assert tuple(client.read(*where, point.width)) == words, point.name
            assert fleet.taken.writes[-1][:2] == (spot.number, point.name)
        taken = len(fleet.taken.writes)
        before = tuple(client.read(*where, point.width))
        for words in refused(spot, point):
            assert client.write(*where, words) == ILLEGAL_VALUE, (point.name, words)
        fleet.tick()
        assert len(fleet.taken.writes) == taken, point.name
        assert tuple(client.read(*where, point.width)) == before, point.name
