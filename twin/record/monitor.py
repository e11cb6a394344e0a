"""Tallies of what a logic reports against what is true, in fixed bins.

A run of 20 000 devices and 1 440 minutes is too much to keep by device; percentiles come from
histograms whose bins are fixed before the run, so that tallies of forks stay comparable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.record.alarms import poll_period_ms
from twin.record.exchange import PSEUDO_KINDS, FleetReport, Inventory
from twin.record.onboarding import column, live

# Device kinds in the order in which summaries, tables and colours list them.
DEVICE_KINDS = (
    "storage",
    "aircon",
    "icestore",
    "charging",
    "swap",
    "solar",
    "industry",
    "hydrogen",
    "shorepower",
    "terminal",
)


def listed_kinds(inventory: Inventory, width: int) -> tuple[str, ...]:
    """Return the kinds that the columns of a table by kind stand for.

    All of `DEVICE_KINDS` where `width` says so, else those that are registered; any other
    width raises ValueError.
    """
    present = tuple(k for k in DEVICE_KINDS if k in inventory.kinds)
    for kinds in (DEVICE_KINDS, present):
        if len(kinds) == width:
            return kinds
    raise ValueError(f"{width} columns by kind for {len(present)} registered kinds")


SOC_KINDS = ("storage",)  # kinds of which SOC and energy are supervised

# Bin widths; the last bin holds everything beyond, and what was never reported.
POWER_BIN, POWER_BINS = 1e-4, 2_000  # of rating
SOC_BIN, SOC_BINS = 1e-3, 500
AGE_BIN, AGE_BINS = 0.05, 400  # poll periods
COVERED_MS = 15 * MINUTE_MS  # a report counts for coverage up to this age (assumed)
NEVER_MS = -(10**15)
NO_STATE = 255  # was never reported


@dataclass(frozen=True, slots=True)
class TrueFleet:
    """What reports of one moment are compared with, by kind float64[n].

    `power_kw` is positive into the grid; `soc` and `energy_today_kwh` (charged plus discharged)
    are those of `SOC_KINDS`; `state` is a `twin.record.fleet_states.DeviceState`, empty at the
    moments at which nobody looked.
    """

    now_ms: int
    power_kw: Mapping[str, NDArray[np.float64]]
    soc: Mapping[str, NDArray[np.float64]]
    energy_today_kwh: Mapping[str, NDArray[np.float64]]
    state: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class MonitorTally:
    """Error and age of reports over all registered devices.

    A belief stands until the logic reports another. A device that was never reported is
    missing: it falls into the last bin of the errors and is not covered. Ages are tallied over
    devices that were reported. A substitute for a silent device is reported, but does not
    cover it; a device that is not live (`twin.record.onboarding`) need not be covered.

    Parameters
    ----------
    inventory : registered devices; `PSEUDO_KINDS` are left out

    Attributes
    ----------
    kinds : names, in the order of the rows below
    power : int64[kinds, POWER_BINS + 1]  device-minutes by |reported - true| / rating
    soc : int64[SOC_BINS + 1]  device-minutes by |reported - true| SOC
    age : int64[kinds, AGE_BINS + 1]  device-minutes by age in poll periods
    covered, registered : int64[kinds]  device-minutes, `registered` of live devices
    states_right, states_seen : int64[kinds]  looks at the state of a device, of them right ones
    energy_error_kwh, energy_true_kwh : sums over devices and minutes of the day's energy
    """

    def __init__(self, inventory: Inventory) -> None:
        known = [k for k in DEVICE_KINDS if k in inventory.kinds]
        known += sorted(k for k in inventory.kinds if k not in (*DEVICE_KINDS, *PSEUDO_KINDS))
        self.kinds = tuple(known)
        sizes = [inventory.kinds[k].n for k in known]
        edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._part = {k: slice(int(edges[i]), int(edges[i + 1])) for i, k in enumerate(known)}
        n = int(edges[-1])
        rated = [inventory.kinds[k].columns.f8("rated_kw") for k in known]
        rating = np.maximum(np.concatenate([*rated, np.empty(0)]), 1e-9)
        self._per_power_bin = 1.0 / (POWER_BIN * rating)
        periods = [np.full(s, float(poll_period_ms(k))) for k, s in zip(known, sizes, strict=True)]
        self._per_age_bin = 1.0 / (AGE_BIN * np.concatenate([*periods, np.empty(0)]))
        number = np.repeat(np.arange(len(known)), sizes)
        self._power_row = number * (POWER_BINS + 1)
        self._age_row = number * (AGE_BINS + 2)
        self._age_row_count = len(known) * (AGE_BINS + 2)
        self._starts = edges[:-1][np.array(sizes, np.int64) > 0]
        self._filled = np.flatnonzero(np.array(sizes, np.int64) > 0)
        self._sizes = np.array(sizes, np.int64)
        columns = {k: inventory.kinds[k].columns for k in known}
        self._steps = {k: c for k, c in columns.items() if column("live") in c}
        # The belief, which stands until it is reported anew.
        self._power_kw = np.full(n, np.nan)
        self._unreported = np.ones(n, np.bool_)
        self._substitute = np.zeros(n, np.bool_)
        self._state = np.full(n, NO_STATE, np.uint8)
        self._time_ms = np.full(n, float(NEVER_MS))
        self._soc = {k: np.full(inventory.kinds[k].n, np.nan) for k in known if k in SOC_KINDS}
        self._energy_kwh = {k: v.copy() for k, v in self._soc.items()}
        # The tallies.
        self.power = np.zeros((len(known), POWER_BINS + 1), np.int64)
        self.soc = np.zeros(SOC_BINS + 1, np.int64)
        self.age = np.zeros((len(known), AGE_BINS + 1), np.int64)
        self.covered = np.zeros(len(known), np.int64)
        self.registered = np.zeros(len(known), np.int64)
        self.states_right = np.zeros(len(known), np.int64)
        self.states_seen = np.zeros(len(known), np.int64)
        self.energy_error_kwh = 0.0
        self.energy_true_kwh = 0.0
        self._scratch = (np.empty(n), np.empty(n, np.intp))

    def copy(self) -> MonitorTally:
        """Return an independent twin, for a fork."""
        other = object.__new__(MonitorTally)
        other.__dict__.update(self.__dict__)
        for name in (
            "power", "soc", "age", "covered", "registered", "states_right", "states_seen",
            "_unreported", "_substitute", "_state",
        ):  # fmt: skip
            setattr(other, name, getattr(self, name).copy())
        other._power_kw, other._time_ms = self._power_kw.copy(), self._time_ms.copy()
        other._scratch = (self._scratch[0].copy(), self._scratch[1].copy())
        other._soc = {k: v.copy() for k, v in self._soc.items()}
        other._energy_kwh = {k: v.copy() for k, v in self._energy_kwh.items()}
        return other

    def believe(self, now_ms: int, report: FleetReport) -> None:
        """Take what the logic reports of one kind; NaN is 'not reported'.

        A report without time stamps counts as of `now_ms`. An unknown kind or a wrong length
        raises ValueError.
        """
        part = self._part.get(report.kind)
        if part is None:
            raise ValueError(f"report on kind {report.kind!r}, which is not registered")
        self._power_kw[part] = report.power_kw
        self._unreported[part] = ~np.isfinite(self._power_kw[part])
        self._time_ms[part] = now_ms if report.time_ms is None else report.time_ms
        self._substitute[part] = False if report.substitute is None else report.substitute
        if report.state is not None:
            self._state[part] = report.state
        if report.kind in self._soc and report.soc is not None:
            self._soc[report.kind][:] = report.soc
        if report.kind in self._energy_kwh and report.energy_today_kwh is not None:
            self._energy_kwh[report.kind][:] = report.energy_today_kwh

    def add(
        self,
        now_ms: int,
        power_kw: Mapping[str, NDArray[np.float64]],
        soc: Mapping[str, NDArray[np.float64]],
        energy_today_kwh: Mapping[str, NDArray[np.float64]],
        state: Mapping[str, NDArray[np.uint8]] | None = None,
    ) -> None:
        """Compare the belief with the truth of now, once a minute, right after the digest.

        At that moment a reading just taken differs from the truth by its meter alone; how old
        a belief is, is tallied apart.

        Parameters
        ----------
        power_kw : by kind the true power, float64[n]
        soc, energy_today_kwh : the same for `SOC_KINDS`; energy is charged plus discharged
        state : by kind the true `DeviceState`, where it was looked at
        """
        value, row = self._scratch
        for kind, part in self._part.items():
            value[part] = power_kw[kind]
        np.subtract(self._power_kw, value, out=value)
        np.abs(value, out=value)
        value *= self._per_power_bin
        # fmin passes over NaN, so what was never reported lands in the last bin.
        np.fmin(value, float(POWER_BINS), out=value)
        np.copyto(row, value, casting="unsafe")
        row += self._power_row
        self.power += np.bincount(row, minlength=self.power.size).reshape(self.power.shape)

        np.subtract(float(now_ms), self._time_ms, out=value)
        np.maximum(value, 0.0, out=value)  # a stamp ahead of now is no younger than now
        covered = value <= COVERED_MS
        value *= self._per_age_bin
        np.minimum(value, float(AGE_BINS), out=value)
        # What is not reported has no age: one bin more, which is not kept.
        np.copyto(value, float(AGE_BINS + 1), where=self._unreported)
        np.copyto(row, value, casting="unsafe")
        row += self._age_row
        ages = np.bincount(row, minlength=self._age_row_count).reshape(len(self.kinds), -1)
        self.age += ages[:, :-1]
        covered &= ~(self._unreported | self._substitute)
        waiting = self._waiting(now_ms)
        for kind, away in waiting.items():
            covered[self._part[kind]][away] = False
        if len(self._starts) > 0:
            self.covered[self._filled] += np.add.reduceat(covered, self._starts, dtype=np.int64)
        self.registered += self._sizes
        for i, kind in enumerate(self.kinds):
            if kind in waiting:
                self.registered[i] -= np.count_nonzero(waiting[kind])
            if state is not None and kind in state:
                self._count_states(i, kind, state[kind])

        for kind, belief in self._soc.items():
            error = np.abs(belief - soc[kind])
            self.soc += np.bincount(_bins(error, SOC_BIN, SOC_BINS), minlength=SOC_BINS + 1)
            true = energy_today_kwh[kind]
            error = np.abs(self._energy_kwh[kind] - true)
            self.energy_error_kwh += float(np.where(np.isnan(error), np.abs(true), error).sum())
            self.energy_true_kwh += float(np.abs(true).sum())

    def _waiting(self, now_ms: int) -> dict[str, NDArray[np.bool_]]:
        """Return by kind where devices are not live, of the kinds that can be so."""
        return {kind: ~live(steps, now_ms) for kind, steps in self._steps.items()}

    def _count_states(self, number: int, kind: str, true: NDArray[np.uint8]) -> None:
        """Count where the state reported last is the true one."""
        believed = self._state[self._part[kind]]
        self.states_seen[number] += len(true)
        self.states_right[number] += np.count_nonzero(believed == true)


def _bins(value: NDArray[np.float64], width: float, count: int) -> NDArray[np.int64]:
    """Return the bin of each value; NaN and everything beyond goes to bin `count`."""
    return np.fmin(value * (1.0 / width), float(count)).astype(np.int64)


def percentile(counts: NDArray[np.int64], width: float, share: float) -> float | None:
    """Return the upper edge of the bin in which `share` of all counts is reached.

    Infinity where that is the last bin, None where nothing was counted.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    bin_ = int(np.searchsorted(np.cumsum(counts), share * total - 1e-9))
    return np.inf if bin_ >= len(counts) - 1 else (bin_ + 1) * width
