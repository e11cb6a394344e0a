"""``hil`` as its users call it: in a process of its own, on wall time, with their own clients."""

from __future__ import annotations

import csv
import json
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from hil.testbed.places import COLUMNS
from tests.testbed.conftest import Call
from tests.testbed.processes import hil_process, summary, wait_for
from tests.testbed.world import new_port

pytestmark = [pytest.mark.paced, pytest.mark.timeout(120)]

RATE = 600
STORAGE = ("--kinds", "storage")
# A quarter of an hour of first-contact's order, on the clock's own quarter.


def order(start: str, notice: str, begin: str, full_by: str, over: str, end: str) -> list[str]:
    """Return options that move first-contact and its order to these times."""
    times = {
        "start": start, "end": end, "orders.0.notice": notice, "orders.0.start": begin,
        "orders.0.full_by": full_by, "orders.0.end": over,
    }  # fmt: skip
    return [word for k, v in times.items() for word in ("--set", f'{k}="{v}"')]


# A quarter of an hour of the order, on the clock's own quarter; and some minutes of it.
QUARTER = order("08:40", "08:42", "08:43", "08:45", "09:00", "09:02")
BRIEF = order("08:40", "08:41", "08:42", "08:43", "08:46", "08:48")
ORDER_AT, FIELDS = 256, 8  # of the dispatcher's unit: number, revision, ..., MW, ..., state


def port() -> tuple[str, str]:
    return "--set", f"wire.port={new_port()}"


