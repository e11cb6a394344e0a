"""A look at a bench that writes nothing: what it finds, from Python and from the command line."""

from __future__ import annotations

import json
import struct
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hil.bench.assembly import device_of, lines_of, permit_of
from hil.bench.clock import WallClock
from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.errors import Forbidden, Garbage, LineDown, NoAnswer
from hil.bench.files import load_bench
from hil.bench.journal import Journal, NoJournal
from hil.bench.survey import survey
from hil.certify.hostile import LIES, HostileServer
from hil.registers.files import check_map
from hil.registers.schema import RegisterMap
from hil.server import Endpoint, SerialLine, SerialServer, WireManner
from hil.server.tls import make_identity, server_context
from tests.bench.rack import (
    CAPACITY_KWH,
    RATED_KW,
    device,
    entries,
    served,
    storage_bank,
    storage_map,
)
from tests.bench.sloppy import SloppyLine
from tests.server.serving import free_port, null_modem
from twin.errors import InputProblems

PLATE = {"rated_kw": RATED_KW, "capacity_kwh": CAPACITY_KWH}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.jsonl") as one:
        yield one


# -- a look that writes nothing --------------------------------------------------------------------


def looked_at(endpoint: Endpoint, one: RegisterMap, timeout_s: float = 3.0) -> list[str]:
    made = device(endpoint, NoJournal(), one=one, timeout_s=timeout_s)
    try:
        return [f"{f.place}: {f.text}" for f in survey(made, PLATE).findings if f.wrong]
    finally:
        made.line.close()


def changed(change: Callable[[dict[str, Any]], None], name: str = "storage-own") -> RegisterMap:
    data = storage_map(name).model_dump(by_alias=True)
    change(data)
    return check_map(data, "changed")


def point_of(data: dict[str, Any], name: str) -> dict[str, Any]:
    return next(p for p in data["points"] if p["name"] == name)


def test_nothing_is_found_where_map_and_device_fit() -> None:
    for name in ("storage-own", "storage-sunspec-1xx", "storage-sunspec-7xx"):
        with served(storage_map(name), power_kw=-321.0) as (_, endpoint):
            assert looked_at(endpoint, storage_map(name)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: point_of(d, "rated_kw").update(scale=1.0),
         "rated_kw: shows 5000 kW where 500 kW is expected; that is 10 times as much"),
        (lambda d: point_of(d, "capacity_kwh").update(order="CDAB"),
         "order ABCD instead of CDAB would give it"),
        (lambda d: point_of(d, "soc").update(scale=1.0),
         "soc: shows 500 %, which lies outside -1 to 101 %"),
        (lambda d: point_of(d, "power_kw").update(order="CDAB"), "power_kw: shows"),
        (lambda d: point_of(d, "rated_kw").update(address=300),
         "input 300 to 301: refused with exception 2; the map has rated_kw there"),
    ],
    ids=["factor 10", "word order", "factor in range", "order of power", "address"],
)  # fmt: skip
def test_a_map_that_does_not_fit_is_a_clear_finding(
    change: Callable[[dict[str, Any]], None], said: str
) -> None:
    with served(power_kw=100.0) as (_, endpoint):
        found = looked_at(endpoint, changed(change))
        assert any(said in text for text in found), found


def test_another_device_than_the_bench_file_names_is_found() -> None:
    with served() as (_, endpoint):
        made = device(endpoint, NoJournal())
        right = {"vendor": "suitwin", "application": "rack-0"}
        assert survey(made, PLATE, right).well
        found = survey(made, PLATE, {"vendor": "somebody", "url": "x"})
        assert [f.text for f in found.findings if f.wrong] == [
            "vendor is 'suitwin'; the bench file says 'somebody'",
            "url is nothing; the bench file says 'x'",
        ]
        made.line.close()


def test_the_map_of_something_else_is_found() -> None:
    with served() as (_, endpoint):
        found = looked_at(endpoint, storage_map("storage-sunspec-7xx"))
        assert any("the map has sunspec, m1.ID" in text for text in found)
    with served(storage_map("storage-sunspec-1xx")) as (_, endpoint):
        found = looked_at(endpoint, storage_map("storage-sunspec-7xx"))
        assert any("m701.ID: shows" in text and "701 is expected" in text for text in found)


def test_a_dead_port_a_silent_and_a_lying_device_are_findings() -> None:
    dead = Endpoint("127.0.0.1", free_port(), 0)
    assert "cannot be opened" in looked_at(dead, storage_map())[0]
    with served(manners={0: WireManner(no_answer_share=1.0)}) as (_, endpoint):
        found = looked_at(endpoint, storage_map(), 0.2)
        assert len(found) == 2, "it is given up after two requests"
        assert "no answer within 0.2 s" in found[0]
    for lie in (LIES[0], LIES[4], LIES[-1]):
        with HostileServer(lie, lambda q: q[:4] + struct.pack(">HBBB", 3, q[6], q[7], 0)) as liar:
            found = looked_at(Endpoint("127.0.0.1", liar.port, 0), storage_map(), 0.2)
            assert found, lie.name


def test_a_device_that_hangs_up_when_asked_who_it_is_is_read_all_the_same() -> None:
    class Shy(SloppyLine):
        def raw(self, function: int, data: bytes) -> bytes:
            raise LineDown(self.name, "the other end has closed the connection")

    one = storage_map()
    made = BenchDevice("d", "storage", one, Shy(one), Envelope(-1, 1), NoJournal(), WallClock())
    found = survey(made)
    assert found.well
    assert [f.text for f in found.findings] == [
        "in memory: the other end has closed the connection"
    ]
    assert len(found.samples) == len(one.points)


