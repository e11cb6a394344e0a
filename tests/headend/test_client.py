"""The checks of an answer against a reference that says the rules in the plainest way."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hil.kernels import client
from tests.headend.fakes import Device, frame, zeros

EVERYTHING = range(300)


def verdict(answer: bytes, unit: int, asked: bytes) -> int | None:
    """Return what an answer is; None: not whole, or no frame at all."""
    if len(answer) < 6:
        return None
    length = int.from_bytes(answer[4:6])
    if answer[2:4] != b"\0\0" or not 3 <= length <= 254 or len(answer) < 6 + length:
        return None
    pdu = answer[7 : 6 + length]
    if answer[6] != unit:
        return client.WRONG
    if pdu[0] == asked[0] | 0x80 and len(pdu) == 2:
        return client.EXCEPTION
    count = int.from_bytes(asked[3:5])
    if asked[0] in (1, 2):
        right = pdu[:2] == bytes([asked[0], -(-count // 8)]) and len(pdu) == 2 + pdu[1]
    elif asked[0] in (3, 4):
        right = pdu[:2] == bytes([asked[0], 2 * count]) and len(pdu) == 2 + pdu[1]
    else:
        right = pdu == asked[:5]
    return client.GOOD if right else client.WRONG


def judged(answer: bytes, unit: int, asked: bytes) -> int | None:
    room = np.full(client.LONGEST, 0xEE, np.uint8)
    room[: len(answer)] = np.frombuffer(answer, np.uint8)
    length = client.answer_length(room, len(answer))
    if length <= 0 or length > len(answer):
        return None
    return int(client.check(room, length, unit, np.frombuffer(asked, np.uint8).copy()))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    code = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 15, 16]))
    address = draw(st.integers(0, 100))
    if code <= 4:
        count = draw(st.integers(1, 125))
        return bytes([code]) + address.to_bytes(2) + count.to_bytes(2)
    if code <= 6:
        value = draw(st.sampled_from([0, 0xFF00])) if code == 5 else draw(st.integers(0, 0xFFFF))
        return bytes([code]) + address.to_bytes(2) + value.to_bytes(2)
    count = draw(st.integers(1, 20))
    size = 2 * count if code == 16 else -(-count // 8)
    head = bytes([code]) + address.to_bytes(2) + count.to_bytes(2) + bytes([size])
    return head + draw(st.binary(min_size=size, max_size=size))


def honest(asked: bytes) -> bytes:
    spans = dict.fromkeys(("coil", "discrete", "holding", "input"), EVERYTHING)
    return frame(7, 1, Device(zeros(spans)).answer(asked))


@given(requests())
def test_an_honest_answer_is_good(asked: bytes) -> None:
    assert judged(honest(asked), 1, asked) == verdict(honest(asked), 1, asked) == client.GOOD


@given(requests(), st.data())
def test_a_bent_answer_is_judged_as_the_reference_judges_it(
    asked: bytes, data: st.DataObject
) -> None:
    answer = bytearray(honest(asked))
    for _ in range(data.draw(st.integers(1, 3))):
        answer[data.draw(st.integers(0, min(len(answer), 14) - 1))] = data.draw(st.integers(0, 255))
    bent = bytes(answer[: data.draw(st.integers(0, len(answer)))]) + data.draw(
        st.binary(max_size=4)
    )
    assert judged(bent[:260], 1, asked) == verdict(bent[:260], 1, asked)


@given(requests(), st.binary(max_size=260))
def test_any_bytes_are_judged_as_the_reference_judges_them(asked: bytes, answer: bytes) -> None:
    assert judged(answer, 1, asked) == verdict(answer, 1, asked)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=200), st.integers(0, 9))
def test_bits_become_a_byte_each(bits: list[int], at: int) -> None:
    device = Device(zeros({"coil": range(len(bits))}))
    device.image["coil"] = dict(enumerate(bits))
    asked = b"\x01\0\0" + len(bits).to_bytes(2)
    answer = frame(1, 1, device.answer(asked))
    image = np.full(at + len(bits) + 3, 9, np.uint8)
    client.take(
        np.frombuffer(answer, np.uint8).copy(), np.frombuffer(asked, np.uint8).copy(), image, at
    )
    assert image.tolist() == [9] * at + bits + [9] * 3
