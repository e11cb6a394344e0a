"""From rows to the points of a map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hil.registers.pointtable.addresses import Located, locate
from hil.registers.pointtable.areas import REGISTERS, Area, Hints, read_hints, settle_area
from hil.registers.pointtable.findings import Choices, Notes, Place
from hil.registers.pointtable.headers import Layout, Row
from hil.registers.pointtable.joining import bare_types, is_spare, joined, of_one_unit, sequence
from hil.registers.pointtable.limits import settle_limits
from hil.registers.pointtable.meanings import Meaning, meaning_of, name_of
from hil.registers.pointtable.orders import settle_orders
from hil.registers.pointtable.scales import settle_scales, unit_of
from hil.registers.pointtable.texts import Names, read_bits
from hil.registers.pointtable.twincells import read_commands, read_source
from hil.registers.pointtable.wiretypes import (
    bit_of,
    has_bit,
    read_type,
    settle_bit_base,
    settle_lengths,
    settle_type,
)
from hil.registers.pointtable.words import lookup, shape
from hil.registers.schema import WIDTH

__all__ = ["Built", "build_points"]


@dataclass(slots=True)
class Built:
    """The parts of a map as JSON has them, and where each point came from.

    Attributes
    ----------
    points, reserved, commands : lists of objects
    places : of each point, in their order
    order : the map's byte order
    unit : station number, or None
    """

    points: list[dict[str, Any]] = field(default_factory=list)
    reserved: list[dict[str, Any]] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    order: str = "ABCD"
    unit: int | None = None


@dataclass(frozen=True, slots=True)
class _Form:
    """What is settled of a row: where, which class, which type, how wide."""

    area: Area
    type: str
    width: int


def build_points(layout: Layout, choices: Choices, notes: Notes) -> Built:
    """Return the points of a table; what cannot be one is a problem in `notes`."""
    built = Built()
    layout, built.unit = of_one_unit(layout, choices, notes)
    layout, spread = joined(sequence(layout, notes), notes)
    hints = read_hints(layout, notes)
    located = locate(layout, {i: h.tables for i, h in hints.items()}, choices, notes)
    lengths = spread | settle_lengths(layout, located, choices, notes)
    bare = bare_types(layout, located)
    forms: dict[int, _Form] = {}
    for index, one in located.items():
        if not is_spare(layout.rows[index]):
            form = _form(
                layout.rows[index], one, hints[index], lengths.get(index), bare, choices, notes
            )
            if form is not None:
                forms[index] = form
    in_registers = {i: f.width for i, f in forms.items() if f.area.table in REGISTERS}
    strings = [i for i, form in forms.items() if form.type == "string"]
    built.order, orders = settle_orders(layout, located, in_registers, strings, choices, notes)
    scales = settle_scales(layout, choices, notes)
    bit_base = settle_bit_base(layout, located, choices, notes)
    names, table = Names(), ""
    commands: dict[int, dict[str, Any]] = {}
    for index, one in located.items():
        row = layout.rows[index]
        if is_spare(row):
            _keep_free(built, row, one, hints[index], lengths.get(index, 1), table, notes)
            continue
        form = forms.get(index)
        if form is None:
            continue
        table = form.area.table
        bit = None
        if form.type == "bits" and has_bit(row, one):
            bit = bit_of(row, one, bit_base, notes)
            if bit is None:
                continue
        point = _point(row, one, form, bit, scales.get(index, 1.0), choices, notes)
        if orders.get(index) is not None:
            point["order"] = orders[index]
        for made in _expanded(row, point, hints[index], notes):
            meaning: Meaning = made.pop("_meaning")
            listed = "bit" in made and bit is None
            name = names.take(*name_of(row, one, meaning, made, notes, listed))
            told = {"meaning": meaning.english, "meaning_zh": meaning.chinese}
            built.points.append({"name": name} | made | told)
            built.places.append(row.place)
            commands |= read_commands(row, name, notes)
    built.commands = [commands[number] for number in sorted(commands)]
    return built


def _form(
    row: Row,
    one: Located,
    hints: Hints,
    registers: int | None,
    bare: Mapping[str, bool],
    choices: Choices,
    notes: Notes,
) -> _Form | None:
    wide = registers is not None and registers > 1
    area = settle_area(row, hints, one.table, has_bit(row, one) or wide, choices, notes)
    if area is None:
        return None
    type_ = settle_type(row, one, area.table, registers, bare, choices, notes)
    if type_ is None:
        return None
    if type_ != "string":
        return _Form(area, type_, WIDTH[type_])
    if registers is None:
        notes.wrong(row.place, "count", "", "the registers of a text")
        return None
    if "w" in area.access:
        notes.find(row.place, "text is read only", "maps hold no text that is written")
        cls = "yc" if area.cls in ("yk", "yt") else area.cls
        area = Area(area.table, cls, "r")
    return _Form(area, type_, registers)


def _point(
    row: Row,
    one: Located,
    form: _Form,
    bit: int | None,
    scale: float,
    choices: Choices,
    notes: Notes,
) -> dict[str, Any]:
    """Return a point without its name."""
    access = form.area.access
    point: dict[str, Any] = {
        "class": form.area.cls,
        "table": form.area.table,
        "address": one.address,
        "type": form.type,
        "_meaning": meaning_of(row, notes),
    }
    if form.type == "string":
        point["length"] = form.width
    if bit is not None:
        point["bit"] = bit
        if "w" in access:
            what = "a bit of a register is read only"
            notes.find(row.place, what, "maps write registers as a whole")
            point["class"] = "yx" if form.area.cls in ("yk", "yt") else form.area.cls
            access = "r"
    if access != "r":
        point["access"] = access
    if scale != 1.0:
        point["scale"] = scale
    unit = unit_of(row, notes)
    if unit != "":
        point["unit"] = unit
    low, high = settle_limits(row, form.type, scale, choices, notes)
    point |= {key: value for key, value in (("low", low), ("high", high)) if value is not None}
    _particular(row, point, notes)
    _offset(row, notes)
    source = read_source(row, access, notes)
    if source is None and "w" in access:
        held = max(0.0 if low is None else low, 0.0)
        source = {"held": held if high is None else min(held, high)}
        what = f"it keeps what is written, {source['held']:g} at first"
        notes.find(row.place, what, "no column names a point of the twin")
    if source is not None:
        point["source"] = source
    return point


def _particular(row: Row, point: dict[str, Any], notes: Notes) -> None:
    """Add what only an export says: a part's write, the pattern of 'not implemented'."""
    if row.get("partial") != "":
        partial = lookup("partial", row.get("partial"))
        if partial is None:
            notes.wrong(row.place, "partial", repr(row.get("partial")), "拒绝 or 暂存")
        elif partial != "refuse":
            point["partial"] = partial
    if row.get("na") != "":
        try:
            point["na"] = int(shape(row.get("na")), 0)
        except ValueError:
            notes.wrong(row.place, "na", repr(row.get("na")), "a whole number such as 0x8000")


