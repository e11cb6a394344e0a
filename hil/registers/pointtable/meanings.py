"""What a point is called, for people in both languages and as a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hil.registers.pointtable.addresses import Located
from hil.registers.pointtable.findings import Notes
from hil.registers.pointtable.headers import Row
from hil.registers.pointtable.texts import is_ascii, read_enum, read_range, slug

__all__ = ["Meaning", "meaning_of", "name_of"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """A point's meaning.

    Attributes
    ----------
    english, chinese : each the other's where there is but one
    name : English text from which the point's name is made, empty where there is none
    bare : English and Chinese without what notes add
    """

    english: str
    chinese: str
    name: str
    bare: tuple[str, str]

    def of_bit(self, bit: int, text: str) -> Meaning:
        """Return the meaning of one bit of the register, whose row lists them in a note."""
        name = f"{self.name}_{text if is_ascii(text) else bit}" if self.name != "" else ""
        english, chinese = f"{self.bare[0]}: {text}", f"{self.bare[1]}：{text}"
        return Meaning(english, chinese, name, (english, chinese))


def meaning_of(row: Row, notes: Notes) -> Meaning:
    """Return a row's meaning; what its notes add is kept in it, codes among it."""
    name, english = row.get("name"), row.get("name_en")
    name, english = " ".join(name.split()), " ".join(english.split())
    if name == "" and english == "":
        name = row.get("identifier") or row.get("note")
        if name == "":
            notes.wrong(row.place, "name", "", "a name")
    for text in (row.get("enum"), row.get("note"), row.get("range")):
        codes = read_enum(text)
        if codes:
            listed = ", ".join(f"{code} {said}" for code, said in codes.items())
            what = f"codes {listed}; they stand in the meaning"
            notes.find(row.place, what, "a list of codes and words")
    spoken = row.get("range") if read_range(row.get("range")) is None else ""
    remarks = [
        t for t in (row.get("enum"), row.get("note"), spoken) if t not in ("", name, english)
    ]
    remark = "；".join(" ".join(t.split()) for t in remarks)
    chinese = f"{name or english}（{remark}）" if remark != "" else name or english
    if english == "":
        source = name if is_ascii(name) else ""
        return Meaning(chinese, chinese, source, (name, name))
    plain = f"{english} ({remark})" if is_ascii(remark) else english
    return Meaning(plain, chinese, english, (english, name or english))


def name_of(
    row: Row,
    located: Located,
    meaning: Meaning,
    point: Mapping[str, Any],
    notes: Notes,
    listed: bool,
) -> tuple[str, str, str]:
    """Return a name and what makes it new where it is taken: the address, and the table.

    A Chinese name gives ``p_`` and the address as it is written, with the bit. `listed` says that
    the point is one bit of a register whose row lists them.
    """
    written = re.sub(r"[^0-9a-z]+", "_", located.written.first)
    bit = point.get("bit")
    place = written if bit is None else f"{written}_{bit}"
    identifier = row.get("identifier")
    if listed and identifier != "":
        identifier = f"{identifier}_{bit}"
    for text, what in ((identifier, "identifier"), (meaning.name, "English name")):
        name = slug(text)
        if name != "":
            if name != text:
                notes.find(row.place, f"{text!r} is named {name}", f"its {what} as a name")
            return name, place, str(point["table"])
    return f"p_{place}", str(point["table"]), str(point["type"])
