"""What a storage owner would do without orders: the platform's own model of it.

Owners follow the tariff: they charge where something dearer follows and deliver the dearest
hours first. How fast they charge is seen in their readings; what they would have gone on to do
after a command is followed in a shadow of each battery. Nothing here is truth: capacity is the
registered one and losses are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, minute_of_day
from twin.control.memory import whole
from twin.record.columns import Columns
from twin.record.table import Table

Floats = NDArray[np.float64]

MINUTES = 1_440
PEAK = 2
EFFICIENCY = 0.935  # one way, AC to cell: the root of 0.875 (LFP practice, general knowledge)
SOC_EMPTY = 0.10  # owners keep this much (assumed); the lowest SOC seen replaces it
SOC_FULL = 0.90  # highest SOC before a higher one was seen (assumed)
PRIOR_SOC = 0.2  # of a cycle, that the registered capacity weighs against what is seen (assumed)
LATEST_MIN = 20  # after a window's begin that a start is put down to the owner's habit (assumed)
PLAN_STEP_MIN = 15


class TariffReading:
    """What each minute of the day is good for, from the tariff alone.

    Attributes
    ----------
    charge, deliver : bool[1440]
    left_h, since_min : hours left of this charging window, minutes since it began
    dearer_h, equal_h : hours dearer than, and as dear as, this minute before the next window
    """

    def __init__(self, tariff_period: NDArray[np.int64]) -> None:
        level = np.resize(tariff_period, 2 * MINUTES)
        self.charge = np.zeros(MINUTES, np.bool_)
        self.deliver = np.zeros(MINUTES, np.bool_)
        self.left_h, self.dearer_h, self.equal_h = np.zeros((3, MINUTES))
        self.since_min = np.zeros(MINUTES, np.int64)
        for m in range(MINUTES):
            ahead = level[m + 1 : m + MINUTES]
            dear = np.flatnonzero(ahead >= PEAK)
            cheap = np.flatnonzero(ahead < level[m])
            before_cheap = cheap[0] if len(cheap) > 0 else MINUTES
            self.charge[m] = level[m] < PEAK and len(dear) > 0 and dear[0] < before_cheap
        charge = np.resize(self.charge, 2 * MINUTES)
        for m in range(MINUTES):
            if self.charge[m]:
                back = np.flatnonzero(~np.roll(self.charge, MINUTES - 1 - m)[::-1])
                self.since_min[m] = (back[0] if len(back) > 0 else MINUTES) - 1
                idle = np.flatnonzero(~charge[m : m + MINUTES])
                self.left_h[m] = (idle[0] if len(idle) > 0 else MINUTES) / 60.0
                continue
            window = np.flatnonzero(charge[m : m + MINUTES])
            if len(window) == 0:
                continue
            stretch = level[m : m + window[0]]
            self.deliver[m] = level[m] >= PEAK
            self.dearer_h[m] = np.count_nonzero(stretch > level[m]) / 60.0
            self.equal_h[m] = np.count_nonzero(stretch == level[m]) / 60.0


class StorageOwners:
    """Shadows of all batteries as their owners would run them.

    Rows of `memory`: ``soc`` and ``power_kw`` of the shadow, ``charge_kw`` seen while the owner
    charged, ``full`` and ``empty`` the extreme SOC seen, ``in_kwh`` and ``in_soc`` (``out_``)
    energy and SOC that went with it, from which the working capacity is learned, ``per_in`` and
    ``per_out`` that capacity [kWh AC], ``hasty`` 1 for owners seen to discharge at full power
    where others spread over the dear hours.
    """

    def __init__(self, columns: Columns, tariff_period: NDArray[np.int64]) -> None:
        self.rated_kw, self.capacity_kwh = columns.f8("rated_kw"), columns.f8("capacity_kwh")
        self.reading = TariffReading(tariff_period)
        self.memory = Table(
            (
                "soc", "power_kw", "charge_kw", "full", "empty", "seen_soc",
                "in_kwh", "in_soc", "out_kwh", "out_soc", "hasty", "per_in", "per_out",
            ),
            columns.n,
            {"pace": np.ones(1), "late_min": np.zeros(columns.n, np.int64)},
        )  # fmt: skip
        self.memory["soc"] = 0.5
        self.memory["seen_soc"] = np.nan
        self._weigh_capacity()
        self.memory["charge_kw"] = np.nan
        self.memory["full"], self.memory["empty"] = SOC_FULL, SOC_EMPTY

    def observe(
        self, now_ms: int, power_kw: Floats, soc: Floats, untouched: NDArray[np.bool_]
    ) -> None:
        """Follow readings where the owner rules, the model elsewhere (one minute on).

        What is read at `now_ms` shows the minute that ends there.
        """
        memory, minute = self.memory, minute_of_day(now_ms - MINUTE_MS)
        seen = untouched & np.isfinite(power_kw) & np.isfinite(soc)
        self._learn_capacity(power_kw, soc, seen)
        charging = seen & (power_kw < -0.05 * self.rated_kw)
        held, pace = memory["charge_kw"], memory["pace"]
        # Owners' clocks and habits differ: who starts charging late does everything late.
        since = int(self.reading.since_min[minute])
        if self.reading.charge[minute] and since <= LATEST_MIN:
            begins = charging & (memory["power_kw"] > -0.05 * self.rated_kw)
            whole(memory, "late_min")[begins] = since
        own = self._own_minute(minute)
        window = self.reading.charge[own]
        held[~window] = np.nan  # the next window may be run at another power
        if window.any():
            spread = np.where(window, self._spread_kw(own, memory["soc"]), 0.0)
            first = charging & np.isnan(held) & (spread > 0.05 * self.rated_kw)
            if first.any():
                # How much faster than evenly owners charge: those seen tell of the others.
                seen_pace = float(-power_kw[first].sum() / spread[first].sum())
                pace += 0.3 * (min(max(seen_pace, 0.5), 3.0) - pace)
            held[charging] = -power_kw[charging]
            chosen = window & ~seen & np.isnan(held)
            held[chosen] = np.minimum(spread * pace, self.rated_kw)[chosen]
        self._learn_haste(minute, power_kw, seen)
        np.maximum(memory["full"], soc, out=memory["full"], where=seen)
        np.minimum(memory["empty"], soc, out=memory["empty"], where=seen)
        power, then = self.step(minute, memory["soc"], 1.0 / 60.0)
        memory["power_kw"] = np.where(seen, power_kw, power)
        memory["soc"] = np.where(seen, soc, then)

    def _learn_haste(self, minute: int, power_kw: Floats, seen: NDArray[np.bool_]) -> None:
        """Tell owners who discharge at full power from those who spread it."""
        memory, own = self.memory, self._own_minute(minute)
        stock = self.stock_kwh(memory["soc"])
        even = stock - self.rated_kw * self.reading.dearer_h[own]
        even = np.minimum(even / np.maximum(self.reading.equal_h[own], 1.0 / 60.0), self.rated_kw)
        # Only where the two differ by enough, and with stock for half an hour.
        tells = seen & self.reading.deliver[own] & (even < 0.85 * self.rated_kw)
        tells &= (stock > 0.5 * self.rated_kw) & (power_kw > 0.05 * self.rated_kw)
        full = power_kw > 0.5 * (even + self.rated_kw)
        memory["hasty"] = np.where(tells, full, memory["hasty"])

    def _learn_capacity(self, power_kw: Floats, soc: Floats, seen: NDArray[np.bool_]) -> None:
        """Book a minute's energy and the SOC that came of it."""
        memory = self.memory
        step = np.nan_to_num(np.where(seen, soc - memory["seen_soc"], 0.0))
        steady = seen & (np.abs(step) < 0.05) & (step * power_kw <= 0.0)
        for sign, energy, moved in ((-1.0, "in_kwh", "in_soc"), (1.0, "out_kwh", "out_soc")):
            mine = steady & (sign * power_kw > 0.05 * self.rated_kw)
            memory[energy] += np.where(mine, np.abs(power_kw) / 60.0, 0.0)
            memory[moved] += np.where(mine, np.abs(step), 0.0)
        memory["seen_soc"] = np.where(seen, soc, np.nan)
        self._weigh_capacity()

    def _weigh_capacity(self) -> None:
        """Work out ``per_in`` and ``per_out``; the registered value weighs a fifth of a cycle."""
        memory = self.memory
        for way, factor in (("in", 1.0 / EFFICIENCY), ("out", EFFICIENCY)):
            registered = self.capacity_kwh * factor
            moved = memory[f"{way}_soc"] + PRIOR_SOC
            learned = (memory[f"{way}_kwh"] + PRIOR_SOC * registered) / moved
            memory[f"per_{way}"] = np.clip(learned, 0.5 * registered, 1.3 * registered)

    def per_soc_kwh(self, way: str) -> Floats:
        """Return AC energy that goes with all of the SOC, `way` "in" or "out"."""
        return self.memory[f"per_{way}"]

    def coming_kw(self, now_ms: int) -> Floats:
        """Return what owners would do in the minute that begins at `now_ms`."""
        return self.step(minute_of_day(now_ms), self.memory["soc"], 1.0 / 60.0)[0]

    def _own_minute(self, minute: int) -> NDArray[np.int64]:
        """Return the minute of the day that each owner acts on at `minute`."""
        return (minute - whole(self.memory, "late_min")) % MINUTES

    def _spread_kw(self, own: NDArray[np.int64], soc: Floats) -> Floats:
        """Return the charging power that fills the battery just at the end of the window."""
        room_kwh = np.maximum(self.memory["full"] - soc, 0.0) * self.per_soc_kwh("in")
        return np.asarray(room_kwh / np.maximum(self.reading.left_h[own], 1.0 / 60.0))

    def step(self, minute: int, soc: Floats, hours: float) -> tuple[Floats, Floats]:
        """Return power [kW] and SOC after `hours` of the owners' rule at `minute` of the day."""
        memory, reading, own = self.memory, self.reading, self._own_minute(minute)
        into, out = self.per_soc_kwh("in"), self.per_soc_kwh("out")
        power = np.zeros_like(soc)
        charge, deliver = reading.charge[own], reading.deliver[own]
        if charge.any():
            room_kw = np.maximum(memory["full"] - soc, 0.0) * into / hours
            spread = self._spread_kw(own, soc) * memory["pace"]
            wanted = np.where(np.isnan(memory["charge_kw"]), spread, memory["charge_kw"])
            drawn = np.minimum(np.minimum(wanted, self.rated_kw), room_kw)
            power = np.where(charge, -drawn, power)
        if deliver.any():
            stock_kwh = np.maximum(soc - memory["empty"], 0.0) * out
            spare = stock_kwh - self.rated_kw * reading.dearer_h[own]
            over_h = np.where(memory["hasty"] > 0.0, hours, reading.equal_h[own])
            fed = np.minimum(spare / np.maximum(over_h, hours), stock_kwh / hours)
            power = np.where(deliver, np.clip(fed, 0.0, self.rated_kw), power)
        return power, soc - power * hours / np.where(power < 0.0, into, out)

    def forecast(self, now_ms: int, until_ms: int) -> Floats:
        """Return the shadow's mean power by quarter of an hour, float64[quarters, n]."""
        quarters = max(-(-(until_ms - now_ms) // (PLAN_STEP_MIN * 60_000)), 1)
        soc = self.memory["soc"].copy()
        out = np.zeros((quarters, len(soc)))
        for q in range(quarters):
            for third in range(3):
                minute = minute_of_day(now_ms + (q * PLAN_STEP_MIN + third * 5) * 60_000)
                power, soc = self.step(minute, soc, 5.0 / 60.0)
                out[q] += power / 3.0
        return out

    def stock_kwh(self, soc: Floats) -> Floats:
        """Return what could be fed to the grid from `soc` down to the owner's reserve."""
        return np.maximum(soc - self.memory["empty"], 0.0) * self.per_soc_kwh("out")

    def tables(self) -> Mapping[str, Table]:
        """Return everything that evolves."""
        return {"owners": self.memory}
