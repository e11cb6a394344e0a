"""What a broken device is: the one thing that is wrong with it, and who must find it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hil.registers.files import load_map
from hil.registers.schema import RegisterMap
from hil.server import WireManner
from hil.testbed.stage import Stage
from twin.assets.kind import Kind
from twin.assets.manners import Manner

__all__ = ["Broken"]


def _as_documented(one: RegisterMap) -> RegisterMap:
    return one


@dataclass(frozen=True, slots=True)
class Broken:
    """One device with one fault.

    Attributes
    ----------
    name : as the command line has it, ``broken:NAME``
    documented : the map that its maker hands out, and that is certified against
    fault, fault_zh : what is wrong with it
    finder : ``suite/procedure`` that must find it
    because : why that one finds it, and no other procedure does
    along : procedures that measure the same thing and may find it too
    serve : what it serves instead of the documented map
    sort : physics or control that stand in for its kind's
    manner, wire : how it behaves, and how it treats bytes
    nameplate : columns beside the stage's own
    transport : on which it is tried
    """

    name: str
    documented: str
    fault: str
    fault_zh: str
    finder: str
    because: str
    along: tuple[str, ...] = ()
    serve: Callable[[RegisterMap], RegisterMap] = _as_documented
    sort: type[Kind] | None = None
    manner: Manner | None = None
    wire: WireManner | None = None
    nameplate: Mapping[str, float] = field(default_factory=dict)
    transport: Literal["tcp", "tls", "rtu"] = "tcp"

    @property
    def map(self) -> RegisterMap:
        """The map that it claims to have."""
        return load_map(self.documented)

    def stage(self, seed: int = 0) -> Stage:
        """Return it on a stage; served inside its ``with``."""
        one = self.map
        return Stage(
            one.kind if self.sort is None else self.sort,
            self.serve(one),
            nameplate=self.nameplate or None,
            seed=seed,
            manner=self.manner,
            wire=self.wire,
            transport=self.transport,
        )
