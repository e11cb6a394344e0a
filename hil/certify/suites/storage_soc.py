"""Storage: getting to where a test begins, by SOC and by counted energy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hil.certify.procedure import Series
from hil.certify.suites.hand import Hand

__all__ = ["LEG_COLUMNS", "Count", "Leg", "is_at_end", "leg", "possible", "to_middle"]

LEG_COLUMNS = ("time_s", "power_kw", "energy_kwh", "soc")
LOW, MIDDLE, HIGH = 0.3, 0.5, 0.7  # most tests start at about 50 % (a test procedure in use, B)
FULL, EMPTY = 0.9, 0.1  # SOC of a device that does not show how much it can do (our choice)
# An SOC further outside 0 to 1 than this is none (our choice).
IMPOSSIBLE = 0.1
# After this part of the capacity the SOC must have moved, or it says nothing (our choice).
FIRST_PART, LEAST_MOVE = 0.05, 0.01
STEP_S, FINE_S, STILL = 60.0, 10.0, 0.01  # STILL: of rated power between two looks
STEP_WALL_S = 1.0  # on hardware
ENDED = 0.05  # of rated power: auxiliaries of a cabinet at their peak (general knowledge)
OBEYED = 0.5  # of rated power: below it nobody can say that it did what it was told (our choice)
ENDED_FOR_S, GRACE_S = 60.0, 120.0
# A leg that the device does not end is ended by us (our choice): at this many times the capacity
# on its nameplate, or this long after the time that its capacity takes.
MOST_CAPACITY, MOST_TIME, MORE_S = 1.25, 2.0, 3600.0
# Nor is a device driven on that says it is full or empty: by this part of its capacity at the
# most, twice the SOC error that it may have (our choice).
BEYOND = 0.1


@dataclass(slots=True)
class Leg:
    """A full charge or discharge.

    Attributes
    ----------
    ended : by the device itself (empty text), else why it counts for nothing
    bound : the device went on, we ended it
    beyond : part of the capacity that went on at an SOC of 100 % or 0 %, where we ended it for that
    unfit : neither device nor order is to blame: it does not apply
    energy_kwh, error_kwh : at the meter, positive, and the half width of its error
    power_kw : at the end, positive into the grid
    obeyed : it came to half of rated power at least once
    auxiliary_kwh : by a meter of their own, where there is one
    trace : (time [s], energy so far [kWh], SOC or NaN)
    """

    ended: str = ""
    bound: bool = False
    beyond: float = 0.0
    unfit: bool = False
    energy_kwh: float = 0.0
    error_kwh: float = 0.0
    power_kw: float = 0.0
    obeyed: bool = False
    auxiliary_kwh: float = 0.0
    trace: list[tuple[float, float, float]] = field(default_factory=list)


class Count:
    """Energy at the terminals since it was made, by the meter's counters or by its power."""

    def __init__(self, hand: Hand, sign: float) -> None:
        self.hand, self.sign = hand, sign
        self.last = hand.power()
        self.kwh = self.error_kwh = 0.0
        class_pct = None if hand.meter is None else hand.meter.about().class_pct
        self.share = 0.0 if class_pct is None else class_pct / 100.0
        self._begin = self._counters()

    def _counters(self) -> float | None:
        """Return the energy into the grid so far [kWh]; None: the meter does not count."""
        found = None if self.hand.meter is None else self.hand.meter.energy_kwh()
        return None if found is None else found.into_grid.value - found.from_grid.value

    def look(self) -> None:
        """Count up to now."""
        now = self.hand.power()
        dt_h = (now.before_s - self.last.before_s) / 3600.0
        mean = 0.5 * (now.value + self.last.value)
        # Between two samples power may be anywhere between them.
        error = 0.5 * abs(now.value - self.last.value) + max(now.half_width, self.last.half_width)
        counters = self._counters()
        if counters is None or self._begin is None:
            self.kwh += self.sign * mean * dt_h
            self.error_kwh += error * dt_h
        else:
            moved = counters - self._begin
            self.kwh = self.sign * moved
            # A meter's gain is the same before and after: its class is of what moved.
            self.error_kwh = self.share * abs(moved)
        self.last = now


