"""The error tree.

::

    TwinError
    ├── InputProblems      everything wrong with what the user gave, all at once (exit 2)
    └── RunBroken          a run that could not be finished (exit 3)

A `Problem` is data: where, what was given, what is allowed. Files report all their problems
at once; code fails at the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["InputProblems", "Problem", "RunBroken", "TwinError"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the user's input.

    Attributes
    ----------
    file : str   the file (or ``--set``, ``--logic``) in which it stands
    place : str  line, key or row within the file
    value : str  what was given
    allowed : str  what would have been right
    """

    file: str
    place: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.value}; allowed: {self.allowed}"


class TwinError(Exception):
    """Anything that twin raises on purpose."""


class InputProblems(TwinError):
    """Bad input; `problems` lists every one of them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class RunBroken(TwinError):
    """A run broke off; the message says when and why."""
