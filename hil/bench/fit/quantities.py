"""What is known of a device without its registers: by instruments, by counting, by nameplate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hil.bench.recording import Recording
from hil.registers.kinds import catalogue
from twin.record.exchange import Point
from twin.units import SECONDS_PER_HOUR

__all__ = ["Quantity", "counted_soc", "known_quantities", "longest_stretch"]

F8 = NDArray[np.float64]
# A reference this many of its own intervals away from a reading says nothing of it.
NEAR = 1.5
# Hours at rating of a storage whose capacity nobody states: one decade (assumed).
HOURS = (0.4, 4.0)
# Longer without a sample is a gap: this many usual intervals, and so many seconds (assumed).
GAP, GAP_S = 10.0, 60.5
# What a sensor of charge and a counter may be off, as a share of the largest change (assumed).
CHARGE_ERROR, COUNTER_ERROR = 0.03, 0.02


@dataclass(frozen=True, slots=True)
class Quantity:
    """A point of the twin's kind as something else than the device's register has it.

    Attributes
    ----------
    name, unit : of the twin's point
    time_s, value : float64[n]
    source : where it comes from, for the report
    error : half width of the reference's own error, in the unit
    own_error : share of the largest value that the device's sensor may err, None: as usual
    signed : whether it may be below zero, in the register too
    counts : its level is not known, only its changes are
    losses : float64[n] what went through, of which a share was lost; None: nothing is lost
    wide : taken for 32 bits where that cannot be told
    bounds : least and greatest value, None: not known
    holds : each value holds until the next; else it is taken as straight between two
    rough : known but for its size, of which only the power of ten is taken
    """

    name: str
    unit: str
    time_s: F8
    value: F8
    source: str
    error: float = 0.0
    own_error: float | None = None
    signed: bool = True
    counts: bool = False
    losses: F8 | None = None
    wide: bool = False
    bounds: tuple[float, float] | None = None
    holds: bool = False
    rough: bool = False

    @property
    def lossy(self) -> bool:
        """Whether even its changes are known but for losses."""
        return self.losses is not None

    def losses_at(self, time_s: F8) -> F8:
        """Return float64[n], what went through up to moments."""
        return np.interp(time_s, self.time_s, np.zeros(1) if self.losses is None else self.losses)

    def at(self, time_s: F8) -> F8:
        """Return float64[n], the quantity at moments; NaN where the reference is too far away."""
        if len(self.time_s) < 2:
            return np.full(len(time_s), np.nan)
        if self.holds:
            before = np.searchsorted(self.time_s, time_s, side="right") - 1
            return np.where(before >= 0, self.value[np.maximum(before, 0)], np.nan)
        value = np.interp(time_s, self.time_s, self.value)
        after = np.clip(np.searchsorted(self.time_s, time_s), 1, len(self.time_s) - 1)
        # The interval about each moment; on a reference's own moment there is none.
        gap = self.time_s[after] - self.time_s[after - 1]
        near = np.minimum(
            np.abs(time_s - self.time_s[after]), np.abs(time_s - self.time_s[after - 1])
        )
        usual = float(np.median(np.diff(self.time_s)))
        inside = (time_s >= self.time_s[0] - usual) & (time_s <= self.time_s[-1] + usual)
        return np.where(inside & ((gap <= NEAR * usual) | (near <= 0.1 * usual)), value, np.nan)


def longest_stretch(time_s: F8) -> slice:
    """Return the rows of the longest stretch without a gap: what is counted must be whole."""
    steps = np.diff(time_s)
    if len(steps) == 0:
        return slice(0, len(time_s))
    most = max(GAP_S, GAP * float(np.median(steps)))
    ends = np.concatenate([[0], np.flatnonzero(steps > most) + 1, [len(time_s)]])
    spans = [float(time_s[b - 1] - time_s[a]) for a, b in pairwise(ends)]
    longest = int(np.argmax(spans))
    return slice(int(ends[longest]), int(ends[longest + 1]))


def known_quantities(recording: Recording, kind: str) -> list[Quantity]:
    """Return everything that a recording says of the kind's points beside registers.

    References by name of the kind's points; energy counted from the power; for storage the
    change of the state of charge, counted from the power over the nameplate's capacity (over a
    usual one where it is not stated), where no reference says it.
    """
    points = catalogue()[kind].points
    found = []
    for name, (time_s, value) in recording.references.items():
        point = points.get(name)
        if point is not None and len(time_s) > 1:
            signed, wide = point.low < 0.0, point.unit == "kWh"
            found.append(Quantity(name, point.unit, time_s, value, "reference",
                                  signed=signed, wide=wide))  # fmt: skip
    power = recording.references.get("power_kw")
    if power is not None and len(power[0]) > 1:
        whole = longest_stretch(power[0])
        power = power[0][whole], power[1][whole]
        found += _energies(points, *power)
        if "soc" in points and "soc" not in recording.references:
            found += _soc(power, recording.nameplate)
    return found


def _energies(points: Mapping[str, Point], time_s: F8, power_kw: F8) -> list[Quantity]:
    """Return the energy into and out of the device, as its daily counters would have it."""
    names = {"discharged_today_kwh": 1.0, "charged_today_kwh": -1.0}
    found = []
    for name, sign in names.items():
        if name in points:
            energy = _counted(time_s, np.maximum(sign * power_kw, 0.0))
            source = "counted from the reference power"
            found.append(Quantity(name, "kWh", time_s, energy, source, own_error=COUNTER_ERROR,
                                  signed=False, counts=True, wide=True))  # fmt: skip
    return found


def _soc(power: tuple[F8, F8], nameplate: Mapping[str, float]) -> list[Quantity]:
    """Return the counted charge over the nameplate's capacity, or over a usual one."""
    capacity, rated = nameplate.get("capacity_kwh"), nameplate.get("rated_kw")
    if capacity is not None:
        return [counted_soc(*power, capacity)]
    if rated is None:
        return []
    usual = counted_soc(*power, rated * math.sqrt(HOURS[0] * HOURS[1]))
    source = f"counted from the reference power, for a station of {HOURS[0]:g} to {HOURS[1]:g} h"
    return [replace(usual, source=source, rough=True)]


def counted_soc(time_s: F8, power_kw: F8, capacity_kwh: float) -> Quantity:
    """Return the change of the state of charge, counted without losses over a capacity."""
    level = -_counted(time_s, power_kw) / capacity_kwh
    through = _counted(time_s, np.abs(power_kw)) / capacity_kwh
    return Quantity(
        name="soc", unit="1", time_s=time_s, value=level, losses=through,
        source="counted from the reference power over the nameplate's capacity",
        own_error=CHARGE_ERROR, signed=False, counts=True, bounds=(0.0, 1.0),
    )  # fmt: skip


def _counted(time_s: F8, power_kw: F8) -> F8:
    """Return float64[n], energy since the first moment [kWh], by trapezoids."""
    means = 0.5 * (power_kw[1:] + power_kw[:-1])
    steps = means * np.diff(time_s) / SECONDS_PER_HOUR
    return np.concatenate([[0.0], np.cumsum(steps)])
