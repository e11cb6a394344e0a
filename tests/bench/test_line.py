"""One contract for TCP, TLS and RTU, over real sockets and pseudo-terminals."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hil.bench.errors import Garbage, LineDown, NoAnswer, Refused
from hil.bench.identity import identity_of
from hil.bench.line import Line, LineSpec, Wire
from hil.certify.hostile import LIES, HostileServer, Lie
from hil.registers.bank import RegisterBank
from hil.server import Endpoint, SerialLine, SerialServer, Server, WireManner
from hil.server.tls import Identity, make_identity, server_context
from tests.bench.pieces import in_pieces, with_checksum
from tests.bench.rack import served, storage_bank, storage_map
from tests.server.serving import free_port, null_modem, serving
from twin.errors import InputProblems

TRANSPORTS = ("tcp", "tls", "rtu")
# Long where an answer is due, for machines that are busy; short where none is.
TIMEOUT_S, SHORT_S = 3.0, 0.3
# Descriptors beyond what select can tell.
MANY = 1100


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    folder = tmp_path_factory.mktemp("certificates")
    return {name: make_identity(folder, name) for name in ("device", "client", "stranger")}


@contextmanager
def line_to(
    transport: str,
    certificates: dict[str, Identity],
    manner: WireManner | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[tuple[RegisterBank, Line, Server | SerialServer]]:
    """Yield a bank of one storage device, a line to it and what serves it."""
    bank = storage_bank(storage_map())
    manners = {} if manner is None else {0: manner}
    if transport == "rtu":
        with null_modem() as (ours, theirs):
            server = SerialServer(
                bank.arrays, bank.compiled.layout, SerialLine(ours, 115_200), [0], 1, manners
            )
            spec = LineSpec("rtu", serial=theirs, baud=115_200, timeout_s=timeout_s)
            with server, Line(spec) as line:
                yield bank, line, server
        return
    endpoint = Endpoint("127.0.0.1", free_port(), 0)
    device = certificates["device"]
    tls = server_context(device) if transport == "tls" else None
    spec = LineSpec("tcp", endpoint.address, endpoint.port, timeout_s=timeout_s)
    if transport == "tls":
        spec = replace(spec, transport="tls", ca=str(device.certificate))
    with (
        Server(bank.arrays, bank.compiled.layout, [endpoint], 1, "portable", manners, tls=tls) as s,
        Line(spec) as line,
    ):
        yield bank, line, s


@pytest.fixture(params=TRANSPORTS)
def line(request: pytest.FixtureRequest, certificates: dict[str, Identity]) -> Iterator[Line]:
    with line_to(request.param, certificates) as (_, one, _):
        yield one


def test_reads_writes_and_says_who_it_is(line: Line) -> None:
    assert line.read("input", 256, 4) == [0, 5000, 0, 10000]
    assert line.read("discrete", 0, 4) == [0, 0, 0, 1]
    line.write("holding", 2, [7])
    line.write("holding", 0, [0xFFFF, 0xFF9C])
    line.write("coil", 0, [1])
    assert line.read("holding", 0, 3) == [0xFFFF, 0xFF9C, 7]
    assert identity_of(line)["vendor"] == "suitwin"
    assert line.raw(3, struct.pack(">HH", 0, 2)) == bytes([4, 0xFF, 0xFF, 0xFF, 0x9C])


def test_one_register_goes_as_many_where_a_device_wants_it(line: Line) -> None:
    many = Line(replace(line.spec, multiple_only=True), wire=line.wire)
    line.frames.take()
    many.write("holding", 2, [7])
    many.write("coil", 0, [1])
    line.write("holding", 2, [8])
    sent = [f.data for f in line.frames.take() if f.sent]
    assert [data[1 if line.spec.transport == "rtu" else 7] for data in sent] == [16, 15, 6]
    assert many.read("holding", 2, 1) == [8]


def test_a_refusal_has_its_code_and_every_frame_is_kept(line: Line) -> None:
    line.frames.take()
    with pytest.raises(Refused, match="exception 2, illegal address") as caught:
        line.read("input", 5000, 1)
    assert caught.value.code == 2
    with pytest.raises(Refused) as caught:
        line.raw(99, b"abc")
    assert caught.value.code == 1
    frames = line.frames.take()
    assert [f.sent for f in frames] == [True, False, True, False]
    assert struct.pack(">BHH", 4, 5000, 1) in frames[0].data
    assert b"\x84\x02" in frames[1].data


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_write_is_sent_once_whatever_becomes_of_it(
    transport: str, certificates: dict[str, Identity]
) -> None:
    lost = WireManner(no_answer_share=1.0)
    with line_to(transport, certificates, lost, SHORT_S) as (_, line, server):
        with pytest.raises(NoAnswer, match=r"no answer within 0\.3 s"):
            line.write("holding", 0, [0, 100])
        assert sum(f.sent for f in line.frames.take()) == 1
        if isinstance(server, Server):
            assert server.stats()["lost"] == 1


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_connection_that_was_ended_is_said_and_opened_anew(
    transport: str, certificates: dict[str, Identity]
) -> None:
    with line_to(transport, certificates, WireManner(disconnect_share=1.0)) as (_, line, server):
        with pytest.raises(LineDown, match="has closed the connection"):
            line.read("input", 0, 1)
        assert isinstance(server, Server)
        server.set_manner(0, None)
        assert line.read("input", 256, 2) == [0, 5000]


def test_a_wrong_checksum_is_garbage(certificates: dict[str, Identity]) -> None:
    with (
        line_to("rtu", certificates, WireManner(bad_crc_share=1.0), SHORT_S) as (_, line, _),
        pytest.raises(Garbage, match="no right checksum"),
    ):
        line.read("input", 256, 2)


IDENTITY = bytes([1, 43, 14, 1, 1, 0, 0, 2, 0, 2, 65, 66, 1, 1, 67])


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 8, 9, 12])
def test_a_serial_answer_may_come_in_pieces(cut: int) -> None:
    whole = with_checksum(bytes([1, 4, 8, 0, 1, 0, 2, 0, 3, 0, 4]))
    with in_pieces([whole[:cut], whole[cut:]]) as terminal:
        begun_s = time.monotonic()
        spec = LineSpec("rtu", serial=terminal, baud=115_200, timeout_s=TIMEOUT_S)
        with _closing(Line(spec)) as line:
            assert line.read("input", 0, 4) == [1, 2, 3, 4]
        assert time.monotonic() - begun_s < TIMEOUT_S / 2.0, "it is known where it ends"
    whole = with_checksum(IDENTITY)
    with (
        in_pieces([whole[:cut], whole[cut:]]) as terminal,
        _closing(Line(LineSpec("rtu", serial=terminal, baud=115_200))) as line,
    ):
        assert line.raw(43, b"\x0e\1\0") == IDENTITY[2:]


def test_an_answer_under_tls_may_come_in_pieces(certificates: dict[str, Identity]) -> None:
    context = server_context(certificates["device"])

    def serve(listener: socket.socket) -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as one:
            request = one.recv(260)
            answer = request[:4] + bytes([0, 7, 1, 4, 4, 0, 1, 0, 2])
            for cut in ((0, 3), (3, 7), (7, 9), (9, 13)):
                one.sendall(answer[slice(*cut)])
                time.sleep(0.03)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        ca = str(certificates["device"].certificate)
        spec = LineSpec("tls", port=listener.getsockname()[1], timeout_s=TIMEOUT_S, ca=ca)
        with _closing(Line(spec)) as line:
            assert line.read("input", 0, 2) == [1, 2]
        thread.join()


def test_a_late_serial_answer_is_not_taken_for_the_next(
    certificates: dict[str, Identity],
) -> None:
    with line_to("rtu", certificates, WireManner(late_ms=600.0), 0.5) as (_, line, server):
        with pytest.raises(NoAnswer):
            line.read("input", 256, 2)
        server.set_manner(0, None)
        assert line.read("input", 258, 2) == [0, 10000]


def test_a_device_gets_the_pauses_it_needs() -> None:
    manner = WireManner(min_gap_ms=60.0, settle_ms=150.0)
    with served(manners={0: manner}) as (_, endpoint):
        spec = LineSpec(port=endpoint.port, timeout_s=0.2)
        with _closing(Line(spec)) as hasty, pytest.raises(NoAnswer):
            hasty.read("input", 256, 2)
        with _closing(
            Line(replace(spec, gap_s=0.08, settle_s=0.2, timeout_s=TIMEOUT_S))
        ) as patient:
            for _ in range(3):
                assert patient.read("input", 256, 2) == [0, 5000]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_no_lie_is_taken_for_an_answer(lie: Lie) -> None:
    def honest(request: bytes) -> bytes:
        return request[:4] + bytes([0, 7, request[6], 4, 4, 0, 1, 0, 2])

    with (
        HostileServer(lie, honest) as server,
        Line(LineSpec(port=server.port, timeout_s=0.15)) as line,
        pytest.raises((Garbage, NoAnswer, LineDown)),
    ):
        line.read("input", 0, 2)


def test_a_liar_does_not_spoil_the_next_answer() -> None:
    lies = [LIES[4]]  # one byte more

    def tell(request: bytes, answer: bytes) -> bytes:
        return lies.pop().tell(request, answer) if lies else answer

    def honest(request: bytes) -> bytes:
        return request[:4] + bytes([0, 7, request[6], 4, 4, 0, 1, 0, 2])

    with (
        HostileServer(Lie("once", "", tell), honest) as server,
        Line(LineSpec(port=server.port, timeout_s=TIMEOUT_S)) as line,
    ):
        with pytest.raises(Garbage, match="5 came, 4 asked for"):
            line.read("input", 0, 2)
        assert line.read("input", 0, 2) == [1, 2]


def test_a_dead_port_says_why() -> None:
    with pytest.raises(LineDown, match=r"127\.0\.0\.1:\d+: cannot be opened: Connection refused"):
        Line(LineSpec(port=free_port(), timeout_s=0.3)).read("input", 0, 1)
    with pytest.raises(LineDown, match="/dev/no-such-line: cannot be opened"):
        Line(LineSpec("rtu", serial="/dev/no-such-line")).read("input", 0, 1)


def test_whoever_accepts_and_says_nothing_under_tls_is_not_waited_for(
    certificates: dict[str, Identity],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        ca = str(certificates["device"].certificate)
        line = Line(LineSpec("tls", port=deaf.getsockname()[1], timeout_s=0.2, ca=ca))
        begun_s = time.monotonic()
        with pytest.raises(LineDown, match="nobody there"):
            line.open()
        assert time.monotonic() - begun_s < 2.0


def test_only_the_device_that_is_vouched_for_is_spoken_to(
    certificates: dict[str, Identity],
) -> None:
    with served(tls=server_context(certificates["device"])) as (_, endpoint):
        ca = str(certificates["stranger"].certificate)
        spec = LineSpec("tls", endpoint.address, endpoint.port, timeout_s=TIMEOUT_S, ca=ca)
        with pytest.raises(LineDown, match="certificate is not trusted"):
            Line(spec).open()


@pytest.mark.parametrize("who", ["client", "stranger", None])
def test_a_device_that_wants_a_certificate_gets_it(
    who: str | None, certificates: dict[str, Identity]
) -> None:
    tls = server_context(certificates["device"], certificates["client"].certificate)
    with served(tls=tls) as (_, endpoint):
        spec = LineSpec(
            "tls", endpoint.address, endpoint.port, timeout_s=TIMEOUT_S,
            ca=str(certificates["device"].certificate),
            certificate="" if who is None else str(certificates[who].certificate),
            key="" if who is None else str(certificates[who].key),
        )  # fmt: skip
        with _closing(Line(spec)) as line:
            if who == "client":
                assert line.read("input", 256, 2) == [0, 5000]
            else:
                with pytest.raises(LineDown, match="certificate"):
                    line.read("input", 256, 2)


def test_files_of_a_tls_line_are_told_together(tmp_path: Path) -> None:
    spec = LineSpec("tls", ca=str(tmp_path / "none.pem"), certificate=str(tmp_path / "no.pem"))
    with pytest.raises(InputProblems) as caught:
        Line(spec)
    assert [p.place for p in caught.value.problems] == ["ca", "certificate"]
    assert "does not exist" in caught.value.problems[0].value


def test_plain_speech_is_not_answered_under_tls(certificates: dict[str, Identity]) -> None:
    with (
        served(tls=server_context(certificates["device"])) as (_, endpoint),
        _closing(Line(LineSpec(port=endpoint.port, timeout_s=0.5))) as line,
        pytest.raises((LineDown, Garbage, NoAnswer)),
    ):
        line.read("input", 0, 1)


def test_units_of_one_gateway_share_its_connection() -> None:
    bank = storage_bank(storage_map(), n=2, units=(1, 2))
    endpoint = Endpoint("127.0.0.1", free_port(), 0, 2)
    with serving(bank, "portable", [endpoint]) as server:
        spec = LineSpec(port=endpoint.port, timeout_s=TIMEOUT_S)
        wire = Wire(spec)
        lines = [Line(replace(spec, unit=unit), wire=wire) for unit in (1, 2)]
        assert [identity_of(one)["application"] for one in lines] == ["rack-0", "rack-1"]
        assert server.stats()["open"] == 1
        wire.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_process_with_thousands_of_sockets_can_have_a_bench(
    transport: str, certificates: dict[str, Identity]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MANY + 200
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    with line_to(transport, certificates) as (_, line, _), contextlib.ExitStack() as stack:
        line.close()
        first = os.open(os.devnull, os.O_RDONLY)
        stack.callback(os.close, first)
        while (taken := os.dup(first)) < MANY:
            stack.callback(os.close, taken)
        os.close(taken)
        if transport == "rtu":
            with pytest.raises(LineDown, match="open the line before thousands of sockets"):
                line.read("input", 256, 2)
            return
        assert line.read("input", 256, 2) == [0, 5000]  # by a connection beyond them all
        line.write("holding", 0, [0, 100])


def test_two_threads_on_one_line_get_their_own_answers() -> None:
    spec = LineSpec(timeout_s=TIMEOUT_S)
    with served() as (_, endpoint), _closing(Line(replace(spec, port=endpoint.port))) as line:
        wrong: list[object] = []

        def ask(address: int, expected: list[int]) -> None:
            for _ in range(100):
                if (got := line.read("input", address, 2)) != expected:
                    wrong.append(got)

        threads = [
            threading.Thread(target=ask, args=args)
            for args in ((256, [0, 5000]), (258, [0, 10000]))
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert wrong == []


@contextmanager
def _closing(line: Line) -> Iterator[Line]:
    try:
        yield line
    finally:
        line.close()
