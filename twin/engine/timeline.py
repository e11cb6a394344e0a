"""What happens from outside, as a table sorted by time, phase, kind, row and number.

Writes stand in it as `SetPoint` in `Phase.SET_POINT`, at whole seconds; everything else
happens in `Phase.DISTURB`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from twin.assets.manners import Manner
from twin.chance import generator
from twin.record.exchange import SetPoint
from twin.record.orders import News, Notice, OutageNotice


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


@dataclass(frozen=True, slots=True)
class MannerChange:
    """A manner begins, or is over where `ended` says so.

    Attributes
    ----------
    number : of the manner; it keys which devices a share means
    share, rows : devices of the kind that are meant, `rows` where they are named
    map : only those that have this register map; nobody where there is no wire
    """

    number: int
    kind: str
    manner: Manner
    share: float = 1.0
    rows: tuple[int, ...] | None = None
    map: str | None = None
    ended: bool = False

    def rows_of(
        self, n: int, seed: int, maps: NDArray[np.str_] | None
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the rows that are meant out of `n`; `maps` is the map of each device."""
        meant = np.zeros(n, np.bool_)
        if self.rows is not None:
            meant[list(self.rows)] = True
        else:
            draw = generator(seed, f"manner.{self.number}.{self.kind}").random(n)
            meant |= draw < self.share
        if self.map is not None:
            meant &= False if maps is None else maps == self.map
        return np.flatnonzero(meant)


def in_force(done: Iterable[Entry], kind: str) -> list[MannerChange]:
    """Return the manners of `kind` that have begun and not ended, by number.

    Parameters
    ----------
    done : the entries that have happened, in their order
    """
    active: dict[int, MannerChange] = {}
    for entry in done:
        what = entry.what
        if isinstance(what, MannerChange) and what.kind == kind:
            if what.ended:
                active.pop(what.number, None)
            else:
                active[what.number] = what
    return [active[number] for number in sorted(active)]


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One row of the timeline."""

    now_ms: int
    phase: int
    kind: int
    row: int
    number: int
    what: Notice | ContactLoss | BranchOutage | MannerChange | SetPoint = field(compare=False)


def sort_timeline(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries in the order in which they happen."""
    return tuple(sorted(entries))


def news_of(entries: Iterable[Entry]) -> list[News]:
    """Return what a logic hears of `entries`: orders, and branches that trip or are back."""
    news: list[News] = []
    for entry in entries:
        what = entry.what
        if isinstance(what, Notice):
            news.append(what)
        elif isinstance(what, BranchOutage):
            news.append(OutageNotice(entry.now_ms, what.branch, what.restored))
    return news
