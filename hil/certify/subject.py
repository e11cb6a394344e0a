"""What is certified: a device, its line, its clock and the instruments beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

from hil.bench.clock import Clock
from hil.bench.device import BenchDevice
from hil.bench.frames import FrameLog
from hil.bench.line import LineSpec, Wire
from hil.bench.roles import Meter
from hil.registers.schema import RegisterMap

__all__ = ["PAUSE_S", "Evidence", "Pace", "Subject"]

# Longer than the gaps that devices in the field ask for (50 ms: evcc-io/evcc#32235; assumed).
PAUSE_S = 0.12

Evidence = Literal["emulated", "known-good", "hardware"]


@dataclass(slots=True)
class Pace:
    """How a device wants to be asked, as learned while it is asked.

    Attributes
    ----------
    pause_s : least pause before a request [s]
    wires : that keep the pause as well
    """

    pause_s: float = 0.0
    wires: tuple[Wire, ...] = ()

    def slow(self) -> None:
        """Ask with pauses from now on: a request was lost."""
        self.pause_s = PAUSE_S
        for wire in self.wires:
            wire.pause_s = PAUSE_S


@dataclass(frozen=True, slots=True)
class Subject:
    """A device under test.

    Attributes
    ----------
    name, kind : of the device; kind is the twin's
    map : the register map that it claims to have
    device : through which it is read and written, inside the bench's limits
    clock : device time
    instruments : by role (``meter``, ``source``, ``relay``, ``person``)
    evidence : on what the certificate rests
    nameplate : rated values, e.g. ``rated_kw``, ``capacity_kwh``
    spec : where it is, for procedures that speak bytes of their own; None: they do not apply
    frames : what goes over the line, and what procedures send by themselves
    pace : learned while it is asked
    compressed : device time runs faster than the wall's
    bench : its file and SHA-256, for the record
    may_write : false where the bench runs dry
    silent : while inside what it makes, nobody but the procedure keeps the device's heartbeat
    """

    name: str
    kind: str
    map: RegisterMap
    device: BenchDevice
    clock: Clock
    instruments: Mapping[str, object]
    evidence: Evidence
    nameplate: Mapping[str, float]
    spec: LineSpec | None = None
    frames: FrameLog = field(default_factory=FrameLog)
    pace: Pace = field(default_factory=Pace)
    compressed: bool = False
    bench: Mapping[str, str] = field(default_factory=dict)
    may_write: bool = True
    silent: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def rated_kw(self) -> float:
        """Rated power [kW]."""
        return float(self.nameplate["rated_kw"])

    @property
    def meter(self) -> Meter | None:
        """The power meter at its terminals, where there is one."""
        found = self.instruments.get("meter")
        return found if isinstance(found, Meter) else None

    def note_raw(self, data: bytes) -> None:
        """Journal bytes of a procedure's own before they are sent."""
        self.device.journal.record("raw", self.name, hex=data.hex())
