"""Data types, lengths and bits: what a row's registers hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hil.registers.pointtable.addresses import Located
from hil.registers.pointtable.findings import Choices, Notes
from hil.registers.pointtable.headers import Layout, Row
from hil.registers.pointtable.orders import order_in
from hil.registers.pointtable.words import lookup, plain, shape, type_words

__all__ = ["ALLOWED", "Typed", "bit_of", "read_type", "settle_lengths", "settle_type"]

ALLOWED = "UINT16, INT16, UINT32, INT32, UINT64, FLOAT32, STRING, BITS or BOOL, in either language"
NUMBERS = {
    (16, False): "u16", (16, True): "i16", (32, False): "u32", (32, True): "i32",
    (64, False): "u64",
}  # fmt: skip
_BIT = re.compile(r"(?:bit|b|d|第)?\s*(\d{1,2})\s*位?")


@dataclass(frozen=True, slots=True)
class Typed:
    """What is said of a type, as far as it is.

    Attributes
    ----------
    family : ``int``, ``float``, ``bit``, ``bits``, ``string``, or None
    bits : 16, 32, 64, or None
    signed : or None
    """

    family: str | None = None
    bits: int | None = None
    signed: bool | None = None


def read_type(text: str) -> Typed | None:
    """Return what a data type says, None where nothing is known of it.

    >>> read_type("无符号16位整型"), read_type("UINT32"), read_type("Float_CDAB")
    (Typed(family='int', bits=16, signed=False), Typed(family='int', bits=32, signed=False),
     Typed(family='float', bits=32, signed=None))
    >>> read_type("INT"), read_type("电压")
    (Typed(family='int', bits=None, signed=True), None)
    """
    text = order_in(text)[0]
    words, parts = type_words()
    found = words.get(plain(text)) or words.get(plain(text).removesuffix("t"))
    if found is not None:
        return Typed(*found)
    shaped = shape(text).replace("_", " ")
    bits = parts["bits"].search(shaped)
    size = None if bits is None else int(bits.group())
    if parts["float"].search(shaped):
        return Typed("float", size or 32)
    unsigned = parts["unsigned"].search(shaped) is not None
    signed = not unsigned and parts["signed"].search(shaped) is not None
    if not unsigned and not signed and not parts["int"].search(shaped):
        return None
    if shaped.startswith("bit") or size == 1:
        return Typed("bits", 16)
    return Typed("int", size, False if unsigned else True if signed else None)


def settle_type(
    row: Row,
    located: Located,
    table: str,
    registers: int | None,
    room: Mapping[str, bool],
    choices: Choices,
    notes: Notes,
) -> str | None:
    """Return a row's type as maps name it; None, with a problem, where maps have none.

    Parameters
    ----------
    table : where the point lies
    registers : that the table says the point takes, or None
    room : whether words like INT without bits have but one register in this table, by word
    """
    said = read_type(row.get("type")) if row.get("type") != "" else Typed()
    if said is None:
        notes.wrong(row.place, "type", repr(row.get("type")), ALLOWED)
        return None
    sign = lookup("signs", row.get("sign"))
    if sign is not None and said.signed is None:
        said = Typed(said.family, said.bits, sign == "signed")
    elif sign is not None and said.signed != (sign == "signed"):
        value = f"{row.get('type')!r} with sign {row.get('sign')!r}"
        notes.wrong(row.place, "type", value, "signed or unsigned, not both")
        return None
    name = _name(row, said, located, table, registers, room, choices, notes)
    if name is not None and row.get("type") not in ("", name):
        notes.find(row.place, f"type {row.get('type')} is {name}", "its word, length and table")
    return name


def _name(
    row: Row,
    said: Typed,
    located: Located,
    table: str,
    registers: int | None,
    room: Mapping[str, bool],
    choices: Choices,
    notes: Notes,
) -> str | None:
    if table in ("coil", "discrete"):
        if said.family in (None, "bit") or said.bits == 1:
            return "bit"
        notes.wrong(row.place, "type", repr(row.get("type")), f"BOOL: it lies in a {table} table")
        return None
    if said.family == "string":
        return "string"
    if has_bit(row, located) or said.family == "bits":
        if said.bits not in (None, 1, 16) or registers not in (None, 1):
            notes.wrong(row.place, "type", repr(row.get("type")), "bits of one register")
            return None
        return "bits"
    if said.family == "bit":
        what = "a BOOL without a bit number is its whole register, 0 or 1"
        notes.find(row.place, what, "no bit number", ("bit 0",))
        return "u16"
    if said.family == "float":
        return _float(row, said, registers, notes)
    return _whole(row, said, registers, room, choices, notes)


def _float(row: Row, said: Typed, registers: int | None, notes: Notes) -> str | None:
    if said.bits == 32 and registers in (None, 2):
        return "f32"
    size = f", {registers} registers" if registers is not None else ""
    value = f"{row.get('type')!r}{size}"
    notes.wrong(row.place, "type", value, "FLOAT32 of two registers: maps hold no other float")
    return None


def _whole(
    row: Row,
    said: Typed,
    registers: int | None,
    room: Mapping[str, bool],
    choices: Choices,
    notes: Notes,
) -> str | None:
    bits = said.bits
    if bits is None and registers is not None:
        bits = 16 * registers
    elif bits is not None and registers is not None and bits != 16 * registers:
        value = f"{row.get('type')!r} in {registers} registers"
        notes.wrong(row.place, "type", value, f"{bits} bits take {bits / 16:g}")
        return None
    if bits is None and said.family is not None:
        bits = _bare(row, room, choices, notes)
    signed = said.signed
    if said.family is None and bits in (None, 16):
        return _untyped(row, signed, choices, notes)
    if signed is None:
        signed = _sign(row, choices, notes)
    name = NUMBERS.get((bits or 16, signed))
    if name is None:
        notes.wrong(row.place, "type", repr(row.get("type")), ALLOWED)
    return name


def _untyped(row: Row, signed: bool | None, choices: Choices, notes: Notes) -> str:
    if signed is None and _below_zero(row):
        signed = True
        notes.find(row.place, "no type given: INT16", "its range goes below 0")
    if signed is not None:
        return NUMBERS[16, signed]
    if choices.type is not None:
        notes.find(row.place, f"no type given: {choices.type}", "--type")
        return choices.type
    notes.doubt("type", row.place, "no type is given", "no column, no range", ("u16", "i16"))
    return "u16"


def _bare(row: Row, room: Mapping[str, bool], choices: Choices, notes: Notes) -> int:
    """Return the bits of a word such as INT that does not say them."""
    word = plain(row.get("type"))
    if room.get(word, False):
        what = f"{row.get('type')} has 16 bits"
        notes.find(row.place, what, "the next point begins one register further")
        return 16
    if choices.int_bits is not None:
        notes.find(row.place, f"{row.get('type')} has {choices.int_bits} bits", "--int-bits")
        return int(choices.int_bits)
    what = f"how many bits {row.get('type')} has"
    notes.doubt("int_bits", row.place, what, "no number of registers", ("16", "32"))
    return 16


def _sign(row: Row, choices: Choices, notes: Notes) -> bool:
    if _below_zero(row):
        notes.find(row.place, "the number has a sign", "its range goes below 0")
        return True
    if choices.sign is not None:
        notes.find(row.place, f"the number is {choices.sign}", "--sign")
        return choices.sign == "signed"
    what, evidence = "whether numbers have a sign", f"the type says {row.get('type')!r}"
    notes.doubt("sign", row.place, what, evidence, ("unsigned", "signed"))
    return False


def _below_zero(row: Row) -> bool:
    return shape(row.get("range")).lstrip("[( ").startswith("-") or shape(
        row.get("low")
    ).startswith("-")


def has_bit(row: Row, located: Located) -> bool:
    """Return whether a row names a bit of a register."""
    return row.get("bit") != "" or located.written.bit is not None


def bit_of(row: Row, located: Located, base: int, notes: Notes) -> int | None:
    """Return a row's bit from 0; None, with a problem where it is not one bit of 16."""
    number = located.written.bit
    if number is None:
        match = _BIT.fullmatch(shape(row.get("bit")))
        number = None if match is None else int(match.group(1))
    if not shape(row.get("bit")).isdecimal():
        base = 0
    if number is not None and 0 <= number - base <= 15:
        return number - base
    value = repr(row.get("bit") or row.get("address"))
    notes.wrong(row.place, "bit", value, f"one bit, {base} to {15 + base}")
    return None


