"""One step in progress: what it has taken, noted and left for later steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hil.certify.evidence import StepFolder
from hil.certify.measurement import Measurement, Outcome, Path, Taken, Value
from hil.certify.procedure import Series
from hil.certify.subject import Subject

__all__ = ["Trial"]


class _Nowhere:
    """A time series of set-up and tear-down, which keep none."""

    def add(self, *row: float | str | None) -> None:
        """Forget a row."""


class Trial:
    """The `Context` of a step; see there.

    Attributes
    ----------
    taken : by measurement what was taken, in order
    notes : for the reader
    """

    def __init__(
        self,
        subject: Subject,
        seed: int,
        declared: Sequence[Measurement],
        lacking: Mapping[str, str],
        carried: dict[str, object],
        folder: StepFolder | None,
    ) -> None:
        self.subject, self.seed, self.carried = subject, seed, carried
        self.taken: dict[str, list[Taken]] = {}
        self.notes: list[str] = []
        self._declared = {m.id: m for m in declared}
        self._lacking = lacking
        self._folder = folder

    def wants(self, id: str) -> bool:
        """Return whether a measurement can be taken."""
        return self._lacking[id] == ""

    def take(self, id: str, value: Value, uncertainty: float, path: Path, note: str = "") -> None:
        """Give a declared measurement its value."""
        if self.wants(id):
            self._keep(self._declared[id].taken(value, uncertainty, path, note))

    def leave(self, id: str, reason: str) -> None:
        """Say that a measurement does not apply to this device."""
        if self.wants(id):
            self._keep(self._declared[id].untaken(Outcome.NOT_APPLICABLE, reason))

    def doubt(self, id: str, reason: str) -> None:
        """Say that a measurement could not be decided."""
        if self.wants(id):
            self._keep(self._declared[id].untaken(Outcome.INCONCLUSIVE, reason))

    def inner(self, declared: Sequence[Measurement]) -> Trial:
        """Return a context with other measurements and the same evidence."""
        there = self.subject.instruments
        lacking = {
            m.id: ", ".join(r for r in m.roles if there.get(r) is None) for m in declared
        }  # fmt: skip
        return Trial(self.subject, self.seed, declared, lacking, {}, self._folder)

    def series(self, name: str, *columns: str) -> Series:
        """Begin a time series."""
        return _Nowhere() if self._folder is None else self._folder.series(name, columns)

    def note(self, text: str) -> None:
        """Keep a sentence."""
        self.notes.append(text)

    def _keep(self, one: Taken) -> None:
        self.taken.setdefault(one.declared.id, []).append(one)
