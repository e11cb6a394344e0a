"""The record of a certification: what page, certificate and JUnit file are made from.

``record.json`` in the run's folder is `CertificationRecord.row` and names every other file of
the folder by its SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil.certify.evidence import EvidenceFile, write_json
from hil.certify.measurement import Outcome, Taken, verdict

__all__ = [
    "RECORD_FILE", "CertificationRecord", "InstrumentRecord", "ProcedureRecord", "StepRecord",
    "SubjectRecord", "read_record", "titles",
]  # fmt: skip

RECORD_FILE = "record.json"
FORMAT = "suitwin-certification/1"
# On which kind of evidence a certificate rests: its title says so.
_RESTS = {
    "emulated": ("on an emulated device", "（仿真设备）"),
    "known-good": ("on a known-good reference device", "（基准设备）"),
    "hardware": ("on hardware", "（实物设备）"),
}


def titles(suite: str, suite_zh: str, evidence: str) -> tuple[str, str]:
    """Return the title of a certificate in English and Chinese."""
    rests, rests_zh = _RESTS[evidence]
    return f"{suite}, tested {rests}", f"{suite_zh}检测记录{rests_zh}"


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    """The device.

    Attributes
    ----------
    name, kind, map : as `Subject` has them; `map_sha256` of the map as canonical JSON
    identity : what function 43/14 answered, by object name; empty where it does not
    nameplate : rated values
    evidence : ``emulated``, ``known-good`` or ``hardware``
    place : line and unit
    time : ``wall clock`` or ``time-compressed (emulated)``
    """

    name: str
    kind: str
    map: str
    map_sha256: str
    identity: Mapping[str, str]
    nameplate: Mapping[str, float]
    evidence: str
    place: str
    time: str


@dataclass(frozen=True, slots=True)
class InstrumentRecord:
    """An instrument: role, name, driver, identity, class [%], sampling [s], ISO date or ``""``."""

    role: str
    name: str
    driver: str
    identity: str
    class_pct: float | None
    sampling_s: float
    calibrated: str


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step that was done.

    Attributes
    ----------
    name, outcome : of it; `error` says why it was broken off, ``""``: it was not
    started : ISO time; `wall_s` how long it took; `device_s` how long for the device
    resumed : its evidence is of an earlier run
    folder : below the run's folder, ``""`` where it was left out
    """

    name: str
    outcome: Outcome
    started: str
    wall_s: float
    device_s: float
    resumed: bool
    folder: str
    error: str
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ProcedureRecord:
    """A procedure: its steps, and one entry for each measurement that it declared."""

    id: str
    title: str
    title_zh: str
    steps: Sequence[StepRecord]
    measurements: Sequence[Taken]
    safe_state: str  # "confirmed", or what was wrong with it

    @property
    def outcome(self) -> Outcome:
        """The verdict of its measurements."""
        return verdict(self.measurements)


@dataclass(frozen=True, slots=True)
class CertificationRecord:
    """A whole run of a suite.

    Attributes
    ----------
    suite, title, title_zh : what was run; the titles say on which kind of evidence it rests
    subject, procedures, instruments : as they are called
    evidence : every file of the run's folder but the record itself and what is made from it
    started, ended : ISO times
    seed : of what was drawn
    versions : of the tools
    bench : its file and SHA-256, empty where there is none
    limits_sha256 : of the file of limits
    """

    suite: str
    title: str
    title_zh: str
    subject: SubjectRecord
    procedures: Sequence[ProcedureRecord]
    instruments: Sequence[InstrumentRecord]
    evidence: Sequence[EvidenceFile]
    started: str
    ended: str
    seed: int
    versions: Mapping[str, str]
    bench: Mapping[str, str]
    limits_sha256: str
    format: str = FORMAT

    @property
    def outcome(self) -> Outcome:
        """The verdict of all measurements."""
        return verdict(m for p in self.procedures for m in p.measurements)

    @property
    def counts(self) -> dict[str, int]:
        """Measurements by outcome."""
        every = [m.outcome for p in self.procedures for m in p.measurements]
        return {o.value: every.count(o) for o in Outcome}

    def row(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {
            **asdict(self),
            "outcome": self.outcome.value,
            "counts": self.counts,
            "procedures": [
                {
                    **asdict(p), "outcome": p.outcome.value,
                    "steps": [{**asdict(s), "outcome": s.outcome.value} for s in p.steps],
                    "measurements": [m.row() for m in p.measurements],
                }
                for p in self.procedures
            ],
        }  # fmt: skip

    def write(self, folder: Path) -> Path:
        """Write ``record.json`` into the run's folder and return its path."""
        path = folder / RECORD_FILE
        write_json(path, self.row())
        return path


def read_record(path: Path) -> CertificationRecord:
    """Return the record in a file; raises OSError, or ValueError where it is none."""
    try:
        row: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if row["format"] != FORMAT:
            raise ValueError(f"{path}: format {row['format']}, not {FORMAT}")
        procedures = [
            ProcedureRecord(
                **{k: p[k] for k in ("id", "title", "title_zh", "safe_state")},
                steps=[StepRecord(**{**s, "outcome": Outcome(s["outcome"])}) for s in p["steps"]],
                measurements=[Taken.of_row(m) for m in p["measurements"]],
            )
            for p in row["procedures"]
        ]
        plain = ("suite", "title", "title_zh", "started", "ended", "seed", "versions", "bench",
                 "limits_sha256", "format")  # fmt: skip
        return CertificationRecord(
            **{name: row[name] for name in plain},
            subject=SubjectRecord(**row["subject"]),
            procedures=procedures,
            instruments=[InstrumentRecord(**i) for i in row["instruments"]],
            evidence=[EvidenceFile(**e) for e in row["evidence"]],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: no record of a certification ({error})") from error
