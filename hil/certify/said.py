"""What a record says of device, instruments and tools."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version

from hil.bench.errors import BenchError
from hil.certify.record import InstrumentRecord, SubjectRecord
from hil.certify.subject import Subject
from hil.registers.schema import RegisterMap

__all__ = ["instruments_of", "map_bytes", "map_sha256", "subject_record", "versions"]

TOOLS = ("suitwin", "numpy", "numba", "pymodbus", "pyserial")


def map_bytes(one: RegisterMap) -> bytes:
    """Return a map as canonical JSON: keys in order, defaults left out."""
    data = one.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def map_sha256(one: RegisterMap) -> str:
    """Return the SHA-256 of a map as canonical JSON."""
    return hashlib.sha256(map_bytes(one)).hexdigest()


def subject_record(subject: Subject) -> SubjectRecord:
    """Return what is known of the device; its identity is read where it gives one."""
    try:
        identity = dict(subject.device.identity())
    except BenchError:
        identity = {}
    spec = subject.spec
    place = "" if spec is None else f"{spec.transport} {spec.place} unit {spec.unit}"
    return SubjectRecord(
        name=subject.name,
        kind=subject.kind,
        map=subject.map.name,
        map_sha256=map_sha256(subject.map),
        identity=identity,
        nameplate={name: float(value) for name, value in subject.nameplate.items()},
        evidence=subject.evidence,
        place=place,
        time="time-compressed (emulated)" if subject.compressed else "wall clock",
    )


def instruments_of(subject: Subject) -> list[InstrumentRecord]:
    """Return what instruments say of themselves."""
    found = []
    for role, one in subject.instruments.items():
        about = getattr(one, "about", None)
        if about is None:
            continue
        said = about()
        day = "" if said.calibrated is None else said.calibrated.isoformat()
        found.append(
            InstrumentRecord(
                role, said.name, said.driver, said.identity, said.class_pct, said.sampling_s, day
            )
        )
    return found


def versions() -> dict[str, str]:
    """Return the versions of the tools that were used."""
    found = {"python": platform.python_version()}
    for name in TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
