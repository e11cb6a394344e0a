"""Writes down what a device shows and is told: a line and a meter that record."""

from __future__ import annotations

import csv
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from hil.bench.clock import Clock
from hil.bench.errors import Refused
from hil.bench.line import Speaking
from hil.bench.recording import COLUMNS
from hil.bench.roles import About, Energy, Measured, Meter
from hil.registers.schema import TableName
from twin.errors import InputProblems, Problem

__all__ = ["RecordedLine", "RecordedMeter", "RecordingFile"]


class RecordingFile:
    """A recording that is being written; what is lost in a crash is the last line at most.

    Several threads may write to it. Raises InputProblems where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = path.open("x", newline="", encoding="utf-8", buffering=1)
        except FileExistsError:
            problem = Problem(str(path), "recording", "is there already", "a new file")
            raise InputProblems([problem]) from None
        except OSError as error:
            problem = Problem(str(path), "recording", str(error.strerror), "a file to write")
            raise InputProblems([problem]) from None
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._lock = threading.Lock()
        self._add(*COLUMNS)

    def registers(
        self, event: str, time_s: float, place: tuple[str, int], words: Sequence[int],
        value: float | str = "",
    ) -> None:  # fmt: skip
        """Append a read, a write or a refused one; `place` is (table, address)."""
        text = " ".join(str(int(w)) for w in words)
        self._add(f"{time_s:.3f}", event, *place, text, "", value)

    def quantity(self, event: str, time_s: float, point: str, value: float) -> None:
        """Append a reference or a number of the nameplate."""
        self._add(f"{time_s:.3f}", event, "", "", "", point, repr(float(value)))

    def close(self) -> None:
        """End it; what comes later is dropped."""
        with self._lock:
            self._file.close()

    def _add(self, *cells: float | str) -> None:
        with self._lock:
            if not self._file.closed:
                self._rows.writerow(cells)


class RecordedLine:
    """A line that writes down what goes through it; stands in for the line it is given."""

    def __init__(self, line: Speaking, clock: Clock, file: RecordingFile) -> None:
        self._line, self._clock, self._to = line, clock, file

    @property
    def name(self) -> str:
        """Where the line leads."""
        return self._line.name

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        """Return registers or bits, and record them."""
        words = self._line.read(table, address, count)
        self._to.registers("read", self._clock.now_s(), (table, address), words)
        return words

    def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
        """Write registers or bits, and record whether they were accepted."""
        try:
            self._line.write(table, address, words)
        except Refused as refused:
            place = (table, address)
            self._to.registers("refused", self._clock.now_s(), place, words, refused.code)
            raise
        self._to.registers("write", self._clock.now_s(), (table, address), words)

    def raw(self, function: int, data: bytes) -> bytes:
        """Return what a function was answered with; not recorded."""
        return self._line.raw(function, data)

    def close(self) -> None:
        """End the connection; the recording stays open."""
        self._line.close()


class RecordedMeter:
    """A `Meter` that writes down what it shows."""

    def __init__(self, meter: Meter, file: RecordingFile) -> None:
        self._meter, self._to = meter, file

    def about(self) -> About:
        """Return what a report says of it."""
        return self._meter.about()

    def power_kw(self) -> Measured:
        """Return the power, and record it."""
        found = self._meter.power_kw()
        self._to.quantity("reference", found.at_s, "power_kw", found.value)
        return found

    def energy_kwh(self) -> Energy | None:
        """Return the counters; not recorded."""
        return self._meter.energy_kwh()

    def release(self) -> None:
        """End the connection."""
        self._meter.release()
