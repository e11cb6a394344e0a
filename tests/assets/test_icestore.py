"""District cooling with ice: the owner's day, the melt limit, and what a power limit does."""

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
    world,
    write,
)
from twin.assets.icestore import Icestore
from twin.assets.kind import COMMON_ROWS
from twin.assets.remote import REMOTE_ROWS
from twin.kernels import ice

KW_PER_RT = 3.517
NOON = 12 * HOUR_MS


def plants(seed: int = 1) -> Icestore:
    """Three plants the size of the city's: 40 000 RT with 80 000 RTh, and the like."""
    chillers_rt = np.array([40_000.0, 58_800.0, 42_400.0])
    tanks_rth = np.array([80_000.0, 188_000.0, 85_000.0])
    plate = fleet(
        3, 0.85 * chillers_rt, cooling_kw=KW_PER_RT * chillers_rt,
        tank_kwh=KW_PER_RT * tanks_rth, peak_cooling_kw=KW_PER_RT * chillers_rt,
    )  # fmt: skip
    return Icestore(plate, seed)


@pytest.fixture(scope="module")
def at_noon() -> Icestore:
    kind = plants()
    kind.warm(world(-24 * HOUR_MS, 1))
    live(kind, -24 * HOUR_MS, 36 * 60)
    return kind


def test_rows_stand_where_the_kernel_looks() -> None:
    assert ice.STATE_ROWS[:5] == COMMON_ROWS
    assert ice.STATE_ROWS[5:7] == REMOTE_ROWS
    assert ice.STATE_ROWS[ice.TANK_SOC] == "tank_soc"
    assert ice.STATE_ROWS[ice.OTHER_KWS] == "other_kws"
    assert ice.PLATE_ROWS[ice.MACHINES] == "machines"
    assert ice.CONSTANT_NAMES[ice.STANDBY] == "standby"


def test_ice_by_night_melting_in_dear_hours() -> None:
    kind = plants()
    kind.warm(world(-24 * HOUR_MS, 1))
    live(kind, -24 * HOUR_MS, 1440)
    soc, melt_kw, ice_made = [], [], []
    for hour in range(24):
        live(kind, hour * HOUR_MS, 60)
        soc.append(kind.state["tank_soc"].copy())
        melt_kw.append(kind.state["melt_kw"].copy())
        ice_made.append(kind.state["ice_kw"].copy())
    filled, melted, made = np.array(soc), np.array(melt_kw), np.array(ice_made)
    assert (filled[7] > 0.98).all()
    assert (filled[23] < 0.05).all()
    assert (made[1:6] > 0.0).all()
    assert (made[8:] == 0.0).all()
    dear = [10, 11, 14, 15, 16, 17, 18]
    assert (melted[dear] > 2.0 * melted[[9, 12, 13, 20]].max()).all()
    # 10-15 % of the tank an hour (general knowledge).
    assert melted.max(axis=0) == pytest.approx(0.125 * kind.registered.f8("tank_kwh"), rel=1e-6)
    # The owner's own plan leaves no user warm on a usual day.
    assert (kind.state["unmet_kws"] < 1e-3 * kind.state["load_kws"]).all()


def test_making_ice_costs_more_than_chilling() -> None:
    kind = plants()
    env = world(3 * HOUR_MS, 1, wet_bulb_c=25.0)
    capacity, ratio, ice_cop = kind.weather(env)
    assert 3.5 <= ice_cop <= 4.5
    day_cop = kind.plate[ice.CAPACITY_KW] / (kind.plate[ice.CHILLER_KW] * ratio)
    assert (day_cop > ice_cop).all()
    assert capacity > 1.0


def test_a_limit_melts_instead_of_chilling(at_noon: Icestore) -> None:
    kind, free = at_noon.fork(), at_noon.fork()
    before = live(kind, NOON, 1)[-1]
    live(free, NOON, 1)
    limit_kw = 0.7 * before
    write(kind, "limit_kw", limit_kw, NOON + MINUTE_MS)
    demand, usual = live(kind, NOON + MINUTE_MS, 10), live(free, NOON + MINUTE_MS, 10)
    assert (demand[5:] <= 1.001 * limit_kw).all()
    assert (usual[5:] > 1.2 * limit_kw).all()
    seen, other = points(kind), points(free)
    assert (seen["melt_kw"] > other["melt_kw"] + 1000.0).all()
    assert (seen["chiller_kw"] < other["chiller_kw"] - 1000.0).all()
    most_kw = 0.125 * kind.registered.f8("tank_kwh")
    assert (seen["melt_kw"] <= most_kw + 1e-6).all()
    served = seen["melt_kw"] + seen["chiller_kw"]
    short = seen["cooling_load_kw"] - served
    assert (short > -1e-6).all()
    assert (short[seen["melt_kw"] < most_kw - 1.0] < 1e-6).all()


