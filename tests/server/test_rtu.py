"""Devices on a serial line: pymodbus and mbpoll talk to `SerialServer` over pseudo-terminals."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import serial
from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.framer import FramerRTU

from hil.registers.bank import RegisterBank
from hil.server import SerialLine, SerialServer, WireManner
from hil.server.rtu import GAP_S
from tests.server.line import PtyLine
from tests.server.world import MAPS, rig_bank
from twin.errors import InputProblems

# Units 1 and 2 are devices of the first map, whose gaps refuse; unit 20 is one that fills them
# with zeros, and stands elsewhere under unit 7.
UNITS = {1: 0, 2: 1, 20: 4}
LANE = 1
PATIENCE_S = 0.6


@pytest.fixture
def bank() -> RegisterBank:
    return rig_bank(units=[1, 1, 1, 1, 7, 1])


@pytest.fixture
def line() -> Iterator[PtyLine]:
    with PtyLine() as one:
        yield one


@contextmanager
def serving(
    bank: RegisterBank, line: PtyLine, manners: Mapping[int, WireManner] | None = None
) -> Iterator[SerialServer]:
    layout = bank.compiled.layout
    with SerialServer(
        bank.arrays, layout, SerialLine(line.ends[0]), UNITS, LANE, manners=manners
    ) as one:
        yield one


@contextmanager
def talking(line: PtyLine, retries: int = 0) -> Iterator[ModbusSerialClient]:
    client = ModbusSerialClient(line.ends[1], baudrate=9600, timeout=PATIENCE_S, retries=retries)
    assert client.connect()
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def server(bank: RegisterBank, line: PtyLine) -> Iterator[SerialServer]:
    with serving(bank, line) as one:
        yield one


@pytest.fixture
def client(server: SerialServer, line: PtyLine) -> Iterator[ModbusSerialClient]:
    with talking(line) as one:
        yield one


def frame(unit: int, *pdu: int) -> bytes:
    packet = bytes([unit, *pdu])
    return packet + FramerRTU.compute_CRC(packet).to_bytes(2, "big")


class Raw:
    """A port on which bytes are put as they are."""

    def __init__(self, line: PtyLine) -> None:
        self.port = serial.Serial(line.ends[1], 9600, timeout=PATIENCE_S)

    def ask(self, data: bytes, room: int = 256) -> bytes:
        self.port.write(data)
        found = b""
        while part := self.port.read(1):
            found += part
            if len(found) >= room:
                break
        return found


@pytest.fixture
def raw(server: SerialServer, line: PtyLine) -> Iterator[Raw]:
    one = Raw(line)
    yield one
    one.port.close()


READ_MODE = frame(1, 3, 0, 2, 0, 1)
MODE_IS_3 = frame(1, 3, 2, 0, 3)


# -- functions ---------------------------------------------------------------------------------


def test_reads_show_what_devices_hold(client: ModbusSerialClient) -> None:
    assert client.read_holding_registers(2, count=2, device_id=1).registers == [3, 0x0F0F]
    assert client.read_holding_registers(21, count=1, device_id=2).registers == [21]
    assert client.read_input_registers(2, count=1, device_id=1).registers == [200]
    assert client.read_input_registers(2, count=1, device_id=2).registers == [210]
    assert client.read_coils(0, count=1, device_id=2).bits[0] is True
    assert client.read_discrete_inputs(0, count=2, device_id=2).bits[:2] == [True, True]


def test_writes_are_shown_at_once_and_queued_in_their_own_lane(
    client: ModbusSerialClient, bank: RegisterBank
) -> None:
    assert not client.write_register(2, 5, device_id=1).isError()
    assert not client.write_registers(20, [7, 8, 9], device_id=1).isError()
    assert not client.write_coil(1, value=True, device_id=1).isError()
    assert not client.write_coils(6, [True, False, True], device_id=1).isError()
    assert not client.mask_write_register(
        address=3, and_mask=0x00FF, or_mask=0xA000, device_id=1
    ).isError()
    both = client.readwrite_registers(
        read_address=2, read_count=1, write_address=2, values=[6], device_id=1
    )
    assert both.registers == [6]
    assert client.read_holding_registers(20, count=3, device_id=1).registers == [7, 8, 9]
    assert client.read_holding_registers(3, count=1, device_id=1).registers == [0xA00F]
    assert client.read_coils(6, count=3, device_id=1).bits[:3] == [True, False, True]
    assert client.read_holding_registers(2, count=1, device_id=2).registers == [3]
    arrays = bank.arrays
    assert arrays.queue_count[0, 1] == 0
    taken = bank.take(time.monotonic_ns())
    names = [p.name for p in MAPS[0].points]
    written = [names[i] for i in taken.point]
    assert written == ["mode", "block20", "block21", "block22", "way1", "way6", "way7", "way8",
                       "mask", "mode"]  # fmt: skip
    assert set(taken.device) == {0}
    assert (arrays.writes[LANE, 0], arrays.writes[0, 0]) == (6, 0)


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        pytest.param((3, 0, 25, 0, 1), 2, id="a gap"),
        pytest.param((6, 0, 2, 0, 8), 3, id="above the limit"),
        pytest.param((6, 0, 12, 0, 8), 2, id="not writable"),
        pytest.param((3, 0, 2, 0, 0), 3, id="nothing wanted"),
        pytest.param((3, 0, 2, 0, 126), 3, id="too much wanted"),
        pytest.param((16, 0, 20, 0, 2, 2, 0, 1), 3, id="bytes that do not fit"),
        pytest.param((17,), 1, id="a function of pymodbus that devices lack"),
        pytest.param((8, 0, 0, 1, 2), 1, id="a diagnosis of pymodbus that devices lack"),
        pytest.param((0x41, 1, 2), 1, id="a function that nobody knows"),
        pytest.param((43, 13, 0, 0), 1, id="an interface that nobody knows"),
    ],
)
def test_refusals_are_those_of_tcp(
    raw: Raw, bank: RegisterBank, pdu: tuple[int, ...], code: int
) -> None:
    refusal = frame(1, pdu[0] | 0x80, code)
    assert raw.ask(frame(1, *pdu), len(refusal)) == refusal
    assert bank.arrays.refused[LANE, 0] == 1
    assert bank.arrays.queue_count[LANE, 1] == 0


def test_a_unit_has_its_own_map_wherever_its_device_stands_elsewhere(
    client: ModbusSerialClient,
) -> None:
    assert client.read_holding_registers(24, count=3, device_id=1).exception_code == 2
    assert client.read_holding_registers(25, count=1, device_id=20).registers == [0]
    assert client.read_input_registers(2, count=1, device_id=20).registers == [240]


def test_each_unit_says_who_it_is(client: ModbusSerialClient) -> None:
    said = [client.read_device_information(read_code=2, device_id=u).information for u in (1, 20)]
    assert said[0][0] == b"suitwin"
    assert [s[5] for s in said] == [b"R1", b"R1"]
    names = [
        client.read_device_information(read_code=4, object_id=6, device_id=unit).information[6]
        for unit in (1, 20)
    ]
    assert names == [b"rig-0", b"rig-4"]


def test_nobody_answers_for_an_unknown_unit_or_a_silent_device(
    client: ModbusSerialClient, bank: RegisterBank, server: SerialServer
) -> None:
    bank.arrays.silent[1] = 1
    for unit in (3, 247, 2):
        with pytest.raises(ModbusIOException):
            client.read_holding_registers(2, count=1, device_id=unit)
    assert client.read_holding_registers(2, count=1, device_id=1).registers == [3]
    assert server.requests == 2


# -- a bad line --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(READ_MODE[:-1] + b"\xff", id="wrong checksum"),
        pytest.param(READ_MODE[:5], id="half a frame"),
        pytest.param(b"\x00", id="a byte"),
        pytest.param(b"\x01\x10\x00\x00\x00\x10\xff\x00", id="a write that promises 255 bytes"),
        pytest.param(bytes(range(1, 200)), id="two hundred bytes"),
        pytest.param(b"\x07" * 1000, id="a thousand bytes"),
        pytest.param(frame(9, 0x83, 2), id="another device's refusal"),
    ],
)
def test_after_noise_the_next_frame_is_answered(raw: Raw, noise: bytes) -> None:
    raw.port.write(noise)
    time.sleep(3 * GAP_S)
    assert raw.port.in_waiting == 0
    assert raw.ask(READ_MODE, len(MODE_IS_3)) == MODE_IS_3


def test_a_client_that_tries_again_gets_over_noise_at_the_head_of_a_frame(raw: Raw) -> None:
    found = raw.ask(b"\x81\x03" + READ_MODE, len(MODE_IS_3))
    assert found in (b"", MODE_IS_3)
    assert raw.ask(READ_MODE, len(MODE_IS_3)) == MODE_IS_3


def test_a_frame_may_come_in_pieces(raw: Raw) -> None:
    for i in range(len(READ_MODE) - 1):
        raw.port.write(READ_MODE[i : i + 1])
        raw.port.flush()
    assert raw.ask(READ_MODE[-1:], len(MODE_IS_3)) == MODE_IS_3


# -- manners -----------------------------------------------------------------------------------


def test_a_spoilt_checksum_is_an_error_to_the_client(bank: RegisterBank, line: PtyLine) -> None:
    with serving(bank, line, {0: WireManner(bad_crc_share=1.0)}) as server, talking(line) as client:
        with pytest.raises(ModbusIOException):
            client.read_holding_registers(2, count=1, device_id=1)
        assert client.read_holding_registers(2, count=1, device_id=2).registers == [3]
        server.set_manner(0, None)
        assert client.read_holding_registers(2, count=1, device_id=1).registers == [3]
    assert bank.arrays.reads[LANE, 0] == 2


def test_a_device_may_lose_requests_refuse_them_or_take_its_time(
    bank: RegisterBank, line: PtyLine
) -> None:
    manners = {
        0: WireManner(no_answer_share=1.0),
        1: WireManner(exception=6),
        4: WireManner(late_ms=120.0),
    }
    with serving(bank, line, manners) as server, talking(line) as client:
        with pytest.raises(ModbusIOException):
            client.write_register(2, 5, device_id=1)
        assert client.write_register(2, 5, device_id=2).exception_code == 6
        begun = time.monotonic()
        assert not client.write_register(2, 5, device_id=20).isError()
        assert time.monotonic() - begun >= 0.12
        assert server.behaviours[0].lost == 1
    assert bank.arrays.refused[LANE, 1] == 1
    assert set(bank.take(time.monotonic_ns()).device) == {4}


def test_an_overtaken_answer_keeps_its_unit(bank: RegisterBank, line: PtyLine) -> None:
    with serving(bank, line, {0: WireManner(late_ms=200.0)}):
        raw = Raw(line)
        raw.port.write(READ_MODE)
        time.sleep(0.1)
        other = frame(2, 3, 2, 0, 3)
        assert raw.ask(frame(2, 3, 0, 2, 0, 1), len(other)) == other
        assert raw.ask(b"", len(MODE_IS_3)) == MODE_IS_3
        raw.port.close()


def test_a_manner_may_change_what_is_read_over_gaps(bank: RegisterBank, line: PtyLine) -> None:
    with serving(bank, line, {0: WireManner(gaps="zero")}) as server, talking(line) as client:
        assert client.read_holding_registers(25, count=1, device_id=1).registers == [0]
        server.set_manner(0, None)
        assert client.read_holding_registers(25, count=1, device_id=1).exception_code == 2


# -- what cannot be ----------------------------------------------------------------------------


def test_units_devices_and_lanes_that_cannot_be_are_all_said(bank: RegisterBank) -> None:
    with pytest.raises(InputProblems) as said:
        SerialServer(
            bank.arrays, bank.compiled.layout, SerialLine("/dev/tty"), {0: 1, 248: 2, 3: 6}, lane=9
        )
    assert [p.place for p in said.value.problems] == ["unit 0", "unit 248", "unit 3", "lane"]


def test_a_port_that_cannot_be_had_is_said(bank: RegisterBank, tmp_path: Path) -> None:
    port = str(tmp_path / "nothing")
    with (
        pytest.raises(InputProblems, match="serial line"),
        SerialServer(bank.arrays, bank.compiled.layout, SerialLine(port), UNITS, LANE),
    ):
        pass


def test_a_stopped_server_gives_its_port_back(bank: RegisterBank, line: PtyLine) -> None:
    for _ in range(2):
        with serving(bank, line), talking(line) as client:
            assert client.read_holding_registers(2, count=1, device_id=1).registers == [3]


# -- tools and the command line ----------------------------------------------------------------


@pytest.mark.wiretools
@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not on this machine")
def test_mbpoll_reads_and_writes(server: SerialServer, line: PtyLine, bank: RegisterBank) -> None:
    def mbpoll(*words: str) -> str:
        command = ["mbpoll", "-m", "rtu", "-b", "9600", "-P", "none", "-a", "1", "-0", "-o", "1"]
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    end = line.ends[1]
    assert "[2]: \t3" in mbpoll("-1", "-t", "4", "-r", "2", "-c", "1", end)
    assert "Written 1 references" in mbpoll("-t", "4", "-r", "2", end, "5")
    assert "[2]: \t5" in mbpoll("-1", "-t", "4", "-r", "2", "-c", "1", end)
    np.testing.assert_array_equal(bank.take(time.monotonic_ns()).value, [5.0])
