"""Interruptible industry: batch lines with a stock downstream.

A line works in steps that are never broken off by a command: a pause takes effect at the end
of the running step and after the minimum run. While it rests its downstream lives on the
stock; overcapacity refills it. The owner resumes by himself before the stock runs out.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.datasheet import Datasheet
from twin.assets.environment import Environment
from twin.assets.remote import POWER, REMOTE, SERVICE, RemoteKind
from twin.chance import generator
from twin.clock import MINUTE_MS, minute_of_day
from twin.kernels import batch
from twin.record.columns import Columns
from twin.record.exchange import Outcome, Point
from twin.record.table import Table

WARM_MIN = 24 * 60
LEDGER = batch.LINE_ROWS[batch.DRAWN :]
MARGIN_S = 180.0  # the owner resumes this much earlier than he must (assumed)


def _exact(power_kw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return powers to 1/1024 kW, whose sums over seconds are exact."""
    return np.asarray(np.round(power_kw * 1024.0) / 1024.0)


class Industry(RemoteKind):
    """All interruptible lines, one row a line.

    `rated_kw` is the highest power within a step; ``base_share`` of it is drawn while resting
    (holding temperature, ventilation). Energy ledger rows: ``drawn_kws`` = ``process_kws`` +
    ``base_kws`` + ``restart_kws``; stock: ``stock_s`` moves by ``produced_s - consumed_s``.
    A line whose circuit is opened loses the step it is in (``broken_steps``); the limits of
    the site's own control do not reach into a step.
    """

    name = "industry"
    held = ("pause",)
    truth = ("stock_h",)
    nameplate: ClassVar[tuple[str, ...]] = (
        "step_min", "stock_h", "min_run_min", "restart_min", "base_share",
    )  # fmt: skip
    points = (
        POWER,
        Point("state", "1", "0 idle 1 running 2 finishing 3 paused 4 restarting",
              "状态（0闲置 1运行 2收尾 3暂停 4重启）", 0.0, 4.0),
        Point("step_remaining_s", "s", "Rest of the running step", "工步剩余时间", 0.0),
        Point("stock_h", "h", "Stock, hours of the downstream's use", "库存可用小时", 0.0,
              resolution=0.01),
        Point("pausable", "1", "Would pause when asked", "可暂停", 0.0, 1.0),
        REMOTE,
    )  # fmt: skip
    setpoints = (Point("pause", "1", "Pause after this step", "工步后暂停", 0.0, 1.0), *SERVICE)

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.data = data = Datasheet("industry")
        chance = generator(seed, "industry.true").random((7, self.n))

        def between(key: str, row: int) -> NDArray[np.float64]:
            low, high = data.array(key)
            return np.asarray(low + chance[row] * (high - low))

        step_s = np.maximum(
            np.round(60.0 * nameplate.f8("step_min") * between("step_spread", 0)), 1
        )
        restart_s = np.round(60.0 * nameplate.f8("restart_min") * between("restart_spread", 1))
        self.stock_full_s = 3600.0 * nameplate.f8("stock_h") * between("stock_spread", 2)
        shift = np.searchsorted(np.cumsum(data.array("shift_share"))[:-1], chance[3], side="right")
        begin_h, end_h = data.array("shift_hours")[shift].T
        apart_h = np.where(shift == 0, 0.0, chance[4] - 0.5)
        self.begin_min, self.end_min = (begin_h + apart_h) * 60.0, (end_h + apart_h) * 60.0
        self.delay_min = (chance[5] * data.number("reaction_min")).astype(np.int64)
        self.start_stock_s = np.round(self.stock_full_s * (0.3 + 0.6 * chance[6]))
        # From the decision to resume until the first product: restart and one whole step.
        resume_s = restart_s + step_s + MARGIN_S
        rated = self.rated_kw
        self.plate = np.stack([
            _exact(rated), _exact(rated * nameplate.f8("base_share")),
            _exact(rated * data.number("hold_power")),
            _exact(rated * data.number("restart_power")), step_s,
            np.round(step_s * data.number("heat_share")),
            np.round(nameplate.f8("min_run_min") * 60.0),
            restart_s, resume_s, np.round(step_s * (1.0 + data.number("overcapacity"))),
        ])  # fmt: skip
        self.state = Table(batch.LINE_ROWS, self.n, self.extras(self.n))
        self.start_remote()
        self.state["stock_s"] = self.start_stock_s

    def warm(self, env: Environment) -> None:
        """Let the owners work through the day before, each beginning anywhere in a step."""
        chance = generator(self.seed, "industry.phase").random(self.n)
        self.state["stock_s"] = self.start_stock_s
        self.state["state"] = batch.RUNNING
        self.state["elapsed_s"] = np.floor(chance * self.plate[batch.P_STEP])
        self.state["run_s"] = self.plate[batch.P_MIN_RUN]
        for back in range(WARM_MIN, 0, -1):
            self._owner(env.now_ms - back * MINUTE_MS, env.tariff_day)
            batch.work(self.state.block, self.plate, 60)
        for row in ("energy_kws", *LEDGER):
            self.state[row] = 0.0

    def minute(self, env: Environment) -> None:
        """Let remote commands expire; the owner looks at shift, tariff and stock."""
        self.expire(env)
        self._owner(env.now_ms, env.tariff_day)

    def _owner(self, now_ms: int, tariff_day: NDArray[np.int64]) -> None:
        state = self.state
        minute = minute_of_day(now_ms)
        state["on_shift"] = (minute >= self.begin_min) & (minute < self.end_min)
        period = tariff_day[(minute - self.delay_min) % 1440]
        stop = self.data.array("stop_above")[period]
        share = state["stock_s"] / np.maximum(self.stock_full_s, 1.0)
        idle = state["owner_idle"]
        idle[share >= stop] = 1.0
        idle[share <= stop - self.data.number("start_below")] = 0.0
        idle[state["stock_s"] <= self.plate[batch.P_RESUME]] = 0.0

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Work."""
        batch.work(self.state.block, self.plate, seconds)

    def pausable(self) -> NDArray[np.bool_]:
        """Return where a pause asked for now would save something: running, and stock left."""
        enough = self.state["stock_s"] > self.plate[batch.P_RESUME]
        return np.asarray((self.state["state"] == batch.RUNNING) & enough)

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points."""
        state = self.state
        in_step = (state["state"] == batch.RUNNING) | (state["state"] == batch.FINISHING)
        out[0] = state["power_kw"]
        out[1] = state["state"]
        out[2] = np.where(in_step, self.plate[batch.P_STEP] - state["elapsed_s"], 0.0)
        out[3] = state["stock_h"]
        out[4] = self.pausable()
        out[5] = state["remote"]

    def stopped(self) -> NDArray[np.bool_]:
        """Return bool[n]: a command keeps the line at rest."""
        return np.asarray((self.state["remote"] > 0.0) & (self.state["pause"] > 0.0))

    def check(
        self, point: int, rows: NDArray[np.int64], values: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """Return the answer to a write; a pause is refused where the stock would not carry it.

        See `Kind.check`. A value is rounded: a line pauses or does not.
        """
        if self.row_of(point) is None:
            return super().check(point, rows, values)
        outcome = super().check(point, rows, np.round(values))
        short = self.state["stock_s"][rows] <= self.plate[batch.P_RESUME, rows]
        outcome[short & (values >= 0.5)] = Outcome.REFUSED
        return outcome

    def obey(
        self, point: int, rows: NDArray[np.int64], values: NDArray[np.float64], now_ms: int
    ) -> None:
        """Put an accepted write into the state, rounded; see `Kind.obey`."""
        pause = self.row_of(point) is not None
        super().obey(point, rows, np.round(values) if pause else values, now_ms)
