"""Terminals, chargers, air conditioning and photovoltaic plants with one fault each.

Sizes are our choice (assumed): well beyond what a good device of its kind does.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.aircon import Aircon
from twin.assets.charging import Charging
from twin.assets.environment import Environment
from twin.assets.solar import Solar
from twin.assets.terminal import CIRCUITS, Terminal
from twin.chance import generator
from twin.clock import SECOND_MS
from twin.kernels import session
from twin.record.columns import Columns

__all__ = [
    "Crossed", "Forgetful", "KillsSessions", "LateCap", "NoWarning", "StaysOpen", "Unbridled",
    "Unlimited", "Unmoved", "Unshed",
]  # fmt: skip

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class Forgetful(Terminal):
    """Says yes to every command and loses `LOST` of them."""

    LOST: ClassVar[float] = 0.01

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.seed = seed

    @classmethod
    def extras(cls, n: int) -> dict[str, NDArray[np.generic]]:
        """Add ``heard`` int64[n], commands so far."""
        return {**super().extras(n), "heard": np.zeros(n, np.int64)}

    def obey(self, point: int, rows: I8, values: F8, now_ms: int) -> None:
        """Obey what is not lost; keyed by seed, device and the command's number."""
        heard = self.state["heard"].astype(np.int64)
        draw = [
            generator(self.seed, f"broken.forgetful.{row}", int(heard[row])).random()
            for row in rows
        ]
        self.state["heard"][rows] += 1
        kept = np.array(draw) >= self.LOST
        super().obey(point, rows[kept], values[kept], now_ms)


class Crossed(Terminal):
    """Has two trip outputs wired crosswise: the first round opens the second circuit."""

    def obey(self, point: int, rows: I8, values: F8, now_ms: int) -> None:
        """Open or close the other circuit of the first two."""
        super().obey({0: 1, 1: 0}.get(point, point), rows, values, now_ms)


class NoWarning(Terminal):
    """Shows no warning before it trips."""

    def obey(self, point: int, rows: I8, values: F8, now_ms: int) -> None:
        """Obey all but the warning."""
        if point != CIRCUITS:
            super().obey(point, rows, values, now_ms)


class StaysOpen(Terminal):
    """Never closes its last circuit again."""

    def obey(self, point: int, rows: I8, values: F8, now_ms: int) -> None:
        """Obey all but closing circuit 4."""
        if point == CIRCUITS - 1:
            opening = values < 0.5
            rows, values = rows[opening], values[opening]
        super().obey(point, rows, values, now_ms)


class _Limited(Charging):
    """A station whose posts get another limit than the one that was commanded."""

    def reach(self, limit_kw: F8) -> F8:
        """Return the limit that the posts get for the coming second [kW], float64[n]."""
        raise NotImplementedError

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Charge second by second; registers keep what was commanded."""
        for second in range(seconds):
            limit_kw = self.state["limit_kw"].copy()
            self.state["limit_kw"] = self.reach(limit_kw)
            super().step(start_ms + second * SECOND_MS, 1, env)
            self.state["limit_kw"] = limit_kw


class LateCap(_Limited):
    """Follows a limit after `DEAD_S`."""

    DEAD_S: ClassVar[int] = 15

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.state["pipe"] = self.rated_kw

    @classmethod
    def extras(cls, n: int) -> dict[str, NDArray[np.generic]]:
        """Add ``pipe`` float64[DEAD_S, n], the limits of the last seconds, newest first."""
        return {**super().extras(n), "pipe": np.zeros((cls.DEAD_S, n))}

    def reach(self, limit_kw: F8) -> F8:
        """Return the limit of `DEAD_S` ago."""
        pipe = self.state["pipe"]
        then: F8 = pipe[-1].copy()
        pipe[1:] = pipe[:-1].copy()
        pipe[0] = limit_kw
        return then


class Unlimited(_Limited):
    """Shows the limit and draws `MORE` above it."""

    MORE: ClassVar[float] = 0.3

    def reach(self, limit_kw: F8) -> F8:
        """Return a limit that is too high."""
        return np.minimum(limit_kw * (1.0 + self.MORE), self.rated_kw)


class KillsSessions(Charging):
    """Ends the running sessions when it is limited."""

    def obey(self, point: int, rows: I8, values: F8, now_ms: int) -> None:
        """Obey; a limit below the rating sends every vehicle of the station away."""
        super().obey(point, rows, values, now_ms)
        if self.setpoints[point].name != "limit_kw":
            return
        sessions = self.state["sessions"]
        for row in rows[values < self.rated_kw[rows]]:
            sessions[session.DEPART, self.first[row] : self.first[row + 1]] = now_ms


class Unmoved(Aircon):
    """Shows a shifted set-point and cools as before."""

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance with the owner's set-point; registers keep what was commanded."""
        offset_c = self.state["setpoint_offset_c"].copy()
        self.state["setpoint_offset_c"] = 0.0
        # The kernel looks at the offset once a minute only, and at the target every second.
        self.state["target_c"] = self.registered.f8("setpoint_c")
        super().step(start_ms, seconds, env)
        self.state["setpoint_offset_c"] = offset_c
        self.state["target_c"] = self.registered.f8("setpoint_c") + offset_c


class Unshed(Aircon):
    """Shows a power limit and draws what it likes."""

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance without the limit; registers keep what was commanded."""
        limit_kw = self.state["limit_kw"].copy()
        self.state["limit_kw"] = self.rated_kw
        super().step(start_ms, seconds, env)
        self.state["limit_kw"] = limit_kw


class Unbridled(Solar):
    """Shows a feed-in limit and feeds in `MORE` above it."""

    MORE: ClassVar[float] = 0.2

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Feed in up to a limit that is too high."""
        limit_kw = self.state["limit_kw"].copy()
        self.state["limit_kw"] = np.minimum(limit_kw + self.MORE * self.rated_kw, self.rated_kw)
        super().step(start_ms, seconds, env)
        self.state["limit_kw"] = limit_kw
