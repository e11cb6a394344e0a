"""Registers that say in which state a device is, and registers that never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.bench.fit.candidates import BIT_TABLES, Candidate, candidates
from hil.bench.fit.quantities import Quantity
from hil.bench.recording import Block
from hil.registers.schema import Order

__all__ = ["Constant", "State", "constants_of", "flow_states", "states_of"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
MOST_CODES = 16
# Of the largest power: less is taken as standing by (assumed; auxiliaries of storage are 0.3 to
# 1.3 % of its rating).
STANDING = 0.02
LEAST_RAW = 10.0  # smaller numbers stand anywhere
BESIDE = 2  # registers between two numbers of the nameplate that stand beside each other
AGREES = 0.97  # of the moments at which a code was shown, the device was in the code's state
STANDBY, IN, OUT = 0, 1, 2  # of the twin's storage: standby, charging, discharging


@dataclass(frozen=True, slots=True)
class State:
    """A register or bit that follows the direction of power.

    Attributes
    ----------
    table, address : where
    codes : pairs (twin's state, what is shown), every one of the states
    share : of the moments, at which it was right
    """

    table: str
    address: int
    codes: tuple[tuple[int, int], ...]
    share: float


@dataclass(frozen=True, slots=True)
class Constant:
    """A number of the nameplate found in registers that never change; `step` in its unit."""

    name: str
    candidate: Candidate
    step: float
    rivals: tuple[str, ...]


def flow_states(power: Quantity, time_s: F8) -> I8:
    """Return int64[n], standby, charging or discharging at moments; -1 where not known."""
    value = power.at(time_s)
    idle = STANDING * float(np.abs(power.value).max())
    state = np.where(value > idle, OUT, np.where(value < -idle, IN, STANDBY))
    return np.where(np.isfinite(value), state, -1)


def states_of(power: Quantity, blocks: Sequence[Block], taken: set[tuple[str, int]]) -> list[State]:
    """Return registers and bits that follow the direction of power, the best first.

    A register must have a code of its own for each of the three states; a bit stands for one of
    them. Devices that were not seen in all three give none.
    """
    found = []
    for block in blocks:
        state = flow_states(power, block.time_s)
        # At a turn the register and the instrument may be of different moments.
        steady = (state[1:-1] == state[:-2]) & (state[1:-1] == state[2:]) & (state[1:-1] >= 0)
        rows = np.flatnonzero(steady) + 1
        if len(rows) == 0 or set(state[rows].tolist()) != {STANDBY, IN, OUT}:
            continue
        for column in range(block.count):
            place = (block.table, block.address + column)
            if place not in taken:
                one = _state(place, state[rows], block.words[rows, column])
                if one is not None:
                    found.append(one)
    return sorted(found, key=lambda s: -s.share)


def _state(place: tuple[str, int], state: I8, shown: I8) -> State | None:
    seen = np.unique(shown)
    if not 2 <= len(seen) <= MOST_CODES:
        return None
    if place[0] in BIT_TABLES:
        return _bit(place, state, shown)
    codes, right = {}, 0
    for word in seen.tolist():
        mine = state[shown == word]
        kinds, counts = np.unique(mine, return_counts=True)
        top = int(kinds[counts.argmax()])
        if counts.max() < AGREES * len(mine) or top in codes:
            return None
        codes[top] = int(word)
        right += int(counts.max())
    if set(codes) != {STANDBY, IN, OUT}:
        return None
    return State(*place, tuple(sorted(codes.items())), right / len(state))


def _bit(place: tuple[str, int], state: I8, shown: I8) -> State | None:
    for one in (OUT, IN, STANDBY):
        for on in (1, 0):
            share = float(((shown == on) == (state == one)).mean())
            if share >= AGREES:
                off = 1 - on
                codes = tuple((s, on if s == one else off) for s in (STANDBY, IN, OUT))
                return State(*place, codes, share)
    return None


def constants_of(
    nameplate: Mapping[str, float],
    blocks: Sequence[Block],
    taken: set[tuple[str, int]],
    order: Order = "ABCD",
) -> tuple[list[Constant], list[str]]:
    """Return where numbers of the nameplate stand, and what could not be told.

    A number that stands in several places is taken where it stands beside another number of the
    nameplate, else nowhere: what never changed during the recording may be a limit as well.
    Steps of 0.01 to 10 of the unit are looked at.

    Parameters
    ----------
    order : of the device's other points, which goes before others
    """
    places = {
        name: found
        for name, value in nameplate.items()
        if value > 0.0 and (found := _places(value, blocks, taken, order))
    }
    chosen: list[Constant] = []
    doubts: list[str] = []
    for name, found in places.items():
        others = [c for other, ones in places.items() if other != name for c, _ in ones]
        beside = [f for f in found if any(_beside(f[0], other) for other in others)]
        kept = found if len(found) == 1 else beside
        kept = [f for f in kept if not any(f[0].places() & c.candidate.places() for c in chosen)]
        if len(kept) == 1:
            rivals = tuple(_where(c) for c, _ in found if c is not kept[0][0])
            chosen.append(Constant(name, *kept[0], rivals))
        else:
            doubts.append(
                f"{name} ({nameplate[name]:g}) stands at {', '.join(_where(c) for c, _ in found)}: "
                "which is the nameplate cannot be told"
            )
    doubts += [f"{name} was not found" for name in nameplate if name not in places]
    return chosen, doubts


def _places(
    value: float, blocks: Sequence[Block], taken: set[tuple[str, int]], order: Order
) -> list[tuple[Candidate, float]]:
    """Return the places that show a value, each in its likeliest form."""
    fitting: list[tuple[Candidate, float]] = []
    for candidate in candidates(blocks, moving=False):
        if candidate.form.type not in ("u16", "u32", "f32") or candidate.places() & taken:
            continue
        raw = float(candidate.raw[0])
        if candidate.form.type == "f32":
            steps: tuple[float, ...] = (1.0,) if raw == np.float32(value) else ()
        else:
            steps = (0.01, 0.1, 1.0, 10.0) if raw >= LEAST_RAW else ()
        close = [step for step in steps if abs(raw * step - value) <= 0.5 * step * (1 + 1e-9)]
        fitting += [(candidate, step) for step in close[:1]]
    fitting.sort(key=lambda f: (f[0].form.order != order, -f[0].form.width, f[1]))
    kept: list[tuple[Candidate, float]] = []
    for one in fitting:
        if not any(one[0].places() & other[0].places() for other in kept):
            kept.append(one)
    return kept


def _beside(one: Candidate, other: Candidate) -> bool:
    gap = max(one.address - other.address - other.form.width,
              other.address - one.address - one.form.width)  # fmt: skip
    return one.table == other.table and 0 <= gap < BESIDE


def _where(candidate: Candidate) -> str:
    return f"{candidate.table} {candidate.address} as {candidate.form.type}"
