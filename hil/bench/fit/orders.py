"""Which written registers order power, in which steps, and what goes with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.bench.fit.candidates import FORMS, Form, decoded
from hil.bench.fit.matching import plain_power
from hil.bench.fit.quantities import Quantity
from hil.bench.recording import RecordedWrite, Recording

__all__ = ["Companion", "Orders", "orders_of", "untold_writes"]

F8 = NDArray[np.float64]
# Choices of this fit (assumed).
LEAST_ORDERS = 3
LEAST_SAMPLES = 2  # of power, from which it is known what was reached
SETTLED = 0.5  # the later part of the time between two orders, in which power is taken as reached
WITHIN = 0.03  # of the largest power: reached is what was ordered
FOLLOWED = 0.5  # share of the orders that must be reached; others meet the device's own limits
TOGETHER_S = 2.0
ALWAYS = 0.8


@dataclass(frozen=True, slots=True)
class Companion:
    """A holding register that is written with every order, always to one value: a switch."""

    address: int
    on: int
    after: bool  # written after the order, else before it


@dataclass(frozen=True, slots=True)
class Orders:
    """The register by which power is ordered.

    Attributes
    ----------
    address : first holding register
    form : how it is written
    factor : kW into the grid per step, sign included
    per_rating : factor is a plain percentage of the rating
    time_s, power_kw : float64[n], what was ordered, accepted orders only
    reached_kw : float64[n], the power in the later part of each order; NaN where not known
    followed : share of the orders that were reached
    refused_kw : float64[m], orders that were refused as illegal values
    companions : switches written with it
    mirror : register that is always written to the opposite number: the other end of a window
    doubts : what could not be told
    """

    address: int
    form: Form
    factor: float
    per_rating: bool
    time_s: F8
    power_kw: F8
    reached_kw: F8
    followed: float
    refused_kw: F8
    companions: tuple[Companion, ...]
    mirror: int | None
    doubts: tuple[str, ...] = field(default=())

    def in_force(self, name: str, sign: float) -> Quantity:
        """Return the last accepted order as a point of the twin; `sign` turns it from the grid."""
        return Quantity(name, "kW", self.time_s, sign * self.power_kw,
                        "the orders that were accepted", own_error=0.0, holds=True)  # fmt: skip

    def places(self) -> set[tuple[str, int]]:
        """Return the registers whose meaning is known by these orders."""
        own = {("holding", self.address + i) for i in range(self.form.width)}
        own |= {("holding", c.address) for c in self.companions}
        return own if self.mirror is None else own | {("holding", self.mirror)}


def orders_of(
    recording: Recording, power: Quantity, rated_kw: float | None, bounds: bool = False
) -> Orders | None:
    """Return the register that orders power, None where none can be told from the recording.

    Parameters
    ----------
    bounds : the device is told how much it may draw or feed at most, and may do with less
    """
    groups: dict[tuple[int, int], list[RecordedWrite]] = {}
    for write in recording.writes or observed_writes(recording):
        if write.table == "holding":
            groups.setdefault((write.address, len(write.words)), []).append(write)
    best: Orders | None = None
    for (address, width), group in groups.items():
        for first in range(width):
            for form in FORMS:
                if first + form.width > width:
                    continue
                place = (address, first)
                found = _order(recording, power, (rated_kw, bounds), place, form, group)
                if found is not None and (best is None or found.followed > best.followed):
                    best = found
    return best


def observed_writes(recording: Recording) -> list[RecordedWrite]:
    """Return changes of holding registers as writes, where somebody else wrote.

    Each is a write of the whole block, at the moment at which it was first seen.
    """
    found = []
    for block in recording.blocks:
        if block.table != "holding":
            continue
        changed = np.flatnonzero((block.words[1:] != block.words[:-1]).any(axis=1)) + 1
        for row in (0, *changed.tolist()):
            words = tuple(int(w) for w in block.words[row])
            found.append(RecordedWrite(float(block.time_s[row]), "holding", block.address, words))
    return sorted(found, key=lambda w: w.time_s)


def _order(
    recording: Recording,
    power: Quantity,
    way: tuple[float | None, bool],
    place: tuple[int, int],
    form: Form,
    group: Sequence[RecordedWrite],
) -> Orders | None:
    address, first = place
    rated_kw, bounds = way
    cells = slice(first, first + form.width)
    taken = [w for w in group if w.code == 0]
    if len(taken) < LEAST_ORDERS:
        return None
    raw = decoded(np.array([w.words[cells] for w in taken], np.int64), form)
    if not np.isfinite(raw).all() or len(np.unique(raw)) < LEAST_ORDERS:
        return None
    time_s = np.array([w.time_s for w in taken])
    reached = _reached(time_s, power)
    lever = np.isfinite(reached) & (raw != 0.0)
    lever &= np.abs(reached) > 0.1 * float(np.nanmax(np.abs(reached), initial=0.0))
    if int(lever.sum()) < LEAST_ORDERS - 1:
        return None
    ratio = reached[lever] / raw[lever]
    # What bounds is met at times and never passed: the second largest share stands for it.
    exact = float(ratio[np.abs(ratio).argsort()[-2]] if bounds else np.median(ratio))
    if exact == 0.0 or not math.isfinite(exact):
        return None
    plain, per_rating = plain_power(abs(exact), rated_kw)
    if plain is None:
        return None
    factor = math.copysign(plain, exact)
    known = np.isfinite(reached)
    tolerance = WITHIN * float(np.abs(reached[known]).max())
    met = np.abs(factor * raw - reached)[known] <= tolerance
    followed = float(met.mean())
    within = (np.abs(reached) <= np.abs(factor * raw) + tolerance)[known]
    kept = bool(within.all()) and len(np.unique(raw[known][met])) >= LEAST_ORDERS
    if followed < FOLLOWED and not (bounds and kept):
        return None
    refused = [w for w in group if w.code == 3]
    refused_raw = decoded(
        np.array([w.words[cells] for w in refused], np.int64).reshape(-1, form.width), form
    )
    doubts = []
    if not recording.writes:
        doubts.append("no writes were recorded: orders are changes of the register as read, and "
                      "late by up to the time between two reads")  # fmt: skip
    if not (raw < 0.0).any() and form.type.startswith("u") and factor > 0.0:
        doubts.append("only orders to one side were seen; the other side may need another form")
    if per_rating and plain_power(abs(exact), None)[0] is not None:
        doubts.append(f"{plain:g} kW a step may also be no percentage of the rating")
    return Orders(
        address + first, form, factor, per_rating, time_s, factor * raw, reached, followed,
        factor * refused_raw, _companions(recording, taken, (address, len(taken[0].words))),
        _mirror(taken, address, cells, raw) if form.width == 1 else None, tuple(doubts),
    )  # fmt: skip


def _reached(time_s: F8, power: Quantity) -> F8:
    """Return float64[n], the median power in the later part of each order's time."""
    ends = np.append(time_s[1:], power.time_s[-1])
    found = np.full(len(time_s), np.nan)
    for i, (start_s, end_s) in enumerate(zip(time_s, ends, strict=True)):
        mine = (power.time_s > start_s + SETTLED * (end_s - start_s)) & (power.time_s <= end_s)
        if int(mine.sum()) >= LEAST_SAMPLES:
            found[i] = float(np.median(power.value[mine]))
    return found


