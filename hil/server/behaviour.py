"""Manners of bytes: what real devices do to requests and answers, in wall milliseconds.

Everything that changes a device's state is in the twin; here a request is delayed, lost, refused
or the connection ended. Draws are keyed by seed, purpose and device, so that a device misbehaves
alike in every run that asks it the same questions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np

from hil.kernels import image as im
from twin.chance import generator
from twin.errors import InputProblems, Problem

__all__ = ["GAPS", "Act", "Behaviour", "Link", "Reaction", "WireManner"]

GAPS = {"any": im.GAP_ANY, "all": im.GAP_ALL, "zero": im.GAP_ZERO}
SHARES = ("no_answer_share", "exception_share", "disconnect_share", "bad_crc_share")
TIMES = ("delay_ms", "min_gap_ms", "settle_ms", "late_ms")
LONGEST_MS = 600_000.0
DRAWS = 256  # taken at a time
TIE_S = 1e-6  # between answers that would be due at one moment
EXCEPTIONS = range(1, 12)


@dataclass(frozen=True, slots=True)
class WireManner:
    """How one device treats bytes; the reports are cited as owner/repository#thread.

    Raises InputProblems with everything that is out of range.

    Attributes
    ----------
    delay_ms : median of the answer delay, at 0 none (NISystemsEngineering/LabVIEW-Modbus-API#15,
        ioBroker/ioBroker.modbus#262: 110 ms where 20 to 60 are expected)
    delay_sigma : sigma of the lognormal by which the delay is spread (assumed)
    min_gap_ms : a request sooner than this after the last answer is lost and counted as a
        violation (OpenEMS/openems#3099; evcc-io/evcc#32235: 50 ms)
    max_clients : connections at a time; a further one is closed at once
        (tiagocoutinho/modbus-proxy-rs#5; thingsboard/thingsboard-gateway#1670: 2 to 16)
    settle_ms : after a connection nothing is answered for so long
        (Akulatraxas/ha-modbusproxy#8: 1 to 2 s)
    swallow_first : the first request of a connection is lost (tiagocoutinho/modbus-proxy#24)
    drop_second : of the requests that arrive together all after the first are lost
        (pymodbus-dev/pymodbus#1949, pymodbus-dev/pymodbus#1922)
    no_answer_share : of the requests, lost on the way: not executed (OpenEMS/openems#6)
    late_ms : added to every answer (OpenEMS/openems#2569: a slow device that others wait for)
    exception, exception_share : code that a share of the requests gets instead of an answer;
        code None: none (pymodbus-dev/pymodbus#75)
    disconnect_share : of the requests, at which the connection ends (ljean/modbus-tk#122,
        serhmarch/ModbusTools#64: a simulator that cannot)
    gaps : policy for reads over missing registers, None: as the map has it
        (ioBroker/ioBroker.modbus#581, wirenboard/wb-mqtt-serial#124)
    bad_crc_share : of the answers on a serial line, with a wrong checksum
        (pymodbus-dev/pymodbus#375)
    """

    delay_ms: float = 0.0
    delay_sigma: float = 0.5
    min_gap_ms: float = 0.0
    max_clients: int | None = None
    settle_ms: float = 0.0
    swallow_first: bool = False
    drop_second: bool = False
    no_answer_share: float = 0.0
    late_ms: float = 0.0
    exception: int | None = None
    exception_share: float = 1.0
    disconnect_share: float = 0.0
    gaps: Literal["any", "all", "zero"] | None = None
    bad_crc_share: float = 0.0

    def __post_init__(self) -> None:
        found = [
            *self._outside(SHARES, 1.0, "0 to 1"),
            *self._outside(TIMES, LONGEST_MS, f"0 to {LONGEST_MS:g} ms"),
            *self._outside(("delay_sigma",), 3.0, "0 to 3"),
        ]
        if self.max_clients is not None and self.max_clients < 1:
            found.append(_problem("max_clients", self.max_clients, "1 or more"))
        if self.exception is not None and self.exception not in EXCEPTIONS:
            found.append(_problem("exception", self.exception, "1 to 11"))
        if self.gaps is not None and self.gaps not in GAPS:
            found.append(_problem("gaps", self.gaps, "any, all or zero"))
        if found:
            raise InputProblems(found)

    def _outside(self, names: tuple[str, ...], most: float, allowed: str) -> list[Problem]:
        return [
            _problem(f.name, getattr(self, f.name), allowed)
            for f in fields(self)
            if f.name in names and not 0.0 <= getattr(self, f.name) <= most
        ]


def _problem(place: str, value: object, allowed: str) -> Problem:
    return Problem("manner", place, str(value), allowed)


class Act(IntEnum):
    """What becomes of a request."""

    ANSWER = 0
    LOSE = 1
    REFUSE = 2
    HANG_UP = 3


class Reaction(NamedTuple):
    """An act, its exception code, and when its answer goes out [s, the clock of the caller]."""

    act: Act
    code: int = 0
    due_s: float = 0.0


@dataclass(slots=True)
class Link:
    """What a device remembers of one connection.

    Attributes
    ----------
    since_s : when it began; minus infinity where the manner came later
    seen : requests so far
    """

    since_s: float = -math.inf
    seen: int = 0


class Behaviour:
    """One device's manner at work.

    Parameters
    ----------
    manner : what it does
    seed, device : of the draws

    Attributes
    ----------
    violations : requests that came sooner than the least gap
    lost : requests that got no answer, violations included
    """

    def __init__(self, manner: WireManner, seed: int, device: int) -> None:
        self.manner, self.seed, self.device = manner, seed, device
        self.violations = self.lost = 0
        self._free_s = -math.inf
        self._draws: dict[str, tuple[np.random.Generator, list[float]]] = {}

    def react(self, link: Link, second: bool, now_s: float) -> Reaction:
        """Return what becomes of a request that arrives now.

        Parameters
        ----------
        link : its connection
        second : another request came before it in the same piece
        now_s : monotonic
        """
        manner = self.manner
        first = link.seen == 0 and math.isfinite(link.since_s)
        link.seen += 1
        if now_s < self._free_s + manner.min_gap_ms / 1000.0 and manner.min_gap_ms > 0.0:
            self.violations += 1
            return self._lose()
        unsettled = now_s - link.since_s < manner.settle_ms / 1000.0
        if unsettled or (first and manner.swallow_first) or (second and manner.drop_second):
            return self._lose()
        if self._hit("no_answer", manner.no_answer_share):
            return self._lose()
        if self._hit("disconnect", manner.disconnect_share):
            return Reaction(Act.HANG_UP)
        due_s = now_s + manner.late_ms / 1000.0
        if manner.delay_ms > 0.0:
            spread = math.exp(manner.delay_sigma * self._draw("delay"))
            due_s += min(manner.delay_ms * spread, LONGEST_MS) / 1000.0
        # A device answers one request after the other.
        due_s = self._free_s = max(due_s, self._free_s + TIE_S)
        if manner.exception is not None and self._hit("exception", manner.exception_share):
            return Reaction(Act.REFUSE, manner.exception, due_s)
        return Reaction(Act.ANSWER, 0, due_s)

    def bad_crc(self) -> bool:
        """Return whether the next answer on a serial line carries a wrong checksum."""
        return self._hit("bad_crc", self.manner.bad_crc_share)

    def _lose(self) -> Reaction:
        self.lost += 1
        return Reaction(Act.LOSE)

    def _hit(self, purpose: str, share: float) -> bool:
        return share > 0.0 and self._draw(purpose) < share

    def _draw(self, purpose: str) -> float:
        """Return the next draw: uniform in [0, 1), for delays standard normal."""
        if purpose not in self._draws:
            self._draws[purpose] = generator(self.seed, f"wire.{purpose}", self.device), []
        source, waiting = self._draws[purpose]
        if not waiting:
            drawn = source.standard_normal(DRAWS) if purpose == "delay" else source.random(DRAWS)
            waiting.extend(drawn[::-1].tolist())
        return waiting.pop()
