"""No caller passes the limits of the bench: not by value, words, functions or broken frames."""

from __future__ import annotations

import math
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.bench.device import BenchDevice
from hil.bench.envelope import STRIDE_S, Envelope
from hil.bench.errors import Forbidden, LineDown, LineError
from hil.bench.journal import Journal, read_journal
from hil.registers.codec import decode, encode
from tests.bench.rack import RATED_KW, storage_map
from tests.bench.sloppy import SloppyLine, TestClock

LOW_KW, HIGH_KW, RAMP_KW_S = -80.05, 120.03, 10.0
MAPS = ("storage-own", "storage-sunspec-1xx", "storage-sunspec-7xx")
POWER = {
    "storage-own": ("set_power_kw",), "storage-sunspec-7xx": ("m704.WSet",),
    "storage-sunspec-1xx": ("m124.OutWRte", "m124.InWRte"),
}  # fmt: skip


@contextmanager
def rig(
    name: str = "storage-own", ramp_kw_s: float = math.inf, **more: Any
) -> Iterator[tuple[BenchDevice, SloppyLine, TestClock]]:
    one, clock = storage_map(name), TestClock()
    line = SloppyLine(one)
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "j.jsonl") as journal:
        yield (
            BenchDevice(
                "bess", "storage", one, line, Envelope(LOW_KW, HIGH_KW, ramp_kw_s), journal, clock,
                rated_kw=RATED_KW, **more,
            ),
            line,
            clock,
        )  # fmt: skip


def ordered_kw(device: BenchDevice, line: SloppyLine, point: str) -> float:
    """Return what a register of the device orders now."""
    at = device.map.point(point)
    words = [line.words.get((at.table, at.address + i), 0) for i in range(at.width)]
    value = decode(at, device.map.order, words)
    assert isinstance(value, float), f"{point} holds {words}"
    return device.meanings.power_kw(point, value)


