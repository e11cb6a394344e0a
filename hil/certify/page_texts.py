"""Texts of the certificate's page in both languages at once: Chinese first, English below."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

from twin.results.report.blocks import Cell
from twin.results.report.words import escape

__all__ = ["MARKS", "Both", "both", "known", "mark"]

# Classes of a mark by outcome; those of the run's page where it has one.
MARKS = {
    "pass": "pass", "fail": "fail", "inconclusive": "doubt", "not_applicable": "na",
    "figure": "figure",
}  # fmt: skip


class Both(NamedTuple):
    """One text in Chinese and in English."""

    zh: str
    en: str

    def html(self) -> str:
        """Return it with the English below the Chinese; once where they are the same."""
        if self.zh == self.en:
            return escape(self.zh)
        return f'{escape(self.zh)}<span class="english" lang="en">{escape(self.en)}</span>'

    def line(self) -> str:
        """Return it on one line, for plain text."""
        return self.zh if self.zh == self.en else f"{self.zh} / {self.en}"

    def cell(self, kind: str = "", span: int = 1) -> Cell:
        """Return it as a table's cell."""
        return Cell(self.zh, kind, span, "" if self.zh == self.en else self.en)


@cache
def _texts() -> dict[str, dict[str, list[str]]]:
    text = resources.files("hil.certify").joinpath("templates/texts.toml").read_text("utf-8")
    return tomllib.loads(text)


def both(key: str, **fields: object) -> Both:
    """Return the text of a dotted key with its fields filled in; KeyError for no such text."""
    table, _, name = key.partition(".")
    zh, en = _texts()[table][name]
    return Both(zh.format(**fields), en.format(**fields))


def known(key: str) -> bool:
    """Return whether there is such a text."""
    table, _, name = key.partition(".")
    return name in _texts().get(table, {})


def mark(outcome: str) -> Cell:
    """Return the cell that says an outcome."""
    return both(f"outcome.{outcome}").cell(f"mark {MARKS[outcome]}")
