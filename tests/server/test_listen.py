"""Where devices are reached: own addresses, own ports, units; strangers, limits, bad input."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from contextlib import suppress

import pytest

from hil.registers.bank import RegisterBank
from hil.server import Endpoint, Server
from hil.server.listen import open_listeners
from tests.server.serving import BODIES, Client, free_port, own_addresses, read, serving, words
from tests.server.world import rig_bank
from twin.errors import InputProblems

WHO = read(4, 4, 4)


def who(client: Client, unit: int = 1) -> bytes:
    return client.ask(WHO, unit)[2:7]


def foreign_address() -> str | None:
    """Return an address of this machine outside the loopback network, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET: nothing is sent
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith("127.") else found


def test_each_address_is_a_device(bank: RegisterBank, body: str) -> None:
    with serving(bank, body) as server:
        for device, endpoint in enumerate(server.endpoints):
            with Client(endpoint) as client:
                assert who(client) == f"rig-{device}".encode()


def test_each_port_is_a_device(bank: RegisterBank, body: str) -> None:
    with serving(bank, body, [Endpoint("127.0.0.1", free_port(), d) for d in range(6)]) as server:
        for device, endpoint in enumerate(server.endpoints):
            with Client(endpoint) as client:
                assert who(client) == f"rig-{device}".encode()


def test_units_behind_a_gateway_are_devices(body: str) -> None:
    bank, port = rig_bank(units=[1, 2, 3, 4, 1, 2]), free_port()
    two = [Endpoint("127.9.1.1", port, 0, 4), Endpoint("127.9.1.2", port, 4, 2)]
    with serving(bank, body, two), Client(two[0]) as first, Client(two[1]) as second:
        assert [who(first, unit) for unit in (1, 2, 3, 4)] == [
            f"rig-{i}".encode() for i in range(4)
        ]
        assert [who(second, unit) for unit in (1, 2)] == [b"rig-4", b"rig-5"]
        stranger = bytes([0, 1, 0, 0, 0, 6])
        assert first.silent(stranger + b"\x05" + WHO)
        assert first.silent(stranger + b"\xff" + WHO)
        assert who(first, 1) == b"rig-0"


def test_one_socket_listens_for_many_addresses_and_only_on_the_loopback_device(
    bank: RegisterBank,
) -> None:
    listeners = open_listeners(own_addresses(bank, free_port()))
    try:
        assert [one.getsockname()[0] for one in listeners] == ["0.0.0.0"]
        device = listeners[0].getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert device.rstrip(b"\0") == b"lo"
    finally:
        for one in listeners:
            one.close()


