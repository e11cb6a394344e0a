"""What stands between a device and its line, so that nothing goes round the bench's limits.

Every write passes here, in words, whoever asks for it and by which function: it needs the
bench's permission, is held against the device's `Envelope`, and is in the journal before it is
sent. What is not certain to be inside is not sent. Which registers order power is what the
register map says; on a real bench what the map does not know is not written at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hil.bench.clock import Clock
from hil.bench.envelope import STRIDE_S, Cut, Envelope
from hil.bench.errors import Forbidden, LineError, Refused
from hil.bench.journal import Journal
from hil.bench.line import Speaking
from hil.bench.meanings import Meanings, to_twin
from hil.bench.requested import only_reads, reach_of, target_of, writes
from hil.registers.codec import decode
from hil.registers.schema import Command, RegisterMap, TableName, WirePoint

__all__ = ["Gate", "Permit"]

# Raises Forbidden where nothing may be written now.
Permit = Callable[[], None]

# Of a kilowatt: what an f32 loses.
ROUNDING = 1e-6
# Measured power is good for a step of a ramp so long [s].
FRESH_S = 1.0
T = TypeVar("T")


@dataclass(slots=True)
class _Order:
    """What was ordered last by one set-point, and whether it is in force."""

    power_kw: float
    at_s: float
    in_force: bool


class Gate:
    """The guarded line of one device; offers what a `Line` offers.

    Parameters
    ----------
    device : name in the journal
    line : the way to it
    meanings : of its register map
    envelope, journal, clock : of the bench
    permit : asked before every write; raises Forbidden
    closed : nothing is written where the map has no point: nobody knows what it would do
    """

    def __init__(
        self,
        device: str,
        line: Speaking,
        meanings: Meanings,
        envelope: Envelope,
        journal: Journal,
        clock: Clock,
        permit: Permit,
        closed: bool = False,
    ) -> None:
        self.device, self.meanings, self.envelope = device, meanings, envelope
        self._known = {
            (p.table, a) for p in meanings.map.points for a in range(p.address, p.address + p.width)
        } if closed else None  # fmt: skip
        self.journal, self.clock = journal, clock
        self._line, self._permit = line, permit
        self._lock = threading.RLock()
        self._orders: dict[str, _Order] = {}
        self._measured: tuple[float, float] | None = None  # power [kW], when [s]

    @property
    def map(self) -> RegisterMap:
        """The device's register map."""
        return self.meanings.map

    @property
    def name(self) -> str:
        """Where the line leads."""
        return self._line.name

    def close(self) -> None:
        """End the connection."""
        self._line.close()

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        """Return registers or bits; raises as `Line.read` does."""
        return self._line.read(table, address, count)

    def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
        """Write registers or bits; raises Forbidden, and as `Line.write` does."""
        self.send(table, address, words)

    def raw(self, function: int, data: bytes) -> bytes:
        """Return what a function was answered with; what writes passes the limits as well.

        Raises Forbidden, and as `Line.raw` does.
        """
        if only_reads(function, data):
            return self._line.raw(function, data)
        with self._lock:
            return self._raw(function, data)

    def _raw(self, function: int, data: bytes) -> bytes:
        self._permit()
        place = target_of(function, data)
        if place is None and writes(function):
            self._check_broken(function, data)
        elif place is not None:
            self._check(*place, safe=False)
        number = self.journal.record(
            "write", self.device, function=function, data=data.hex(), at_s=self.clock.now_s()
        )
        answer: bytes = self._told(number, lambda: self._line.raw(function, data))
        if place is not None:
            self._note(*place)
        return answer

    def send(
        self,
        table: TableName,
        address: int,
        words: Sequence[int],
        more: Mapping[str, object] | None = None,
        safe: bool = False,
    ) -> None:
        """Write registers or bits.

        Parameters
        ----------
        more : for the journal
        safe : of a safe state, which no ramp holds back

        Raises
        ------
        Forbidden : nothing was sent
        LineError : as `Line.write` does
        """
        with self._lock:
            self._permit()
            self._check(table, address, list(words), safe)
            number = self.journal.record(
                "write", self.device, table=table, address=address, words=list(words),
                at_s=self.clock.now_s(), **(more or {}),
            )  # fmt: skip
            self._told(number, lambda: self._line.write(table, address, words))
            self._note(table, address, list(words))

    def cut(self, name: str, value: float) -> tuple[float, Cut | None]:
        """Return what may be written to a point instead of `value`, and how power was cut."""
        wanted_kw = self.meanings.power_kw(name, value)
        if self.meanings.sign(name) == 0.0:
            return value, None
        setpoint = self.meanings.setpoint[name]
        cut = self.envelope.cut(wanted_kw, *self._reference(setpoint))
        if cut.rule == "":
            return value, cut
        return self.meanings.value_of(name, cut.power_kw), cut

    # -- what is about to be sent --------------------------------------------------------------

    def _check(self, table: TableName, address: int, words: list[int], safe: bool) -> None:
        """Raise Forbidden where a write leaves the envelope, or may."""
        for place in range(address, address + len(words)):
            if self._known is not None and (table, place) not in self._known:
                raise Forbidden(
                    f"{self.device}: {table} {place} is not in map {self.map.name}: nobody knows "
                    "what a write would do"
                )
        if self.envelope.free:
            return
        for point in self._touched(table, address, len(words)):
            if self.meanings.sign(point.name) != 0.0:
                self._inside(point, self._becomes(point, table, address, words), safe)
            if safe:  # its values have been told already, and nothing may hold it back
                continue
            for command in self.meanings.enables.get(point.name, ()):
                value = decode(point, self.map.order, self._becomes(point, table, address, words))
                if value == float(command.on):
                    self._enabled(command, table, address, words)

    def _inside(self, point: WirePoint, words: Sequence[int], safe: bool) -> None:
        power_kw = self._power(point, words)
        low, high = self.envelope.power_low_kw, self.envelope.power_high_kw
        if not safe:
            last = self._reference(self.meanings.setpoint[point.name])
            low, high = self.envelope.reach(*last)
            step_kw = self.meanings.step_kw(point.name)
            if abs(power_kw - last[0]) <= step_kw / 2.0 and self.envelope.ramped:
                low, high = self.envelope.power_low_kw, self.envelope.power_high_kw
        slack = ROUNDING * max(abs(power_kw), 1.0)
        if not low - slack <= power_kw <= high + slack:
            raise Forbidden(
                f"{self.device}: {point.name} would order {power_kw:g} kW; the bench allows "
                f"{low:g} to {high:g} kW now"
            )

    def _enabled(self, command: Command, table: TableName, address: int, words: list[int]) -> None:
        """Hold what a switch would put in force against the envelope."""
        if self.meanings.sign(command.value) == 0.0:
            return
        for name in (command.value, command.low):
            if name is not None:
                point = self.map.point(name)
                self._inside(point, self._becomes(point, table, address, words), safe=False)

    def _check_broken(self, function: int, data: bytes) -> None:
        """Raise Forbidden where a malformed write might reach a point that orders power."""
        if self._known is not None:
            raise Forbidden(f"{self.device}: a malformed write by function {function}")
        if self.envelope.free:
            return
        ordering = {p.name for p in self._ordering()}
        for point in self._touched(*reach_of(function, data)):
            if point.name in ordering:
                raise Forbidden(
                    f"{self.device}: a malformed write by function {function} could reach "
                    f"{point.name}, which orders power"
                )

    def _ordering(self) -> tuple[WirePoint, ...]:
        return tuple(
            p for p in self.meanings.writable()
            if self.meanings.sign(p.name) != 0.0 or p.name in self.meanings.enables
        )  # fmt: skip

    def _touched(self, table: TableName, address: int, count: int) -> list[WirePoint]:
        return [
            p for p in self.meanings.writable()
            if p.table == table and p.address < address + count and address < p.address + p.width
        ]  # fmt: skip

    def _becomes(
        self, point: WirePoint, table: TableName, address: int, words: list[int]
    ) -> list[int]:
        """Return the words that a point holds after a write; what is not written is read."""
        given = {
            a - point.address: w
            for a, w in enumerate(words, address)
            if point.table == table and 0 <= a - point.address < point.width
        }
        if len(given) == point.width:
            return [given[i] for i in range(point.width)]
        return [given.get(i, word) for i, word in enumerate(self._held(point))]

    def _held(self, point: WirePoint) -> list[int]:
        """Return what a point holds; Forbidden where the device refuses to say."""
        try:
            return self._line.read(point.table, point.address, point.width)
        except Refused as refused:
            raise Forbidden(
                f"{self.device}: what {point.name} holds cannot be read, and power depends on it: "
                f"{refused}"
            ) from None

    def _power(self, point: WirePoint, words: Sequence[int]) -> float:
        value = decode(point, self.map.order, words)
        if not isinstance(value, float):
            raise Forbidden(f"{self.device}: {point.name} would order no number of kilowatts")
        return self.meanings.power_kw(point.name, value)

    def _reference(self, setpoint: str) -> tuple[float, float]:
        """Return the power that a set-point departs from, and how long ago it was ordered [s]."""
        if not self.envelope.ramped:
            return 0.0, 0.0
        order = self._orders.get(setpoint)
        if order is not None and order.in_force:
            return order.power_kw, self.clock.now_s() - order.at_s
        now_s = self.clock.now_s()
        if self._measured is None or now_s - self._measured[1] >= FRESH_S:
            self._measured = self.power_now_kw(), now_s
        return self._measured[0], STRIDE_S

    def power_now_kw(self) -> float:
        """Return what the device says it draws or feeds, into the grid; raises Forbidden."""
        name = self.meanings.readings.get("power_kw")
        if name is None:
            raise Forbidden(f"{self.device}: a ramp needs a power that can be read")
        point = self.map.point(name)
        value = decode(point, self.map.order, self._held(point))
        if not isinstance(value, float):
            raise Forbidden(f"{self.device}: {name} shows no power, which a ramp needs")
        return to_twin(point, value, self.meanings.rated_kw)

    # -- what was sent -------------------------------------------------------------------------

    def _told(self, number: int, send: Callable[[], T]) -> T:
        """Send, and put what became of it into the journal."""
        try:
            answer = send()
        except Refused as refused:
            self.journal.record(
                "answer", self.device, of=number, outcome="refused", code=refused.code
            )
            raise
        except LineError as error:
            kind = type(error).__name__
            self._orders.clear()  # nobody knows whether it is in force
            self.journal.record("answer", self.device, of=number, outcome=kind, error=str(error))
            raise
        self.journal.record("answer", self.device, of=number, outcome="accepted")
        return answer

    def _note(self, table: TableName, address: int, words: list[int]) -> None:
        """Remember what is in force now, as the next step of a ramp departs from it."""
        if not self.envelope.ramped:
            return
        for point in self._touched(table, address, len(words)):
            name = point.name
            setpoint = self.meanings.setpoint.get(name)
            if self.meanings.sign(name) != 0.0 and setpoint is not None:
                power_kw = self._power(point, self._becomes(point, table, address, words))
                before = self._orders.get(setpoint)
                switched = self.meanings.commands[setpoint].enable is None
                in_force = switched or (before is not None and before.in_force)
                # What does not move keeps its time, so that small steps add up.
                still = before is not None and before.in_force and before.power_kw == power_kw
                at_s = before.at_s if still and before is not None else self.clock.now_s()
                self._orders[setpoint] = _Order(power_kw, at_s, in_force)
            elif setpoint == "release":
                self._orders.clear()
            for command in self.meanings.enables.get(name, ()):
                value = decode(point, self.map.order, self._becomes(point, table, address, words))
                order = self._orders.get(command.setpoint)
                if order is not None:
                    order.in_force = value == float(command.on)
