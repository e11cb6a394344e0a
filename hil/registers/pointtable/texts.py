"""Names, meanings, bit lists, enumerations and ranges in cells of running text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import zip_longest

from hil.registers.pointtable.words import is_reserved, shape

__all__ = ["BitList", "Names", "is_ascii", "read_bits", "read_enum", "read_range", "slug"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_BIT = re.compile(
    r"(?<![a-z\d])(?:bit|第)\s*(?P<first>\d{1,2})\s*(?:[-~]\s*(?:bit)?\s*(?P<last>\d{1,2}))?\s*位?"
    r"\s*[:=、.]?\s*|(?<![a-z\d])[bd](?P<short>\d{1,2})\s*[:=]\s*"
)
_ENUM = re.compile(r"(?<![\d.a-z\-~])(?P<code>0x[0-9a-f]+|\d{1,5})\s*[:=、\-]\s*(?=[^\d\s])")
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_RANGE = re.compile(
    rf"[\[(]?\s*(?P<low>{_NUMBER})\s*(?:~|-|–|—|到|至|,|\.\.\.?)\s*(?P<high>{_NUMBER})\s*[\])]?"
    r"\s*(?P<unit>[^\d\s]*)"
)
_EDGES = " \t\r\n;；,，。、/|"


@dataclass(frozen=True, slots=True)
class BitList:
    """Bits that a text names, and whether some of them form a field of several bits."""

    bits: dict[int, str]
    fields: bool


def is_ascii(text: str) -> bool:
    """Return whether a text is there and has ASCII letters only."""
    return text != "" and text.isascii()


def slug(text: str) -> str:
    """Return an English text as a name of a point, empty where nothing of it can be one.

    >>> slug("Phase A voltage (V)"), slug("3rd alarm"), slug("A相电压")
    ('Phase_A_voltage_V', 'p_3rd_alarm', '')
    """
    if _NAME.fullmatch(text):
        return text
    if not text.isascii():
        return ""
    name = re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip("_.")
    if name == "":
        return ""
    return name if _NAME.fullmatch(name) else f"p_{name}"


def read_bits(text: str) -> BitList:
    """Return the bits that a text such as ``bit0: 运行 bit1: 故障`` names; reserved ones fall out.

    >>> read_bits("bit0: 运行；Bit1：故障;bit2-15 预留").bits
    {0: '运行', 1: '故障'}
    """
    text = unicodedata.normalize("NFKC", text)
    marks = list(_BIT.finditer(text.lower()))
    bits: dict[int, str] = {}
    fields = False
    for mark, after in zip_longest(marks, marks[1:]):
        meaning = text[mark.end() : None if after is None else after.start()].strip(_EDGES)
        number = int(mark["first"] or mark["short"])
        if is_reserved(meaning) or meaning == "" or number > 15:
            continue
        if mark["last"] is not None:
            fields = True
        bits[number] = meaning
    return BitList(bits, fields)


def read_enum(text: str) -> dict[int, str]:
    """Return the codes that a text such as ``0:停止 1:运行 2：故障`` explains; empty if below two.

    >>> read_enum("0:停止 1:运行 2：故障")
    {0: '停止', 1: '运行', 2: '故障'}
    >>> read_enum("bit0: 运行"), read_enum("0-100"), read_enum("额定值 0.1")
    ({}, {}, {})
    """
    text = unicodedata.normalize("NFKC", text)
    marks = list(_ENUM.finditer(text.lower()))
    found = {}
    for mark, after in zip_longest(marks, marks[1:]):
        meaning = text[mark.end() : None if after is None else after.start()].strip(_EDGES)
        if meaning != "":
            found[int(mark["code"], 16 if mark["code"].startswith("0x") else 10)] = meaning
    return found if len(found) > 1 else {}


def read_range(text: str) -> tuple[float, float] | None:
    """Return least and greatest value of a range, None where the text is none.

    >>> read_range("-100~100kW"), read_range("[0, 4000]"), read_range("0:停 1:启")
    ((-100.0, 100.0), (0.0, 4000.0), None)
    """
    match = _RANGE.fullmatch(shape(text))
    return None if match is None else (float(match["low"]), float(match["high"]))


class Names:
    """Names that are given already; each is given once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def take(self, name: str, *further: str) -> str:
        """Return `name`, or with as many of `further` behind it as make it new."""
        candidate = name
        for part in further:
            if candidate in self._given:
                candidate = f"{candidate}_{part}"
        longest, number = candidate, 2
        while candidate in self._given:
            candidate, number = f"{longest}_{number}", number + 1
        self._given.add(candidate)
        return candidate
