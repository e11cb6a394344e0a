"""District cooling plants with ice storage.

Dual-mode chillers make ice in the valley hours and chill by day; the owner melts in the dear
hours, the dearest first, within the melt limit. A remote power limit makes the plant melt
instead of chill as far as tank and melt limit go; cooling that cannot be served is counted.
`rated_kw` is the whole plant: chillers, pumps and towers at full load on the design day.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.datasheet import Datasheet
from twin.assets.environment import Environment
from twin.assets.remote import LIMIT, POWER, REMOTE, SERVICE, SET_LIMIT, RemoteKind
from twin.assets.tariff_plan import VALLEY, TariffBook
from twin.chance import generator
from twin.clock import DAY_MS, SECOND_MS, minute_of_day
from twin.kernels import ice
from twin.kernels.chiller import CAPACITY, INPUT_RATIO, over_temperature
from twin.record.columns import Columns
from twin.record.exchange import Point
from twin.record.table import Table
from twin.units import MINUTES_PER_DAY, SECONDS_PER_HOUR

WARM_STEP_MIN = 10  # the owner's last day is traced in steps of this length
LEDGER_ROWS = (
    "energy_kws", "load_kws", "chilled_kws", "unmet_kws", "ice_in_kws", "melted_kws",
    "tank_loss_kws", "grid_in_kws", "chiller_kws", "other_kws",
)  # fmt: skip


class Icestore(RemoteKind):
    """All ice-storage district cooling plants; one row a plant.

    Energy ledger rows [kW s]: ``load_kws`` = ``chilled_kws`` + ``melted_kws`` + ``unmet_kws``;
    ``ice_in_kws`` - ``melted_kws`` - ``tank_loss_kws`` = ice stored (`stored_kws`);
    ``grid_in_kws`` = ``chiller_kws`` + ``other_kws``. Parameters and their sources stand in
    twin/assets/data/icestore.toml.
    """

    name = "icestore"
    step_s: ClassVar[int] = 1
    truth = ("tank_soc",)
    nameplate: ClassVar[tuple[str, ...]] = ("cooling_kw", "tank_kwh", "peak_cooling_kw")
    points = (
        POWER,
        Point("tank_soc", "1", "Ice in the tank", "蓄冰率", 0.0, 1.0, False, 0.001, 0.02),
        Point("cooling_load_kw", "kW", "Users' cooling load (thermal)", "用户冷负荷",
              0.0, resolution=1.0, accuracy=0.01),
        Point("melt_kw", "kW", "Cooling from melting ice (thermal)", "融冰供冷功率",
              0.0, resolution=1.0, accuracy=0.01),
        Point("chiller_kw", "kW", "Cooling made by chillers, ice too (thermal)", "主机制冷功率",
              0.0, resolution=1.0, accuracy=0.01),
        LIMIT,
        REMOTE,
    )  # fmt: skip
    setpoints = (SET_LIMIT, *SERVICE)

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.data, cooling = Datasheet("icestore"), Datasheet("aircon")
        self.curves = np.stack([
            cooling.array(f"curve_{curve}") for curve in ("capacity", "input_ratio", "part_load")
        ])  # fmt: skip
        self.approach_k = cooling.number("tower_approach_k")
        self.design_c = cooling.number("design_dry_bulb_c")
        self.design_condenser_c = cooling.number("design_wet_bulb_c") + self.approach_k
        self.constants = np.array([self.data.number(name) for name in ice.CONSTANT_NAMES])
        self.plate = self._true_parameters(seed)
        self.book = TariffBook(dearest_charge=VALLEY)
        self.state = Table((*ice.STATE_ROWS, "load_factor"), self.n, self.extras(self.n))
        self.start_remote()
        self.state["load_factor"] = 1.0

    def _true_parameters(self, seed: int) -> NDArray[np.float64]:
        """Return the true parameters, rows `ice.PLATE_ROWS`; keyed by the seed.

        The nameplate's chillers are rated on the design day, full load, at the supply of day mode.
        """
        number, plate = self.data.number, self.registered
        lost = number("tank_spread") * generator(seed, "icestore.true").random(self.n)
        tank_kwh, cooling_kw = plate.f8("tank_kwh"), plate.f8("cooling_kw")
        return np.stack([
            self.rated_kw, tank_kwh * (1.0 - lost) * SECONDS_PER_HOUR,
            tank_kwh * number("melt_per_h"), plate.f8("peak_cooling_kw"),
            self.rated_kw * number("chiller_share"), cooling_kw,
            np.maximum(np.round(cooling_kw / number("machine_size_kw")), 1.0),
        ])  # fmt: skip

    # -- the owner, his users and the weather --------------------------------------------------

    def users_load_kw(self, env: Environment, minute: int) -> NDArray[np.float64]:
        """Return the users' cooling load at `minute` of the day in the weather of `env` [kW]."""
        profile = self.data.array("load_profile")
        hour = minute / 60.0 - 0.5
        before = int(np.floor(hour))
        late = hour - before
        share = (1.0 - late) * profile[before % 24] + late * profile[(before + 1) % 24]
        heat = 1.0 + self.data.number("load_per_k") * (env.temperature_c - self.design_c)
        day = 1.0 if env.workday else self.data.number("rest_day_share")
        peak_kw: NDArray[np.float64] = self.plate[ice.PEAK_COOLING] * self.state["load_factor"]
        return peak_kw * float(share * max(heat, 0.1) * day)

    def _plan(self, env: Environment, minute: int) -> None:
        """Write the owner's melting and ice making at `minute` of the day."""
        plan, state = self.book.plan(env.tariff_day), self.state
        state["melt_plan_kw"] = state["ice_plan_kw"] = 0.0
        stored_kwh = state["tank_soc"] * self.plate[ice.TANK_KWS] / SECONDS_PER_HOUR
        if plan.charge[minute]:
            room_kwh = self.plate[ice.TANK_KWS] / SECONDS_PER_HOUR - stored_kwh
            # A steady pace to be full before the window ends, the last stretch at full power.
            left_h = plan.window_h[minute] - (1.0 - self.data.number("ice_share")) * 8.0
            state["ice_plan_kw"] = room_kwh / max(left_h, 0.25)
        elif plan.deliver[minute]:
            melt_most = self.plate[ice.MELT_MOST]
            spare_kwh = np.maximum(stored_kwh - plan.dearer_h[minute] * melt_most, 0.0)
            state["melt_plan_kw"] = np.minimum(spare_kwh / plan.equal_h[minute], melt_most)

    def minute(self, env: Environment) -> None:
        """Let remote commands expire; set the load and the owner's plan of this minute."""
        self.expire(env)
        if env.now_ms % DAY_MS == 0:
            self._draw_load(env)
        minute = minute_of_day(env.now_ms)
        self.state["load_kw"] = self.users_load_kw(env, minute)
        self._plan(env, minute)

    def _draw_load(self, env: Environment) -> None:
        """Set each plant's keyed factor on its users' load for the day of `env`."""
        draw = generator(env.seed, "icestore.load", env.now_ms // DAY_MS).standard_normal(self.n)
        self.state["load_factor"] = np.clip(1.0 + self.data.number("load_sigma") * draw, 0.8, 1.2)

    def warm(self, env: Environment) -> None:
        """Trace the owner's last day in steps, with the weather of the moment."""
        self._draw_load(env)
        state = self.state
        state["tank_soc"] = 0.5
        now = minute_of_day(env.now_ms)
        for back in range(MINUTES_PER_DAY, 0, -WARM_STEP_MIN):
            self._plan(env, (now - back) % MINUTES_PER_DAY)
            net_kws = (state["ice_plan_kw"] - state["melt_plan_kw"]) * WARM_STEP_MIN * 60.0
            tank_soc = state["tank_soc"] + net_kws / self.plate[ice.TANK_KWS]
            state["tank_soc"] = np.clip(tank_soc, 0.0, 1.0)
        self._plan(env, now)
        state["load_kw"] = self.users_load_kw(env, now)
        state["chill_kw"] = np.maximum(state["load_kw"] - state["melt_plan_kw"], 0.0)
        for row in LEDGER_ROWS:
            state[row] = 0.0

    # -- physics and points -------------------------------------------------------------------

    def weather(self, env: Environment) -> NDArray[np.float64]:
        """Return the kernel's weather vector."""
        supply_c, condenser_c = self.data.number("supply_c"), env.wet_bulb_c + self.approach_k
        now, design = (
            [over_temperature(self.curves[c], supply_c, at) for c in (CAPACITY, INPUT_RATIO)]
            for at in (condenser_c, self.design_condenser_c)
        )
        warmer_k = condenser_c - self.data.number("ice_condenser_c")
        ice_cop = self.data.number("ice_cop") * (1.0 - self.data.number("ice_cop_per_k") * warmer_k)
        return np.array([now[0] / design[0], now[1] / design[1], ice_cop])

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance by `seconds`; inner steps begin at multiples of `step_s`."""
        ice.advance(
            self.state.block, self.plate, self.curves, self.constants, self.weather(env),
            (start_ms // SECOND_MS, seconds, self.step_s),
        )  # fmt: skip

    def stored_kws(self) -> NDArray[np.float64]:
        """Return the ice in the tank [kW s thermal]."""
        return np.asarray(self.state["tank_soc"] * self.plate[ice.TANK_KWS])

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points; see `Kind.read`."""
        state = self.state
        out[0], out[1], out[2] = state["power_kw"], state["tank_soc"], state["load_kw"]
        out[3], out[4] = state["melt_kw"], state["chill_kw"] + state["ice_kw"]
        out[5], out[6] = state["limit_kw"], state["remote"]
