"""Somebody at a terminal: questions out, lines in, and an error when nobody answers."""

from __future__ import annotations

import math
import os
import select
import time
from typing import TextIO

from hil.bench.roles import About, NobodyAnswered

__all__ = ["PersonTerminal"]

YES = ("y", "yes", "是", "好", "对")
NO = ("n", "no", "否", "不", "错")
MOST_TRIES = 5
LONGEST_LINE = 1024


class PersonTerminal:
    """A `Person` at a terminal or at the far end of any pair of streams.

    Parameters
    ----------
    answers : file descriptor that is read, a terminal or a pipe
    shown : where questions are written
    timeout_s : for each question [s], of wall time: a person knows no other
    """

    def __init__(self, name: str, answers: int, shown: TextIO, timeout_s: float = 120.0) -> None:
        self.answers, self.shown, self.timeout_s = answers, shown, timeout_s
        self._rest = b""
        self._about = About(name, "person_terminal", "a person")

    def about(self) -> About:
        """Return what a report says of the person."""
        return self._about

    def tell(self, text: str) -> None:
        """Show a sentence."""
        self.shown.write(f"{text}\n")
        self.shown.flush()

    def confirm(self, question: str) -> bool:
        """Ask until yes (是) or no (否) comes."""
        until_s = time.monotonic() + self.timeout_s
        for _ in range(MOST_TRIES):
            answer = self._answer(f"{question} [y/n 是/否]", until_s).lower()
            if answer in YES:
                return True
            if answer in NO:
                return False
            self.tell("y or n, please (请回答 y 或 n)")
        raise NobodyAnswered(f"{self._about.name}: no yes or no to {question!r}")

    def number(self, question: str, unit: str) -> float:
        """Ask until a finite number comes."""
        until_s = time.monotonic() + self.timeout_s
        for _ in range(MOST_TRIES):
            answer = self._answer(f"{question} [{unit}]", until_s)
            try:
                value = float(answer)
            except ValueError:
                value = math.nan
            if math.isfinite(value):
                return value
            self.tell("a number, please (请输入数字)")
        raise NobodyAnswered(f"{self._about.name}: no number to {question!r}")

    def release(self) -> None:
        """Leave the person alone; the streams stay open."""

    def _answer(self, text: str, until_s: float) -> str:
        self.shown.write(f"{text} ")
        self.shown.flush()
        while b"\n" not in self._rest:
            left_s = until_s - time.monotonic()
            ready, _, _ = select.select([self.answers], [], [], max(left_s, 0.0))
            if not ready:
                raise NobodyAnswered(
                    f"{self._about.name}: no answer within {self.timeout_s:g} s to {text!r}"
                )
            piece = os.read(self.answers, LONGEST_LINE)
            if not piece or len(self._rest) > LONGEST_LINE:
                raise NobodyAnswered(f"{self._about.name}: nobody is there to answer {text!r}")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace").strip()
