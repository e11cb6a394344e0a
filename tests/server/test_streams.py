"""Streams of bytes: many requests at once, pieces, noise, and clients that never read or speak."""

from __future__ import annotations

import resource
import socket
import threading
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hil.kernels import serve
from hil.registers.bank import RegisterBank
from hil.server import Server
from tests.server.serving import BODIES, Client, frame, read, serving, words
from tests.server.test_listen import wait_for
from tests.server.test_protocol import frames, pair
from tests.server.world import rig_bank

READ = read(3, 2, 1)
THREE = b"\x03\x02\x00\x03"
IDLE = 5000


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def stuff(client: Client, request: bytes) -> int:
    """Send until the server takes no more, or 64 MiB; return how much it took."""
    sent = 0
    while sent < 1 << 26:
        try:
            sent += client.socket.send(request)
        except TimeoutError:
            break
    return sent


def test_fifty_requests_in_one_segment(client: Client) -> None:
    client.send(b"".join(frame(READ, tid=i) for i in range(50)))
    for i in range(50):
        assert client.answer() == frame(THREE, tid=i)


def test_a_thousand_requests_before_the_first_answer_is_read(client: Client) -> None:
    request, wanted = read(3, 26, 119), b"\x03\xee" + words(*range(26, 145))
    client.send(b"".join(frame(request, tid=i) for i in range(1000)))
    for i in range(1000):
        assert client.answer() == frame(wanted, tid=i)


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_request_split_at_each_byte(client: Client, cut: int) -> None:
    whole = frame(READ, tid=1)
    client.send(frame(READ, tid=5) + whole[:cut])
    assert client.answer() == frame(THREE, tid=5)
    client.send(whole[cut:] + frame(READ, tid=2)[:cut])
    assert client.answer() == frame(THREE, tid=1)
    client.send(frame(READ, tid=2)[cut:])
    assert client.answer() == frame(THREE, tid=2)


def test_one_byte_at_a_time(client: Client) -> None:
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in frame(READ, tid=1) + frame(READ, tid=2):
        client.send(bytes([byte]))
        time.sleep(0.001)
    assert client.answer() == frame(THREE, tid=1)
    assert client.answer() == frame(THREE, tid=2)


def test_what_came_before_a_half_close_is_answered(client: Client) -> None:
    client.send(frame(READ, tid=1) + frame(READ, tid=2)[:7])
    client.socket.shutdown(socket.SHUT_WR)
    assert client.answer() == frame(THREE, tid=1)
    assert client.closed()


@pytest.mark.parametrize("head", [
    pytest.param("0001 0001 0006 01", id="protocol 1"),
    pytest.param("0001 0000 0000 01", id="length 0"),
    pytest.param("0001 0000 0001 01", id="length 1"),
    pytest.param("0001 0000 00ff 01", id="length 255"),
    pytest.param("0001 0000 1000 01", id="length 4096"),
    pytest.param("0001 0000 ffff 01", id="length 65535"),
    pytest.param("1603 0102 0001 00", id="TLS"),
    pytest.param(b"GET / HTTP/1.1".hex(), id="HTTP"),
    pytest.param("6804 0700 0000", id="IEC 104"),
])  # fmt: skip
def test_a_header_that_cannot_be_right_ends_the_connection_after_what_was_right(
    server: Server, client: Client, head: str
) -> None:
    client.send(frame(READ, tid=1) + bytes.fromhex(head.replace(" ", "")))
    assert client.answer() == frame(THREE, tid=1)
    assert client.closed()
    wait_for(lambda: server.stats()["broken"] == 1)
    with Client(server.endpoints[0]) as again:
        assert again.ask(READ) == THREE


