"""A certification's evidence as a recording: frames as reads and writes, its meter as reference.

Taken from a run's folder: ``run.json`` (kind, nameplate), ``record.json`` (instruments),
``steps/*/*/frames.jsonl`` with the device's own time, and the power series of the steps. A power
that was not an instrument's is no reference.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hil.bench.recording import Block, RecordedWrite, Recording
from hil.registers.schema import TableName
from twin.errors import InputProblems, Problem

__all__ = ["is_run", "load_run"]

RUN, RECORD, FRAMES = "run.json", "record.json", "frames.jsonl"
READS: dict[int, TableName] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
WRITES: dict[int, TableName] = {5: "coil", 6: "holding", 15: "coil", 16: "holding"}
OWN = "own.csv"  # a step's series of what the device itself says, beside the meter's
ON = 0xFF00
HEAD = 7


def is_run(path: Path) -> bool:
    """Return whether a path is the folder of a certification."""
    return (path / RUN).is_file()


def load_run(folder: Path) -> tuple[Recording, str]:
    """Return the recording of a run, and the kind of its device.

    Raises InputProblems where the folder is none, or its frames have no time of the device.
    """
    run = _json(folder / RUN)
    kind, plate = run.get("kind"), run.get("nameplate")
    if not isinstance(kind, str) or not isinstance(plate, dict):
        raise _wrong(folder / RUN, "run", "no kind or no nameplate", "a certification's run.json")
    asked = sorted(_asked(folder), key=lambda a: a.at_s)
    reads: dict[tuple[TableName, int, int], tuple[list[float], list[tuple[int, ...]]]] = {}
    writes: list[RecordedWrite] = []
    for one in asked:
        if one.writes:
            writes.append(RecordedWrite(one.at_s, one.table, one.address, one.words, one.code))
        elif one.code == 0:
            times, words = reads.setdefault((one.table, one.address, len(one.words)), ([], []))
            times.append(one.at_s)
            words.append(one.words)
    blocks = [
        Block(table, address, np.array(times), np.array(words, np.int64))
        for (table, address, _), (times, words) in sorted(reads.items())
    ]
    found = Recording(blocks, writes, {}, {n: float(v) for n, v in plate.items()})
    power = _power(folder)
    if len(power) > 1 and _has_meter(folder):
        time_s = np.array(sorted(power))
        found.references["power_kw"] = time_s, np.array([power[t] for t in time_s.tolist()])
    return found, kind


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request and its answer."""

    at_s: float
    table: TableName
    address: int
    words: tuple[int, ...]
    writes: bool
    code: int


def _asked(folder: Path) -> Iterator[_Asked]:
    for path in sorted(folder.glob(f"steps/*/*/{FRAMES}")):
        request: bytes | None = None
        at_s = 0.0
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            try:
                row = json.loads(line)
                data, out = bytes.fromhex(row["hex"]), row["way"] == "out"
            except (ValueError, KeyError, TypeError):
                raise _wrong(path, f"line {number}", line[:60], "a frame") from None
            if "at_s" not in row:
                raise _wrong(path, f"line {number}", "no at_s", "frames with the device's time")
            if out:
                request, at_s = data, float(row["at_s"])
            elif request is not None:
                one = _pair(at_s, _pdu(request), _pdu(data))
                request = None
                if one is not None:
                    yield one


def _pdu(data: bytes) -> bytes:
    """Return what a frame carries: behind an MBAP header, else between address and checksum."""
    framed = len(data) > HEAD and data[2:4] == b"\0\0"
    if framed and int.from_bytes(data[4:6], "big") == len(data) - 6:
        return data[HEAD:]
    return data[1:-2]


def _pair(at_s: float, request: bytes, answer: bytes) -> _Asked | None:
    """Return a read or write with its outcome; None for anything else, broken requests too."""
    if len(request) < 5 or len(answer) < 2 or answer[0] & 0x7F != request[0]:
        return None
    function, code = request[0], answer[1] if answer[0] & 0x80 else 0
    address, second = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
    if function in READS:
        body = answer[2:]
        words = () if code else _words(body, second, bits=function < 3)
        if words is None:
            return None
        return _Asked(at_s, READS[function], address, words, False, code)
    if function in (5, 6):
        word = int(second == ON) if function == 5 else second
        return _Asked(at_s, WRITES[function], address, (word,), True, code)
    if function in (15, 16):
        words = _words(request[6:], second, bits=function == 15)
        if words is not None:
            return _Asked(at_s, WRITES[function], address, words, True, code)
    return None


def _words(body: bytes, count: int, bits: bool) -> tuple[int, ...] | None:
    """Return registers or bits; None where the body does not hold `count` of them."""
    if count == 0 or len(body) != (-(-count // 8) if bits else 2 * count):
        return None
    if bits:
        return tuple(body[i // 8] >> i % 8 & 1 for i in range(count))
    return tuple(int.from_bytes(body[2 * i : 2 * i + 2], "big") for i in range(count))


def _power(folder: Path) -> dict[float, float]:
    """Return the power of the steps' series by time."""
    found: dict[float, float] = {}
    for path in sorted(folder.glob("steps/*/*/*.csv")):
        if path.name == OWN:
            continue
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if not {"time_s", "power_kw"} <= set(rows.fieldnames or ()):
                continue
            for row in rows:
                try:
                    found[float(row["time_s"])] = float(row["power_kw"])
                except ValueError:
                    continue
    return found


def _has_meter(folder: Path) -> bool:
    record = _json(folder / RECORD)
    instruments = record.get("instruments")
    return isinstance(instruments, list) and any(
        isinstance(one, dict) and one.get("role") == "meter" for one in instruments
    )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _wrong(path, "file", str(error), "a finished certification") from None
    if not isinstance(found, dict):
        raise _wrong(path, "file", "no object", "a finished certification")
    return found


def _wrong(path: Path, place: str, value: str, allowed: str) -> InputProblems:
    return InputProblems([Problem(str(path), place, value, allowed)])
