"""Safe reading of summary.json, which may lack what a run did not get to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = ["limit_of", "mapping", "real", "text", "verdict_of", "verdicts"]


def mapping(tree: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return the table under `key`, empty where there is none."""
    value = tree.get(key)
    return value if isinstance(value, Mapping) else {}


def real(tree: Mapping[str, object], key: str) -> float | None:
    """Return the finite number under `key`, or None."""
    value = tree.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def text(tree: Mapping[str, object], key: str) -> str:
    """Return what stands under `key` as text, empty where nothing does."""
    value = tree.get(key)
    return "" if value is None else str(value)


def verdicts(summary: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the verdicts in their order."""
    value = summary.get("verdicts")
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [v for v in value if isinstance(v, Mapping)]


def verdict_of(
    summary: Mapping[str, object], verdict_id: str, order_id: str | None = None
) -> Mapping[str, object] | None:
    """Return the verdict with this id, for this order where one is named."""
    for verdict in verdicts(summary):
        if verdict.get("id") == verdict_id and (
            order_id is None or verdict.get("order") in (order_id, None)
        ):
            return verdict
    return None


def limit_of(
    summary: Mapping[str, object], verdict_id: str, order_id: str | None = None
) -> float | None:
    """Return the limit of a verdict, so that the page draws the one that was judged by."""
    verdict = verdict_of(summary, verdict_id, order_id)
    return None if verdict is None else real(verdict, "limit")
