from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hil.bench.frames import FrameLog
from hil.bench.line import LineSpec
from hil.certify.emulated import emulated
from hil.certify.measurement import Outcome
from hil.certify.runner import certify
from hil.certify.suites import robustness
from hil.certify.wire import GARBLED, Talk, crc16
from hil.server import WireManner
from tests.certify.suite_runs import failed, on, run, taken, with_outcome


@pytest.mark.parametrize(
    ("transport", "only"),
    [
        ("tcp", ()),
        ("tls", ("functions", "exceptions", "identity", "answers", "pipelining", "splitting")),
        ("rtu", ("functions", "exceptions", "identity", "answers", "line", "units")),
    ],
)
def test_a_good_device_passes_on_every_line(
    transport: str, only: tuple[str, ...], tmp_path: Path
) -> None:
    found = run("protocol", "storage", tmp_path / "run", *only, transport=transport)
    assert with_outcome(found, Outcome.PASS) == [i for i in found if i != "answer_time_longest"]
    assert ("pipelined" in found) == (transport != "rtu")
    assert ("wrong_checksum" in found) == (transport == "rtu")


@pytest.mark.parametrize(
    ("procedure", "wire", "id"),
    [
        ("connections", WireManner(max_clients=1), "connections"),
        ("answers", WireManner(disconnect_share=0.2), "hung_up"),
        ("answers", WireManner(exception=6, exception_share=0.2), "wrongly_refused"),
        ("exceptions", WireManner(exception=6), "unknown_function"),
    ],
)
def test_what_a_device_does_to_bytes_is_found(
    procedure: str, wire: WireManner, id: str, tmp_path: Path
) -> None:
    found = run("protocol", "storage", tmp_path / "run", procedure, wire=wire)
    assert found[id].outcome is Outcome.FAIL
    if procedure != "exceptions":
        assert failed(found) == [id]


def test_wrong_checksums_are_found_on_a_serial_line(tmp_path: Path) -> None:
    wire = WireManner(bad_crc_share=0.1)
    found = run("protocol", "storage", tmp_path / "run", "answers", wire=wire, transport="rtu")
    assert failed(found) == ["garbled"]


def test_a_connection_that_the_guard_holds_leaves_what_needs_another_open(tmp_path: Path) -> None:
    with emulated("storage", journal=tmp_path / "j.jsonl") as subject:
        held = replace(subject, spec=None)
        found = taken(on(held, "protocol", tmp_path / "run"))
        wild = taken(on(held, "robustness", tmp_path / "wild"))
    assert found["functions_missing"].outcome is Outcome.PASS
    assert not failed(found)
    assert found["connections"].outcome is Outcome.NOT_APPLICABLE
    assert {one.outcome for one in wild.values()} == {Outcome.NOT_APPLICABLE}


def test_a_checksum_is_the_standards() -> None:
    # MODBUS over Serial Line 1.02, 6.2.2: 02 07 has the checksum 41 12.
    assert crc16(b"\x02\x07").hex() == "4112"


# -- robustness ----------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "rtu"])
def test_the_twenty_inputs_do_nothing_to_a_good_device(transport: str, tmp_path: Path) -> None:
    found = run("robustness", "storage", tmp_path / "run", transport=transport)
    assert set(with_outcome(found, Outcome.PASS)) == set(found)
    assert len(found) == (17 if transport == "tcp" else 1)
    frames = (tmp_path / "run/steps/inputs").rglob("frames.jsonl")
    assert all(path.stat().st_size > 0 for path in frames)


def test_a_device_that_loses_good_requests_cannot_be_judged_so(tmp_path: Path) -> None:
    found = run("robustness", "storage", tmp_path / "run", wire=WireManner(drop_second=True))
    assert {one.outcome for one in found.values()} == {Outcome.INCONCLUSIVE}
    assert "loses good requests" in found["case_01"].note


@contextmanager
def obliging() -> Iterator[int]:
    """Serve a device that answers any read, one of no registers too."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(one: socket.socket) -> None:
        with one:
            while len(head := one.recv(8)) == 8:
                body = one.recv(max(int.from_bytes(head[4:6], "big") - 2, 0))
                size = 2 * int.from_bytes(body[2:4], "big")
                size = size if 0 < size <= 250 else 2
                refused = head[7] != 3 or len(body) < 4
                pdu = bytes([head[7] | 0x80, 1]) if refused else bytes([3, size, *bytes(size)])
                one.sendall(head[:4] + struct.pack(">HB", len(pdu) + 1, head[6]) + pdu)

    def accept() -> None:
        while True:
            try:
                one = listener.accept()[0]
            except OSError:
                return
            one.settimeout(1.0)
            threading.Thread(target=_quietly, args=(serve, one), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _quietly(serve: Callable[[socket.socket], None], one: socket.socket) -> None:
    with suppress(OSError):
        serve(one)


def test_a_device_that_answers_quantity_0_is_found(tmp_path: Path) -> None:
    suite = robustness.SUITE
    with (
        obliging() as port,
        emulated("storage", "storage-sunspec-7xx", journal=tmp_path / "j.jsonl") as subject,
    ):
        other = replace(subject, spec=LineSpec(host="127.0.0.1", port=port))
        steps = {s.name: s for s in suite.procedures(other)[0].steps}
        only = replace(suite.procedures(other)[0], steps=[steps["control"], steps["case-08"]])
        whole = replace(suite, procedures=lambda _: [only])
        found = taken(certify(whole, other, tmp_path / "run"))
    assert found["case_08"].outcome is Outcome.FAIL
    assert "quantity 0: answered as if it were right" in found["case_08"].note


def test_our_own_connection_tells_what_came(tmp_path: Path) -> None:
    with emulated("storage", journal=tmp_path / "j.jsonl", transport="rtu") as subject:
        assert subject.spec is not None
        subject.device.line.close()
        with Talk(subject.spec, FrameLog()) as talk:
            assert talk.ask(bytes([4, 0, 0, 0, 1])) is not None
            assert talk.ask(bytes([4, 0, 0, 0, 1]), unit=77, wait_s=0.2) is None
    with obliging() as port, Talk(LineSpec(host="127.0.0.1", port=port), FrameLog()) as talk:
        assert talk.ask(bytes([3, 0, 0, 0, 1])) == b"\x03\x02\x00\x00"
        assert talk.ask(bytes([99])) == bytes([0xE3, 1])
    assert GARBLED != b""
