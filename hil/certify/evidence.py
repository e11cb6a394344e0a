"""Evidence on disk: a folder a step, written aside and moved in place when the step is done.

``steps/<procedure>/<step>/`` holds time series (CSV), frames (JSON lines) and ``step.json``,
which names every other file of the folder by its SHA-256. A step that was broken off leaves
nothing that could be taken for a finished one.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from hil.bench.frames import Frame

__all__ = ["EvidenceFile", "StepFolder", "files_of", "finished", "sha256_of", "write_json"]

STEPS, STEP_FILE, FRAMES_FILE = "steps", "step.json", "frames.jsonl"
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file of the evidence; `path` is relative to the run's folder, with ``/``."""

    path: str
    sha256: str
    bytes: int


class _Series:
    """A time series that is being written."""

    def __init__(self, file: TextIO, columns: Sequence[str]) -> None:
        self.file, self.width = file, len(columns)
        self.writer = csv.writer(file, lineterminator="\n")
        self.writer.writerow(columns)

    def add(self, *row: float | str | None) -> None:
        """Append a row."""
        if len(row) != self.width:
            raise ValueError(f"{len(row)} cells, not {self.width}")
        self.writer.writerow(["" if cell is None else cell for cell in row])


class StepFolder:
    """The folder of a step that is being done."""

    def __init__(self, root: Path, procedure: str, step: str) -> None:
        self.root = root
        self.final = root / STEPS / procedure / step
        self.path = self.final.with_name(step + ".part")
        for old in (self.path, self.final):
            if old.exists():
                shutil.rmtree(old)
        self.path.mkdir(parents=True)
        self._open: list[TextIO] = []

    def series(self, name: str, columns: Sequence[str]) -> _Series:
        """Begin ``name.csv``; raises FileExistsError for a name that is taken."""
        file = (self.path / f"{name}.csv").open("x", newline="", encoding="utf-8")
        self._open.append(file)
        return _Series(file, columns)

    def frames(self, frames: Sequence[Frame]) -> None:
        """Write what went over the wire."""
        with (self.path / FRAMES_FILE).open("w", encoding="utf-8") as file:
            for frame in frames:
                file.write(json.dumps(frame.row()) + "\n")

    def finish(self, step: Mapping[str, object]) -> None:
        """Write ``step.json`` and put the folder in its place."""
        self.drop()
        files = [_named(self.path, p) for p in sorted(self.path.iterdir())]
        rows = [{"path": f.path, "sha256": f.sha256, "bytes": f.bytes} for f in files]
        write_json(self.path / STEP_FILE, {**step, "files": rows})
        self.path.replace(self.final)

    def drop(self) -> None:
        """Close every file."""
        for file in self._open:
            file.close()
        self._open.clear()


def finished(root: Path, procedure: str, step: str) -> dict[str, Any] | None:
    """Return what ``step.json`` of a finished step says.

    None where there is none, or where a file of it is not what it was.
    """
    folder = root / STEPS / procedure / step
    try:
        found: dict[str, Any] = json.loads((folder / STEP_FILE).read_text("utf-8"))
        good = all(
            sha256_of(folder / row["path"]) == row["sha256"] for row in found["files"]
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if good else None


def files_of(root: Path, leave: Sequence[str] = ()) -> list[EvidenceFile]:
    """Return every file below `root`, in order, but those named in `leave` at its top."""
    return [
        _named(root, path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).as_posix() not in leave
    ]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write JSON by way of a second file, so that no half of it is ever met."""
    partial = path.with_name(path.name + ".part")
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def _named(root: Path, path: Path) -> EvidenceFile:
    return EvidenceFile(
        path.relative_to(root).as_posix(), sha256_of(path), path.stat().st_size
    )  # fmt: skip
