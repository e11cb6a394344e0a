"""A device on the bench, behind its register map and within the bench's limits."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence

from hil.bench.blocks import blocks
from hil.bench.clock import Clock
from hil.bench.envelope import Cut, Envelope
from hil.bench.errors import LineDown, LineError, Refused
from hil.bench.gate import Gate, Permit
from hil.bench.identity import identity_of
from hil.bench.journal import Journal
from hil.bench.line import Speaking
from hil.bench.meanings import Meanings, from_twin, to_twin
from hil.bench.values import Sample, Value, Written
from hil.registers.codec import decode, encode
from hil.registers.schema import RegisterMap, WirePoint
from twin.record.exchange import Quality

__all__ = ["BenchDevice", "Sample", "Value", "Written"]

# How often a value is moved by its last digit until it lies inside the limits.
NUDGES = 2


def _permitted() -> None:
    """Permit everything, as an emulated device does."""


class BenchDevice:
    """One device.

    Parameters
    ----------
    name : on the bench
    kind : of the twin
    map : register map
    line : the way to it
    envelope : power and ramp that it may be told
    journal : where every write goes before it is sent
    clock : the device's time
    scale : twin rating over bench rating
    rated_kw : of the device itself; needed where the map speaks of percent of rating
    safe_state : values by point, told in this order; None: what `Meanings.safe_state` says
    permit : asked before every write, raises Forbidden; None: everything is permitted
    closed : nothing is written where the map has no point

    Attributes
    ----------
    line : guarded: what goes through it is journalled and kept within the envelope
    meanings : of the map
    """

    def __init__(
        self,
        name: str,
        kind: str,
        map: RegisterMap,
        line: Speaking,
        envelope: Envelope,
        journal: Journal,
        clock: Clock,
        scale: float = 1.0,
        *,
        rated_kw: float | None = None,
        safe_state: Mapping[str, float] | None = None,
        permit: Permit | None = None,
        closed: bool = False,
    ) -> None:
        self.name, self.kind, self.map, self.scale = name, kind, map, scale
        self.envelope, self.journal, self.clock = envelope, journal, clock
        self.meanings = Meanings.of(map, rated_kw)
        own = self.meanings.safe_state() if safe_state is None else safe_state
        self.safe_state = dict(own)
        self.line = Gate(
            name, line, self.meanings, envelope, journal, clock,
            _permitted if permit is None else permit, closed,
        )  # fmt: skip

    # -- reading -------------------------------------------------------------------------------

    def read(self, names: Iterable[str] | None = None) -> dict[str, Sample]:
        """Return what points show, by name; None: every point that can be read.

        Points side by side are read with one request. A refused one is MISSING, with its code;
        LineDown, NoAnswer and Garbage are raised. Raises KeyError for a name that is not there.
        """
        points = (
            [p for p in self.map.points if "r" in p.access]
            if names is None
            else [self.map.point(n) for n in names]
        )
        found: dict[str, Sample] = {}
        for block in blocks(points, self.map.longest_read):
            begun_s = time.perf_counter()
            try:
                words = self.line.read(block.table, block.address, block.count)
                code = 0
            except Refused as refused:
                words, code = [], refused.code
            took_s, at_s = time.perf_counter() - begun_s, self.clock.now_s()
            for point in block.points:
                found[point.name] = self._sample(point, words, block.address, code, at_s, took_s)
        return {p.name: found[p.name] for p in points}

    def _sample(
        self, point: WirePoint, words: list[int], first: int, code: int, at_s: float, took_s: float
    ) -> Sample:
        if not words:
            return Sample(None, (), at_s, Quality.MISSING, code, took_s)
        own = words[point.address - first : point.address - first + point.width]
        value = decode(point, self.map.order, own)
        quality = Quality.MISSING if value is None else Quality.GOOD
        return Sample(value, tuple(own), at_s, quality, 0, took_s)

    def read_twin(self, names: Iterable[str]) -> dict[str, Sample]:
        """Return readings by the name and in the unit of the twin's points, such as ``power_kw``.

        Power positive into the grid, state of charge 0 to 1. A point that the map does not have
        is left out. Nothing is scaled.
        """
        readings = self.meanings.readings
        known = {n: readings[n] for n in names if n in readings}
        samples = self.read(dict.fromkeys(known.values()))
        return {n: self._as_twin(point, samples[point]) for n, point in known.items()}

    def _as_twin(self, name: str, sample: Sample) -> Sample:
        if not isinstance(sample.value, float):
            return sample
        value = to_twin(self.map.point(name), sample.value, self.meanings.rated_kw)
        return Sample(value, sample.words, sample.at_s, sample.quality, sample.code, sample.took_s)

    def identity(self) -> dict[str, str]:
        """Return what function 43/14 says: vendor, product, revision, ...; empty where refused.

        Raises LineDown, NoAnswer and Garbage.
        """
        return identity_of(self.line)

    def read_back(self) -> dict[str, Sample]:
        """Return what the points of the safe state and the power show, and put it on record."""
        names = [n for n in self.safe_state if "r" in self.map.point(n).access]
        power = self.meanings.readings.get("power_kw")
        if power is not None and power not in names:
            names.append(power)
        samples = self.read(names)
        self.journal.record(
            "read_back", self.name, at_s=self.clock.now_s(),
            values={n: s.value for n, s in samples.items()},
            words={n: list(s.words) for n, s in samples.items()},
            safe={n: self.safe_state[n] for n in names if n in self.safe_state},
        )  # fmt: skip
        return samples

    # -- writing -------------------------------------------------------------------------------

    def write(self, point: str, value: Value, at_twin: float | None = None) -> Written:
        """Write a point, in its own unit; what orders power is kept within the envelope.

        Parameters
        ----------
        at_twin : for the journal: the same order at the twin's size

        Raises
        ------
        Forbidden : nothing was sent
        LineDown, NoAnswer, Garbage : a refusal is no error but an outcome
        """
        more = {} if at_twin is None else {"at_twin": at_twin}
        return self._write([(self.map.point(point), value)], False, more)[0]

    def command(self, setpoint: str, value: float, at_twin: float | None = None) -> list[Written]:
        """Order a set-point of the twin, in its unit at the bench's size: every register it takes.

        Registers side by side go with one request, so that the device sees all of them or none;
        what comes first must be accepted before what comes later is sent.

        Parameters
        ----------
        at_twin : for the journal: the same order at the twin's size

        Raises KeyError where the map has none for the set-point, and as `write` does.
        """
        more: dict[str, object] = {"setpoint": setpoint, "ordered": value}
        if at_twin is not None:
            more["at_twin"] = at_twin
        rated_kw = self.meanings.rated_kw
        if setpoint == "release" and value < 0.5:
            return []  # it asks for nothing, as at our head-end
        if setpoint not in self.meanings.commands and setpoint == "release":
            switches = {n: float(c[0].off) for n, c in self.meanings.enables.items()}
            if not switches:
                raise KeyError(setpoint)
            return self._in_turn([[(self.map.point(n), v)] for n, v in switches.items()], more)
        command = self.meanings.commands[setpoint]
        steps: list[list[tuple[WirePoint, Value]]] = []
        for name, other in command.also.items():
            steps.append([(self.map.point(name), other)])
        main = self.map.point(command.value)
        if command.low is None:
            steps.append([(main, from_twin(main, value, rated_kw))])
        else:
            # A window that is one point wide: neither more nor less.
            low = self.map.point(command.low)
            pair = sorted([main, low], key=lambda p: p.address)
            values: list[tuple[WirePoint, Value]] = [
                (p, from_twin(p, value, rated_kw)) for p in pair
            ]
            side_by_side = pair[0].address + pair[0].width == pair[1].address
            steps += [values] if side_by_side else [[one] for one in values]
        if command.enable is not None:
            steps.append([(self.map.point(command.enable), float(command.on))])
        return self._in_turn(steps, more)

    def drive(self, setpoint: str, value: float, period_s: float, within_s: float) -> list[Written]:
        """Order a set-point again and again, until it is no longer cut by the ramp.

        Returns the last order. The device's clock runs meanwhile; it ends at the latest after
        `within_s`. Raises as `command` does.
        """
        end_s = self.clock.now_s() + within_s
        while True:
            written = self.command(setpoint, value)
            ramped = any(w.cut == "ramp" and w.accepted for w in written)
            if not ramped or self.clock.now_s() + period_s > end_s:
                return written
            self.clock.sleep(period_s)

    def to_safe_state(self, reason: str) -> list[Written]:
        """Tell the device its safe state, at once and whatever the ramp.

        A refusal is an outcome, and what comes after it is told all the same; so is what comes
        after a request without an answer, which is raised in the end.
        """
        self.journal.record(
            "safe_state", self.name, reason=reason, values=self.safe_state,
            at_s=self.clock.now_s(),
        )  # fmt: skip
        found: list[Written] = []
        first: LineError | None = None
        for name, value in self.safe_state.items():
            try:
                found += self._write([(self.map.point(name), value)], True, {})
            except LineDown:
                raise
            except LineError as error:
                first = error if first is None else first
        if first is not None:
            raise first
        return found

    def _in_turn(
        self,
        steps: Sequence[Sequence[tuple[WirePoint, Value]]],
        more: Mapping[str, object] | None = None,
    ) -> list[Written]:
        """Write one step after the other; the first refusal ends it."""
        found: list[Written] = []
        for step in steps:
            found += self._write(step, False, more or {})
            if not found[-1].accepted:
                break
        return found

    def _write(
        self, step: Sequence[tuple[WirePoint, Value]], safe: bool, more: Mapping[str, object]
    ) -> list[Written]:
        """Write points that lie side by side with one request."""
        parts = [self._part(point, value, safe) for point, value in step]
        words = [word for _, own, _ in parts for word in own]
        entry = {
            "point": [p.name for p, _ in step] if len(step) > 1 else step[0][0].name,
            "wanted": [v for _, v in step] if len(step) > 1 else step[0][1],
            "value": [s for s, _, _ in parts] if len(step) > 1 else parts[0][0],
            "unit": step[0][0].unit,
            **more,
        }
        first = step[0][0]
        begun_s = time.perf_counter()
        code = 0
        try:
            self.line.send(first.table, first.address, words, entry, safe)
        except Refused as refused:
            code = refused.code
        took_s, at_s = time.perf_counter() - begun_s, self.clock.now_s()
        return [
            Written(point.name, wanted, sent, tuple(own), code == 0, code, cut, at_s, took_s)
            for (point, wanted), (sent, own, cut) in zip(step, parts, strict=True)
        ]

    def _part(
        self, point: WirePoint, value: Value, safe: bool
    ) -> tuple[Value | None, list[int], str]:
        """Return the value that goes out, its words, and the limit that cut it."""
        if isinstance(value, str) or self.meanings.sign(point.name) == 0.0:
            words = encode(point, self.map.order, value)
            sent = decode(point, self.map.order, words)
            return sent, words, "" if _same(point, value, sent) else "register"
        allowed, cut = self.line.cut(point.name, value) if not safe else (value, None)
        words = self._inside(point, allowed, cut)
        sent = decode(point, self.map.order, words)
        if cut is None or cut.rule == "":
            return sent, words, ""
        self.journal.record(
            "limit_cut", self.name, point=point.name, wanted=value, value=sent, rule=cut.rule,
            power_kw=cut.power_kw, at_s=self.clock.now_s(),
        )  # fmt: skip
        return sent, words, cut.rule

    def _inside(self, point: WirePoint, value: float, cut: Cut | None) -> list[int]:
        """Return words that stand for a value, rounded towards what is allowed."""
        words = encode(point, self.map.order, value)
        low, high = self.envelope.power_low_kw, self.envelope.power_high_kw
        if cut is not None:
            low, high = cut.low_kw, cut.high_kw
        for _ in range(NUDGES):
            sent = decode(point, self.map.order, words)
            if not isinstance(sent, float) or point.type == "f32":
                break
            power_kw = self.meanings.power_kw(point.name, sent)
            if low <= power_kw <= high or math.isnan(power_kw):
                break
            end = self.meanings.value_of(point.name, low if power_kw < low else high)
            words = encode(point, self.map.order, sent + math.copysign(point.scale, end - sent))
        return words


def _same(point: WirePoint, value: Value, sent: Value | None) -> bool:
    """Return whether words stand for a value, but for the register's resolution."""
    if isinstance(value, str) or isinstance(sent, str) or sent is None:
        return value == sent
    return math.isclose(value, sent, rel_tol=1e-6, abs_tol=0.501 * point.scale)