def test_beyond_the_melt_limit_users_go_short_and_it_is_counted(at_noon: Icestore) -> None:
    kind = at_noon.fork()
    before = kind.state["unmet_kws"].copy()
    write(kind, "limit_kw", 0.2 * kind.rated_kw, NOON)
    live(kind, NOON, 20)
    assert (kind.state["unmet_kws"] > before + 1000.0).all()
    most_kw = 0.125 * kind.registered.f8("tank_kwh")
    assert kind.state["melt_kw"] == pytest.approx(most_kw, rel=1e-6)
    assert (-kind.power_kw <= 0.2005 * kind.rated_kw).all()


def test_an_empty_tank_helps_nobody(at_noon: Icestore) -> None:
    kind = at_noon.fork()
    kind.state["tank_soc"] = 0.0
    write(kind, "limit_kw", 0.3 * kind.rated_kw, NOON)
    live(kind, NOON, 10)
    assert (kind.state["melt_kw"] == 0.0).all()
    assert (kind.state["tank_soc"] == 0.0).all()


def test_expiry_and_refusal(at_noon: Icestore) -> None:
    kind = at_noon.fork()
    assert (write(kind, "limit_kw", 1.01 * kind.rated_kw, NOON) == 1).all()
    assert not points(kind)["remote"].any()
    write(kind, "limit_kw", 0.5 * kind.rated_kw, NOON)
    kind.minute(world(NOON + 59 * MINUTE_MS, 1))
    assert points(kind)["remote"].all()
    kind.minute(world(NOON + HOUR_MS, 1))
    assert not points(kind)["remote"].any()
    assert points(kind)["limit_kw"] == pytest.approx(kind.rated_kw)


def test_without_supply_only_ice_stands(at_noon: Icestore) -> None:
    kind = at_noon.fork()
    kind.state["supplied"] = 0.0
    assert live(kind, NOON, 5).max() == 0.0
    assert (kind.state["melt_kw"] == 0.0).all()


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), min_size=2, max_size=8),
    st.integers(0, 23),
    st.floats(0.0, 1.0),
)
def test_cold_ice_and_power_close(
    orders: list[tuple[float, bool]], start_hour: int, soc: float
) -> None:
    kind = plants()
    start_ms = start_hour * HOUR_MS
    kind.warm(world(start_ms, 1))
    kind.state["tank_soc"] = soc
    stored = kind.stored_kws()
    for i, (share, supplied) in enumerate(orders):
        now_ms = start_ms + i * 30 * MINUTE_MS
        write(kind, "limit_kw", share * kind.rated_kw, now_ms)
        kind.state["supplied"] = float(supplied)
        live(kind, now_ms, 30)
        assert ((kind.state["tank_soc"] >= -1e-12) & (kind.state["tank_soc"] <= 1 + 1e-12)).all()
    state = kind.state
    served = state["chilled_kws"] + state["melted_kws"] + state["unmet_kws"]
    assert served == pytest.approx(state["load_kws"], rel=1e-9)
    moved = state["ice_in_kws"] + state["melted_kws"] + stored
    gained = state["ice_in_kws"] - state["melted_kws"] - state["tank_loss_kws"]
    assert (np.abs(kind.stored_kws() - stored - gained) <= 1e-9 * moved + 1e-6).all()
    used = state["chiller_kws"] + state["other_kws"]
    assert state["grid_in_kws"] == pytest.approx(used, rel=1e-9)
    assert -state["energy_kws"] == pytest.approx(used, rel=1e-9)


@pytest.mark.parametrize("cut", [(1,) * 60, (7, 13, 40)])
def test_a_minute_may_be_cut_at_will(at_noon: Icestore, cut: tuple[int, ...]) -> None:
    runs = []
    for pieces in ((60,), cut):
        kind = at_noon.fork()
        write(kind, "limit_kw", 0.6 * kind.rated_kw, NOON)
        live(kind, NOON, 15, pieces)
        runs.append(kind)
    assert same_bits(*runs)
