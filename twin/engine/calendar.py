"""When something happens next: simpy wakes, and says which phases are due."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Sequence
from typing import Any, TypeAlias

import simpy

from twin.clock import MINUTE_MS
from twin.engine.timeline import Entry, Phase
from twin.engine.world import World
from twin.record.orders import Notice

Waking: TypeAlias = Generator[simpy.Event, Any, None]


class Calendar:
    """The beats and entries from one moment on; made anew from tables at any moment.

    Parameters
    ----------
    now_ms : first moment
    beats : period and phase of everything that comes round
    events : entries that are still to be done, by time
    writes : entries in `Phase.SET_POINT` by time; those before `now_ms` are over
    """

    def __init__(
        self,
        now_ms: int,
        beats: Sequence[tuple[int, Phase]],
        events: Sequence[Entry],
        writes: Sequence[Entry],
    ) -> None:
        self._clock = simpy.Environment(initial_time=now_ms)
        self._agenda: list[Phase] = []
        for period_ms, phase in beats:
            self._clock.process(self._beat(period_ms, phase))
        self._clock.process(self._events(events))
        self._clock.process(self._writes(writes[bisect_left(writes, now_ms, key=when) :]))

    def due(self, now_ms: int) -> list[Phase]:
        """Return the phases that are due up to `now_ms`, in order and once each."""
        while self._clock.peek() <= now_ms:
            self._clock.step()
        phases = sorted(set(self._agenda))
        self._agenda.clear()
        return phases

    def next_ms(self) -> int:
        """Return when something happens next."""
        return int(self._clock.peek())

    def _beat(self, period_ms: int, phase: Phase) -> Waking:
        """Wake at every multiple of `period_ms`, beginning now if now is one."""
        yield self._clock.timeout(-int(self._clock.now) % period_ms)
        while True:
            self._agenda.append(phase)
            yield self._clock.timeout(period_ms)

    def _events(self, entries: Sequence[Entry]) -> Waking:
        for entry in entries:
            yield self._clock.timeout(max(entry.now_ms - self._clock.now, 0))
            self._agenda.append(Phase.DISTURB)
            if isinstance(entry.what, Notice):
                self._agenda.append(Phase.CONTROL)

    def _writes(self, entries: Sequence[Entry]) -> Waking:
        for entry in entries:
            yield self._clock.timeout(entry.now_ms - self._clock.now)
            self._agenda.append(Phase.SET_POINT)


def beats(world: World, *, control: bool) -> tuple[tuple[int, Phase], ...]:
    """Return the periods of a run and what is due at each; with a logic, `control`."""
    found = [(MINUTE_MS, Phase.MINUTE), (world.grid_period_ms, Phase.STEP)]
    if world.tick_ms < world.grid_period_ms:
        found.append((world.tick_ms, Phase.STEP))
    if control:
        found.append((world.control_period_ms, Phase.CONTROL))
    return tuple(found)


def when(entry: Entry) -> int:
    """Return the time of an entry, to search by [ms]."""
    return entry.now_ms
