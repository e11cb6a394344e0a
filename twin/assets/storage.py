"""User-side storage stations: lithium iron phosphate, PCS, auxiliaries.

The owner lives by the tariff: two cycles a day where the tariff gives two cheap windows,
dearest hours served first. A remote set-point takes the place of that schedule; the site's
limits bound both. `rated_kw` is the PCS; `power_kw` is the terminals, auxiliaries included.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.datasheet import Datasheet
from twin.assets.environment import Environment
from twin.assets.remote import REMOTE, SERVICE, RemoteKind
from twin.assets.tariff_plan import TariffBook
from twin.chance import generator
from twin.clock import DAY_MS, SECOND_MS, minute_of_day
from twin.kernels import battery
from twin.record.columns import Columns
from twin.record.exchange import Point, Refusal
from twin.record.table import Table
from twin.units import MINUTES_PER_DAY, SECONDS_PER_HOUR

STANDBY, CHARGING, DISCHARGING, FAULT = 0, 1, 2, 3
WARM_STEP_MIN = 10  # the owner's last day is traced in steps of this length
FULL_SOC = 0.01  # no charging by schedule within this of the upper limit (assumed)
EMPTY_SOC = 0.002  # no discharge by schedule within this of the lower limit (assumed)
PRIVATE_ROWS = ("energy_kws", "grid_in_kws", "grid_out_kws", "loss_kws", "stored_kws",
                "in_at_midnight_kws", "out_at_midnight_kws")  # fmt: skip


class Storage(RemoteKind):
    """All storage stations; one row a station.

    Energy ledger rows [kW s]: ``grid_in_kws`` - ``grid_out_kws`` = ``loss_kws`` +
    ``stored_kws``; the last is the energy put into the cells, the integral of OCV. Parameters
    and their sources stand in twin/assets/data/storage.toml. True capacity, resistance and PCS
    loss differ from the nameplate by age and single spread, keyed by the seed. `threads` above 1
    spreads stations over numba's threads; it changes no bit and pays on an idle machine only.
    """

    name = "storage"
    threads: int = 1
    held = ("power_set_kw",)
    truth = ("soc",)
    nameplate: ClassVar[tuple[str, ...]] = ("capacity_kwh",)
    points = (
        Point("power_kw", "kW", "Power, positive is discharge", "有功功率（放电为正）",
              -1.1, 1.0, True, 0.1, 0.005),
        Point("soc", "1", "State of charge", "荷电状态", 0.0, 1.0, False, 0.001, 0.02),
        Point("temperature_c", "C", "Cell temperature", "电芯温度",
              -40.0, 100.0, False, 0.1, 0.005),
        Point("charged_today_kwh", "kWh", "Energy charged today", "当日充电电量",
              0.0, resolution=0.1),
        Point("discharged_today_kwh", "kWh", "Energy discharged today", "当日放电电量",
              0.0, resolution=0.1),
        Point("status", "1", "0 standby 1 charging 2 discharging 3 fault",
              "状态（0待机 1充电 2放电 3故障）", 0.0, 3.0),
        REMOTE,
        Point("charge_limit_kw", "kW", "Most it can charge now", "最大可充功率",
              0.0, 1.0, True, 0.1),
        Point("discharge_limit_kw", "kW", "Most it can discharge now", "最大可放功率",
              0.0, 1.0, True, 0.1),
        Point("setpoint_kw", "kW", "Set-point in force", "当前功率指令", -1.0, 1.0, True, 0.1),
    )  # fmt: skip
    setpoints = (
        Point("power_kw", "kW", "Power, positive is discharge", "有功功率设定（放电为正）",
              -1.0, 1.0, True, 0.1),
        *SERVICE,
    )  # fmt: skip

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.data = Datasheet("storage")
        self.capacity_kwh = nameplate.f8("capacity_kwh")
        self.constants = self._constants()
        self.soc_min = float(self.constants[battery.SOC_MIN])
        self.soc_max = float(self.constants[battery.SOC_MAX])
        self.table = battery.tabulate(
            self.data.array("ocv_soc_pct") / 100.0, self.data.array("ocv_v"),
            self.data.array("resistance_soc_pct") / 100.0, self.data.array("resistance_factor"),
        )  # fmt: skip
        self.plate = self._true_parameters(seed)
        self.true_kwh = self.plate[battery.CHARGE_KAH] * self.data.number("cell_nominal_v")
        self.book = TariffBook()
        style = generator(seed, "storage.owner").random((3, self.n))
        low, high = self.data.array("owner_window_share")
        self.window_share = low + (high - low) * style[0]
        self.spreads = style[1] < self.data.number("owner_spread_share")
        latest = self.data.number("owner_delay_min")
        self.delay_min = np.floor(style[2] * (latest + 1.0)).astype(np.int64)
        self.state = Table(battery.STATE_ROWS, self.n, self.extras(self.n))
        self.start_remote()

    def _constants(self) -> NDArray[np.float64]:
        """Return the common constants in the kernel's order."""
        values = []
        for name in battery.CONSTANT_NAMES:
            if name.endswith(("_from", "_to")):
                stem, _, end = name.rpartition("_")
                values.append(self.data.array(stem + "_c")[0 if end == "from" else 1])
            else:
                values.append(self.data.number(name))
        return np.array(values)

    def _true_parameters(self, seed: int) -> NDArray[np.float64]:
        """Return the true parameters, rows `battery.PLATE_ROWS`; keyed by the seed."""
        number, chance = self.data.number, generator(seed, "storage.true")
        youngest, oldest = self.data.array("age_years")
        age = youngest + (oldest - youngest) * chance.random(self.n)
        spread = 2.0 * chance.random((3, self.n)) - 1.0
        fade = number("fade_first_year") * age ** number("fade_exponent")
        health = (1.0 - fade) * (1.0 + number("capacity_spread") * spread[0])
        # All cells in parallel: their number follows from the registered capacity.
        cell_kah = number("cell_capacity_ah") / 1000.0
        new_kah = self.capacity_kwh / number("cell_nominal_v")
        cells = new_kah / cell_kah
        # One mOhm is one V per kA.
        resistance = number("cell_resistance_mohm") / cells
        resistance *= 1.0 + number("resistance_per_fade") * fade
        resistance *= 1.0 + number("resistance_spread") * spread[1]
        pcs = 1.0 + number("pcs_loss_spread") * spread[2]
        heat = cells * number("cell_mass_kg") * number("cell_specific_heat_kj_kg_k")
        return np.stack([
            self.rated_kw, new_kah * health, resistance, number("pcs_no_load") * pcs,
            number("pcs_linear") * pcs, number("pcs_square") * pcs, heat,
        ])  # fmt: skip

    # -- the owner ---------------------------------------------------------------------------

    def _schedule(
        self,
        env: Environment,
        minute: int,
        soc: NDArray[np.float64],
        window_kw: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the owner's power at `minute` of the day; keeps `window_kw` up to date.

        `window_kw` is the charging power chosen at the start of a cheap window (0 outside).
        """
        plan = self.book.plan(env.tariff_day)
        own = (minute - self.delay_min) % MINUTES_PER_DAY
        charge = plan.charge[own]
        need_kwh = np.maximum(self.soc_max - soc, 0.0) * self.true_kwh
        hours = self.window_share * np.maximum(plan.window_h[own], 1.0 / 60.0)
        pace = np.minimum(need_kwh / hours, self.rated_kw)
        window_kw[:] = np.where(charge, np.where(window_kw > 0.0, window_kw, pace), 0.0)
        have_kwh = np.maximum(soc - self.soc_min - EMPTY_SOC, 0.0) * self.true_kwh
        spare_kwh = np.maximum(have_kwh - plan.dearer_h[own] * self.rated_kw, 0.0)
        hours = np.where(self.spreads, np.maximum(plan.equal_h[own], 1.0 / 60.0), 1.0 / 60.0)
        deliver = np.where(plan.deliver[own], np.minimum(spare_kwh / hours, self.rated_kw), 0.0)
        return np.where(charge, np.where(soc < self.soc_max - FULL_SOC, -window_kw, 0.0), deliver)

    def minute(self, env: Environment) -> None:
        """Let remote set-points expire, turn the day's counters, follow the tariff."""
        self.expire(env)
        state = self.state
        if env.now_ms % DAY_MS == 0:
            state["in_at_midnight_kws"] = state["grid_in_kws"]
            state["out_at_midnight_kws"] = state["grid_out_kws"]
        minute = minute_of_day(env.now_ms)
        state["schedule_kw"] = self._schedule(env, minute, state["soc"], state["window_kw"])

    def warm(self, env: Environment) -> None:
        """Trace the owner's last 24 h without losses to find the SOC of this moment."""
        soc = np.full(self.n, 0.5 * (self.soc_min + self.soc_max))
        window_kw = np.zeros(self.n)
        now = minute_of_day(env.now_ms)
        for back in range(MINUTES_PER_DAY, 0, -WARM_STEP_MIN):
            power = self._schedule(env, (now - back) % MINUTES_PER_DAY, soc, window_kw)
            soc -= power * (WARM_STEP_MIN / 60.0) / self.true_kwh
            np.clip(soc, self.soc_min, self.soc_max, out=soc)
        self.state["soc"] = soc
        self.state["window_kw"] = window_kw
        self.state["temperature_c"] = self.data.number("cooling_off_c")
        self.state["charge_factor"] = self.state["discharge_factor"] = 1.0
        for row in PRIVATE_ROWS:
            self.state[row] = 0.0

    # -- physics and points -------------------------------------------------------------------

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Advance by `seconds` in steps of 1 s, coarser where `step_s` says so and fits."""
        step_s = self.step_s if seconds % self.step_s == 0 else 1
        advance = battery.advance_threaded if self.threads > 1 else battery.advance
        advance(
            self.state.block, self.plate, self.table, self.constants, env.temperature_c,
            (start_ms // SECOND_MS, seconds, step_s),
        )  # fmt: skip

    def in_force_kw(self) -> NDArray[np.float64]:
        """Return the set-point in force, remote or the owner's [kW]."""
        state = self.state
        return np.where(state["remote"] > 0.0, state["power_set_kw"], state["schedule_kw"])

    def limits_kw(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the most it can charge and discharge now, both positive, before site limits."""
        state, taper = self.state, self.constants[battery.TAPER]
        working = np.where((state["fault"] > 0.0) | (state["supplied"] == 0.0), 0.0, self.rated_kw)
        charge = np.minimum(state["charge_factor"], (self.soc_max - state["soc"]) / taper)
        discharge = np.minimum(state["discharge_factor"], (state["soc"] - self.soc_min) / taper)
        least = battery.LEAST_FACTOR
        return (
            np.where(charge >= least, charge, 0.0) * working,
            np.where(discharge >= least, discharge, 0.0) * working,
        )

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points; see `Kind.read`."""
        state = self.state
        out[0], out[1], out[2] = state["power_kw"], state["soc"], state["temperature_c"]
        out[3] = (state["grid_in_kws"] - state["in_at_midnight_kws"]) / SECONDS_PER_HOUR
        out[4] = (state["grid_out_kws"] - state["out_at_midnight_kws"]) / SECONDS_PER_HOUR
        running = np.where(state["pcs_kw"] < 0.0, CHARGING, DISCHARGING)
        running = np.where(state["pcs_kw"] == 0.0, STANDBY, running)
        out[5] = np.where(state["fault"] > 0.0, FAULT, running)
        out[6] = state["remote"]
        out[7], out[8] = self.limits_kw()
        out[9] = self.in_force_kw()

    def row_of(self, point: int) -> str | None:
        """Return the state row of a set-point: ``power_kw`` is what the terminals do."""
        return "power_set_kw" if self.setpoints[point].name == "power_kw" else None

    def refusal(self) -> NDArray[np.uint8]:
        """Return FAULT where a station has failed; see `Kind.refusal`."""
        reason = super().refusal()
        reason[self.state["fault"] > 0.0] = Refusal.FAULT
        return reason

    def stopped(self) -> NDArray[np.bool_]:
        """Return bool[n]: a command holds the station at zero."""
        return np.asarray((self.state["remote"] > 0.0) & (self.state["power_set_kw"] == 0.0))
