"""What passes between the city and the logic under test.

Down the stairs come readings and notices, up go set-points and reports; both are arrays by
kind. Nothing else passes: the same logic serves simulation, wire and bench.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twin.record.columns import Columns
from twin.record.load_rules import LoadRules
from twin.record.market import MarketRules
from twin.record.metering import MeterHistory
from twin.record.network_view import NetworkView
from twin.record.orders import News


class Quality(IntEnum):
    """Quality of one device's reading."""

    GOOD = 0
    STALE = 1  # an old value, its own time stamp says how old
    MISSING = 2  # never read


class AlarmQuality(IntEnum):
    """Whether an alarm rests on a value that can be trusted."""

    CONFIRMED = 0
    DOUBTFUL = 1  # the value was old, mended, or not the last that was said


class Outcome(IntEnum):
    """What became of one set-point at one device."""

    ACCEPTED = 0
    REFUSED = 1  # the device said no (out of limits, wrong state)
    IGNORED = 2  # the device said yes and did nothing
    LOST = 3  # no contact


class Refusal(IntEnum):
    """Why a device would refuse to be commanded now."""

    NONE = 0
    FAULT = 1  # the device has failed
    LOCAL = 2  # its owner has switched it to local mode (就地)
    BUSY = 3  # it may not be started again yet


@dataclass(frozen=True, slots=True)
class Point:
    """One value that a device shows or takes.

    Attributes
    ----------
    name, unit : e.g. ``power_kw``, ``kW``
    title, title_zh : for the page and for register maps
    low, high : range of the value; for a set-point what the device accepts (per unit of
        `rated_kw` where `per_rating` is true)
    resolution : smallest step that is shown (0: none)
    accuracy : class error as a fraction of the range (or of the rating)
    """

    name: str
    unit: str
    title: str
    title_zh: str
    low: float = -np.inf
    high: float = np.inf
    per_rating: bool = False
    resolution: float = 0.0
    accuracy: float = 0.0


# Set-points about the command itself: back to the owner, still there, how long it holds.
SERVICE_POINTS = ("release", "heartbeat", "revert_s")

# Kinds that are read and are no devices: customers' meters, the city, station meters.
PSEUDO_KINDS = ("meter", "city", "busbar")


