"""Supervision: what the platform believes of the fleet, and the alarms it raises.

Belief is the last plausible reading with its own time stamp. A reading that cannot be true (not
finite, out of the point's range, half as much again as the rating) is not believed; power of
the wrong sign, as from a swapped transformer, is turned where status or kind betray it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, SECOND_MS
from twin.control.memory import whole
from twin.control.wiring import Wiring
from twin.record.alarms import Condition, conditions, poll_period_ms
from twin.record.exchange import Alarm, FleetReport, Inventory, KindInventory, Quality, Reading
from twin.record.table import Table

NEVER_MS = -(10**15)
GOOD = int(Quality.GOOD)
PLAUSIBLE_RATINGS = 1.5  # more than this times the rating is no measurement (assumed)
PLAUSIBLE_DEMANDS = 3.0  # the same for a customer, whose "rating" is his registered demand
SIGN_DEAD_BAND = 0.02  # of the rating: below it a sign says nothing (assumed)
FRESH_MS = 3 * MINUTE_MS  # older readings are no basis for closed-loop control (assumed)

UNUSED = ("busbar",)  # no rule of this platform looks at station meters

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
                "watched": np.zeros(rules, np.int64),
                "looked_ms": np.full(1, NEVER_MS, np.int64),
                "first_ms": np.full(1, NEVER_MS, np.int64),
            },
        )
        self.clean = np.zeros((len(kind.points), self.n))
        self.bounded = np.flatnonzero(((low > -np.finfo(np.float64).max) | (high < -low))[:, 0])
        self.band_kw = SIGN_DEAD_BAND * self.rated_kw
        self.period_ms = poll_period_ms(kind.name)

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
        return np.asarray(self.memory["time_ms"] >= now_ms - within_ms)

    def refresh(self) -> None:
        """Work out `clean` (unknown is 0) from what is believed."""
        np.copyto(self.clean, self.memory["value"])
        self.clean[np.isnan(self.clean)] = 0.0

    def take(self, reading: Reading) -> NDArray[np.bool_] | None:
        """Believe what is believable of `reading`; return of which devices that is.

        None: it was of another shape and is left aside.
        """
        held, value = self.memory["value"], reading.value
        if value.shape != held.shape or reading.quality.shape != (self.n,):
            return None
        good = reading.quality == GOOD
        good &= np.abs(value[0]) <= self.most_kw  # NaN is no less than anything
        if not np.isfinite(value.sum()):  # one sum finds any NaN or infinity
            good &= np.isfinite(value).all(axis=0)
        if len(self.bounded) > 0:
            bounded = value[self.bounded]
            inside = bounded >= self.low[self.bounded]
            inside &= bounded <= self.high[self.bounded]
            if not inside.all():
                good &= inside.all(axis=0)
        if "soc" in self.index:
            step = np.abs(value[self.index["soc"]] - self.get("soc"))
            known = good & (step >= 0.0)
            self.memory["soc_step"] = np.where(known, step, 0.0)
        np.copyto(held, value, where=good)
        np.copyto(self.memory["time_ms"], reading.time_ms, where=good, casting="same_kind")
        self._repair(held[0])
        np.copyto(self.clean, held, where=good)
        return np.asarray(good)

    def _repair(self, power_kw: NDArray[np.float64]) -> None:
        """Turn power of an impossible sign, in place."""
        name = self.kind.name
        if name in ONLY_DRAW:
            wrong = power_kw > self.band_kw
        elif name in ONLY_FEED:
            wrong = power_kw < -self.band_kw
        elif name == "storage" and "status" in self.index:
            status = self.get("status")
            wrong = (status == 1) & (power_kw > self.band_kw)
            wrong |= (status == 2) & (power_kw < -self.band_kw)
            standing = (status == 0) & (np.abs(power_kw) > 0.1 * self.rated_kw)
            power_kw[standing] = 0.0  # a frozen sensor: the status word is another one
        else:
            return
        if wrong.any():
            power_kw[wrong] *= -1.0

    # -- alarms ----------------------------------------------------------------------------

    def alarms(self, now_ms: int) -> list[Alarm]:
        """Return alarms that began or ended, from what is believed at `now_ms`.

        Only rows beyond a limit, or already under watch, are looked at closely.
        """
        found: list[Alarm] = []
        counts = whole(self.memory, "watched")
        looked = int(self.memory["looked_ms"][0])
        passed = MINUTE_MS if looked == NEVER_MS else now_ms - looked
        self.memory["looked_ms"] = now_ms
        heard = whole(self.memory, "time_ms")
        late = self._late(now_ms, heard)
        for i, rule in enumerate(self.rules):
            if rule.quantity == "silent_periods":
                beyond = late
                if len(late) == 0 and counts[i] == 0:
                    continue
                value = self._silent_periods(now_ms, heard)
            else:
                seen = self._quantity(rule)
                if seen is None:
                    continue
                value, outside = seen, seen > rule.above
                if rule.below > -np.inf:
                    outside |= seen < rule.below
                beyond = np.flatnonzero(outside)
            if len(beyond) > 0 or counts[i] > 0:
                found += self._judge(i, value, beyond, passed, now_ms)
        return found

    def _judge(
        self, i: int, value: NDArray[np.float64], beyond: NDArray[np.int64], passed: int,
        now_ms: int,
    ) -> list[Alarm]:  # fmt: skip
        """Return what begins or ends under rule `i` at rows beyond its limit or watched."""
        rule = self.rules[i]
        since, held = whole(self.memory, "since_ms")[i], whole(self.memory, "held_ms")[i]
        watched = (held > 0) | (since != NEVER_MS)
        watched[beyond] = True
        rows = np.flatnonzero(watched)
        standing = since[rows] != NEVER_MS
        holds = rule.holds(value[rows], standing)
        # A first sight says nothing of the time since the last look but its last minute.
        before = held[rows]
        lasts = before + np.where(before > 0, passed, min(passed, MINUTE_MS))
        held[rows] = np.where(holds, lasts, 0)
        begins = rows[holds & ~standing & (lasts > rule.delay_s * SECOND_MS)]
        ends = rows[standing & ~holds]
        name, kind = rule.name, self.kind.name
        found = [Alarm(kind, int(r), name, int(since[r]), now_ms) for r in ends]
        found += [Alarm(kind, int(r), name, now_ms) for r in begins]
        since[begins], since[ends] = now_ms, NEVER_MS
        self.memory["watched"][i] = np.count_nonzero((held[rows] > 0) | (since[rows] != NEVER_MS))
        return found

    def _late(self, now_ms: int, heard: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows that have been silent for more than two poll periods."""
        return np.flatnonzero(heard < now_ms - 2 * self.period_ms)

    def _silent_periods(self, now_ms: int, heard: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return for how many poll periods each device has been silent.

        One that never answered is silent since the platform first looked.
        """
        first = int(self.memory.extra["first_ms"][0])
        return np.asarray((now_ms - np.where(heard == NEVER_MS, first, heard)) / self.period_ms)

    def energy_today_kwh(self) -> NDArray[np.float64] | None:
        """Return charged plus discharged energy of the day, None for kinds without counters.

        A device that never answered gets a substitute value, the mean of the others by
        registered capacity, as metering practice fills gaps (general knowledge).
        """
        counters = ("charged_today_kwh", "discharged_today_kwh")
        if not set(counters) <= self.index.keys():
            return None
        energy = self.get(counters[0]) + self.get(counters[1])
        known = np.isfinite(energy)
        if known.all() or "capacity_kwh" not in self.kind.columns:
            return energy
        capacity = self.kind.columns.f8("capacity_kwh")
        per_kwh = float(energy[known].sum()) / max(float(capacity[known].sum()), 1e-6)
        return np.where(known, energy, per_kwh * capacity)

    def _quantity(self, rule: Condition) -> NDArray[np.float64] | None:
        """Return what `rule` looks at; NaN where it is not known."""
        name = rule.quantity
        if name == "soc_step":
            return self.memory["soc_step"] if "soc" in self.index else None
        if name == "setpoint_error":
            if not {"setpoint_kw", "remote", "status"} <= self.index.keys():
                return None
            power, wanted = self.get("power_kw"), self.get("setpoint_kw")
            error = np.abs(power - wanted) / self.rated_kw
            # A meter that shows standstill while the status word says running is dead: it
            # tells nothing of whether the command is followed.
            status = self.get("status")
            dead = (np.abs(power) < self.band_kw) & ((status == 1) | (status == 2))
            return np.where((self.get("remote") > 0) & ~dead, error, 0.0)
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
        self.sites = sites = {
            name: inventory.sites.f8(name)
            for name in ("contracted_kw", "export_limit_kw")
            if name in inventory.sites
        }
        self.watch = {
            name: Watch(kind, sites) for name, kind in inventory.kinds.items() if name not in UNUSED
        }
        self.wiring = Wiring(inventory, self.sites)
        meters = self.watch.get("meter")
        if meters is not None:
            meters.memory.extra["turned"] = np.zeros(meters.n, np.bool_)

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"watch.{name}": watch.memory for name, watch in self.watch.items()}

    def take(self, now_ms: int, readings: Mapping[str, Reading]) -> list[Alarm]:
        """Take readings; return alarms that began or ended."""
        found: list[Alarm] = []
        # Meters come last: what they can show depends on the generation behind them.
        for name, reading in sorted(readings.items(), key=lambda item: item[0] == "meter"):
            watch = self.watch.get(name)
            if watch is None or watch.n == 0:
                continue
            first = watch.memory.extra["first_ms"]
            if int(first[0]) == NEVER_MS:
                first[0] = now_ms
            took = watch.take(reading)
            if name == "meter" and took is not None:
                self._turn_meters(now_ms, watch, took)
            found += watch.alarms(now_ms)
        return found

    def _turn_meters(self, now_ms: int, watch: Watch, took: NDArray[np.bool_]) -> None:
        """Turn meters that show more feed-in than the generators behind them make."""
        if "demand_kw" not in watch.index:
            return
        demand = watch.get("demand_kw")
        turned = cast("NDArray[np.bool_]", watch.memory.extra["turned"])
        feeds = {
            kind: (unit.or_zero("power_kw"), unit.fresh(now_ms, 3 * unit.period_ms))
            for kind, unit in self.watch.items()
            if kind in self.wiring.generators
        }
        self.wiring.turn(demand, took, turned, feeds)
        np.copyto(watch.clean[watch.index["demand_kw"]], demand, where=took)

    def known(self, kind: str) -> bool:
        """Return whether `kind` was ever read."""
        watch = self.watch[kind]
        return watch.n == 0 or int(watch.memory.extra["first_ms"][0]) != NEVER_MS

    def reports(self, kinds: Iterable[str]) -> list[FleetReport]:
        """Return belief on those of `kinds` that have a power; the rest stands as reported."""
        known = (self.watch[k] for k in kinds if k in self.watch)
        return [self._report(w) for w in known if "power_kw" in w.index]

    def _report(self, watch: Watch) -> FleetReport:
        """Return belief on one kind: SOC and energy today (in plus out) where it has them."""
        return FleetReport(
            watch.kind.name,
            watch.get("power_kw").copy(),
            watch.get("soc").copy() if "soc" in watch.index else None,
            watch.energy_today_kwh(),
            whole(watch.memory, "time_ms").copy(),
        )

    def scalar(self, kind: str, point: str) -> float | None:
        """Return the value of a single-row kind's point, None when it is not known."""
        watch = self.watch.get(kind)
        if watch is None or watch.n == 0 or point not in watch.index:
            return None
        value = float(watch.get(point)[0])
        return value if np.isfinite(value) else None
