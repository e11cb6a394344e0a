"""``hil record`` and ``hil fit``, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hil.bench.recording import load_recording
from hil.testbed.exercise import EXERCISES
from hil.testbed.stage import Stage
from tests.bench.fit_world import STEPS, recording_text
from tests.testbed.conftest import Call


def test_a_recording_becomes_a_map_that_checks_and_a_fit_with_residuals(
    hil: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXERCISES, "power_kw", STEPS)  # a shorter one
    recording, out = tmp_path / "rec.csv", tmp_path / "new" / "fit"
    recording.write_text(recording_text("storage-own", 20)[0], "utf-8")
    said = hil("fit", recording, "--kind", "storage", "--name", "lab-bess", "--out", out)
    assert said.status == 0, said.err
    for words in ("capacity_kwh =", "ramp_kw_s =", "residual of the energy balance",
                  "the twin beside the recording", "not told"):  # fmt: skip
        assert words in said.out
    assert hil("map", "check", out / "lab-bess.json").status == 0
    told = json.loads((out / "fit.json").read_text("utf-8"))
    assert told["residuals"]["replay_soc_rms"] < 0.002
    assert {p.name for p in out.iterdir()} == {
        "lab-bess.json", "fit.json", "fleet.csv", "parameters.toml"}  # fmt: skip

    # The twin with the fitted map and parameters, recorded in its turn, is the same device.
    again = tmp_path / "again.csv"
    device = f"emulated:storage:{out / 'lab-bess.json'}"
    said = hil("record", device, "--out", again, "--every", 30, "--parameters",
               out / "parameters.toml")  # fmt: skip
    assert said.status == 0, said.err
    assert hil("fit", again, "--kind", "storage", "--out", tmp_path / "b").status == 0
    capacities = [
        next(f["value"] for f in json.loads(path.read_text("utf-8"))["figures"]
             if f["name"] == "capacity_kwh")
        for path in (out / "fit.json", tmp_path / "b" / "fit.json")
    ]  # fmt: skip
    # Both by a SOC sensor of class 2 %.
    assert capacities[0] == pytest.approx(capacities[1], rel=0.02)


def test_everything_wrong_with_a_call_of_fit_is_said_at_once(hil: Call, tmp_path: Path) -> None:
    recording = tmp_path / "rec.csv"
    recording.write_text("time_s,event,table,address,words,point,value\n1,reference,,,,soc,1\n")
    (tmp_path / "file").write_text("")
    said = hil(
        "fit", recording, "--kind", "storge", "--name", "Lab Bess", "--out", tmp_path / "file",
        "--nameplate", "rated_kw=many",
    )  # fmt: skip
    assert said.status == 2
    assert len(said.problems) == 4
    for words in ("did you mean storage", "small letters", "is a file", "NAME=NUMBER"):
        assert any(words in problem for problem in said.problems), words
    said = hil("fit", recording)
    assert said.status == 2
    assert "--kind" in said.problems[0]
    said = hil("fit", recording, "--kind", "storage")
    assert said.status == 2
    assert "no reference at all" in said.problems[0]
    assert hil("fit", tmp_path / "none.csv").status == 2


def test_parameters_belong_to_emulated_storage(hil: Call, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[linear]\nvalue = 0.0\nsource = "x"\ngrade = "D"\n')
    out = tmp_path / "r.csv"
    said = hil("record", "emulated:solar", "--out", out, "--parameters", path)
    assert said.status == 2
    assert "of kind storage only" in said.problems[0]
    said = hil("record", "b.toml:x", "--out", out, "--parameters", path)
    assert "a bench device is what it is" in said.problems[0]
    assert not out.exists()


def test_a_device_without_a_power_order_is_watched(hil: Call, tmp_path: Path) -> None:
    out = tmp_path / "rec.csv"
    said = hil("record", "emulated:terminal", "--out", out, "--every", 60)
    assert said.status == 0, said.err
    assert "time-compressed" in said.out
    found = load_recording(out)
    assert found.nameplate["rated_kw"] == 1000.0
    assert len(found.references["power_kw"][0]) > 20
    again = hil("record", "emulated:terminal", "--out", out)
    assert again.status == 2
    assert "a new file" in again.problems[0]


BENCH = """
name = "lab"

[[devices]]
name = "bess"
map = "storage-own"
transport = "tcp"
host = "127.0.0.1"
port = {port}
rated_kw = 250.0
capacity_kwh = 522.0

[[instruments]]
name = "pcc"
driver = "meter_fake"
device = "bess"
power_kw = -1.5
"""


def test_a_bench_device_is_recorded_and_only_read(hil: Call, tmp_path: Path) -> None:
    bench, out = tmp_path / "bench.toml", tmp_path / "rec.csv"
    with Stage("storage") as stage:
        bench.write_text(BENCH.format(port=stage.spec.port), "utf-8")
        said = hil("record", f"{bench}:bess", "--out", out, "--minutes", 0.01, "--every", 0.1)
        assert said.status == 0, said.err
        raw = tmp_path / "raw.csv"
        said_raw = hil("record", f"{bench}:bess", "--out", raw, "--minutes", 0.003, "--every", 0.1,
                       "--blocks", "input:0-15", "--blocks", "coil:0")  # fmt: skip
        assert said_raw.status == 0, said_raw.err
        assert stage.field.counts()["writes"].sum() == 0
    assert [(b.table, b.count) for b in load_recording(raw).blocks] == [("coil", 1), ("input", 16)]
    assert "emergency stop" in said.err
    assert "0 readings were lost" in said.out
    found = load_recording(out)
    assert found.nameplate == {"rated_kw": 250.0, "capacity_kwh": 522.0}
    assert set(found.references["power_kw"][1].tolist()) == {-1.5}
    assert found.writes == []
    # With nobody there, what is lost is counted and said.
    said = hil("record", f"{bench}:bess", "--out", tmp_path / "b.csv", "--minutes", 0.003,
               "--every", 0.1)  # fmt: skip
    assert said.status == 0
    assert "0 readings were lost" not in said.out


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("emulated:storge", "did you mean storage"),
        ("storage", "emulated:KIND"),
        ("bench.toml:bess", "bench.toml"),
    ],
)
def test_a_device_that_is_none(hil: Call, tmp_path: Path, device: str, said: str) -> None:
    answer = hil("record", device, "--out", tmp_path / "r.csv", "--minutes", 1)
    assert answer.status == 2
    assert said in answer.problems[0]
    assert not (tmp_path / "r.csv").exists()
    wrong = hil("record", device, "--out", tmp_path, "--minutes", -1, "--every", 0)
    assert len(wrong.problems) >= 3
    spans = [w for b in ("inputs:0-4", "input:9-4", "input:x", "input:0-125") for w in
             ("--blocks", b)]  # fmt: skip
    wrong = hil("record", device, "--out", tmp_path / "r.csv", *spans)
    assert sum("at most 125 addresses" in problem for problem in wrong.problems) == 4
