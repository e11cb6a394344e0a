"""Battery swap stations: packs are the stock, full packs the service.

Vehicles arrive by a keyed process, take the fullest pack and leave an empty one. While power
is cheap the owner charges everything; while it is dear only as many packs as he expects to
hand out. Who finds no pack worth taking drives on and is counted (``missed``).
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
from twin.clock import MINUTE_MS, minute_of_day
from twin.kernels import swap
from twin.record.columns import Columns
from twin.record.exchange import Point
from twin.record.table import Table

WARM_MIN = 24 * 60
DEAR = 2  # tariff period from which the owner charges only what he needs
LEDGER = swap.SWAP_ROWS[swap.DRAWN :]


class Swap(RemoteKind):
    """All swap stations, one row a station, packs in a table of all slots.

    Energy ledger rows: ``drawn_kwh`` and ``fed_kwh`` (AC), ``into_packs_kwh`` (net),
    ``loss_kwh``: drawn - fed = into packs + loss; the packs' own account: stored energy moves
    by into packs + ``in_kwh`` (left by vehicles) - ``out_kwh`` (handed out).
    """

    name = "swap"
    # 10 s instead of 1 s moves power by less than 0.5 % of its peak (step-size test).
    step_s: ClassVar[int] = 10
    held = ("limit_kw", "v2g_kw")
    truth = ("packs_full",)
    nameplate: ClassVar[tuple[str, ...]] = (
        "packs", "pack_kwh", "slot_kw", "swaps_per_day", "v2g_kw",
    )  # fmt: skip
    points = (
        POWER,
        Point("packs_full", "1", "Full packs", "满电电池数", 0.0),
        Point("energy_stock_kwh", "kWh", "Energy in packs", "电池储能量", 0.0),
        Point("energy_needed_kwh", "kWh", "Energy to fill all packs", "待充电量", 0.0),
        Point("minimum_kw", "kW", "Least power that keeps the service", "最小保障功率", 0.0),
        LIMIT,
        Point("v2g_available_kw", "kW", "Feed-in available", "可放电功率", 0.0, 1.0, True),
        REMOTE,
    )
    setpoints = (
        SET_LIMIT,
        Point("v2g_kw", "kW", "Feed-in", "放电功率设定", 0.0, 1.0, True, 0.1),
        *SERVICE,
    )

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.data = data = Datasheet("swap")
        self.packs = nameplate.i8("packs")
        self.first = np.concatenate([[0], np.cumsum(self.packs)]).astype(np.int64)
        self.pack_kwh = nameplate.f8("pack_kwh")
        self.v2g_rated_kw = nameplate.f8("v2g_kw")
        efficiency = np.full(self.n, data.number("efficiency"))
        self.plate = np.stack([
            self.rated_kw, self.pack_kwh, nameplate.f8("slot_kw"), self.v2g_rated_kw, efficiency,
        ])  # fmt: skip
        profile = data.array("arrival_profile")
        self.hourly = nameplate.f8("swaps_per_day")[:, None] * profile / profile.sum()
        slots = int(self.first[-1])
        extras = {**self.extras(self.n), "soc": np.zeros(slots)}
        self.state = Table(swap.SWAP_ROWS, self.n, extras)
        self.start_remote()

    def highest(self) -> dict[str, NDArray[np.float64]]:
        """Feed-in goes up to the station's rating for it."""
        return {"v2g_kw": self.v2g_rated_kw}

    def warm(self, env: Environment) -> None:
        """Let the day before pass, from packs full to a keyed degree."""
        self.state["soc"] = 0.5 + 0.5 * generator(self.seed, "swap.start").random(
            len(self.state["soc"])
        )
        for back in range(WARM_MIN, 0, -1):
            now_ms = env.now_ms - back * MINUTE_MS
            period = int(env.tariff_day[minute_of_day(now_ms)])
            then = replace(env, now_ms=now_ms, tariff_period=period)
            self.minute(then)
            self._advance(now_ms, 60, 60)
        for row in ("energy_kws", *LEDGER):
            self.state[row] = 0.0

    def minute(self, env: Environment) -> None:
        """Let remote commands expire, vehicles swap, and the owner decide how much to keep."""
        self.expire(env)
        hour = minute_of_day(env.now_ms) // 60
        draw = generator(env.seed, "swap.arrivals", env.now_ms // MINUTE_MS)
        count = draw.poisson(self.hourly[:, hour] / 60.0)
        station = np.repeat(np.arange(self.n, dtype=np.int64), count)
        low, high = self.data.array("arriving_soc")
        left = low + (high - low) * draw.random(len(station))
        block, soc = self.state.block, self.state["soc"]
        swap.hand_out(block, self.plate, self.first, soc, station, left)
        keep = self.keep(hour)
        self.state["service_keep"] = keep
        self.state["owner_keep"] = keep if env.tariff_period >= DEAR else self.packs

    def keep(self, hour: int) -> NDArray[np.float64]:
        """Return float64[n], packs to hold full for the vehicles expected soon."""
        expected = self.hourly[:, hour] * self.data.number("keep_ahead_h")
        least = self.data.number("keep_least")
        return np.asarray(np.minimum(np.maximum(np.ceil(expected), least), self.packs))

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Charge packs."""
        self._advance(start_ms, seconds, self.step_s)

    def _advance(self, start_ms: int, seconds: int, step_s: int) -> None:
        span = np.array([start_ms, seconds, step_s], np.int64)
        block, soc = self.state.block, self.state["soc"]
        swap.charge_packs(block, self.plate, self.first, soc, span)

    def stock_kwh(self) -> NDArray[np.float64]:
        """Return float64[n], energy in the packs of each station."""
        return np.asarray(np.add.reduceat(self.state["soc"], self.first[:-1]) * self.pack_kwh)

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points; `minimum_kw` fills the kept packs within `keep_ahead_h`."""
        state = self.state
        survey = np.empty((2, self.n))
        swap.survey(state.block, self.plate, self.first, state["soc"], survey)
        ahead_h = self.data.number("keep_ahead_h")
        least_kw = survey[0] / ahead_h / self.plate[swap.P_EFFICIENCY]
        stock_kwh = self.stock_kwh()
        out[0] = state["power_kw"]
        out[1] = state["packs_full"]
        out[2] = stock_kwh
        out[3] = self.packs * self.pack_kwh - stock_kwh
        out[4] = np.minimum(least_kw, self.rated_kw) * state["supplied"]
        out[5] = state["limit_kw"]
        out[6] = survey[1]
        out[7] = state["remote"]
