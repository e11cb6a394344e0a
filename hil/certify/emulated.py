"""Subjects that are emulated: a stage, and a bench device that speaks to it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.frames import FrameLog
from hil.bench.journal import Journal
from hil.bench.line import Line
from hil.certify.subject import Evidence, Pace, Subject
from hil.registers.schema import RegisterMap
from hil.server import WireManner
from hil.testbed.stage import Stage
from twin.assets.kind import Kind
from twin.assets.manners import Manner

__all__ = ["emulated", "rest_s", "subject_on"]

# An emulated device breaks nothing: procedures may order what no device should obey.
FREE = Envelope(-math.inf, math.inf)
RUN_ON_S = 60.0  # how long an emulated plant runs on after an order to stop, at the most


@contextmanager
def emulated(
    kind: str | type[Kind],
    map: str | RegisterMap | None = None,
    *,
    journal: Path,
    claimed: RegisterMap | None = None,
    name: str | None = None,
    nameplate: Mapping[str, float] | None = None,
    seed: int = 0,
    manner: Manner | None = None,
    wire: WireManner | None = None,
    transport: Literal["tcp", "tls", "rtu"] = "tcp",
    unit: int | None = None,
    start_s: int | None = None,
    state: Mapping[str, float] | None = None,
    instruments: Collection[str] = ("meter",),
    evidence: Evidence = "emulated",
    declared: Mapping[str, float] | None = None,
) -> Iterator[Subject]:
    """Yield an emulated device as a subject; it is served while inside.

    Parameters
    ----------
    kind, map, nameplate, seed, manner, wire, transport, unit, start_s, state : see `Stage`
    journal : file of what is written to it
    claimed : the map that the device is said to have; None: the one that it serves
    name : in the record
    instruments : which of the stage's are used
    declared : what its maker states beside the nameplate, e.g. ``heartbeat_s``; None: what its
        `manner` is
    """
    stage = Stage(
        kind, map, nameplate=nameplate, seed=seed, manner=manner, wire=wire, transport=transport,
        unit=unit, start_s=start_s, state=state,
    )  # fmt: skip
    with (
        stage,
        subject_on(
            stage,
            journal,
            claimed=claimed,
            name=name,
            instruments=instruments,
            evidence=evidence,
            declared=_stated(manner) if declared is None else declared,
        ) as subject,
    ):
        yield subject


@contextmanager
def subject_on(
    stage: Stage,
    journal: Path,
    *,
    claimed: RegisterMap | None = None,
    name: str | None = None,
    instruments: Collection[str] = ("meter",),
    evidence: Evidence = "emulated",
    declared: Mapping[str, float] | None = None,
) -> Iterator[Subject]:
    """Yield the device of a stage that is being served; see `emulated`."""
    one = stage.map if claimed is None else claimed
    called = stage.name if name is None else name
    frames = FrameLog(clock=stage.clock)
    line = Line(stage.spec, frames)
    there = {"meter": stage.meter, "source": stage.source}
    with Journal(journal) as log:
        device = BenchDevice(
            called, one.kind, one, line, FREE, log, stage.clock,
            rated_kw=float(stage.nameplate["rated_kw"]),
        )  # fmt: skip
        try:
            yield Subject(
                name=called,
                kind=one.kind,
                map=one,
                device=device,
                clock=stage.clock,
                instruments={r: i for r, i in there.items() if r in instruments and i is not None},
                evidence=evidence,
                nameplate={**stage.nameplate, **(declared or {})},
                spec=stage.spec,
                frames=frames,
                pace=Pace(wires=(line.wire,)),
                compressed=True,
            )
        finally:
            line.close()


def _stated(manner: Manner | None) -> dict[str, float]:
    """Return what an honest maker states of how his device behaves."""
    found: dict[str, float] = {}
    if manner is not None and manner.heartbeat_s is not None:
        found["heartbeat_s"] = float(manner.heartbeat_s)
    if manner is not None and manner.min_off_s is not None:
        found["min_off_s"] = rest_s(manner.min_off_s)
    return found


def rest_s(min_off_s: float) -> float:
    """Return how long an emulated plant rests at the least [s].

    Its timer runs from the order to stop, and it looks at orders once a minute.
    """
    return max(min_off_s - RUN_ON_S, 0.0)
