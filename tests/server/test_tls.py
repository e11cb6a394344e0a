"""TLS around the portable server: the same frames, the same manners, the same limits."""

from __future__ import annotations

import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.registers.bank import RegisterBank
from hil.server import Endpoint, Server, WireManner
from hil.server.tls import Identity, make_identity, server_context
from tests.server.serving import Client, free_port, read, words
from twin.errors import InputProblems


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("tls"), "device")


@pytest.fixture
def server(bank: RegisterBank, identity: Identity) -> Iterator[Server]:
    endpoint = Endpoint("127.0.0.1", free_port(), 0)
    layout = bank.compiled.layout
    with Server(bank.arrays, layout, [endpoint], tls=server_context(identity)) as one:
        yield one


class SecretClient(Client):
    """The plainest client inside TLS."""

    def __init__(self, server: Server, identity: Identity) -> None:
        super().__init__(server.endpoints[0])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=identity.certificate)
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


def test_requests_are_answered_also_many_and_in_pieces(server: Server, identity: Identity) -> None:
    with SecretClient(server, identity) as client:
        assert client.ask(read(3, 20, 3)) == b"\x03\x06" + words(20, 21, 22)
        many = b"".join(words(i, 0, 6) + b"\1" + read(3, 20, 1) for i in range(1, 60))
        for start in range(0, len(many), 7):
            client.send(many[start : start + 7])
        for i in range(1, 60):
            assert client.answer() == words(i, 0, 5) + b"\1\3\2" + words(20)
        assert client.socket.version() in ("TLSv1.2", "TLSv1.3")  # type: ignore[attr-defined]
    assert server.stats()["requests"] == 60


def test_who_speaks_plainly_is_hung_up_on_and_disturbs_nobody(
    server: Server, identity: Identity
) -> None:
    with SecretClient(server, identity) as client:
        for noise in (words(1, 0, 6) + b"\1" + read(3, 20, 1), b"GET / HTTP/1.1\r\n\r\n", b"\x16"):
            with Client(server.endpoints[0]) as plain:
                plain.send(noise)
                plain.socket.shutdown(socket.SHUT_WR)
                assert plain.closed()
        assert client.ask(read(3, 20, 1)) == b"\x03\x02" + words(20)


def test_manners_hold_under_tls(server: Server, identity: Identity) -> None:
    server.set_manner(0, WireManner(exception=6))
    with SecretClient(server, identity) as client:
        assert client.ask(read(3, 20, 1)) == b"\x83\x06"
        server.set_manner(0, WireManner(max_clients=1))
        with SecretClient(server, identity) as second:
            assert second.closed()
        server.set_manner(0, None)
        assert client.ask(read(3, 20, 1)) == b"\x03\x02" + words(20)


def test_a_half_handshake_ends_with_the_server(bank: RegisterBank, identity: Identity) -> None:
    endpoint = Endpoint("127.0.0.1", free_port(), 0)
    layout = bank.compiled.layout
    server = Server(bank.arrays, layout, [endpoint], tls=server_context(identity))
    with server, Client(endpoint) as half:
        half.send(b"\x16\x03\x01\x02\x00")
    assert server.stats()["requests"] == 0


def test_the_key_is_its_owners_alone(identity: Identity) -> None:
    assert stat.S_IMODE(identity.key.stat().st_mode) == 0o600


def test_what_does_not_fit_together_is_bad_input(
    identity: Identity, bank: RegisterBank, tmp_path: Path
) -> None:
    other = make_identity(tmp_path, "other")
    with pytest.raises(InputProblems, match="PEM files that belong together"):
        server_context(Identity(identity.certificate, other.key))
    with pytest.raises(InputProblems, match="PEM files"):
        server_context(identity, tmp_path / "none.pem")
    endpoint = Endpoint("127.0.0.1", free_port(), 0)
    with pytest.raises(ValueError, match="does not speak TLS"):
        Server(
            bank.arrays, bank.compiled.layout, [endpoint], body="compiled",
            tls=server_context(identity),
        )  # fmt: skip
