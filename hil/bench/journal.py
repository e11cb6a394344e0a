"""The journal of a bench: what was written to devices, on disk before it is sent.

A file of JSON lines that only grows. Several processes may write to one file: a line is one
system call. What is written to a device is on the disk, not in a buffer, before its first byte
goes out, so that after any crash it is known what the device may have been told.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from hil.bench.errors import Forbidden
from twin.errors import InputProblems, Problem

__all__ = ["Entry", "EntryKind", "Journal", "NoJournal", "read_journal"]

EntryKind = Literal["write", "raw", "answer", "limit_cut", "safe_state", "read_back", "note"]
# Kinds that must be on the disk before anything else happens.
DURABLE = ("write", "raw", "safe_state", "read_back")
Entry = Mapping[str, Any]


class Journal:
    """An open journal; raises InputProblems where the file cannot be written.

    Every entry has ``n`` (1, 2, ... of this writer), ``by`` (who writes), ``wall_s`` (since the
    epoch), ``entry`` (its kind) and ``device``, then what belongs to it:

    ========== ==================================================================
    write      about to be sent: ``point`` or ``table`` and ``address``, ``words``,
               ``value``, ``wanted``, ``unit``, ``at_s`` (the device's clock); of a
               set-point ``setpoint``, ``ordered`` in the twin's unit, and ``at_twin``:
               the same at the twin's size
    raw        bytes about to be sent that no driver made: ``hex``
    answer     what became of write ``of``: ``outcome``, ``code``, ``error``
    limit_cut  ``wanted`` became ``value`` by ``rule``
    safe_state the device is told its safe state, because of ``reason``
    read_back  ``values`` that the device shows afterwards
    note       ``text``, and anything else
    ========== ==================================================================

    Parameters
    ----------
    path : made where it is not there, with its folder
    by : who writes, such as ``runner`` or ``guard``
    """

    def __init__(self, path: Path, by: str = "runner") -> None:
        self.path, self.by = path, by
        self._n = 0
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            problem = Problem(str(path), "journal", error.strerror or str(error), "a file to write")
            raise InputProblems([problem]) from None

    def record(self, entry: EntryKind, device: str, **what: object) -> int:
        """Append an entry and return its number; it is on the disk where its kind asks for it."""
        with self._lock:
            self._n += 1
            row = {
                "n": self._n, "by": self.by, "wall_s": round(time.time(), 6), "entry": entry,
                "device": device, **what,
            }  # fmt: skip
            os.write(self._file, (json.dumps(row, ensure_ascii=False) + "\n").encode())
            if entry in DURABLE:
                os.fsync(self._file)
            return self._n

    def close(self) -> None:
        """End it; a closed journal stays closed."""
        with self._lock:
            if self._file >= 0:
                os.fsync(self._file)
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class NoJournal(Journal):
    """The journal of a bench that is only looked at: whoever would write has no business here."""

    def __init__(self) -> None:
        self.path, self.by = Path(os.devnull), "reader"

    def record(self, entry: EntryKind, device: str, **what: object) -> int:
        """Raise Forbidden."""
        raise Forbidden(f"{device}: nothing is written without a journal ({entry})")

    def close(self) -> None:
        """There is nothing to end."""


def read_journal(path: Path) -> Iterator[Entry]:
    """Yield the entries of a journal; a last line that was cut off is left out.

    Raises InputProblems where there is no file, or a line that is no entry.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        problem = Problem(str(path), "journal", error.strerror or str(error), "a file to read")
        raise InputProblems([problem]) from None
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = json.loads(line)
        except ValueError:
            if number == len(lines):
                return
            problem = Problem(str(path), f"line {number}", "no entry", "one JSON object a line")
            raise InputProblems([problem]) from None
        yield row
