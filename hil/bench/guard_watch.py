"""The guard's eyes: every device and every condition of the interlock, looked at in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from hil.bench.drivers.opening import Means, Opened, open_instrument
from hil.bench.errors import BenchError
from hil.bench.guard_hand import Hand
from hil.bench.guard_plan import Condition, GuardPlan
from hil.bench.look import BY_HAND
from hil.bench.roles import GridSource, InstrumentError, Meter, Relay
from twin.errors import InputProblems

__all__ = ["Watch"]


class Watch:
    """Looks at devices and instruments every `watch_s`, each in a thread of its own line.

    A condition that does not hold trips; so does a device or an instrument that shows nothing
    for `blind_s`: what cannot be seen cannot be guarded. Where the plan says `lost_alone`, such a
    device is given to `lost` instead, unless a condition needs it.

    Parameters
    ----------
    plan : devices, instruments and conditions
    hands : by device
    means : for instruments
    trip : called with the reason, from any thread
    lost : called with a device and the reason

    Attributes
    ----------
    due_s : monotonic time of the next look
    """

    def __init__(
        self,
        plan: GuardPlan,
        hands: Mapping[str, Hand],
        means: Means,
        trip: Callable[[str], None],
        lost: Callable[[str, str], None],
    ) -> None:
        self.plan, self.hands, self.trip, self.lost = plan, hands, trip, lost
        self.due_s = time.monotonic() + plan.times.watch_s
        self._means = means
        self._busy: set[str] = set()
        self._eyes: dict[str, Opened] = {}
        self._seen_s: dict[str, float] = {}
        self._threads: dict[str, ThreadPoolExecutor] = {}

    def open(self) -> list[list[str]]:
        """Make the instruments that conditions need and ask each once.

        Returns (name, reason) of those that do not answer, or break a condition already.
        """
        found: list[list[str]] = []
        for entry in self.plan.instruments:
            mine = [c for c in self.plan.conditions if c.of == entry.name]
            if not mine:
                continue
            if entry.driver in BY_HAND:
                found.append([entry.name, "a person reads it: it cannot be watched"])
                continue
            try:
                eye = open_instrument(entry, self._means)
                self._eyes[entry.name] = eye
                self._threads[entry.name] = ThreadPoolExecutor(1, entry.name)
                self._seen_s[entry.name] = time.monotonic()
                broken = [c.broken_by(shown(eye, c.shows)) for c in mine]
                found += [[entry.name, f"interlock: {why}"] for why in broken if why != ""]
            except (InstrumentError, BenchError, InputProblems, ValueError) as error:
                found.append([entry.name, str(error)])
        known = {*self.hands, *(e.name for e in self.plan.instruments)}
        found += [[c.of, "nothing on the bench"] for c in self.plan.conditions if c.of not in known]
        return found

    def look(self) -> None:
        """Begin one look at everything; what is still being looked at is left alone."""
        now_s = time.monotonic()
        self.due_s = now_s + self.plan.times.watch_s
        blind_s = self.plan.times.blind_s
        for name, hand in self.hands.items():
            silent_s = now_s - hand.seen_s
            if hand.left or not (hand.plan.written or hand.conditions):
                continue
            if silent_s > blind_s:
                why = f"{name} shows nothing for {silent_s:.1f} s"
                if self.plan.lost_alone and not hand.conditions:
                    self.lost(name, why)
                else:
                    self.trip(why)
            elif name not in self._busy:
                self._busy.add(name)
                hand.thread.submit(self._device, name, hand)
        for name, eye in self._eyes.items():
            silent_s = now_s - self._seen_s[name]
            if silent_s > blind_s:
                self.trip(f"{name} shows nothing for {silent_s:.1f} s")
            elif name not in self._busy:
                self._busy.add(name)
                self._threads[name].submit(self._instrument, name, eye)

    def close(self) -> None:
        """Let the instruments go."""
        for eye in self._eyes.values():
            eye.release()
        for thread in self._threads.values():
            thread.shutdown(wait=False)

    def _of(self, name: str) -> list[Condition]:
        return [c for c in self.plan.conditions if c.of == name]

    def _device(self, name: str, hand: Hand) -> None:
        try:
            for why in hand.look():
                self.trip(f"interlock: {why}")
        except BenchError:
            pass  # not seen; `look` counts for how long
        finally:
            self._busy.discard(name)

    def _instrument(self, name: str, eye: Opened) -> None:
        try:
            for condition in self._of(name):
                why = condition.broken_by(shown(eye, condition.shows))
                if why != "":
                    self.trip(f"interlock: {why}")
            self._seen_s[name] = time.monotonic()
        except InstrumentError:
            pass
        finally:
            self._busy.discard(name)


def shown(eye: Opened, what: str) -> float:
    """Return what an instrument shows; ValueError where its role shows no such thing."""
    if isinstance(eye, Meter) and what == "power_kw":
        return eye.power_kw().value
    if isinstance(eye, GridSource) and what == "voltage_pu":
        return eye.voltage_pu().value
    if isinstance(eye, GridSource) and what == "frequency_hz":
        return eye.frequency_hz().value
    if isinstance(eye, Relay) and what == "on":
        return float(eye.is_on())
    raise ValueError(f"it shows no {what}")
