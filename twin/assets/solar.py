"""Rooftop PV: sun on the plane, cloud, cell temperature, inverter, limits."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from twin.assets.datasheet import Datasheet
from twin.assets.environment import Environment
from twin.assets.remote import POWER, REMOTE, SERVICE, RemoteKind
from twin.chance import generator
from twin.clock import MINUTE_MS
from twin.kernels import pv
from twin.record.columns import Columns
from twin.record.exchange import Point
from twin.record.table import Table

NOISE_PERIOD_MS = 10 * MINUTE_MS  # a plant's own cloud is drawn every ten minutes (assumed)
LIMIT = Point("limit_kw", "kW", "Feed-in limit", "送电功率限值", 0.0, 1.0, True, 0.1)


class Solar(RemoteKind):
    """All PV plants; `rated_kw` is the inverters' AC rating.

    Energy ledger rows: ``available_kwh`` (DC that the sun offers), ``fed_kwh`` (AC),
    ``loss_kwh``, ``curtailed_kwh``: available = fed + loss + curtailed. What the inverter
    clips beyond its rating counts as loss. A plant without supply has everything curtailed.
    The ledger is booked at the end of each minute.
    """

    name = "solar"
    nameplate: ClassVar[tuple[str, ...]] = ("tilt_deg", "azimuth_deg")
    points = (
        POWER,
        Point("irradiance_w_m2", "W/m2", "Irradiance on the plane", "斜面辐照度", 0.0, 1500.0,
              resolution=1.0, accuracy=0.02),
        LIMIT,
        REMOTE,
    )  # fmt: skip
    setpoints = (LIMIT, *SERVICE)

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        data = Datasheet("solar")
        self.district = nameplate.i8("district")
        tilt = np.radians(nameplate.f8("tilt_deg"))
        self.cos_tilt, self.sin_tilt = np.cos(tilt), np.sin(tilt)
        self.azimuth = np.radians(nameplate.f8("azimuth_deg"))
        self.albedo = data.number("albedo")
        self.noise = data.number("plant_noise")
        self.ramp = data.number("ramp_per_s")
        self.constants = np.array([
            (data.number("noct_c") - 20.0) / 800.0,
            data.number("power_coefficient"),
            data.number("inverter_efficiency"),
        ])  # fmt: skip
        low, high = data.array("ageing_years")
        years = low + (high - low) * generator(seed, "solar.true").random(self.n)
        left = (1.0 - data.number("ageing_per_year") * years) * (1.0 - data.number("system_losses"))
        self.plant = np.stack([self.rated_kw * data.number("dc_over_ac") * left, self.rated_kw])
        # Draws of the running ten minutes: a function of seed and time, so no state.
        self.drawn: tuple[tuple[int, int | None], NDArray[np.float64], NDArray[np.float64]]
        self.drawn = ((seed, None), np.ones(self.n), np.ones(self.n))
        self.state = Table(pv.PV_ROWS, self.n, self.extras(self.n))
        self.start_remote()

    def warm(self, env: Environment) -> None:
        """Stand where this minute's sun puts it."""
        self.minute(env)
        self.state["power_kw"] = np.floor(self.state["ac_kw"] * 1024.0) / 1024.0

    def minute(self, env: Environment) -> None:
        """Let remote commands expire; take this minute's sun."""
        self.expire(env)
        sun = self.irradiance(env)
        pv.shine(self.state.block, self.plant, sun, env.temperature_c, self.constants)

    def irradiance(self, env: Environment) -> NDArray[np.float64]:
        """Return float64[n], irradiance on each plane [W/m2], isotropic sky (Liu and Jordan)."""
        if env.dni_w_m2 <= 0.0 and env.dhi_w_m2 <= 0.0:
            return np.zeros(self.n)
        zenith, azimuth = np.radians(env.zenith_deg), np.radians(env.azimuth_deg)
        turned = np.cos(azimuth - self.azimuth)
        incidence = np.cos(zenith) * self.cos_tilt + np.sin(zenith) * self.sin_tilt * turned
        beam = env.dni_w_m2 * np.maximum(incidence, 0.0)
        sky = env.dhi_w_m2 * (1.0 + self.cos_tilt) / 2.0
        ground = env.ghi_w_m2 * self.albedo * (1.0 - self.cos_tilt) / 2.0
        sun = (beam + sky + ground) * env.cloud[self.district] * self._own_cloud(env)
        return np.asarray(np.maximum(sun, 0.0))

    def _own_cloud(self, env: Environment) -> NDArray[np.float64]:
        """Return the keyed factor of each plant, about 1, linear between two draws."""
        number, rest = divmod(env.now_ms, NOISE_PERIOD_MS)
        part = rest / NOISE_PERIOD_MS
        if self.drawn[0] != (env.seed, number):
            here, there = (
                generator(env.seed, "solar.plant", k).standard_normal(self.n)
                for k in (number, number + 1)
            )
            self.drawn = ((env.seed, number), here, there)
        _, here, there = self.drawn
        return np.clip(1.0 + self.noise * ((1.0 - part) * here + part * there), 0.6, 1.4)

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Feed in; at the end of a minute book it in the ledger."""
        pv.feed(self.state.block, self.plant, self.ramp, seconds)
        if (start_ms + 1000 * seconds) % MINUTE_MS == 0:
            pv.book(self.state.block)

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points."""
        for row, point in enumerate(self.points):
            out[row] = self.state[point.name]
