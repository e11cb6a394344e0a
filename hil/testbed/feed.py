"""The twin's grid at a real device's terminals: voltage and frequency to a grid source.

Each grid period the source is told where the twin's bus is. It goes there within its own limits
and ramps; a source that takes longer to answer than a period lasts is told the newest.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from hil.bench.clock import Clock
from hil.bench.errors import BenchError
from hil.bench.roles import GridSource, InstrumentError

__all__ = ["NOMINAL_HZ", "Fed", "Feed"]

# The twin has no frequency of its own yet: what a source is told is the grid's nominal.
NOMINAL_HZ = 50.0
NOMINAL_PU = 1.0
STEP_S = 0.1  # between two steps of a ramp, wall time
HOME_S = 5.0  # wall time that the way back to nominal may take
LOST_AFTER = 3  # failures one after the other


@dataclass(slots=True)
class Fed:
    """What the source was told, one row a grid period.

    `asked_pu`, `asked_hz` are the twin's; `sent_pu`, `sent_hz` what went to the source last, NaN
    before the first; `limited` and `ramping` as `hil.bench.roles.Applied` has them.
    """

    now_ms: list[int] = field(default_factory=list)
    asked_pu: list[float] = field(default_factory=list)
    asked_hz: list[float] = field(default_factory=list)
    sent_pu: list[float] = field(default_factory=list)
    sent_hz: list[float] = field(default_factory=list)
    limited: list[bool] = field(default_factory=list)
    ramping: list[bool] = field(default_factory=list)

    def columns(self) -> dict[str, list[int] | list[float] | list[bool]]:
        """Return the rows by column, for ``source.parquet``."""
        return {name: getattr(self, name) for name in self.__slots__}


class Feed:
    """A thread that drives the source.

    Parameters
    ----------
    name, source : of the bench
    clock : of the bench
    """

    def __init__(self, name: str, source: GridSource, clock: Clock) -> None:
        self.name, self.fed = name, Fed()
        self._source, self._clock = source, clock
        self._lock, self._end, self._wake = threading.Lock(), threading.Event(), threading.Event()
        self._aim = (NOMINAL_PU, NOMINAL_HZ)
        self._sent = (math.nan, math.nan, False, False)
        self._lost = ""
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the source goes to nominal first."""
        self._thread.start()

    def aim(self, now_ms: int, voltage_pu: float) -> None:
        """Tell the source where the twin's bus is now, and put down where it was sent last."""
        with self._lock:
            self._aim = (voltage_pu, NOMINAL_HZ)
            sent_pu, sent_hz, limited, ramping = self._sent
        fed = self.fed
        fed.now_ms.append(now_ms)
        fed.asked_pu.append(voltage_pu)
        fed.asked_hz.append(NOMINAL_HZ)
        fed.sent_pu.append(sent_pu)
        fed.sent_hz.append(sent_hz)
        fed.limited.append(limited)
        fed.ramping.append(ramping)
        self._wake.set()

    @property
    def lost(self) -> str:
        """Why the source is told nothing any more, empty while it is."""
        with self._lock:
            return self._lost

    @property
    def failures(self) -> int:
        """How often it did not do what it was told."""
        with self._lock:
            return self._failures

    def end(self) -> None:
        """Bring the source back to nominal within its ramps, then end; see `alive`."""
        self._end.set()
        self._wake.set()

    @property
    def alive(self) -> bool:
        """Whether the thread may still speak to the source."""
        return self._thread.is_alive()

    def _run(self) -> None:
        in_a_row = 0
        while not self._end.is_set():
            with self._lock:
                aim = self._aim
            error = self._apply(*aim)
            in_a_row = 0 if error == "" else in_a_row + 1
            if in_a_row >= LOST_AFTER:
                with self._lock:
                    self._lost = error
                return
            ramping = self._sent[3]
            self._wake.wait(STEP_S if ramping or in_a_row > 0 else None)
            self._wake.clear()
        limit_s = self._clock.now_s() + HOME_S
        while self._apply(NOMINAL_PU, NOMINAL_HZ) == "" and self._sent[3]:
            if self._clock.now_s() > limit_s:
                return
            self._clock.sleep(STEP_S)

    def _apply(self, voltage_pu: float, frequency_hz: float) -> str:
        """Take one step; return why the source did not take it, empty where it did."""
        try:
            done = self._source.apply(voltage_pu, frequency_hz)
        except (InstrumentError, BenchError, ValueError) as error:
            with self._lock:
                self._failures += 1
            return str(error)
        with self._lock:
            self._sent = (done.voltage_pu, done.frequency_hz, done.limited, done.ramping)
        return ""
