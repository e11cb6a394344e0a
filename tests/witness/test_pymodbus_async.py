"""pymodbus's asynchronous client on all maps at once, while ticks are published."""

from __future__ import annotations

import asyncio

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from tests.witness.contract import ILLEGAL_VALUE, READ_FROM
from tests.witness.fleet import OWN_ADDRESS, Fleet, Spot
from tests.witness.test_pymodbus import converted, outcome
from tests.witness.values import (
    BITS,
    Block,
    Words,
    blocks,
    expected,
    legal,
    readable,
    refused,
    writable,
)

TICKS_S = 0.01


class Asynchronous:
    """One client a device; its requests may be made at once."""

    def __init__(self, spot: Spot) -> None:
        self.spot = spot
        self.client = AsyncModbusTcpClient(spot.address, port=spot.port, timeout=10, retries=0)

    async def __aenter__(self) -> Asynchronous:
        assert await self.client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()

    async def read(self, block: Block) -> list[int]:
        call = {
            "coil": self.client.read_coils, "discrete": self.client.read_discrete_inputs,
            "input": self.client.read_input_registers,
            "holding": self.client.read_holding_registers,
        }[block.table]  # fmt: skip
        found: ModbusPDU = await call(block.first, count=block.count, device_id=self.spot.unit)
        assert not found.isError(), (self.spot, block, found)
        bits = [int(b) for b in found.bits[: block.count]]
        return bits if block.table in BITS else found.registers

    async def write(self, table: str, first: int, words: Words) -> int:
        """Write with the functions for several, 15 and 16."""
        unit = self.spot.unit
        if table == "coil":
            bits = [bool(w) for w in words]
            return outcome(await self.client.write_coils(first, bits, device_id=unit))
        return outcome(await self.client.write_registers(first, list(words), device_id=unit))


async def _read_all(fleet: Fleet, spot: Spot) -> None:
    image = fleet.image(spot)
    async with Asynchronous(spot) as client:
        wanted = list(blocks(spot.one))
        parts = await asyncio.gather(*map(client.read, wanted))
        got = {
            (block.table, block.first + i): word
            for block, part in zip(wanted, parts, strict=True)
            for i, word in enumerate(part)
        }
        assert got == {place: image[place] for place in got}, spot
        assert {p.name for p in readable(spot.one)} == {p.name for p in spot.one.points}
        for point in readable(spot.one):
            words = [got[point.table, point.address + i] for i in range(point.width)]
            assert converted(spot.one, point, words) == expected(spot, image, point), point.name


async def _write_all(spot: Spot) -> None:
    async with Asynchronous(spot) as client:
        for point in writable(spot.one):
            block = Block(point.table, point.address, point.width)
            for words in legal(spot, point):
                assert await client.write(point.table, point.address, words) == 0, point.name
                assert tuple(await client.read(block)) == words, (point.name, words)
                await asyncio.sleep(2 * TICKS_S)
                assert tuple(await client.read(block)) == words, (point.name, words)
            for words in refused(spot, point):
                got = await client.write(point.table, point.address, words)
                assert got == ILLEGAL_VALUE, (point.name, words)


async def _ticking(fleet: Fleet, work: list[asyncio.Task[None]]) -> None:
    while not all(task.done() for task in work):
        fleet.tick()
        await asyncio.sleep(TICKS_S)
    await asyncio.gather(*work)


def test_reads_everything_at_once(fleet: Fleet) -> None:
    async def run() -> None:
        work = [
            asyncio.create_task(_read_all(fleet, spots[row]))
            for spots in fleet.spots.values()
            for row in READ_FROM
        ]
        await _ticking(fleet, work)

    asyncio.run(run())


def test_writes_every_point_of_all_maps_at_once(fleet: Fleet) -> None:
    spots = [spots[OWN_ADDRESS] for spots in fleet.spots.values()]

    async def run() -> None:
        await _ticking(fleet, [asyncio.create_task(_write_all(spot)) for spot in spots])

    asyncio.run(run())
    fleet.tick()
    made = [len(legal(spot, point)) for spot in spots for point in writable(spot.one)]
    assert len(fleet.taken.writes) == sum(made)


def test_gathered_requests_are_answered_each(fleet: Fleet) -> None:
    """Seventeen reads on the way at once, of one client."""
    spot = fleet.spots["dispatcher"][OWN_ADDRESS]
    image = fleet.image(spot)

    async def run() -> list[list[int]]:
        async with Asynchronous(spot) as client:
            return await asyncio.gather(
                *(client.read(Block("input", 256, n)) for n in range(1, 18))
            )

    for n, got in enumerate(asyncio.run(run()), start=1):
        assert got == [image["input", 256 + i] for i in range(n)]
