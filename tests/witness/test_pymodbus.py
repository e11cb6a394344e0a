"""pymodbus's synchronous client on every map, over both bodies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from hil.registers import codec
from hil.registers.files import shipped_maps
from hil.registers.schema import RegisterMap, WirePoint
from tests.witness.contract import READ_FROM, reads_every_point, writes_every_point
from tests.witness.fleet import OWN_ADDRESS, WITNESS, Fleet, Spot
from tests.witness.values import BITS, Words

MAPS = tuple(shipped_maps())
TYPE = ModbusClientMixin.DATATYPE
TYPES = {
    "u16": TYPE.UINT16, "i16": TYPE.INT16, "u32": TYPE.UINT32, "i32": TYPE.INT32,
    "u64": TYPE.UINT64, "f32": TYPE.FLOAT32, "bits": TYPE.UINT16, "string": TYPE.STRING,
}  # fmt: skip


def converted(one: RegisterMap, point: WirePoint, words: Sequence[int]) -> object:
    """Return what pymodbus makes of registers, scaled; None for 'not implemented'."""
    if point.type == "bit":
        return float(words[0])
    if point.bit is not None:  # counted in the register as it is on the wire
        return float(words[0] >> point.bit & 1)
    order = point.order or one.order
    if order in ("BADC", "DCBA"):  # pymodbus knows the order of words only
        words = [int.from_bytes(w.to_bytes(2, "big"), "little") for w in words]
    turned = order in ("CDAB", "DCBA") and point.type != "string"
    raw = ModbusClientMixin.convert_from_registers(
        list(words), TYPES[point.type], "little" if turned else "big"
    )
    if isinstance(raw, str):
        return raw.rstrip("\0") or None
    assert isinstance(raw, int | float)
    if math.isnan(raw) or raw % (1 << 16 * point.width) == codec.not_implemented(point):
        return None
    return raw * point.scale


class Pymodbus:
    """A synchronous client as the contract wants it; single writes where they do."""

    def __init__(self, spot: Spot, client: ModbusTcpClient) -> None:
        self.spot, self.client = spot, client

    def read(self, table: str, first: int, count: int) -> Sequence[int]:
        call = {
            "coil": self.client.read_coils, "discrete": self.client.read_discrete_inputs,
            "input": self.client.read_input_registers,
            "holding": self.client.read_holding_registers,
        }[table]  # fmt: skip
        found: ModbusPDU = call(first, count=count, device_id=self.spot.unit)
        assert not found.isError(), found
        return [int(b) for b in found.bits[:count]] if table in BITS else found.registers

    def write(self, table: str, first: int, words: Words) -> int:
        unit = self.spot.unit
        if table == "coil":
            found = self.client.write_coil(first, bool(words[0]), device_id=unit)
        elif len(words) == 1:
            found = self.client.write_register(first, words[0], device_id=unit)
        else:
            found = self.client.write_registers(first, list(words), device_id=unit)
        return outcome(found)

    def value(self, point: WirePoint) -> object:
        words = self.read(point.table, point.address, point.width)
        return converted(self.spot.one, point, words)


def outcome(found: ModbusPDU) -> int:
    return found.exception_code if isinstance(found, ExceptionResponse) else 0


@contextmanager
def connected(spot: Spot) -> Iterator[ModbusTcpClient]:
    client = ModbusTcpClient(spot.address, port=spot.port, timeout=5, retries=0)
    assert client.connect()
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize("name", MAPS)
def test_reads_every_point(fleet: Fleet, name: str) -> None:
    for row in READ_FROM:
        spot = fleet.spots[name][row]
        with connected(spot) as client:
            reads_every_point(fleet, spot, Pymodbus(spot, client))


@pytest.mark.parametrize("name", MAPS)
def test_writes_every_point(fleet: Fleet, name: str) -> None:
    for row in (OWN_ADDRESS, WITNESS):
        spot = fleet.spots[name][row]
        with connected(spot) as client:
            writes_every_point(fleet, spot, Pymodbus(spot, client))


@pytest.mark.parametrize("name", MAPS)
def test_a_device_says_who_it_is(fleet: Fleet, name: str) -> None:
    for row in (OWN_ADDRESS, WITNESS):
        spot = fleet.spots[name][row]
        with connected(spot) as client:
            found = client.read_device_information(read_code=3, device_id=spot.unit)
        one = spot.one
        assert {k: v.decode() for k, v in found.information.items()} == {
            0: one.identity.vendor, 1: one.identity.product, 2: one.identity.revision,
            4: one.title, 5: one.identity.model or one.identity.product,
            6: fleet.serials[spot.number],
        }  # fmt: skip


def test_writes_of_many_points_masks_and_writes_with_a_read(fleet: Fleet) -> None:
    """Functions 15, 16 over several points, 22 and 23."""
    spot = fleet.spots["terminal-own"][OWN_ADDRESS]
    with connected(spot) as client:
        assert outcome(client.write_coils(0, [True, False, True, False, True])) == 0
        fleet.tick()
        assert client.read_coils(0, count=5).bits[:5] == [True, False, True, False, True]
    assert [name for _, name, _ in fleet.taken.writes] == [
        "set_circuit_1", "set_circuit_2", "set_circuit_3", "set_circuit_4", "set_warning",
    ]  # fmt: skip
    spot = fleet.spots["storage-own"][OWN_ADDRESS]
    with connected(spot) as client:
        assert outcome(client.write_registers(0, [0xFFFF, 0xFE0C, 17, 0, 900])) == 0
        found = client.mask_write_register(address=2, and_mask=0x00F0, or_mask=0x0A0A)
        assert outcome(found) == 0
        found = client.readwrite_registers(
            read_address=0, read_count=5, write_address=3, values=[0, 1200]
        )
        assert found.registers == [0xFFFF, 0xFE0C, 0x0A1A, 0, 1200]
    fleet.tick()
    assert fleet.device(spot).setpoints["power_kw"] == -50.0
    assert fleet.device(spot).setpoints["heartbeat"] == 0x0A1A
    assert fleet.device(spot).setpoints["revert_s"] == 1200.0
