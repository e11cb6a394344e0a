"""Where in a map each kind of request goes: good, into a gap, beyond, on what cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from hil.registers.schema import WirePoint
from tests.witness.fleet import Spot
from tests.witness.values import Words, legal, refused, runs, writable

NEAR = 256  # registers further apart than this are never read together
MOST = {"coil": 2000, "discrete": 2000, "input": 125, "holding": 125}
Place = tuple[int, Words]


class Places:
    """One table of one device: an address and a count, or an address and what to write there.

    Each is None where the map has no such place.
    """

    def __init__(self, spot: Spot, table: str) -> None:
        self.spot, self.table = spot, table
        self.points = [p for p in spot.one.points if p.table == table]
        self.there = sorted({p.address + i for p in self.points for i in range(p.width)})
        self.takes = [p for p in writable(spot.one) if p.table == table]

    @cached_property
    def good(self) -> tuple[int, int]:
        """The first registers that lie side by side."""
        run = next(runs(self.there))
        return run[0], min(len(run), MOST[self.table])

    @cached_property
    def hole(self) -> tuple[int, int] | None:
        """The last register before missing ones, and the first one after."""
        for one, other in zip(self.there, self.there[1:], strict=False):
            if one + 1 < other <= one + NEAR:
                return one, other
        return None

    @cached_property
    def across(self) -> tuple[int, int] | None:
        """A read with missing registers and others."""
        if self.hole is None:
            return None
        count = self.hole[1] - self.hole[0] + 1
        return self.hole[0], count if count <= MOST[self.table] else 2

    # -- writes --------------------------------------------------------------------------------

    @cached_property
    def one(self) -> Place | None:
        """A point of one register, and a value for it."""
        return next(((p.address, legal(self.spot, p)[0]) for p in self.takes if p.width == 1), None)

    @cached_property
    def several(self) -> Place | None:
        """As many points as lie side by side, and values for all."""
        best = max(self._neighbours(), key=lambda part: sum(p.width for p in part), default=None)
        return None if best is None else (best[0].address, self._values(best))

    @cached_property
    def one_wrong(self) -> Place | None:
        """A point of one register, and a value outside its limits."""
        wrong = ((p, refused(self.spot, p)) for p in self.takes if p.width == 1)
        return next(((p.address, words[0]) for p, words in wrong if words), None)

    @cached_property
    def several_wrong(self) -> Place | None:
        """Points side by side, with one value outside its limits among good ones."""
        for part in self._neighbours():
            for point in reversed(part):
                if refused(self.spot, point):
                    return part[0].address, self._values(part, point)
        return None

    @cached_property
    def read_only(self) -> WirePoint | None:
        return next((p for p in self.points if "w" not in p.access), None)

    @cached_property
    def wide(self) -> WirePoint | None:
        """A point of several registers."""
        return next((p for p in self.takes if p.width > 1), None)

    def _neighbours(self) -> Iterator[list[WirePoint]]:
        part: list[WirePoint] = []
        for point in sorted(self.takes, key=lambda p: p.address):
            if part and point.address != part[-1].address + part[-1].width:
                yield part
                part = []
            part.append(point)
        if part:
            yield part

    def _values(self, part: list[WirePoint], wrong: WirePoint | None = None) -> Words:
        words: list[int] = []
        for point in part:
            choices = refused(self.spot, point) if point is wrong else legal(self.spot, point)
            words += choices[-1 if point is not wrong else 0]
        return tuple(words)
