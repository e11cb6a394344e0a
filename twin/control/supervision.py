"""Supervision: what the platform believes of the fleet, and the alarms it raises.

Belief is the last plausible reading with its own time stamp. A reading that cannot be true (not
finite, out of the point's range, half as much again as the rating) is not believed; power of
the wrong sign, as from a swapped transformer, is turned where status or kind betray it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, SECOND_MS
from twin.control.memory import whole
from twin.record.alarms import Condition, conditions, poll_period_ms
from twin.record.exchange import Alarm, FleetReport, Inventory, KindInventory, Quality, Reading
from twin.record.table import Table

NEVER_MS = -(10**15)
PLAUSIBLE_RATINGS = 1.5  # more than this times the rating is no measurement (assumed)
PLAUSIBLE_DEMANDS = 3.0  # the same for a customer, whose "rating" is his registered demand
SIGN_DEAD_BAND = 0.02  # of the rating: below it a sign says nothing (assumed)
FRESH_MS = 3 * MINUTE_MS  # older readings are no basis for closed-loop control (assumed)

# Kinds that can only draw, or only feed: the other sign is a swapped transformer.
ONLY_DRAW = ("aircon", "icestore", "industry", "shorepower", "terminal")
ONLY_FEED = ("solar",)


class Watch:
    """Belief on one kind.

    Attributes
    ----------
    memory : extra arrays ``value`` float64[points, n], ``time_ms`` int64[n], ``soc_step``
        float64[n] (last change of SOC), and ``held_ms``, ``since_ms`` by condition
    """

    def __init__(self, kind: KindInventory, sites: Mapping[str, NDArray[np.float64]]) -> None:
        self.kind, self.n = kind, kind.n
        self.index = {p.name: i for i, p in enumerate(kind.points)}
        self.rules = tuple(c for c in conditions() if c.applies(kind.name))
        columns = kind.columns
        self.sites = sites
        rated = columns.f8("rated_kw") if "rated_kw" in columns else np.full(self.n, np.inf)
        self.rated_kw = np.where(rated > 0.0, rated, np.inf)
        most = PLAUSIBLE_DEMANDS if kind.name == "terminal" else PLAUSIBLE_RATINGS
        self.most_kw = most * self.rated_kw
        low = np.full((len(kind.points), 1), -np.finfo(np.float64).max)
        high = -low
        for i, point in enumerate(kind.points):
            span = point.high - point.low
            if not point.per_rating and np.isfinite(span):
                low[i], high[i] = point.low - 0.05 * span, point.high + 0.05 * span
        self.low, self.high = low, high
        rules = len(self.rules)
        self.memory = Table(
            (),
            0,
            {
                "value": np.full((len(kind.points), self.n), np.nan),
                "time_ms": np.full(self.n, NEVER_MS, np.int64),
                "soc_step": np.zeros(self.n),
                "held_ms": np.zeros((rules, self.n), np.int64),
                "since_ms": np.full((rules, self.n), NEVER_MS, np.int64),
                "standing": np.zeros(rules, np.int64),
                "looked_ms": np.full(1, NEVER_MS, np.int64),
                "first_ms": np.full(1, NEVER_MS, np.int64),
            },
        )
        self.clean = np.zeros((len(kind.points), self.n))

    def get(self, point: str) -> NDArray[np.float64]:
        """Return the believed values of `point`, NaN where never read (a view)."""
        row: NDArray[np.float64] = self.memory["value"][self.index[point]]
        return row

    def or_zero(self, point: str) -> NDArray[np.float64]:
        """Return the believed values of `point`, 0 where never read or not shown by the kind."""
        if point not in self.index:
            return np.zeros(self.n)
        row: NDArray[np.float64] = self.clean[self.index[point]]
        return row

    def fresh(self, now_ms: int, within_ms: int = FRESH_MS) -> NDArray[np.bool_]:
        """Return which devices were read within `within_ms` before `now_ms`."""
        return np.asarray(now_ms - self.memory["time_ms"] <= within_ms)

    def refresh(self) -> None:
        """Work out `clean` (unknown is 0) from what is believed."""
        np.copyto(self.clean, self.memory["value"])
        self.clean[np.isnan(self.clean)] = 0.0

    def take(self, reading: Reading) -> None:
        """Believe what is believable of `reading`; anything of another shape is left aside."""
        held = self.memory["value"]
        if reading.value.shape != held.shape or reading.quality.shape != (self.n,):
            return
        good = reading.quality == Quality.GOOD
        value = reading.value
        good &= ((value >= self.low) & (value <= self.high)).all(axis=0)  # NaN is neither
        good &= np.abs(value[0]) <= self.most_kw
        if "soc" in self.index:
            step = np.abs(np.where(good, value[self.index["soc"]], np.nan) - self.get("soc"))
            self.memory["soc_step"] = np.where(np.isnan(step), 0.0, step)
        np.copyto(held, value, where=good)
        np.copyto(self.memory["time_ms"], reading.time_ms, where=good, casting="same_kind")
        self._repair(held[0])
        self.refresh()

    def _repair(self, power_kw: NDArray[np.float64]) -> None:
        """Turn power of an impossible sign, in place."""
        band = SIGN_DEAD_BAND * self.rated_kw
        name = self.kind.name
        if name in ONLY_DRAW:
            wrong = power_kw > band
        elif name in ONLY_FEED:
            wrong = power_kw < -band
        elif name == "storage" and "status" in self.index:
            status = self.get("status")
            wrong = ((status == 1) & (power_kw > band)) | ((status == 2) & (power_kw < -band))
            standing = (status == 0) & (np.abs(power_kw) > 0.1 * self.rated_kw)
            power_kw[standing] = 0.0  # a frozen sensor: the status word is another one
        else:
            return
        power_kw[wrong] *= -1.0

    # -- alarms ----------------------------------------------------------------------------

    def alarms(self, now_ms: int) -> list[Alarm]:
        """Return alarms that began or ended, from what is believed at `now_ms`."""
        found: list[Alarm] = []
        since, held = self.memory["since_ms"], self.memory["held_ms"]
        counts, nowhere = whole(self.memory, "standing"), np.zeros(self.n, np.bool_)
        looked = int(self.memory["looked_ms"][0])
        silent = self._silent_periods(now_ms)
        quiet = bool(silent.max(initial=0.0) <= 1.0)
        passed = MINUTE_MS if looked == NEVER_MS else now_ms - looked
        self.memory["looked_ms"] = now_ms
        for i, rule in enumerate(self.rules):
            if rule.quantity == "silent_periods" and quiet and counts[i] == 0:
                continue
            value = self._quantity(rule, silent)
            if value is None:
                continue
            standing = nowhere if counts[i] == 0 else since[i] != NEVER_MS
            holds = rule.holds(value, standing)
            if counts[i] == 0 and not holds.any():
                held[i] = 0
                continue
            held[i] += passed
            held[i, ~holds] = 0
            begins = holds & ~standing & (held[i] > rule.delay_s * SECOND_MS)
            ends = standing & ~holds
            for row in np.flatnonzero(ends):
                found.append(Alarm(self.kind.name, int(row), rule.name, int(since[i, row]), now_ms))
            found += [
                Alarm(self.kind.name, int(row), rule.name, now_ms) for row in np.flatnonzero(begins)
            ]
            since[i, begins] = now_ms
            since[i, ends] = NEVER_MS
            counts[i] += int(np.count_nonzero(begins)) - int(np.count_nonzero(ends))
        return found

    def _silent_periods(self, now_ms: int) -> NDArray[np.float64]:
        """Return for how many poll periods each device has been silent.

        One that never answered is silent since the platform first looked.
        """
        heard = whole(self.memory, "time_ms")
        heard = np.where(heard == NEVER_MS, int(self.memory.extra["first_ms"][0]), heard)
        return np.asarray((now_ms - heard) / poll_period_ms(self.kind.name))

    def _quantity(self, rule: Condition, silent: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return what `rule` looks at; NaN where it is not known."""
        name = rule.quantity
        if name == "silent_periods":
            return silent
        if name == "soc_step":
            return self.memory["soc_step"] if "soc" in self.index else None
        if name == "setpoint_error":
            if not {"setpoint_kw", "remote"} <= self.index.keys():
                return None
            error = np.abs(self.get("power_kw") - self.get("setpoint_kw")) / self.rated_kw
            return np.where(self.get("remote") > 0, error, 0.0)
        if name == "export_excess":
            if "demand_kw" not in self.index or "contracted_kw" not in self.sites:
                return None
            excess = -self.get("demand_kw") - self.sites["export_limit_kw"]
            return np.asarray(excess / np.maximum(self.sites["contracted_kw"], 1e-9))
        return self.get(name) if name in self.index else None


