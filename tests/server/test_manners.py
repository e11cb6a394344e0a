"""Manners on the wire: what one device does to bytes, and that its neighbours do not notice."""

from __future__ import annotations

import statistics
import time

import pytest

from hil.registers.bank import RegisterBank
from hil.server import Endpoint, Server, WireManner
from hil.server.behaviour import Act, Behaviour, Link
from tests.server.serving import BODIES, Client, frame, free_port, read, serving, words
from tests.server.test_listen import wait_for
from tests.server.world import rig_bank
from twin.errors import InputProblems

READ = read(3, 2, 1)
THREE = b"\x03\x02\x00\x03"


def with_manner(bank: RegisterBank, body: str, **manner: object) -> Server:
    return serving(bank, body, manners={0: WireManner(**manner)})  # type: ignore[arg-type]


def seconds(client: Client, pdu: bytes = READ) -> float:
    begun = time.monotonic()
    assert client.ask(pdu) == THREE
    return time.monotonic() - begun


def test_an_answer_is_delayed_and_the_neighbour_is_not(bank: RegisterBank, body: str) -> None:
    with (
        with_manner(bank, body, delay_ms=200.0, delay_sigma=0.0) as server,
        Client(server.endpoints[0]) as slow,
        Client(server.endpoints[1]) as other,
    ):
        slow.send(frame(READ, tid=1))
        assert statistics.median(seconds(other) for _ in range(20)) < 0.05
        assert slow.answer()[7:] == THREE
        assert seconds(slow) >= 0.2


def test_delays_are_spread_about_their_median_and_keyed() -> None:
    def delays(seed: int, device: int) -> list[float]:
        one = Behaviour(WireManner(delay_ms=100.0, delay_sigma=0.5), seed, device)
        reactions = [one.react(Link(), False, 1000.0 * i) for i in range(2000)]
        return [r.due_s - 1000.0 * i for i, r in enumerate(reactions)]

    first = delays(1, 7)
    assert first == delays(1, 7)
    assert first != delays(1, 8)
    assert first != delays(2, 7)
    assert statistics.median(first) == pytest.approx(0.1, rel=0.05)
    ordered = sorted(first)
    # One sigma of a lognormal of 0.5.
    assert ordered[int(0.841 * 2000)] == pytest.approx(0.1 * 1.6487, rel=0.08)


def test_answers_keep_their_order(bank: RegisterBank, body: str) -> None:
    spread = with_manner(bank, body, delay_ms=5.0, delay_sigma=1.5)
    with spread as server, Client(server.endpoints[0]) as client:
        client.send(b"".join(frame(READ, tid=i) for i in range(100)))
        answers = [client.answer() for _ in range(100)]
    assert [int.from_bytes(a[:2], "big") for a in answers] == list(range(100))


def test_a_request_too_soon_is_lost_and_counted(bank: RegisterBank, body: str) -> None:
    with with_manner(bank, body, min_gap_ms=150.0) as server:
        with Client(server.endpoints[0]) as client:
            assert client.ask(READ) == THREE
            assert client.silent(frame(b"\x06" + words(2, 5)), 0.05)
            time.sleep(0.15)
            assert client.ask(READ) == THREE
        assert server.stats()["violations"] == server.stats()["lost"] == 1
    assert not bank.arrays.queue_count.any()


def test_one_client_only(bank: RegisterBank, body: str) -> None:
    with with_manner(bank, body, max_clients=1) as server:
        with Client(server.endpoints[0]) as first:
            assert first.ask(READ) == THREE
            with Client(server.endpoints[0]) as second:
                assert second.closed()
            assert first.ask(READ) == THREE
        wait_for(lambda: server.stats()["open"] == 0)
        with Client(server.endpoints[0]) as third:
            assert third.ask(READ) == THREE


def test_settling_and_the_swallowed_first_request(bank: RegisterBank, body: str) -> None:
    with with_manner(bank, body, settle_ms=150.0) as server, Client(server.endpoints[0]) as client:
        assert client.silent(frame(READ), 0.05)
        time.sleep(0.15)
        assert client.ask(READ) == THREE
    manner = WireManner(swallow_first=True)
    with serving(bank, body, manners={0: manner}) as server, Client(server.endpoints[0]) as client:
        assert client.silent(frame(b"\x06" + words(2, 5)), 0.05)
        assert client.ask(READ) == THREE


def test_the_second_of_two_frames_in_one_segment_is_lost(bank: RegisterBank, body: str) -> None:
    with with_manner(bank, body, drop_second=True) as server, Client(server.endpoints[0]) as client:
        client.send(frame(READ, tid=7) + frame(READ, tid=8))
        assert client.answer()[:2] == b"\x00\x07"
        assert client.silent(b"", 0.05)
        assert client.ask(READ) == THREE
        assert server.stats()["lost"] == 1


