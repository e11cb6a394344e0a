"""Dead, slow and hostile devices: they cost the others nothing, and they corrupt nothing."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from hil.headend import DeviceEntry, Habits, HeadEnd
from hil.kernels import jobs as jb
from hil.registers.files import shipped_maps
from tests.headend.fakes import FakeServer, Session, frame
from tests.headend.worlds import device_of, inventory
from twin.record.exchange import Outcome, Quality, SetPoint

METER = shipped_maps()["meter-own"]
OK, HEALTHY = Quality.GOOD, 20


def tid_of(request: bytes) -> int:
    return int.from_bytes(request[:2])


# Answers of a hostile server to a read of two registers (WIRE.md section 3, input 16).
HOSTILE = {
    "wrong transaction": lambda q: frame(tid_of(q) + 1, q[6], bytes([4, 4, 0, 0, 0, 1])),
    "transaction long ago": lambda q: frame(tid_of(q) - 16, q[6], bytes([4, 4, 0, 0, 0, 1])),
    "wrong unit": lambda q: frame(tid_of(q), q[6] + 1, bytes([4, 4, 0, 0, 0, 1])),
    "wrong function": lambda q: frame(tid_of(q), q[6], bytes([3, 4, 0, 0, 0, 1])),
    "wrong protocol": lambda q: frame(tid_of(q), q[6], bytes([4, 4, 0, 0, 0, 1]), 7),
    "byte count 250, short": lambda q: frame(tid_of(q), q[6], bytes([4, 250, 0, 0, 0, 1])),
    "byte count 250, long": lambda q: frame(tid_of(q), q[6], bytes([4, 250]) + bytes(250)),
    "byte count 2": lambda q: frame(tid_of(q), q[6], bytes([4, 2, 0, 1])),
    "more than the byte count": lambda q: frame(tid_of(q), q[6], bytes([4, 4, 0, 0, 0, 1, 9])),
    "length 0": lambda q: struct.pack(">HHH", tid_of(q), 0, 0) + q[6:],
    "length 2": lambda q: struct.pack(">HHHBB", tid_of(q), 0, 2, q[6], 4),
    "length 65535": lambda q: struct.pack(">HHHBB", tid_of(q), 0, 65535, q[6], 4) + bytes(300),
    "length 255": lambda q: struct.pack(">HHHBB", tid_of(q), 0, 255, q[6], 4) + bytes(253),
    "long exception": lambda q: frame(tid_of(q), q[6], bytes([0x84, 2, 0])),
    "exception of another function": lambda q: frame(tid_of(q), q[6], bytes([0x83, 2])),
    "garbage": lambda q: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 40,
    "text": lambda q: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "half an answer": lambda q: frame(tid_of(q), q[6], bytes([4, 4, 0, 0, 0, 1]))[:-2],
    "a header": lambda q: q[:6],
    "twice": lambda q: 2 * frame(tid_of(q), q[6], bytes([4, 4, 0, 0, 0, 1])),
}  # fmt: skip


@contextmanager
def city(bad: FakeServer | None, **habits: object) -> Iterator[tuple[HeadEnd, FakeServer]]:
    """Twenty healthy meters, each with an address of its own, and row 20, which is `bad`."""
    with ExitStack() as stack:
        healthy = FakeServer({1: device_of(METER, {"demand_kw": 7.5})}, "0.0.0.0")
        stack.enter_context(healthy)
        places = [(f"127.0.1.{1 + i}", healthy.port) for i in range(HEALTHY)]
        if bad is not None:
            stack.enter_context(bad)
            places.append((bad.address, bad.port))
        entries = [DeviceEntry("meter", i, *p, 1, METER.name) for i, p in enumerate(places)]
        entries.reverse()  # the bad one is asked first
        kinds = {"meter": inventory("meter", HEALTHY + 1)}
        manner = Habits(**{"timeout_s": 0.3, **habits})  # type: ignore[arg-type]
        yield stack.enter_context(HeadEnd(entries, kinds, habits=manner)), healthy


def healthy_heard(headend: HeadEnd, now_ms: int, deadline_s: float = 3.0) -> float:
    """Poll; return how long the slowest healthy meter took to answer [ms]."""
    reading = headend.poll(["meter"], now_ms, deadline_s)["meter"]
    assert reading.value[0, :HEALTHY].tolist() == [7.5] * HEALTHY
    assert reading.time_ms[:HEALTHY].tolist() == [now_ms] * HEALTHY
    assert (reading.quality[:HEALTHY] == OK).all()
    return float(headend.figures()["last_round"]["latency_ms"]["max"])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_closes_the_line_and_reaches_no_value(name: str) -> None:
    bad = FakeServer({}, reply=lambda _, request: HOSTILE[name](request))
    with city(bad) as (headend, _):
        for now_ms in (0, 1000):
            healthy_heard(headend, now_ms)
            assert headend.report()["last"][0] == (jb.BROKEN if name != "twice" else jb.OK)
        held = headend.reading("meter")
        assert (np.isnan(held.value[0, HEALTHY])) == (name != "twice")
        # The device comes to its senses: it is heard again on a new connection.
        bad.devices[1] = device_of(METER, {"demand_kw": 3.0})
        bad.reply = bad.honest
        until = time.monotonic() + 5.0
        while headend.reading("meter").value[0, HEALTHY] != 3.0 and time.monotonic() < until:
            headend.poll(["meter"], 2000, 1.0)
        assert headend.reading("meter").value[0, HEALTHY] == 3.0


@pytest.mark.parametrize("code", [0, 2, 4, 5, 11, 255])
def test_exceptions_are_answers_whatever_their_code(code: int) -> None:
    bad = FakeServer({}, reply=lambda _, q: frame(tid_of(q), q[6], bytes([0x84, code])))
    with city(bad) as (headend, _):
        healthy_heard(headend, 0)
        assert headend.report()["last"][0] == jb.EXCEPTION
        assert headend.report()["code"][0] == code
        assert bad.accepted == 1


def test_a_busy_device_is_asked_again() -> None:
    device = device_of(METER, {"demand_kw": 2.0})

    def reply(session: Session, q: bytes) -> bytes:
        pdu = bytes([0x84, 6]) if bad.requests == 1 else device.answer(q[7:])
        return frame(tid_of(q), q[6], pdu)

    bad = FakeServer({}, reply=reply)
    with city(bad) as (headend, _):
        reading = headend.poll(["meter"], 0, 2.0)["meter"]
        assert reading.value[0, HEALTHY] == 2.0
        assert bad.requests == 2


def test_a_silent_device_delays_nobody_and_is_left_alone_for_a_while() -> None:
    bad = FakeServer({})
    with city(bad, places=2, backoff_s=(60.0, 60.0)) as (headend, _):
        headend.connect(2.0)
        assert healthy_heard(headend, 0) < 100.0
        assert bad.requests == 2  # and one retry
        took = []
        for now_ms in (1000, 2000, 3000):
            begun = time.monotonic()
            healthy_heard(headend, now_ms)
            took.append(time.monotonic() - begun)
        assert bad.requests == 3  # once more, briefly; then it rests
        assert max(took[1:]) < 0.3
        assert headend.figures()["last_round"]["rested"] == 1
        assert headend.figures()["last_round"]["missed_after_heard"] == 0


def test_a_slow_device_is_heard_and_delays_nobody() -> None:
    bad = FakeServer({1: device_of(METER, {"demand_kw": 2.0})}, delay_s=lambda _: 0.2)
    with city(bad, places=2) as (headend, _):
        for now_ms in (0, 1000, 2000):
            healthy_heard(headend, now_ms)
            assert headend.reading("meter").time_ms[HEALTHY] == now_ms
        slow = headend.figures()["last_round"]
        assert slow["latency_ms"]["max"] >= 200.0
        assert slow["latency_ms"]["p50"] < 100.0


def test_an_answer_after_the_time_out_is_known_and_forgotten() -> None:
    bad = FakeServer({1: device_of(METER, {"demand_kw": 2.0})}, delay_s=lambda _: 0.25)
    with city(bad, timeout_s=0.1, retries=0, close_after=9) as (headend, _):
        healthy_heard(headend, 0)
        assert headend.report()["last"][0] == jb.TIMEOUT
        time.sleep(0.3)
        bad.delay_s = lambda _: 0.0
        healthy_heard(headend, 1000)
        assert headend.reading("meter").value[0, HEALTHY] == 2.0
        assert headend.figures()["late_answers"] == 1
        assert bad.accepted == 1


def test_a_refused_connection_is_tried_again_later() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    bad = FakeServer({1: device_of(METER, {"demand_kw": 2.0})}, port=port)
    with city(None) as (headend, _):
        entry = DeviceEntry("meter", HEALTHY, "127.0.0.1", port, 1, METER.name)
        both = [entry, *headend.fleet.entries]
        with HeadEnd(both, headend.fleet.kinds, habits=Habits(backoff_s=(0.1, 0.2))) as second:
            assert second.connect(1.0) == HEALTHY
            healthy_heard(second, 0)
            assert second.report()["last"][0] == jb.NOT_CONNECTED
            dials = second.figures()["dials"]
            healthy_heard(second, 0)
            assert second.figures()["dials"] <= dials + 1
            with bad:
                until = time.monotonic() + 5.0
                while second.reading("meter").quality[HEALTHY] != OK:
                    assert time.monotonic() < until
                    healthy_heard(second, 1000)
                    time.sleep(0.05)


@pytest.mark.parametrize("retries", [0, 1])
def test_a_server_that_starts_anew_is_heard_in_the_same_round(retries: int) -> None:
    bad = FakeServer({1: device_of(METER, {"demand_kw": 2.0})})
    with city(bad, retries=retries) as (headend, _):
        healthy_heard(headend, 0)
        bad.drop()
        time.sleep(0.1)
        healthy_heard(headend, 1000)
        assert headend.reading("meter").time_ms[HEALTHY] == 1000
        assert bad.accepted == 2


def test_a_server_that_hangs_up_at_once_is_dialled_a_few_times_only() -> None:
    bad = FakeServer({}, hang_up=True)
    with city(bad) as (headend, _):
        healthy_heard(headend, 0)
        assert headend.report()["last"][0] == jb.CLOSED
        assert bad.accepted <= 3


def test_the_round_ends_at_its_deadline_and_a_silent_device_holds_no_place() -> None:
    bad = FakeServer({})
    with city(bad, timeout_s=5.0, places=1) as (headend, _):
        begun = time.monotonic()
        healthy_heard(headend, 0, deadline_s=0.3)
        assert time.monotonic() - begun < 2.0
        assert headend.report()["last"][0] == jb.TIMEOUT


def test_set_points_to_a_dead_device_are_lost_and_the_others_arrive() -> None:
    one = shipped_maps()["storage-own"]
    with FakeServer({1: device_of(one, {})}) as good, FakeServer({}) as dead:
        kinds = {"storage": inventory("storage", 3)}
        entries = [
            DeviceEntry("storage", i, "127.0.0.1", s.port, 1, one.name)
            for i, s in ((0, good), (2, dead))
        ]
        with HeadEnd(entries, kinds, timeout_s=0.1) as headend:
            point = SetPoint("storage", "power_kw", np.arange(3), np.full(3, 5.0))
            outcome = headend.command([point], 2.0)
            assert outcome.outcome[0].tolist() == [Outcome.ACCEPTED, Outcome.LOST, Outcome.LOST]
            assert len(good.devices[1].writes) == 1
            assert headend.figures()["commands"] == {"accepted": 1, "refused": 0, "lost": 2}


def test_an_echo_that_differs_is_no_acceptance() -> None:
    one = shipped_maps()["storage-own"]
    wrong = FakeServer({}, reply=lambda _, q: frame(tid_of(q), q[6], q[7:9] + b"\0\x09\0\2"))
    with wrong as server:
        kinds = {"storage": inventory("storage", 1)}
        entries = [DeviceEntry("storage", 0, "127.0.0.1", server.port, 1, one.name)]
        with HeadEnd(entries, kinds, timeout_s=0.2) as headend:
            point = SetPoint("storage", "power_kw", np.arange(1), np.full(1, 5.0))
            assert headend.command([point], 2.0).outcome[0].tolist() == [Outcome.LOST]
            assert headend.figures()["wrong_answers"] >= 1


def test_a_line_on_which_nobody_answers_is_closed_and_rests() -> None:
    bad = FakeServer({})
    with city(bad, timeout_s=0.05, close_after=2, backoff_s=(60.0, 60.0)) as (headend, _):
        healthy_heard(headend, 0)
        assert headend.report()["last"][0] == jb.TIMEOUT
        assert headend.figures()["lines_up"] == HEALTHY
        healthy_heard(headend, 1000)
        assert (bad.accepted, bad.requests) == (1, 2)


def test_a_slow_device_that_was_silent_once_is_heard_again() -> None:
    bad = FakeServer({})
    with city(bad, retries=0, grace_s=0.03, backoff_s=(0.001, 0.001)) as (headend, _):
        healthy_heard(headend, 0)
        bad.devices[1] = device_of(METER, {"demand_kw": 2.0})
        bad.delay_s = lambda _: 0.15
        for now_ms in (1000, 2000):
            healthy_heard(headend, now_ms)
            time.sleep(0.2)
        assert headend.reading("meter").time_ms[HEALTHY] == 2000
