"""Rooftop PV: the sun's arithmetic, limits, ledger."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assets.process_world import (
    HOUR_MS,
    MINUTE_MS,
    fleet,
    live,
    points,
    same_bits,
    warm_fork,
    world,
    write,
)  # fmt: skip
from twin.assets.kind import COMMON_ROWS
from twin.assets.remote import REMOTE_ROWS
from twin.assets.solar import Solar
from twin.kernels import pv
from twin.record.columns import Columns


def plants(n: int = 20) -> Columns:
    return fleet(
        n, 100.0 + 50.0 * np.arange(n), tilt_deg=(3.0 * np.arange(n)) % 25,
        azimuth_deg=90.0 + (20.0 * np.arange(n)) % 180,
    )  # fmt: skip


def warmed(hour: int = 12, seed: int = 1) -> Solar:
    return warm_fork(Solar, plants, hour, seed)


def test_rows_begin_as_every_kinds_do() -> None:
    assert pv.PV_ROWS[:8] == (*COMMON_ROWS, *REMOTE_ROWS, *Solar.held)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 4), limit=st.floats(0.0, 1.0), export=st.floats(0.0, 300.0))
def test_energy_closes_over_a_day(seed: int, limit: float, export: float) -> None:
    kind = warmed(0, seed)
    for hour in range(0, 24):
        if 9 <= hour < 12:
            write(kind, "limit_kw", limit * kind.rated_kw, hour * HOUR_MS)
        kind.state["limit_high_kw"] = export if 13 <= hour < 15 else np.inf
        kind.state["supplied"] = 0.0 if hour == 16 else 1.0
        live(kind, hour * HOUR_MS, 60)
    s = kind.state
    closing = s["available_kwh"] - s["fed_kwh"] - s["loss_kwh"] - s["curtailed_kwh"]
    assert (np.abs(closing) <= 1e-9 * s["available_kwh"]).all()
    assert s["energy_kws"] / 3600.0 == pytest.approx(s["fed_kwh"], rel=1e-9)
    assert (s["fed_kwh"] > 0.0).all()
    assert (s["loss_kwh"] > 0.0).all()
    assert s["curtailed_kwh"].min() >= -1e-9


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=6, unique=True))
def test_a_minute_may_be_cut_at_will(cuts: list[int]) -> None:
    one, other = warmed(), warmed()
    for kind in (one, other):
        write(kind, "limit_kw", 0.3 * kind.rated_kw, 12 * HOUR_MS)
    live(one, 12 * HOUR_MS, 4)
    live(other, 12 * HOUR_MS, 4, tuple(np.diff([0, *sorted(cuts), 60]).tolist()))
    assert same_bits(one, other)


def test_a_flat_plane_sees_the_global_irradiance() -> None:
    kind = Solar(fleet(2, 100.0, tilt_deg=0.0, azimuth_deg=180.0), 1)
    kind.noise = 0.0
    env = world(
        12 * HOUR_MS, zenith_deg=30.0, dni_w_m2=800.0, dhi_w_m2=100.0,
        ghi_w_m2=100.0 + 800.0 * np.cos(np.radians(30.0)), cloud=np.array([1.0, 0.5]),
    )  # fmt: skip
    assert kind.irradiance(env) == pytest.approx(env.ghi_w_m2 * env.cloud)


def test_a_plane_turned_to_the_sun_sees_more() -> None:
    kind = Solar(fleet(3, 100.0, tilt_deg=[30.0, 0.0, 30.0], azimuth_deg=[180.0, 0.0, 0.0]), 1)
    kind.noise = 0.0
    env = world(12 * HOUR_MS, zenith_deg=40.0, azimuth_deg=180.0)
    south, flat, north = kind.irradiance(env)
    assert south > flat > north


def test_inverter_is_near_nominal_and_clips() -> None:
    assert pv.inverter_ac(0.0, 100.0, 0.975) == 0.0
    assert 0.96 <= pv.inverter_ac(50.0, 100.0, 0.975) / 50.0 <= 0.99
    assert pv.inverter_ac(5.0, 100.0, 0.975) / 5.0 < pv.inverter_ac(50.0, 100.0, 0.975) / 50.0
    assert pv.inverter_ac(150.0, 100.0, 0.975) == 100.0


def test_heat_costs_power() -> None:
    cool, hot = Solar(plants(), 1), Solar(plants(), 1)
    cool.minute(world(12 * HOUR_MS, temperature_c=20.0, dni_w_m2=500.0))
    hot.minute(world(12 * HOUR_MS, temperature_c=35.0, dni_w_m2=500.0))
    ratio = hot.state["dc_kw"] / cool.state["dc_kw"]
    assert ((ratio > 0.93) & (ratio < 0.96)).all()


def test_limit_is_reached_within_seconds_and_given_back() -> None:
    kind = warmed()
    free = kind.power_kw.copy()
    assert (free > 0.3 * kind.rated_kw).all()
    write(kind, "limit_kw", 0.1 * kind.rated_kw, 12 * HOUR_MS)
    kind.step(12 * HOUR_MS, 10, world(12 * HOUR_MS))
    assert kind.power_kw == pytest.approx(0.1 * kind.rated_kw, abs=1e-3)
    write(kind, "release", 1.0, 12 * HOUR_MS)
    kind.step(12 * HOUR_MS + 10_000, 50, world(12 * HOUR_MS))
    assert kind.power_kw == pytest.approx(free, abs=1e-3)
    assert not points(kind)["remote"].any()


def test_no_supply_no_power_and_none_at_night() -> None:
    kind = warmed()
    kind.state["supplied"] = 0.0
    live(kind, 12 * HOUR_MS, 1)
    assert (kind.power_kw == 0.0).all()
    kind.state["supplied"] = 1.0
    live(kind, 23 * HOUR_MS, 1)
    assert (kind.power_kw == 0.0).all()


def test_plants_differ_by_about_the_stated_noise() -> None:
    kind = Solar(fleet(4000, 100.0, tilt_deg=0.0, azimuth_deg=180.0), 3)
    sun = kind.irradiance(world(12 * HOUR_MS, 3))
    assert sun.std() / sun.mean() == pytest.approx(0.08, rel=0.1)
    again = kind.irradiance(world(12 * HOUR_MS, 3))
    assert (sun == again).all()
    later = kind.irradiance(world(12 * HOUR_MS + MINUTE_MS, 3))
    assert np.abs(later - sun).max() < 0.1 * sun.mean()
