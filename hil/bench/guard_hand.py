"""What the guard does with one device: watches it, makes it safe, proves it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from hil.bench.clock import WallClock
from hil.bench.device import BenchDevice, Value, Written
from hil.bench.errors import BenchError, LineError
from hil.bench.guard_place import HeldPlace
from hil.bench.guard_plan import Condition, GuardedDevice, Times
from hil.bench.journal import Journal
from hil.bench.lease import KeepingClock
from hil.bench.proof import Proof, prove, proving, read_once

__all__ = ["Hand"]


class Hand:
    """A device in the guard's hand.

    Parameters
    ----------
    plan : the device
    conditions : that it must fulfil
    place : its line in the guard's hand
    journal : the guard's
    tripped : whether the guard is

    Attributes
    ----------
    left : contact was lost and it is no more in the runner's hands
    securing, again : it is being made safe; and must be proven once more after that
    seen_s : monotonic time at which it last showed anything
    """

    def __init__(
        self,
        plan: GuardedDevice,
        conditions: Sequence[Condition],
        place: HeldPlace,
        journal: Journal,
        times: Times,
        tripped: Callable[[], bool],
    ) -> None:
        self.plan, self.times, self.thread = plan, times, place.thread
        self.conditions = tuple(conditions)
        self.line = place.line(plan.line.unit)
        self.journal, self._tripped = journal, tripped
        self.clock = WallClock()
        self.device = BenchDevice(
            plan.name, plan.kind, plan.map, self.line, plan.envelope, journal, self.clock,
            rated_kw=plan.rated_kw, safe_state=plan.safe_state,
        )  # fmt: skip
        self.seen_s = time.monotonic()
        self.left = self.securing = self.again = False

    def look(self) -> list[str]:
        """Return by which conditions the bench must be stopped; raises LineError."""
        if self._tripped() or self.securing:
            return []
        if self.plan.written:
            samples = self.device.read(proving(self.device))
            if all(s.value is None for s in samples.values()):
                return []  # it answers and shows nothing; how long is the watch's business
        found = [c.broken_by(self._shown(c.shows)) for c in self.conditions]
        self.seen_s = time.monotonic()
        return [why for why in found if why != ""]

    def first_look(self) -> tuple[dict[str, Value | None], str]:
        """Return what is shown before the first write, and why that does not do, if so."""
        values: dict[str, Value | None] = {}
        if self.plan.written:
            proof = read_once(self.device, self.plan.tolerance_kw)
            values |= proof.values
            if all(value is None for value in values.values()):
                return values, proof.why
        try:
            stranger = self._stranger()
            if stranger != "":
                return values, stranger
            for condition in self.conditions:
                shown = values[condition.shows] = self._shown(condition.shows)
                broken = condition.broken_by(shown)
                if broken != "":
                    return values, f"interlock: {broken}"
        except LineError as error:
            return values, str(error)
        return values, ""

    def _stranger(self) -> str:
        """Return in what it is another device than the bench file means, empty where it is not."""
        if not self.plan.identity:
            return ""
        told = self.device.identity()
        return "; ".join(
            f"its {key} is {told.get(key)!r}, the bench file means {wanted!r}"
            for key, wanted in self.plan.identity.items()
            if told.get(key) != wanted
        )

    def _shown(self, name: str) -> float | None:
        own = any(p.name == name for p in self.plan.map.points)
        read = self.device.read if own else self.device.read_twin
        sample = read([name]).get(name)
        value = None if sample is None else sample.value
        return value if isinstance(value, float) else None

    def secure(self, reason: str, told: bool) -> Proof:
        """Bring the device to its safe state and prove it, within `retry_s`.

        Parameters
        ----------
        told : the runner has told it already: it is read back first
        """
        limit_s = time.monotonic() + self.times.retry_s
        pause_s = self.times.pause_s
        clock = KeepingClock(self.clock, self.device, self.plan.heartbeat)
        while True:
            refused = "" if told else self._tell(reason)
            proof = prove(
                self.device, clock, self.plan.tolerance_kw,
                self.times.settle_s if refused == "" else 0.0, self.times.confirm_s,
            )  # fmt: skip
            if proof.safe:
                return proof
            if time.monotonic() + pause_s > limit_s:
                self.journal.record(
                    "note", self.plan.name, text="given up: not proven safe", why=proof.why,
                    refused=refused,
                )  # fmt: skip
                return proof
            self.line.close()  # whatever was wrong with the connection
            time.sleep(pause_s)
            pause_s, told = min(2.0 * pause_s, self.times.longest_pause_s), False

    def _tell(self, reason: str) -> str:
        """Tell the safe state; return why that did not work, empty where it did."""
        try:
            return _refusal(self.device.to_safe_state(reason))
        except BenchError as error:
            return str(error)


def _refusal(written: Iterable[Written]) -> str:
    return "; ".join(
        f"{w.point} was refused with exception {w.code}" for w in written if not w.accepted
    )
