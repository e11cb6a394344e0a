"""What each option of a doubt would make of the table, by an example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hil.registers.pointtable.findings import Choices, Doubt
from hil.registers.pointtable.points import Built
from hil.registers.pointtable.samples import decode_samples
from hil.registers.schema import WIDTH

__all__ = ["with_readings"]

SHOWN = ("table", "address", "type", "bit", "length", "scale", "access", "low", "high")
# Read in both orders where there are no samples.
EXAMPLE = (0x0001, 0x0002)
# Decoded samples that one reading shows.
MOST_SAMPLES = 2

Rebuild = Callable[[Choices], tuple[Built, Mapping[str, Any]]]


def with_readings(
    doubts: Sequence[Doubt],
    choices: Choices,
    samples: Mapping[int, int],
    encodings: Mapping[str, str],
    rebuild: Rebuild,
) -> tuple[Doubt, ...]:
    """Return doubts whose options show what the table would say, other doubts as they come first.

    Parameters
    ----------
    samples : words by address, decoded under each option
    encodings : by encoding in doubt, how a line would read
    rebuild : the map's data under choices
    """
    first = choices
    for doubt in doubts:
        first = choose(first, doubt.field, doubt.options[0].value)
    found = []
    for doubt in doubts:
        if doubt.field == "kind":
            found.append(doubt)
            continue
        if doubt.field == "encoding":
            texts = [encodings.get(option.value, "") for option in doubt.options]
        else:
            data = [
                rebuild(choose(first, doubt.field, option.value))[1] for option in doubt.options
            ]
            texts = _texts(data, samples)
        options = [replace(o, reading=t) for o, t in zip(doubt.options, texts, strict=True)]
        found.append(replace(doubt, options=tuple(options)))
    return tuple(found)


def choose(choices: Choices, name: str, value: str) -> Choices:
    """Return choices with one more."""
    if name == "sheets":
        return replace(choices, sheets=(value,))
    if name == "tables":
        cls, _, table = value.partition("=")
        return replace(choices, tables=((cls, table), *choices.tables))
    return replace(choices, **{name: value})  # type: ignore[arg-type]


def _texts(data: Sequence[Mapping[str, Any]], samples: Mapping[int, int]) -> list[str]:
    """Return one example for each reading: samples, else the first point that differs."""
    decoded = [[str(d) for d in decode_samples(one, samples)] for one in data]
    if any(texts != decoded[0] for texts in decoded):
        # Only what tells readings apart.
        common = set.intersection(*(set(texts) for texts in decoded))
        told = [[t for t in texts if t not in common][:MOST_SAMPLES] for texts in decoded]
        return [", ".join(texts) or "no sample" for texts in told]
    points = [one.get("points", []) for one in data]
    if len({len(p) for p in points}) > 1:
        return [f"{len(p)} points" for p in points]
    for rows in zip(*points, strict=True):
        shown = [_shown(row, one) for row, one in zip(rows, data, strict=True)]
        keys = [key for key in shown[0] if any(s.get(key) != shown[0][key] for s in shown)]
        if keys:
            name = rows[0]["meaning_zh"]
            return [f"{name}: " + ", ".join(f"{k} {s[k]}" for k in keys) for s in shown]
    return [""] * len(data)


def _shown(point: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, object]:
    shown: dict[str, object] = {key: point.get(key) for key in SHOWN}
    shown["scale"] = point.get("scale", 1.0)
    shown["access"] = point.get("access", "r")
    order = point.get("order", data.get("order", "ABCD"))
    if WIDTH.get(point["type"]) == len(EXAMPLE):
        plain = {"points": [point], "order": order}
        words = {point["address"] + i: word for i, word in enumerate(EXAMPLE)}
        (example,) = decode_samples(plain, words) or (None,)
        if example is not None:
            shown["order"] = f"{order} ({EXAMPLE[0]:04X} {EXAMPLE[1]:04X} is {example.value:g})"
    return shown
