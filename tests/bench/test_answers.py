"""What is wrong with bytes is named, and what is no request is not sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hil.bench.answers import Wrong, pdu_of_rtu, pdu_of_tcp
from hil.bench.errors import BenchError, Garbage, LineDown, LineError, NoAnswer, Refused
from hil.bench.frames import FrameLog
from hil.bench.line import Line, LineSpec


@pytest.mark.parametrize(
    "call",
    [
        lambda line: line.write("input", 0, [1]),
        lambda line: line.write("holding", 0, []),
        lambda line: line.raw(0, b""),
        lambda line: line.raw(128, b""),
    ],
)
def test_what_no_request_can_be_is_not_sent(call: Callable[[Line], object]) -> None:
    with pytest.raises(ValueError, match=r"words to table|function"):
        call(Line(LineSpec(port=1)))


def test_the_log_of_frames_is_bounded() -> None:
    log = FrameLog(2)
    for i in range(5):
        log.add("here", True, bytes([i]))
    assert (len(log), log.dropped) == (2, 3)
    assert [f.row()["hex"] for f in log.take()] == ["03", "04"]
    assert len(log) == 0


SENT = bytes.fromhex("000500000006010300000001")


@pytest.mark.parametrize(
    ("got", "why", "late"),
    [
        ("0004000000050103020007", "earlier request only", True),
        ("0006000000050103020007", "transaction 6, not 5", False),
        ("00050000000501030200070000", "bytes after the answer", False),
        ("000500000005010302", "5 in the header, 3 came", False),
        ("0005000000030183", "3 in the header, 2 came", False),
        ("00050000000301830000", "bytes after", False),
        ("000500000003018300", "exception 0", False),
        ("000500000004018302ff", "an exception of 3 bytes", False),
    ],
)
def test_what_is_wrong_with_bytes_is_named(got: str, why: str, late: bool) -> None:
    data = bytes.fromhex(got)
    with pytest.raises(Wrong, match=why) as caught:
        pdu_of_tcp(SENT, data)
    assert caught.value.late is late


def test_a_late_answer_is_passed_over() -> None:
    late = bytes.fromhex("0004000000050103020001")
    mine = bytes.fromhex("0005000000050103020007")
    assert pdu_of_tcp(SENT, late + mine) == bytes.fromhex("03020007")


def test_noise_before_a_serial_answer_is_passed_over() -> None:
    answer = bytes.fromhex("0103020007f986")
    assert pdu_of_rtu(bytes.fromhex("010300000001840a"), b"\0\xff" + answer) == answer[1:-2]
    with pytest.raises(Wrong, match="unit 1 answers for unit 2"):
        pdu_of_rtu(bytes.fromhex("020300000001"), answer)


def test_errors_are_one_tree() -> None:
    for kind in (LineDown, NoAnswer, Garbage, Refused):
        assert issubclass(kind, LineError)
        assert issubclass(kind, BenchError)
