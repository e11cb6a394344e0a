"""Whatever bytes come from a device, nothing but the errors of the bench comes of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hil.bench.answers import (
    Wrong,
    check_echo,
    count_bits,
    count_registers,
    pdu_of_rtu,
    pdu_of_tcp,
    size_of_rtu,
)
from hil.bench.clock import WallClock
from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.errors import Garbage, Refused
from hil.bench.identity import identity_of
from hil.bench.journal import NoJournal
from hil.bench.survey import survey
from hil.registers.files import shipped_maps
from hil.registers.schema import RegisterMap, TableName
from tests.bench.sloppy import SloppyLine

SENT = bytes.fromhex("000500000006010300000002")
PDU = st.binary(min_size=0, max_size=12)


@given(
    got=st.binary(max_size=40)
    | st.builds(lambda tid, n, rest: bytes([0, tid, 0, 0, 0, n, 1, *rest]),
                st.integers(3, 6), st.integers(0, 12), st.lists(st.integers(0, 255), max_size=12))
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_bytes_by_tcp_are_an_answer_or_wrong(got: bytes) -> None:
    try:
        pdu = pdu_of_tcp(SENT, got)
    except Wrong:
        return
    assert pdu[0] & 0x7F == 3
    assert got.endswith(bytes([1]) + pdu)


@given(got=st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_bytes_by_a_serial_line_are_an_answer_or_wrong(got: bytes) -> None:
    with pytest.raises(Wrong):  # by chance a checksum is right once in 65 536 lengths
        pdu_of_rtu(bytes.fromhex("010300000002c40b"), got)


@given(got=st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_a_size_is_known_or_not(got: bytes) -> None:
    assert 0 <= size_of_rtu(got) <= 5000


@given(pdu=PDU, count=st.integers(1, 125))
@settings(max_examples=200, deadline=None)
def test_a_count_is_right_or_wrong(pdu: bytes, count: int) -> None:
    for check, size in ((count_registers, 2 * count), (count_bits, -(-count // 8))):
        try:
            assert len(check(pdu, count)) == count
            assert len(pdu) == 2 + size
        except Wrong:
            pass
    try:
        check_echo(pdu, 1, count)
        assert pdu[1:] == bytes([0, 1, 0, count])
    except Wrong:
        pass


class Saying(SloppyLine):
    """Says what it is told to, whatever it is asked."""

    def __init__(self, one: RegisterMap, words: Sequence[int], said: bytes) -> None:
        super().__init__(one)
        self.all, self.said = words, said

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        bits = table in ("coil", "discrete")
        return [
            self.all[(address + i) % len(self.all)] & (1 if bits else 0xFFFF) for i in range(count)
        ]

    def raw(self, function: int, data: bytes) -> bytes:
        if function == 43 and self.said[:1] == b"\x00":
            raise Refused(self.name, 43, 1)
        return self.said


@given(
    said=st.binary(max_size=20)
    | st.lists(st.integers(0, 255), max_size=20).map(lambda r: bytes([14, 1, 1, 255, 0, *r]))
)
@settings(max_examples=200, deadline=None)
def test_an_identity_is_told_or_garbage(said: bytes) -> None:
    line = Saying(shipped_maps()["storage-own"], [0], said)
    with contextlib.suppress(Garbage):
        assert all(isinstance(text, str) for text in identity_of(line).values())


WORDS = st.lists(
    st.integers(0, 65535) | st.sampled_from((0, 0x7F80, 0xFF80, 0x7FC0, 0x8000, 0xFFFF, 0x7FFF)),
    min_size=1, max_size=7,
)  # fmt: skip


@pytest.mark.parametrize("one", shipped_maps().values(), ids=lambda m: m.name)
@given(words=WORDS)
@example(words=[0x7F80, 0])
@example(words=[0xFF80, 0])
@example(words=[0, 0x807F])
@settings(max_examples=8, deadline=None)
def test_a_look_bears_every_value(one: RegisterMap, words: list[int]) -> None:
    made = BenchDevice(
        "d", one.kind, one, Saying(one, words, b"\0"), Envelope(-1, 1), NoJournal(), WallClock(),
        rated_kw=500.0,
    )  # fmt: skip
    found = survey(made, {"rated_kw": 500.0, "capacity_kwh": 1000.0})
    assert len(found.samples) == sum("r" in p.access for p in one.points)
    made.read_twin(made.meanings.readings)
