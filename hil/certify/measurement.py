"""Measurements: declared before they are taken, then judged with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

__all__ = [
    "Comparison", "Limit", "Measurement", "Outcome", "Path", "Taken", "Value", "verdict",
    "worst",
    "worst_taken",
]  # fmt: skip

Comparison = Literal["<=", ">=", "within", "==", "figure"]
Limit: TypeAlias = float | tuple[float, float] | str | None
Value: TypeAlias = float | str | None


class Outcome(StrEnum):
    """What became of a measurement, a step, a procedure or a suite."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"  # nearer to the limit than the uncertainty, or broken off
    NOT_APPLICABLE = "not_applicable"  # e.g. no instrument; never a pass
    FIGURE = "figure"  # a number without a limit; says neither pass nor fail


_SEVERITY = (
    Outcome.FIGURE, Outcome.PASS, Outcome.NOT_APPLICABLE, Outcome.INCONCLUSIVE, Outcome.FAIL,
)  # fmt: skip


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of some outcomes; of none at all: not applicable.

    What could not be tried is worse than a pass, so that nothing passes by lack of instruments.

    >>> worst([Outcome.PASS, Outcome.NOT_APPLICABLE, Outcome.FIGURE]).value
    'not_applicable'
    """
    return max(outcomes, key=_SEVERITY.index, default=Outcome.NOT_APPLICABLE)


def verdict(taken: Iterable[Taken]) -> Outcome:
    """Return the worst of some measurements.

    One that does not apply to the device takes no part, unless none does; one that could not be
    taken for lack of an instrument does, so that nothing passes by lack of instruments.
    """
    every = list(taken)
    part = [t.outcome for t in every if t.outcome is not Outcome.NOT_APPLICABLE or t.lacking]
    return worst(part or [t.outcome for t in every])


@dataclass(frozen=True, slots=True)
class Path:
    """How a value came about.

    Attributes
    ----------
    by : ``instrument``, ``register`` (the device's own) or ``wire`` (what it does with bytes)
    name : of the instrument or of the register
    accuracy : half width of its error, in the measurement's unit; None: the device's own claim
        is all there is
    sampling_s : interval at which it is renewed or polled [s]
    """

    by: Literal["instrument", "register", "wire"]
    name: str
    accuracy: float | None = None
    sampling_s: float = 0.0

    def __str__(self) -> str:
        every = f", every {self.sampling_s:g} s" if self.sampling_s > 0.0 else ""
        if self.by == "wire":
            return f"on the wire: {self.name}"
        if self.by == "register":
            return f"own register {self.name}{every}"
        error = "" if self.accuracy is None else f", ±{self.accuracy:.3g}"
        return f"instrument {self.name}{error}{every}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What will be measured and how it is judged; data of limits.toml.

    Attributes
    ----------
    id : within its suite, e.g. ``response_time``
    name, name_zh : for people
    unit : of value and limit, ``""`` for a text or a count
    limit : a number; two for ``within``; a text or a number for ``==``; None for ``figure``
    comparison : how the value is held against it
    clause : of the source, ``""`` where it has none
    source : standard, report or whose choice it is
    grade : of the limit: A, B, C, D, GK (general knowledge) or ``assumed`` (our choice)
    needs : roles of instruments without which it is not applicable, e.g. ``meter`` or
        ``meter,source``
    """

    id: str
    name: str
    name_zh: str
    unit: str
    limit: Limit
    comparison: Comparison
    clause: str
    source: str
    grade: str
    needs: str = ""

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of instruments that it needs."""
        return tuple(role.strip() for role in self.needs.split(",") if role.strip())

    def judge(self, value: Value, uncertainty: float) -> Outcome:
        """Return the outcome of a value.

        A value as near to the limit as its uncertainty, on either side, is inconclusive; with
        uncertainty 0 (a count, a text) the limit itself is on the good side of ``<=``, ``>=``
        and ``within``. NaN and None are inconclusive.
        """
        if self.comparison == "figure":
            return Outcome.FIGURE
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return Outcome.INCONCLUSIVE
        if isinstance(value, str) or isinstance(self.limit, str):
            return Outcome.PASS if value == self.limit else Outcome.FAIL
        outcomes = [_beyond(by, uncertainty) for by in self.excess(float(value))]
        return worst(outcomes)

    def excess(self, value: float) -> list[float]:
        """Return by how much a value is beyond each of its bounds, negative inside.

        Raises ValueError for a figure, and for a limit that is a text.
        """
        limit = self.limit
        if isinstance(limit, tuple):
            return [limit[0] - value, value - limit[1]]
        if limit is None or isinstance(limit, str):
            raise ValueError(f"{self.id}: {self.comparison} needs a number as limit")
        if self.comparison == "<=":
            return [value - limit]
        if self.comparison == ">=":
            return [limit - value]
        return [value - limit, limit - value]

    def taken(self, value: Value, uncertainty: float, path: Path, note: str = "") -> Taken:
        """Return the measurement with a value."""
        return Taken(self, self.judge(value, uncertainty), value, uncertainty, path, note)

    def untaken(self, outcome: Outcome, reason: str, lacking: bool = False) -> Taken:
        """Return the measurement without one: not applicable, or broken off."""
        return Taken(self, outcome, None, None, None, reason, lacking)


def _beyond(excess: float, uncertainty: float) -> Outcome:
    if uncertainty > 0.0 and abs(excess) <= uncertainty:
        return Outcome.INCONCLUSIVE
    return Outcome.PASS if excess <= 0.0 else Outcome.FAIL


@dataclass(frozen=True, slots=True)
class Taken:
    """A measurement that was taken, or why not.

    Attributes
    ----------
    declared : what was declared
    outcome : of it
    value, uncertainty : in its unit, None where none was taken
    path : how the value came about
    note : a reason, or what a person should know
    lacking : not applicable because the bench lacks an instrument, not because of the device
    """

    declared: Measurement
    outcome: Outcome
    value: Value = None
    uncertainty: float | None = None
    path: Path | None = None
    note: str = ""
    lacking: bool = False

    def row(self) -> dict[str, object]:
        """Return it as JSON can hold it."""
        d = self.declared
        limit = list(d.limit) if isinstance(d.limit, tuple) else d.limit
        return {
            "id": d.id, "name": d.name, "name_zh": d.name_zh, "unit": d.unit, "limit": limit,
            "comparison": d.comparison, "clause": d.clause, "source": d.source,
            "grade": d.grade, "needs": d.needs, "outcome": self.outcome.value,
            "value": self.value, "uncertainty": self.uncertainty,
            "path": None if self.path is None else asdict(self.path), "note": self.note,
            "lacking": self.lacking,
        }  # fmt: skip

    @classmethod
    def of_row(cls, row: dict[str, object]) -> Taken:
        """Return what `row` gave."""
        limit = row["limit"]
        declared = Measurement(
            **{name: row[name] for name in _DECLARED},  # type: ignore[arg-type]
            limit=tuple(limit) if isinstance(limit, list) else limit,  # type: ignore[arg-type]
        )
        path = row["path"]
        return cls(
            declared,
            Outcome(str(row["outcome"])),
            row["value"],  # type: ignore[arg-type]
            row["uncertainty"],  # type: ignore[arg-type]
            Path(**path) if isinstance(path, dict) else None,
            str(row["note"]),
            bool(row.get("lacking", False)),
        )


def worst_taken(taken: Sequence[Taken]) -> Taken:
    """Return what a measurement that was taken several times amounts to.

    Of those with the worst outcome it is the one furthest beyond its limit, or nearest to it.
    """
    outcome = worst(t.outcome for t in taken)
    return max((t for t in taken if t.outcome is outcome), key=_beyond_limit)


def _beyond_limit(taken: Taken) -> float:
    value, declared = taken.value, taken.declared
    if isinstance(value, str):  # what never happened
        return math.inf
    if value is None or declared.comparison == "figure" or isinstance(declared.limit, str):
        return -math.inf
    return max(declared.excess(value))


_DECLARED = (
    "id", "name", "name_zh", "unit", "comparison", "clause", "source", "grade", "needs",
)  # fmt: skip
