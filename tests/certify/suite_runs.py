"""A suite, or some procedures of it, on an emulated device over a real socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hil.certify.emulated import emulated
from hil.certify.measurement import Outcome, Taken
from hil.certify.record import CertificationRecord
from hil.certify.runner import certify
from hil.certify.subject import Subject
from hil.certify.suites import SUITES

# An hour at rated power from full to empty: a whole certification in a day of device time.
SMALL = {"rated_kw": 250.0, "capacity_kwh": 250.0}


def on(
    subject: Subject, suite: str, folder: Path, *only: str, **options: Any
) -> CertificationRecord:
    """Run the procedures `only` of a suite (none: all)."""
    whole = SUITES[suite]

    def chosen(one: Subject) -> Sequence[Any]:
        return [p for p in whole.procedures(one) if not only or p.id in only]

    return certify(replace(whole, procedures=chosen), subject, folder, **options)


def run(
    suite: str,
    kind: Any,
    folder: Path,
    *only: str,
    map_name: str | None = None,
    change: Callable[[Subject], Subject] = lambda subject: subject,
    **how: Any,
) -> dict[str, Taken]:
    """Return by measurement what came of a suite on an emulated device."""
    journal = folder.with_suffix(".jsonl")
    with emulated(kind, map_name, journal=journal, **how) as subject:
        return taken(on(change(subject), suite, folder, *only))


def taken(record: CertificationRecord) -> dict[str, Taken]:
    return {m.declared.id: m for p in record.procedures for m in p.measurements}


def with_outcome(found: dict[str, Taken], outcome: Outcome) -> list[str]:
    return [id for id, one in found.items() if one.outcome is outcome]


def failed(found: dict[str, Taken]) -> list[str]:
    return with_outcome(found, Outcome.FAIL)