@pytest.mark.parametrize("name", MAPS)
@given(wanted=st.lists(st.floats(allow_nan=False), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
def test_no_value_passes(name: str, wanted: list[float]) -> None:
    with rig(name) as (device, line, _):
        for value in wanted:
            for written in device.command("power_kw", value):
                assert written.accepted
            for point in POWER[name]:
                assert LOW_KW <= ordered_kw(device, line, point) <= HIGH_KW
            expected = min(max(value, LOW_KW), HIGH_KW)
            assert ordered_kw(device, line, POWER[name][0]) == pytest.approx(expected, abs=0.11)


WORD = st.integers(0, 65535)
NEAR = st.integers(0, 6) | st.integers(40230, 40330) | WORD
WRITES = st.one_of(
    st.tuples(st.just(5), st.builds(lambda a, v: struct.pack(">HH", a, v), NEAR, WORD)),
    st.tuples(st.just(6), st.builds(lambda a, v: struct.pack(">HH", a, v), NEAR, WORD)),
    st.tuples(st.just(22), st.builds(lambda *w: struct.pack(">HHH", *w), NEAR, WORD, WORD)),
    st.builds(
        lambda f, a, ws, n: (
            f,
            (b"\0\0\0\1" if f == 23 else b"")
            + struct.pack(">HHB", a, len(ws) + n, (2 * len(ws)) & 0xFF)
            + struct.pack(f">{len(ws)}H", *ws),
        ),
        st.sampled_from((16, 23)), NEAR, st.lists(WORD, max_size=6), st.sampled_from((0, 0, 0, 1)),
    ),
    st.tuples(st.sampled_from((5, 6, 15, 16, 22, 23)), st.binary(max_size=16)),
)  # fmt: skip


@pytest.mark.parametrize("name", MAPS)
@given(requests=st.lists(WRITES, min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_no_function_and_no_broken_frame_passes(
    name: str, requests: list[tuple[int, bytes]]
) -> None:
    with rig(name) as (device, line, _):
        for function, data in requests:
            try:
                device.line.raw(function, data)
            except Forbidden:
                continue
            for point in POWER[name]:
                assert LOW_KW <= ordered_kw(device, line, point) <= HIGH_KW


@pytest.mark.parametrize(
    ("function", "data"),
    [
        (6, struct.pack(">HH", 0, 1)),  # high word of a 32-bit order
        (6, struct.pack(">HH", 1, 1201)),
        (16, struct.pack(">HHBHH", 0, 2, 4, 1, 0)),
        (16, struct.pack(">HHBHH", 1, 2, 4, 1201, 0)),
        (16, struct.pack(">HHBHH", 0, 2, 4, 0xFFFF, 0x8000)),
        (16, struct.pack(">HHBHH", 0, 2, 4, 0x8000, 0)),  # not implemented
        (23, struct.pack(">HHHHBHH", 0, 1, 0, 2, 4, 0, 1201)),
        (22, struct.pack(">HHH", 1, 0, 0)),  # what it makes of the old value is not known
        (16, struct.pack(">HHBH", 0, 2, 4, 0)),
        (16, b""),
    ],
)
def test_a_request_that_leaves_the_limits_is_not_sent(function: int, data: bytes) -> None:
    with rig() as (device, line, _):
        with pytest.raises(Forbidden):
            device.line.raw(function, data)
        assert line.sent == []


def test_a_closed_bench_writes_to_no_register_that_the_map_does_not_know() -> None:
    with rig(closed=True) as (device, line, _):
        for call in (
            lambda: device.line.write("holding", 9, [1]),
            lambda: device.line.write("holding", 4, [1, 1]),
            lambda: device.line.raw(5, b"\0\7\xff\0"),
            lambda: device.line.raw(16, b"\0\2"),
        ):
            with pytest.raises(Forbidden, match=r"is not in map storage-own|malformed"):
                call()
        assert line.sent == []
        device.write("set_heartbeat", 3.0)
        assert device.read(["rated_kw"])["rated_kw"].value == 0.0
    with rig() as (device, line, _):
        device.line.write("holding", 9, [1])
        assert line.words["holding", 9] == 1


def test_a_request_inside_the_limits_is_sent() -> None:
    with rig() as (device, line, _):
        device.line.raw(16, struct.pack(">HHBHH", 0, 2, 4, 0, 1200))
        device.line.raw(6, struct.pack(">HH", 2, 9))
        assert ordered_kw(device, line, "set_power_kw") == 120.0
        assert line.words["holding", 2] == 9


@given(
    steps=st.lists(
        st.tuples(st.floats(-500.0, 500.0), st.floats(0.0, 5.0)), min_size=1, max_size=12
    ),
    flows=st.floats(-300.0, 300.0),
)
@settings(max_examples=30, deadline=None)
def test_no_step_is_steeper_than_the_ramp(steps: list[tuple[float, float]], flows: float) -> None:
    with rig(ramp_kw_s=RAMP_KW_S) as (device, line, clock):
        _flowing(device, line, flows)
        last_kw, last_s = device.line.power_now_kw(), clock.now_s() - STRIDE_S
        for value, wait_s in steps:
            clock.sleep(wait_s)
            (written,) = device.command("power_kw", value)
            now_kw = ordered_kw(device, line, "set_power_kw")
            assert LOW_KW <= now_kw <= HIGH_KW
            allowed_kw = RAMP_KW_S * min(clock.now_s() - last_s, STRIDE_S)
            inside_kw = min(max(last_kw, LOW_KW), HIGH_KW)
            assert abs(now_kw - inside_kw) <= allowed_kw + 1e-9
            if written.cut == "":
                assert written.sent == pytest.approx(value, abs=0.101)
            if now_kw != last_kw:
                last_kw, last_s = now_kw, clock.now_s()


def test_small_steps_add_up_and_do_not_outrun_the_ramp() -> None:
    with rig(ramp_kw_s=RAMP_KW_S) as (device, line, clock):
        device.command("power_kw", 0.0)
        for _ in range(300):
            clock.sleep(0.003)
            device.command("power_kw", 120.0)
        assert 0.7 * 9.0 <= ordered_kw(device, line, "set_power_kw") <= 9.0


def _flowing(device: BenchDevice, line: SloppyLine, power_kw: float) -> None:
    point = device.map.point("power_kw")
    for i, word in enumerate(encode(point, device.map.order, power_kw)):
        line.words[point.table, point.address + i] = word


def test_a_ramp_is_walked_to_its_end() -> None:
    with rig(ramp_kw_s=RAMP_KW_S) as (device, line, clock):
        (last,) = device.drive("power_kw", 100.0, period_s=1.0, within_s=60.0)
        assert (last.sent, last.cut) == (100.0, "")
        assert clock.now_s() == pytest.approx(9.0)
        sent = [decode(device.map.point("set_power_kw"), "ABCD", w) for _, _, w in line.sent]
        assert sent == [10.0 * i for i in range(1, 11)]
        (last,) = device.drive("power_kw", -80.0, period_s=1.0, within_s=3.0)
        assert last.cut == "ramp"


def test_a_switch_does_not_bring_in_what_somebody_else_left() -> None:
    with rig("storage-sunspec-7xx") as (device, line, _):
        point = device.map.point("m704.WSet")
        for i, word in enumerate(encode(point, "ABCD", 400_000.0)):
            line.words["holding", point.address + i] = word
        with pytest.raises(Forbidden, match="WSet would order 400 kW; the bench allows -80"):
            device.write("m704.WSetEna", 1.0)
        assert line.sent == []
        device.command("power_kw", 50.0)
        assert ordered_kw(device, line, "m704.WSet") == 50.0


def test_a_switch_does_not_pass_the_ramp() -> None:
    with rig("storage-sunspec-7xx", ramp_kw_s=RAMP_KW_S) as (device, _, clock):
        for _ in range(3):  # not in force: each departs from what flows
            assert device.write("m704.WSet", 50_000.0).sent == 10_000.0
            clock.sleep(1.0)
        device.write("m704.WSetEna", 1.0)
        clock.sleep(1.0)
        assert device.write("m704.WSet", 50_000.0).sent == 20_000.0


def test_the_safe_state_knows_no_ramp() -> None:
    with rig(ramp_kw_s=RAMP_KW_S, safe_state={"set_power_kw": 0.0}) as (device, _, _):
        device.drive("power_kw", 100.0, 1.0, 60.0)
        (written,) = device.to_safe_state("test")
        assert (written.sent, written.cut, written.accepted) == (0.0, "", True)
        rows = list(read_journal(device.journal.path))
        assert [r["entry"] for r in rows][-3:] == ["safe_state", "write", "answer"]


def test_a_cut_is_on_record_before_the_write() -> None:
    with rig() as (device, _, _):
        written = device.write("set_power_kw", 500.0)
        assert (written.wanted, written.sent, written.cut) == (500.0, 120.0, "power")
        cut, write, answer = read_journal(device.journal.path)
        assert (cut["entry"], cut["wanted"], cut["value"], cut["rule"]) == (
            "limit_cut", 500.0, 120.0, "power",
        )  # fmt: skip
        assert (write["entry"], write["words"], write["point"]) == (
            "write", [0, 1200], "set_power_kw",
        )  # fmt: skip
        assert (answer["entry"], answer["of"], answer["outcome"]) == ("answer", 2, "accepted")


def test_nothing_is_sent_without_permission_and_reading_needs_none() -> None:
    def forbidden() -> None:
        raise Forbidden("dry run")

    with rig(permit=forbidden) as (device, line, _):
        device.read()
        device.line.raw(43, b"\x0e\1\0")
        for call in (
            lambda: device.write("set_heartbeat", 1.0),
            lambda: device.command("power_kw", 1.0),
            lambda: device.to_safe_state("test"),
            lambda: device.line.write("coil", 77, [1]),
            lambda: device.line.raw(6, b"\0\0\0\0"),
            lambda: device.line.raw(8, b"\0\1\0\0"),
            lambda: device.line.raw(43, b"\x0d\0"),
            lambda: device.line.raw(90, b""),
        ):
            with pytest.raises(Forbidden, match="dry run"):
                call()
        assert line.sent == []


def test_a_ramp_needs_to_know_what_flows() -> None:
    with rig(ramp_kw_s=RAMP_KW_S) as (device, line, _):
        point = device.map.point("power_kw")
        line.refuse[point.table, point.address] = 2
        with pytest.raises(Forbidden, match="what power_kw holds cannot be read"):
            device.write("set_power_kw", 10.0)
        assert line.sent == []


def test_after_a_lost_answer_the_ramp_departs_from_what_flows() -> None:
    with rig(ramp_kw_s=RAMP_KW_S) as (device, line, clock):
        device.write("set_power_kw", 10.0)
        line.down = True
        clock.sleep(1.0)
        with pytest.raises(LineDown):
            device.write("set_power_kw", 20.0)
        line.down = False
        _flowing(device, line, 40.0)
        clock.sleep(1.0)
        assert device.write("set_power_kw", 100.0).sent == 50.0
        kinds = [(r["entry"], r.get("outcome")) for r in read_journal(device.journal.path)]
        assert ("answer", "LineDown") in kinds


@pytest.mark.parametrize(("low", "high", "ramp"), [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0)])
def test_limits_that_are_none_are_not_taken(low: float, high: float, ramp: float) -> None:
    with pytest.raises(ValueError, match="kW"):
        Envelope(low, high, ramp)


def test_what_is_no_number_is_never_ordered() -> None:
    with rig() as (device, line, _):
        with pytest.raises((Forbidden, ValueError)):
            device.write("set_power_kw", math.nan)
        assert line.sent == []
    assert not issubclass(Forbidden, LineError)
