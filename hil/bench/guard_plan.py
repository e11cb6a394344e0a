"""What a guard is armed with: which devices, how they are made safe, what trips it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hil.bench.connecting import LineSpec
from hil.bench.drivers.entries import InstrumentEntry
from hil.bench.envelope import Envelope
from hil.bench.schema import Heartbeat
from hil.registers.schema import RegisterMap

__all__ = ["LOG", "Condition", "GuardPlan", "GuardedDevice", "Times"]

# So that one that is late, or a request between two of them, is not taken for silence.
BEATS = 10
# Beside the journal: what the guard could not write into it.
LOG = ".guard.log"


@dataclass(frozen=True, slots=True)
class Times:
    """How long a guard waits, each our choice [s].

    Attributes
    ----------
    heartbeat_s : silence of the runner that trips the guard; of the guard that ends the run
    watch_s : between two looks at every device and condition
    blind_s : a device or instrument that shows nothing for so long trips the guard
    settle_s : for a device to show its safe state after it was told
    confirm_s : between the two readings that prove it
    retry_s : how long an unproven device is told again; longest stay of a guard whose runner
        neither ends nor lets go
    pause_s : first pause between two tries, which doubles up to `longest_pause_s`
    own_s : for another run, or its guard, to let go of a device
    arm_s : for the guard to start and to reach every device once
    """

    heartbeat_s: float = 5.0
    watch_s: float = 1.0
    blind_s: float = 5.0
    settle_s: float = 10.0
    confirm_s: float = 0.25
    retry_s: float = 600.0
    pause_s: float = 0.25
    longest_pause_s: float = 5.0
    own_s: float = 5.0
    arm_s: float = 30.0

    @property
    def beat_s(self) -> float:
        """Time between two beats of the runner [s]."""
        return self.heartbeat_s / BEATS

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} {getattr(self, name):g} is not above 0 and finite")


@dataclass(frozen=True, slots=True)
class GuardedDevice:
    """A device as the guard knows it; fields as in `BenchDevice`.

    Attributes
    ----------
    line : where it is reached
    held : it takes one client, or shares a serial line: the guard holds the connection and the
        runner speaks through it
    identity : what it must say of itself before it is written to, by name
    heartbeat : what keeps it from falling back by itself while it is being proven
    tolerance_kw : how near to the power of its safe state it must show itself
    written : it is told its safe state; else it is only watched, or shares a line
    """

    name: str
    kind: str
    map: RegisterMap
    line: LineSpec
    envelope: Envelope
    safe_state: Mapping[str, float] | None = None
    rated_kw: float | None = None
    held: bool = False
    identity: Mapping[str, str] = field(default_factory=dict)
    heartbeat: Heartbeat | None = None
    tolerance_kw: float = math.inf
    written: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold, else every device is brought to its safe state.

    Attributes
    ----------
    name : of the condition
    of : name of a device, or of an instrument
    shows : a point of the device's map in its own unit, else a reading by the twin's name
        (``power_kw``, ``soc``); of a meter ``power_kw``, of a source ``voltage_pu`` or
        ``frequency_hz``, of a relay ``on`` (1 or 0)
    low, high : both included
    """

    name: str
    of: str
    shows: str
    low: float = -math.inf
    high: float = math.inf

    def broken_by(self, value: float | None) -> str:
        """Return what is wrong with a value, empty where nothing is; None and NaN are wrong."""
        if value is None or math.isnan(value):
            return f"{self.name}: {self.of} shows no {self.shows}"
        if value < self.low:
            return f"{self.name}: {self.shows} of {self.of} is {value:g}, below {self.low:g}"
        if value > self.high:
            return f"{self.name}: {self.shows} of {self.of} is {value:g}, above {self.high:g}"
        return ""


@dataclass(frozen=True, slots=True)
class GuardPlan:
    """All that a guard needs; it is handed over once, before the first write.

    Attributes
    ----------
    journal : absolute path of the journal that runner and guard share
    devices : in the order in which they are told
    lost_alone : a device that shows nothing is made safe by itself and the others go on; else
        the loss of one trips the guard
    """

    journal: Path
    devices: tuple[GuardedDevice, ...]
    times: Times = field(default_factory=Times)
    conditions: tuple[Condition, ...] = ()
    instruments: tuple[InstrumentEntry, ...] = ()
    lost_alone: bool = False
