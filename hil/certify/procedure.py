"""Procedures: set-up, steps in order, tear-down; and what a step may do with its evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hil.certify.measurement import Measurement, Path, Taken, Value
from hil.certify.subject import Subject

__all__ = ["Context", "Procedure", "Series", "Step", "Suite"]


class Series(Protocol):
    """A time series of a step on disk."""

    def add(self, *row: float | str | None) -> None:
        """Append a row, in the order of its columns."""
        ...


class Context(Protocol):
    """What a step works with.

    Attributes
    ----------
    subject : the device under test
    seed : of whatever is drawn
    taken : by measurement what was taken, in order
    carried : what earlier steps of the procedure left for later ones; JSON only, since a
        resumed run reads it from the evidence
    """

    subject: Subject
    seed: int
    taken: dict[str, list[Taken]]
    carried: dict[str, object]

    def wants(self, id: str) -> bool:
        """Return whether a measurement can be taken: the instruments that it needs are there."""
        ...

    def take(self, id: str, value: Value, uncertainty: float, path: Path, note: str = "") -> None:
        """Give a declared measurement its value; KeyError for one that was not declared.

        Of a measurement that is taken several times the worst counts. What cannot be taken for
        lack of instruments stays 'not applicable' whatever value is offered.
        """
        ...

    def leave(self, id: str, reason: str) -> None:
        """Say that a measurement does not apply to this device, and why."""
        ...

    def doubt(self, id: str, reason: str) -> None:
        """Say that a measurement could not be decided, and why: it is inconclusive."""
        ...

    def inner(self, declared: Sequence[Measurement]) -> Context:
        """Return a context with other measurements and the same evidence, for acts of others."""
        ...

    def series(self, name: str, *columns: str) -> Series:
        """Begin a time series ``name.csv`` in the step's folder; first column ``time_s``."""
        ...

    def note(self, text: str) -> None:
        """Keep a sentence for the reader of the evidence."""
        ...


Act = Callable[[Context], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One step; it brings the device to where it begins by itself, since a run may resume here.

    Attributes
    ----------
    name : of its folder; unique within the procedure
    act : what is done
    takes : measurements that it takes; where none of them can be, the step is left out; empty:
        it is always done
    """

    name: str
    act: Act
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Procedure:
    """Set-up, steps, tear-down; before and after all of it the device is at its safe state.

    Attributes
    ----------
    id : unique within the suite
    title, title_zh : for people
    measurements : declared before any is taken
    steps : in order
    set_up, tear_down : around the steps, when any of them is done
    """

    id: str
    title: str
    title_zh: str
    measurements: Sequence[Measurement]
    steps: Sequence[Step]
    set_up: Act | None = None
    tear_down: Act | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """Procedures that belong together.

    Attributes
    ----------
    id : as the command line names it
    title, title_zh : for people
    kinds : of devices to which it applies; empty: any
    procedures : for one subject, in order
    """

    id: str
    title: str
    title_zh: str
    procedures: Callable[[Subject], Sequence[Procedure]]
    kinds: tuple[str, ...] = ()
