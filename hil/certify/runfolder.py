"""The folder of a run: what it is a run of, so that nothing else is resumed in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from hil.certify.evidence import write_json
from hil.certify.limits import limits_bytes, limits_sha256
from hil.certify.said import map_bytes, map_sha256
from hil.certify.subject import Subject
from twin.errors import InputProblems, Problem

__all__ = ["JOURNAL_FILE", "RUN_FILE", "begin_folder", "check_folder"]

RUN_FILE, JOURNAL_FILE = "run.json", "journal.jsonl"
JOURNAL_STEM = "journal."  # a guard has a file of its own beside it
MAP_FILE, LIMITS_FILE = "map.json", "limits.toml"


def begin_folder(out: Path, suite: str, subject: Subject, seed: int, resume: bool) -> str:
    """Make the folder of a run, or enter that of an earlier one; return when it was begun.

    Raises InputProblems where the folder holds another run, or one that is not to be resumed.
    """
    what: dict[str, object] = {
        "suite": suite, "device": subject.name, "kind": subject.kind, "map": subject.map.name,
        "map_sha256": map_sha256(subject.map), "evidence": subject.evidence, "seed": seed,
        "nameplate": dict(subject.nameplate), "limits_sha256": limits_sha256(),
    }  # fmt: skip
    path = out / RUN_FILE
    if path.exists():
        check_folder(out, resume)
        return _resumed(path, what)
    check_folder(out, resume)
    out.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    # What was claimed and what it is held against lie beside the evidence, to be looked at.
    (out / MAP_FILE).write_bytes(map_bytes(subject.map))
    (out / LIMITS_FILE).write_bytes(limits_bytes())
    write_json(path, {**what, "started": started})
    return started


def check_folder(out: Path, resume: bool) -> None:
    """Raise InputProblems where a folder cannot be a run's; nothing is made.

    Called before a device is touched, since its journal goes into the folder.
    """
    if (out / RUN_FILE).exists():
        if not resume:
            allowed = "a new folder, or --resume"
            raise InputProblems([Problem("--out", str(out), "holds a run", allowed)])
    elif out.exists() and (
        not out.is_dir() or any(not p.name.startswith(JOURNAL_STEM) for p in out.iterdir())
    ):
        found = Problem("--out", str(out), "is there and holds no run", "a new folder")
        raise InputProblems([found])


def _fresh(out: Path) -> bool:
    return out.is_dir() and all(p.name.startswith(JOURNAL_STEM) for p in out.iterdir())


def _resumed(path: Path, what: dict[str, object]) -> str:
    try:
        held = json.loads(path.read_text("utf-8"))
        started = str(held["started"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputProblems([Problem("--resume", str(path), "no run", "a run.json")]) from None
    found = [
        Problem("--resume", name, str(value), f"{held.get(name)}, as the run began")
        for name, value in what.items()
        if held.get(name) != value
    ]
    if found:
        raise InputProblems(found)
    return started
