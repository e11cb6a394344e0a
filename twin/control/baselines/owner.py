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

from twin.clock import HOUR_MS, MINUTE_MS, minute_of_day
from twin.control.memory import whole
from twin.control.supervision.watch import NEVER_MS
from twin.record.columns import Columns
from twin.record.table import Table

Floats = NDArray[np.float64]

MINUTES = 1_440
PEAK = 2
EFFICIENCY = 0.94  # one way, AC to cell: the root of 0.88 (LFP practice, general knowledge)
SOC_EMPTY = 0.10  # owners keep this much (assumed); the lowest SOC seen replaces it
SOC_FULL = 0.90  # highest SOC before a higher one was seen (assumed)
# Registered capacities are 7 % off, as batteries age, SOC is read to 1 % at both ends of a move
# (both assumed): the move after which what is seen weighs as much as what is registered.
PRIOR_SOC = 0.014 / 0.07
LATEST_MIN = 20  # after a window's begin that a start is put down to the owner's habit (assumed)
PLAN_STEP_MIN = 15
LOOK_MS = 5 * MINUTE_MS  # between two looks at owners whom nobody commands
MARK_MS = 15 * MINUTE_MS  # between two looks at the counters
STANDING = 0.015  # of the rating: auxiliaries and no-load loss while running (general knowledge)
LEAST_MOVED = 0.005  # of SOC; less is lost in a reading's resolution (assumed)
FULLEST = 0.9  # quantile of the fleet's highest SOC that all are expected to reach (assumed)
NEAR_FULL = 0.1  # below the fullest SOC seen, within which charging power falls for want of room
OF_LIMIT = 0.05  # of the rating: so near to all or nothing a limit tells no slope (both assumed)
LEAST_SHARE = 0.2  # of a window that charging takes at the least (assumed)


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

    Rows of `memory`: ``soc`` and ``power_kw`` of the shadow, ``charge_kw`` the power chosen for
    this charging window, ``full`` and ``empty`` the extreme SOC seen, ``in_kwh`` and ``in_soc``
    (``out_``) energy and SOC that went with it, from which the working capacity is learned,
    ``per_in`` and ``per_out`` that capacity [kWh AC], ``mark_`` the readings it is learned from,
    ``hasty`` 1 for owners seen to discharge at full power where others spread over the dear
    hours, ``share`` of a window that an owner was seen to take to fill up (NaN: not seen),
    ``knee`` and ``top`` the SOC above which charging power falls, and where it would be 0 (NaN).
    """

    def __init__(self, columns: Columns, tariff_period: NDArray[np.int64]) -> None:
        self.rated_kw, self.capacity_kwh = columns.f8("rated_kw"), columns.f8("capacity_kwh")
        self.reading = TariffReading(tariff_period)
        self.memory = Table(
            (
                "soc", "power_kw", "charge_kw", "full", "empty", "mark_soc", "mark_in", "mark_out",
                "in_kwh", "in_soc", "out_kwh", "out_soc", "hasty", "per_in", "per_out", "share",
                "knee", "top",
            ),
            columns.n,
            {
                "pace": np.ones(1),
                "late_min": np.zeros(columns.n, np.int64),
                "seen_ms": np.full(1, NEVER_MS, np.int64),
            },
        )  # fmt: skip
        self.memory["soc"] = 0.5
        for name in ("mark_soc", "charge_kw", "share", "knee", "top"):
            self.memory[name] = np.nan
        self._weigh_capacity()
        self.memory["full"], self.memory["empty"] = SOC_FULL, SOC_EMPTY

    def due(self, now_ms: int) -> bool:
        """Return whether to look while nobody is commanded: often where charging begins."""
        since = int(self.reading.since_min[minute_of_day(now_ms - MINUTE_MS)])
        begins = self.reading.charge[minute_of_day(now_ms - MINUTE_MS)] and since <= LATEST_MIN + 5
        return bool(begins) or now_ms % LOOK_MS == 0

    def observe(
        self, now_ms: int, power_kw: Floats, soc: Floats, untouched: NDArray[np.bool_]
    ) -> None:
        """Follow readings where the owner rules, the model elsewhere, since the last call.

        What is read at `now_ms` shows the minute that ends there.
        """
        memory, minute = self.memory, minute_of_day(now_ms - MINUTE_MS)
        last = int(memory.extra["seen_ms"][0])
        passed = MINUTE_MS if last == NEVER_MS else now_ms - last
        passed = min(max(passed, MINUTE_MS), 15 * MINUTE_MS)
        memory["seen_ms"] = now_ms
        seen = untouched & (power_kw == power_kw) & (soc == soc)
        weak = 0.05 * self.rated_kw
        charging = seen & (power_kw < -weak)
        held, pace = memory["charge_kw"], memory["pace"]
        # Owners' clocks and habits differ: who starts charging late does everything late.
        since = int(self.reading.since_min[minute])
        if self.reading.charge[minute] and since <= LATEST_MIN:
            begins = charging & (memory["power_kw"] > -weak)
            whole(memory, "late_min")[begins] = since
        own = self._own_minute(minute)
        window = self.reading.charge[own]
        held[~window] = np.nan  # the next window may be run at another power
        if window.any():
            self._learn_share(own, power_kw, soc, seen & window, passed)
            spread = np.where(window, self._spread_kw(own, memory["soc"]), 0.0)
            first = charging & np.isnan(held) & (spread > weak)
            if first.any():
                # How much faster than evenly owners charge: those seen tell of the others.
                seen_pace = float(-power_kw[first].sum() / spread[first].sum())
                pace += 0.3 * (min(max(seen_pace, 0.5), 3.0) - pace)
            held[charging] = -power_kw[charging]
        if self.reading.deliver[minute]:
            self._learn_haste(minute, power_kw, seen)
        np.maximum(memory["full"], soc, out=memory["full"], where=seen)
        np.minimum(memory["empty"], soc, out=memory["empty"], where=seen)
        if seen.any():
            # Batteries of one market are run between much the same limits: what most of the
            # fullest reach is expected of those not seen full yet.
            reached = float(np.quantile(memory["full"], FULLEST))
            np.maximum(memory["full"], reached, out=memory["full"])
        if seen.all():
            memory["power_kw"], memory["soc"] = power_kw, soc
            return
        power, then = self.step(minute, memory["soc"], passed / HOUR_MS, held)
        memory["power_kw"] = np.where(seen, power_kw, power)
        memory["soc"] = np.where(seen, soc, then)

    def _learn_share(
        self, own: NDArray[np.int64], power_kw: Floats, soc: Floats, seen: NDArray[np.bool_],
        passed_ms: int,
    ) -> None:  # fmt: skip
        """Note what share of the window an owner took whose battery has just become full.

        It became so at some time since the last look, `passed_ms` ago: half of that on average.
        """
        memory = self.memory
        ends = seen & (memory["power_kw"] < -0.05 * self.rated_kw)
        ends &= (power_kw > -0.05 * self.rated_kw) & (soc > memory["full"] - 0.05)
        if ends.any():
            whole_h = self.reading.since_min[own] / 60.0 + self.reading.left_h[own]
            took_h = self.reading.since_min[own] / 60.0 - 0.5 * (passed_ms - MINUTE_MS) / HOUR_MS
            share = took_h / np.maximum(whole_h, 0.1)
            memory["share"] = np.where(ends, np.clip(share, LEAST_SHARE, 1.0), memory["share"])

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
        np.copyto(memory["hasty"], full, where=tells, casting="unsafe")

    def learn_taper(self, soc: Floats, limit_kw: Floats) -> None:
        """Learn how charging power falls towards the top from what batteries say they can take.

        On a straight line from the highest SOC at which all of the rating was still possible.
        """
        memory, part = self.memory, limit_kw / self.rated_kw
        high = soc > memory["full"] - NEAR_FULL
        whole_part = high & (part >= 1.0 - OF_LIMIT)
        memory["knee"] = np.where(whole_part, np.fmax(memory["knee"], soc), memory["knee"])
        above = soc - memory["knee"]
        falls = high & (part > OF_LIMIT) & (part < 1.0 - OF_LIMIT) & (above > LEAST_MOVED)
        top = memory["knee"] + above / np.maximum(1.0 - part, OF_LIMIT)
        memory["top"] = np.where(falls, top, memory["top"])

    def learn_capacity(self, soc: Floats, charged_kwh: Floats, discharged_kwh: Floats) -> None:
        """Learn the working capacity from the day's counters and the SOC that went with them.

        Commands do not matter here: a battery holds what it holds.
        """
        memory = self.memory
        moved = soc - memory["mark_soc"]
        counters = (("mark_in", charged_kwh, "in", 1.0), ("mark_out", discharged_kwh, "out", -1.0))
        step = [now - memory[mark] for mark, now, _, _ in counters]
        for (_, _, way, sign), mine, other in zip(counters, step, step[::-1], strict=True):
            # Both unchanged signs of NaN and of a counter's return to 0 fail every comparison.
            clear = (sign * moved > LEAST_MOVED) & (mine > 0.0) & (np.abs(other) < 0.02 * mine)
            # Fans, cooling and idling converters draw the same whatever the cells get.
            cells = mine - sign * STANDING * self.rated_kw * (MARK_MS / HOUR_MS)
            memory[f"{way}_kwh"] += np.where(clear, np.maximum(cells, 0.0), 0.0)
            memory[f"{way}_soc"] += np.where(clear, np.abs(moved), 0.0)
        memory["mark_soc"] = soc
        for mark, now, _, _ in counters:
            memory[mark] = now
        self._weigh_capacity()

    def _weigh_capacity(self) -> None:
        """Work out ``per_in`` and ``per_out``; the more was seen, the less is registered."""
        memory = self.memory
        for way, factor in (("in", 1.0 / EFFICIENCY), ("out", EFFICIENCY)):
            registered = self.capacity_kwh * factor
            moved = memory[f"{way}_soc"]
            weight = moved**2 / (moved**2 + PRIOR_SOC**2)
            seen = memory[f"{way}_kwh"] / np.maximum(moved, 1e-6)
            learned = registered + weight * (seen - registered)
            memory[f"per_{way}"] = np.clip(learned, 0.5 * registered, 1.3 * registered)

    def per_soc_kwh(self, way: str) -> Floats:
        """Return AC energy that goes with all of the SOC, `way` "in" or "out"."""
        return self.memory[f"per_{way}"]

    def coming_kw(self, now_ms: int) -> Floats:
        """Return what owners would do in the minute that begins at `now_ms`."""
        held = self.memory["charge_kw"].copy()
        return self.step(minute_of_day(now_ms), self.memory["soc"], 1.0 / 60.0, held)[0]

    def followed(self, now_ms: int) -> NDArray[np.bool_]:
        """Return of which owners the present charging is known, or who are not at it."""
        memory = self.memory
        known = ~np.isnan(memory["share"]) | ~np.isnan(memory["charge_kw"])
        own = self._own_minute(minute_of_day(now_ms))
        return known | ~self.reading.charge[own]

    def _own_minute(self, minute: int) -> NDArray[np.int64]:
        """Return the minute of the day that each owner acts on at `minute`."""
        return (minute - whole(self.memory, "late_min")) % MINUTES

    def _spread_kw(self, own: NDArray[np.int64], soc: Floats) -> Floats:
        """Return the charging power that fills the battery just at the end of the window."""
        room_kwh = np.maximum(self.memory["full"] - soc, 0.0) * self.per_soc_kwh("in")
        return np.asarray(room_kwh / np.maximum(self.reading.left_h[own], 1.0 / 60.0))

    def _tapered_kw(self, soc: Floats, hours: float) -> Floats:
        """Return the mean that a battery takes over `hours` as its power falls, NaN unknown."""
        top, into = self.memory["top"], self.per_soc_kwh("in")
        fades_h = np.maximum((top - self.memory["knee"]) * into / self.rated_kw, 1e-6)
        left_kwh = np.maximum(top - soc, 0.0) * into
        return np.asarray(left_kwh * -np.expm1(-hours / fades_h) / hours)

    def step(self, minute: int, soc: Floats, hours: float, held: Floats) -> tuple[Floats, Floats]:
        """Return power [kW] and SOC after `hours` of the owners' rule at `minute` of the day.

        `held` is the charging power chosen at the begin of a window, NaN where none is; it is
        kept up to date in place.
        """
        memory, reading, own = self.memory, self.reading, self._own_minute(minute)
        into, out = self.per_soc_kwh("in"), self.per_soc_kwh("out")
        power = np.zeros_like(soc)
        charge, deliver = reading.charge[own], reading.deliver[own]
        held[~charge] = np.nan
        if charge.any():
            room_kw = np.maximum(memory["full"] - soc, 0.0) * into / hours
            begins = charge & np.isnan(held)
            if begins.any():
                pace = 1.0 / memory["share"]
                pace = np.where(np.isnan(pace), memory["pace"], pace)
                chosen = np.minimum(self._spread_kw(own, soc) * pace, self.rated_kw)
                np.copyto(held, chosen, where=begins)
            drawn = np.fmin(np.minimum(held, room_kw), self._tapered_kw(soc, hours))
            power = np.where(charge, -drawn, power)
        if deliver.any():
            stock_kwh = np.maximum(soc - memory["empty"], 0.0) * out
            spare = stock_kwh - self.rated_kw * reading.dearer_h[own]
            over_h = np.where(memory["hasty"] > 0.0, hours, reading.equal_h[own])
            fed = np.minimum(spare / np.maximum(over_h, hours), stock_kwh / hours)
            fed = np.minimum(np.maximum(fed, 0.0), self.rated_kw)
            power = np.where(deliver, fed, power)
        cells = power + np.where(power == 0.0, 0.0, STANDING * self.rated_kw)
        return power, soc - cells * hours / np.where(power < 0.0, into, out)

    def forecast(self, now_ms: int, until_ms: int) -> Floats:
        """Return the shadow's mean power by quarter of an hour, float64[quarters, n]."""
        quarters = max(-(-(until_ms - now_ms) // (PLAN_STEP_MIN * 60_000)), 1)
        soc, held = self.memory["soc"].copy(), self.memory["charge_kw"].copy()
        out = np.zeros((quarters, len(soc)))
        for q in range(quarters):
            for third in range(3):
                minute = minute_of_day(now_ms + (q * PLAN_STEP_MIN + third * 5) * 60_000)
                power, soc = self.step(minute, soc, 5.0 / 60.0, held)
                out[q] += power / 3.0
        return out

    def stock_kwh(self, soc: Floats) -> Floats:
        """Return what could be fed to the grid from `soc` down to the owner's reserve."""
        return np.maximum(soc - self.memory["empty"], 0.0) * self.per_soc_kwh("out")

    def tables(self) -> Mapping[str, Table]:
        """Return everything that evolves."""
        return {"owners": self.memory}
