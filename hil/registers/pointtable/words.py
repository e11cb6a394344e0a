"""The words of point tables, from `words.toml`, and how text is compared with them."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

__all__ = [
    "Header", "column_of", "export_columns", "is_empty", "is_reserved", "lookup", "plain",
    "shape", "statements", "table_of_words", "type_words", "unit_words",
]  # fmt: skip

_PUNCTUATION = re.compile(r"[\s_.:*#№\-]+")
_BRACKETS = re.compile(r"[(\[{【〔](.*?)[)\]}】〕]")
_SPLIT = re.compile(r"[/|\n]+")
# Texts whose meaning is kept: cells of a table repeat, and each option of a doubt reads them anew.
KEPT = 65_536
# A header that only ends with a word needs one of at least this many letters.
SHORTEST_ENDING = 2


@cache
def table_of_words() -> Mapping[str, Any]:
    """Return `words.toml` as it is read."""
    text = files("hil.registers.pointtable").joinpath("words.toml").read_text("utf-8")
    return tomllib.loads(text)


@lru_cache(maxsize=KEPT)
def shape(text: str) -> str:
    """Return text in NFKC (full-width digits and colons become plain), lower case, trimmed."""
    return unicodedata.normalize("NFKC", text).strip().lower()


@lru_cache(maxsize=KEPT)
def plain(text: str) -> str:
    """Return `shape` without blanks and punctuation, for comparing words.

    >>> plain("Reg_Addr."), plain("R / W：")
    ('regaddr', 'r/w')
    """
    return _PUNCTUATION.sub("", shape(text))


@dataclass(frozen=True, slots=True)
class Header:
    """What a column header means.

    Attributes
    ----------
    meaning : a key of ``[columns]``
    word : the synonym that decided
    exact : False where the header only ends with it
    scale : ``factor``, ``divisor`` or ``decimals`` where the header itself says so
    """

    meaning: str
    word: str
    exact: bool = True
    scale: str | None = None


@lru_cache(maxsize=KEPT)
def column_of(text: str) -> Header | None:
    """Return what a header means, None where nothing is known of it.

    >>> column_of("寄存器地址 (HEX)").meaning, column_of("Modbus 寄存器地址").exact
    ('address', False)
    >>> column_of("Address / 地址").meaning, column_of("除系数").scale
    ('address', 'divisor')
    """
    whole = plain(text)
    outside = plain(_BRACKETS.sub("", unicodedata.normalize("NFKC", text)))
    parts = [plain(part) for part in _SPLIT.split(unicodedata.normalize("NFKC", text))]
    known = _headers()
    for candidate in (whole, outside):
        if candidate in known:
            return known[candidate]
    meant = [known[part] for part in parts if part in known]
    if meant:
        return meant[0]
    for word, found in _endings():
        if outside.endswith(word):
            return Header(found.meaning, found.word, exact=False, scale=found.scale)
    return None


def lookup(group: str, text: str) -> str | None:
    """Return the key of a group of words (``access``, ``classes`` ...) that `text` is."""
    return _group(group).get(plain(text))


def is_empty(text: str) -> bool:
    """Return whether a cell says nothing: blank, a dash, 无, N/A."""
    return shape(text) in table_of_words()["empty"]["empty"]


def is_reserved(name: str) -> bool:
    """Return whether a row's name says that the place is kept free.

    >>> is_reserved("预留1"), is_reserved("Reserved"), is_reserved("备用电源电压")
    (True, True, False)
    """
    return _compiled(table_of_words()["reserved"]["names"]).match(shape(name)) is not None


@lru_cache(maxsize=KEPT)
def statements(topic: str, text: str) -> Mapping[str, str]:
    """Return what running text states about a topic: the answer and the words that state it.

    >>> statements("base", "注：寄存器地址从1开始")
    {'1': '寄存器地址从1开始'}
    """
    found = {}
    shaped = shape(text)
    for answer, patterns in table_of_words()["statements"][topic].items():
        for pattern in patterns:
            match = _compiled(pattern).search(shaped)
            if match is not None:
                found[answer] = match.group("answer" if match.re.groups else 0)
                break
    return found


def type_words() -> tuple[Mapping[str, list[Any]], Mapping[str, re.Pattern[str]]]:
    """Return the words of data types, and the patterns of their parts."""
    table = table_of_words()
    parts = {name: _compiled(pattern) for name, pattern in table["type_parts"].items()}
    return table["types"], parts


def unit_words() -> Mapping[str, str]:
    """Return, by a vendor's spelling of a unit, the usual one."""
    return _units()


def export_columns() -> Mapping[str, str]:
    """Return the columns of an export: meaning and header, in order."""
    columns: Mapping[str, str] = table_of_words()["export"]
    return columns


@cache
def _headers() -> Mapping[str, Header]:
    table = table_of_words()
    found = {
        plain(word): Header(meaning, word)
        for meaning, words in table["columns"].items()
        for word in words
    }
    for scale, words in table["scale_headers"].items():
        found |= {plain(word): Header("scale", word, scale=scale) for word in words}
    return found


@cache
def _endings() -> tuple[tuple[str, Header], ...]:
    """Return the Chinese words with which a header may end, longest first."""
    known = _headers()
    long = [word for word in known if len(word) >= SHORTEST_ENDING and not word.isascii()]
    return tuple((word, known[word]) for word in sorted(long, key=len, reverse=True))


@cache
def _group(name: str) -> Mapping[str, str]:
    return {plain(word): key for key, words in table_of_words()[name].items() for word in words}


@cache
def _units() -> Mapping[str, str]:
    return {word: unit for unit, words in table_of_words()["units"].items() for word in words}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