def test_exceptions_no_answers_and_disconnections(bank: RegisterBank, body: str) -> None:
    manners = {
        0: WireManner(exception=6), 1: WireManner(no_answer_share=1.0),
        2: WireManner(disconnect_share=1.0), 3: WireManner(exception=4, exception_share=0.5),
    }  # fmt: skip
    with serving(bank, body, manners=manners) as server:
        with Client(server.endpoints[0]) as client:
            assert client.ask(b"\x06" + words(2, 5)) == b"\x86\x06"
        with Client(server.endpoints[1]) as client:
            assert client.silent(frame(b"\x06" + words(2, 5)))
        with Client(server.endpoints[2]) as client:
            client.send(frame(b"\x06" + words(2, 5)))
            assert client.closed()
        with Client(server.endpoints[3]) as client:
            said = [client.ask(READ) for _ in range(200)]
            assert 60 < said.count(b"\x83\x04") < 140
            assert said.count(THREE) == 200 - said.count(b"\x83\x04")
    assert not bank.arrays.queue_count.any()
    assert bank.arrays.refused[:, 0].sum() == 1


def test_every_answer_comes_late(bank: RegisterBank, body: str) -> None:
    with with_manner(bank, body, late_ms=120.0) as server, Client(server.endpoints[0]) as client:
        assert seconds(client) >= 0.12


def test_gaps_of_a_manner_take_the_place_of_the_maps(bank: RegisterBank, body: str) -> None:
    with with_manner(bank, body, gaps="zero") as server, Client(server.endpoints[0]) as client:
        assert client.ask(read(4, 8, 2)) == b"\x04\x04" + words(0, 0)
        server.set_manner(0, WireManner(gaps="any"))
        assert client.ask(read(4, 8, 2)) == b"\x84\x02"
        server.set_manner(0, WireManner(gaps="all"))
        assert client.ask(read(4, 8, 3))[:2] == b"\x04\x06"
        server.set_manner(0, None)
        assert client.ask(read(4, 8, 3)) == b"\x84\x02"


def test_a_manner_comes_and_goes_on_an_open_connection(bank: RegisterBank, body: str) -> None:
    with serving(bank, body) as server, Client(server.endpoints[0]) as client:
        assert client.ask(READ) == THREE
        # Half a request is under way while the connection moves to the other body.
        client.send(frame(READ, tid=99)[:5])
        time.sleep(0.05)
        server.set_manner(0, WireManner(exception=5))
        time.sleep(0.05)
        client.send(frame(READ, tid=99)[5:])
        assert client.answer() == frame(b"\x83\x05", tid=99)
        server.set_manner(0, None)
        assert client.ask(READ) == THREE
        with Client(server.endpoints[0]) as new:
            assert new.ask(READ) == THREE
        assert server.stats()["open"] >= 1


def test_many_connections_move_and_none_is_lost(bank: RegisterBank) -> None:
    with serving(bank, "compiled") as server:
        clients = [Client(server.endpoints[i % 2]) for i in range(60)]
        for turn in range(10):
            server.set_manner(turn % 2, WireManner(late_ms=1.0) if turn % 4 < 2 else None)
            for i, client in enumerate(clients):
                client.send(frame(READ, tid=i))
            for i, client in enumerate(clients):
                assert client.answer() == frame(THREE, tid=i)
        assert server.stats()["open"] == 60
        for client in clients:
            client.socket.close()


def test_a_slow_unit_of_a_gateway_does_not_slow_the_others(body: str) -> None:
    bank = rig_bank(units=[1, 2, 3, 4, 5, 6])
    gateway = [Endpoint("127.9.1.1", free_port(), 0, 6)]
    manners = {0: WireManner(delay_ms=300.0, delay_sigma=0.0), 1: WireManner(late_ms=20.0)}
    with serving(bank, body, gateway, manners) as server, Client(server.endpoints[0]) as client:
        client.send(frame(READ, 1, 1) + frame(READ, 2, 2) + frame(READ, 3, 3))
        assert [client.answer()[1] for _ in range(3)] == [3, 2, 1]


@pytest.mark.parametrize("body", BODIES)
def test_waiting_answers_are_bounded(bank: RegisterBank, body: str) -> None:
    with with_manner(bank, body, late_ms=400.0) as server, Client(server.endpoints[0]) as client:
        client.send(b"".join(frame(READ, tid=i) for i in range(300)))
        time.sleep(0.2)
        assert server.stats()["requests"] <= 80
        answers = [client.answer() for _ in range(300)]
    assert [int.from_bytes(a[:2], "big") for a in answers] == list(range(300))


def test_everything_out_of_range_in_a_manner_is_said_at_once() -> None:
    with pytest.raises(InputProblems) as caught:
        WireManner(delay_ms=-1.0, exception=12, exception_share=1.5, max_clients=0, gaps="few")
    places = {p.place for p in caught.value.problems}
    assert places == {"delay_ms", "exception", "exception_share", "max_clients", "gaps"}


def test_an_act_is_the_same_whatever_other_manners_draw() -> None:
    plain = Behaviour(WireManner(no_answer_share=0.5), 1, 1)
    more = Behaviour(WireManner(no_answer_share=0.5, delay_ms=1.0, exception=4), 1, 1)
    lost = [
        [b.react(Link(), False, 10.0 * i).act == Act.LOSE for i in range(300)]
        for b in (plain, more)
    ]
    assert lost[0] == lost[1]
    assert 100 < sum(lost[0]) < 200
