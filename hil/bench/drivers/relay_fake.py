"""A relay that switches at once and records what it was asked."""

from __future__ import annotations

from hil.bench.clock import Clock
from hil.bench.drivers.asked import Asked
from hil.bench.roles import About, InstrumentSilent

__all__ = ["RelayFake"]


class RelayFake:
    """A `Relay` on nothing.

    Attributes
    ----------
    broken : while true, every call but `about` and `release` raises InstrumentSilent
    asked : every call in order
    """

    def __init__(self, name: str, clock: Clock, on: bool = True) -> None:
        self.clock, self._on = clock, on
        self.broken = False
        self.asked: list[Asked] = []
        self._about = About(name, "relay_fake", "fake")

    def about(self) -> About:
        """Return what a report says of it."""
        return self._about

    def switch(self, on: bool) -> None:
        """Be on or off from now on."""
        self._note("switch", on)
        self._on = on

    def is_on(self) -> bool:
        """Return what it was switched to."""
        self._note("is_on")
        return self._on

    def release(self) -> None:
        """Record that it was released."""
        self.asked.append(Asked(self.clock.now_s(), "release"))

    def _note(self, method: str, *values: bool) -> None:
        self.asked.append(Asked(self.clock.now_s(), method, values))
        if self.broken:
            raise InstrumentSilent(f"{self._about.name}: no answer (a fake that is broken)")
