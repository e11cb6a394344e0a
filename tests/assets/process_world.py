"""The outside world and small fleets for tests of charging, processes and PV."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

import numpy as np

from twin.assets.environment import Environment
from twin.assets.kind import Kind
from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.columns import Columns

K = TypeVar("K", bound=Kind)

# Guangdong's periods in July: 0 valley, 1 flat, 2 peak, 3 super-peak.
TARIFF = np.array([0] * 8 + [1] * 2 + [2, 3, 1, 1] + [2, 3, 3, 2, 2] + [1] * 5).repeat(60)


def world(now_ms: int, seed: int = 1, **changes: object) -> Environment:
    minute = (now_ms // MINUTE_MS) % 1440
    hour = minute / 60.0
    high = max(np.sin((hour - 6.0) / 13.0 * np.pi), 0.0) if 6.0 < hour < 19.0 else 0.0
    values: dict[str, object] = {
        "now_ms": now_ms,
        "temperature_c": 30.7 + 3.5 * np.sin((hour - 9.0) / 24.0 * 2.0 * np.pi),
        "wet_bulb_c": 26.5,
        "ghi_w_m2": 950.0 * high,
        "dni_w_m2": 800.0 * high**0.5,
        "dhi_w_m2": 150.0 * high,
        "zenith_deg": 90.0 - 85.0 * high,
        "azimuth_deg": 90.0 + (hour - 6.0) / 13.0 * 180.0,
        "cloud": np.ones(2),
        "occupancy": 1.0,
        "workday": True,
        "tariff_period": int(TARIFF[minute]),
        "tariff_day": TARIFF,
        "price_cny_kwh": 0.7,
        "seed": seed,
    }
    return Environment(**{**values, **changes})  # type: ignore[arg-type]


def fleet(n: int, rated_kw: object, **extras: object) -> Columns:
    whole = {
        "site": np.arange(n), "circuit": np.full(n, -1, np.int8), "district": np.arange(n) % 2,
        "rated_kw": np.broadcast_to(np.asarray(rated_kw, np.float64), n),
        "enrolled": np.ones(n, bool),
    }  # fmt: skip
    return Columns(whole | {k: np.broadcast_to(np.asarray(v), n) for k, v in extras.items()})


@cache
def _warmed(sort: type[Kind], make: Callable[[], Columns], hour: int, seed: int) -> Kind:
    kind = sort(make(), seed)
    kind.warm(world(hour * HOUR_MS, seed))
    return kind


def warm_fork(sort: type[K], make: Callable[[], Columns], hour: int, seed: int) -> K:
    """Return a fork of a fleet warmed up once, since warming takes most of a test's time."""
    kind = _warmed(sort, make, hour, seed).fork()
    assert isinstance(kind, sort)
    return kind


def live(kind: Kind, start_ms: int, minutes: int, cut: tuple[int, ...] = (60,)) -> np.ndarray:
    """Run minutes, each cut into calls of the given lengths; return demand [minutes, n] in kW."""
    assert sum(cut) == 60
    demand = np.empty((minutes, kind.n))
    for i in range(minutes):
        now_ms = start_ms + i * MINUTE_MS
        env = world(now_ms, kind.seed)
        kind.minute(env)
        before = kind.state["energy_kws"].copy()
        for seconds in cut:
            kind.step(now_ms, seconds, env)
            now_ms += 1000 * seconds
        demand[i] = -(kind.state["energy_kws"] - before) / 60.0
    return demand


def write(kind: Kind, point: str, value: object, now_ms: int, rows: object = None) -> np.ndarray:
    names = [p.name for p in kind.setpoints]
    chosen = np.arange(kind.n) if rows is None else np.asarray(rows)
    values = np.broadcast_to(np.asarray(value, np.float64), len(chosen)).copy()
    return kind.apply(names.index(point), chosen, values, now_ms)


def points(kind: Kind) -> dict[str, np.ndarray]:
    out = np.full((len(kind.points), kind.n), np.nan)
    kind.read(out)
    assert np.isfinite(out).all()
    return {p.name: row for p, row in zip(kind.points, out, strict=True)}


def same_bits(a: Kind, b: Kind) -> bool:
    return a.state.digest() == b.state.digest()
