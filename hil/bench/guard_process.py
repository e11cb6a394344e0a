"""The guard's own process: ``python -m hil.bench.guard_process SOCKET``, its plan on stdin.

It lives in a session of its own, so that neither Ctrl-C at the terminal nor the end of the
runner's group reaches it; Ctrl-C and hang-up it ignores, and a termination is one more reason to
act. It ends when every device is proven safe and the runner has ended or let go, or when its
bounds are passed. What it does itself it does whatever becomes of the journal: a disk that is
full must not keep a device from its safe state.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from hil.bench.clock import WallClock
from hil.bench.connecting import LineSpec
from hil.bench.drivers.opening import Means
from hil.bench.guard_arming import Readings, first_looks, own
from hil.bench.guard_hand import Hand
from hil.bench.guard_journal import GuardJournal
from hil.bench.guard_link import LinkEnded, Message, receive, send
from hil.bench.guard_place import HeldPlace
from hil.bench.guard_plan import LOG, GuardPlan
from hil.bench.guard_watch import Watch
from hil.bench.line import Line
from hil.bench.proof import Proof
from twin.errors import InputProblems

__all__ = ["GuardProcess", "main"]

TURN_S = 1.0  # the longest wait for an event
ENDED = "the runner ended without a word"


@dataclass(frozen=True, slots=True)
class _Proven:
    """A device's safe state was told and read back, or given up."""

    proof: Proof


@dataclass(frozen=True, slots=True)
class _Trip:
    """Something that trips the guard."""

    why: str


@dataclass(frozen=True, slots=True)
class _Lost:
    """A device shows nothing, and the others go on."""

    device: str
    why: str


@dataclass(frozen=True, slots=True)
class _Gone:
    """The runner's side of the link is closed."""


