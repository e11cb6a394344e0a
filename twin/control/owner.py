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

from twin.clock import minute_of_day
from twin.record.columns import Columns
from twin.record.table import Table

type Floats = NDArray[np.float64]

MINUTES = 1_440
PEAK = 2
EFFICIENCY = 0.935  # one way, AC to cell: the root of 0.875 (LFP practice, general knowledge)
SOC_EMPTY = 0.10  # owners keep this much (assumed); the lowest SOC seen replaces it
SOC_FULL = 0.90  # highest SOC before a higher one was seen (assumed)
PLAN_STEP_MIN = 15


class TariffReading:
    """What each minute of the day is good for, from the tariff alone.

    Attributes
    ----------
    charge, deliver : bool[1440]
    left_h : hours left of this charging window
    dearer_h, equal_h : hours dearer than, and as dear as, this minute before the next window
    """

    def __init__(self, tariff_period: NDArray[np.int64]) -> None:
        level = np.resize(tariff_period, 2 * MINUTES)
        self.charge = np.zeros(MINUTES, np.bool_)
        self.deliver = np.zeros(MINUTES, np.bool_)
        self.left_h, self.dearer_h, self.equal_h = np.zeros((3, MINUTES))
        for m in range(MINUTES):
            ahead = level[m + 1 : m + MINUTES]
            dear = np.flatnonzero(ahead >= PEAK)
            cheap = np.flatnonzero(ahead < level[m])
            before_cheap = cheap[0] if len(cheap) > 0 else MINUTES
            self.charge[m] = level[m] < PEAK and len(dear) > 0 and dear[0] < before_cheap
        charge = np.resize(self.charge, 2 * MINUTES)
        for m in range(MINUTES):
            if self.charge[m]:
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
    charged, ``full`` and ``empty`` the extreme SOC seen.
    """

    def __init__(self, columns: Columns, tariff_period: NDArray[np.int64]) -> None:
        self.rated_kw, self.capacity_kwh = columns.f8("rated_kw"), columns.f8("capacity_kwh")
        self.reading = TariffReading(tariff_period)
        self.memory = Table(
            ("soc", "power_kw", "charge_kw", "full", "empty"), columns.n, {"pace": np.ones(1)}
        )
        self.memory["soc"] = 0.5
        self.memory["charge_kw"] = np.nan
        self.memory["full"], self.memory["empty"] = SOC_FULL, SOC_EMPTY

    def observe(
        self, now_ms: int, power_kw: Floats, soc: Floats, untouched: NDArray[np.bool_]
    ) -> None:
        """Follow readings where the owner rules, the model elsewhere (one minute on)."""
        memory, minute = self.memory, minute_of_day(now_ms)
        seen = untouched & np.isfinite(power_kw) & np.isfinite(soc)
        charging = seen & (power_kw < -0.05 * self.rated_kw)
        held, pace = memory["charge_kw"], memory["pace"]
        if self.reading.charge[minute]:
            spread = self._spread_kw(minute, memory["soc"])
            first = charging & np.isnan(held) & (spread > 0.05 * self.rated_kw)
            if first.any():
                # How much faster than evenly owners charge: those seen tell of the others.
                seen_pace = float(-power_kw[first].sum() / spread[first].sum())
                pace += 0.3 * (min(max(seen_pace, 0.5), 3.0) - pace)
            held[charging] = -power_kw[charging]
            chosen = ~seen & np.isnan(held)
            held[chosen] = np.minimum(spread * pace, self.rated_kw)[chosen]
        else:
            held[:] = np.nan  # the next window may be run at another power
        np.maximum(memory["full"], soc, out=memory["full"], where=seen)
        np.minimum(memory["empty"], soc, out=memory["empty"], where=seen)
        power, then = self.step(minute, memory["soc"], 1.0 / 60.0)
        memory["power_kw"] = np.where(seen, power_kw, power)
        memory["soc"] = np.where(seen, soc, then)

    def _spread_kw(self, minute: int, soc: Floats) -> Floats:
        """Return the charging power that fills the battery just at the end of the window."""
        room_kwh = np.maximum(self.memory["full"] - soc, 0.0) * self.capacity_kwh / EFFICIENCY
        return np.asarray(room_kwh / max(float(self.reading.left_h[minute]), 1.0 / 60.0))

    def step(self, minute: int, soc: Floats, hours: float) -> tuple[Floats, Floats]:
        """Return power [kW] and SOC after `hours` of the owner's rule at `minute` of the day."""
        memory, reading = self.memory, self.reading
        full, empty = memory["full"], memory["empty"]
        if reading.charge[minute]:
            room_kw = np.maximum(full - soc, 0.0) * self.capacity_kwh / EFFICIENCY / hours
            spread = self._spread_kw(minute, soc) * memory["pace"]
            wanted = np.where(np.isnan(memory["charge_kw"]), spread, memory["charge_kw"])
            power = -np.minimum(np.minimum(wanted, self.rated_kw), room_kw)
        elif reading.deliver[minute]:
            stock_kwh = np.maximum(soc - empty, 0.0) * self.capacity_kwh * EFFICIENCY
            spare = stock_kwh - self.rated_kw * reading.dearer_h[minute]
            power = spare / max(float(reading.equal_h[minute]), hours)
            power = np.clip(np.minimum(power, stock_kwh / hours), 0.0, self.rated_kw)
        else:
            power = np.zeros_like(soc)
        into = np.where(power < 0.0, -power * EFFICIENCY, -power / EFFICIENCY)
        return power, soc + into * hours / self.capacity_kwh

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
        low = self.memory["empty"]
        return np.maximum(soc - low, 0.0) * self.capacity_kwh * EFFICIENCY

    def tables(self) -> Mapping[str, Table]:
        """Return everything that evolves."""
        return {"owners": self.memory}
