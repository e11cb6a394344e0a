"""Electrolyser refuelling: energy, tank, minimum load, ramps, owners."""

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
from twin.assets.hydrogen import Hydrogen
from twin.assets.kind import COMMON_ROWS
from twin.assets.remote import REMOTE_ROWS
from twin.kernels import hydrogen
from twin.record.columns import Columns
from twin.record.exchange import Outcome


def stations(n: int = 8) -> Columns:
    i = np.arange(n)
    kg = 300.0 + 50.0 * i
    return fleet(
        n, kg * 60.0 / 16.0, tank_kg=1.0 * kg, kg_per_day=kg,
        fuelcell_kw=np.where(i % 2 == 0, 300.0, 0.0), min_load=np.where(i % 4 < 2, 0.08, 0.25),
    )  # fmt: skip


def warmed(hour: int = 3, seed: int = 1) -> Hydrogen:
    return warm_fork(Hydrogen, stations, hour, seed)


def test_rows_begin_as_every_kinds_do() -> None:
    assert hydrogen.STATION_ROWS[:9] == (*COMMON_ROWS, *REMOTE_ROWS, *Hydrogen.held)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 4), share=st.floats(0.0, 1.0), cell=st.floats(0.0, 1.0))
def test_energy_and_hydrogen_close_over_a_day(seed: int, share: float, cell: float) -> None:
    kind = warmed(0, seed)
    s = kind.state
    start_kg = s["tank_kg"].copy()
    for hour in range(24):
        if hour in (2, 3, 9, 10, 13):
            write(kind, "limit_kw", share * kind.rated_kw, hour * HOUR_MS)
            write(kind, "fuelcell_kw", cell * kind.cell_kw, hour * HOUR_MS)
        s["supplied"] = 0.0 if hour == 22 else 1.0
        live(kind, hour * HOUR_MS, 60)
        assert (s["tank_kg"] >= 0.0).all()
        assert (s["tank_kg"] <= kind.tank_kg).all()
    net = s["drawn_kwh"] - s["fed_kwh"]
    assert net == pytest.approx(s["chemical_kwh"] + s["loss_kwh"], rel=1e-9)
    assert net == pytest.approx(-s["energy_kws"] / 3600.0, rel=1e-9)
    moved = s["made_kg"] - s["sold_kg"] - s["reused_kg"]
    assert s["tank_kg"] - start_kg == pytest.approx(moved, abs=1e-6)
    assert (s["loss_kwh"] > 0.0).all()


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 59), max_size=6, unique=True), seed=st.integers(0, 4))
def test_a_minute_may_be_cut_at_will(cuts: list[int], seed: int) -> None:
    one, other = warmed(seed=seed), warmed(seed=seed)
    for kind in (one, other):
        write(kind, "limit_kw", 0.4 * kind.rated_kw, 3 * HOUR_MS)
        write(kind, "fuelcell_kw", 0.5 * kind.cell_kw, 3 * HOUR_MS)
    live(one, 3 * HOUR_MS, 5)
    live(other, 3 * HOUR_MS, 5, tuple(np.diff([0, *sorted(cuts), 60]).tolist()))
    assert same_bits(one, other)


def test_specific_use_is_50_to_60_with_the_compressor() -> None:
    """50-55 kWh/kg and 3 to 4 for the compressor; ageing adds up to 6 %."""
    kind = warmed(0)
    live(kind, 0, 1440)
    s = kind.state
    each = s["drawn_kwh"] / s["made_kg"]
    assert (each > 50.0).all()
    assert (each < 64.0).all()
    assert s["unserved_kg"].sum() <= 0.01 * s["sold_kg"].sum()


def test_owner_fills_at_night_and_rests_when_power_is_dear() -> None:
    demand = live(warmed(0), 0, 1440).sum(axis=1).reshape(24, 60).mean(axis=1)
    assert demand[0:4].mean() > 2.0 * demand[15:17].mean()


def test_never_between_standstill_and_minimum_load() -> None:
    kind = warmed(1)
    write(kind, "limit_kw", 0.15 * kind.rated_kw, HOUR_MS)
    live(kind, HOUR_MS, 10)
    plant = kind.state["plant_kw"]
    least = kind.plate[hydrogen.P_MIN]
    assert ((plant == 0.0) | (plant >= least)).all()
    alkaline = least > 0.15 * kind.rated_kw
    assert (plant[alkaline] == 0.0).all()
    assert (plant <= 0.15 * kind.rated_kw).all()


def test_pem_follows_in_seconds_alkaline_in_minutes() -> None:
    kind = warmed(1)
    kind.state["tank_kg"] = 0.4 * kind.tank_kg
    kind.state["start_left_s"] = 0.0
    write(kind, "limit_kw", 0.3 * kind.rated_kw, HOUR_MS)
    live(kind, HOUR_MS, 20)
    kind.state["start_left_s"] = 0.0
    write(kind, "limit_kw", kind.rated_kw, HOUR_MS + 20 * MINUTE_MS)
    kind.minute(world(HOUR_MS + 20 * MINUTE_MS))
    kind.step(HOUR_MS + 20 * MINUTE_MS, 10, world(HOUR_MS + 20 * MINUTE_MS))
    pem = kind.plate[hydrogen.P_MIN] < 0.12 * kind.rated_kw
    full = kind.state["plant_kw"] > 0.95 * kind.rated_kw
    assert (full == pem).all()


def test_fuel_cell_feeds_in_down_to_the_reserve() -> None:
    kind = warmed(13)
    outcome = write(kind, "fuelcell_kw", 300.0, 13 * HOUR_MS)
    assert ((outcome == Outcome.ACCEPTED) == (kind.cell_kw > 0.0)).all()
    live(kind, 13 * HOUR_MS, 2)
    cells = kind.cell_kw > 0.0
    assert points(kind)["fuelcell_power_kw"][cells] == pytest.approx(300.0)
    kind.state["tank_kg"] = 0.19 * kind.tank_kg
    live(kind, 13 * HOUR_MS + 2 * MINUTE_MS, 1)
    assert (kind.state["fuelcell_power_kw"] == 0.0).all()


def test_fuel_cell_keeps_the_export_limit() -> None:
    kind = warmed(13)
    kind.state["limit_high_kw"] = 0.0
    write(kind, "fuelcell_kw", 300.0, 13 * HOUR_MS, np.flatnonzero(kind.cell_kw > 0.0))
    live(kind, 13 * HOUR_MS, 2)
    assert (kind.power_kw <= 0.0).all()


def test_local_protection_refuels_before_it_obeys() -> None:
    kind = warmed(13)
    write(kind, "limit_kw", 0.0, 13 * HOUR_MS)
    kind.state["tank_kg"] = 0.05 * kind.tank_kg
    live(kind, 13 * HOUR_MS, 55)
    assert not points(kind)["remote"].any()
    assert (kind.state["plant_kw"] > 0.0).all()


def test_lost_supply_stops_everything() -> None:
    kind = warmed(1)
    kind.state["supplied"] = 0.0
    assert (live(kind, HOUR_MS, 2) == 0.0).all()
    assert (kind.state["sold_kg"] > 0.0).all()
