"""What devices would draw without the order: the logic's own counterfactual.

Three sources, all of them readings. Batteries: a shadow of the owner's tariff rule
(`twin.control.baselines.owner`). Chargers: what they say they would draw without limit, less
what the vehicles kept waiting add to it, and a held-out sample. Buildings: their power before
the order times what a held-out sample (and the forecast temperature, where the sample is small)
has done since. The rest: what the device usually draws in this tariff period. A device that is not
touched is its own baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, minute_of_day
from twin.control.baselines.owner import MARK_MS, StorageOwners
from twin.control.supervision.fleet import Supervision, Watch
from twin.control.supervision.watch import NEVER_MS
from twin.record.exchange import Calendar, Inventory
from twin.record.table import Table

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FLEXIBLE = (
    "storage", "aircon", "icestore", "charging", "swap", "industry", "hydrogen", "shorepower",
)  # fmt: skip
# Share of a kind's enrolled devices that is never dispatched in a tracked order, so that the
# platform sees what the others would have done (assumed; control groups are usual practice).
HELD_OUT = {"aircon": 0.05, "charging": 0.05}
# Devices of a sample that weigh as much as the model (assumed).
SAMPLE_HALF = {"aircon": 8.0, "charging": 40.0}
GROUPS = {"aircon": ("use", 5), "charging": ("use", 3)}
# Forgetting per minute of what is learned of an untouched device (assumed): buildings and
# chargers follow the last minutes, lines and plants their hour.
FORGET = {"aircon": 0.2, "charging": 0.1, "shorepower": 0.2}
FORGET_ELSE = 1.0 / 30.0
BY_TARIFF = ("icestore", "swap", "hydrogen")
BALANCE_C = 20.0  # outdoor temperature below which cooling no longer follows weather (assumed)
LOST_MS = 3_600_000  # a device not heard for this long has reverted to its owner (assumed)


def keyed_fraction(rows: NDArray[np.int64], salt: int) -> Floats:
    """Return a fixed pseudo-random number in [0, 1) for each row (splitmix64)."""
    x = rows.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(11), np.float64) / float(2**53)


class Habits:
    """What untouched devices usually draw, learned minute by minute; shared by all orders.

    Rows of each memory: ``usual_kw`` (positive demand) and ``tariff_0..3`` the same by tariff
    period, NaN where not seen yet.
    """

    def __init__(self, inventory: Inventory, calendar: Calendar) -> None:
        self.kinds = tuple(k for k in FLEXIBLE if k in inventory.kinds and inventory.kinds[k].n)
        self.calendar = calendar
        rows = ("usual_kw", "tariff_0", "tariff_1", "tariff_2", "tariff_3")
        self.memory = {
            k: Table(rows, inventory.kinds[k].n, {"seen_ms": np.full(1, NEVER_MS, np.int64)})
            for k in self.kinds
        }
        for table in self.memory.values():
            table.block[:] = np.nan
        self.owners: StorageOwners | None = None
        if "storage" in self.kinds:
            columns = inventory.kinds["storage"].columns
            self.owners = StorageOwners(columns, calendar.tariff_period)

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        out = {f"habits.{k}": t for k, t in self.memory.items()}
        if self.owners is not None:
            out |= self.owners.tables()
        return out

    def period(self, now_ms: int) -> int:
        """Return the tariff period at `now_ms`."""
        return int(np.clip(self.calendar.tariff_period[minute_of_day(now_ms)], 0, 3))

    def observe(
        self, now_ms: int, fleet: Supervision, touched: Callable[[str], Flags], read: Iterable[str]
    ) -> None:
        """Learn from the devices that nobody commands, of the kinds that were `read` just now."""
        for kind in read:
            if kind not in self.memory:
                continue
            watch, table = fleet.watch[kind], self.memory[kind]
            seen = watch.fresh(now_ms, MINUTE_MS - 1) & ~touched(kind)
            if kind == "storage":
                self._observe_owners(now_ms, watch, seen)
                continue
            demand = -watch.get("power_kw")
            if kind == "industry":  # only running lines are paused
                state = watch.get("state")
                seen &= (state == 1.0) | (state == 2.0)
            last = int(table.extra["seen_ms"][0])
            minutes = max(now_ms - last, 0) / MINUTE_MS
            table["seen_ms"] = now_ms
            seen &= demand == demand
            forget = 1.0 - (1.0 - FORGET.get(kind, FORGET_ELSE)) ** minutes
            rows = [table["usual_kw"]]
            if kind in BY_TARIFF:
                rows.append(table[f"tariff_{self.period(now_ms)}"])
            for usual in rows:
                news = usual + forget * (demand - usual)
                np.copyto(news, demand, where=usual != usual)
                np.copyto(usual, news, where=seen)

    def _observe_owners(self, now_ms: int, watch: Watch, seen: Flags) -> None:
        owners = self.owners
        if owners is None:
            return
        soc = watch.get("soc")
        if "charge_limit_kw" in watch.index:
            owners.learn_taper(soc, watch.get("charge_limit_kw"))
        if not seen.all() or owners.due(now_ms):
            owners.observe(now_ms, watch.get("power_kw"), soc, seen)
        counters = ("charged_today_kwh", "discharged_today_kwh")
        if now_ms % MARK_MS == 0 and set(counters) <= watch.index.keys():
            owners.learn_capacity(soc, watch.get(counters[0]), watch.get(counters[1]))

    def usual(self, kind: str) -> Floats:
        """Return the learned demand, 0 where nothing was seen."""
        return np.nan_to_num(self.memory[kind]["usual_kw"])


class Counterfactual:
    """Demand of the fleet without one order.

    Rows of each memory: ``frozen_kw`` the demand at the freeze, ``touched``. ``frozen_ms`` is
    when that was, -1 before. Extra arrays by
    group: ``ratio`` of the held-out sample, ``deferred_kwh``, ``stay_h`` (how long a vehicle
    takes unlimited).
    """

    def __init__(self, name: str, inventory: Inventory, habits: Habits) -> None:
        self.name, self.habits = name, habits
        self.group: dict[str, NDArray[np.int64]] = {}
        self.held_out: dict[str, Flags] = {}
        self.memory: dict[str, Table] = {}
        for kind in habits.kinds:
            columns = inventory.kinds[kind].columns
            column, groups = GROUPS.get(kind, ("", 1))
            self.group[kind] = columns.i8(column) if column else np.zeros(columns.n, np.int64)
            rows = np.arange(columns.n, dtype=np.int64)
            sample = keyed_fraction(rows, 11) < HELD_OUT.get(kind, 0.0)
            self.held_out[kind] = sample & columns.flag("enrolled") & (columns.i8("circuit") < 0)
            extra = {
                "ratio": np.ones(groups),
                "deferred_kwh": np.zeros(groups),
                "stay_h": np.ones(groups),
                "frozen_ms": np.full(1, -1, np.int64),
            }
            self.memory[kind] = Table(("frozen_kw", "touched", "demand_kw"), columns.n, extra)

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"{self.name}.{k}": t for k, t in self.memory.items()}

    @property
    def frozen(self) -> bool:
        """Whether the order's reference of every kind has been taken."""
        return all(self.refers(kind) for kind in self.memory)

    def refers(self, kind: str) -> bool:
        """Whether the order's reference of `kind` has been taken."""
        return int(self.memory[kind].extra["frozen_ms"][0]) >= 0

    def touched(self, kind: str) -> Flags:
        """Return which devices were commanded under this order."""
        return np.asarray(self.memory[kind]["touched"] > 0.0)

    def touch(self, kind: str, rows: NDArray[np.int64]) -> None:
        """Note that `rows` no longer show what they would do by themselves."""
        self.memory[kind]["touched"][rows] = 1.0

    def freeze(
        self, now_ms: int, fleet: Supervision, other: Counterfactual | None = None,
        kinds: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        """Take the reference of `kinds` (None: all) that have none; the first command follows.

        What `other` order still holds would go on as it is seen now.
        """
        for kind, table in self.memory.items():
            if self.refers(kind) or (kinds is not None and kind not in kinds):
                continue
            table["frozen_ms"] = max(now_ms, 0)
            usual = self.habits.usual(kind)
            if other is not None:
                actual = -fleet.watch[kind].or_zero("power_kw")
                usual = np.where(other.touched(kind), actual, usual)
            table["frozen_kw"] = usual
            table["ratio"], table["deferred_kwh"] = 1.0, 0.0
            if kind == "charging":
                watch, groups = fleet.watch[kind], len(table["stay_h"])
                group = self.group[kind]
                need = np.bincount(group, watch.or_zero("energy_needed_kwh"), groups)
                free = np.bincount(group, watch.or_zero("demand_free_kw"), groups)
                table["stay_h"] = np.clip(need / np.maximum(free, 1e-6), 0.3, 12.0)

    def thaw(self) -> None:
        """Forget the order."""
        for table in self.memory.values():
            table["touched"] = 0.0
            table["frozen_ms"] = -1

    def update(self, now_ms: int, fleet: Supervision) -> None:
        """Work out ``demand_kw``, what each device would draw now (positive demand)."""
        for kind, table in self.memory.items():
            watch = fleet.watch[kind]
            demand = -watch.or_zero("power_kw")
            touched = self.touched(kind)
            if touched.any():
                heard = watch.fresh(now_ms, LOST_MS)
                model = self._model(kind, now_ms, watch, demand, touched)
                demand = np.where(touched & heard, model, demand)
            table["demand_kw"] = demand

    def demand_kw(self, kind: str) -> Floats:
        """Return what `update` found, float64[n] (a view)."""
        return self.memory[kind]["demand_kw"]

    # -- models by kind --------------------------------------------------------------------

    def _model(
        self, kind: str, now_ms: int, watch: Watch, actual: Floats, touched: Flags
    ) -> Floats:
        table, habits = self.memory[kind], self.habits
        if kind == "storage" and habits.owners is not None:
            return -habits.owners.memory["power_kw"]
        if not self.refers(kind):
            return habits.usual(kind)
        frozen = table["frozen_kw"]
        if kind == "charging":
            return self._charging(now_ms, watch, actual, touched)
        if kind == "aircon":
            ratio = self._ratio(kind, now_ms, actual, self._weather(now_ms))
            return np.asarray(frozen * ratio[self.group[kind]])
        if kind == "shorepower":
            return np.where(watch.or_zero("berthed") > 0.0, np.maximum(frozen, actual), 0.0)
        if kind in BY_TARIFF:
            usual = habits.memory[kind][f"tariff_{habits.period(now_ms)}"]
            return np.where(np.isnan(usual), frozen, usual)
        return frozen

    def _weather(self, now_ms: int) -> float:
        """Return cooling now over cooling at the freeze by forecast temperature (1 h lag)."""
        forecast = self.habits.calendar.forecast_temperature_c

        def cooling(at_ms: int) -> float:
            last = minute_of_day(at_ms)
            return max(float(forecast[max(last - 60, 0) : last + 1].mean()) - BALANCE_C, 1.0)

        return cooling(now_ms) / cooling(int(self.memory["aircon"].extra["frozen_ms"][0]))

    def _ratio(self, kind: str, now_ms: int, actual: Floats, model: float) -> Floats:
        """Return float64[groups], the sample's change since the freeze, shrunk to `model`."""
        table, group = self.memory[kind], self.group[kind]
        groups = len(table["ratio"])
        sample = self.held_out[kind] & ~self.touched(kind)
        was = np.bincount(group[sample], table["frozen_kw"][sample], groups)
        now = np.bincount(group[sample], actual[sample], groups)
        count = np.bincount(group[sample], minlength=groups)
        weight = np.where(was > 0.0, count / (count + SAMPLE_HALF[kind]), 0.0)
        seen = np.clip(now / np.maximum(was, 1e-6), 0.2, 5.0)
        mixed = weight * seen + (1.0 - weight) * model
        table["ratio"] += 0.3 * (mixed - table["ratio"])
        return table["ratio"].copy()

    def _charging(self, now_ms: int, watch: Watch, actual: Floats, touched: Flags) -> Floats:
        """Return what stations would draw: what they ask for less what the backlog asks for.

        With a fluid of vehicles, energy kept back adds its own demand: deferred energy over the
        time a vehicle stays.
        """
        table, group = self.memory["charging"], self.group["charging"]
        groups = len(table["deferred_kwh"])
        free = watch.or_zero("demand_free_kw")
        mine = touched.astype(np.float64)
        asked = np.bincount(group, free * mine, groups)
        was = np.bincount(group, table["frozen_kw"] * mine, groups)
        fluid = np.clip(asked - table["deferred_kwh"] / table["stay_h"], 0.3 * asked, asked)
        sample = self._ratio("charging", now_ms, actual, 1.0)
        count = np.bincount(group[self.held_out["charging"]], minlength=groups)
        weight = count / (count + SAMPLE_HALF["charging"])
        base = (1.0 - weight) * fluid + weight * np.minimum(was * sample, 1.2 * asked)
        drawn = np.bincount(group, actual * mine, groups)
        table["deferred_kwh"] = np.maximum(table["deferred_kwh"] + (base - drawn) / 60.0, 0.0)
        share = base / np.maximum(asked, 1e-6)
        return np.asarray(free * share[group])
