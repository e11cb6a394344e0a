"""The compiled parser against the reference, on frames that are right, nearly right and noise."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil.kernels import image as im
from hil.kernels import protocol
from hil.registers.bank import RegisterBank
from tests.registers.picture import Device
from tests.server.reference import Reference
from tests.server.world import MAPS, RATED, rig_bank

BOUNDS = {"power_kw": (-RATED, RATED), "on": (0.0, 1.0), "limit_kw": (0.0, RATED)}


def serve(bank: RegisterBank, device: int, data: bytes, now_ns: int = 1) -> tuple[bytes, bool]:
    """Answer a stream's bytes; return the answers, and whether the stream is broken."""
    frame, out = np.frombuffer(data, np.uint8), np.zeros(1 << 16, np.uint8)
    start, at = 0, 0
    while True:
        n = protocol.frame_length(frame, start, len(frame))
        if n <= 0:
            return out[:at].tobytes(), n == protocol.BROKEN
        at = protocol.answer(
            bank.arrays,
            bank.compiled.layout,
            (0, device, 1),
            frame,
            (start, start + n),
            now_ns,
            out,
            at,
        )
        start += n


def pair(number: int, device: int) -> Reference:
    """Return the reference of device `device`, which has map `number`."""
    one = MAPS[number]
    objects = {0: b"suitwin", 1: b"rig", 2: b"1.0", 4: b"Rig", 5: b"R1"}
    objects[6] = f"rig-{device}".encode()
    power = 100.0 * device - 50.0 + 1.0
    return Reference(
        one,
        Device(
            {"power_kw": power, "soc": 0.01 * device + 0.2, "state": device % 2},
            {"power_kw": 0.0, "on": device % 2, "limit_kw": 400.0},
            {"rated_kw": RATED},
            serial=f"rig-{device}",
        ),
        objects,
        BOUNDS,
    )


# Where something lies: function, first address, count; requests begin and end near such places.
PLACES = [
    (1, 0, 3), (1, 1000, 2000), (2, 0, 10), (2, 0, 2), (3, 0, 4), (3, 7, 4), (3, 10, 3), (3, 0, 13),
    (3, 20, 125), (3, 26, 121), (4, 0, 14), (4, 1000, 2), (4, 8, 2), (5, 0, 1), (5, 6, 1),
    (6, 2, 1), (6, 3, 1), (6, 4, 1), (6, 11, 1), (6, 12, 1), (6, 1000, 1), (6, 7, 1), (15, 0, 3),
    (15, 1000, 1968), (15, 6, 4), (16, 0, 2), (16, 5, 2), (16, 7, 4), (16, 7, 2), (16, 9, 2),
    (16, 8, 3), (16, 2, 2), (16, 26, 119), (16, 0, 7), (22, 2, 1), (22, 3, 1), (22, 8, 1),
    (23, 0, 2), (23, 7, 1), (23, 8, 3), (23, 26, 121), (23, 2, 1),
]  # fmt: skip
addresses = st.one_of(st.integers(0, 30), st.integers(990, 1010), st.integers(0, 65535))
counts = st.one_of(st.integers(0, 10), st.sampled_from([121, 123, 124, 125, 126, 1968, 2000, 2001]))
words = st.one_of(
    st.integers(0, 12), st.integers(0, 65535),
    st.sampled_from([0xFF00, 0x7FC0, 0x7F80, 0xFFFF, 10_000, 10_001, 0xEC78, 5000, 5001]),
)  # fmt: skip


