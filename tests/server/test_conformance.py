"""Both bodies on a socket: function by table by case, as the standard wants it."""

from __future__ import annotations

import asyncio
import struct

import pytest
from pymodbus.client import AsyncModbusTcpClient, ModbusTcpClient

from hil.kernels import image as im
from hil.registers.bank import RegisterBank
from hil.server import Server
from tests.server.serving import Client, read, words, write_many
from tests.server.world import publish

FAILS = {"function": 1, "address": 2, "value": 3}
RAMP = list(range(26, 145))

GOOD = [
    ("coils, one", read(1, 0, 1), "0101 00"),
    ("coils, most", read(1, 1000, 2000), "01fa" + "00" * 250),
    ("discrete, two of three", read(2, 1, 1), "0201 01"),
    ("holding, one", read(3, 2, 1), "0302 0003"),
    ("holding, most", read(3, 20, 5), "030a 0014 0015 0016 0017 0018"),
    ("holding, little-endian words", read(3, 5, 2), "0304 0000 3fa0"),
    ("input, a wide point", read(4, 0, 2), "0404 ffff fe16"),
    ("input, text", read(4, 4, 4), "0408" + b"rig-0\0\0\0".hex()),
    ("input, part of a wide point", read(4, 1, 1), "0402 fe16"),
    ("input, bits of one register", read(4, 3, 1), "0402 0200"),
    ("coil on", b"\x05" + words(0, 0xFF00), "05 0000 ff00"),
    ("coil off", b"\x05" + words(1, 0), "05 0001 0000"),
    ("register, limit", b"\x06" + words(2, 7), "06 0002 0007"),
    ("coils together", b"\x0f" + words(6, 4) + b"\x01\x0b", "0f 0006 0004"),
    ("coils, most", b"\x0f" + words(1000, 1968) + b"\xf6" + b"\xaa" * 246, "0f 03e8 07b0"),
    ("registers, a wide point", write_many(0, 0, 5000), "10 0000 0002"),
    ("registers, its other bound", write_many(0, 0xFFFF, 0xEC78), "10 0000 0002"),
    ("registers, most", write_many(26, *RAMP), f"10 001a {len(RAMP):04x}"),
    ("registers, three points", write_many(2, 1, 2, 3), "10 0002 0003"),
    ("read and write", b"\x17" + words(2, 2, 2, 1) + b"\x02\x00\x05", "1704 0005 0f0f"),
    ("mask", b"\x16" + words(3, 0x00F2, 0x0025), "16 0003 00f2 0025"),
    ("identity, basic", bytes([43, 14, 1, 0]), "2b0e 01 82 00 00 03 0007" + b"suitwin".hex()
     + "0103" + b"rig".hex() + "0203" + b"1.0".hex()),
    ("identity, regular from 5 on", bytes([43, 14, 2, 5]), "2b0e 02 82 00 00 02 0502" + b"R1".hex()
     + "0605" + b"rig-0".hex()),
    ("identity, one", bytes([43, 14, 4, 6]), "2b0e 04 82 00 00 01 0605" + b"rig-0".hex()),
]  # fmt: skip

