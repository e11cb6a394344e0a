"""Background demand: what is left of the city when the modelled devices are taken out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import DAY_MS
from twin.errors import RunBroken
from twin.scenario import build as building
from twin.scenario import cache
from twin.scenario.background import CurveSink, residual, smooth_day
from twin.scenario.build import Built, build, calibrated
from twin.scenario.files import find_scenario, load_scenario

SHAPE = (2, 3)  # sectors, districts


def target(kw: float = 1_000.0) -> np.ndarray:
    wave = 1.0 + 0.3 * np.sin(np.arange(1440) / 1440.0 * 2.0 * np.pi)
    return kw * np.broadcast_to(wave, (*SHAPE, 1440)).copy()


def sink(smooth_kw: float, sharp_kw: float = 0.0, aircon_kw: float = 0.0) -> CurveSink:
    made = CurveSink(*SHAPE)
    made.smooth_kw += smooth_kw
    made.sharp_kw += sharp_kw
    made.aircon_kw += aircon_kw
    return made


HALF = np.full((SHAPE[0], 1440), 0.4)


@settings(max_examples=30)
@given(st.integers(0, 2**31))
def test_smoothing_a_day_conserves_its_energy(seed: int) -> None:
    from twin.chance import generator

    day = generator(seed, "test.day").normal(0.0, 1e4, (3, 1440))
    smooth = smooth_day(day)
    assert smooth.shape == day.shape
    np.testing.assert_allclose(smooth.sum(axis=1), day.sum(axis=1), rtol=1e-9, atol=1e-6)
    assert smooth.std() < 0.4 * day.std()
    turned = np.roll(day, 700, axis=1)  # the day repeats itself: no edge
    np.testing.assert_allclose(smooth_day(turned), np.roll(smooth, 700, axis=1), atol=1e-6)


def test_smoothing_leaves_a_level_day_and_spreads_a_peak_over_half_an_hour() -> None:
    np.testing.assert_allclose(smooth_day(np.full((1, 1440), 7.0)), 7.0)
    peak = np.zeros((1, 1440))
    peak[0, 0] = 31.0
    spread = smooth_day(peak)[0]
    np.testing.assert_allclose(spread[:16], 1.0)
    np.testing.assert_allclose(spread[-15:], 1.0)
    np.testing.assert_allclose(spread[16:-15], 0.0, atol=1e-12)


def test_background_and_devices_together_are_the_target() -> None:
    devices = sink(300.0, 50.0, 100.0)
    free, aircon = residual(target(), HALF, devices)
    np.testing.assert_allclose(free + aircon + 350.0, target())
    # Weather-driven in all: its share of the target, of which 100 kW is modelled.
    np.testing.assert_allclose(aircon + 100.0, 0.4 * target())
    assert (aircon >= 0.0).all()


def test_without_devices_everything_is_background() -> None:
    free, aircon = residual(target(), HALF, None)
    np.testing.assert_allclose(free, 0.6 * target())
    np.testing.assert_allclose(aircon, 0.4 * target())


def test_modelled_air_conditioning_above_its_share_leaves_none_in_the_background() -> None:
    free, aircon = residual(target(), HALF, sink(650.0, 0.0, 650.0))
    np.testing.assert_allclose(aircon, 0.0, atol=1e-9)
    np.testing.assert_allclose(free + 650.0, target())


@pytest.mark.parametrize(("over", "refused"), [(0.0, False), (0.009, False), (0.011, True)])
def test_devices_that_draw_more_than_there_is_are_refused(over: float, refused: bool) -> None:
    demand = target()
    devices = sink(0.0)
    devices.sharp_kw[4] = demand[1, 1] + over * demand.max()  # sector 1, district 1
    if not refused:
        free, aircon = residual(demand, HALF, devices)
        assert (free + aircon)[1, 1].min() == pytest.approx(-over * demand.max())
        assert (aircon >= 0.0).all()
        return
    with pytest.raises(RunBroken, match=r"1\.1 % more than sector 1 in district 1"):
        residual(demand, HALF, devices)


def test_generation_behind_meters_raises_the_background() -> None:
    """PV counts negative: others draw what it gives."""
    free, aircon = residual(target(), HALF, sink(-200.0))
    np.testing.assert_allclose(free + aircon, target() + 200.0)


def test_a_sector_without_demand_takes_no_device() -> None:
    demand = target()
    demand[0, 2] = 0.0
    free, aircon = residual(demand, HALF, None)
    assert np.isfinite(free).all()
    assert (free[0, 2] == 0.0).all()
    assert (aircon[0, 2] == 0.0).all()
    with pytest.raises(RunBroken, match="sector 0 in district 2"):
        residual(demand, HALF, sink(1.0))


def test_a_calibration_run_cannot_be_forked() -> None:
    with pytest.raises(RunBroken, match="fork"):
        sink(0.0).fork()


# -- tiny, calibrated ----------------------------------------------------------------------------


def test_the_calibrated_day_hits_its_target(tiny: Built) -> None:
    """Run the expected design day once more: all that is drawn is the curve that was asked for."""
    from dataclasses import replace

    world = building._design_world(tiny)  # noqa: SLF001 - the day that calibration runs
    demand = replace(world.demand, heat=np.ones_like(world.demand.heat))
    run = tiny.simulation(replace(world, demand=demand), 9 * 3_600_000)
    seen: list[tuple[int, float]] = []

    class Sink(CurveSink):
        def period(self, run: object, period: object) -> None:
            shot = run.snapshot  # type: ignore[attr-defined]
            seen.append((period.start_ms // 60_000, shot.load_mw))  # type: ignore[attr-defined]

    run.recorder = Sink(3, 1)
    run.run(15 * 3_600_000)
    assert len(seen) == 6 * 60
    late = np.array([(m, load) for m, load in seen if m >= 13 * 60])
    wanted = (tiny.city.max_load_mw * tiny.city.load_shape)[late[:, 0].astype(int)]
    # 62 sites and 100 devices: single ones still show (8 % noise by site, sessions, batches).
    np.testing.assert_allclose(late[:, 1], wanted, rtol=0.06)
    assert late[:, 1].mean() == pytest.approx(wanted.mean(), rel=0.03)


def test_calibration_is_cached_by_the_hash_of_its_inputs(
    tiny: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def calibrate(start: object, blank: object, *rest: object) -> object:
        calls.append("run")
        return tiny.world.demand

    monkeypatch.setenv("SUITWIN_CACHE", str(tmp_path))
    monkeypatch.setattr(building, "calibrate", calibrate)
    first, second = calibrated(tiny), calibrated(tiny)
    assert calls == ["run"]
    assert first.world.demand.free_kw.tobytes() == second.world.demand.free_kw.tobytes()
    assert first.world.demand.free_kw.tobytes() == tiny.world.demand.free_kw.tobytes()
    monkeypatch.setattr(cache, "program_hash", lambda: "another program")
    calibrated(tiny)
    assert calls == ["run", "run"]


def test_a_half_written_or_foreign_cache_file_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUITWIN_CACHE", str(tmp_path))
    assert cache.read_arrays("x") is None
    cache.write_arrays("x", {"a": np.arange(3.0), "b|c": np.ones((2, 2), np.int8)})
    held = cache.read_arrays("x")
    assert held is not None
    assert held["a"].tolist() == [0.0, 1.0, 2.0]
    assert held["b|c"].dtype == np.int8
    whole = (tmp_path / "x.npz").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]  # no draft is left
    (tmp_path / "x.npz").write_bytes(whole[: len(whole) // 2])
    assert cache.read_arrays("x") is None
    (tmp_path / "x.npz").write_bytes(b"not an archive")
    assert cache.read_arrays("x") is None


def test_the_key_sees_every_input_in_any_order() -> None:
    assert cache.key({"a": 1, "b": [1, 2]}) == cache.key({"b": [1, 2], "a": 1})
    assert cache.key({"a": 1}) != cache.key({"a": 2})
    assert cache.key({"a": 1}) != cache.key({"b": 1})


def test_building_twice_gives_the_same_city(tiny: Built) -> None:
    path = find_scenario("tiny")
    again = build(load_scenario(path), path)
    assert again.sites.digest() == tiny.sites.digest()
    assert again.network.network_hash == tiny.network.network_hash
    for name, plate in tiny.world.nameplates.items():
        assert again.world.nameplates[name].digest() == plate.digest(), name
    assert tiny.world.demand.free_kw.shape[2] == DAY_MS // 60_000