def test_whatever_answers_garbage_never_breaks_a_read(journal: Journal) -> None:
    with HostileServer(LIES[3], lambda q: q[:4] + struct.pack(">HBBB", 3, q[6], q[7], 0)) as liar:
        one = device(Endpoint("127.0.0.1", liar.port, 0), journal, timeout_s=0.2)
        with pytest.raises((Garbage, NoAnswer, LineDown)):
            one.read()
        with pytest.raises((Garbage, NoAnswer, LineDown)):
            one.to_safe_state("test")
        one.line.close()
    assert entries(journal.path, "safe_state")
    assert entries(journal.path, "answer")[0]["outcome"] != "accepted"


# -- the command line ------------------------------------------------------------------------------

BENCH = """
name = "lab"
[[devices]]
name = "bess"
map = "{map}"
transport = "tcp"
host = "127.0.0.1"
port = {port}
rated_kw = 500.0
timeout_s = 3.0
[[instruments]]
name = "meter"
driver = "meter_fake"
[[instruments]]
name = "source"
driver = "source_scpi"
host = "127.0.0.1"
port = {dead}
timeout_s = 0.2
nominal_v = 230
low_pu = 0.9
high_pu = 1.1
low_hz = 49
high_hz = 51
ramp_pu_s = 0.1
ramp_hz_s = 1.0
class_pct = 0.5
frequency_error_hz = 0.01
"""


def command(folder: Path, *args: str, **fill: object) -> tuple[int, str]:
    path = folder / "bench.toml"
    path.write_text(BENCH.format(**{"map": "storage-own", "dead": free_port(), **fill}))
    from hil.cli import app

    result = CliRunner().invoke(app, ["bench", args[0], str(path), *args[1:]])
    assert result.exception is None or isinstance(result.exception, SystemExit | InputProblems)
    return result.exit_code, result.output


def test_check_says_what_it_finds(tmp_path: Path) -> None:
    with served() as (_, endpoint):
        status, text = command(tmp_path, "check", port=endpoint.port)
        assert status == 1, "the source is not there"
        assert "ok bess: 127.0.0.1" in text
        assert "ok meter: " in text
        assert "wrong source: " in text
        assert "hardware emergency stop" in text.replace("\n", " ")
        assert "runs dry only" in text
        status, text = command(tmp_path, "check", port=endpoint.port, map="solar-sunspec-7xx")
        assert status == 1
        assert "wrong bess" in text
        status, text = command(tmp_path, "check", "--json", "bess", port=endpoint.port)
        told = json.loads(text[text.index("{") :])
        assert told["devices"][0]["well"] is True
        assert told["devices"][0]["identity"]["vendor"] == "suitwin"


def test_read_shows_every_point(tmp_path: Path) -> None:
    with served(power_kw=12.5) as (_, endpoint):
        status, text = command(tmp_path, "read", "bess", port=endpoint.port)
        assert status == 0
        assert "12.5" in text
        assert "荷电状态" in text
        status, text = command(tmp_path, "read", "--json", port=endpoint.port)
        assert json.loads(text[text.index("{") :])["bess"]["soc"]["value"] == 50.0
        status, text = command(tmp_path, "read", "bes", port=endpoint.port)
        assert status != 0
    status, text = command(tmp_path, "read", port=free_port())
    assert status == 1
    assert "cannot be opened: Connection refused" in text


def test_the_example_and_the_schema_are_what_is_read(tmp_path: Path) -> None:
    from hil.cli import app

    text = CliRunner().invoke(app, ["bench", "example"]).output
    path = tmp_path / "bench.toml"
    path.write_text(text, encoding="utf-8")
    assert load_bench(path).dry_only
    path.write_text(text.replace("# emergency_stop", "emergency_stop"), encoding="utf-8")
    assert not load_bench(path).dry_only
    schema = json.loads(CliRunner().invoke(app, ["bench", "schema"]).output)
    assert set(tomllib.loads(text)) <= set(schema["properties"])


def test_one_bench_by_tcp_tls_and_a_serial_line(tmp_path: Path, journal: Journal) -> None:
    identity = make_identity(tmp_path, "device")
    with served() as (_, plain), served(tls=server_context(identity)) as (_, secret):
        bank = storage_bank(storage_map(), n=2, units=(1, 2))
        with null_modem() as (ours, theirs):
            wired = SerialLine(ours, 115_200)
            arrays, layout = bank.arrays, bank.compiled.layout
            with SerialServer(arrays, layout, wired, {1: 0, 2: 1}, lane=1):
                head = "[[devices]]\nmap = 'storage-own'\nrated_kw = 500\n"
                rtu = f"transport = 'rtu'\nserial = '{theirs}'\nbaud = 115200\n"
                path = tmp_path / "bench.toml"
                here = "host = '127.0.0.1'\nport ="
                path.write_text(
                    f"name = 'lab'\n{head}name = 'a'\ntransport = 'tcp'\n{here} {plain.port}\n"
                    f"{head}name = 'b'\ntransport = 'tls'\n{here} {secret.port}\n"
                    f"ca = '{identity.certificate.name}'\n"
                    f"{head}name = 'c'\nunit = 1\n{rtu}{head}name = 'd'\nunit = 2\n{rtu}"
                )
                bench = load_bench(path)
                lines = lines_of(bench.devices)
                for entry in bench.devices:
                    line = lines[entry.name]
                    made = device_of(entry, line, journal, WallClock(), permit_of(bench))
                    found = survey(made, {"rated_kw": 500.0})
                    assert found.findings == ()
                    assert len(found.samples) == len(storage_map().points)
                for line in lines.values():
                    line.close()


def test_a_bench_device_cannot_be_written_from_a_look() -> None:
    with served() as (_, endpoint):
        made = device(endpoint, NoJournal())
        with pytest.raises(Forbidden):
            made.write("set_heartbeat", 1.0)
        made.line.close()
