"""What kinds with a remote limit have in common: local or remote mode, and the way back.

A remote set-point holds until it is released or until nothing was written for an hour; then
the owner's own control is back (就地). The hour is assumed; devices in the field revert after
a time of their own when the platform falls silent, which set-point ``revert_s`` sets as well.
The hour is looked at once a minute, own times to the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.environment import Environment
from twin.assets.kind import Kind
from twin.assets.manners import DEPTH, FOREVER_MS, NEVER_MS, Active, Pipe, milliseconds
from twin.clock import HOUR_MS, SECOND_MS
from twin.record.exchange import Point, Refusal

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
HEARTBEAT = Point("heartbeat", "1", "Heartbeat of the platform", "平台心跳", 0.0, 65_535.0)
REVERT = Point(
    "revert_s", "s", "Silence that ends a command", "失联恢复本地控制时间", 1.0, 86_400.0
)
# Last in every kind's set-points.
SERVICE = (RELEASE, HEARTBEAT, REVERT)

# Points that say what is commanded: a device that lags shows them late.
ECHOES = ("setpoint_kw", "limit_kw", "setpoint_c", "remote")


class RemoteKind(Kind):
    """A kind whose set-points are state rows of the same name, plus `SERVICE`.

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
        """Release what was not written to for its time; call it once a minute."""
        remote = self.state["remote"] > 0.0
        if remote.any():
            over = remote & (self.state["remote_until_ms"] <= env.now_ms)
            over &= self.state["busy_until_ms"] <= env.now_ms
            self.release(np.flatnonzero(over))

    # -- set-points ----------------------------------------------------------------------------

    def bounds(self, point: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what set-point `point` takes, no more than `highest`; see `Kind.bounds`."""
        low, high = super().bounds(point)
        most = self.highest().get(self.setpoints[point].name)
        return low, high if most is None else np.minimum(high, most)

    def row_of(self, point: int) -> str | None:
        """Return the state row that a command stands in, None for `SERVICE`."""
        name = self.setpoints[point].name
        return name if name in self.held else None

    def stopped(self) -> NDArray[np.bool_]:
        """Return bool[n]: a command keeps the device off."""
        return np.asarray((self.state["remote"] > 0.0) & (self.state["limit_kw"] == 0.0))

    def obey(
        self, point: int, rows: NDArray[np.int64], values: NDArray[np.float64], now_ms: int
    ) -> None:
        """Put an accepted write into the state; see `Kind.obey`."""
        state, row, name = self.state, self.row_of(point), self.setpoints[point].name
        state["heard_ms"][rows] = now_ms
        ran = ~self.stopped()
        if name == "release":
            self.release(rows[values >= 0.5])
        elif name == "heartbeat":
            state["heartbeat"][rows] = values
        elif name == "revert_s":
            state["revert_ms"][rows] = np.ceil(values) * SECOND_MS
            self._hold(rows[state["remote"][rows] > 0.0], now_ms)
        elif row is not None:
            state[row][rows] = values
            state["remote"][rows] = 1.0
            self._hold(rows, now_ms)
        stops = rows[(ran & self.stopped())[rows] & (state["min_off_ms"][rows] > 0)]
        state["busy_until_ms"][stops] = now_ms + state["min_off_ms"][stops]

    def _hold(self, rows: NDArray[np.int64], now_ms: int) -> None:
        """Let the commands of `rows` hold from now on."""
        self.state["remote_until_ms"][rows] = now_ms + self.state["revert_ms"][rows]

    def in_force(self, out: NDArray[np.float64]) -> None:
        """Write what is commanded, else the owner's own value; see `Kind.in_force`."""
        self._in_force(out)
        rows = np.flatnonzero(self.state["lag_ms"])
        if len(rows) > 0:
            commands = self._commands()
            out[np.ix_(commands, rows)] = self._late(rows)[-len(commands) :]

    def _in_force(self, out: NDArray[np.float64]) -> None:
        remote = self.state["remote"] > 0.0
        for point, spec in enumerate(self.setpoints):
            row = self.row_of(point)
            if row is not None:
                out[point] = np.where(remote, self.state[row], self.own_value(row))
            elif spec.name == "heartbeat":
                out[point] = self.state["heartbeat"]
            else:
                revert_s = self.state["revert_ms"] / SECOND_MS
                out[point] = revert_s if spec.name == "revert_s" else 0.0

    def refusal(self) -> NDArray[np.uint8]:
        """Return why every write is refused now: local mode, or off for a minimum time."""
        busy = self.state["busy_until_ms"] > self.state["clock_ms"][0]
        reason = super().refusal()
        reason[busy & (reason == Refusal.NONE)] = Refusal.BUSY
        return reason

    # -- manners ---------------------------------------------------------------------------

    @classmethod
    def extras(cls, n: int) -> dict[str, NDArray[np.generic]]:
        """Return the arrays beside the rows; see `Kind.extras`.

        By device: ``heartbeat`` last heard; ``heartbeat_ms``, ``lag_ms``, ``min_off_ms`` and
        ``own_revert_ms`` of its manners (0: none); ``revert_ms`` how long a command holds;
        ``heard_ms`` when it last took a write; ``busy_until_ms``; and ``echo``, ``echo_ms``,
        what it showed of its commands lately (see `Pipe`).
        """
        echoes = len(cls._echo_points()) + len(cls.held)
        names = ("heartbeat_ms", "lag_ms", "min_off_ms", "own_revert_ms", "heard_ms")
        return {
            **super().extras(n),
            "heartbeat": np.zeros(n),
            "revert_ms": np.full(n, REVERT_MS, np.int64),
            "busy_until_ms": np.full(n, NEVER_MS, np.int64),
            "echo_ms": np.full((DEPTH, n), NEVER_MS, np.int64),
            "echo": np.zeros((DEPTH, echoes, n)),
            **{name: np.zeros(n, np.int64) for name in names},
        }

    def behave(self, active: Active, now_ms: int) -> None:
        """Take the manners in force; timers that are new begin now. See `Kind.behave`."""
        state, n = self.state, self.n
        was_local = state["local"] == 1
        super().behave(active, now_ms)
        self.release(np.flatnonzero((state["local"] == 1) & ~was_local))
        heartbeat_ms = milliseconds(active, n, "heartbeat_s")
        state["heard_ms"][heartbeat_ms != state["heartbeat_ms"]] = now_ms
        state["heartbeat_ms"] = heartbeat_ms
        revert_ms = milliseconds(active, n, "revert_s")
        changed = revert_ms != state["own_revert_ms"]
        state["own_revert_ms"] = revert_ms
        state["revert_ms"][changed] = np.where(revert_ms > 0, revert_ms, REVERT_MS)[changed]
        self._hold(np.flatnonzero(changed & (state["remote"] > 0.0)), now_ms)
        min_off_ms = milliseconds(active, n, "min_off_s")
        state["busy_until_ms"][min_off_ms == 0] = NEVER_MS
        state["min_off_ms"] = min_off_ms
        lag_ms = milliseconds(active, n, "readback_lag_s")
        begins = np.flatnonzero((lag_ms > 0) & (state["lag_ms"] == 0))
        state["lag_ms"] = lag_ms
        if len(begins) > 0:
            self._pipe().fill(begins, self._echoes())
        self.note(now_ms)

    def _due_ms(self) -> NDArray[np.int64]:
        """Return int64[n], when each command ends by a timer of its own, else `FOREVER_MS`."""
        state = self.state
        busy_ms = state["busy_until_ms"]
        own = state["revert_ms"] != REVERT_MS
        reverts = np.where(own, state["remote_until_ms"], FOREVER_MS)
        # The watchdog rests while every write, heartbeats too, is refused.
        since_ms = np.maximum(state["heard_ms"], busy_ms)
        starves = np.where(state["heartbeat_ms"] > 0, since_ms + state["heartbeat_ms"], FOREVER_MS)
        due_ms = np.maximum(np.minimum(reverts, starves), busy_ms)
        return np.where(state["remote"] > 0.0, due_ms, FOREVER_MS).astype(np.int64)

    def next_fall_back_ms(self) -> int:
        """Return when a command ends next by a timer of its own; see `Kind.next_fall_back_ms`."""
        timed = (self.state["heartbeat_ms"] > 0) | (self.state["revert_ms"] != REVERT_MS)
        return int(self._due_ms().min()) if timed.any() else FOREVER_MS

    def fall_back(self, now_ms: int) -> None:
        """Release whose own timer has run out; see `Kind.fall_back`."""
        self.release(np.flatnonzero(self._due_ms() <= now_ms))
        self.note(now_ms)

    @classmethod
    def _echo_points(cls) -> NDArray[np.int64]:
        return np.flatnonzero([point.name in ECHOES for point in cls.points])

    def _commands(self) -> NDArray[np.int64]:
        return np.flatnonzero([self.row_of(i) is not None for i in range(len(self.setpoints))])

    def _echoes(self) -> NDArray[np.float64]:
        """Return float64[echoes, n]: points that echo a command, then set-points in force."""
        points = np.empty((len(self.points), self.n))
        self.read(points)
        commands = np.empty((len(self.setpoints), self.n))
        self._in_force(commands)
        return np.concatenate([points[self._echo_points()], commands[self._commands()]])

    def _pipe(self) -> Pipe:
        return Pipe(self.state["echo_ms"].view(np.int64), self.state["echo"])

    def _late(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return self._pipe().late(rows, self.state["clock_ms"][0] - self.state["lag_ms"][rows])

    def note(self, now_ms: int) -> None:
        """Note what is in force, where it is shown late; see `Kind.note`."""
        rows = np.flatnonzero(self.state["lag_ms"])
        if len(rows) > 0:
            self._pipe().note(rows, self._echoes(), now_ms)

    def lag(self, out: NDArray[np.float64]) -> None:
        """Put the points that echo a command into `out` as they stood; see `Kind.lag`."""
        rows = np.flatnonzero(self.state["lag_ms"])
        if len(rows) > 0:
            echoes = self._echo_points()
            out[np.ix_(echoes, rows)] = self._late(rows)[: len(echoes)]
