"""The signed envelope: DSSE around an in-toto statement, read and written in one way only.

DSSE signs the payload and its type, not the file around them: blanks, the order of fields or
spare bits of base64 could be changed unnoticed. So an envelope has one spelling, `to_bytes`, and
what is spelled otherwise is refused: any changed byte of the file is found.

Sources: DSSE 1.0 (envelope.md, protocol.md), in-toto attestation v1 (envelope.md); both by
securesystemslib.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

__all__ = [
    "CERTIFICATE_FILE", "JUNIT_FILE", "PAGE_FILE", "PAYLOAD_TYPE", "Misspelled",
    "add_signature", "envelope_of", "good_signature", "parse", "to_bytes", "write",
]  # fmt: skip

# What is made from a record, beside it in its folder.
CERTIFICATE_FILE, PAGE_FILE, JUNIT_FILE = "certificate.json", "certificate.html", "junit.xml"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MOST_BYTES = 64 << 20


class Misspelled(ValueError):
    """A file is no envelope, or not spelled as one is; the text says what is wrong."""


class _Signature(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    keyid: str
    sig: str


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    payload: str
    payloadType: str  # noqa: N815  # the standard's name
    signatures: list[_Signature]


def envelope_of(statement: Mapping[str, object]) -> Envelope:
    """Return the unsigned envelope of a statement."""
    text = json.dumps(
        statement, ensure_ascii=False, sort_keys=True, allow_nan=False, separators=(",", ":")
    )
    return Envelope(text.encode(), PAYLOAD_TYPE, {})


def add_signature(envelope: Envelope, signer: CryptoSigner) -> str:
    """Sign; return the key's id. A second signature of one key takes the first one's place."""
    return str(envelope.sign(signer).keyid)


def good_signature(envelope: Envelope, key: SSlibKey) -> bool:
    """Return whether the envelope holds a good signature of `key`."""
    try:
        envelope.verify([key], 1)
    except VerificationError:
        return False
    return True


def to_bytes(envelope: Envelope) -> bytes:
    """Return the envelope in its one spelling: fields and signatures in order, UTF-8."""
    said = envelope.to_dict()
    said["signatures"] = sorted(said["signatures"], key=lambda s: str(s["keyid"]))
    return (json.dumps(said, indent=1, sort_keys=True) + "\n").encode()


def write(envelope: Envelope, path: Path) -> None:
    """Write an envelope; it appears whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(to_bytes(envelope))
    partial.replace(path)


def parse(data: bytes) -> Envelope:
    """Read an envelope; raises Misspelled where `data` is none, or is not what was written."""
    if len(data) > MOST_BYTES:
        raise Misspelled(f"{len(data):,} bytes, too large for a certificate")
    try:
        said = _File.model_validate_json(data)
        envelope = Envelope.from_dict(said.model_dump())
    except ValidationError as error:
        raise Misspelled(_first(error)) from None
    except (binascii.Error, ValueError) as error:
        raise Misspelled(str(error)) from None
    if to_bytes(envelope) != data:
        raise Misspelled("bytes were changed outside of what is signed")
    return envelope


def _first(error: ValidationError) -> str:
    """Return what pydantic found first, in words."""
    one: Sequence[str | int] = error.errors()[0]["loc"]
    place = ".".join(str(p) for p in one)
    said = error.errors()[0]["msg"]
    return f"{place}: {said}" if place else said
