"""Least and greatest values: from ranges and limits, in the point's unit or as raw numbers."""

from __future__ import annotations

from hil.registers.pointtable.findings import Choices, Notes
from hil.registers.pointtable.headers import Row
from hil.registers.pointtable.texts import read_enum, read_range
from hil.registers.pointtable.twincells import number
from hil.registers.pointtable.words import shape, statements
from hil.registers.schema import WHOLE

__all__ = ["settle_limits"]

ALLOWED = "a number, or a range such as 0~100"


def settle_limits(
    row: Row, type_: str, scale: float, choices: Choices, notes: Notes
) -> tuple[float | None, float | None]:
    """Return low and high in the point's unit, None where the row has none.

    Where a column says neither that its numbers are in the unit nor that they are raw, and both
    would fit, it is a doubt.
    """
    if type_ == "string":
        return None, None
    ends: list[float | None] = [None, None]
    source = ""
    both = read_range(row.get("range"))
    if both is not None:
        ends, source = list(both), "range"
    elif row.get("range") != "" and not read_enum(row.get("range")):
        what = f"range {row.get('range')!r} is no limit"
        notes.find(row.place, what, "not two numbers", ("a limit",))
    for place, meaning in enumerate(("low", "high")):
        text = row.get(meaning)
        if text == "":
            continue
        given = number(shape(text))
        if given is None:
            notes.wrong(row.place, meaning, repr(text), ALLOWED)
        else:
            ends[place], source = given, meaning
    if source == "" or ends == [None, None]:
        return None, None
    if type_ == "bit" or scale == 1.0:
        return ends[0], ends[1]
    if _reading(row, source, ends, type_, scale, choices, notes) == "raw":
        low, high = (None if end is None else float(f"{end * scale:.12g}") for end in ends)
        return low, high
    return ends[0], ends[1]


def _reading(
    row: Row,
    source: str,
    ends: list[float | None],
    type_: str,
    scale: float,
    choices: Choices,
    notes: Notes,
) -> str:
    header = row.block.columns[source].text
    said = set(statements("limits", header))
    if len(said) == 1:
        return said.pop()
    if choices.limits is not None:
        notes.find(row.place, f"limits are {choices.limits}", "--limits")
        return choices.limits
    fits = [
        reading
        for reading, factor in (("value", 1.0 / scale), ("raw", 1.0))
        if _fits(ends, type_, factor)
    ]
    if len(fits) == 1:
        what = "limits are in the point's unit" if fits == ["value"] else "limits are raw numbers"
        notes.find(row.place, what, f"the other way they do not fit {type_}")
        return fits[0]
    what = f"whether column {header!r} is in the point's unit or raw"
    notes.doubt("limits", row.place, what, "there is a scale, and both fit", ("value", "raw"))
    return "value"


def _fits(ends: list[float | None], type_: str, factor: float) -> bool:
    if type_ not in WHOLE:
        return True
    least, most = WHOLE[type_]
    raw = [end * factor for end in ends if end is not None]
    return all(least <= round(r) <= most and abs(r - round(r)) < 1e-6 for r in raw)
