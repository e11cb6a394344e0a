"""What every device kind is: nameplate in, state table, step, points, set-points.

A kind is a fleet of equal devices as arrays. Its power is positive into the grid at its own
AC terminals. It knows neither protocol nor clock; a minute may be cut into calls at will and
gives the same bits.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.manners import FOREVER_MS, Active, whole
from twin.record.columns import Columns
from twin.record.exchange import Outcome, Point, Refusal
from twin.record.table import Table

# Rows that every kind's state begins with.
COMMON_ROWS = (
    "power_kw",  # at the AC terminals, at the end of the last step, positive into the grid
    "energy_kws",  # integral of power since the engine last cleared it [kW s]
    "supplied",  # 1 while its circuit is closed
    "limit_low_kw",  # what the site's own control allows at the least (consumption side) ...
    "limit_high_kw",  # ... and at the most (export side) during this minute
)


class Kind(ABC):
    """One fleet of equal devices.

    Class attributes
    ----------------
    name : as the file is called
    step_s : inner step [s]; longer than 1 only where a step-size test shows it does not matter
    points, setpoints : what is read and written, in register order
    truth : state rows that the record keeps each minute for the judge and the page
    nameplate : columns that `__init__` needs beside site, circuit, district, rated_kw, enrolled

    Parameters
    ----------
    nameplate : Columns  what is registered, one row a device
    seed : int  for the keyed dispersions between registered and true parameters
    """

    name: ClassVar[str]
    step_s: ClassVar[int] = 1
    points: ClassVar[tuple[Point, ...]]
    setpoints: ClassVar[tuple[Point, ...]]
    truth: ClassVar[tuple[str, ...]] = ()
    nameplate: ClassVar[tuple[str, ...]] = ()

    state: Table

    @classmethod
    def extras(cls, n: int) -> dict[str, NDArray[np.generic]]:
        """Return the arrays that every kind's state holds beside its rows, for n devices.

        ``clock_ms`` int64[1] is the simulated time, kept by the engine; by device: ``writes``
        (set-points taken so far, heartbeats not counted), ``local`` and ``ignores`` (1: it is,
        it does), ``wear_limit`` (writes that it bears, 0: any number).
        """
        return {
            "clock_ms": np.zeros(1, np.int64),
            "writes": np.zeros(n, np.int64),
            "local": np.zeros(n, np.uint8),
            "ignores": np.zeros(n, np.uint8),
            "wear_limit": np.zeros(n, np.int64),
        }

    def __init__(self, nameplate: Columns, seed: int) -> None:
        self.registered = nameplate
        self.n = nameplate.n
        self.seed = seed
        self.rated_kw: NDArray[np.float64] = nameplate.f8("rated_kw")

    @property
    def power_kw(self) -> NDArray[np.float64]:
        """Power of each device at the end of the last step, positive into the grid."""
        return self.state["power_kw"]

    @abstractmethod
    def warm(self, env: Environment) -> None:
        """Set a plausible state for the moment of `env`, before the first step of a run."""

    @abstractmethod
    def minute(self, env: Environment) -> None:
        """Do what happens once a minute at its start: arrivals, the owner's own schedule."""

    @abstractmethod
    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance from `start_ms` by `seconds` (1..60, within one minute).

        Writes ``power_kw`` and adds to ``energy_kws``.
        """

    @abstractmethod
    def read(self, out: NDArray[np.float64]) -> None:
        """Write the true value of every point to `out`, shape (points, n)."""

    @abstractmethod
    def obey(
        self, point: int, rows: NDArray[np.int64], values: NDArray[np.float64], now_ms: int
    ) -> None:
        """Put a write of set-point number `point` that was accepted into the state."""

    @abstractmethod
    def in_force(self, out: NDArray[np.float64]) -> None:
        """Write the value of every set-point in force now to `out`, shape (setpoints, n).

        What nobody commands shows what the owner's control does with it.
        """

    def bounds(self, point: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return float64[n] twice, the least and the most that set-point `point` takes."""
        spec = self.setpoints[point]
        scale = self.rated_kw if spec.per_rating else np.ones(self.n)
        return spec.low * scale, spec.high * scale

    def refusal(self) -> NDArray[np.uint8]:
        """Return uint8[n], a `Refusal`: why every write is refused now, NONE where it is not."""
        return self.state["local"].astype(np.uint8) * np.uint8(Refusal.LOCAL)

    def check(
        self, point: int, rows: NDArray[np.int64], values: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """Return what each of `rows` would answer to a write, `Outcome`; nothing is changed.

        ACCEPTED where the value is finite and within `bounds` and there is no `refusal`.
        """
        low, high = self.bounds(point)
        slack = 1e-9 * np.maximum(np.abs(values), 1.0)
        good = np.isfinite(values)
        good &= (values >= low[rows] - slack) & (values <= high[rows] + slack)
        good &= self.refusal()[rows] == Refusal.NONE
        return np.where(good, Outcome.ACCEPTED, Outcome.REFUSED).astype(np.uint8)

    def apply(
        self, point: int, rows: NDArray[np.int64], values: NDArray[np.float64], now_ms: int
    ) -> NDArray[np.uint8]:
        """Take a write of set-point number `point`; return an `Outcome` for each row.

        A value outside what the device accepts is REFUSED and changes nothing. A device whose
        manner it is says yes and does nothing: IGNORED. Rows stand once each.
        """
        outcome = self.check(point, rows, values)
        good = outcome == Outcome.ACCEPTED
        deaf = self.state["ignores"][rows] == 1
        if self.setpoints[point].name != "heartbeat":  # that one stands in no memory
            self.state["writes"][rows[good]] += 1
            limit = self.state["wear_limit"][rows]
            deaf |= (limit > 0) & (self.state["writes"][rows] > limit)
        outcome[good & deaf] = Outcome.IGNORED
        done = good & ~deaf
        self.obey(point, rows[done], values[done], now_ms)
        self.note(now_ms)
        return outcome

    # -- manners ---------------------------------------------------------------------------

    def behave(self, active: Active, now_ms: int) -> None:
        """Take the manners that are in force from now on, each with the rows of its devices."""
        self.state["local"] = whole(active, self.n, "local")
        self.state["ignores"] = whole(active, self.n, "ignore_writes")
        self.state["wear_limit"] = whole(active, self.n, "wear_limit")

    def note(self, now_ms: int) -> None:  # noqa: B027 - most kinds show nothing late
        """Note what is in force, for who shows it late; after writes and once a minute."""

    def lag(self, out: NDArray[np.float64]) -> None:  # noqa: B027
        """Put what is shown late into `out`, the points of now, in place."""

    def next_fall_back_ms(self) -> int:
        """Return when a command ends next by itself, within minutes; `FOREVER_MS`: never."""
        return FOREVER_MS

    def fall_back(self, now_ms: int) -> None:  # noqa: B027 - nor ends anything by itself
        """End the commands whose time within a minute has come."""

    def drain(self) -> dict[str, NDArray[np.generic]]:
        """Return and forget what ended since the last call (e.g. charging sessions), by column."""
        return {}

    def fork(self) -> Self:
        """Return a twin that shares constants and owns a copy of the state."""
        other = copy.copy(self)
        other.state = self.state.copy()
        return other
