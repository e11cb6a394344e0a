"""What the runner says to its guard, and what it hears; for any thread of the runner."""

from __future__ import annotations

import math
import queue
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from hil.bench.guard_errors import GuardLost, GuardTripped
from hil.bench.guard_link import LinkEnded, Message, receive, send
from hil.bench.guard_plan import Times
from hil.bench.proof import Proof

__all__ = ["Talk"]

TURN_S = 1.0
JOIN_S = 5.0
ENDED: Message = {"kind": "ended"}


class Talk:
    """The runner's end of the link.

    Parameters
    ----------
    link : the socket; closed by `close`
    times : of the plan
    lost : called once with the reason when there is no guard any more

    Attributes
    ----------
    reason : why the guard has acted, None where it has not
    left : by device why the guard has taken it out of the runner's hands
    """

    def __init__(self, link: socket.socket, times: Times, lost: Callable[[str], None]) -> None:
        self._link, self._times, self._on_lost = link, times, lost
        self.reason: str | None = None
        self.left: dict[str, str] = {}
        self._lost: str | None = None
        self._aborted = False
        self._lock = threading.Lock()
        self._number = 0
        self._beat_s = -math.inf
        self._open: dict[int, float] = {}  # beats that are not answered, and when they were sent
        self._calls: dict[int, queue.SimpleQueue[Message]] = {}
        self._first: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._proofs: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._listen, name="guard link", daemon=True)
        self._thread.start()

    # -- the listener's thread -----------------------------------------------------------------

    def _listen(self) -> None:
        try:
            while True:
                message = receive(self._link, TURN_S)
                if message is not None:
                    self._take(message)
        except (LinkEnded, OSError):
            self._lost = self._lost or "the guard has ended"
            for waiting in (self._first, self._proofs, *list(self._calls.values())):
                waiting.put(ENDED)

    def _take(self, message: Message) -> None:
        kind = message["kind"]
        if kind == "alive":
            with self._lock:
                for number in [n for n in self._open if n <= message["number"]]:
                    del self._open[number]
        elif kind == "result":
            waiting = self._calls.get(message["number"])
            if waiting is not None:
                waiting.put(message)
        elif kind == "left":
            self.left[message["device"]] = message["why"]
        elif kind == "tripped":
            self.reason = message["why"]
        elif kind == "proof":
            self._proofs.put(message)
        elif kind in ("armed", "refused"):
            self._first.put(message)

    # -- the runner's threads ------------------------------------------------------------------

    def first(self, within_s: float) -> Message | None:
        """Return ``armed`` or ``refused``, None where neither comes; raises GuardLost."""
        try:
            message = self._first.get(timeout=within_s)
        except queue.Empty:
            return None
        if message is ENDED:
            raise GuardLost("the guard has ended")
        return message

    def check(self) -> None:
        """Raise GuardTripped or GuardLost where the run must end."""
        if self.reason is not None:
            raise GuardTripped(self.reason)
        if self._aborted:
            raise GuardTripped("told to by a second signal")
        if self._lost is not None:
            self._lose(self._lost)
        with self._lock:
            oldest_s = min(self._open.values(), default=math.inf)
        silent_s = time.monotonic() - oldest_s
        if silent_s > self._times.heartbeat_s:
            self._lose(f"the guard has not answered for {silent_s:.1f} s")

    def beat(self) -> None:
        """Beat where it is time to; raises as `check` does."""
        self.check()
        if time.monotonic() - self._beat_s >= self._times.beat_s:
            self.nudge()

    def nudge(self) -> None:
        """Beat now, whatever the guard has said; raises nothing."""
        if self._lost is not None:
            return
        with self._lock:
            self._number += 1
            self._beat_s = self._open[self._number] = time.monotonic()
            try:
                send(self._link, kind="beat", number=self._number)
            except LinkEnded:
                self._lost = "the guard has ended"

    def ask(self, place: str, unit: int, timeout_s: float, **what: Any) -> Message:
        """Have the guard do one request at a line that it holds; return the result.

        Raises GuardTripped and GuardLost.
        """
        if self.reason is not None:
            raise GuardTripped(self.reason)
        answer: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            self._number += 1
            number = self._number
            self._calls[number] = answer
        try:
            self._say(kind="call", number=number, place=place, unit=unit, **what)
            # What waits at the line already may take its whole time too.
            message = answer.get(timeout=timeout_s + self._times.heartbeat_s)
        except queue.Empty:
            self._lose(f"the guard does not answer for {place} unit {unit}")
        else:
            if message is ENDED:
                self._lose("the guard has ended")
            return message
        finally:
            self._calls.pop(number, None)
        raise AssertionError("unreachable")

    def finish(self, why: str, told: Collection[str]) -> None:
        """Say which devices took their safe state, to be proven; raises GuardLost."""
        with suppress(queue.Empty):
            while self._proofs.get_nowait() is not ENDED:  # of devices that were lost long ago
                pass
        self._say(kind="finish", why=why, told=list(told))

    def yielded(self) -> None:
        """Say that the runner writes no more; raises GuardLost."""
        self._say(kind="yielded")

    def abort(self, why: str) -> None:
        """Leave everything to the guard; safe in a signal handler."""
        self._aborted = True
        try:
            send(self._link, kind="abort", why=why)
        except LinkEnded:
            self._lost = "the guard has ended"

    def proven(self, names: Collection[str], within_s: float) -> Mapping[str, Proof]:
        """Return the guard's last proof of each device, those that come in time.

        Raises GuardLost where it ends before all are there.
        """
        found: dict[str, Proof] = {}
        end_s = time.monotonic() + within_s
        while not set(names) <= set(found):
            try:
                message = self._proofs.get(timeout=max(end_s - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if message is ENDED:
                self._lose("the guard has ended")
            device = message["device"]
            found[device] = Proof(device, message["safe"], message["values"], message["why"])
        return found

    def close(self) -> None:
        """End the link."""
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._thread.join(JOIN_S)
        self._link.close()

    def _say(self, **message: Any) -> None:
        if self._lost is not None:
            self._lose(self._lost)
        try:
            send(self._link, **message)
        except LinkEnded:
            self._lose("the guard has ended")

    def _lose(self, why: str) -> None:
        on_lost, self._on_lost = self._on_lost, _nothing
        self._lost = why
        on_lost(why)
        raise GuardLost(why)


def _nothing(why: str) -> None:
    """Say nothing for the second time."""
