"""Texts of the page in the reader's language, and how numbers are written."""

from __future__ import annotations

import html
import math
import re
import tomllib
from collections.abc import Mapping
from importlib import resources

__all__ = ["LANGUAGES", "Words", "number", "number_against", "plain"]

LANGUAGES = ("en", "zh")
_FILES = ("texts_{lang}.toml", "texts_operation_{lang}.toml", "texts_judge_{lang}.toml")
_NUMBER = r"[-+\u2212]?[\d.,]+"
_FIELDS = {"why": ".+"} | dict.fromkeys(
    ("what", "method", "kind", "kinds", "day", "file", "id", "level", "other", "at"), "[^;]+?"
)
_LONG_NUMBER = re.compile(r"(?<![\d.])\d{5,}(?!\d)")
_THIN = "\u2009"  # thin space between thousands, understood in both languages
_MINUS = "\u2212"


class Words:
    """Texts by dotted key, e.g. ``words("load.title")``; a missing key raises KeyError.

    Parameters
    ----------
    lang : one of `LANGUAGES`
    base_mw : maximum load, of which an order is so many per cent by name; 0: it has no such name
    """

    def __init__(self, lang: str, base_mw: float = 0.0) -> None:
        if lang not in LANGUAGES:
            raise ValueError(f"language {lang!r}; allowed: {', '.join(LANGUAGES)}")
        self.lang, self.base_mw = lang, base_mw
        self._texts: dict[str, str] = {}
        for part in _FILES:
            text = resources.files(__package__).joinpath(part.format(lang=lang)).read_text("utf-8")
            self._texts |= flatten(tomllib.loads(text))
        self._forms = {table: self._forms_of(f"{table}.") for table in ("reasons", "notes")}

    def __call__(self, key: str, **fields: object) -> str:
        """Return the text with its fields filled in."""
        return self._texts[key].format(**fields)

    def get(self, key: str, otherwise: str) -> str:
        """Return the text, or `otherwise` for a key that the page does not know."""
        return self._texts.get(key, otherwise)

    def keys(self) -> set[str]:
        """Return all keys."""
        return set(self._texts)

    def together(self, *sentences: str) -> str:
        """Return sentences one after the other; Chinese ones have no space between them."""
        return ("" if self.lang == "zh" else " ").join(s for s in sentences if s)

    def reason(self, said: str) -> str:
        """Return a verdict's reason in this language, as it was said where none is known.

        What is joined by semicolons is translated part by part.
        """
        found = self._told("reasons", said)
        if found is None:
            parts = said.split("; ")
            found = "；".join(self._told("reasons", p) or p for p in parts) if (
                self.lang == "zh"
            ) else said  # fmt: skip
        return _LONG_NUMBER.sub(lambda m: number(int(m[0]), 0), found)

    def note(self, said: str) -> str:
        """Return a note on the run in this language, as it was said where none is known."""
        return self._told("notes", said) or said

    def term(self, said: str) -> str:
        """Return a word inside such a text: a kind, a method or another term, else as it is."""
        for table in ("terms", "kinds", "baselines"):
            found = self._texts.get(f"{table}.{said}")
            if found is not None:
                return found
        return said

    def _forms_of(self, prefix: str) -> list[tuple[re.Pattern[str], str]]:
        """Return the texts whose keys have fields, longest first: the closest form wins."""
        keys = [k for k in self._texts if k.startswith(prefix) and "{" in k]
        keys.sort(key=lambda k: (-len(re.sub(r"\{\w+\}", "", k)), k))
        return [(_form(k.removeprefix(prefix)), self._texts[k]) for k in keys]

    def _told(self, table: str, said: str) -> str | None:
        """Return the text for `said`, word by word or by the first form that fits it."""
        exact = self._texts.get(f"{table}.{said}")
        if exact is not None:
            return exact
        for form, text in self._forms[table]:
            match = form.fullmatch(said)
            if match is not None:
                fields = {k: self._listed(v) for k, v in match.groupdict().items()}
                return text.format(**fields)
        return None

    def _listed(self, said: str) -> str:
        """Return a field: terms translated, in lists such as ``terminal 43 %, solar 37 %`` too."""
        parts = [re.match(r"([A-Za-z_]\w*)(:? \S.* ?%)$", part) for part in said.split(", ")]
        if all(part is not None for part in parts):
            comma = "、" if self.lang == "zh" else ", "
            return comma.join(self.term(p[1]) + p[2].replace(":", "") for p in parts if p)
        return self.term(said)

    def verdict_title(self, verdict: Mapping[str, object]) -> str:
        """Return a verdict's own title in this language."""
        chinese = verdict.get("title_zh")
        if self.lang == "zh" and isinstance(chinese, str) and chinese:
            return chinese
        return str(verdict.get("title", verdict.get("id", "")))


def _form(said: str) -> re.Pattern[str]:
    """Return what fits every text of the form `said`, its ``{fields}`` as groups.

    A field holds a number or, where `_FIELDS` says so, words; only ``why`` runs over semicolons.
    """
    parts = re.split(r"\{(\w+)\}", said)
    return re.compile(
        "".join(
            f"(?P<{p}>{_FIELDS.get(p, _NUMBER)})" if i % 2 else re.escape(p)
            for i, p in enumerate(parts)
        )
    )


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
