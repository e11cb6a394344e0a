"""A small finished run on disk: a record with every outcome, a time series and frames."""

from __future__ import annotations

import json
from pathlib import Path

from hil.certify.evidence import StepFolder, files_of
from hil.certify.measurement import Measurement, Outcome
from hil.certify.measurement import Path as How
from hil.certify.record import (
    CertificationRecord,
    InstrumentRecord,
    ProcedureRecord,
    StepRecord,
    SubjectRecord,
    titles,
)

METER = How("instrument", "meter", 0.2, 0.1)
OWN = How("register", "active_power_kw", None, 1.0)


def declared(
    id: str, comparison: str, limit: float | tuple[float, float] | str | None, **more: str
) -> Measurement:
    given = {"clause": "7.2", "source": "a report <of ours>", "grade": "assumed", "unit": "s"}
    given |= more
    return Measurement(
        id=id, name=f"{id} & more", name_zh=f"测量量 {id}", limit=limit,
        comparison=comparison, **given,  # type: ignore[arg-type]
    )  # fmt: skip


def finished_run(
    folder: Path, *, fails: bool = False, safe: str = "confirmed"
) -> CertificationRecord:
    """Write a run into `folder` and return its record; with `fails` one measurement has failed."""
    step = StepFolder(folder, "response", "rise")
    series = step.series("power", ["time_s", "power_kw", "soc", "state"])
    for i in range(20):
        series.add(i * 0.1, 5.0 * i, None if i == 3 else 0.5, "running")
    step.finish({"measurements": []})
    taken = [
        declared("quick", "<=", 2.0).taken(5.0 if fails else 1.2, 0.1, METER),
        declared("near", "<=", 2.0).taken(1.95, 0.1, OWN, "nearer than its uncertainty"),
        declared("order", "==", "ABCD", unit="").taken("ABCD", 0.0, How("wire", "words")),
        declared("band", "within", (0.98, 1.02), unit="pu").taken(1.0, 0.0, METER),
        declared("efficiency", "figure", None, unit="%").taken(-91.23, 0.5, METER),
        declared("flicker", "<=", 1.0, needs="analyser").untaken(
            Outcome.NOT_APPLICABLE, "no instrument: analyser\x00"
        ),
    ]
    steps = [StepRecord("rise", Outcome.PASS, "2026-07-15T02:00:00.000+00:00", 0.5, 20.0, False,
                        "steps/response/rise", "", ["began at half charge"])]  # fmt: skip
    title, title_zh = titles("Storage", "储能", "emulated")
    identity = {"VendorName": "suitwin", "MajorMinorRevision": "1.0"}
    record = CertificationRecord(
        suite="storage",
        title=title,
        title_zh=title_zh,
        subject=SubjectRecord(
            "emulated-storage", "storage", "storage-own", "ab" * 32, identity,
            {"rated_kw": 100.0}, "emulated", "127.0.0.1:1502 unit 1", "time-compressed (emulated)",
        ),
        procedures=[
            ProcedureRecord("response", "Response", "响应", steps, taken, safe),
        ],
        instruments=[InstrumentRecord("meter", "M1", "meter_stage", "", 0.2, 0.1, "2026-01-31")],
        evidence=files_of(folder),
        started="2026-07-15T02:00:00.000+00:00",
        ended="2026-07-15T02:05:00.000+00:00",
        seed=7,
        versions={"suitwin": "0.1.0"},
        bench={},
        limits_sha256="cd" * 32,
    )  # fmt: skip
    record.write(folder)
    return record


def rewrite(path: Path, **changes: object) -> None:
    """Change fields of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
