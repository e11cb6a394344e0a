"""A specimen: how a good device would be, the one thing that is wrong, and what must find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hil.certify.broken.weak import FrontedStage, Weakness
from hil.certify.emulated import subject_on
from hil.certify.subject import Subject
from hil.registers.files import load_map
from hil.registers.schema import RegisterMap
from hil.server import WireManner
from hil.testbed.stage import Stage
from twin.assets.kind import Kind
from twin.assets.manners import Manner

__all__ = ["Specimen"]

# A cabinet of one hour: half as long from full to empty as the stage's own (our choice).
NAMEPLATES = {"storage": {"capacity_kwh": 250.0}}


def _as_it_is(one: RegisterMap) -> RegisterMap:
    return one


@dataclass(frozen=True, slots=True)
class Specimen:
    """One device with one fault, or a good one beside it.

    Attributes
    ----------
    name : as the command line has it
    documented : the map that its maker hands out, and that is certified against
    fault, fault_zh : what is wrong with it, ``""``: nothing
    finder : ``suite.measurement`` that must fail, ``""``: none may
    because : why that one finds it, and no other does
    along : measurements of the same thing that may fail with it
    edit : its maker's own changes to that map, before he hands it out
    serve : what it serves instead of the documented map
    sort : physics or control that stand in for its kind's
    manner, wire : how it behaves, and how it treats bytes
    declared : what its maker states beside the nameplate, e.g. ``heartbeat_s``
    transport : on which it is tried
    weakness : a front before its server that breaks on bytes
    """

    name: str
    documented: str
    fault: str
    fault_zh: str
    finder: str
    because: str
    along: tuple[str, ...] = ()
    edit: Callable[[RegisterMap], RegisterMap] = _as_it_is
    serve: Callable[[RegisterMap], RegisterMap] = _as_it_is
    sort: type[Kind] | None = None
    manner: Manner | None = None
    wire: WireManner | None = None
    declared: Mapping[str, float] = field(default_factory=dict)
    transport: Literal["tcp", "tls", "rtu"] = "tcp"
    weakness: Weakness | None = None

    @property
    def map(self) -> RegisterMap:
        """The map that it claims to have."""
        return self.edit(load_map(self.documented))

    @contextmanager
    def subject(self, journal: Path, seed: int = 0) -> Iterator[Subject]:
        """Yield it as a subject, served while inside.

        Parameters
        ----------
        journal : file of what is written to it
        seed : of its chance
        """
        one = self.map
        sort = one.kind if self.sort is None else self.sort
        served = self.serve(one)
        plate = NAMEPLATES.get(one.kind)
        if self.weakness is None:
            stage = Stage(sort, served, nameplate=plate, seed=seed, manner=self.manner,
                          wire=self.wire, transport=self.transport)  # fmt: skip
        else:
            stage = FrontedStage(self.weakness, sort, served, nameplate=plate, seed=seed,
                                 manner=self.manner)  # fmt: skip
        told = subject_on(stage, journal, claimed=one, name=self.name, declared=self.declared)
        with stage, told as subject:
            yield subject
