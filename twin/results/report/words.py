"""Texts of the page in the reader's language, and how numbers are written."""

from __future__ import annotations

import html
import math
import tomllib
from collections.abc import Mapping
from importlib import resources

__all__ = ["LANGUAGES", "Words", "number", "number_against", "plain"]

LANGUAGES = ("en", "zh")
_FILES = ("texts_{lang}.toml", "texts_operation_{lang}.toml")
_THIN = "\u2009"  # thin space between thousands, understood in both languages
_MINUS = "\u2212"


class Words:
    """Texts by dotted key, e.g. ``words("load.title")``; a missing key raises KeyError."""

    def __init__(self, lang: str) -> None:
        if lang not in LANGUAGES:
            raise ValueError(f"language {lang!r}; allowed: {', '.join(LANGUAGES)}")
        self.lang = lang
        self._texts: dict[str, str] = {}
        for part in _FILES:
            text = resources.files(__package__).joinpath(part.format(lang=lang)).read_text("utf-8")
            self._texts |= flatten(tomllib.loads(text))

    def __call__(self, key: str, **fields: object) -> str:
        """Return the text with its fields filled in."""
        return self._texts[key].format(**fields)

    def get(self, key: str, otherwise: str) -> str:
        """Return the text, or `otherwise` for a key that the page does not know."""
        return self._texts.get(key, otherwise)

    def keys(self) -> set[str]:
        """Return all keys."""
        return set(self._texts)

    def reason(self, said: str) -> str:
        """Return a verdict's reason in this language, as it was said where none is known."""
        return self.get(f"reasons.{said}", said)

    def verdict_title(self, verdict: Mapping[str, object]) -> str:
        """Return a verdict's own title in this language."""
        chinese = verdict.get("title_zh")
        if self.lang == "zh" and isinstance(chinese, str) and chinese:
            return chinese
        return str(verdict.get("title", verdict.get("id", "")))


def flatten(tree: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Return nested tables as dotted keys."""
    flat: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = str(value)
    return flat


def escape(text: object) -> str:
    """Return text safe inside HTML."""
    return html.escape(str(text), quote=True)


def number(value: float | int | None, digits: int | None = None) -> str:
    """Return a number for people; without `digits`, about three figures that mean something.

    >>> number(25300.4)
    '25\u2009300'
    >>> number(-0.1234), number(12.345), number(None)
    ('−0.123', '12.3', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if digits is None:
        size = abs(value)
        digits = 0 if size >= 1000 or value == int(value) else _fraction_digits(size)
    text = f"{abs(value):,.{digits}f}".replace(",", _THIN)
    negative = value < 0 and any(c in "123456789" for c in text)
    return (_MINUS if negative else "") + text


def _fraction_digits(size: float) -> int:
    for bound, digits in ((100.0, 1), (10.0, 1), (1.0, 2)):
        if size >= bound:
            return digits
    return 3


def plain(value: float) -> str:
    """Return a limit as it was written down.

    >>> plain(0.05), plain(40.0), plain(-1.5)
    ('0.05', '40', '−1.5')
    """
    return f"{value:g}".replace("-", _MINUS)


def number_against(value: float, limit: float) -> str:
    """Return `value` with as many digits as keep it on its own side of `limit`.

    >>> number_against(4.9996, 5.0), number_against(4.2, 5.0)
    ('4.9996', '4.20')
    """
    digits = 0 if abs(value) >= 1000 or value == int(value) else _fraction_digits(abs(value))
    while digits < 6 and value != limit and round(value, digits) == round(limit, digits):
        digits += 1
    return number(value, digits)
