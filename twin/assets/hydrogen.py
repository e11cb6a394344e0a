"""Electrolyser refuelling stations, some with a stationary fuel cell.

The owner makes hydrogen while power is cheap, keeps the tank above a reserve and sells to
vehicles by the hour. A remote limit below the minimum load stops the electrolyser; half the
reserve brings it back whatever is commanded.
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
from twin.clock import HOUR_MS, MINUTE_MS, minute_of_day
from twin.kernels import hydrogen
from twin.record.columns import Columns
from twin.record.exchange import Point
from twin.record.table import Table

WARM_MIN = 24 * 60
LEDGER = hydrogen.STATION_ROWS[hydrogen.DRAWN :]


class Hydrogen(RemoteKind):
    """All refuelling stations; `rated_kw` is stack, auxiliaries and compressor together.

    Energy ledger rows: ``drawn_kwh - fed_kwh = chemical_kwh + loss_kwh`` with chemical energy
    by lower heating value; hydrogen: ``tank_kg`` moves by ``made_kg - sold_kg - reused_kg``.
    """

    name = "hydrogen"
    held = ("limit_kw", "fuelcell_kw")
    truth = ("tank_kg",)
    nameplate: ClassVar[tuple[str, ...]] = ("tank_kg", "kg_per_day", "fuelcell_kw", "min_load")
    points = (
        POWER,
        Point("tank_kg", "kg", "Hydrogen in the tank", "储氢量", 0.0, accuracy=0.01),
        Point("hydrogen_demand_kg_h", "kg/h", "Hydrogen sold per hour", "加氢需求", 0.0),
        Point("fuelcell_power_kw", "kW", "Fuel cell power", "燃料电池功率", 0.0),
        LIMIT,
        REMOTE,
    )
    setpoints = (
        SET_LIMIT,
        Point("fuelcell_kw", "kW", "Fuel cell power", "燃料电池功率设定", 0.0),
        *SERVICE,
    )

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.data = data = Datasheet("hydrogen")
        self.tank_kg = nameplate.f8("tank_kg")
        self.cell_kw = nameplate.f8("fuelcell_kw")
        min_load = nameplate.f8("min_load")
        sort = (min_load >= data.number("alkaline_from_min_load")).astype(np.int64)
        profile = data.array("demand_profile")
        self.hourly_kg = nameplate.f8("kg_per_day")[:, None] * profile / profile.sum()
        low, high = data.array("specific_spread")
        worn = low + (high - low) * generator(seed, "hydrogen.true").random(self.n)
        rated, one = self.rated_kw, np.ones(self.n)
        self.plate = np.stack([
            rated, self.tank_kg, self.cell_kw, min_load * rated,
            data.array("ramp_per_s")[sort] * rated, data.array("start_s")[sort],
            data.number("standby") * rated, data.array("kwh_per_kg")[sort] * worn,
            data.array("part_load_gain")[sort], data.number("cell_kwh_per_kg") * one,
            data.number("reserve") * self.tank_kg,
            data.number("cell_ramp_per_s") * self.cell_kw,
        ])  # fmt: skip
        self.state = Table(hydrogen.STATION_ROWS, self.n, self.extras(self.n))
        self.start_remote()
        self.state["tank_kg"] = 0.6 * self.tank_kg

    def highest(self) -> dict[str, NDArray[np.float64]]:
        """The fuel cell goes up to its rating."""
        return {"fuelcell_kw": self.cell_kw}

    def warm(self, env: Environment) -> None:
        """Let the day before pass."""
        for back in range(WARM_MIN, 0, -1):
            now_ms = env.now_ms - back * MINUTE_MS
            period = int(env.tariff_day[minute_of_day(now_ms)])
            self.minute(replace(env, now_ms=now_ms, tariff_period=period))
            hydrogen.run(self.state.block, self.plate, 60)
        for row in ("energy_kws", *LEDGER):
            self.state[row] = 0.0

    def minute(self, env: Environment) -> None:
        """Let remote commands expire; this hour's vehicles; the owner looks at tank and tariff."""
        self.expire(env)
        sigma = self.data.number("demand_sigma")
        draw = generator(env.seed, "hydrogen.demand", env.now_ms // HOUR_MS)
        factor = np.exp(sigma * draw.standard_normal(self.n) - 0.5 * sigma**2)
        hour = minute_of_day(env.now_ms) // 60
        self.state["hydrogen_demand_kg_h"] = self.hourly_kg[:, hour] * factor
        fill_to = self.data.array("fill_to")[env.tariff_period]
        share = self.state["tank_kg"] / self.tank_kg
        load = np.clip((fill_to - share) / self.data.number("fill_band"), 0.0, 1.0)
        # Near the goal the plant idles at its minimum rather than stop and start.
        running = self.state["plant_kw"] > 0.0
        least = self.plate[hydrogen.P_MIN]
        wanted = load * self.rated_kw
        hold = running & (wanted > 0.0) & (wanted < least)
        self.state["wanted_kw"] = np.where(hold, least, wanted)

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Run, a second at a time."""
        hydrogen.run(self.state.block, self.plate, seconds)

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points."""
        for row, point in enumerate(self.points):
            out[row] = self.state[point.name]