@pytest.fixture(scope="module", params=BODIES)
def kept(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    bank = rig_bank(queue_rows=1 << 16)
    with serving(bank, request.param) as server:
        yield bank, server


@given(stream=st.lists(frames(), min_size=1, max_size=8), cuts=st.lists(st.integers(0, 900)))
@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_a_socket_answers_as_the_reference_does_however_the_bytes_are_cut(
    kept: tuple[RegisterBank, Server], stream: list[bytes], cuts: list[int]
) -> None:
    bank, server = kept
    for array in (bank.arrays.overlay, bank.arrays.written, bank.arrays.latch, bank.arrays.latched):
        array[:] = 0
    bank.arrays.pending_ns[:] = -1
    bank.take(2**62)
    # A last request whose answer says that all before it are done with.
    data = b"".join(stream) + frame(b"\x07", tid=0xBEEF)
    wanted, broken = pair(0, 0).serve(data)
    with Client(server.endpoints[0]) as client:
        edges = sorted({0, len(data), *(c for c in cuts if c < len(data))})
        for begin, end in pairwise(edges):
            try:
                client.send(data[begin:end])
            except OSError:
                assert broken
        # What was answered before a broken header may be lost with the connection.
        got = client.exactly(len(wanted))
        assert wanted.startswith(got) if broken else got == wanted
        assert not broken or client.closed()


def test_idle_connections_cost_nothing_and_the_next_one_is_served(
    bank: RegisterBank, body: str
) -> None:
    room = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 400) // 2
    many = min(IDLE, room)
    with serving(bank, body) as server, ExitStack() as stack:
        threads = threading.active_count()
        before = rss_mib()
        for i in range(many):
            one = socket.create_connection(
                (server.endpoints[i % 6].address, server.endpoints[i % 6].port), 5.0
            )
            stack.callback(one.close)
        wait_for(lambda: server.stats()["open"] == many)
        with Client(server.endpoints[0]) as client:
            assert client.ask(READ) == THREE
        assert rss_mib() - before < 60.0
        assert threading.active_count() == threads
    assert many == IDLE or pytest.skip(f"{many} connections, which the open-file limit allows")


def test_a_client_that_never_reads_is_bounded_and_hurts_nobody(
    bank: RegisterBank, body: str
) -> None:
    with serving(bank, body) as server, Client(server.endpoints[0]) as deaf:
        before = rss_mib()
        request = frame(read(3, 26, 119)) * 200
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.socket.settimeout(0.5)
        assert stuff(deaf, request) < 1 << 26, "the server reads on"
        with Client(server.endpoints[0]) as client, Client(server.endpoints[1]) as other:
            assert client.ask(READ) == THREE
            assert other.ask(READ) == THREE
        assert rss_mib() - before < 20.0


@pytest.mark.timeout(60)
def test_half_requests_and_deaf_clients_are_ended_after_ten_seconds(bank: RegisterBank) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(rig_bank(), body)) for body in BODIES]
        halves, deaf, drips, idle = [], [], [], []
        for server in servers:
            halves.append(stack.enter_context(Client(server.endpoints[0], 20.0)))
            halves[-1].send(frame(READ)[:9])
            drips.append(stack.enter_context(Client(server.endpoints[2], 20.0)))
            drips[-1].send(frame(bytes(200))[:7])
            idle.append(stack.enter_context(Client(server.endpoints[3], 20.0)))
            assert idle[-1].ask(READ) == THREE
            deaf.append(stack.enter_context(Client(server.endpoints[1], 0.2)))
            deaf[-1].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuff(deaf[-1], frame(read(3, 26, 119)) * 200)
        begun = time.monotonic()
        # One byte a second does not make a request younger.
        while time.monotonic() - begun < 14.0:
            for drip in drips:
                try:
                    drip.send(b"\0")
                except OSError:
                    continue
            if all(s.stats()["half_requests"] == 2 and s.stats()["never_read"] == 1
                   for s in servers):  # fmt: skip
                break
            time.sleep(1.0)
        took = time.monotonic() - begun
        for server, half, one in zip(servers, halves, idle, strict=True):
            stats = server.stats()
            assert (stats["half_requests"], stats["never_read"]) == (2, 1)
            assert half.closed()
            assert one.ask(READ) == THREE
        assert 9.0 < took < 14.0


def test_slots_run_out_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = rig_bank()
    with serving(bank, "compiled") as server, ExitStack() as stack:
        free = server.sockets.free[0]
        free[0] = 2  # as if the others were taken
        deaf = [stack.enter_context(Client(server.endpoints[0], 0.3)) for _ in range(3)]
        for client in deaf:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.socket.setblocking(False)
        request = frame(read(3, 26, 119)) * 200
        for _ in range(60):
            for client in deaf:
                try:
                    client.socket.send(request)
                except OSError:
                    continue
            time.sleep(0.01)
        wait_for(lambda: server.stats()["no_slot"] == 1)
        assert free[0] == 0
        for client in deaf:
            client.socket.close()
        wait_for(lambda: server.stats()["open"] == 0)
        assert free[0] == 2
        assert sorted(free[1:3]) == sorted(set(free[1:3]))
    assert serve.SLOTS >= 256
