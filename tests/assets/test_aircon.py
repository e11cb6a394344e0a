"""Central air conditioning: chiller curves, the building, its control, and what orders do."""

from __future__ import annotations

import numba
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
from twin.assets.aircon import (
    HOSPITAL,
    HOTEL,
    INDUSTRIAL,
    MALL,
    OFFICE,
    Aircon,
    humidity_g_kg,
)
from twin.assets.environment import Environment
from twin.assets.kind import COMMON_ROWS
from twin.assets.remote import REMOTE_ROWS
from twin.kernels import building, chiller

AFTERNOON = 14 * HOUR_MS
USES = (OFFICE, MALL, HOTEL, HOSPITAL, INDUSTRIAL)


def design(now_ms: int = AFTERNOON, **changes: object) -> Environment:
    """14 h of the design day (GB 50736 dry and wet bulb), clear sky."""
    sky = {"ghi_w_m2": 800.0, "dni_w_m2": 600.0, "dhi_w_m2": 150.0, "zenith_deg": 30.0}
    air = {"temperature_c": 34.2, "wet_bulb_c": 27.8}
    return world(now_ms, 3, **{**sky, **air, **changes})


def buildings(n: int = 60, use: int | None = None, seed: int = 3) -> Aircon:
    rated_kw = np.linspace(100.0, 1600.0, n)
    uses = np.arange(n) % 5 if use is None else np.full(n, use)
    plate = fleet(
        n, rated_kw, cooling_kw=3.8 * rated_kw, floor_m2=30.0 * rated_kw, use=uses,
        setpoint_c=25.5, comfort_max_c=28.0,
    )  # fmt: skip
    return Aircon(plate, seed)


def settled(kind: Aircon, hours: int = 36, env: Environment | None = None) -> Aircon:
    """Hold the weather and the hour until temperatures stand."""
    env = design() if env is None else env
    kind.warm(env)
    kind.state["people_factor"] = 1.0  # as many people as the plant was designed for
    for _ in range(60 * hours):
        kind.step(AFTERNOON, 60, env)
    return kind


def held(kind: Aircon, minutes: int) -> np.ndarray:
    """Carry on in the same weather at the same hour; return demand [minutes] of the fleet."""
    demand_kw = np.empty(minutes)
    for minute in range(minutes):
        kind.step(AFTERNOON, 60, design())
        demand_kw[minute] = -kind.power_kw.sum()
    return demand_kw


# -- chiller ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part_load", "cop"), [(0.2, 3.44), (0.4, 4.96), (0.6, 5.44), (0.8, 5.44), (1.0, 5.24)]
)
def test_chiller_performance_in_guangzhou_summer(part_load: float, cop: float) -> None:
    # DOE-2 centrifugal 5.50 COP at 7 C supply, 32 C condenser inlet (derived from the curves).
    kind = buildings(1)
    reference = kind.data.number("reference_cop")
    got = chiller.coefficient_of_performance(kind.curves, reference, 7.0, 32.0, part_load)
    assert got == pytest.approx(cop, rel=0.01)


def test_curves_are_one_at_reference_and_like_warmer_supply() -> None:
    curves = buildings(1).curves
    capacity, ratio = curves[chiller.CAPACITY], curves[chiller.INPUT_RATIO]
    assert chiller.over_temperature(capacity, 6.67, 29.4) == pytest.approx(1.003, abs=0.002)
    assert chiller.over_temperature(ratio, 6.67, 29.4) == pytest.approx(0.999, abs=0.002)
    more = chiller.over_temperature(capacity, 9.0, 30.0) / chiller.over_temperature(
        capacity, 7.0, 30.0
    )
    less = chiller.over_temperature(ratio, 9.0, 30.0) / chiller.over_temperature(ratio, 7.0, 30.0)
    assert more == pytest.approx(1.05, abs=0.005)
    assert less == pytest.approx(0.955, abs=0.006)


def test_humidity_of_the_design_day() -> None:
    assert humidity_g_kg(34.2, 27.8) == pytest.approx(21.0, abs=0.4)
    assert humidity_g_kg(26.0, 26.0) == pytest.approx(21.4, abs=0.3)


# -- building -----------------------------------------------------------------------------------


def test_rows_stand_where_the_kernel_looks() -> None:
    assert building.STATE_ROWS[:5] == COMMON_ROWS
    assert building.STATE_ROWS[5:7] == REMOTE_ROWS
    assert building.STATE_ROWS[building.AIR] == "temperature_c"
    assert building.STATE_ROWS[building.OTHER_KWS] == "other_kws"
    assert building.PLATE_ROWS[building.SHIFT] == "shift_min"
    assert building.CONSTANT_NAMES[building.LIFT_BELOW] == "lift_below_k"
    assert len(building.USE_COLUMNS) == building.STOP + 1


