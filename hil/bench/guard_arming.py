"""What a guard makes sure of before the first write."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TypeAlias

from hil.bench.device import Value
from hil.bench.guard_hand import Hand
from hil.bench.guard_plan import GuardPlan
from hil.bench.guard_watch import Watch
from hil.bench.locks import Busy, only_user
from hil.bench.provable import unprovable

__all__ = ["Found", "Readings", "first_looks", "own"]

Found: TypeAlias = list[list[str]]  # (what, why it does not do)
Readings: TypeAlias = dict[str, dict[str, Value | None]]
TAKEN = "another run, or the guard that it has left behind, has this device"


def own(plan: GuardPlan, stack: ExitStack) -> Found:
    """Keep every other guard, of whichever run, away from the devices; return whose it cannot."""
    lines = [(d, d.line) for d in plan.devices if d.written or d.held]
    keys = {line.place if d.held else f"{line.place} unit {line.unit}" for d, line in lines}
    for key in sorted(keys):  # in one order, so that two do not wait for each other
        try:
            stack.enter_context(only_user([f"guard of {key}"], plan.times.own_s))
        except Busy:
            return [[key, TAKEN]]
    return []


def first_looks(hands: Mapping[str, Hand], watch: Watch) -> tuple[Readings, Found]:
    """Reach every device and instrument once; return what devices show, and what does not do."""
    found = [
        [name, f"nothing in map {hand.plan.map.name} shows whether {point} was taken"]
        for name, hand in hands.items()
        if hand.plan.written
        for point in unprovable(hand.device.meanings, hand.device.safe_state)
    ]
    readings: Readings = {}
    asked = {name: hand.thread.submit(hand.first_look) for name, hand in hands.items()}
    for name, future in asked.items():
        readings[name], why = future.result()
        if why != "":
            found.append([name, why])
    return readings, found + watch.open()
