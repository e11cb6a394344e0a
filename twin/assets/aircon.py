"""Central air conditioning of single buildings: chillers, pumps, towers, fans, and the zone.

`rated_kw` is the whole plant (chillers, pumps, tower and air handling fans) at full load on
the design day; `cooling_kw` the chillers' thermal rating. The conditioned floor follows from
the plant: what it was sized for with an assumed oversizing; `floor_m2` is the registered gross
floor and enters no physics. The owner's control holds the zone set-point in working hours. A
remote set-point offset or power limit acts on it, and gives way where it grows too warm.
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
from twin.clock import DAY_MS, MINUTE_MS, SECOND_MS, minute_of_day
from twin.kernels import building
from twin.kernels.chiller import CAPACITY, INPUT_RATIO, over_temperature
from twin.record.columns import Columns
from twin.record.exchange import Point
from twin.record.table import Table
from twin.units import SECONDS_PER_HOUR

OFFICE, MALL, HOTEL, HOSPITAL, INDUSTRIAL = range(5)
WARM_MIN = 12 * 60  # minutes run beforehand with the weather of the moment
WARM_STEP_S = 60
LEDGER_ROWS = ("energy_kws", "heat_gain_kws", "heat_removed_kws", "grid_in_kws", "chiller_kws",
               "other_kws")  # fmt: skip


def humidity_g_kg(dry_bulb_c: float, wet_bulb_c: float) -> float:
    """Return the humidity of air [g/kg] at sea level, from dry and wet bulb [C].

    Magnus formula and the psychrometric equation (ASHRAE Handbook, Fundamentals).
    """
    saturated_pa = 611.2 * np.exp(17.62 * wet_bulb_c / (243.12 + wet_bulb_c))
    saturated = 0.62198 * saturated_pa / (101_325.0 - saturated_pa)
    evaporated = (2501.0 - 2.326 * wet_bulb_c) * saturated - 1.006 * (dry_bulb_c - wet_bulb_c)
    return float(1000.0 * evaporated / (2501.0 + 1.86 * dry_bulb_c - 4.186 * wet_bulb_c))


class Aircon(RemoteKind):
    """All centrally air-conditioned buildings; one row a building.

    Energy ledger rows [kW s]: ``heat_gain_kws`` - ``heat_removed_kws`` = heat stored in air and
    mass (`stored_kws`); ``grid_in_kws`` = ``chiller_kws`` + ``other_kws``. Parameters and their
    sources stand in twin/assets/data/aircon.toml. `threads` above 1 spreads buildings over
    numba's threads; it changes no bit and pays on an idle machine only.
    """

    name = "aircon"
    threads: int = 1
    # 10 s instead of 1 s moves zones by 0.007 K and fleet power by 0.05 % of its peak at most,
    # through a +2 K order and its release (step-size test).
    step_s: ClassVar[int] = 10
    held = ("setpoint_offset_c", "limit_kw")
    truth = ("temperature_c", "occupied")
    nameplate: ClassVar[tuple[str, ...]] = (
        "floor_m2", "cooling_kw", "use", "setpoint_c", "comfort_max_c",
    )  # fmt: skip
    points = (
        POWER,
        Point("zone_temperature_c", "C", "Zone temperature", "室内温度",
              0.0, 50.0, False, 0.1, 0.004),
        Point("setpoint_c", "C", "Zone set-point in force", "温度设定值", 16.0, 34.0, False, 0.1),
        LIMIT,
        Point("occupied", "1", "Occupied", "有人", 0.0, 1.0),
        Point("load_fraction", "1", "Cooling over capacity", "负荷率", 0.0, 1.5, False, 0.01),
        REMOTE,
    )  # fmt: skip
    setpoints = (
        Point("setpoint_offset_c", "K", "Shift of the zone set-point", "温度设定偏移量",
              -2.0, 4.0, False, 0.1),
        SET_LIMIT,
        *SERVICE,
    )  # fmt: skip

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.data = Datasheet("aircon")
        self.constants = np.array([self.data.number(name) for name in building.CONSTANT_NAMES])
        self.curves = np.stack([
            self.data.array(f"curve_{curve}") for curve in ("capacity", "input_ratio", "part_load")
        ])  # fmt: skip
        self.use = nameplate.i8("use")
        self.uses = np.stack([
            np.zeros(5), np.zeros(5),
            self.data.array("people_w_m2"), self.data.array("people_latent_w_m2"),
            self.data.array("equipment_w_m2"),
            self.data.array("ventilation_w_m2_k"), self.data.array("aperture"),
            self.data.array("start_min"), self.data.array("stop_min"),
        ], axis=1)  # fmt: skip
        self.profiles = np.stack(
            [self.data.array("people_profile"), self.data.array("equipment_profile")]
        )
        self.plate = self._true_parameters(seed)
        self.state = Table(building.STATE_ROWS, self.n, self.extras(self.n))
        self.start_remote()
        self.state["people_factor"] = 1.0

    def design_load_w_m2(self) -> NDArray[np.float64]:
        """Return float64[n], the cooling of a m2 of conditioned floor on the design day [W]."""
        number, uses = self.data.number, self.uses[self.use]
        setpoint_c = self.registered.f8("setpoint_c")
        people = self.profiles[0].max(axis=1)[self.use]
        over_k = number("design_dry_bulb_c") - setpoint_c
        outside = humidity_g_kg(number("design_dry_bulb_c"), number("design_wet_bulb_c"))
        warmer_k = setpoint_c - building.ZONE_REFERENCE_C
        zone = number("zone_g_kg") + number("zone_g_kg_k") * warmer_k
        moist_k = over_k + building.LATENT_K_PER_G * (outside - zone)
        load = uses[:, building.EQUIPMENT_W].copy()
        load += people * (uses[:, building.PEOPLE_W] + uses[:, building.PEOPLE_LATENT_W])
        load += self.data.array("envelope_w_m2_k")[self.use] * over_k
        load += uses[:, building.VENTILATION_W_K] * people * moist_k
        return load + uses[:, building.APERTURE] * number("design_vertical_w_m2")

    def _true_parameters(self, seed: int) -> NDArray[np.float64]:
        """Return the true parameters, rows `building.PLATE_ROWS`; keyed by the seed."""
        number, plate, n = self.data.number, self.registered, self.n
        chance = generator(seed, "aircon.true").random((4, n))

        def between(key: str, draw: NDArray[np.float64]) -> NDArray[np.float64]:
            low, high = self.data.array(key)
            return np.asarray(low + (high - low) * draw)

        supply_c = number("supply_c")
        condenser_c = number("design_wet_bulb_c") + number("tower_approach_k")
        capacity_factor = over_temperature(self.curves[CAPACITY], supply_c, condenser_c)
        ratio = over_temperature(self.curves[INPUT_RATIO], supply_c, condenser_c)
        registered_kw = plate.f8("cooling_kw")
        capacity_kw = registered_kw * (1.0 - between("fouling", chance[0]))
        # Floor in 1000 m2, so that W/m2 times floor is kW.
        design_kw = capacity_kw * capacity_factor / between("oversizing", chance[1])
        floor = design_kw / self.design_load_w_m2()
        mass = 1.0 + number("mass_spread") * (2.0 * chance[2] - 1.0)
        # Wh/(m2 K) times 1000 m2 are kWh/K.
        return np.stack([
            self.rated_kw, floor,
            floor * number("air_wh_m2_k") * SECONDS_PER_HOUR,
            floor * number("mass_wh_m2_k") * SECONDS_PER_HOUR * mass,
            floor * number("mass_w_m2_k"),
            floor * self.data.array("envelope_w_m2_k")[self.use],
            capacity_kw, np.clip(np.round(registered_kw / number("chiller_size_kw")), 1.0, 4.0),
            self.rated_kw * number("chiller_share") / (capacity_factor * ratio),
            self.rated_kw * number("fan_share"), self.rated_kw * number("pump_share"),
            self.rated_kw * number("tower_share"),
            plate.f8("setpoint_c"), plate.f8("comfort_max_c"), self.use.astype(np.float64),
            plate.f8("district"), np.round(number("shift_min") * (2.0 * chance[3] - 1.0)),
        ])  # fmt: skip

    # -- the owner and the weather ---------------------------------------------------------------

    def _uses_now(self, env: Environment) -> NDArray[np.float64]:
        """Return the table by use with the shares of people and equipment of this minute."""
        hour = minute_of_day(env.now_ms) / 60.0 - 0.5
        before = int(np.floor(hour))
        late = hour - before
        here, there = self.profiles[:, :, before % 24], self.profiles[:, :, (before + 1) % 24]
        rest_day = 1.0 if env.workday else self.data.array("rest_day_share")
        now = self.uses.copy()
        now[:, : building.PEOPLE_W] = (((1.0 - late) * here + late * there) * rest_day).T
        return now

    def _weather(self, env: Environment) -> NDArray[np.float64]:
        """Return the kernel's weather vector."""
        # Mean of the facades: beam over all directions, half the sky, ground of albedo 0.2.
        beam = env.dni_w_m2 * np.sin(np.radians(env.zenith_deg)) / np.pi
        vertical = beam + 0.5 * env.dhi_w_m2 + 0.5 * 0.2 * env.ghi_w_m2
        condenser_c = env.wet_bulb_c + self.data.number("tower_approach_k")
        scalars = (
            env.temperature_c, humidity_g_kg(env.temperature_c, env.wet_bulb_c), vertical,
            condenser_c, minute_of_day(env.now_ms), env.occupancy,
        )  # fmt: skip
        return np.concatenate([np.array(scalars, np.float64), env.cloud])

    def minute(self, env: Environment) -> None:
        """Let remote commands expire; draw each building's people for a new day."""
        self.expire(env)
        if env.now_ms % DAY_MS == 0:
            self._draw_people(env)

    def _draw_people(self, env: Environment) -> None:
        """Set each building's keyed factor on people for the day of `env`."""
        draw = generator(env.seed, "aircon.people", env.now_ms // DAY_MS).standard_normal(self.n)
        factor = 1.0 + self.data.number("people_sigma") * draw
        self.state["people_factor"] = np.clip(factor, 0.6, 1.4)

    def warm(self, env: Environment) -> None:
        """Run the hours before with the weather of the moment and the owner's own hours."""
        start_c = self.registered.f8("setpoint_c")
        self.state["temperature_c"] = start_c
        self.state["mass_c"] = start_c + 0.5
        self._draw_people(env)
        for back in range(WARM_MIN, 0, -1):
            then = replace(env, now_ms=env.now_ms - back * MINUTE_MS)
            self._advance(then.now_ms, 60, then, WARM_STEP_S)
        for row in LEDGER_ROWS:
            self.state[row] = 0.0

    # -- physics and points -------------------------------------------------------------------

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance by `seconds`; inner steps begin at multiples of `step_s`."""
        self._advance(start_ms, seconds, env, self.step_s)

    def _advance(self, start_ms: int, seconds: int, env: Environment, step_s: int) -> None:
        advance = building.advance_threaded if self.threads > 1 else building.advance
        advance(
            self.state.block, self.plate, (self._uses_now(env), self.curves, self.constants),
            self._weather(env), (start_ms // SECOND_MS, seconds, step_s),
        )  # fmt: skip

    def stored_kws(self) -> NDArray[np.float64]:
        """Return the heat in air and mass over 0 C [kW s]."""
        air = self.plate[building.AIR_CAPACITY] * self.state["temperature_c"]
        return np.asarray(air + self.plate[building.MASS_CAPACITY] * self.state["mass_c"])

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points; see `Kind.read`."""
        state = self.state
        out[0], out[1] = state["power_kw"], state["temperature_c"]
        out[2] = state["target_c"]
        limited = (state["remote"] > 0.0) & (state["lifted"] == 0.0)
        out[3] = np.where(limited, state["limit_kw"], self.rated_kw)
        out[4] = state["occupied"]
        out[5] = state["cooling_kw"] / self.plate[building.CAPACITY_KW]
        out[6] = state["remote"]
