"""From the record of a finished run to what is handed out: page, JUnit file, certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from hil.certify.certificate import (
    CERTIFICATE_FILE,
    JUNIT_FILE,
    PAGE_FILE,
    Misspelled,
    add_signature,
    envelope_of,
    parse,
    write,
)
from hil.certify.evidence import sha256_of
from hil.certify.junit import safe_state_of, write_junit
from hil.certify.keys import PRIVATE_MARK
from hil.certify.measurement import Outcome, Taken
from hil.certify.page import write_page
from hil.certify.record import RECORD_FILE, CertificationRecord, ProcedureRecord, read_record
from hil.certify.statement import (
    EXTENSION_TYPE,
    PREDICATE_TYPE,
    RESULT_OF,
    ROLE,
    STATEMENT_TYPE,
    Certification,
    FigureSaid,
    Resource,
    Statement,
    TestResult,
    inline,
)
from hil.certify.verify import evidence_flaws, names_below, statement_of_payload
from twin.errors import InputProblems, Problem

__all__ = ["countersign", "issue", "statement_of"]

MADE = (CERTIFICATE_FILE, PAGE_FILE, JUNIT_FILE)
MEDIA = {".json": "application/json", ".jsonl": "application/jsonl", ".csv": "text/csv",
         ".html": "text/html", ".xml": "application/xml"}  # fmt: skip
OVERLAP = 64


def issue(folder: Path, signers: Sequence[CryptoSigner] = ()) -> Path:
    """Make page, JUnit file and certificate of the run in `folder`; return the certificate's path.

    Without signers it is a certificate that nobody has signed: `countersign` can be used later.

    Raises InputProblems where there is no record, the evidence is not what the record says, or a
    file of it holds a private key.
    """
    record = _record(folder)
    found = list(_unfit(record, folder))
    if found:
        raise InputProblems(found)
    write_page(record, folder)
    write_junit(record, folder / JUNIT_FILE)
    envelope = envelope_of(statement_of(record, folder).said())
    for signer in signers:
        add_signature(envelope, signer)
    path = folder / CERTIFICATE_FILE
    write(envelope, path)
    return path


def countersign(path: Path, signer: CryptoSigner) -> str:
    """Add a signature to a certificate that lies beside its evidence; return the key's id.

    Raises InputProblems where it is no certificate, or its evidence is not what it says.
    """
    try:
        envelope = parse(path.read_bytes())
        statement = statement_of_payload(envelope)
    except OSError as error:
        said = error.strerror or str(error)
        raise InputProblems([Problem(str(path), "certificate", said, "a certificate")]) from None
    except Misspelled as error:
        raise InputProblems([Problem(str(path), "certificate", str(error), "whole")]) from None
    found = [
        Problem(str(path.parent), flaw.place, flaw.wrong, "evidence as certified")
        for flaw in evidence_flaws(statement, path.parent, path)
    ]
    if found:
        raise InputProblems(found)
    keyid = add_signature(envelope, signer)
    write(envelope, path)
    return keyid


def _record(folder: Path) -> CertificationRecord:
    path = folder / RECORD_FILE
    allowed = "the record of a finished run"
    try:
        return read_record(path)
    except OSError as error:
        said = error.strerror or str(error)
        raise InputProblems([Problem(str(path), "record", said, allowed)]) from None
    except ValueError as error:
        raise InputProblems([Problem(str(path), "record", str(error), allowed)]) from None


def _unfit(record: CertificationRecord, folder: Path) -> Iterator[Problem]:
    """Yield where the folder is not what the record says, or must not be handed out."""
    said = {f.path: f.sha256 for f in record.evidence if f.path not in MADE}
    there = [name for name in names_below(folder) if name not in (*MADE, RECORD_FILE)]
    for name in sorted({*said, *there}):
        path = folder / name
        if name not in said:
            yield Problem(str(path), "evidence", "not in the record", "what the run wrote")
        elif not path.is_file() or path.is_symlink():
            yield Problem(str(path), "evidence", "missing", "what the run wrote")
        elif sha256_of(path) != said[name]:
            yield Problem(str(path), "evidence", "changed since the run", "what the run wrote")
        elif _holds_key(path):
            yield Problem(str(path), "evidence", "holds a private key", "no key in what is shown")


def _holds_key(path: Path) -> bool:
    before = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if PRIVATE_MARK in before + block:
                return True
            before = block[-OVERLAP:]
    return False


def statement_of(record: CertificationRecord, folder: Path) -> Statement:
    """Return the statement of a record whose page and JUnit file are written."""
    figures = tuple(_figure(p, m) for p in record.procedures for m in p.measurements)
    unsafe = tuple(p.id for p in record.procedures if safe_state_of(p) is Outcome.FAIL)
    by_result: dict[str, list[str]] = {"PASSED": [], "WARNED": [], "FAILED": []}
    for figure in figures:
        if figure.outcome is not Outcome.FIGURE:
            by_result[RESULT_OF[figure.outcome]].append(figure.name)
    by_result["FAILED"] += [f"{name}/safe_state" for name in unsafe]
    return Statement.model_validate({
        "_type": STATEMENT_TYPE,
        "subject": tuple(_subjects(record, folder)),
        "predicateType": PREDICATE_TYPE,
        "predicate": TestResult(
            result="FAILED" if unsafe else RESULT_OF[record.outcome],
            configuration=tuple(_configuration(record)),
            passedTests=tuple(by_result["PASSED"]),
            warnedTests=tuple(by_result["WARNED"]),
            failedTests=tuple(by_result["FAILED"]),
            suitwin=Certification(
                type=EXTENSION_TYPE,
                title=record.title,
                title_zh=record.title_zh,
                suite=record.suite,
                evidence=record.subject.evidence,
                time=record.subject.time,
                outcome=record.outcome,
                unsafe=unsafe,
                started=record.started,
                ended=record.ended,
                figures=figures,
            ),
        ),
    })  # fmt: skip


def _figure(procedure: ProcedureRecord, taken: Taken) -> FigureSaid:
    said = taken.declared
    return FigureSaid(
        name=f"{procedure.id}/{said.id}",
        title=said.name,
        title_zh=said.name_zh,
        unit=said.unit,
        value=taken.value,
        uncertainty=taken.uncertainty,
        limit=said.limit,
        comparison=said.comparison,
        clause=said.clause,
        source=said.source,
        grade=said.grade,
        path="" if taken.path is None else str(taken.path),
        outcome=taken.outcome,
        reason=taken.note,
    )


def _subjects(record: CertificationRecord, folder: Path) -> Iterator[Resource]:
    """Yield what the certificate is about: the device, its map, the evidence, the report."""
    device = record.subject
    yield inline(
        f"device {device.name}",
        "device",
        {
            "name": device.name, "kind": device.kind, "identity": dict(device.identity),
            "nameplate": dict(device.nameplate), "place": device.place,
        },
    )  # fmt: skip
    yield Resource(
        name=f"register map {device.map}",
        digest={"sha256": device.map_sha256},
        annotations={ROLE: "register_map"},
    )
    for name in names_below(folder):
        if name == CERTIFICATE_FILE:
            continue
        path = folder / name
        role = "report" if name in MADE else "evidence"
        yield Resource(
            name=name,
            digest={"sha256": sha256_of(path)},
            mediaType=MEDIA.get(path.suffix),
            annotations={ROLE: role, "suitwin_bytes": path.stat().st_size},
        )


def _configuration(record: CertificationRecord) -> Iterator[Resource]:
    """Yield under what the test was run."""
    yield inline("suite", "configuration", {"id": record.suite, "title": record.title})
    yield Resource(
        name="limits.toml",
        digest={"sha256": record.limits_sha256},
        annotations={ROLE: "configuration"},
    )
    yield inline("versions", "configuration", dict(record.versions))
    yield inline("seed", "configuration", record.seed)
    yield inline("bench", "configuration", dict(record.bench))
    for one in record.instruments:
        said = {
            "role": one.role, "name": one.name, "driver": one.driver, "identity": one.identity,
            "class_pct": one.class_pct, "sampling_s": one.sampling_s, "calibrated": one.calibrated,
        }  # fmt: skip
        yield inline(f"instrument {one.name}", "configuration", said)