def leg(hand: Hand, series: Series, sign: float) -> Leg:
    """Charge (`sign` -1) or discharge (1) at rated power until the device ends it itself."""
    capacity, rated, leg = hand.capacity_kwh, hand.rated_kw, Leg()
    if capacity is None:
        leg.ended, leg.unfit = "no capacity is registered", True
        return leg
    order = hand.go("power_kw", sign * rated)
    if order.reason:
        leg.ended, leg.unfit = order.reason, order.accepted
        return leg
    count, begun_s, idle_s = Count(hand, sign), hand.clock.now_s(), 0.0
    most_s = MOST_TIME * capacity / rated * 3600.0 + MORE_S
    said_kwh: float | None = None  # counted when it said that it was full or empty
    moved_kw = rated  # since the look before; what moves is looked at more often
    while True:
        step_s = STEP_S if moved_kw < STILL * rated else FINE_S
        hand.wait(step_s if hand.subject.compressed else STEP_WALL_S)
        before_s, before_kw = count.last.before_s, count.last.value
        count.look()
        moved_kw = abs(count.last.value - before_kw)
        now_s = count.last.before_s
        soc = hand.register("soc").value if hand.shows("soc") else math.nan
        series.add(now_s, count.last.value, count.kwh, soc)
        leg.trace.append((now_s, count.kwh, soc))
        leg.obeyed = leg.obeyed or sign * count.last.value >= OBEYED * rated
        at_end = soc >= 1.0 if sign < 0.0 else soc <= 0.0
        said_kwh = None if not at_end else count.kwh if said_kwh is None else said_kwh
        idle = sign * count.last.value < ENDED * rated
        idle_s = idle_s + now_s - before_s if idle else 0.0
        if idle_s >= ENDED_FOR_S and now_s - begun_s >= GRACE_S:
            break
        if said_kwh is not None and count.kwh - said_kwh > BEYOND * capacity:
            leg.beyond = (count.kwh - said_kwh) / capacity
            leg.ended = f"it went on at an SOC of {100.0 * soc:.0f} %, we ended it"
            break
        if count.kwh > MOST_CAPACITY * capacity or now_s - begun_s > most_s:
            leg.ended, leg.bound = "the device did not end it by itself, we did", True
            break
    leg.energy_kwh, leg.error_kwh = count.kwh, count.error_kwh
    leg.power_kw = count.last.value
    return leg


def is_at_end(hand: Hand, sign: float) -> bool:
    """Return whether the device itself says that it is full (`sign` -1) or empty (1)."""
    limit = "charge_limit_kw" if sign < 0.0 else "discharge_limit_kw"
    if hand.shows(limit):
        return hand.register(limit).value <= ENDED * hand.rated_kw
    if not hand.shows("soc"):
        return False
    soc = hand.register("soc").value
    return soc >= FULL if sign < 0.0 else soc <= EMPTY


def possible(soc: float) -> bool:
    """Return whether a number can be an SOC at all: no register of something else."""
    return -IMPOSSIBLE <= soc <= 1.0 + IMPOSSIBLE


def to_middle(hand: Hand) -> None:
    """Bring the SOC to about 50 % where it is far from it; by counted energy at the most.

    A device whose SOC does not follow is left where it is after a twentieth of its capacity.
    """
    if not hand.shows("soc"):
        return
    soc = hand.register("soc").value
    if not possible(soc):
        hand.context.note("what is shown as SOC is none; the test begins where the battery is")
        return
    if LOW <= soc <= HIGH:
        return
    capacity = hand.capacity_kwh
    if capacity is None:
        hand.context.note("no capacity is registered; the test begins at the SOC that there is")
        return
    sign = 1.0 if soc > MIDDLE else -1.0
    if not hand.go("power_kw", sign * hand.rated_kw).accepted:
        return
    count, begun = Count(hand, sign), soc
    most_kwh = 1.1 * abs(soc - MIDDLE) * capacity
    most_s = MOST_TIME * most_kwh / hand.rated_kw * 3600.0 + GRACE_S
    begun_s = hand.clock.now_s()
    while count.kwh < most_kwh and hand.clock.now_s() - begun_s < most_s:
        hand.wait(STEP_S if hand.subject.compressed else STEP_WALL_S)
        count.look()
        soc = hand.register("soc").value
        if sign * (soc - MIDDLE) <= 0.0:
            break
        if count.kwh > FIRST_PART * capacity and abs(soc - begun) < LEAST_MOVE:
            hand.context.note("SOC does not follow the energy; the test begins where it is")
            break
    hand.go("power_kw", 0.0)
