"""Storage stations with one fault of their physics or control each.

What was commanded stands in the registers as it should; what the machine makes of it is wrong.
Every fault's size is our choice (assumed): well beyond what a good device of this kind does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.manners import FOREVER_MS, Active
from twin.assets.storage import Storage
from twin.clock import SECOND_MS
from twin.kernels import battery
from twin.record.columns import Columns
from twin.units import SECONDS_PER_HOUR

__all__ = [
    "Creeping", "Deaf", "HalfPower", "KeepsCommand", "Lossy", "Misreading", "Overcounting",
    "Overfull", "Short", "SlowTurn", "Sluggish", "Unbounded", "Uncalibrated",
]  # fmt: skip

F8 = NDArray[np.float64]
MOST_S = 1e6


class _Reaching(Storage):
    """A station whose machine gets something else than what was commanded."""

    def reach(self, wanted_kw: F8) -> F8:
        """Return what the machine is told in the coming second [kW], float64[n]."""
        raise NotImplementedError

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance second by second; registers keep what was commanded."""
        for second in range(seconds):
            wanted_kw = self.state["power_set_kw"].copy()
            self.state["power_set_kw"] = self.reach(wanted_kw)
            super().step(start_ms + second * SECOND_MS, 1, env)
            self.state["power_set_kw"] = wanted_kw


class Sluggish(_Reaching):
    """Begins to follow a command `DEAD_S` after it came."""

    DEAD_S: ClassVar[int] = 8

    @classmethod
    def extras(cls, n: int) -> dict[str, NDArray[np.generic]]:
        """Add ``pipe`` float64[DEAD_S, n], the commands of the last seconds, newest first."""
        return {**super().extras(n), "pipe": np.zeros((cls.DEAD_S, n))}

    def reach(self, wanted_kw: F8) -> F8:
        """Return what was commanded `DEAD_S` ago."""
        pipe = self.state["pipe"]
        then: F8 = pipe[-1].copy()
        pipe[1:] = pipe[:-1].copy()
        pipe[0] = wanted_kw
        return then


class Creeping(_Reaching):
    """Changes its power by `RAMP` of its rating a second at most."""

    RAMP: ClassVar[float] = 0.01

    @classmethod
    def extras(cls, n: int) -> dict[str, NDArray[np.generic]]:
        """Add ``told_kw`` float64[n], what the machine was told last."""
        return {**super().extras(n), "told_kw": np.zeros(n)}

    def reach(self, wanted_kw: F8) -> F8:
        """Return the next step on the way."""
        step_kw = self.RAMP * self.rated_kw
        told_kw = self.state["told_kw"]
        told_kw += np.clip(wanted_kw - told_kw, -step_kw, step_kw)
        return told_kw.copy()


class SlowTurn(_Reaching):
    """Stands still for `REST_S` between charging and discharging."""

    REST_S: ClassVar[int] = 20

    @classmethod
    def extras(cls, n: int) -> dict[str, NDArray[np.generic]]:
        """Add ``side`` float64[n], the sign it worked with last, and ``rest_s`` float64[n]."""
        return {**super().extras(n), "side": np.zeros(n), "rest_s": np.zeros(n)}

    def reach(self, wanted_kw: F8) -> F8:
        """Return 0 while it rests."""
        state, side = self.state, np.sign(wanted_kw)
        turning = side * state["side"] < 0.0
        fresh = turning & (state["rest_s"] == 0.0)
        state["rest_s"] = np.where(fresh, self.REST_S, np.maximum(state["rest_s"] - 1.0, 0.0))
        done = ~turning | (~fresh & (state["rest_s"] == 0.0))
        # Whoever stands still already has had his rest.
        state["side"] = np.where(done, side, state["side"])
        return np.where(done, wanted_kw, 0.0)


