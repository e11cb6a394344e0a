"""Verdicts: one value against one limit each, and the table of limits.

``passed`` is None only for a figure and for what is not applicable; what could not be
computed is False, with the reason.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files

__all__ = ["NOT_APPLICABLE", "Rule", "Scope", "Sheet", "Verdict", "rules"]

# The only reasons for which `passed` may be None on a verdict that has a limit.
NO_FORK = "a platform outside cannot be forked"
NO_REPORT = "the platform outside reported nothing"
NO_ALARMS = "no alarms are reported over this wire"
NOT_APPLICABLE = (
    "no such order", "no history", "no graph", "not built yet", NO_FORK, NO_REPORT, NO_ALARMS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of ``limits.toml``; `limit` is None for a figure."""

    id: str
    title: str
    title_zh: str
    unit: str
    comparison: str
    source: str
    grade: str
    limit: float | None = None

    def passes(self, value: float) -> bool | None:
        """Return whether `value` keeps the limit; None for a figure."""
        if self.limit is None:
            return None
        return value >= self.limit if self.comparison == ">=" else value <= self.limit


@cache
def rules() -> Mapping[str, Rule]:
    """Return the shipped limits by id, variants as ``id@cap``.

    Raises ValueError where a row has neither a limit nor the comparison ``figure``.
    """
    text = files("twin.verify").joinpath("limits.toml").read_text(encoding="utf-8")
    found = {name: Rule(id=name, **row) for name, row in tomllib.loads(text).items()}
    for rule in found.values():
        if (rule.limit is None) != (rule.comparison == "figure"):
            raise ValueError(f"limits.toml: {rule.id}: {rule.comparison} with limit {rule.limit}")
        if rule.comparison not in (">=", "<=", "figure"):
            raise ValueError(f"limits.toml: {rule.id}: unknown comparison {rule.comparison!r}")
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict as it stands in ``summary.json``.

    Attributes
    ----------
    id : e.g. ``dr.delivered``
    order : id of the order that is judged; None for supervision and where there is no order
    title, title_zh : what is measured
    value : in `unit`; None where it could not be computed or is not applicable
    limit, comparison : what passes; comparison ``figure`` is never judged
    passed : None for a figure or what is not applicable
    reason : why there is no value, or what is worth knowing of it
    source : of the limit, with its grade
    base_mw : what the percentage refers to, where it is one of MW
    window_min : length of the window that was judged
    """

    id: str
    order: str | None
    title: str
    title_zh: str
    value: float | None
    unit: str
    limit: float | None
    comparison: str
    passed: bool | None
    reason: str | None
    source: str
    base_mw: float | None = None
    window_min: float | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain data for JSON; never NaN or infinity."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a value refers to [MW], and the length of the window it was taken over."""

    base_mw: float | None = None
    window_min: float | None = None


@dataclass(slots=True)
class Sheet:
    """The verdicts on one order, filled id by id.

    Parameters
    ----------
    order : id of the order, None where there is none
    """

    order: str | None
    verdicts: list[Verdict] = field(default_factory=list)

    def add(
        self,
        id_: str,
        value: float | None,
        reason: str | None = None,
        *,
        failed: bool = False,
        variant: str = "",
        scope: Scope = Scope(),
    ) -> Verdict:
        """Judge `value` by the rule `id_` (with ``@variant``) and keep the verdict.

        None, NaN and infinity are values that could not be computed: the verdict is False (of
        a figure: None). `failed` makes it False whatever the value, for a condition beside the
        limit that `reason` names.
        """
        rule = rules()[f"{id_}@{variant}" if variant != "" else id_]
        computed = value is not None and math.isfinite(value)
        if not computed and reason is None:
            reason = "could not be computed: no finite value"
        passed: bool | None
        if reason in NOT_APPLICABLE or rule.limit is None:
            passed = None
        else:
            passed = bool(not failed and computed and value is not None and rule.passes(value))
        verdict = Verdict(
            id_,
            self.order,
            rule.title,
            rule.title_zh,
            float(value) if computed and value is not None else None,
            rule.unit,
            rule.limit,
            rule.comparison,
            passed,
            reason,
            f"{rule.source} (grade {rule.grade})",
            scope.base_mw,
            scope.window_min,
        )
        self.verdicts.append(verdict)
        return verdict

    def not_applicable(self, id_: str, reason: str) -> Verdict:
        """Keep a verdict that does not apply; `reason` is one of `NOT_APPLICABLE`."""
        if reason not in NOT_APPLICABLE:
            raise ValueError(f"{reason!r} is no reason for not being applicable")
        return self.add(id_, None, reason)