def _companions(
    recording: Recording, orders: Sequence[RecordedWrite], place: tuple[int, int]
) -> tuple[Companion, ...]:
    """Return the switches; `place` is (address, words) of the orders themselves."""
    number = {id(w): i for i, w in enumerate(recording.writes)}
    seen: dict[int, list[RecordedWrite]] = {}
    for write in recording.writes:
        own = place[0] <= write.address < place[0] + place[1]
        if write.table == "holding" and not own and write.code == 0 and len(write.words) == 1:
            seen.setdefault(write.address, []).append(write)
    found = []
    for address, writes in sorted(seen.items()):
        after = []
        for order in orders:
            near = [w for w in writes if abs(w.time_s - order.time_s) <= TOGETHER_S]
            after += [number[id(w)] > number[id(order)] for w in near[:1]]
        words = {w.words[0] for w in writes}
        if len(words) == 1 and len(after) >= ALWAYS * len(orders):
            found.append(Companion(address, words.pop(), 2 * sum(after) > len(after)))
    return tuple(found)


def _mirror(orders: Sequence[RecordedWrite], address: int, cells: slice, raw: F8) -> int | None:
    """Return the register of the same writes that always held the opposite number."""
    words = np.array([w.words for w in orders], np.int64)
    for column in range(words.shape[1]):
        other = decoded(words[:, column : column + 1], Form("i16", "ABCD", 1))
        if column != cells.start and np.array_equal(other, -raw) and (raw != 0.0).any():
            return address + column
    return None


def untold_writes(recording: Recording, orders: Orders | None) -> list[str]:
    """Return, as text, what was written to registers whose meaning is not known."""
    known = set() if orders is None else orders.places()
    seen: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for write in recording.writes:
        for i, word in enumerate(write.words):
            place = (write.table, write.address + i)
            if place not in known:
                seen.setdefault(place, []).append((word, write.code))
    return [
        f"{table} {address} was written {len(writes)} times, "
        f"{len({word for word, _ in writes})} different values, "
        f"{sum(code != 0 for _, code in writes)} refused"
        for (table, address), writes in sorted(seen.items())
    ]
