"""A switch that a person operates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hil.bench.roles import About, InstrumentRefused, Person

__all__ = ["RelayManual"]


@dataclass(frozen=True, slots=True)
class RelayManual:
    """A `Relay` that somebody switches and looks at.

    `before` is told what the person is going to be asked to do; what it raises keeps it back.
    """

    about_it: About
    person: Person
    before: Callable[[str], None] = lambda command: None

    def about(self) -> About:
        """Return what a report says of it."""
        return self.about_it

    def switch(self, on: bool) -> None:
        """Ask for the switch to be operated; a no is InstrumentRefused with code 0."""
        name = self.about_it.name
        asked = "close the switch (合闸)" if on else "open the switch (分闸)"
        self.before(asked)
        if not self.person.confirm(f"{name}: {asked}. Done? 完成？"):
            raise InstrumentRefused(f"{name}: {asked} was not done", 0)

    def is_on(self) -> bool:
        """Ask whether the switch is closed."""
        return self.person.confirm(f"{self.about_it.name}: is the switch closed? 是否在合位？")

    def release(self) -> None:
        """Nothing to end."""
