"""Every map as a unit of one serial line: pymodbus and mbpoll over a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pymodbus.client import ModbusSerialClient

from hil.registers.files import shipped_maps
from hil.server.rtu import SerialLine, SerialServer
from tests.server.line import PtyLine
from tests.witness.contract import reads_every_point, writes_every_point
from tests.witness.fleet import OWN_ADDRESS, ROWS, Fleet, Spot
from tests.witness.mbpoll import Call, run, words_of, writing
from tests.witness.test_pymodbus import Pymodbus, outcome
from tests.witness.values import BITS, blocks, legal, writable

MAPS = tuple(shipped_maps())
BAUD = 115_200
FOR_MBPOLL = ("charging-post", "storage-own", "storage-sunspec-7xx", "terminal-own")


class Line:
    """A fleet on a serial line: map by map one device, units from 1 on."""

    def __init__(self, fleet: Fleet, server: SerialServer, end: str) -> None:
        self.fleet, self.server, self.end = fleet, server, end

    def spot(self, name: str) -> Spot:
        number = MAPS.index(name)
        return replace(self.fleet.spots[name][OWN_ADDRESS], unit=number + 1)


@pytest.fixture(scope="module")
def serial() -> Iterator[Line]:
    fleet = Fleet("serial")
    first = [ROWS * m for m in range(len(MAPS))]
    fleet.bank.arrays.unit[first] = range(1, len(MAPS) + 1)
    with PtyLine() as cable:
        line = SerialLine(cable.ends[0], BAUD)
        server = SerialServer(fleet.bank.arrays, fleet.bank.compiled.layout, line, first, lane=0)
        with server:
            yield Line(fleet, server, cable.ends[1])


@pytest.fixture
def line(serial: Line) -> Line:
    serial.fleet.reset()
    return serial


@pytest.fixture(scope="module")
def client(serial: Line) -> Iterator[ModbusSerialClient]:
    client = ModbusSerialClient(serial.end, baudrate=BAUD, timeout=5, retries=0)
    assert client.connect()
    yield client
    client.close()


@pytest.mark.parametrize("name", MAPS)
def test_pymodbus_reads_every_point(line: Line, client: ModbusSerialClient, name: str) -> None:
    spot = line.spot(name)
    reads_every_point(line.fleet, spot, Pymodbus(spot, client))


@pytest.mark.parametrize("name", MAPS)
def test_pymodbus_writes_every_point(line: Line, client: ModbusSerialClient, name: str) -> None:
    spot = line.spot(name)
    writes_every_point(line.fleet, spot, Pymodbus(spot, client))


def test_pymodbus_masks_and_writes_with_a_read(line: Line, client: ModbusSerialClient) -> None:
    unit = line.spot("storage-own").unit
    assert outcome(client.write_registers(0, [0xFFFF, 0xFE0C, 17, 0, 900], device_id=unit)) == 0
    found = client.mask_write_register(address=2, and_mask=0xF0, or_mask=0x0A0A, device_id=unit)
    assert outcome(found) == 0
    both = client.readwrite_registers(
        read_address=0, read_count=5, write_address=3, values=[0, 1200], device_id=unit
    )
    assert both.registers == [0xFFFF, 0xFE0C, 0x0A1A, 0, 1200]
    told = client.read_device_information(device_id=unit)
    assert told.information[1] == b"Storage station"


@pytest.mark.wiretools
@pytest.mark.parametrize("name", FOR_MBPOLL)
def test_mbpoll_reads_and_writes(line: Line, name: str) -> None:
    spot = line.spot(name)
    link = ["-m", "rtu", "-b", str(BAUD), "-P", "none", "-a", str(spot.unit), line.end]
    image = line.fleet.image(spot)
    for block in blocks(spot.one):
        form = "" if block.table in BITS else "hex"
        got = run(link, Call(block.table, block.first, form, count=block.count))
        wanted = [image[block.table, block.first + i] for i in range(block.count)]
        assert words_of(block.table, got) == wanted, block
    for point in writable(spot.one):
        words = legal(spot, point)[-1]
        assert run(link, writing(point.table, point.address, words)).refusal == 0, point.name
        line.fleet.tick()
        form = "" if point.table in BITS else "hex"
        got = run(link, Call(point.table, point.address, form, count=point.width))
        assert tuple(words_of(point.table, got)) == words, point.name
    there = {p.address + i for p in spot.one.points if p.table == "holding" for i in range(p.width)}
    beyond = max(there, default=-1) + 1
    assert run(link, writing("holding", beyond, (1,))).refusal == 2
