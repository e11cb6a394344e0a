"""What happens from outside, as a table sorted by time, phase, kind, row and number.

Writes stand in it as `SetPoint` in `Phase.SET_POINT`, at whole seconds; everything else
happens in `Phase.DISTURB`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from twin.chance import generator
from twin.record.exchange import SetPoint
from twin.record.orders import Notice


class Phase(IntEnum):
    """Order of what happens at one millisecond."""

    DISTURB = 0
    CONTROL = 1
    SET_POINT = 2
    MINUTE = 3
    STEP = 4
    FLOW = 5
    SNAPSHOT = 6


@dataclass(frozen=True, slots=True)
class ContactLoss:
    """A share of a kind's devices loses contact; `restored` ends it.

    Which devices it hits is keyed by the scenario's seed and the entry's `name`.
    """

    name: str
    kind: str
    share: float
    restored: bool = False

    def rows(self, n: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the rows that are hit out of `n`."""
        draw = generator(seed, f"timeline.contact.{self.name}.{self.kind}").random(n)
        return np.flatnonzero(draw < self.share)


@dataclass(frozen=True, slots=True)
class BranchOutage:
    """A branch of the network trips; `restored` brings it back."""

    branch: str
    restored: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One row of the timeline."""

    now_ms: int
    phase: int
    kind: int
    row: int
    number: int
    what: Notice | ContactLoss | BranchOutage | SetPoint = field(compare=False)


def sort_timeline(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries in the order in which they happen."""
    return tuple(sorted(entries))