@st.composite
def pdus(draw: st.DrawFn) -> bytes:
    """Return a request that is nearly right, with values that may be written or not."""
    if draw(st.integers(0, 9)) == 0:
        code, wanted = draw(st.integers(0, 5)), draw(st.sampled_from([0, 1, 2, 3, 4, 6, 7, 128]))
        return bytes([43, draw(st.sampled_from([14, 14, 14, 13])), code, wanted])
    function, first, count = draw(st.sampled_from(PLACES))
    if draw(st.integers(0, 5)) == 0:
        first, count = draw(addresses), draw(counts)
    elif draw(st.booleans()):
        first += draw(st.integers(-1, 1))
        count += draw(st.integers(-1, 1))
    first, count = first % 65536, max(count, 0)
    if function == 15:
        size = min((count + 7) // 8, 246)
        data = draw(st.one_of(st.binary(min_size=size, max_size=size), st.just(b"\x05" * size)))
        return struct.pack(">BHHB", 15, first, count, size) + data
    if function in (16, 23):
        shown = min(count, 123)
        values = draw(
            st.one_of(
                st.lists(words, min_size=min(shown, 8), max_size=min(shown, 8)),
                st.just([0] * shown),
            )
        )
        values += [7] * (shown - len(values))
        data = struct.pack(f">{shown}H", *values)
        head = struct.pack(">HHB", first, count, 2 * shown)
        if function == 16:
            return b"\x10" + head + data
        where = draw(st.sampled_from(PLACES))
        return struct.pack(">BHH", 23, where[1], where[2]) + head + data[:242]
    if function == 22:
        return struct.pack(">BHHH", 22, first, draw(words), draw(words))
    return struct.pack(">BHH", function, first, draw(words) if function in (5, 6) else count)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Return one request, now and then cut, lengthened, of another unit or with a wrong head."""
    pdu = draw(st.one_of(pdus(), pdus(), pdus(), st.binary(min_size=1, max_size=12)))
    twist = draw(st.sampled_from(["", "", "", "cut", "more", "flip"]))
    if twist == "cut":
        pdu = pdu[: draw(st.integers(1, len(pdu)))]
    if twist == "more":
        pdu = (pdu + draw(st.binary(min_size=1, max_size=3)))[:253]
    if twist == "flip":
        place = draw(st.integers(0, len(pdu) - 1))
        pdu = pdu[:place] + bytes([draw(st.integers(0, 255))]) + pdu[place + 1 :]
    unit = draw(st.sampled_from([1, 1, 1, 1, 255, 0, 2, 247]))
    head = struct.pack(">HHHB", draw(st.integers(0, 65535)), 0, len(pdu) + 1, unit)
    if draw(st.integers(0, 30)) == 0:
        head = draw(st.binary(min_size=7, max_size=7))
    return head + pdu


# Kept from example to example: only what can change is put back.
BANKS = [rig_bank(1, queue_rows=1 << 16)]
PAIRS = [pair(number, number) for number in range(len(MAPS))]


@pytest.mark.parametrize("number", range(len(MAPS)))
@given(stream=st.lists(frames(), max_size=12), refusal=st.sampled_from([0, 0, 0, 4]))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_parser_answers_as_the_reference_does(
    number: int, stream: list[bytes], refusal: int
) -> None:
    bank, known = BANKS[0], PAIRS[number].reset(refusal)
    a = bank.arrays
    for array in (a.overlay, a.written, a.latch, a.latched, a.queue_count):
        array[:] = 0
    a.pending_ns[:] = -1
    a.refusal[:] = refusal
    served = a.words.copy()
    data = b"".join(stream)
    assert serve(bank, number, data) == known.serve(data)
    names = [p.name for p in MAPS[number].points]
    first = int(bank.compiled.layout.point_first[number])
    rows = a.queue[0, : a.queue_count[0, im.PUT]]
    queued = [(names[int(r[im.Q_POINT]) - first], int(r[im.Q_RAW]) % 2**64) for r in rows]
    assert queued == known.written
    assert np.array_equal(a.words, served)


@given(st.binary(max_size=400))
def test_noise_ends_as_the_reference_says(data: bytes) -> None:
    assert serve(BANKS[0], 0, data) == PAIRS[0].reset().serve(data)


@given(st.lists(frames(), min_size=1, max_size=4), st.data())
def test_a_frame_is_whole_at_its_last_byte_and_not_before(
    stream: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(stream)
    cut = data.draw(st.integers(0, len(whole)))
    frame = np.frombuffer(whole[:cut] or b"\0", np.uint8)
    n = protocol.frame_length(frame, 0, cut)
    full = protocol.frame_length(np.frombuffer(whole, np.uint8), 0, len(whole))
    assert n in (full, protocol.NEED_MORE) or cut < 6
    if n > 0:
        assert n == 6 + int.from_bytes(whole[4:6], "big") <= cut


@pytest.mark.parametrize("numbers", [(0, 1, 2), (0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 0x80, 0x90)])
def test_an_identity_that_does_not_fit_comes_in_parts(numbers: tuple[int, ...]) -> None:
    objects = {n: bytes([65 + n % 26]) * (60 + n % 7) for n in numbers}
    packed = b"".join(bytes([n, len(text)]) + text for n, text in objects.items())
    bank = rig_bank(1)
    first = np.zeros(len(bank.arrays.base) + 1, np.int64)
    first[1:] = len(packed)
    arrays = bank.arrays._replace(
        identity=np.frombuffer(packed, np.uint8).copy(), identity_first=first
    )
    out = np.zeros(300, np.uint8)
    known = pair(0, 0)
    known.objects = objects
    for code in (1, 2, 3):
        wanted, heard = 0, {}
        for _ in range(len(objects)):
            data = struct.pack(">HHHB", 9, 0, 5, 1) + bytes([43, 14, code, wanted])
            frame = np.frombuffer(data, np.uint8)
            end = protocol.answer(
                arrays, bank.compiled.layout, (0, 0, 1), frame, (0, len(data)), 1, out, 0
            )
            answer = out[:end].tobytes()
            assert (answer, False) == known.serve(data)
            assert end <= 260
            at = 14
            for _ in range(answer[13]):
                heard[answer[at]] = answer[at + 2 : at + 2 + answer[at + 1]]
                at += 2 + answer[at + 1]
            if answer[11] == 0:
                break
            wanted = answer[12]
        most = {1: 2, 2: 0x7F, 3: 0xFF}[code]
        assert heard == {n: t for n, t in objects.items() if n <= most}
