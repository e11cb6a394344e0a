"""What kinds with a remote limit have in common: local or remote mode, and the way back.

A remote set-point holds until it is released or until nothing was written for an hour; then
the owner's own control is back (就地). The hour is assumed; devices in the field revert after
a time of their own when the platform falls silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.kind import Kind
from twin.clock import HOUR_MS
from twin.record.exchange import Point

REVERT_MS = HOUR_MS  # without any write (assumed)

# Rows that follow kind.COMMON_ROWS in every state of this family.
REMOTE_ROWS = ("remote", "remote_until_ms")

# Class 0.5 meters with a display of 0.1 kW (general knowledge).
POWER = Point(
    "power_kw",
    "kW",
    "Power, positive into the grid",
    "有功功率（送电为正）",
    -1.0,
    1.0,
    True,
    0.1,
    0.005,
)
LIMIT = Point("limit_kw", "kW", "Consumption limit in force", "功率限值", 0.0, 1.0, True, 0.1)
REMOTE = Point("remote", "1", "Under remote control", "远方控制", 0.0, 1.0)
SET_LIMIT = Point("limit_kw", "kW", "Consumption limit", "功率限值设定", 0.0, 1.0, True, 0.1)
RELEASE = Point("release", "1", "Back to the owner's own control", "释放远方控制", 0.0, 1.0)


class RemoteKind(Kind):
    """A kind whose set-points are state rows of the same name, plus ``release``.

    `held` names those rows; `own_value` says what stands there under the owner's control.
    """

    held: ClassVar[tuple[str, ...]] = ("limit_kw",)

    def start_remote(self) -> None:
        """Set a fresh state: supplied, unlimited by its site, under the owner's control."""
        self.state["supplied"] = 1.0
        self.state["limit_low_kw"] = -np.inf
        self.state["limit_high_kw"] = np.inf
        for name in self.held:
            self.state[name] = self.own_value(name)

    def own_value(self, name: str) -> NDArray[np.float64]:
        """Return what `name` is while nobody commands: the rating for a limit, else 0."""
        return self.rated_kw if name == "limit_kw" else np.zeros(self.n)

    def highest(self) -> Mapping[str, NDArray[np.float64]]:
        """Return device by device upper bounds narrower than the set-points' ranges."""
        return {}

    def release(self, rows: NDArray[np.int64]) -> None:
        """Give `rows` back to their owners."""
        for name in self.held:
            self.state[name][rows] = self.own_value(name)[rows]
        self.state["remote"][rows] = 0.0
        self.state["remote_until_ms"][rows] = 0.0

    def expire(self, env: Environment) -> None:
        """Release what was not written to for `REVERT_MS`; call it once a minute."""
        remote = self.state["remote"] > 0.0
        if remote.any():
            over = remote & (self.state["remote_until_ms"] <= env.now_ms)
            self.release(np.flatnonzero(over))

    def bounds(self, point: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what set-point `point` takes, no more than `highest`; see `Kind.bounds`."""
        low, high = super().bounds(point)
        most = self.highest().get(self.setpoints[point].name)
        return low, high if most is None else np.minimum(high, most)

    def row_of(self, point: int) -> str | None:
        """Return the state row that set-point `point` stands in, None for ``release``."""
        name = self.setpoints[point].name
        return name if name in self.held else None

    def obey(
        self, point: int, rows: NDArray[np.int64], values: NDArray[np.float64], now_ms: int
    ) -> None:
        """Put an accepted write into the state; see `Kind.obey`."""
        row = self.row_of(point)
        if row is None:
            self.release(rows[values >= 0.5])
            return
        self.state[row][rows] = values
        self.state["remote"][rows] = 1.0
        self.state["remote_until_ms"][rows] = now_ms + REVERT_MS

    def in_force(self, out: NDArray[np.float64]) -> None:
        """Write what is commanded, else the owner's own value; see `Kind.in_force`."""
        remote = self.state["remote"] > 0.0
        for point in range(len(self.setpoints)):
            row = self.row_of(point)
            own = 0.0 if row is None else self.own_value(row)
            out[point] = own if row is None else np.where(remote, self.state[row], own)
