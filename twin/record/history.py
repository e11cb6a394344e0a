"""What a run leaves for the judge and the page: minute records, events, beliefs.

A forked run shares the record of its parent up to the fork and writes its own from there, so
pairs of runs cost only what differs.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.record.exchange import Alarm
from twin.record.monitor import MonitorTally
from twin.record.quarters import Quarters

REPORT = "report."  # before the name of an event table that the logic reported

# What a History holds beside its tables and what it shares with its parent.
_REST = (
    "filled", "incidents", "alarms", "true_alarms", "settlement", "peak", "figures", "monitor",
    "_events",
)  # fmt: skip


def _shared(shape: tuple[int, int], dtype: str) -> NDArray[np.generic]:
    """Return zeros that a forked process writes for this one too."""
    kind = np.dtype(dtype)
    size = shape[0] * shape[1] * kind.itemsize
    memory = mmap.mmap(-1, max(size, 1))
    return np.frombuffer(memory, kind, shape[0] * shape[1]).reshape(shape)


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that must not pass silently, e.g. a load flow that diverged."""

    now_ms: int
    kind: str
    text: str


@dataclass(slots=True)
class History:
    """Records of one run, one row a minute.

    Row ``i`` covers the minute ``[start_ms + i * 60 000, + 60 000)``; powers are means over
    it, states its end. Scalars are float64[minutes], tables [minutes, n] in the type given.

    Parameters
    ----------
    start_ms : begin of the run
    minutes : length of the run
    scalars : names of the city's scalar series
    tables : width and dtype of each table, by name such as ``"site.demand_kw"``
    parent, first : the run from which this one was forked, and its first own minute
    quarters : energies by device and quarter of an hour, where they are kept
    """

    start_ms: int
    minutes: int
    scalars: tuple[str, ...]
    tables: Mapping[str, tuple[int, str]]
    parent: History | None = None
    first: int = 0
    filled: int = 0
    incidents: list[Incident] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    true_alarms: list[Alarm] = field(default_factory=list)
    settlement: list[Mapping[str, object]] = field(default_factory=list)
    peak: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    figures: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    monitor: MonitorTally | None = None
    quarters: Quarters | None = None
    _series: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    _tables: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    _events: dict[str, list[dict[str, NDArray[np.generic]]]] = field(default_factory=dict)
    _shared_events: dict[str, int] = field(default_factory=dict)  # parent's, at the fork

    def __post_init__(self) -> None:
        own = self.minutes - self.first
        self.filled = max(self.filled, self.first)
        self._series = np.asarray(_shared((len(self.scalars), own), "f8"), np.float64)
        self._series[:] = np.nan
        self._tables = {k: _shared((own, n), dtype) for k, (n, dtype) in self.tables.items()}

    def fork(self) -> History:
        """Return a record that continues from here and shares what was written so far."""
        other = History(
            self.start_ms, self.minutes, self.scalars, self.tables, self, self.filled, self.filled
        )
        other._shared_events = {name: len(parts) for name, parts in self._events.items()}
        other.incidents = list(self.incidents)
        other.alarms = list(self.alarms)
        other.true_alarms = list(self.true_alarms)
        other.settlement = list(self.settlement)
        other.peak = dict(self.peak)
        other.figures = {k: v.copy() for k, v in self.figures.items()}
        other.monitor = None if self.monitor is None else self.monitor.copy()
        if self.quarters is not None:
            other.quarters = self.quarters.fork(self.start_ms + self.filled * MINUTE_MS)
        return other

    # -- writing (the engine) --------------------------------------------------------------

    def put(self, name: str, value: float) -> None:
        """Write a scalar of the minute being filled."""
        self._series[self.scalars.index(name), self.filled - self.first] = value

    def put_scalars(self, values: Mapping[str, float]) -> None:
        """Write several scalars of the minute being filled."""
        column = self.filled - self.first
        for name, value in values.items():
            self._series[self.scalars.index(name), column] = value

    def put_figure(self, name: str, value: float) -> None:
        """Write a figure that the logic believes, for the minute being filled."""
        if name not in self.figures:
            self.figures[name] = np.full(self.minutes, np.nan)
        self.figures[name][self.filled] = value

    def row(self, name: str) -> NDArray[np.generic]:
        """Return the row of table `name` of the minute being filled, to be written in place."""
        row: NDArray[np.generic] = self._tables[name][self.filled - self.first]
        return row

    def close_minute(self) -> None:
        """Finish the minute being filled."""
        self.filled += 1

    def add_events(self, name: str, columns: dict[str, NDArray[np.generic]]) -> None:
        """Append rows to event table `name`."""
        self._events.setdefault(name, []).append(columns)

    # -- between processes -----------------------------------------------------------------

    def rest(self) -> dict[str, object]:
        """Return what does not stand in shared memory, for a parent process to `adopt`."""
        return {name: getattr(self, name) for name in _REST}

    def adopt(self, rest: Mapping[str, object]) -> None:
        """Take what a child process wrote beside the shared tables."""
        for name in _REST:
            setattr(self, name, rest[name])

    # -- reading (judge and page) ----------------------------------------------------------

    def index(self, now_ms: int) -> int:
        """Return the row of the minute that begins at `now_ms`, kept within the run."""
        return int(np.clip((now_ms - self.start_ms) // MINUTE_MS, 0, self.filled))

    def time_ms(self) -> NDArray[np.int64]:
        """Return int64[filled], the begin of every minute."""
        return self.start_ms + np.arange(self.filled, dtype=np.int64) * MINUTE_MS

    def series(self, name: str, first: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Return scalar series `name` for rows ``first:stop`` (default: all that is filled)."""
        stop = self.filled if stop is None else min(stop, self.filled)
        row = self.scalars.index(name)
        parts = []
        if self.parent is not None and first < self.first:
            parts.append(self.parent.series(name, first, min(stop, self.first)))
        if stop > self.first:
            parts.append(self._series[row, max(first, self.first) - self.first : stop - self.first])
        return np.concatenate(parts) if parts else np.empty(0)

    def table(self, name: str, first: int = 0, stop: int | None = None) -> NDArray[np.generic]:
        """Return rows ``first:stop`` of table `name`; a view where the run owns them all."""
        stop = self.filled if stop is None else min(stop, self.filled)
        own = self._tables[name][max(first - self.first, 0) : max(stop - self.first, 0)]
        if self.parent is None or first >= self.first:
            return own
        return np.concatenate([self.parent.table(name, first, min(stop, self.first)), own])

    def events(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return event table `name` by column, the parent's rows up to the fork first."""
        parts = self._event_parts(name, len(self._events.get(name, [])))
        if not parts:
            return {}
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

    def event_names(self) -> list[str]:
        """Return the names of all event tables that have rows, sorted."""
        mine = {name for name, parts in self._events.items() if parts}
        shared = self.parent.event_names() if self.parent is not None else ()
        return sorted(mine | {n for n in shared if self._shared_events.get(n, 0) > 0})

    def _event_parts(self, name: str, count: int) -> list[dict[str, NDArray[np.generic]]]:
        own = self._events.get(name, [])[:count]
        if self.parent is None:
            return own
        shared = self._shared_events.get(name, 0)
        return [*self.parent._event_parts(name, shared), *own]  # noqa: SLF001 - own class