def test_design_cooling_loads() -> None:
    load = buildings(5).design_load_w_m2()
    # 80-130 W/m2 of offices, 120-180 W/m2 of malls (general knowledge).
    assert 80.0 < load[OFFICE] < 130.0
    assert 120.0 < load[MALL] < 180.0


def test_plants_hold_the_set_point_on_the_design_day() -> None:
    kind = settled(buildings(300))
    off = np.abs(kind.state["temperature_c"] - 25.5)
    assert off.max() < 0.3
    # Oversizing is 1.05 to 1.30 and the hour is near the design load.
    load = points(kind)["load_fraction"]
    assert 0.55 < load.mean() < 0.95
    assert -kind.power_kw.sum() < kind.rated_kw.sum()


def test_offices_sleep_at_night_and_hospitals_do_not() -> None:
    kind = buildings(100)
    kind.warm(world(-24 * HOUR_MS, 3))
    live(kind, -24 * HOUR_MS, 1440)
    demand = live(kind, 0, 1440).reshape(24, 60, kind.n).mean(axis=1) / kind.rated_kw
    assert demand[2:5, OFFICE::5].max() < 0.02
    assert demand[1:6, HOSPITAL::5].min() > 0.2
    # Started before people come: cool when the building counts as occupied.
    assert demand[7, OFFICE::5].mean() > 0.2
    assert (demand[14] > demand[3]).all()


# -- orders -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet_at_rest() -> Aircon:
    return settled(buildings(200))


def test_one_degree_more(fleet_at_rest: Aircon) -> None:
    """+1 C: 6-10 % once the air has followed, more at first, a rebound on release.

    General knowledge says 6-10 % of power, 15-30 % more for 15-45 min, 10-40 % rebound for
    0.5-2 h. Here the band holds in the third and fourth hour; at full equilibrium of the
    building mass, which takes a day, the model keeps 3-4.5 % only: reported, not tuned.
    """
    before = -fleet_at_rest.power_kw.sum()
    kind = fleet_at_rest.fork()
    write(kind, "setpoint_offset_c", 1.0, AFTERNOON)
    cut = 1.0 - held(kind, 240) / before
    assert 0.15 < cut[5:20].mean() < 0.30
    assert 0.06 < cut[120:240].mean() < 0.11
    assert cut[10] > 1.5 * cut[239]

    back = kind.fork()
    back.release(np.arange(back.n))
    rebound = held(back, 180) / before - 1.0
    assert 0.10 < rebound.max() < 0.40
    assert rebound[60] > 0.02
    assert rebound[179] < 0.5 * rebound[30]

    equilibrium = 1.0 - held(kind, 60 * 30)[-1] / before
    assert 0.03 < equilibrium < 0.045
    assert kind.state["temperature_c"] - fleet_at_rest.state["temperature_c"] == pytest.approx(
        1.0, abs=0.1
    )


def test_a_power_limit_is_kept_within_minutes(fleet_at_rest: Aircon) -> None:
    kind = fleet_at_rest.fork()
    for share in (0.7, 0.4, 0.1, 0.0):
        other = kind.fork()
        write(other, "limit_kw", share * kind.rated_kw, AFTERNOON)
        held(other, 8)  # the coil lags by a minute
        free = other.state["lifted"] == 0.0
        assert free.sum() > kind.n // 2
        least_kw = kind.data.number("standby") * kind.rated_kw
        limit_kw = np.maximum(share * kind.rated_kw, least_kw)
        assert (-other.power_kw[free] <= 1.005 * limit_kw[free]).all()
        assert (points(other)["limit_kw"][free] == share * kind.rated_kw[free]).all()


def test_where_it_grows_too_warm_the_limit_gives_way(fleet_at_rest: Aircon) -> None:
    kind = fleet_at_rest.fork()
    write(kind, "limit_kw", 0.0, AFTERNOON)
    warmest_c = np.zeros(kind.n)
    lifted = np.zeros(kind.n, bool)
    for _ in range(240):
        held(kind, 1)
        warmest_c = np.maximum(warmest_c, kind.state["temperature_c"])
        lifted |= points(kind)["limit_kw"] == kind.rated_kw
    assert lifted.mean() > 0.9
    # Soft loading takes minutes, so it overshoots a little.
    assert warmest_c.max() < 29.0


def test_offset_never_passes_the_comfort_limit() -> None:
    kind = settled(buildings(20), hours=4)
    write(kind, "setpoint_offset_c", 4.0, AFTERNOON)
    held(kind, 1)
    assert points(kind)["setpoint_c"] == pytest.approx(28.0)
    assert (write(kind, "setpoint_offset_c", 4.5, AFTERNOON) == 1).all()
    assert (write(kind, "limit_kw", 1.1 * kind.rated_kw, AFTERNOON) == 1).all()