REFUSED = [
    ("function", "zero", b"\x00"),
    *(("function", f"number {n}", bytes([n, 0, 0, 0, 1])) for n in (7, 8, 11, 17, 20, 21, 24)),
    ("function", "private 90", bytes([90, 0, 2])),
    ("function", "exception as request", bytes([0x83, 2])),
    ("function", "encapsulated, other kind", bytes([43, 13, 0, 0])),
    ("value", "coils, none", read(1, 0, 0)),
    ("value", "coils, too many", read(1, 1000, 2001)),
    ("value", "discrete, none", read(2, 0, 0)),
    ("value", "holding, none", read(3, 0, 0)),
    ("value", "holding, too many", read(3, 20, 126)),
    ("value", "input, 65535", read(4, 0, 65535)),
    ("value", "read cut short", read(3, 0, 1)[:4]),
    ("value", "read with more behind", read(3, 0, 1) + b"\0"),
    ("value", "coil neither on nor off", b"\x05" + words(0, 1)),
    ("value", "coils, bytes miss", b"\x0f" + words(6, 4) + b"\x02\x0b"),
    ("value", "coils, none to write", b"\x0f" + words(6, 0) + b"\x00"),
    ("value", "coils, too many to write", b"\x0f" + words(1000, 1969) + b"\xf6" + b"\0" * 246),
    ("value", "registers, bytes miss", write_many(2, 1, 2)[:-2]),
    ("value", "registers, count and bytes differ", b"\x10" + words(2, 1) + b"\x04" + words(1, 2)),
    ("value", "registers, 124", b"\x10" + words(20, 124) + b"\xf6" + b"\0" * 246),
    ("value", "register above its limit", b"\x06" + words(2, 8)),
    ("value", "register says not implemented", b"\x06" + words(4, 0xFFFF)),
    ("value", "set-point above what the device takes", write_many(0, 0, 5001)),
    ("value", "set-point below what the device takes", write_many(0, 0xFFFF, 0xEC77)),
    ("value", "share of rating above 100", b"\x06" + words(4, 10_001)),
    ("value", "no number", write_many(5, 0, 0x7FC0)),
    ("value", "infinite", write_many(5, 0, 0x7F80)),
    ("value", "second point of two wrong", write_many(2, 5, 0, 10_001)),
    ("value", "mask cut short", b"\x16" + words(3, 0)),
    ("value", "read and write, bytes miss", b"\x17" + words(2, 2, 2, 1) + b"\x04\x00\x05"),
    ("value", "read and write, 122", b"\x17" + words(2, 1, 20, 122) + b"\xf4" + b"\0" * 242),
    ("value", "identity, code 5", bytes([43, 14, 5, 0])),
    ("value", "identity cut short", bytes([43, 14])),
    ("address", "coils behind the last", read(1, 9, 2)),
    ("address", "coil in a gap", read(1, 3, 1)),
    ("address", "discrete in a gap", read(2, 0, 10)),
    ("address", "holding in a gap", read(3, 20, 10)),
    ("address", "input in a gap", read(4, 8, 2)),
    ("address", "far from everything", read(3, 40_000, 1)),
    ("address", "past the end", read(3, 65_535, 2)),
    ("address", "write-only", read(3, 10, 2)),
    ("address", "write to nowhere", b"\x06" + words(900, 5)),
    ("address", "write to what is read-only", b"\x06" + words(12, 5)),
    ("address", "write to a gap", b"\x06" + words(25, 5)),
    ("address", "write of half a point", b"\x06" + words(0, 5)),
    ("address", "write of one and a half points", write_many(1, 0, 1)),
    ("address", "write to last and one more", write_many(144, 1, 2)),
    ("address", "coil in a gap to write", b"\x05" + words(4, 0xFF00)),
    ("address", "mask of half a point", b"\x16" + words(1, 0, 0)),
    ("address", "mask nowhere", b"\x16" + words(300, 0, 0)),
    ("address", "read here, write elsewhere", b"\x17" + words(2, 1, 900, 1) + b"\x02\x00\x05"),
    ("address", "read elsewhere, write here", b"\x17" + words(900, 1, 2, 1) + b"\x02\x00\x05"),
    ("address", "identity, unknown object", bytes([43, 14, 4, 9])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "request_pdu", "wanted"), GOOD, ids=[g[0] for g in GOOD])
def test_a_good_request_is_answered(
    client: Client, name: str, request_pdu: bytes, wanted: str
) -> None:
    assert client.ask(request_pdu).hex() == wanted.replace(" ", "")


@pytest.mark.parametrize(("why", "name", "request_pdu"), REFUSED, ids=[r[1] for r in REFUSED])
def test_a_wrong_request_is_refused_and_writes_nothing(
    client: Client, bank: RegisterBank, why: str, name: str, request_pdu: bytes
) -> None:
    assert client.ask(request_pdu) == bytes([request_pdu[0] | 0x80, FAILS[why]])
    assert not bank.arrays.queue_count.any()
    assert not bank.arrays.written.any()
    assert bank.arrays.refused.sum() == 1


def test_writes_are_queued_in_order_and_shown_before_the_tick_and_after(
    client: Client, bank: RegisterBank
) -> None:
    client.ask(write_many(0, 0, 1000))
    client.ask(b"\x05" + words(0, 0xFF00))
    client.ask(b"\x06" + words(2, 6))
    assert client.ask(read(3, 0, 3)) == b"\x03\x06" + words(0, 1000, 6)
    assert client.ask(read(1, 0, 1)) == b"\x01\x01\x01"
    writes = bank.take(2**62)
    names = [bank.compiled.maps[0].points[int(p)].name for p in writes.point]
    assert names == ["setpoint", "on", "mode"]
    assert writes.value.tolist() == [100.0, 1.0, 6.0]
    assert writes.device.tolist() == [0, 0, 0]
    publish(bank, 2, applied_ns=int(writes.time_ns[-1]))
    # The next tick shows what the simulation made of it: here nothing.
    assert client.ask(read(3, 0, 3)) == b"\x03\x06" + words(0, 0, 3)


def test_a_latched_point_is_written_when_its_last_part_comes(
    client: Client, bank: RegisterBank
) -> None:
    before = client.ask(read(3, 7, 4))
    assert client.ask(write_many(9, 0, 0)) == b"\x10" + words(9, 2)
    assert client.ask(read(3, 7, 4)) == before
    assert len(bank.take(2**62).device) == 0
    client.ask(b"\x06" + words(8, 0))
    client.ask(b"\x06" + words(7, 0x0100))
    writes = bank.take(2**62)
    assert writes.raw.tolist() == [1]
    assert client.ask(read(3, 7, 4)) == b"\x03\x08" + words(0x0100, 0, 0, 0)


def test_a_device_in_local_mode_refuses_with_its_own_code(
    client: Client, bank: RegisterBank
) -> None:
    bank.arrays.refusal[0] = 4
    assert client.ask(b"\x06" + words(2, 5)) == b"\x86\x04"
    assert client.ask(b"\x06" + words(2, 9)) == b"\x86\x03"
    assert client.ask(read(3, 2, 1)) == b"\x03\x02\x00\x03"


