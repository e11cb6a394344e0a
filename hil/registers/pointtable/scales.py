"""Coefficients, divisors and decimals: what a raw value is multiplied with."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hil.registers.pointtable.findings import Choices, Notes, Place
from hil.registers.pointtable.headers import Layout, Row
from hil.registers.pointtable.words import shape, unit_words
from hil.registers.units import known_unit

__all__ = ["Scaled", "settle_scales", "unit_of"]

ALLOWED = "a number such as 0.1, 10, /10, x0.1"
_STATED = re.compile(r"(?P<sign>[x×*/÷])\s*(?P<number>[\d.]+(?:e[+-]?\d+)?)")
_QUOTIENT = re.compile(r"1\s*/\s*(?P<number>\d+(?:\.\d+)?)")
_POWER = re.compile(r"10\s*\^\s*\(?(?P<power>-?\d)\)?")
_WITH_UNIT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[^\d\s.].*)")
# A unit such as 0.1kW or 0.01 V.
_STEP = re.compile(r"(?P<number>0?\.\d+|10*)\s*(?P<unit>[a-zA-Z°℃%‰ΩμΜ千].*)")
MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Scaled:
    """A coefficient as written: the number, the unit beside it, and what it says of itself."""

    number: float
    unit: str = ""
    stated: str | None = None


def read_scale(text: str) -> Scaled | None:
    """Return a coefficient, None where the text is none.

    >>> read_scale("×0.1"), read_scale("1/10").number, read_scale("0.1V").unit
    (Scaled(number=0.1, unit='', stated='factor'), 0.1, 'v')
    """
    shaped = shape(text)
    match = _QUOTIENT.fullmatch(shaped)
    if match is not None and float(match["number"]) != 0.0:
        return Scaled(1.0 / float(match["number"]), stated="factor")
    match = _POWER.fullmatch(shaped)
    if match is not None:
        return Scaled(float(f"1e{match['power']}"), stated="factor")
    match = _STATED.fullmatch(shaped)
    try:
        if match is not None:
            stated = "divisor" if match["sign"] in "/÷" else "factor"
            return Scaled(float(match["number"]), stated=stated)
        return Scaled(float(shaped)) if math.isfinite(float(shaped)) else None
    except ValueError:
        match = _WITH_UNIT.fullmatch(shaped)
        return None if match is None else Scaled(float(match["number"]), match["unit"])


def settle_scales(layout: Layout, choices: Choices, notes: Notes) -> dict[int, float]:
    """Return the factor of each row's raw value, by index of the row.

    A column says by its header (乘系数, 除系数, 小数位数) or by its numbers what it holds; where
    neither does, it is a doubt, and factors are used.
    """
    found = {}
    columns: dict[tuple[str, str, str | None], list[tuple[int, Scaled]]] = {}
    for index, row in enumerate(layout.rows):
        for meaning in ("scale", "precision"):
            column = row.block.columns.get(meaning)
            if column is None or row.get(meaning) == "":
                continue
            if meaning == "precision" and row.get("scale") != "":
                what = f"column {column.text!r} not used"
                notes.find(row.place, what, "a column of coefficients is there", ("as decimals",))
                continue
            one = read_scale(row.get(meaning))
            if one is None:
                notes.wrong(row.place, meaning, repr(row.get(meaning)), ALLOWED)
            else:
                key = (meaning, column.text, column.header.scale)
                columns.setdefault(key, []).append((index, one))
    for (meaning, text, stated), entries in columns.items():
        open_ = [(i, one) for i, one in entries if one.stated is None]
        places = [layout.rows[i].place for i, _ in open_]
        numbers = [one.number for _, one in open_]
        kind = stated or _kind(meaning, text, numbers, places, choices, notes)
        if stated is not None and open_:
            for place in places:
                notes.find(place, f"column {text!r} holds a {stated}", "its header")
        for index, one in entries:
            factor = _factor(one, one.stated or kind, layout.rows[index].place, meaning, notes)
            if factor is not None:
                found[index] = factor
    return found | _steps(layout, found, notes)


def unit_of(row: Row, notes: Notes) -> str:
    """Return a row's unit, spelt as maps spell it."""
    text = row.get("unit")
    match = _STEP.fullmatch(text)
    if match is not None and not known_unit(text):
        text = match["unit"].strip()
    if text == "":
        one = read_scale(row.get("scale"))
        text = "" if one is None or one.unit == "" else _cased(row.get("scale"), one.unit)
    if known_unit(text):
        return text
    usual = unit_words().get(text)
    if usual is not None:
        notes.find(row.place, f"unit {text!r} is {usual}", "the usual spelling")
    return usual or text


def _cased(text: str, unit: str) -> str:
    at = text.lower().rfind(unit)
    return text[at:].strip() if at >= 0 else unit


def _kind(
    meaning: str,
    header: str,
    numbers: Sequence[float],
    places: Sequence[Place],
    choices: Choices,
    notes: Notes,
) -> str:
    """Return what a column holds whose header does not say it."""

    def settled(kind: str, evidence: str, others: tuple[str, ...] = ()) -> str:
        for place in places:
            notes.find(place, f"column {header!r} holds a {kind}", evidence, others)
        return kind

    if not numbers:
        return "factor"
    if choices.scale is not None:
        return settled(choices.scale, "--scale")
    whole = all(n.is_integer() for n in numbers)
    small = whole and all(0 <= n <= MOST_DECIMALS for n in numbers)
    if any(n < 1 and n != 0 for n in numbers):
        return settled("factor", "numbers below 1", ("divisor",))
    if meaning == "precision":
        if 0 in numbers and small:
            return settled("decimals", "0 occurs, which neither multiplies nor divides")
        values = ("decimals", "divisor", "factor") if small else ("divisor", "factor")
    elif set(numbers) == {1.0}:
        return settled("factor", "all are 1")
    else:
        values = ("factor", "divisor")
    shown = ", ".join(f"{n:g}" for n in sorted(set(numbers))[:5])
    what = f"what column {header!r} holds: a factor, a divisor or decimals"
    for place in places:
        notes.doubt("scale", place, what, f"its numbers are {shown}", values)
    return values[0]


def _factor(one: Scaled, kind: str, place: Place, meaning: str, notes: Notes) -> float | None:
    number = one.number
    if kind == "decimals":
        if number.is_integer() and 0 <= number <= MOST_DECIMALS:
            return float(f"1e-{int(number)}")
        notes.wrong(place, meaning, f"{number:g}", f"decimals, 0 to {MOST_DECIMALS}")
        return None
    if number <= 0.0:
        notes.wrong(place, meaning, f"{number:g}", "above 0")
        return None
    return number if kind == "factor" else _inverse(number)


def _inverse(number: float) -> float:
    """Return 1/number, written as short as its decimals are: 1/10 is 0.1, 1/3 keeps its digits."""
    return float(f"{1.0 / number:.12g}")


def _steps(layout: Layout, found: Mapping[int, float], notes: Notes) -> dict[int, float]:
    """Return the factors that units such as 0.1kW give."""
    steps = {}
    for index, row in enumerate(layout.rows):
        match = _STEP.fullmatch(row.get("unit"))
        if match is None or known_unit(row.get("unit")):
            continue
        number = float(match["number"])
        if found.get(index, 1.0) in (1.0, number):
            what = f"unit {row.get('unit')!r} is a factor {number:g} and {match['unit'].strip()}"
            notes.find(row.place, what, "a number before the unit")
            steps[index] = number
        else:
            value = f"{row.get('unit')!r} beside a factor {found[index]:g}"
            notes.wrong(row.place, "unit", value, "one of the two")
    return steps
