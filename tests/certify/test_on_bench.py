"""A device of a bench file, under guard, on real sockets: a stage in wall time stands in for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.bench.errors import Forbidden
from hil.bench.journal import read_journal
from hil.certify.evidence import sha256_of
from hil.certify.measurement import Measurement, Outcome
from hil.certify.measurement import Path as Way
from hil.certify.named import named
from hil.certify.on_bench import on_bench
from hil.certify.procedure import Context, Procedure, Step, Suite
from hil.certify.record import read_record
from hil.certify.runner import certify, seal
from hil.testbed.stage import Stage
from tests.bench.guarding import RATE, bench_text
from tests.certify.suite_runs import on, taken
from twin.errors import InputProblems, RunBroken

WIRE = Way("wire", "a test")
METER = """
[[instruments]]
name = "wattmeter"
driver = "meter_fake"
device = "battery"
sampling_s = 1.0
"""


@pytest.fixture(scope="module")
def battery() -> Iterator[Stage]:
    with Stage("storage", state={"soc": 0.6}) as stage, stage.live(RATE):
        yield stage


def bench_file(folder: Path, stage: Stage, **more: str) -> Path:
    path = folder / "bench.toml"
    path.write_text(bench_text(stage, **more), encoding="utf-8")
    return path


def suite(*steps: Step) -> Suite:
    ids = [id for step in steps for id in step.takes]
    every = [Measurement(i, i, i, "", 1.0, "<=", "", "a test", "assumed") for i in ids]
    procedure = Procedure("only", "Only", "唯一", every, steps)
    return Suite("test", "Test", "试验", lambda subject: [procedure])


def test_hardware_is_certified_under_guard(battery: Stage, tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = bench_file(tmp_path, battery, more=METER)
    with on_bench(path, "battery", out / "journal.jsonl") as subject:
        assert subject.evidence == "hardware"
        assert subject.meter is not None
        record = on(subject, "protocol", out, "functions", "exceptions", "identity")
    assert record.outcome is Outcome.PASS
    assert record.title == "Modbus protocol, tested on hardware"
    assert record.title_zh.endswith("（实物设备）")
    assert record.subject.time == "wall clock"
    assert record.bench["sha256"] == sha256_of(path)
    assert [i.name for i in record.instruments] == ["wattmeter"]
    # The guard's proof comes after the run; the sealed record names the journal with it.
    record = seal(record, out)
    journal = next(f for f in record.evidence if f.path == "journal.jsonl")
    assert journal.sha256 == sha256_of(out / "journal.jsonl")
    assert read_record(out / "record.json") == record
    said = [(e["by"], e["entry"]) for e in read_journal(out / "journal.jsonl")]
    assert ("guard", "read_back") in said
    # What a procedure sends by itself is on the disk as well: each frame that went out is there.
    raw = [e["hex"] for e in read_journal(out / "journal.jsonl") if e["entry"] == "raw"]
    assert len(raw) > 0


def test_a_bench_without_emergency_stop_is_only_read(battery: Stage, tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = bench_file(tmp_path, battery, top="# emergency_stop: none")
    with on_bench(path, "battery", out / "journal.jsonl") as subject:
        assert not subject.may_write
        with pytest.raises(Forbidden, match="emergency_stop"):
            subject.device.command("power_kw", 10.0)
        found = taken(on(subject, "register-map", out, "addresses", "access"))
        wild = taken(on(subject, "robustness", tmp_path / "wild"))
    assert found["points_missing"].outcome is Outcome.PASS
    assert {one.outcome for one in wild.values()} == {Outcome.NOT_APPLICABLE}
    assert "dry" in wild["case_01"].note
    assert all(e["entry"] != "write" for e in read_journal(out / "journal.jsonl"))


def test_no_procedure_passes_the_benchs_limits(battery: Stage, tmp_path: Path) -> None:
    """Orders beyond what the bench allows are not sent, and what needs them stays open."""
    out = tmp_path / "run"
    text = bench_text(battery)
    narrow = text.replace("power_low_kw = -", "power_low_kw = -100.0 # -")
    narrow = narrow.replace("power_high_kw = ", "power_high_kw = 100.0 # ")
    assert narrow != text
    path = tmp_path / "bench.toml"
    path.write_text(narrow, encoding="utf-8")
    with on_bench(path, "battery", out / "journal.jsonl") as subject:

        def push(c: Context) -> None:
            done = c.subject.device.command("power_kw", 200.0)
            c.take("sent", float(str(done[-1].sent)) / 100.0, 0.0, WIRE)

        record = certify(suite(Step("push", push, ("sent",))), subject, out)
    assert record.outcome is Outcome.PASS
    assert any(e["entry"] == "limit_cut" for e in read_journal(out / "journal.jsonl"))


def test_a_guard_that_is_gone_ends_the_run(battery: Stage, tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = bench_file(tmp_path, battery)
    pid = 0

    def lose(c: Context) -> None:
        c.subject.device.command("power_kw", 20.0)
        os.kill(pid, signal.SIGKILL)
        for _ in range(200):
            c.subject.clock.sleep(0.05)

    done = []
    steps = (Step("lose", lose, ("a",)), Step("after", lambda c: done.append(c), ("b",)))

    def whole() -> None:
        nonlocal pid
        with on_bench(path, "battery", out / "journal.jsonl") as subject:
            entries = list(read_journal(out / "journal.jsonl"))
            pid = next(int(e["pid"]) for e in entries if e["entry"] == "note" and "pid" in e)
            certify(suite(*steps), subject, out)

    with pytest.raises(RunBroken):
        whole()
    assert done == []
    assert not (out / "steps/only/lose").exists()  # to be done again by --resume
    last = [e for e in read_journal(out / "journal.jsonl") if e["entry"] == "safe_state"]
    assert last
    assert battery.meter.power_kw().value < 20.0


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("emulated:storag", "did you mean storage"),
        ("emulated:storage:storage-owm", "storage-owm"),
        ("broken:power-by-tn", "did you mean power-by-ten"),
        ("good:storag", "did you mean storage"),
        ("battery", r"emulated:KIND.*broken:NAME.*bench\.toml:NAME"),
    ],
)
def test_a_device_that_is_not_there(device: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputProblems, match=told), named(device, tmp_path / "j.jsonl"):
        pass


def test_benches_that_cannot_be(battery: Stage, tmp_path: Path) -> None:
    path = bench_file(tmp_path, battery)
    for device, told in (
        (f"{path}:batery", "did you mean battery"),
        (f"{tmp_path}/nowhere.toml:battery", r"nowhere\.toml"),
    ):
        with pytest.raises(InputProblems, match=told), named(device, tmp_path / "j.jsonl"):
            pass
    with pytest.raises(InputProblems, match="transport: rs232; allowed: tcp, tls, rtu"):
        named("emulated:storage", tmp_path / "j.jsonl", transport="rs232")
    path.write_text(bench_text(battery, port=9), encoding="utf-8")  # nobody listens there
    with pytest.raises(InputProblems, match="guard"), named(f"{path}:battery", tmp_path / "j"):
        pass


@pytest.mark.parametrize("device", ["broken:power-by-ten", "good:storage", "emulated:solar"])
def test_devices_by_name(device: str, tmp_path: Path) -> None:
    with named(device, tmp_path / "j.jsonl", seed=2) as subject:
        assert subject.evidence == "emulated"
        assert subject.device.read_twin(["power_kw"])