def test_a_full_queue_says_busy_and_takes_nothing_of_the_request(
    client: Client, bank: RegisterBank
) -> None:
    for _ in range(17):
        client.ask(write_many(26, *RAMP))
    room = bank.arrays.queue.shape[1] - 17 * len(RAMP)
    assert 0 < room < len(RAMP)
    assert client.ask(write_many(26, *RAMP)) == b"\x90\x06"
    put = bank.arrays.queue_count[:, im.PUT].max()
    assert put == 17 * len(RAMP)
    bank.take(2**62)
    assert client.ask(write_many(26, *RAMP)) == b"\x10" + words(26, len(RAMP))


@pytest.mark.parametrize(("device", "all_missing", "some_missing"), [
    (0, b"\x84\x02", b"\x84\x02"),
    (2, b"\x84\x02", b"\x04\x06" + words(0, 0, 0)),
    (4, b"\x04\x04" + words(0, 0), b"\x04\x06" + words(0, 0, 0)),
])  # fmt: skip
def test_gaps_are_refused_as_the_map_has_it(
    server: Server, device: int, all_missing: bytes, some_missing: bytes
) -> None:
    with Client(server.endpoints[device]) as client:
        assert client.ask(read(4, 8, 2)) == all_missing
        assert client.ask(read(4, 8, 3))[:2] == some_missing[:2]


def test_units(server: Server, client: Client) -> None:
    request = read(3, 2, 1)
    assert client.ask(request, unit=255) == client.ask(request)
    assert client.silent(struct.pack(">HHHB", 1, 0, 6, 0) + request)
    assert client.silent(struct.pack(">HHHB", 1, 0, 6, 7) + request)
    assert client.ask(request) == b"\x03\x02\x00\x03"
    with Client(server.endpoints[2]) as gateway:
        assert gateway.ask(request, unit=7) == b"\x83\x0b"
        assert gateway.silent(struct.pack(">HHHB", 1, 0, 6, 0) + b"\x06" + words(2, 5))
        assert gateway.ask(request) == b"\x03\x02\x00\x03"


def test_a_silent_device_says_nothing_at_all(client: Client, bank: RegisterBank) -> None:
    bank.arrays.silent[0] = 1
    assert client.silent(struct.pack(">HHHB", 1, 0, 6, 1) + read(3, 2, 1))
    bank.arrays.silent[0] = 0
    assert client.ask(read(3, 2, 1)) == b"\x03\x02\x00\x03"


def test_requests_are_counted_by_device(server: Server, client: Client, bank: RegisterBank) -> None:
    for _ in range(3):
        client.ask(read(3, 2, 1))
    client.ask(b"\x06" + words(2, 5))
    client.ask(b"\x06" + words(2, 50))
    with Client(server.endpoints[5]) as other:
        other.ask(read(4, 0, 4))
    a = bank.arrays
    assert a.reads.sum(axis=0).tolist() == [3, 0, 0, 0, 0, 1]
    assert a.writes.sum(axis=0).tolist() == [1, 0, 0, 0, 0, 0]
    assert a.refused.sum(axis=0).tolist() == [1, 0, 0, 0, 0, 0]
    assert (a.answered_ns > 0).tolist() == [True, False, False, False, False, True]
    assert server.stats()["requests"] == 6


def test_pymodbus_reads_and_writes_all_of_it(server: Server) -> None:
    e = server.endpoints[1]
    with ModbusTcpClient(e.address, port=e.port) as client:
        assert client.read_coils(0, count=3).bits[:3] == [True, False, False]
        assert client.read_discrete_inputs(0, count=2).bits[:2] == [True, True]
        assert client.read_holding_registers(20, count=5).registers == [20, 21, 22, 23, 24]
        power = client.read_input_registers(0, count=2).registers
        assert client.convert_from_registers(power, client.DATATYPE.INT32) == 510
        assert not client.write_coil(0, False).isError()
        assert not client.write_register(2, 7).isError()
        assert not client.write_coils(6, [True, False, True, True]).isError()
        assert client.read_coils(6, count=4).bits[:4] == [True, False, True, True]
        assert not client.write_registers(0, [0, 1234]).isError()
        assert not client.mask_write_register(address=3, and_mask=0xF0, or_mask=0x0F).isError()
        both = client.readwrite_registers(read_address=2, read_count=2, address=2, values=[4])
        assert both.registers == [4, 0x000F]
        about = client.read_device_information(read_code=2)
        assert about.information[6] == b"rig-1"
        assert client.read_holding_registers(25, count=1).exception_code == 2


def test_pymodbus_asks_many_devices_at_once(server: Server) -> None:
    async def one(device: int) -> int:
        e = server.endpoints[device]
        async with AsyncModbusTcpClient(e.address, port=e.port) as client:
            power = await client.read_input_registers(0, count=2)
            return int(client.convert_from_registers(power.registers, client.DATATYPE.INT32))

    async def all_of_them() -> list[int]:
        return list(await asyncio.gather(*(one(d) for d in range(6))))

    assert asyncio.run(all_of_them()) == [10 * (100 * d - 50 + 1) for d in range(6)]
