"""A certification's folder is a recording: its frames, its meter, its nameplate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from pymodbus.framer.rtu import FramerRTU

from hil.bench.errors import Refused
from hil.bench.frames import FrameLog
from hil.bench.line import Line, LineSpec
from hil.bench.run_recording import is_run, load_run
from tests.bench.boxes import Registers, Time, modbus_box
from twin.errors import InputProblems

METER = [{"role": "meter", "name": "pcc", "driver": "meter_modbus"}]


def run_folder(root: Path, frames: Sequence[object], instruments: list[dict[str, str]]) -> Path:
    step = root / "steps" / "response" / "discharge"
    step.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in frames)
    (step / "frames.jsonl").write_text(text, "utf-8")
    (step / "power.csv").write_text("time_s,power_kw,half_width_kw\n1.0,5.5,0\n2.0,6,0\n", "utf-8")
    (step / "own.csv").write_text("time_s,power_kw,half_width_kw\n1.5,99,0\n", "utf-8")
    (step / "answers.csv").write_text("time_s,took_ms\n1.0,5\n", "utf-8")
    plate = {"rated_kw": 250.0}
    (root / "run.json").write_text(json.dumps({"kind": "storage", "nameplate": plate}), "utf-8")
    (root / "record.json").write_text(json.dumps({"instruments": instruments}), "utf-8")
    return root


def spoken() -> list[object]:
    """Return frames of a conversation over TCP: reads, a write, a refusal, an identity."""
    words = {("input", 0): 7, ("input", 1): 65535, ("holding", 3): 0, ("coil", 0): 1}
    clock = Time()
    log = FrameLog(clock=clock)
    with modbus_box(Registers(dict(words))) as port:
        line = Line(LineSpec(port=port), log)
        for _ in range(2):
            clock.sleep(1.0)
            line.read("input", 0, 2)
        line.read("coil", 0, 1)
        line.write("holding", 3, [42])
        with pytest.raises(Refused):
            line.write("holding", 9, [1])
        with pytest.raises(Refused):
            line.read("input", 50, 1)
        line.close()
    return [frame.row() for frame in log.take()]


def test_frames_of_a_certification_are_reads_and_writes(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, spoken(), METER)
    assert is_run(folder)
    found, kind = load_run(folder)
    assert kind == "storage"
    assert found.nameplate == {"rated_kw": 250.0}
    blocks = {(b.table, b.address): b for b in found.blocks}
    assert set(blocks) == {("input", 0), ("coil", 0)}
    assert blocks["input", 0].words.tolist() == [[7, 65535], [7, 65535]]
    assert blocks["input", 0].time_s.tolist() == [1.0, 2.0]
    assert [(w.time_s, w.address, w.words, w.code) for w in found.writes] == [
        (2.0, 3, (42,), 0), (2.0, 9, (1,), 2)]  # fmt: skip
    time_s, power = found.references["power_kw"]
    assert time_s.tolist() == [1.0, 2.0]
    assert power.tolist() == [5.5, 6.0]


def test_without_a_meter_the_power_is_no_reference(tmp_path: Path) -> None:
    found, _ = load_run(run_folder(tmp_path, spoken(), []))
    assert found.references == {}


def test_serial_frames_are_told_by_their_form(tmp_path: Path) -> None:
    def row(way: str, body: bytes) -> dict[str, object]:
        check = FramerRTU.compute_CRC(body).to_bytes(2, "big")
        return {"wall_s": 0.0, "at_s": 4.0, "line": "p", "way": way, "hex": (body + check).hex()}

    frames = [
        row("out", b"\x01\x03\x00\x10\x00\x02"), row("in", b"\x01\x03\x04\x00\x05\x00\x06"),
        row("out", b"\x01\x10\x00\x10\x00\x02\x04\x00\x01\x00\x02"),
        row("in", b"\x01\x10\x00\x10\x00\x02"),
        row("out", b"\x01\x05\x00\x02\xff\x00"), row("in", b"\x01\x05\x00\x02\xff\x00"),
        row("out", b"\x01\x03\x00\x10\x00\x02"), row("in", b"\x01\x03\x02\x00\x05"),
        row("out", b"\x01\x2b\x0e\x01\x00"), row("in", b"\x01\x2b\x0e\x01"),
    ]  # fmt: skip
    found, _ = load_run(run_folder(tmp_path, frames, []))
    assert [(b.address, b.words.tolist()) for b in found.blocks] == [(16, [[5, 6]])]
    assert [(w.table, w.address, w.words) for w in found.writes] == [
        ("holding", 16, (1, 2)), ("coil", 2, (1,))]  # fmt: skip


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([{"wall_s": 1.0, "way": "out", "hex": "00"}], "frames with the device's time"),
        ([{"at_s": 1.0, "way": "out", "hex": "xy"}], "a frame"),
        (["text"], "a frame"),
    ],
)
def test_frames_that_are_none(tmp_path: Path, frames: list[object], said: str) -> None:
    with pytest.raises(InputProblems, match=said):
        load_run(run_folder(tmp_path, frames, []))


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    assert not is_run(tmp_path)
    with pytest.raises(InputProblems, match="a finished certification"):
        load_run(tmp_path)
    (tmp_path / "run.json").write_text("[]", "utf-8")
    with pytest.raises(InputProblems, match="no object"):
        load_run(tmp_path)
    (tmp_path / "run.json").write_text("{}", "utf-8")
    with pytest.raises(InputProblems, match="no kind or no nameplate"):
        load_run(tmp_path)
