"""Many units behind one connection; polls and commands from two threads."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from hil.headend import DeviceEntry, Habits, HeadEnd
from hil.registers.files import shipped_maps
from tests.headend.fakes import FakeServer, Session
from tests.headend.worlds import device_of, inventory
from twin.record.exchange import Outcome, SetPoint

METER, STORAGE = shipped_maps()["meter-own"], shipped_maps()["storage-own"]


def meters(server: FakeServer, n: int) -> list[DeviceEntry]:
    return [DeviceEntry("meter", i, "127.0.0.1", server.port, 1 + i, METER.name) for i in range(n)]


def metered(n: int) -> FakeServer:
    return FakeServer({1 + i: device_of(METER, {"demand_kw": float(i)}) for i in range(n)})


def test_twenty_units_share_one_connection_and_are_asked_one_after_another() -> None:
    with (
        metered(20) as server,
        HeadEnd(meters(server, 20), {"meter": inventory("meter", 20)}) as headend,
    ):
        for now_ms in (0, 1000, 2000):
            reading = headend.poll(["meter"], now_ms, 2.0)["meter"]
            assert reading.value[0].tolist() == list(range(20))
        assert (server.accepted, server.requests, server.deepest) == (1, 60, 1)
        assert headend.figures()["lines"] == 1


@pytest.mark.paced
def test_dead_units_of_a_gateway_cost_the_others_little_and_then_nothing() -> None:
    with metered(20) as server:
        asked: list[int] = []
        dead = (0, 3, 7, 8, 9, 10, 15)
        for row in dead:
            del server.devices[1 + row]
        server.reply = lambda session, q: asked.append(q[6]) or server.honest(session, q)
        habits = Habits(timeout_s=0.4, patience_s=0.05, backoff_s=(60.0, 60.0))
        kinds = {"meter": inventory("meter", 20)}
        with HeadEnd(meters(server, 20), kinds, habits=habits) as headend:
            alive = np.setdiff1d(np.arange(20), dead)
            for now_ms in (0, 1000, 2000):
                reading = headend.poll(["meter"], now_ms, 2.0)["meter"]
                assert reading.time_ms[alive].tolist() == [now_ms] * len(alive)
            assert headend.figures()["last_round"]["rested"] == len(dead)
            # A retry each, then one look each, after all others.
            assert headend.figures()["timeouts"] == 3 * len(dead)
            assert asked[20 + len(dead) : 40 + len(dead)] == [*(1 + alive), *(1 + r for r in dead)]
            assert server.accepted == 1


def test_a_slow_unit_of_a_gateway_is_filed_though_the_next_was_asked_meanwhile() -> None:
    def delay_s(request: bytes) -> float:
        return 0.2 if request[6] == 1 else 0.0

    server = metered(3)
    server.delay_s = delay_s
    habits = Habits(timeout_s=0.5, patience_s=0.03, retries=0)
    with (
        server,
        HeadEnd(meters(server, 3), {"meter": inventory("meter", 3)}, habits=habits) as headend,
    ):
        reading = headend.poll(["meter"], 0, 2.0)["meter"]
        assert reading.value[0].tolist() == [0.0, 1.0, 2.0]
        assert headend.figures()["late_answers"] == 1


def test_a_gap_is_kept_between_the_requests_of_a_line() -> None:
    arrived: list[float] = []
    server = metered(5)

    def reply(session: Session, request: bytes) -> bytes | None:
        arrived.append(time.monotonic())
        return server.honest(session, request)

    server.reply = reply
    with (
        server,
        HeadEnd(
            meters(server, 5), {"meter": inventory("meter", 5)}, habits=Habits(gap_s=0.03)
        ) as headend,
    ):
        headend.poll(["meter"], 0, 2.0)
        assert len(arrived) == 5
        assert np.diff(arrived).min() > 0.029


def test_a_command_does_not_wait_for_a_round_of_polls() -> None:
    with metered(100) as server, FakeServer({1: device_of(STORAGE, {})}) as storage:
        server.delay_s = lambda _: 0.02  # so that the round takes two seconds
        kinds = {"meter": inventory("meter", 100), "storage": inventory("storage", 1)}
        entries = [
            *meters(server, 100),
            DeviceEntry("storage", 0, "127.0.0.1", storage.port, 1, STORAGE.name),
        ]
        with HeadEnd(entries, kinds) as headend:
            headend.connect(2.0)
            found = {}
            polling = threading.Thread(
                target=lambda: found.update(headend.poll(["meter"], 0, 10.0)), daemon=True
            )
            polling.start()
            time.sleep(0.3)
            for power in (1.0, 2.0, 3.0):
                point = SetPoint("storage", "power_kw", np.zeros(1, np.int64), np.full(1, power))
                outcome = headend.command([point], 1.0)
                assert outcome.outcome[0].tolist() == [Outcome.ACCEPTED]
            assert polling.is_alive()
            polling.join(20.0)
            assert found["meter"].value[0].tolist() == list(range(100))
            assert [words[1] for _, _, words in storage.devices[1].writes] == [10, 20, 30]


def test_a_dead_gateway_ends_its_round_early() -> None:
    with FakeServer({}) as server:
        habits = Habits(timeout_s=0.05, patience_s=0.02, backoff_s=(60.0, 60.0))
        kinds = {"meter": inventory("meter", 100)}
        with HeadEnd(meters(server, 100), kinds, habits=habits) as headend:
            headend.poll(["meter"], 0, 30.0)
            assert server.requests == 12


def test_a_gateway_that_hangs_up_after_every_answer_is_read_to_the_end() -> None:
    server = metered(10)

    def reply(session: Session, request: bytes) -> bytes | None:
        server.loop.call_later(0.005, session.transport.close)
        return server.honest(session, request)

    server.reply = reply
    kinds = {"meter": inventory("meter", 10)}
    with server, HeadEnd(meters(server, 10), kinds, habits=Habits(gap_s=0.02)) as headend:
        for now_ms in (0, 1000):
            reading = headend.poll(["meter"], now_ms, 5.0)["meter"]
            assert reading.value[0].tolist() == list(range(10))
            assert reading.time_ms.tolist() == [now_ms] * 10
        assert server.requests == 20