def test_without_the_right_to_bind_to_a_device_each_address_has_a_listener(
    bank: RegisterBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hil.server.listen._bind_to_loopback", lambda _: False)
    with serving(bank, "auto") as server:
        addresses = [e.address for e in server.endpoints]
        assert "0.0.0.0" not in addresses
        with Client(server.endpoints[5]) as client:
            assert who(client) == b"rig-5"


def test_a_stranger_is_closed_before_a_byte_is_read(bank: RegisterBank, body: str) -> None:
    with serving(bank, body) as server:
        stranger = Endpoint("127.9.200.9", server.endpoints[0].port, 0)
        with Client(stranger) as client:
            assert client.closed()
        assert server.stats()["strangers"] == 1
        assert not bank.arrays.reads.any()


@pytest.mark.skipif(foreign_address() is None, reason="no address but loopback on this machine")
def test_nothing_is_served_outside_the_loopback_network(bank: RegisterBank, body: str) -> None:
    outside = str(foreign_address())
    with serving(bank, body) as server:
        port = server.endpoints[0].port
        # To the machine's own address, as another machine would try: nobody listens there.
        with pytest.raises(ConnectionRefusedError):
            Client(Endpoint(outside, port, 0))
        # From it, to an address that is not in the inventory: closed at once.
        with socket.socket() as one:
            one.settimeout(5.0)
            one.bind((outside, 0))
            one.connect(("127.9.200.9", port))
            assert one.recv(1) == b""
        assert server.stats()["strangers"] == 1
        assert not bank.arrays.reads.any()


def test_further_connections_are_closed_and_room_comes_back(bank: RegisterBank, body: str) -> None:
    with serving(bank, body, most=3) as server:
        held = [Client(server.endpoints[0]) for _ in range(3)]
        for client in held:
            assert who(client) == b"rig-0"
        with Client(server.endpoints[1]) as further:
            assert further.closed()
        held.pop().socket.close()
        wait_for(lambda: server.stats()["open"] == 2)
        with Client(server.endpoints[1]) as again:
            assert who(again) == b"rig-1"
        for client in held:
            client.socket.close()


def wait_for(what: object, for_s: float = 5.0) -> None:
    end = time.monotonic() + for_s
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_everything_wrong_is_said_at_once(bank: RegisterBank) -> None:
    with socket.socket() as other, socket.socket() as another:
        for one in (other, another):
            one.bind(("127.0.0.1", 0))
            one.listen()
        taken, too = other.getsockname()[1], another.getsockname()[1]
        free = free_port()
        endpoints = [
            Endpoint("127.0.0.1", taken, 0), Endpoint("127.0.0.1", too, 1),
            Endpoint("127.0.0.1", free, 2), Endpoint("127.0.0.1", free, 3),
            Endpoint("300.0.0.1", free, 4), Endpoint("203.0.113.7", free_port(), 5),
        ]  # fmt: skip
        server = Server(bank.arrays, bank.compiled.layout, endpoints)
        with pytest.raises(InputProblems) as caught:
            server.start()
    said = {p.place: (p.value, p.allowed) for p in caught.value.problems}
    assert len(caught.value.problems) == 5
    assert said[f"127.0.0.1:{taken}"][0] == said[f"127.0.0.1:{too}"][0] == "in use"
    assert f"sport = :{taken}" in said[f"127.0.0.1:{taken}"][1]
    assert said[f"127.0.0.1:{free}"][0] == "given twice"
    assert said["300.0.0.1"][0] == "not an address"
    assert any(value == "not here" for value, _ in said.values())
    with socket.socket() as probe:  # nothing is left listening
        assert probe.connect_ex(("127.0.0.1", free)) != 0


@pytest.mark.parametrize("body", BODIES)
def test_stop_closes_everything_and_start_again_works(bank: RegisterBank, body: str) -> None:
    endpoints, before = own_addresses(bank, free_port()), threading.active_count()
    for _ in range(3):
        with serving(bank, body, endpoints), Client(endpoints[0]) as client:
            assert client.ask(read(3, 2, 1)) == b"\x03\x02" + words(3)
            held = client.socket.dup()
        held.settimeout(5.0)
        assert held.recv(1) == b""
        held.close()
        assert threading.active_count() == before


def test_where_files_run_out_a_client_is_told(bank: RegisterBank, body: str) -> None:
    with serving(bank, body) as server, Client(server.endpoints[0]) as held:
        assert who(held) == b"rig-0"
        late = [socket.socket() for _ in range(3)]
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(s.fileno() for s in late) + 1, before[1]))
        fill: list[int] = []
        try:
            with suppress(OSError):
                while True:
                    fill.append(os.dup(0))
            for one in late:
                one.settimeout(5.0)
                one.connect((server.endpoints[1].address, server.endpoints[1].port))
                assert one.recv(1) == b""
            assert who(held) == b"rig-0"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for fd in fill:
                os.close(fd)
            for one in late:
                one.close()
        wait_for(lambda: server.stats()["turned_away"] == 3)
        with Client(server.endpoints[1]) as again:
            assert who(again) == b"rig-1"


def test_a_server_starts_once_and_may_be_stopped_twice(bank: RegisterBank, body: str) -> None:
    with serving(bank, body) as server:
        with pytest.raises(RuntimeError, match="once"):
            server.start()
        server.stop()
    assert server.stats()["open"] == 0


def test_a_bank_without_a_queue_for_the_portable_body_is_a_mistake(bank: RegisterBank) -> None:
    with pytest.raises(ValueError, match="queues in the bank"):
        Server(bank.arrays, bank.compiled.layout, own_addresses(bank, 1), lanes=2)
    with pytest.raises(ValueError, match="body"):
        Server(bank.arrays, bank.compiled.layout, own_addresses(bank, 1), body="both")


def test_two_lanes_share_the_devices() -> None:
    bank = rig_bank(lanes=3)
    with serving(bank, "compiled") as server:
        clients = [Client(e) for e in server.endpoints]
        for number, client in enumerate(clients):
            assert who(client) == f"rig-{number}".encode()
            client.ask(b"\x06" + words(2, 5))
        assert bank.arrays.reads.sum(axis=1).tolist() == [3, 3, 0]
        assert sorted(bank.take(2**62).device.tolist()) == list(range(6))
        for client in clients:
            client.socket.close()
