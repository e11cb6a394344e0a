"""Shore power: ships tie up, draw their hotel load, leave.

Most of the load is inflexible while the ship is tied up. A part, reefer containers mainly, can
be deferred for a limited time and is paid back. A limit below the inflexible part is honoured
only down to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.datasheet import Datasheet
from twin.assets.environment import Environment
from twin.assets.remote import LIMIT, POWER, REMOTE, SERVICE, SET_LIMIT, RemoteKind
from twin.chance import generator
from twin.clock import HOUR_MS, MINUTE_MS
from twin.kernels import berth
from twin.record.columns import Columns
from twin.record.exchange import Point
from twin.record.table import Table

LEDGER = berth.BERTH_ROWS[berth.DRAWN :]
WARM_MIN = 48 * 60  # longer than any stay and gap


class ShorePower(RemoteKind):
    """All berths with shore power.

    Energy ledger rows: ``wanted_kwh`` (what the ships would draw) = ``drawn_kwh`` + the change
    of ``deferred_kwh`` + ``dropped_kwh`` (still owed when the ship left) + ``forgone_kwh``
    (circuit open: the ship's own engines).
    """

    name = "shorepower"
    truth = ("berthed",)
    nameplate: ClassVar[tuple[str, ...]] = ("flexible_share",)
    points = (
        POWER,
        Point("berthed", "1", "Ship on shore power", "靠港接电", 0.0, 1.0),
        Point("flexible_kw", "kW", "Load that could be deferred now", "可延后功率", 0.0, 1.0, True),
        LIMIT,
        REMOTE,
    )
    setpoints = (SET_LIMIT, *SERVICE)

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.data = data = Datasheet("shorepower")
        self.sort = (self.rated_kw >= data.number("container_from_kw")).astype(np.int64)
        one = np.ones(self.n)
        self.plate = np.stack([
            self.rated_kw, nameplate.f8("flexible_share"),
            data.number("longest_deferral_h") * one, data.number("payback_share") * one,
        ])  # fmt: skip
        self.state = Table(berth.BERTH_ROWS, self.n, self.extras(self.n))
        self.start_remote()

    def warm(self, env: Environment) -> None:
        """Let the ships of the two days before come and go."""
        start_ms = env.now_ms - WARM_MIN * MINUTE_MS
        self.state["berthed"] = 0.0
        spread = generator(self.seed, "shorepower.start").random(self.n)
        self.state["until_ms"] = start_ms + np.floor(24.0 * spread * 60.0) * MINUTE_MS
        for back in range(WARM_MIN, 0, -1):
            self.ships(replace(env, now_ms=env.now_ms - back * MINUTE_MS))
        self.minute(env)
        self.state["power_kw"] = -self.state["wanted_kw"]
        for row in ("energy_kws", *LEDGER):
            self.state[row] = 0.0

    def minute(self, env: Environment) -> None:
        """Let remote commands expire, ships come and go, loads vary by the hour."""
        self.expire(env)
        self.ships(env)
        sigma = self.data.number("load_sigma")
        draw = generator(env.seed, "shorepower.load", env.now_ms // HOUR_MS)
        factor = np.clip(1.0 + sigma * draw.standard_normal(self.n), 0.7, 1.3)
        self.state["wanted_kw"] = np.minimum(self.state["ship_kw"] * factor, self.rated_kw)

    def ships(self, env: Environment) -> None:
        """Untie whose time is over, tie up whose time has come; depends on chance only."""
        state = self.state
        turn = state["until_ms"] <= env.now_ms
        if not turn.any():
            return
        draw = generator(env.seed, "shorepower.ships", env.now_ms // MINUTE_MS)
        chance = draw.random((2, self.n))
        comes = turn & (state["berthed"] == 0.0)
        leaves = turn & ~comes

        def between(key: str, row: int) -> NDArray[np.float64]:
            low, high = self.data.array(key)[self.sort].T
            return np.asarray(low + chance[row] * (high - low))

        stay_h = np.where(comes, between("stay_h", 0), between("gap_h", 0))
        until_ms = env.now_ms + np.ceil(stay_h * 60.0) * MINUTE_MS
        state["until_ms"][turn] = until_ms[turn]
        state["berthed"][turn] = comes[turn]
        state["ship_kw"][comes] = (between("ship_load", 1) * self.rated_kw)[comes]
        state["ship_kw"][leaves] = 0.0
        # What a leaving ship was still owed it makes good with its own engines.
        state["dropped_kwh"][leaves] += state["deferred_kwh"][leaves]
        state["deferred_kwh"][leaves] = 0.0

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Supply the ships, a second at a time."""
        berth.lie(self.state.block, self.plate, seconds)

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points."""
        for row, point in enumerate(self.points):
            out[row] = self.state[point.name]