class GuardProcess:
    """The guard.

    Parameters
    ----------
    link : its end of the pair
    plan : what it is armed with
    """

    def __init__(self, link: socket.socket, plan: GuardPlan) -> None:
        self.link, self.plan, self.times = link, plan, plan.times
        self.journal = GuardJournal(plan.journal)
        self.events: queue.SimpleQueue[Message | _Proven | _Trip | _Lost | _Gone] = (
            queue.SimpleQueue()
        )
        self.reason: str | None = None  # why it acts
        self.finishing = False  # the runner is ending in order
        self.gone = self.yielded = False
        self.beat_s = self.acted_s = self.proven_s = time.monotonic()
        self.proofs: dict[str, Proof] = {}
        self.owned = ExitStack()
        self.places: dict[str, HeldPlace] = {}
        self.hands: dict[str, Hand] = {}
        for device in plan.devices:
            at = device.line.place
            if at not in self.places:
                self.places[at] = HeldPlace(device.line, self._tripped)
            self.hands[device.name] = Hand(
                device, [c for c in plan.conditions if c.of == device.name], self.places[at],
                self.journal, self.times, self._tripped,
            )  # fmt: skip
        self.written = {n: h for n, h in self.hands.items() if h.plan.written}
        self.watch = Watch(
            plan, self.hands, Means(WallClock(), line=self._line), self.trip_soon,
            lambda device, why: self.events.put(_Lost(device, why)),
        )  # fmt: skip

    def _tripped(self) -> bool:
        return self.reason is not None

    def _line(self, spec: LineSpec) -> Line:
        """Return an instrument's line, which may be one that the guard holds."""
        place = self.places.get(spec.place)
        return Line(spec) if place is None else place.line(spec.unit)

    # -- the whole life ------------------------------------------------------------------------

    def run(self) -> None:
        """Arm, guard, act, prove, end; the devices are its own until the process ends."""
        if not self._arm():
            return
        threading.Thread(target=self._listen, name="link", daemon=True).start()
        self.beat_s = time.monotonic()
        while not self._done():
            self._turn()
        self._end()

    def _done(self) -> bool:
        """Whether all is proven or given up and the runner writes no more."""
        if len(self.proofs) < len(self.written) or not (self.finishing or self.reason):
            return False
        if self.gone or self.yielded:
            return True
        now_s = time.monotonic()
        if now_s - self.acted_s > self.times.retry_s:
            self.journal.record("note", "", text="the runner neither ends nor lets go")
            return True
        if now_s - self.proven_s >= self.times.watch_s:
            self._secure(self.reason or ENDED, told=True)
        return False

    def _arm(self) -> bool:
        """Own and reach everything once; tell the runner."""
        found = own(self.plan, self.owned)
        readings: Readings = {}
        if not found:
            readings, found = first_looks(self.hands, self.watch)
        if found:
            self._tell(kind="refused", found=found)
            return False
        self.journal.record(
            "note", "", text="guard armed", devices=list(self.written), readings=readings,
            heartbeat_s=self.times.heartbeat_s,
        )  # fmt: skip
        try:
            send(self.link, kind="armed")
        except LinkEnded:
            return False  # before the first write
        return True

    def _turn(self) -> None:
        """Wait for the next event, or for the next thing that is due, and deal with it."""
        guarding = self.reason is None and not self.finishing
        wait_s = TURN_S
        if guarding:
            due_s = min(self.beat_s + self.times.heartbeat_s, self.watch.due_s)
            wait_s = min(max(due_s - time.monotonic(), 0.0), TURN_S)
        try:
            event = self.events.get(timeout=wait_s)
        except queue.Empty:
            event = None
        if event is not None:
            self._take(event)
        now_s = time.monotonic()
        if self.reason is None and not self.finishing:
            silent_s = now_s - self.beat_s
            if silent_s >= self.times.heartbeat_s and self.events.empty():
                self.trip(f"no heartbeat of the runner for {silent_s:.1f} s")
            elif now_s >= self.watch.due_s:
                self.watch.look()

    # -- what happens --------------------------------------------------------------------------

    def _listen(self) -> None:
        """Hand on what the runner says; a thread of its own, so that nothing is waited for."""
        try:
            while True:
                message = receive(self.link, TURN_S)
                if message is not None:
                    if message["kind"] == "beat":
                        self.beat_s = time.monotonic()
                    self.events.put(message)
        except LinkEnded:
            self.events.put(_Gone())

    def _take(self, event: Message | _Proven | _Trip | _Lost | _Gone) -> None:
        if isinstance(event, _Gone):
            self._let_go()
            self.gone = True
            if not self.finishing:
                self.trip(ENDED)
        elif isinstance(event, _Trip):
            self.trip(event.why)
        elif isinstance(event, _Lost):
            self._leave(self.hands[event.device], event.why)
        elif isinstance(event, _Proven):
            self._proven(event.proof)
        elif event["kind"] == "beat":
            self._tell(kind="alive", number=event["number"])
        elif event["kind"] == "call":
            place = self.places[event["place"]]
            place.thread.submit(self._answer, place, event)
        elif event["kind"] == "finish":
            self._finish(event["why"], event["told"])
        elif event["kind"] == "yielded":
            self._let_go()
            self.yielded = True
        elif event["kind"] == "abort":
            self.trip(event["why"])

    def _proven(self, proof: Proof) -> None:
        hand = self.hands[proof.device]
        hand.securing = False
        again, hand.again = hand.again, False
        if again and proof.safe:  # what was given up has had its time
            self._secure_one(hand, self.reason or ENDED, told=True)
            return
        self.proofs[proof.device] = proof
        self.proven_s = time.monotonic()
        self._tell(kind="proof", **_row(proof))

    def _let_go(self) -> None:
        """Prove everything once more after the runner's last word.

        What it had under way when the guard acted may have come to a device after that.
        """
        if self.reason is not None and not (self.gone or self.yielded):
            self._secure(self.reason, told=True)

    def trip(self, why: str) -> None:
        """Bring every device to its safe state; the first reason counts."""
        if self.reason is not None:
            return
        self.reason, self.acted_s = why, time.monotonic()
        if not self.finishing:
            # Devices first: the journal may be slow, and each of them writes its own entry.
            self._secure(why, told=False)
        self._tell(kind="tripped", why=why)
        self.journal.record("note", "", text="guard tripped", why=why)

    def trip_soon(self, why: str) -> None:
        """Trip from any thread or signal handler."""
        self.events.put(_Trip(why))

    def _finish(self, why: str, told: Collection[str]) -> None:
        """Check by reading back what the runner has told already, and tell the rest."""
        if self.reason is None and not self.finishing:
            self.finishing, self.acted_s = True, time.monotonic()
            self.proofs.clear()
            for name, hand in self.written.items():
                self._secure_one(hand, why, name in told)

    def _leave(self, hand: Hand, why: str) -> None:
        """Take a device that is lost out of the runner's hands, and make it safe by itself."""
        if self.reason is None and not self.finishing and not hand.left:
            hand.left = True
            self.places[hand.plan.line.place].left.add(hand.plan.line.unit)
            self._tell(kind="left", device=hand.plan.name, why=why)
            self.journal.record("note", hand.plan.name, text="contact lost", why=why)
            self._secure_one(hand, why, told=False)

    def _secure(self, why: str, told: bool) -> None:
        self.proofs.clear()
        for hand in self.written.values():
            self._secure_one(hand, why, told)

    def _secure_one(self, hand: Hand, why: str, told: bool) -> None:
        if hand.securing:
            hand.again = True
            return
        hand.securing = True
        future = hand.thread.submit(hand.secure, why, told)
        future.add_done_callback(self._secured(hand))

    def _secured(self, hand: Hand) -> Callable[[Future[Proof]], None]:
        def done(future: Future[Proof]) -> None:
            error = future.exception()
            if error is None:
                self.events.put(_Proven(future.result()))
            else:
                sys.stderr.write(f"{hand.plan.name}: {error!r}\n")
                self.events.put(_Proven(Proof(hand.plan.name, False, {}, repr(error))))

        return done

    def _answer(self, place: HeldPlace, message: Message) -> None:
        """Do what the runner asked at a held line and answer it, in the line's thread."""
        self._tell(kind="result", **place.answer(message))

    def _tell(self, **message: Any) -> None:
        with suppress(LinkEnded):  # which the listener hears as well
            send(self.link, **message)

    def _end(self) -> None:
        unproven = [p.device for p in self.proofs.values() if not p.safe]
        why = self.reason or "the runner ended in order"
        self.journal.record(
            "note", "", text="guard ends", why=why, proven=not unproven, unproven=unproven
        )
        self._tell(kind="ended")
        self.watch.close()
        for place in self.places.values():
            place.wire.close()
            place.thread.shutdown(wait=False)
        self.journal.close()


def _row(proof: Proof) -> dict[str, Any]:
    return {
        "device": proof.device, "safe": proof.safe, "values": dict(proof.values), "why": proof.why,
    }  # fmt: skip


def main() -> None:
    """Guard what the plan on stdin says, for the runner at the other end of a socket."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    link = socket.socket(fileno=int(sys.argv[1]))
    plan = pickle.load(sys.stdin.buffer)
    try:
        guard = GuardProcess(link, plan)
    except InputProblems as error:
        send(link, kind="refused", found=[[p.place, str(p)] for p in error.problems])
        return
    signal.signal(
        signal.SIGTERM, lambda number, frame: guard.trip_soon("the guard was told to end")
    )
    guard.run()
    sys.stderr.flush()
    log = plan.journal.with_suffix(LOG)
    if log.is_file() and log.stat().st_size == 0:
        log.unlink()
    os._exit(0)  # whatever a hanging disk or line still holds


if __name__ == "__main__":
    main()
