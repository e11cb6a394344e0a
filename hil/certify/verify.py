"""Is a certificate what was signed, and is the evidence what it was made from? Checked offline.

Nothing in a certificate is believed before its signatures are good, and nothing but the keys
that were given decides that. Every file of the evidence has to be in the certificate with its
SHA-256, and nothing else may lie beside them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from hil.certify.certificate import (
    CERTIFICATE_FILE,
    PAYLOAD_TYPE,
    Misspelled,
    good_signature,
    parse,
)
from hil.certify.evidence import sha256_of
from hil.certify.statement import PREDICATE_TYPE, STATEMENT_TYPE, Resource, Statement
from twin.errors import InputProblems, Problem

__all__ = [
    "Flaw", "Verification", "evidence_flaws", "names_below", "statement_of_payload", "verify",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is not as it was signed: which part, and what is wrong with it."""

    place: str
    wrong: str

    def __str__(self) -> str:
        return f"{self.place}: {self.wrong}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What came out.

    Attributes
    ----------
    flaws : everything that is wrong; none: the certificate holds
    signed_by : ids of the given keys with a good signature
    others : ids of signatures by keys that were not given, where a threshold allows for them
    files : evidence files whose content is what was signed
    evidence_checked : False where no evidence was given
    statement : what is certified; None where it could not be read or no signature is good
    """

    flaws: tuple[Flaw, ...]
    signed_by: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    files: int = 0
    evidence_checked: bool = False
    statement: Statement | None = None

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.flaws


def verify(
    path: Path,
    keys: Sequence[SSlibKey],
    *,
    threshold: int | None = None,
    evidence: Path | None = None,
) -> Verification:
    """Check a certificate; what is wrong with it is returned, not raised.

    Parameters
    ----------
    path : envelope
    keys : public keys that count
    threshold : how many of `keys` must have signed; signatures by further keys are then passed
        over. None: all of `keys` must have signed, and nobody else
    evidence : folder of the evidence; None checks the signatures only

    Raises InputProblems where the call cannot be meant: no key, a threshold that is out of
    reach, a file or folder that cannot be read.
    """
    data = _given(path, keys, threshold, evidence)
    try:
        envelope = parse(data)
    except Misspelled as error:
        return Verification((Flaw("envelope", str(error)),))
    signed_by, others, flaws = _signatures(envelope, keys, threshold)
    if flaws or not signed_by:
        return Verification(tuple(flaws), signed_by, others)
    try:
        statement = statement_of_payload(envelope)
    except Misspelled as error:
        return Verification((Flaw("statement", str(error)),), signed_by, others)
    flaws += _contents(statement)
    good = 0
    if evidence is not None:
        wrong = list(evidence_flaws(statement, evidence, path))
        flaws += wrong
        good = len(statement.files()) - len({f.place for f in wrong} & set(statement.files()))
    return Verification(tuple(flaws), signed_by, others, good, evidence is not None, statement)


def _given(
    path: Path, keys: Sequence[SSlibKey], threshold: int | None, evidence: Path | None
) -> bytes:
    found: list[Problem] = []
    different = len({key.keyid for key in keys})
    if different == 0:
        found.append(Problem("--key", "keys", "none", "one public key at least"))
    elif threshold is not None and not 1 <= threshold <= different:
        found.append(Problem("--threshold", "keys", str(threshold), f"1 to {different}"))
    if evidence is not None and not evidence.is_dir():
        found.append(Problem("--evidence", str(evidence), "no folder", "folder of the evidence"))
    data = b""
    try:
        data = path.read_bytes()
    except OSError as error:
        said = error.strerror or str(error)
        found.append(Problem(str(path), "certificate", said, "a certificate.json"))
    if found:
        raise InputProblems(found)
    return data


def _signatures(
    envelope: Envelope, keys: Sequence[SSlibKey], threshold: int | None
) -> tuple[tuple[str, ...], tuple[str, ...], list[Flaw]]:
    """Return ids of good keys, ids of unknown ones, and what is wrong."""
    known = {key.keyid: key for key in keys}
    present = sorted(envelope.signatures)
    flaws: list[Flaw] = []
    if not present:
        flaws.append(Flaw("signatures", "nobody has signed this"))
    good = [k for k in present if k in known and good_signature(envelope, known[k])]
    flaws += [
        Flaw(f"signature {k[:12]}", "does not fit the payload, or is not of this key")
        for k in present
        if k in known and k not in good
    ]
    others = tuple(k for k in present if k not in known)
    if threshold is None:
        flaws += [Flaw(f"signature {k[:12]}", "of a key that was not given") for k in others]
        flaws += [Flaw(f"key {k[:12]}", "has not signed this") for k in known if k not in present]
    elif len(good) < threshold:
        flaws.append(Flaw("signatures", f"{len(good)} good, {threshold} wanted"))
    return tuple(good), others, flaws


def statement_of_payload(envelope: Envelope) -> Statement:
    """Return the statement in an envelope; raises Misspelled. Signatures are not looked at."""
    if envelope.payload_type != PAYLOAD_TYPE:
        raise Misspelled(f"payload is {envelope.payload_type!r}, not {PAYLOAD_TYPE!r}")
    try:
        statement = Statement.model_validate_json(envelope.payload)
    except ValidationError as error:
        one = error.errors()[0]
        raise Misspelled(f"{'.'.join(str(p) for p in one['loc'])}: {one['msg']}") from None
    if statement.type_ != STATEMENT_TYPE:
        raise Misspelled(f"is a {statement.type_!r}, not {STATEMENT_TYPE!r}")
    if statement.predicate_type != PREDICATE_TYPE:
        raise Misspelled(f"says {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
    return statement


def _contents(statement: Statement) -> Iterator[Flaw]:
    """Yield what is wrong with things whose content stands in the statement itself."""
    parts: list[Resource] = [*statement.subject, *statement.predicate.configuration]
    for one in parts:
        if one.content is None:
            continue
        try:
            content = base64.b64decode(one.content, validate=True)
        except binascii.Error:
            yield Flaw(one.name, "its content is not base64")
            continue
        if hashlib.sha256(content).hexdigest() != one.digest["sha256"]:
            yield Flaw(one.name, "its content is not what its digest says")


def evidence_flaws(statement: Statement, folder: Path, certificate: Path) -> Iterator[Flaw]:
    """Yield what is missing, changed or added in the evidence."""
    said = statement.files()
    there = names_below(folder)
    if not set(said) & set(there):
        yield Flaw("evidence", f"nothing of it is in {folder}")
        return
    for name, digest in said.items():
        if not _safe(name):
            yield Flaw(name, "no name of a file within the evidence")
        elif name not in there:
            yield Flaw(name, "is missing")
        elif (folder / name).is_symlink() or not (folder / name).is_file():
            yield Flaw(name, "is a link or a device, not a file")
        elif _digest(folder / name) != digest:
            yield Flaw(name, "was changed: its SHA-256 is not the certified one")
    for name in there:
        if name not in said and not _same(folder / name, certificate):
            yield Flaw(name, "is not in the certificate")


def _same(one: Path, other: Path) -> bool:
    """Return whether a file is the certificate that is being checked, or a copy of it."""
    if not one.is_file() or one.is_symlink():
        return False
    return one.samefile(other) or (
        one.name == CERTIFICATE_FILE and one.read_bytes() == other.read_bytes()
    )


def _safe(name: str) -> bool:
    """Return whether a name stays within the folder that it is taken relative to."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name


def names_below(folder: Path) -> list[str]:
    """Return everything within `folder` that is no folder, by its path relative to it."""
    names = []
    for at, directories, files in os.walk(folder, followlinks=False):
        root = Path(at)
        links = [d for d in directories if (root / d).is_symlink()]
        names += [(root / f).relative_to(folder).as_posix() for f in [*files, *links]]
    return sorted(names)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file; an empty text where it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return ""
