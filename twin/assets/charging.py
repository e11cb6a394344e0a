"""Charging stations: public fast, fleet and bus depots, workplace and home.

Vehicles arrive by a keyed process that no set-point changes, ask for an energy until a stated
time (the promise), and leave: at a public fast post as soon as they have it, elsewhere at that
time. Who finds every post taken drives on with nothing and is counted as such. A station's
cap is shared so that promises are kept as long as they can be, the most urgent first; at V2G
stations willing vehicles feed in as far as their promise allows.
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
from twin.errors import RunBroken
from twin.kernels import charge, session
from twin.record.columns import Columns
from twin.record.exchange import Point
from twin.record.table import Table

FAST, DEPOT, SLOW = 0, 1, 2
# Warm-up: no session stays longer, so what stands at the posts is what came since.
LONGEST_STAY_MIN = 16 * 60
NUMBERS_PER_MINUTE = 100_000


class Charging(RemoteKind):
    """All charging stations; one row a station, sessions in a table of all posts.

    Energy ledger rows: ``drawn_kwh`` (AC), ``fed_kwh`` (AC), ``into_cars_kwh`` (net, at the
    battery), ``loss_kwh``: drawn - fed = into cars + loss. Drivers and vehicles are drawn from
    twin/assets/data/charging.toml, which names the sources.
    """

    name = "charging"
    # 10 s instead of 1 s moves fleet power by less than 0.2 % of its peak (step-size test).
    step_s: ClassVar[int] = 10
    held = ("limit_kw", "v2g_kw")
    truth = ("connected",)
    nameplate: ClassVar[tuple[str, ...]] = ("posts", "post_kw", "v2g_kw", "use")
    points = (
        POWER,
        Point("connected", "1", "Vehicles connected", "在充车辆数", 0.0),
        Point("energy_needed_kwh", "kWh", "Energy still asked for", "待充电量", 0.0),
        Point("minimum_kw", "kW", "Least power that keeps all promises", "最小保障功率", 0.0),
        Point("demand_free_kw", "kW", "Demand without limit", "不限功率需求", 0.0, 1.0, True),
        LIMIT,
        Point("v2g_available_kw", "kW", "V2G power available", "可放电功率", 0.0, 1.0, True),
        REMOTE,
    )
    setpoints = (
        SET_LIMIT,
        Point("v2g_kw", "kW", "V2G discharge", "放电功率设定", 0.0, 1.0, True, 0.1),
        *SERVICE,
    )

    def __init__(self, nameplate: Columns, seed: int) -> None:
        super().__init__(nameplate, seed)
        self.data = Datasheet("charging")
        self.use = nameplate.i8("use")
        self.posts = nameplate.i8("posts")
        self.first = np.concatenate([[0], np.cumsum(self.posts)]).astype(np.int64)
        self.v2g_rated_kw = nameplate.f8("v2g_kw")
        floor = np.full(self.n, self.data.number("v2g_floor_soc"))
        self.plate = np.stack([
            self.rated_kw, nameplate.f8("post_kw"), self.v2g_rated_kw,
            self.data.array("efficiency")[self.use], self.use.astype(np.float64), floor,
        ])  # fmt: skip
        sigma = self.data.number("popularity_sigma")
        liking = np.exp(sigma * generator(seed, "charging.true").standard_normal(self.n))
        per_day = self.data.array("sessions_per_post_day")[self.use]
        self.daily = per_day * self.posts * liking / np.exp(0.5 * sigma**2)
        profile = self.data.array("arrival_profile")
        self.profile = profile / profile.sum(axis=1, keepdims=True)
        slots = int(self.first[-1])
        self.state = Table(
            charge.STATION_ROWS, self.n,
            {
                "sessions": np.zeros((len(session.SESSION_ROWS), slots)),
                "ended": np.zeros((len(charge.ENDED_ROWS), 4 * slots + 4096)),
                "ended_count": np.zeros(1, np.int64),
                **self.extras(self.n),
            },
        )  # fmt: skip
        self.start_remote()

    def highest(self) -> dict[str, NDArray[np.float64]]:
        """V2G goes up to the station's V2G rating."""
        return {"v2g_kw": self.v2g_rated_kw}

    def warm(self, env: Environment) -> None:
        """Let the sessions of the hours before come and charge, in one-minute steps."""
        for back in range(LONGEST_STAY_MIN, 0, -1):
            then = replace(env, now_ms=env.now_ms - back * MINUTE_MS)
            self.minute(then)
            self._advance(then.now_ms, 60, 60)
            self.drain()
        for row in ("energy_kws", "drawn_kwh", "fed_kwh", "into_cars_kwh", "loss_kwh"):
            self.state[row] = 0.0

    def minute(self, env: Environment) -> None:
        """Let remote commands expire and vehicles arrive."""
        self.expire(env)
        self.state["clock_ms"] = env.now_ms
        ended, count = self.state["ended"], int(self.state["ended_count"][0])
        if count > ended.shape[1] // 2:
            raise RunBroken("charging: ended sessions were not drained for too long")
        station, coming = self.arrivals(env)
        self.state["ended_count"] = charge.arrive(
            self.state.block, self.first, self.state["sessions"], station, coming,
            (ended, count, self.rated_kw),
        )  # fmt: skip

    def arrivals(self, env: Environment) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return who arrives in the minute of `env`: station rows and columns of sessions.

        Depends on seed, minute and nameplate only, never on what was commanded.
        """
        minute = env.now_ms // MINUTE_MS
        draw = generator(env.seed, "charging.arrivals", minute)
        hour = minute_of_day(env.now_ms) // 60
        count = draw.poisson(self.daily * self.profile[self.use, hour] / 60.0)
        station = np.repeat(np.arange(self.n, dtype=np.int64), count)
        chance = draw.random((8, len(station)))
        use = self.use[station]

        def between(key: str, row: int) -> NDArray[np.float64]:
            bounds = self.data.array(key)
            low, high = bounds.T[:, use] if bounds.ndim == 2 else bounds
            return np.asarray(low + chance[row] * (high - low))

        battery_kwh, soc = between("battery_kwh", 0), between("arrival_soc", 1)
        asked_kwh = np.maximum(between("target_soc", 2) - soc, 0.02) * battery_kwh
        post_kw = self.plate[charge.POST, station] * self.plate[charge.EFFICIENCY, station]
        accepted_kw = between("acceptance_per_h", 3) * battery_kwh
        # Where the post gives less than the battery accepts, the taper begins later.
        top_kw = np.minimum(post_kw, accepted_kw)
        knee = between("taper_knee_soc", 4)
        steep = (1.0 - self.data.number("taper_end_fraction")) / (1.0 - knee)
        slope = steep * accepted_kw / top_kw
        knee = knee + (1.0 - top_kw / accepted_kw) / steep

        at_once_h = shortest_hours(soc, asked_kwh, battery_kwh, (top_kw, knee, slope))
        stay_h = self._stay_hours(use, hour, at_once_h, chance[5])
        plugged_h = np.where(use == FAST, between("plug_time_min", 6) / 60.0, 0.0)
        # Nobody asks for what the stay does not hold: the promise is possible when it is made.
        late = at_once_h > 0.95 * stay_h
        stay_h = np.where(late, at_once_h / 0.95, stay_h) + plugged_h
        willing = (use != FAST) & (self.v2g_rated_kw[station] > 0.0)
        willing &= chance[7] < self.data.number("v2g_willing")

        coming = np.zeros((len(session.SESSION_ROWS), len(station)))
        coming[session.NUMBER] = minute * NUMBERS_PER_MINUTE + np.arange(len(station))
        coming[session.ARRIVE] = env.now_ms
        coming[session.DEPART] = env.now_ms + np.ceil(stay_h * 60.0) * MINUTE_MS
        coming[session.BATTERY] = battery_kwh
        coming[session.SOC] = soc
        coming[session.ASKED] = asked_kwh
        coming[session.TOP] = top_kw
        coming[session.KNEE] = knee
        coming[session.SLOPE] = slope
        coming[session.WILLING] = willing
        coming[session.DONE] = np.inf
        return station, coming

    def _stay_hours(
        self,
        use: NDArray[np.int64],
        hour: int,
        at_once_h: NDArray[np.float64],
        chance: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return how long each arrival means to stay [h] (hours of leaving assumed).

        Fast: `patience` times the shortest time. Depot: by day 1 to 2 h between trips, at night
        until 05:30 to 07:00. Slow: who comes before 13:00 works until 17:00 to 19:00, others
        sleep until 06:30 to 08:30; at night whoever comes stays 2 to 6 h.
        """
        low, high = self.data.array("patience")
        fast = at_once_h * (low + chance * (high - low))
        depot = (29.5 + 1.5 * chance if hour >= 17 else 5.5 + 1.5 * chance) - hour
        if 4 <= hour < 17:
            depot = 1.0 + chance
        slow = 17.0 + 2.0 * chance - hour if hour < 13 else 30.5 + 2.0 * chance - hour
        if hour < 5:
            slow = 2.0 + 4.0 * chance
        return np.where(use == FAST, fast, np.where(use == DEPOT, depot, slow))

    def step(self, start_ms: int, seconds: int, env: Environment) -> None:
        """Charge; at the end of a minute let go whose time has come."""
        self._advance(start_ms, seconds, self.step_s)

    def _advance(self, start_ms: int, seconds: int, step_s: int) -> None:
        span = np.array([start_ms, seconds, step_s], np.int64)
        sessions, block = self.state["sessions"], self.state.block
        charge.advance(block, self.plate, self.first, sessions, span)
        end_ms = start_ms + seconds * 1000
        self.state["clock_ms"] = end_ms
        if end_ms % MINUTE_MS == 0:
            ended = (self.state["ended"], int(self.state["ended_count"][0]))
            self.state["ended_count"] = charge.depart(
                block, self.plate, self.first, sessions, float(end_ms), ended
            )

    def read(self, out: NDArray[np.float64]) -> None:
        """Write the points; needs and possibilities are worked out afresh."""
        state = self.state
        survey = np.empty((len(charge.SURVEY_ROWS), self.n))
        charge.survey(
            state.block, self.plate, self.first, state["sessions"],
            float(state["clock_ms"][0]), survey,
        )  # fmt: skip
        out[0] = state["power_kw"]
        out[1] = state["connected"]
        out[2:5] = survey[:3]
        out[5] = state["limit_kw"]
        out[6] = survey[3]
        out[7] = state["remote"]

    def drain(self) -> dict[str, NDArray[np.generic]]:
        """Return sessions that ended since the last call, in the columns of `ENDED_ROWS`."""
        count = int(self.state["ended_count"][0])
        self.state["ended_count"] = 0
        whole = ("now_ms", "station", "number", "arrive_ms")
        return {
            name: row[:count].astype(np.int64 if name in whole else np.float64)
            for name, row in zip(charge.ENDED_ROWS, self.state["ended"], strict=True)
        }


def shortest_hours(
    soc: NDArray[np.float64],
    need_kwh: NDArray[np.float64],
    battery_kwh: NDArray[np.float64],
    curve: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return `session.shortest_h` for arrays."""
    top_kw, knee, slope = curve
    end = soc + need_kwh / battery_kwh
    flat_h = np.maximum(np.minimum(end, knee) - soc, 0.0) * battery_kwh / top_kw
    start_factor = 1.0 - slope * (np.maximum(soc, knee) - knee)
    end_factor = 1.0 - slope * (np.maximum(end, knee) - knee)
    taper_h = battery_kwh / (top_kw * slope) * np.log(start_factor / end_factor)
    return flat_h + np.where(end > knee, taper_h, 0.0)


__all__ = ["DEPOT", "FAST", "SLOW", "Charging", "shortest_hours"]