def settle_bit_base(
    layout: Layout, located: Mapping[int, Located], choices: Choices, notes: Notes
) -> int:
    """Return the number of the least bit in a column of bits.

    It is 0 where 0 occurs and 1 where 16 does, else in doubt. Bits that are called so (bit3) or
    stand behind an address (1000.3) count from 0, as the word is used.
    """
    numbers = {}
    for index in located:
        row = layout.rows[index]
        text = shape(row.get("bit"))
        if text.isdecimal():
            numbers[index] = int(text)
        elif has_bit(row, located[index]):
            notes.find(row.place, "bits count from 0", "a bit by its name", ("from 1",))
    if not numbers or 0 in numbers.values():
        return 0
    places = [layout.rows[index].place for index in numbers]
    base, evidence = (1, "bit 16 occurs, bit 0 not") if 16 in numbers.values() else (None, "")
    if base is None and choices.bit_base is not None:
        base, evidence = int(choices.bit_base), "--bit-base"
    for place in places:
        if base is not None:
            notes.find(place, f"bits count from {base}", evidence)
        else:
            what, evidence = "whether the least bit is 0 or 1", "neither 0 nor 16 occurs"
            notes.doubt("bit_base", place, what, evidence, ("0", "1"))
    return 0 if base is None else base


def settle_lengths(
    layout: Layout, located: Mapping[int, Located], choices: Choices, notes: Notes
) -> dict[int, int]:
    """Return how many registers the table says a row takes, by index, where it says it.

    A column called 长度 counts registers or bytes: the rows whose type is known tell.
    """
    found: dict[int, int] = {}
    lengths: dict[int, int] = {}
    for index, one in located.items():
        row = layout.rows[index]
        if one.registers is not None:
            found[index] = one.registers
        if one.written.room is not None:
            found[index] = -(-one.written.room // 2)
        for meaning in ("count", "bytes", "length"):
            text = row.get(meaning)
            if text == "":
                continue
            number = shape(text).rstrip("个字节word s")
            if not number.isdecimal() or int(number) < 1:
                notes.wrong(row.place, meaning, repr(text), "a whole number above 0")
            elif meaning == "count":
                found[index] = int(number)
            elif meaning == "bytes":
                found[index] = -(-int(number) // 2)
            else:
                lengths[index] = int(number)
    return found | _meant(layout, lengths, choices, notes)


def _meant(
    layout: Layout, lengths: Mapping[int, int], choices: Choices, notes: Notes
) -> dict[int, int]:
    """Return lengths in registers."""
    if not lengths:
        return {}
    places = {i: layout.rows[i].place for i in lengths}
    fits = {"registers": True, "bytes": True, "bits": True}
    telling = 0
    for index, number in lengths.items():
        said = read_type(layout.rows[index].get("type"))
        if said is None or said.bits is None or said.family == "bit":
            continue
        telling += 1
        width = said.bits // 16
        for unit, each in (("registers", 1), ("bytes", 2), ("bits", 16)):
            fits[unit] &= number == each * width
    left = [unit for unit, fit in fits.items() if fit]
    if telling == 0:
        if choices.length is None:
            what, evidence = "what the column of lengths counts", "no row whose type tells"
            if all(number == 1 for number in lengths.values()):
                left = ["registers"]
            else:
                for place in places.values():
                    notes.doubt("length", place, what, evidence, ("registers", "bytes"))
        else:
            left = [choices.length]
    if not left:
        for index, number in lengths.items():
            said = read_type(layout.rows[index].get("type"))
            if said is not None and said.bits is not None and number != said.bits // 16:
                allowed = (
                    f"{said.bits // 16} registers, as {layout.rows[index].get('type')!r} takes"
                )
                notes.wrong(places[index], "length", str(number), allowed)
        return {}
    unit = left[0]
    chosen = telling == 0 and choices.length is not None
    evidence = "--length" if chosen else "it fits the types"
    for place in places.values():
        notes.find(place, f"the column of lengths counts {unit}", evidence)
    each = {"registers": 1, "bytes": 2, "bits": 16}[unit]
    return {index: -(-number // each) for index, number in lengths.items()}