def client_of(row: dict[str, object]) -> ModbusTcpClient:
    return ModbusTcpClient(str(row["address"]), port=int(str(row["port"])), timeout=1.0, retries=0)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_on_a_signal_with_its_counts(tmp_path: Path, end: signal.Signals) -> None:
    words = ("serve", "tiny", *STORAGE, *port(), "--json", "--inventory", "new/devices.csv")
    with hil_process(tmp_path, *words, "--reliable") as serve:
        devices = serve.listening()
        assert [d["kind"] for d in devices] == ["dispatcher"] + ["storage"] * 6
        with (tmp_path / "new/devices.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert tuple(rows[0]) == tuple(devices[0]) == COLUMNS
        assert rows == [{k: str(v) for k, v in d.items()} for d in devices]
        with client_of(devices[0]) as client:
            for _ in range(3):
                assert not client.read_input_registers(0, count=10, device_id=1).isError()
            assert not client.write_register(0, 1, device_id=1).isError()
            assert client.write_register(9_999, 1, device_id=1).exception_code == 2
        serve.tell(end)
        status, _, errors = serve.ended()
    assert status == 0, errors
    assert "served 3 reads, 1 writes, 1 refused; " in errors
    assert "Traceback" not in errors


def test_serve_for_a_duration_shows_the_last_moment_to_the_end(tmp_path: Path) -> None:
    words = (
        "serve", "first-contact", *port(), *STORAGE, "--rate", RATE, "--duration", "4",
        *order("08:40", "08:41", "08:41", "08:41", "08:42", "08:43"), "--out", "kept", "--json",
    )  # fmt: skip
    begun = time.monotonic()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/orders.jsonl").write_text("of an earlier time\n")
    with hil_process(tmp_path, *words) as serve:
        devices = serve.listening()
        with client_of(devices[0]) as client:

            def over() -> bool:
                words = client.read_input_registers(0, count=2, device_id=1).registers
                return bool(words[0] * 65_536 + words[1] == (8 * 60 + 43) * 60)

            wait_for(over)
            assert client.read_input_registers(ORDER_AT, count=1, device_id=1).registers == [1]
            assert over()
        status, _, errors = serve.ended()
    assert time.monotonic() - begun > 4.0
    assert status == 0, errors
    (line,) = (tmp_path / "kept/orders.jsonl").read_text("utf-8").splitlines()
    assert (json.loads(line)["id"], json.loads(line)["at"]) == ("dr-3", "08:41")
    with (tmp_path / "kept/served.csv").open(encoding="utf-8-sig", newline="") as file:
        served = list(csv.DictReader(file))
    assert [r["name"] for r in served] == [d["name"] for d in devices]
    assert int(served[0]["reads"]) >= 3


def test_serve_says_in_a_table_what_listens(tmp_path: Path) -> None:
    words = ("serve", "tiny", *port(), "--duration", "0.5", "--kinds", "storage,meter")
    with hil_process(tmp_path, *words) as serve:
        status, out, errors = serve.ended()
    assert status == 0, errors
    assert [x.split()[:2] for x in out.splitlines() if "127.16" in x] == [
        ["dispatcher", "1"], ["storage", "6"], ["meter", "62"],
    ]  # fmt: skip
    assert "69 devices; Ctrl-C ends." in out


def test_serve_interrupted_before_anything_listens(
    hil: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hil.cli.serving.calibrated", stop)
    monkeypatch.chdir(tmp_path)
    said = hil("serve", "tiny", *port(), "--out", "kept")
    assert said.status == 3
    assert "interrupted before anything was served" in said.err
    assert list(tmp_path.iterdir()) == []


def test_poll_shows_live_values(hil: Call, tmp_path: Path) -> None:
    words = ("serve", "tiny", *port(), "--json", "--inventory", "devices.csv", "--reliable")
    with hil_process(tmp_path, *words) as serve:
        devices = serve.listening()
        file = tmp_path / "devices.csv"
        shown = hil("poll", file, "--json", "--rounds", 2, "--seconds", 0.1)
        assert shown.status == 0, shown.err
        rounds = [json.loads(line) for line in shown.out.splitlines()]
        assert len(rounds) == 2
        assert set(rounds[0]) == {d["name"] for d in devices if d["kind"] != "dispatcher"}
        assert {one["quality"] for one in rounds[0].values()} == {"good"}
        assert 0.0 < rounds[0]["storage-00000"]["soc"] < 1.0
        lines = hil("poll", file, "--kind", "storage").out.splitlines()
        assert lines[0] == "storage"
        assert [x.split()[:2] for x in lines[1:]] == [
            [f"storage-{i:05d}", "good"] for i in range(6)
        ]
        one = hil("poll", file, "--name", "meter-00003").out.splitlines()
        assert len(one) == 2
        assert "demand_kw" in one[1]
        serve.tell(signal.SIGTERM)
        status, _, errors = serve.ended()
    assert status == 0, errors


def test_poll_says_who_does_not_answer(hil: Call, tmp_path: Path) -> None:
    head = ",".join(COLUMNS)
    (tmp_path / "devices.csv").write_text(
        f"{head}\nx,storage,,127.16.0.9,{new_port()},1,storage-own\n"
    )
    shown = hil("poll", tmp_path / "devices.csv", "--json")
    assert shown.status == 0, shown.err
    assert json.loads(shown.out)["x"]["quality"] == "missing"


# -- judged ----------------------------------------------------------------------------------


class Obedient(threading.Thread):
    """A platform that shares the order over storage while it is in force, in every pass."""

    def __init__(self, devices: list[dict[str, object]]) -> None:
        super().__init__(daemon=True)
        self.devices = devices
        self.going = True
        self.seen: set[int] = set()

    def run(self) -> None:
        with ExitStack() as stack:
            dispatcher = stack.enter_context(client_of(self.devices[0]))
            stations = [stack.enter_context(client_of(d)) for d in self.devices[1:]]
            try:
                rated = [
                    c.read_input_registers(256, count=2, device_id=1).registers for c in stations
                ]
                while self.going:
                    words = dispatcher.read_input_registers(ORDER_AT, count=FIELDS, device_id=1)
                    self.seen.add(words.registers[0])
                    if words.registers[7] not in (3, 4):
                        continue
                    for client, (high, low) in zip(stations, rated, strict=True):
                        raw = (high * 65_536 + low) // 4 if words.registers[7] == 3 else 0
                        client.write_registers(0, [raw >> 16, raw & 0xFFFF], device_id=1)
            except (ModbusException, OSError, AttributeError):
                return  # the other side has ended


@pytest.mark.parametrize("obedient", [False, True])
def test_rerun_judges_against_a_pass_without_the_announcement(
    tmp_path: Path, obedient: bool
) -> None:
    words = (
        "serve", "first-contact", *QUARTER, *STORAGE, *port(), "--rate", RATE, "--judge", "--json",
        "--counterfactual", "rerun", "--strict", "--reliable", "--out", "run",
    )  # fmt: skip
    with hil_process(tmp_path, *words) as serve:
        platform = Obedient(serve.listening())
        if obedient:
            platform.start()
        status, out, errors = serve.ended()
        platform.going = False
        if obedient:
            platform.join(10.0)
            assert platform.seen == {0, 1}
    found = summary(tmp_path / "run")
    assert found["complete"], errors
    assert found["carrier"] == "wire"
    delivered = next(v for v in found["verdicts"] if v["id"] == "dr.delivered")
    pq.read_table(tmp_path / "run/writes.parquet")
    (line,) = (tmp_path / "run/orders.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["notice"] == "08:42"
    if obedient:
        # A quarter of 12 MW is the order: judged against a pass in which it was announced as
        # well, nothing would have been delivered.
        assert delivered["value"] == pytest.approx(100.0, abs=10.0)
        assert found["wire"]["writes"] > 0
        return
    assert status == 1, out + errors
    assert delivered["passed"] is False
    assert delivered["value"] == pytest.approx(0.0, abs=1.0)
    assert found["wire"]["writes"] == 0
    assert found["wire"]["acknowledged"] == {"dr-3": False}


@pytest.mark.parametrize("address", ["port", "unit"])
def test_our_head_end_runs_in_every_addressing_and_the_run_replays(
    hil: Call, tmp_path: Path, address: str
) -> None:
    words = (
        "run", "first-contact", *BRIEF, "--address", address, "--rate", 240, "--out", "run",
        "--set", f"wire.port={new_port(100)}", "--set", "wire.units_per_gateway=7",
    )  # fmt: skip
    with hil_process(tmp_path, *words) as run:
        status, out, errors = run.ended()
    assert status == 0, out + errors
    found = summary(tmp_path / "run")
    assert found["complete"]
    assert found["wire"]["reads"] > 0
    assert found["wire"]["writes"] > 0
    pacing = found["wire"]["pacing"]
    assert (pacing["rate"], pacing["ticks"]) == (240.0, 8 * 60 + 1)
    assert set(pacing) == {
        "rate", "ticks", "lateness_p50_ms", "lateness_p99_ms", "lateness_max_ms", "overruns",
        "drift_ms", "lateness_limit_ms", "within_limit",
    }  # fmt: skip
    where = pq.read_table(tmp_path / "run/devices.parquet").to_pydict()
    if address == "port":
        assert set(where["address"]) == {"127.0.0.1"}
        assert len(set(where["port"])) == len(where["port"])
    else:
        assert len(set(where["port"])) == 1
        assert max(where["unit"]) == 7
    assert (tmp_path / "run/report.html").stat().st_size > 100_000
    said = hil("replay", tmp_path / "run")
    assert said.status == 0, said.out
    assert "bit for bit" in said.out