class Uncalibrated(_Reaching):
    """Delivers `SHARE` of what was commanded."""

    SHARE: ClassVar[float] = 0.95

    def reach(self, wanted_kw: F8) -> F8:
        """Return the part that it delivers."""
        return self.SHARE * wanted_kw


class HalfPower(_Reaching):
    """Stops at `MOST` of its rating, either way."""

    MOST: ClassVar[float] = 0.5

    def reach(self, wanted_kw: F8) -> F8:
        """Return the command, cut."""
        most_kw = self.MOST * self.rated_kw
        return np.clip(wanted_kw, -most_kw, most_kw)


class Short(Storage):
    """Holds `SHARE` of the energy on its nameplate."""

    SHARE: ClassVar[float] = 0.7

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.plate[battery.CHARGE_KAH] *= self.SHARE
        self.true_kwh = self.plate[battery.CHARGE_KAH] * self.data.number("cell_nominal_v")


class Lossy(Storage):
    """Loses `LOST` of the energy that it charges, on top of what a good one loses."""

    LOST: ClassVar[float] = 0.2

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance; of what comes in at the terminals a part never reaches the cells."""
        before_kws = self.state["grid_in_kws"].copy()
        super().step(start_ms, seconds, env)
        taken_kwh = (self.state["grid_in_kws"] - before_kws) / SECONDS_PER_HOUR
        charging = self.state["pcs_kw"] < 0.0
        self.state["soc"] -= np.where(charging, self.LOST * taken_kwh / self.true_kwh, 0.0)


class Overcounting(Storage):
    """Counts `GAIN` times the energy that it moves."""

    GAIN: ClassVar[float] = 1.04

    def read(self, out: F8) -> None:
        """Write the points; its counters run too fast."""
        super().read(out)
        for name in ("charged_today_kwh", "discharged_today_kwh"):
            out[_row(self, name)] *= self.GAIN


class Misreading(Storage):
    """Shows `GAIN` times its power."""

    GAIN: ClassVar[float] = 1.04

    def read(self, out: F8) -> None:
        """Write the points; power is shown too large."""
        super().read(out)
        out[_row(self, "power_kw")] *= self.GAIN


class Unbounded(Storage):
    """Takes reversion times far beyond what it says."""

    setpoints = (
        *Storage.setpoints[:3],
        replace(Storage.setpoints[3], low=0.0, high=MOST_S),
    )


class Deaf(Storage):
    """Never notices that the heartbeat has stopped, whatever its maker states."""

    def behave(self, active: Active, now_ms: int) -> None:
        """Take the manners but for the heartbeat."""
        rest = [(replace(manner, heartbeat_s=None), rows) for manner, rows in active]
        super().behave(rest, now_ms)


class Overfull(Storage):
    """Goes on charging when it is full: the limit at the end is missing."""

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance; a full station draws what was commanded and turns it into heat."""
        super().step(start_ms, seconds, env)
        state = self.state
        wanted_kw = np.where(state["remote"] > 0.0, state["power_set_kw"], 0.0)
        taper = self.soc_max - self.constants[battery.TAPER]
        full = (state["soc"] >= taper) & (wanted_kw < 0.0)
        missing_kw = np.where(full, np.minimum(wanted_kw - state["power_kw"], 0.0), 0.0)
        state["power_kw"] += missing_kw
        state["energy_kws"] += missing_kw * seconds
        state["grid_in_kws"] -= missing_kw * seconds
        state["loss_kws"] -= missing_kw * seconds


class KeepsCommand(Storage):
    """Takes a reversion time and never keeps it."""

    def obey(self, point: int, rows: NDArray[np.int64], values: F8, now_ms: int) -> None:
        """Obey; a command that stands ends by itself no more."""
        super().obey(point, rows, values, now_ms)
        commanded = rows[self.state["remote"][rows] > 0.0]
        self.state["remote_until_ms"][commanded] = FOREVER_MS


def _row(kind: Storage, name: str) -> int:
    return [point.name for point in kind.points].index(name)
