"""Recordings: written while a device is spoken to, read back, and everything wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hil.bench.drivers.meter_fake import MeterFake
from hil.bench.errors import NoAnswer, Refused
from hil.bench.recorder import RecordedLine, RecordedMeter, RecordingFile
from hil.bench.recording import COLUMNS, load_recording
from hil.bench.roles import Meter
from tests.bench.boxes import Time
from twin.errors import InputProblems

HEADER = ",".join(COLUMNS)


class Registers:
    """A line on nothing; address 9 is refused, address 8 is silent."""

    name = "nowhere"

    def __init__(self) -> None:
        self.words = [0, 0, 7, 8]

    def read(self, table: str, address: int, count: int) -> list[int]:
        if address == 8:
            raise NoAnswer("nowhere", "no answer")
        return self.words[address : address + count]

    def write(self, table: str, address: int, words: list[int]) -> None:
        if address == 9:
            raise Refused("nowhere", 16, 3)
        self.words[address : address + len(words)] = words

    def raw(self, function: int, data: bytes) -> bytes:
        return b"\x01" + data

    def close(self) -> None:
        self.words = []


def test_what_is_said_and_told_is_read_back(tmp_path: Path) -> None:
    clock, path = Time(), tmp_path / "rec.csv"
    file = RecordingFile(path)
    line = RecordedLine(Registers(), clock, file)
    meter: Meter = RecordedMeter(MeterFake("m", clock, lambda s: 10.0 * s), file)
    file.quantity("nameplate", 0.0, "rated_kw", 250.0)
    for _ in range(3):
        clock.sleep(0.5)
        meter.power_kw()
        line.read("input", 0, 4)
    line.write("holding", 0, [1, 65535])
    with pytest.raises(Refused):
        line.write("holding", 9, [2])
    with pytest.raises(NoAnswer):
        line.read("input", 8, 1)
    assert line.raw(43, b"x") == b"\x01x"
    assert line.name == "nowhere"
    line.close()
    file.close()

    found = load_recording(path)
    block = found.blocks[0]
    assert (block.table, block.address, block.count) == ("input", 0, 4)
    assert block.time_s.tolist() == [0.5, 1.0, 1.5]
    assert block.words[0].tolist() == [0, 0, 7, 8]
    assert [(w.address, w.words, w.code) for w in found.writes] == [
        (0, (1, 65535), 0), (9, (2,), 3)]  # fmt: skip
    np.testing.assert_array_equal(found.references["power_kw"][1], [5.0, 10.0, 15.0])
    assert found.nameplate == {"rated_kw": 250.0}


def test_json_lines_do_as_well(tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    rows = [
        {"time_s": 1, "event": "read", "table": "holding", "address": 5, "words": [1, 2]},
        {"time_s": 2, "event": "reference", "point": "soc", "value": 0.5},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", "utf-8")
    found = load_recording(path)
    assert found.blocks[0].words.tolist() == [[1, 2]]
    assert found.references["soc"][1].tolist() == [0.5]


def test_rows_of_several_threads_and_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "rec.csv"
    lines = [
        HEADER, "2.0,read,input,0,7,,", "1.6,read,input,0,6,,", "2.1,reference,,,,soc,0.5",
        "1.9,reference,,,,soc,0.4", "2.2,write,holding,0,1,,", "1.5,write,holding,0,2,,",
        "2.3,read,input,0,8",
    ]  # fmt: skip
    path.write_text("\n".join(lines), "utf-8")  # the last line was cut off
    found = load_recording(path)
    assert found.blocks[0].time_s.tolist() == [1.6, 2.0]
    assert found.blocks[0].words[:, 0].tolist() == [6, 7]
    assert found.references["soc"][1].tolist() == [0.4, 0.5]
    assert [w.words for w in found.writes] == [(2,), (1,)]
    file = RecordingFile(tmp_path / "other.csv")
    file.close()
    file.quantity("reference", 1.0, "soc", 0.5)  # comes too late, as a thread's last reading may
    assert (tmp_path / "other.csv").read_text("utf-8") == HEADER + "\n"


def test_everything_wrong_with_a_recording_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rec.csv"
    lines = [
        HEADER, "1,raed,input,0,1,,", "2,read,inputs,0,1,,", "3,read,input,0.5,1,,",
        "4,read,input,65535,1 2,,", "5,read,input,0,70000,,", "6,read,coil,0,2,,",
        "7,read,input,0,,,", "x,read,input,0,1,,", "8,reference,,,,,5", "9,reference,,,,p,nan",
        "10,read,input,0,1,,", "8.5,read,input,0,1,,", ",nameplate,,,,rated_kw,many",
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(InputProblems) as caught:
        load_recording(path)
    assert len(caught.value.problems) == len(lines) - 2
    said = str(caught.value)
    for words in ("'raed'", "table: one of", "address: 0 to 65535", "0 to 65535, one blank",
                  "numbers 0 to 1,", "time_s: a number", "the name of a quantity",
                  "a finite number", "time that never falls", "value: a number"):  # fmt: skip
        assert words in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s,event\n", "table, address, words, point, value missing"),
        (HEADER + "\n", "no reads and no references"),
        ("", "missing"),
    ],
)
def test_a_file_that_is_no_recording(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rec.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(InputProblems, match=said):
        load_recording(path)
    with pytest.raises(InputProblems, match="No such file"):
        load_recording(tmp_path / "none.csv")


@pytest.mark.parametrize("text", ["nonsense\n", "[1, 2]\n"])
def test_json_lines_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rec.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(InputProblems, match="JSON"):
        load_recording(path)


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    RecordingFile(tmp_path / "rec.csv").close()
    with pytest.raises(InputProblems, match="is there already"):
        RecordingFile(tmp_path / "rec.csv")
