"""Addresses as vendors write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hil.registers.pointtable.words import shape

__all__ = ["ALLOWED", "AREAS", "Written", "area_of", "parts_of", "read_address"]

# First digit of a five- or six-digit address, and its table.
AREAS = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
ALLOWED = (
    "an address such as 1000, 0x5B02, 5B02H, 40001, 400001, 4x0001; with a bit 1000.3; "
    "a range 1000-1003"
)
_ONE = r"0x[0-9a-f]+|[0134]x\d{4,5}|[0-9a-f]+h|[0-9a-f]+"
# 1,000 is a number with a mark for thousands, and 1,005 would be a range.
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
_ADDRESS = re.compile(
    rf"(?:(?P<unit>\d{{1,3}})!)?(?P<first>{_ONE})(?:(?:-|~|至|,|/|\.\.)(?P<last>{_ONE}))?"
    r"(?:[.:](?:bit)?(?P<bit>\d{1,3}|[a-f])(?P<letter>[hlde]?)|\[(?:bit)?(?P<index>\d{1,2})\])?"
    r"(?:#(?P<order>[bl]{1,2}))?"
)


@dataclass(frozen=True, slots=True)
class Written:
    """An address as it is written.

    Attributes
    ----------
    first, last : the texts; `last` is empty where no range is given
    bit : of the register, or None
    room : bytes of a text, of the form ``1!40001.20H``, or None
    unit : station number before ``!``, or None
    order : letters after ``#``, or None
    """

    first: str
    last: str = ""
    bit: int | None = None
    room: int | None = None
    unit: int | None = None
    order: str | None = None

    @property
    def style(self) -> str:
        """Return ``hex`` (marked), ``area`` (4x0001), ``letters`` (5B02) or ``digits``."""
        if self.first.startswith("0x") or (self.first.endswith("h") and "x" not in self.first):
            return "hex"
        if "x" in self.first:
            return "area"
        return "digits" if self.first.isdecimal() else "letters"

    def number(self, text: str, hexadecimal: bool) -> int:
        """Return one of the texts as a number."""
        if self.style == "hex":
            return int(text.removeprefix("0x").removesuffix("h"), 16)
        if "x" in text:
            return int(text[2:])
        return int(text, 16 if hexadecimal or not text.isdecimal() else 10)


def read_address(text: str) -> Written | None:
    """Return an address as written, None where the text is none.

    >>> read_address("5B02H").first, read_address("1000.3").bit, read_address("1!40001.20H").room
    ('5b02h', 3, 20)
    >>> read_address("电压") is None
    True
    """
    text = re.sub(r"\s", "", shape(text))
    match = _ADDRESS.fullmatch(text)
    if match is None or _THOUSANDS.fullmatch(text):
        return None
    bit, index = match["bit"], match["index"]
    number = None if bit is None else int(bit, 16 if bit in "abcdef" else 10)
    number = int(index) if index is not None else number
    room = number if number is not None and (match["letter"] or number > 15) else None
    if room is not None and ":" in text:
        return None
    return Written(
        match["first"],
        match["last"] or "",
        None if room is not None else number,
        room,
        None if match["unit"] is None else int(match["unit"]),
        match["order"],
    )


def parts_of(text: str, digits: int) -> tuple[str, int] | None:
    """Return table and register of an address such as 40001 or 400001, None where it is none."""
    if not text.isdecimal() or len(text) != digits or text[0] not in AREAS:
        return None
    register = int(text[1:])
    return (AREAS[text[0]], register) if 1 <= register <= 65536 else None


def area_of(text: str) -> tuple[str, int] | None:
    """Return table and register, from 1, of 40001, 400001 or 4x0001; None for other addresses."""
    if "x" in text and text[0] in AREAS:
        return AREAS[text[0]], int(text[2:])
    return parts_of(text, 5) or parts_of(text, 6)
