"""A person whose answers are known beforehand."""

from __future__ import annotations

from collections.abc import Iterable

from hil.bench.clock import Clock
from hil.bench.drivers.asked import Asked
from hil.bench.roles import About, NobodyAnswered

__all__ = ["PersonFake"]


class PersonFake:
    """A `Person` who gives `answers` in order, then none.

    Attributes
    ----------
    asked : every call in order, with the text that was shown
    """

    def __init__(self, name: str, clock: Clock, answers: Iterable[bool | float] = ()) -> None:
        self.clock, self.answers = clock, list(answers)
        self.asked: list[Asked] = []
        self._about = About(name, "person_fake", "fake")

    def about(self) -> About:
        """Return what a report says of the person."""
        return self._about

    def tell(self, text: str) -> None:
        """Record what was shown."""
        self.asked.append(Asked(self.clock.now_s(), "tell", (text,)))

    def confirm(self, question: str) -> bool:
        """Return the next answer as yes or no."""
        return bool(self._next("confirm", question))

    def number(self, question: str, unit: str) -> float:
        """Return the next answer as a number."""
        return float(self._next("number", f"{question} [{unit}]"))

    def release(self) -> None:
        """Record that the person was released."""
        self.asked.append(Asked(self.clock.now_s(), "release"))

    def _next(self, method: str, text: str) -> bool | float:
        self.asked.append(Asked(self.clock.now_s(), method, (text,)))
        if not self.answers:
            raise NobodyAnswered(f"{self._about.name}: no answer to {text!r}")
        return self.answers.pop(0)
