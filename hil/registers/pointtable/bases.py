"""What address counts as the first: 0, 1, or 40001."""

from __future__ import annotations

from collections.abc import Mapping

from hil.registers.pointtable.findings import Choices, Notes
from hil.registers.pointtable.headers import Layout
from hil.registers.pointtable.words import statements
from hil.registers.pointtable.written import Written, area_of, parts_of, read_address

__all__ = ["settle_base"]


def settle_base(
    layout: Layout,
    written: Mapping[int, Written],
    numbers: Mapping[int, int],
    allowed: Mapping[int, frozenset[str]],
    choices: Choices,
    notes: Notes,
) -> str:
    """Return ``0``, ``1`` or ``modicon``; a doubt where more than one fits."""
    rows = [layout.rows[i].place for i in written if written[i].style != "area"]

    def settled(base: str, evidence: str, others: tuple[str, ...] = ()) -> str:
        what = {
            "0": "addresses count from 0, as on the wire",
            "1": "addresses count from 1: one less on the wire",
            "modicon": "addresses name table and register: 40001 is holding register 0",
        }[base]
        for place in rows:
            notes.find(place, what, evidence, others)
        return base

    if not rows:
        return "modicon"
    if choices.base is not None:
        return settled(choices.base, "--base")
    numbers = {i: n for i, n in numbers.items() if written[i].style != "area"}
    six = all(parts_of(written[i].first, 6) is not None for i in numbers)
    fits = _fits_areas(written, numbers, allowed)
    if fits and six and max(numbers.values()) > 65536:
        return settled("modicon", "six digits, more than a wire address has")
    headers = [b.columns["address"].text for b in layout.blocks if "address" in b.columns]
    said = [set(statements("base", text)) for text in headers]
    if said and all(len(s) == 1 for s in said) and len(set.union(*said)) == 1:
        base = next(iter(said[0]))
        if not (fits and base == "1"):
            return settled(base, "the header of the address column")
    spoken: dict[str, str] = {}
    for text in layout.texts:
        spoken |= statements("base", text)
    if min(numbers.values()) == 0 and not fits:
        return settled("0", "address 0 occurs")
    if max(numbers.values()) == 65536:
        return settled("1", "address 65536 occurs")
    paired = _paired(layout, numbers)
    if paired is not None:
        return settled(paired, "the hexadecimal column gives the wire address")
    values: tuple[str, ...] = ("0", "1", "modicon") if fits else ("0", "1")
    strong = fits and _starts_an_area(written, numbers)
    if len(spoken) == 1 and not (fits and set(spoken) != {"modicon"}):
        base, words = next(iter(spoken.items()))
        if base in values:
            return settled(base, f"the table says {words!r}")
    if strong and not set(spoken) & {"0"}:
        return settled("modicon", strong, ("0", "1"))
    evidence = "no address 0, no note that tells"
    if spoken:
        values = tuple(v for v in values if v in spoken or v == "modicon") or values
        evidence = "the table says " + " and ".join(repr(w) for w in spoken.values())
    elif fits:
        evidence = "these may be wire addresses above 10000, or name table and register"
    for place in rows:
        notes.doubt("base", place, "what address counts as the first", evidence, values)
    return values[0]


def _fits_areas(
    written: Mapping[int, Written],
    numbers: Mapping[int, int],
    allowed: Mapping[int, frozenset[str]],
) -> bool:
    """Return whether every address names a table, and one that the rest of its row allows."""
    for index in numbers:
        found = area_of(written[index].first) if written[index].style == "digits" else None
        if found is None or found[0] not in allowed[index]:
            return False
    return True


def _starts_an_area(written: Mapping[int, Written], numbers: Mapping[int, int]) -> str:
    """Return why five digits are table and register; empty where that is not certain."""
    found = [area_of(written[i].first) for i in numbers]
    tables = {f[0] for f in found if f is not None}
    if len(tables) > 1:
        return "first digits of several tables, each as its row allows"
    if any(f is not None and f[1] == 1 for f in found) and tables != {"coil"}:
        return f"{next(iter(written.values())).first[0]}0001, the first of its table, occurs"
    return ""


def _paired(layout: Layout, numbers: Mapping[int, int]) -> str | None:
    """Return the base under which every decimal address is the hexadecimal one beside it."""
    pairs = []
    for index, number in numbers.items():
        row = layout.rows[index]
        other = read_address(row.get("address_hex"))
        if row.get("address") == "" or other is None:
            return None
        area = area_of(row.get("address"))
        pairs.append((number, area, other.number(other.first, hexadecimal=True)))
    if all(h == n for n, _, h in pairs):
        return None
    if all(h == n - 1 for n, _, h in pairs):
        return "1"
    if all(a is not None and h == a[1] - 1 for _, a, h in pairs):
        return "modicon"
    return None
