"""Limits are data: `limits.toml`, one table a measurement, grouped by suite."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from hil.certify.measurement import Measurement

__all__ = ["limits_bytes", "limits_sha256", "measurements"]

GRADES = ("A", "B", "C", "D", "GK", "assumed")
COMPARISONS = ("<=", ">=", "within", "==", "figure")
KEYS = frozenset(
    {"name", "name_zh", "unit", "limit", "comparison", "clause", "source", "grade", "needs"}
)


def measurements(suite: str) -> dict[str, Measurement]:
    """Return the measurements of a suite by id; KeyError for a suite without limits.

    Raises ValueError for a table that says something else than a measurement.
    """
    return dict(_all()[suite])


def limits_sha256() -> str:
    """Return the SHA-256 of the file of limits, in hexadecimal."""
    return hashlib.sha256(limits_bytes()).hexdigest()


@cache
def limits_bytes() -> bytes:
    """Return the file of limits as it is."""
    return files("hil.certify").joinpath("limits.toml").read_bytes()


@cache
def _all() -> Mapping[str, Mapping[str, Measurement]]:
    return {
        suite: {id: _one(f"{suite}.{id}", id, row) for id, row in rows.items()}
        for suite, rows in tomllib.loads(limits_bytes().decode("utf-8")).items()
    }


def _one(place: str, id: str, row: Mapping[str, object]) -> Measurement:
    strange = set(row) - KEYS
    if strange:
        raise ValueError(f"limits.toml: {place}: unknown {', '.join(sorted(strange))}")
    comparison, grade, limit = row["comparison"], row["grade"], row.get("limit")
    if comparison not in COMPARISONS or grade not in GRADES:
        raise ValueError(f"limits.toml: {place}: comparison {comparison}, grade {grade}")
    if isinstance(limit, int | float):
        limit = float(limit)
    elif isinstance(limit, list):
        limit = (float(limit[0]), float(limit[1]))
    fits = {
        "within": isinstance(limit, tuple),
        "==": isinstance(limit, float | str),
        "figure": limit is None,
    }.get(str(comparison), isinstance(limit, float))
    if not fits:
        raise ValueError(f"limits.toml: {place}: limit {limit!r} for {comparison}")
    return Measurement(
        id=id,
        name=str(row["name"]),
        name_zh=str(row["name_zh"]),
        unit=str(row.get("unit", "")),
        limit=limit,  # type: ignore[arg-type]
        comparison=comparison,  # type: ignore[arg-type]
        clause=str(row.get("clause", "")),
        source=str(row["source"]),
        grade=str(grade),
        needs=str(row.get("needs", "")),
    )