class Supervision:
    """Belief on the whole fleet.

    Attributes
    ----------
    watch : by kind, `Watch`
    """

    def __init__(self, inventory: Inventory) -> None:
        sites = {
            name: inventory.sites.f8(name)
            for name in ("contracted_kw", "export_limit_kw")
            if name in inventory.sites
        }
        self.watch = {name: Watch(kind, sites) for name, kind in inventory.kinds.items()}

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"watch.{name}": watch.memory for name, watch in self.watch.items()}

    def take(self, now_ms: int, readings: Mapping[str, Reading]) -> list[Alarm]:
        """Take readings; return alarms that began or ended."""
        found: list[Alarm] = []
        for name, reading in readings.items():
            watch = self.watch.get(name)
            if watch is None or watch.n == 0:
                continue
            first = watch.memory.extra["first_ms"]
            if int(first[0]) == NEVER_MS:
                first[0] = now_ms
            watch.take(reading)
            found += watch.alarms(now_ms)
        return found

    def reports(self) -> list[FleetReport]:
        """Return belief on every kind."""
        return [self._report(w) for w in self.watch.values() if "power_kw" in w.index]

    def _report(self, watch: Watch) -> FleetReport:
        """Return belief on one kind: SOC and energy today (in plus out) where it has them."""
        counters = {"charged_today_kwh", "discharged_today_kwh"} <= watch.index.keys()
        return FleetReport(
            watch.kind.name,
            watch.get("power_kw").copy(),
            watch.get("soc").copy() if "soc" in watch.index else None,
            watch.get("charged_today_kwh") + watch.get("discharged_today_kwh")
            if counters
            else None,
            whole(watch.memory, "time_ms").copy(),
        )

    def scalar(self, kind: str, point: str) -> float | None:
        """Return the value of a single-row kind's point, None when it is not known."""
        watch = self.watch.get(kind)
        if watch is None or watch.n == 0 or point not in watch.index:
            return None
        value = float(watch.get(point)[0])
        return value if np.isfinite(value) else None
