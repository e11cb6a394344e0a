"""Alarms that are true: a table of conditions, and a watch over true states.

The engine feeds the watch each minute with the true state of the kinds; what a logic raises is
matched against it by the judge. Conditions, limits and delays stand in ``alarms.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS, SECOND_MS
from twin.record.exchange import PSEUDO_KINDS, Alarm, Inventory

Floats: TypeAlias = NDArray[np.float64]
States: TypeAlias = Mapping[str, NDArray[np.generic]]

NEVER_MS = -(10**15)


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of ``alarms.toml``; see the comments there."""

    name: str
    kinds: tuple[str, ...]
    quantity: str
    unit: str
    title: str
    title_zh: str
    source: str
    grade: str
    above: float
    clear: float
    delay_s: int
    below: float = -np.inf
    upto: float = np.inf

    def applies(self, kind: str) -> bool:
        """Return whether devices of `kind` can be in this condition."""
        return kind in self.kinds or ("*" in self.kinds and kind not in PSEUDO_KINDS)

    def holds(self, value: Floats, standing: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return where the condition holds; `standing` is where it did, for the hysteresis.

        NaN holds nowhere.
        """
        back = np.where(standing, self.clear, 0.0)
        outside = (value > self.above - back) | (value < self.below + back)
        return np.asarray(outside & (value <= self.upto))

    def quiet(self, value: Floats) -> bool:
        """Return whether the condition holds nowhere if it stood nowhere; cheap."""
        if len(value) == 0:
            return True
        return not (value.max() > self.above or value.min() < self.below or np.isnan(value).any())


@cache
def _table() -> Mapping[str, object]:
    text = files("twin.record").joinpath("alarms.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def conditions() -> tuple[Condition, ...]:
    """Return the shipped conditions in file order."""
    rows = _table()["condition"]
    if not isinstance(rows, list):
        raise TypeError("alarms.toml: condition is no array of tables")
    return tuple(Condition(**{**row, "kinds": tuple(row["kinds"])}) for row in rows)


def poll_period_ms(kind: str) -> int:
    """Return how often a new value of a device of `kind` is expected [ms]."""
    periods = _table()["poll_period_s"]
    if not isinstance(periods, dict):
        raise TypeError("alarms.toml: poll_period_s is no table")
    return int(periods[kind if kind in periods else "other"]) * SECOND_MS


# -- quantities ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _View:
    """One kind at one minute: what it shows now, what it was, what is registered."""

    now: States
    before: Mapping[str, Floats]
    silent_ms: Floats
    period_ms: int
    registered: Mapping[str, Floats]


def _own(name: str) -> Callable[[_View], Floats | None]:
    def quantity(view: _View) -> Floats | None:
        value = view.now.get(name)
        return None if value is None else np.asarray(value, dtype=np.float64)

    return quantity


def _soc_step(view: _View) -> Floats | None:
    soc, before = view.now.get("soc"), view.before.get("soc")
    if soc is None or before is None:
        return None
    return np.abs(np.asarray(soc, np.float64) - before)


def _silent_periods(view: _View) -> Floats | None:
    return None if view.now.get("contact") is None else view.silent_ms / view.period_ms


def _setpoint_error(view: _View) -> Floats | None:
    power, wanted, remote = (view.now.get(k) for k in ("power_kw", "setpoint_kw", "remote"))
    if power is None or wanted is None or remote is None:
        return None
    error = np.abs(np.asarray(power, np.float64) - np.asarray(wanted, np.float64))
    rated = np.maximum(view.registered["rated_kw"], 1e-9)
    return np.where(np.asarray(remote, np.float64) > 0.0, error / rated, 0.0)


def _export_excess(view: _View) -> Floats | None:
    demand = view.now.get("demand_kw")
    if demand is None:
        return None
    excess = np.add(demand, view.registered["export_limit_kw"], dtype=np.float64)
    excess /= view.registered["less_contracted_kw"]
    return excess


QUANTITIES: Mapping[str, Callable[[_View], Floats | None]] = {
    "soc": _own("soc"),
    "temperature_c": _own("temperature_c"),
    "status": _own("status"),
    "soc_step": _soc_step,
    "silent_periods": _silent_periods,
    "setpoint_error": _setpoint_error,
    "export_excess": _export_excess,
}

_REGISTERED = ("rated_kw", "export_limit_kw", "contracted_kw")
_REMEMBERED = ("soc",)


# -- the watch -------------------------------------------------------------------------------


class AlarmWatch:
    """Finds the true alarms, minute by minute.

    Parameters
    ----------
    inventory : registered devices; ``meter`` stands for the sites
    period_ms : time between two calls of `look`
    """

    def __init__(self, inventory: Inventory, period_ms: int = MINUTE_MS) -> None:
        self.period_ms = period_ms
        self._registered: dict[str, dict[str, Floats]] = {}
        self._rules: list[tuple[str, Condition]] = []
        for kind, registered in inventory.kinds.items():
            columns = inventory.sites if kind == "meter" else registered.columns
            held = {k: columns.f8(k) for k in _REGISTERED if k in columns}
            if "contracted_kw" in held:
                held["less_contracted_kw"] = -np.maximum(held["contracted_kw"], 1e-9)
            self._registered[kind] = held
            self._rules += [(kind, c) for c in conditions() if c.applies(kind)]
        size = {k: v.columns.n for k, v in inventory.kinds.items()} | {"meter": inventory.sites.n}
        # Everything below evolves; `copy` owns its own.
        self._silent_ms = {k: np.zeros(n) for k, n in size.items()}
        self._before: dict[str, dict[str, Floats]] = {k: {} for k in size}
        self._held_ms = [np.zeros(size[kind]) for kind, _ in self._rules]
        self._since_ms = [np.full(size[kind], NEVER_MS, np.int64) for kind, _ in self._rules]
        self._busy = [False for _ in self._rules]  # something stands or is being timed

    def copy(self) -> AlarmWatch:
        """Return an independent twin, for a fork."""
        other = object.__new__(AlarmWatch)
        other.period_ms, other._registered = self.period_ms, self._registered
        other._rules = self._rules
        other._silent_ms = {k: v.copy() for k, v in self._silent_ms.items()}
        other._before = {k: dict(v) for k, v in self._before.items()}
        other._held_ms = [a.copy() for a in self._held_ms]
        other._since_ms = [a.copy() for a in self._since_ms]
        other._busy = list(self._busy)
        return other

    def silent_periods(self, kind: str) -> Floats:
        """Return for how many poll periods each device of `kind` has had no contact."""
        return self._silent_ms[kind] / poll_period_ms(kind)

    def look(self, now_ms: int, states: Mapping[str, States]) -> list[Alarm]:
        """Return the alarms that began (``end_ms`` None) or ended at `now_ms`.

        Parameters
        ----------
        states : by kind the true arrays: ``contact`` (1: a poll would be answered) for every
            kind; for storage also ``soc``, ``temperature_c``, ``status``, ``power_kw``,
            ``setpoint_kw``, ``remote``; ``meter`` has ``demand_kw`` by site. What is not given
            is not watched.
        """
        found: list[Alarm] = []
        heard: set[str] = set()  # kinds that are in contact to the last device
        for kind, state in states.items():
            contact = state.get("contact")
            if contact is None:
                continue
            silent = self._silent_ms[kind]
            if np.all(contact):
                heard.add(kind)
                silent[:] = 0.0
            else:
                silent += self.period_ms
                silent[np.asarray(contact, dtype=np.bool_)] = 0.0
        for number, (kind, condition) in enumerate(self._rules):
            if kind not in states:
                continue
            if condition.quantity == "silent_periods" and kind in heard and not self._busy[number]:
                continue
            view = _View(
                states[kind],
                self._before[kind],
                self._silent_ms[kind],
                poll_period_ms(kind),
                self._registered[kind],
            )
            value = QUANTITIES[condition.quantity](view)
            if value is not None:
                found += self._judge(number, kind, condition, value, now_ms)
        for kind, state in states.items():
            for name in _REMEMBERED:
                if name in state:
                    self._before[kind][name] = np.array(state[name], dtype=np.float64)
        return found

    def _judge(
        self, number: int, kind: str, condition: Condition, value: Floats, now_ms: int
    ) -> list[Alarm]:
        held_ms, since_ms = self._held_ms[number], self._since_ms[number]
        if condition.quiet(value) and not self._busy[number]:
            return []
        standing = since_ms != NEVER_MS
        holds = condition.holds(value, standing)
        held_ms += self.period_ms
        held_ms[~holds] = 0.0
        begins = holds & ~standing & (held_ms > condition.delay_s * SECOND_MS)
        ends = standing & ~holds
        begun = [Alarm(kind, int(i), condition.name, now_ms) for i in np.flatnonzero(begins)]
        ended = [
            Alarm(kind, int(i), condition.name, int(since_ms[i]), now_ms)
            for i in np.flatnonzero(ends)
        ]
        since_ms[begins] = now_ms
        since_ms[ends] = NEVER_MS
        self._busy[number] = bool(holds.any())
        return ended + begun