@dataclass(frozen=True, slots=True)
class KindInventory:
    """What is registered of one device kind, or of one of `PSEUDO_KINDS`.

    Attributes
    ----------
    name : kind, as the file in twin/assets is called
    points, setpoints : what can be read and written
    columns : registered nameplates, rows in inventory order; always has ``site``, ``circuit``,
        ``district``, ``rated_kw``, ``enrolled`` (takes part in demand response)
    """

    name: str
    points: tuple[Point, ...]
    setpoints: tuple[Point, ...]
    columns: Columns

    @property
    def n(self) -> int:
        """Number of devices."""
        return self.columns.n

    def point(self, name: str) -> int:
        """Return the row of point `name` in a reading."""
        return next(i for i, p in enumerate(self.points) if p.name == name)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything registered; never a true parameter.

    Attributes
    ----------
    max_load_mw : the scenario's maximum load, base of every percentage
    districts, sectors : names; ``sites["district"]`` and ``sites["sector"]`` point into them
    sites : one row a customer account (户), see twin/city/sites.py
    kinds : by kind name
    aggregators : one row a virtual power plant, ``sites["aggregator"]`` points into it, see
        twin/city/aggregators.py; empty where there is none
    chain : one row an edge of the supply graph between sites, see twin/city/supply_chain.py;
        empty where there is none
    """

    max_load_mw: float
    districts: tuple[str, ...]
    sectors: tuple[str, ...]
    sites: Columns
    kinds: Mapping[str, KindInventory]
    aggregators: Columns = field(default_factory=lambda: Columns({}))
    chain: Columns = field(default_factory=lambda: Columns({}))


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the logic may know of the day beforehand.

    Attributes
    ----------
    start_ms, end_ms : span of the scenario
    control_period_ms : how often `digest` is called
    tariff_period : int64[1440] of the day: 0 valley, 1 flat, 2 peak, 3 super-peak
    price_cny_kwh : float64[1440]
    forecast_temperature_c : float64[1440] dry bulb as forecast
    typical_load_mw : float64[1440] city load on a day like this as forecast
    history : what meters showed on the days before, None where the scenario has no history
    network : sensitivities of the network, None where the logic is told nothing of it
    load_rules : rules of orderly use and who gave how much before, None takes the shipped ones
    market : rules of the market, None takes the shipped ones
    workday : whether people work on the day
    watched : what a logic of this kind learned on the day before, by its own names, None where
        the scenario has no history
    """

    start_ms: int
    end_ms: int
    control_period_ms: int
    tariff_period: NDArray[np.int64]
    price_cny_kwh: NDArray[np.float64]
    forecast_temperature_c: NDArray[np.float64]
    typical_load_mw: NDArray[np.float64]
    history: MeterHistory | None = None
    network: NetworkView | None = None
    load_rules: LoadRules | None = None
    market: MarketRules | None = None
    workday: bool = True
    watched: Mapping[str, NDArray[np.generic]] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Readings of one kind.

    Attributes
    ----------
    value : float64[points, n]
    time_ms : int64[n] when each device was last read
    quality : uint8[n], see `Quality`
    """

    value: NDArray[np.float64]
    time_ms: NDArray[np.int64]
    quality: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SetPoint:
    """One write of one point to some devices of a kind; rows ascend, values in the point's unit."""

    kind: str
    point: str
    rows: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as the logic raises it; `end_ms` is None while it stands."""

    kind: str
    row: int
    condition: str
    start_ms: int
    end_ms: int | None = None
    quality: AlarmQuality = AlarmQuality.CONFIRMED


@dataclass(frozen=True, slots=True)
class FleetReport:
    """Belief on one kind: power, SOC and energy where the kind has them; NaN: not reported.

    ``time_ms`` is of what the power rests on; ``state`` is uint8[n], a
    `twin.record.fleet_states.DeviceState`; ``substitute`` is bool[n], true where the power is
    told from elsewhere because the device itself is silent.
    """

    kind: str
    power_kw: NDArray[np.float64]
    soc: NDArray[np.float64] | None = None
    energy_today_kwh: NDArray[np.float64] | None = None
    time_ms: NDArray[np.int64] | None = None
    state: NDArray[np.uint8] | None = None
    substitute: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Reports:
    """What the logic believes, for the judge and the page.

    Attributes
    ----------
    fleet : belief by kind
    alarms : raised or ended at this digest
    figures : named numbers (MW unless the name says otherwise), e.g. ``baseline_mw`` (expected
        demand of enrolled sites without the order), ``capability_mw``, ``delivered_mw``
    settlement : rows for settlement.csv, filled once when an order has ended
    tables : rows of named tables by column, e.g. ``capability`` or ``bids``; rows of all digests
        are kept one after the other and written to ``reports/<name>.parquet``
    """

    fleet: Sequence[FleetReport] = ()
    alarms: Sequence[Alarm] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    settlement: Sequence[Mapping[str, object]] = ()
    tables: Mapping[str, Mapping[str, NDArray[np.generic]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Actions:
    """What the logic says at one digest."""

    setpoints: Sequence[SetPoint] = ()
    reports: Reports = field(default_factory=Reports)


class Logic(Protocol):
    """The five methods of a platform logic (twin.control.logic has a base class)."""

    def start(self, inventory: Inventory, calendar: Calendar) -> None:
        """Learn what is registered."""
        ...

    def plan(self, now_ms: int) -> Sequence[str]:
        """Return the kinds to read now."""
        ...

    def digest(
        self, now_ms: int, readings: Mapping[str, Reading], notices: Sequence[News]
    ) -> Actions:
        """Take readings and notices, return set-points and reports."""
        ...

    def save(self) -> bytes:
        """Return everything that evolves."""
        ...

    def load(self, state: bytes) -> None:
        """Take what `save` gave; `start` was called before."""
        ...
