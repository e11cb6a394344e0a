"""The fleet as the city's plan words it: 整体运行状态, 设备监测, 实时电量.

States of all devices by kind, district and owner with power, state of charge and energy, every
five minutes; one row a storage station every quarter of an hour. Energy of the day is what
counters show where a kind has them, else the integral of believed power; energy to date is
kept over midnight, which counters of the day are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import DAY_MS, HOUR_MS, MINUTE_MS
from twin.control.memory import whole
from twin.control.supervision.fleet import Supervision
from twin.control.supervision.onboarding import state
from twin.control.supervision.watch import NEVER_MS, Watch
from twin.record.exchange import PSEUDO_KINDS, Inventory
from twin.record.fleet_states import DeviceState, device_state
from twin.record.table import Table
from twin.units import KW_PER_MW

__all__ = ["OWNERS", "EnergyBook", "FleetState"]

Floats = NDArray[np.float64]
Columns_ = Mapping[str, NDArray[np.generic]]

FLEET_MS = 5 * MINUTE_MS
STATIONS_MS = 15 * MINUTE_MS
STATION_KINDS = ("storage",)  # shown one by one
COUNTERS = ("charged_today_kwh", "discharged_today_kwh")
GAP_MS = HOUR_MS  # the integral of power bridges no longer gap between two readings (assumed)
COUNTER_SLACK_KWH = 0.05  # half of what counters resolve: less is no fall
DAY_H = 24.0

# Owners as they are registered; aggregated: part of a virtual power plant.
OWNERS = ("private", "public", "private, aggregated", "public, aggregated")


class EnergyBook:
    """Energy of one kind's devices, drawn and fed, of the day and to date.

    Attributes
    ----------
    memory : rows ``in_today_kwh``, ``out_today_kwh`` and ``in_before_kwh``, ``out_before_kwh``
        (of the days before) by device; ``last_kw`` and ``last_ms`` of the reading before
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.counts = set(COUNTERS) <= watch.index.keys()
        # No device turns over more than this in a day.
        self.most_kwh = np.where(np.isfinite(watch.most_kw), watch.most_kw * DAY_H, np.inf)
        rows = ("in_today_kwh", "out_today_kwh", "in_before_kwh", "out_before_kwh", "last_kw")
        last = {"last_ms": np.full(watch.n, NEVER_MS, np.int64)}
        self.memory = Table(rows, watch.n, last)

    def count(self) -> None:
        """Take what was read since the last call."""
        memory, watch = self.memory, self.watch
        heard, last = whole(watch.memory, "time_ms"), whole(memory, "last_ms")
        new = heard > last
        if not new.any():
            return
        # A counter read at midnight sharp still shows the day that ends.
        later = new & (last != NEVER_MS) & ((heard - 1) // DAY_MS > (last - 1) // DAY_MS)
        power = watch.or_zero("power_kw")
        if self.counts:
            self._counters(new, later)
        else:
            self._integral(new, later, power, np.where(last == NEVER_MS, 0, heard - last))
        np.copyto(memory["last_kw"], power, where=new)
        np.copyto(last, heard, where=new)

    def _counters(self, new: NDArray[np.bool_], later: NDArray[np.bool_]) -> None:
        """Take counters; one that falls has begun anew, on a new day or by itself."""
        for point, side in zip(COUNTERS, ("in", "out"), strict=True):
            shown = self.watch.or_zero(point)
            today, before = self.memory[f"{side}_today_kwh"], self.memory[f"{side}_before_kwh"]
            good = new & (shown >= 0.0) & (shown <= self.most_kwh)
            over = good & (later | (shown < today - COUNTER_SLACK_KWH))
            before[over] += today[over]
            np.copyto(today, shown, where=good)

    def _integral(
        self, new: NDArray[np.bool_], later: NDArray[np.bool_], power: Floats,
        passed_ms: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """Add the mean of two readings over the time between them.

        Across midnight all of it is booked on the day that begins, a few minutes at most.
        """
        memory = self.memory
        hours = np.where(new & (passed_ms <= GAP_MS), passed_ms / HOUR_MS, 0.0)
        mean = 0.5 * (memory["last_kw"] + power)
        for side, flow in (("in", -mean), ("out", mean)):
            today, before = memory[f"{side}_today_kwh"], memory[f"{side}_before_kwh"]
            before[later] += today[later]
            today[later] = 0.0
            today += np.maximum(flow, 0.0) * hours

    def to_date_kwh(self, side: str) -> Floats:
        """Return energy since the start of the run, `side` ``in`` (drawn) or ``out`` (fed)."""
        return self.memory[f"{side}_today_kwh"] + self.memory[f"{side}_before_kwh"]


class FleetState:
    """What an operator sees of the fleet, as tables to report.

    Parameters
    ----------
    fleet : what is believed
    """

    def __init__(self, inventory: Inventory, fleet: Supervision) -> None:
        self.inventory, self.fleet = inventory, fleet
        self.watch = {k: w for k, w in fleet.watch.items() if k not in PSEUDO_KINDS and w.n > 0}
        self.energy = {kind: EnergyBook(watch) for kind, watch in self.watch.items()}
        self.groups = {kind: self._group(watch) for kind, watch in self.watch.items()}

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        return {f"energy.{kind}": book.memory for kind, book in self.energy.items()}

    def _group(self, watch: Watch) -> NDArray[np.int64]:
        """Return int64[n], the group of each device: its district times owners, plus its owner."""
        columns, sites = watch.kind.columns, self.inventory.sites
        owner = np.zeros(watch.n, np.int64)
        if "site" in columns:
            site = columns.i8("site")
            if "public" in sites:
                owner += sites.flag("public")[site]
            if "aggregator" in sites:
                owner += 2 * (sites.i8("aggregator")[site] >= 0)
        district = columns.i8("district") if "district" in columns else np.zeros(watch.n, np.int64)
        return district * len(OWNERS) + owner

    def states(self, kind: str, now_ms: int) -> NDArray[np.uint8]:
        """Return uint8[n], the believed `DeviceState` of every device of `kind`."""
        watch = self.watch[kind]
        points = {name: watch.get(name) for name in watch.index}
        return device_state(kind, points, watch.rated_kw, watch.silent_periods(now_ms))

    def look(
        self, now_ms: int, heard: Iterable[str], power: Callable[[str], Floats]
    ) -> dict[str, Columns_]:
        """Take what was read of the kinds `heard`; return the tables that are due.

        Parameters
        ----------
        power : gives the believed power of a kind by name, float64[n], NaN where unknown
        """
        for kind in heard:
            if kind in self.energy:
                self.energy[kind].count()
        tables: dict[str, Columns_] = {}
        if now_ms % FLEET_MS == 0 and self.watch:
            parts = [self._fleet(kind, now_ms, power(kind)) for kind in self.watch]
            tables["fleet_state"] = {c: np.concatenate([p[c] for p in parts]) for c in parts[0]}
        if now_ms % STATIONS_MS == 0:
            shown = [k for k in STATION_KINDS if k in self.watch]
            if shown:
                stations = [self._stations(kind, now_ms, power(kind)) for kind in shown]
                tables["stations"] = {
                    c: np.concatenate([p[c] for p in stations]) for c in stations[0]
                }
        return tables

    def _fleet(self, kind: str, now_ms: int, power_kw: Floats) -> dict[str, NDArray[np.generic]]:
        """Return one row a district and owner of `kind` that have devices.

        Columns: ``now_ms``, ``kind``, ``district`` (row of the inventory's), ``owner`` (row of
        `OWNERS`), ``devices``, one count a state, ``power_mw`` (into the grid), ``soc`` (mean by
        capacity, NaN where the kind has none) and energies [MWh], drawn and fed.
        """
        watch, group, book = self.watch[kind], self.groups[kind], self.energy[kind]
        size = int(group.max()) + 1
        devices = np.bincount(group, minlength=size)
        used = np.flatnonzero(devices)
        n = len(used)

        def total(values: Floats) -> NDArray[np.float32]:
            found = np.bincount(group, values, size)[used]
            return (found / KW_PER_MW).astype(np.float32)

        number = len(DeviceState)
        counts = np.bincount(group * number + self.states(kind, now_ms), minlength=size * number)
        counts = counts.reshape(size, number)[used]
        soc = np.full(n, np.nan, np.float32)
        if "soc" in watch.index and "capacity_kwh" in watch.kind.columns:
            believed = watch.get("soc")
            known = np.isfinite(believed)
            capacity = np.where(known, watch.kind.columns.f8("capacity_kwh"), 0.0)
            of_all = np.bincount(group, capacity, size)[used]
            held = np.bincount(group, capacity * np.where(known, believed, 0.0), size)[used]
            np.divide(held, of_all, out=soc, where=of_all > 0.0, casting="same_kind")
        return {
            "now_ms": np.full(n, now_ms, np.int64),
            "kind": np.full(n, kind),
            "district": (used // len(OWNERS)).astype(np.int16),
            "owner": (used % len(OWNERS)).astype(np.uint8),
            "devices": devices[used].astype(np.int32),
            **{s.name.lower(): counts[:, s].astype(np.int32) for s in DeviceState},
            "power_mw": total(np.where(np.isnan(power_kw), 0.0, power_kw)),
            "soc": soc,
            "drawn_today_mwh": total(book.memory["in_today_kwh"]),
            "fed_today_mwh": total(book.memory["out_today_kwh"]),
            "drawn_to_date_mwh": total(book.to_date_kwh("in")),
            "fed_to_date_mwh": total(book.to_date_kwh("out")),
        }

    def _stations(self, kind: str, now_ms: int, power_kw: Floats) -> dict[str, NDArray[np.generic]]:
        """Return one row a station with its state, onboarding state, power, SOC and energies.

        ``district`` and ``owner`` are as in `_fleet`; ``age_s`` is of its last reading, -1 where
        there is none.
        """
        watch, book, group = self.watch[kind], self.energy[kind], self.groups[kind]
        columns = watch.kind.columns
        site = columns.i8("site") if "site" in columns else np.full(watch.n, -1)
        n, heard = watch.n, whole(watch.memory, "time_ms")
        age_s = np.where(heard == NEVER_MS, -1, np.maximum(now_ms - heard, 0) // 1000)

        def short(values: Floats) -> NDArray[np.float32]:
            return values.astype(np.float32)

        blank = np.full(n, np.nan)
        return {
            "now_ms": np.full(n, now_ms, np.int64),
            "kind": np.full(n, kind),
            "row": np.arange(n, dtype=np.int32),
            "site": site.astype(np.int32),
            "district": (group // len(OWNERS)).astype(np.int16),
            "owner": (group % len(OWNERS)).astype(np.uint8),
            "onboarding": state(columns, now_ms),
            "state": self.states(kind, now_ms),
            "power_kw": short(power_kw),
            "soc": short(watch.get("soc") if "soc" in watch.index else blank),
            "temperature_c": short(
                watch.get("temperature_c") if "temperature_c" in watch.index else blank
            ),
            "charged_today_kwh": short(book.memory["in_today_kwh"]),
            "discharged_today_kwh": short(book.memory["out_today_kwh"]),
            "charged_to_date_kwh": short(book.to_date_kwh("in")),
            "discharged_to_date_kwh": short(book.to_date_kwh("out")),
            "age_s": np.minimum(age_s, np.iinfo(np.int32).max).astype(np.int32),
        }
