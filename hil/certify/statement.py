"""What a certificate says: an in-toto statement v1 with the predicate ``test-result/v0.1``.

The predicate's own fields say result, configuration and names of tests; everything typed stands
in its extension field `suitwin`: each measurement with value, uncertainty, limit and outcome.
Readers that do not know the extension may ignore it, as the framework's parsing rules ask.

Sources: in-toto attestation framework, spec/v1 (statement, resource descriptor, parsing rules)
and spec/predicates/test-result.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hil.certify.measurement import Outcome

__all__ = [
    "EXTENSION_TYPE", "FILE_ROLES", "JSON_MEDIA", "PREDICATE_TYPE", "RESULT_OF", "ROLE",
    "STATEMENT_TYPE", "Certification", "FigureSaid", "Resource", "Statement", "TestResult",
    "canonical", "inline", "sha256",
]  # fmt: skip

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
EXTENSION_TYPE = "urn:suitwin:certification:0.1"
JSON_MEDIA = "application/json"

Result = Literal["PASSED", "WARNED", "FAILED"]
# The predicate knows three results. What is inconclusive, could not be measured or has no limit
# has not failed, but neither is it passed: whoever asks for PASSED does not get it.
RESULT_OF: Mapping[Outcome, Result] = {
    Outcome.PASS: "PASSED",
    Outcome.INCONCLUSIVE: "WARNED",
    Outcome.NOT_APPLICABLE: "WARNED",
    Outcome.FIGURE: "WARNED",
    Outcome.FAIL: "FAILED",
}

# Annotation that says what a resource is; the files among them are looked for in the evidence.
ROLE = "suitwin_role"
FILE_ROLES = frozenset({"evidence", "report"})

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    """Read as the framework asks: fields that are not known are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Resource(_Part):
    """A resource descriptor: a file within the evidence, or a thing whose `content` is said here.

    Attributes
    ----------
    name : path of the file relative to the evidence, or name of the thing
    digest : SHA-256 of the file, or of the content before base64
    role : what it is to this certificate; an annotation in the standard's spelling
    """

    name: str
    digest: dict[Literal["sha256"], Sha256]
    mediaType: str | None = None  # noqa: N815  # the standard's name
    content: str | None = None
    annotations: dict[str, object] = Field(default_factory=dict)

    @property
    def role(self) -> str:
        """What it is to this certificate."""
        return str(self.annotations.get(ROLE, ""))


class FigureSaid(_Part):
    """One measurement as it is certified.

    Attributes
    ----------
    name : of the test: procedure, step where it has one, measurement
    value, uncertainty, unit : what was measured; None: it was not
    limit, comparison : what it was held against; comparison ``figure``: against nothing
    clause, source, grade : where the limit comes from and how well that is known
    path : how it was measured: instrument and class, or the device's own register
    outcome, reason : and why, where it is neither passed nor failed
    """

    name: str
    title: str
    title_zh: str
    unit: str
    value: float | str | None
    uncertainty: float | None
    limit: float | str | tuple[float, float] | None
    comparison: str
    clause: str
    source: str
    grade: str
    path: str
    outcome: Outcome
    reason: str


class Certification(_Part):
    """The predicate's extension: what was certified, on what evidence, and every figure.

    Attributes
    ----------
    evidence, time : what the certificate rests on, and whether time was compressed
    outcome : of the suite, in the suite's own words
    unsafe : procedures after which the device was not seen at its safe state
    """

    type: Literal["urn:suitwin:certification:0.1"]
    title: str
    title_zh: str
    suite: str
    evidence: Literal["emulated", "known-good", "hardware"]
    time: str
    outcome: Outcome
    unsafe: tuple[str, ...]
    started: str
    ended: str
    figures: tuple[FigureSaid, ...]


class TestResult(_Part):
    """The predicate ``test-result/v0.1``."""

    __test__ = False  # a class of pytest's it is not

    result: Result
    configuration: tuple[Resource, ...]
    passedTests: tuple[str, ...]  # noqa: N815
    warnedTests: tuple[str, ...]  # noqa: N815
    failedTests: tuple[str, ...]  # noqa: N815
    suitwin: Certification


class Statement(_Part):
    """An in-toto statement v1 about one certification."""

    type_: str = Field(alias="_type")
    subject: Annotated[tuple[Resource, ...], Field(min_length=1)]
    predicate_type: str = Field(alias="predicateType")
    predicate: TestResult

    def files(self) -> dict[str, str]:
        """Return the SHA-256 of each file of the evidence by its path, the report's among them."""
        return {r.name: r.digest["sha256"] for r in self.subject if r.role in FILE_ROLES}

    def device(self) -> dict[str, object]:
        """Return what is said of the device: name, kind, identity, nameplate, place.

        Only of a statement whose contents were held against their digests.
        """
        for resource in self.subject:
            if resource.role == "device" and resource.content is not None:
                found = json.loads(base64.b64decode(resource.content))
                return found if isinstance(found, dict) else {}
        return {}

    def said(self) -> dict[str, object]:
        """Return the statement as it is written."""
        said = self.model_dump(mode="json", by_alias=True)
        said["subject"] = [_given(r) for r in self.subject]
        said["predicate"]["configuration"] = [_given(r) for r in self.predicate.configuration]
        return said


def _given(resource: Resource) -> dict[str, object]:
    """Return a descriptor without the fields that it does not have: none may be null."""
    return resource.model_dump(mode="json", exclude_none=True)


def canonical(value: object) -> bytes:
    """Return JSON in one spelling."""
    text = json.dumps(
        value, ensure_ascii=False, sort_keys=True, allow_nan=False, separators=(",", ":")
    )
    return text.encode()


def sha256(data: bytes) -> str:
    """Return the digest in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def inline(name: str, role: str, value: object) -> Resource:
    """Return the descriptor of a thing that is said in full within the statement."""
    data = canonical(value)
    return Resource(
        name=name,
        digest={"sha256": sha256(data)},
        mediaType=JSON_MEDIA,
        content=base64.b64encode(data).decode(),
        annotations={ROLE: role},
    )