def test_without_supply_it_warms_and_draws_nothing(fleet_at_rest: Aircon) -> None:
    kind = fleet_at_rest.fork()
    kind.state["supplied"] = 0.0
    assert held(kind, 30).max() == 0.0
    assert (kind.state["temperature_c"] > 26.0).all()


# -- books and bits -----------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.floats(0.0, 4.0), min_size=2, max_size=4), st.floats(0.0, 1.0), st.floats(24, 38)
)
def test_heat_and_power_close(offsets: list[float], share: float, outside_c: float) -> None:
    kind = buildings(10)
    start_ms = 6 * HOUR_MS
    kind.warm(world(start_ms, 3))
    stored = kind.stored_kws()
    write(kind, "limit_kw", share * kind.rated_kw, start_ms)
    for i, offset in enumerate(offsets):
        write(kind, "setpoint_offset_c", offset, start_ms + i * HOUR_MS)
        for minute in range(60):
            now_ms = start_ms + i * HOUR_MS + minute * MINUTE_MS
            env = world(now_ms, 3, temperature_c=outside_c)
            kind.minute(env)
            kind.step(now_ms, 60, env)
    state = kind.state
    net = state["heat_gain_kws"] - state["heat_removed_kws"]
    moved = np.abs(state["heat_gain_kws"]) + state["heat_removed_kws"] + stored
    assert (np.abs(net - (kind.stored_kws() - stored)) <= 1e-9 * moved).all()
    used = state["chiller_kws"] + state["other_kws"]
    assert state["grid_in_kws"] == pytest.approx(used, rel=1e-9)
    assert -state["energy_kws"] == pytest.approx(used, rel=1e-9)
    assert (used > 0.0).all()


@pytest.mark.parametrize("cut", [(1,) * 60, (7, 13, 40), (30, 30)])
def test_a_minute_may_be_cut_at_will(cut: tuple[int, ...]) -> None:
    runs = []
    for pieces in ((60,), cut):
        kind = buildings(20)
        kind.warm(world(AFTERNOON, 3))
        write(kind, "setpoint_offset_c", 1.5, AFTERNOON, np.arange(10))
        live(kind, AFTERNOON, 20, pieces)
        runs.append(kind)
    assert same_bits(*runs)


def test_threads_change_nothing() -> None:
    runs = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        kind = buildings(300)
        kind.threads = 2
        kind.warm(world(AFTERNOON, 3))
        live(kind, AFTERNOON, 10)
        runs.append(kind)
    serial = buildings(300)
    serial.warm(world(AFTERNOON, 3))
    live(serial, AFTERNOON, 10)
    assert same_bits(*runs)
    assert same_bits(serial, runs[0])


def test_ten_second_steps_do_as_well_as_one_second() -> None:
    ten, one = buildings(200), buildings(200)
    one.step_s = 1  # type: ignore[misc]
    for kind in (ten, one):
        kind.warm(world(AFTERNOON, 3))
    demand: list[list[float]] = [[], []]
    apart_k = np.zeros(ten.n)
    for minute in range(150):
        if minute == 30:
            for kind in (ten, one):
                write(kind, "setpoint_offset_c", 2.0, AFTERNOON + minute * MINUTE_MS)
        if minute == 90:
            for kind in (ten, one):
                kind.release(np.arange(kind.n))
        for run, kind in enumerate((ten, one)):
            demand[run].append(float(live(kind, AFTERNOON + minute * MINUTE_MS, 1).sum()))
        apart = ten.state["temperature_c"] - one.state["temperature_c"]
        apart_k = np.maximum(apart_k, np.abs(apart))
    coarse, fine = np.array(demand)
    assert apart_k.max() < 0.02
    assert np.abs(coarse - fine).max() < 0.002 * fine.max()
    assert coarse.sum() == pytest.approx(fine.sum(), rel=5e-4)


def test_chance_is_keyed_and_mass_spreads() -> None:
    one, again, other = buildings(100), buildings(100), buildings(100, seed=4)
    assert (one.plate == again.plate).all()
    assert (one.plate[building.MASS_CAPACITY] != other.plate[building.MASS_CAPACITY]).all()
    share = one.plate[building.MASS_CAPACITY] / one.plate[building.FLOOR]
    assert share.max() / share.min() > 1.4
    for kind in (one, again):
        kind.minute(world(0, 3))
    assert same_bits(one, again)
    spread = one.state["people_factor"].std()
    assert spread == pytest.approx(0.08, abs=0.03)