def _offset(row: Row, notes: Notes) -> None:
    text = row.get("offset")
    if text == "":
        return
    try:
        wrong = float(text) != 0.0
    except ValueError:
        wrong = True
    if wrong:
        allowed = "0: a map has value = raw x scale, and nothing that is added"
        notes.wrong(row.place, "offset", repr(text), allowed)


def _expanded(row: Row, point: dict[str, Any], hints: Hints, notes: Notes) -> list[dict[str, Any]]:
    """Return a point, or its bits where its text lists them."""
    if point["type"] not in ("u16", "bits") or "bit" in point:
        return [point]
    listed = read_bits("\n".join((row.get("enum"), row.get("note"))))
    whole = point["type"] == "bits"
    if len(listed.bits) < (1 if whole else 2):
        return [point]
    names = ", ".join(f"{bit} {text}" for bit, text in listed.bits.items())
    if listed.fields or point.get("access", "r") != "r":
        why = "some are fields of several bits" if listed.fields else "it is written as a whole"
        notes.find(row.place, f"bits {names} stay one register", why)
        return (
            [point | {"type": "bits"}] if "low" not in point and "scale" not in point else [point]
        )
    notes.find(row.place, f"bits: {names}", "the text lists them", ("one register",))
    meaning: Meaning = point["_meaning"]
    made = []
    for bit, text in listed.bits.items():
        one = {k: v for k, v in point.items() if k not in ("low", "high", "scale", "unit")}
        one |= {"type": "bits", "bit": bit, "_meaning": meaning.of_bit(bit, text)}
        if hints.cls is None:
            one["class"] = "yx"
        made.append(one)
    return made


def _keep_free(
    built: Built, row: Row, one: Located, hints: Hints, registers: int, before: str, notes: Notes
) -> None:
    """Add a spare row's addresses to those that no point may take."""
    if has_bit(row, one):
        notes.find(row.place, "a spare bit, no point", repr(row.get("name")))
        return
    said = read_type(row.get("type"))
    if registers == 1 and said is not None and said.bits is not None and said.family != "bit":
        registers = said.bits // 16
    table = one.table
    if table is None and len(hints.tables) == 1:
        table = next(iter(hints.tables))
    if table is None:
        table = before if before != "" else "holding"
        notes.find(row.place, f"spare, in table {table}", "as the row above")
    else:
        notes.find(row.place, "spare: no point may lie there", repr(row.get("name")))
    built.reserved.append(
        {"table": table, "first": one.address, "last": one.address + registers - 1}
    )
