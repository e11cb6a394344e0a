"""What the contract between the parts asks of charging, swap, PV, industry, hydrogen, berths."""

from __future__ import annotations

import tomllib
from functools import partial
from importlib.resources import files

import numpy as np
import pytest

from tests.assets.process_world import (
    HOUR_MS,
    MINUTE_MS,
    fleet,
    live,
    points,
    same_bits,
    warm_fork,
    world,
)
from twin.assets.charging import Charging
from twin.assets.datasheet import GRADES, Datasheet
from twin.assets.hydrogen import Hydrogen
from twin.assets.industry import Industry
from twin.assets.kind import Kind
from twin.assets.shorepower import ShorePower
from twin.assets.solar import Solar
from twin.assets.swap import Swap
from twin.record.columns import Columns

I = np.arange(9)  # noqa: E741
FLEETS: dict[type[Kind], Columns] = {
    Charging: fleet(9, 720.0, posts=12, post_kw=60.0, v2g_kw=100.0 * (I % 2), use=I % 3),
    Swap: fleet(9, 520.0, packs=13, pack_kwh=75.0, slot_kw=40.0, swaps_per_day=80.0, v2g_kw=200.0),
    Solar: fleet(9, 300.0, tilt_deg=15.0, azimuth_deg=180.0),
    Industry: fleet(
        9, 900.0, step_min=20.0, stock_h=3.0, min_run_min=30.0, restart_min=10.0, base_share=0.1
    ),
    Hydrogen: fleet(
        9, 1300.0, tank_kg=300.0, kg_per_day=300.0, fuelcell_kw=200.0 * (I % 2), min_load=0.1
    ),
    ShorePower: fleet(9, 800.0, flexible_share=0.2),
}
KINDS = tuple(FLEETS)
MAKERS = {sort: partial(FLEETS.__getitem__, sort) for sort in KINDS}
# Points after power_kw, and set-points, as agreed with engine and control.
AGREED: dict[str, tuple[str, str]] = {
    "charging": (
        "connected energy_needed_kwh minimum_kw demand_free_kw limit_kw v2g_available_kw remote",
        "limit_kw v2g_kw release heartbeat revert_s",
    ),
    "swap": (
        "packs_full energy_stock_kwh energy_needed_kwh minimum_kw limit_kw v2g_available_kw remote",
        "limit_kw v2g_kw release heartbeat revert_s",
    ),
    "solar": ("irradiance_w_m2 limit_kw remote", "limit_kw release heartbeat revert_s"),
    "industry": (
        "state step_remaining_s stock_h pausable remote",
        "pause release heartbeat revert_s",
    ),
    "hydrogen": (
        "tank_kg hydrogen_demand_kg_h fuelcell_power_kw limit_kw remote",
        "limit_kw fuelcell_kw release heartbeat revert_s",
    ),
    "shorepower": ("berthed flexible_kw limit_kw remote", "limit_kw release heartbeat revert_s"),
}


@pytest.fixture(params=KINDS, ids=lambda k: k.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return warm_fork(request.param, MAKERS[request.param], 12, 5)


def test_points_and_setpoints_stand_as_agreed(kind: Kind) -> None:
    shown, taken = AGREED[kind.name]
    assert [p.name for p in kind.points] == ["power_kw", *shown.split()]
    assert [p.name for p in kind.setpoints] == taken.split()
    assert all(name in kind.state for name in kind.truth)


def test_readings_stay_within_the_points_ranges(kind: Kind) -> None:
    for hour in range(12, 16):
        live(kind, hour * HOUR_MS, 60)
        for point, row in zip(kind.points, points(kind).values(), strict=True):
            scale = kind.rated_kw if point.per_rating else 1.0
            assert (row >= point.low * scale - 1e-9).all(), point.name
            assert (row <= point.high * scale + 1e-9).all(), point.name


def test_forks_at_any_minute_go_on_alike(kind: Kind) -> None:
    other = kind.fork()
    for _ in range(3):
        live(kind, 12 * HOUR_MS, 11)
        live(other, 12 * HOUR_MS, 11)
        assert same_bits(kind, other)
        other = kind.fork()
        kind.drain()
        other.drain()


def test_saved_and_restored_is_the_same(kind: Kind) -> None:
    saved = {k: v.copy() for k, v in kind.state.arrays().items()}
    live(kind, 12 * HOUR_MS, 5)
    then = kind.state.digest()
    kind.state.restore(saved)
    live(kind, 12 * HOUR_MS, 5)
    assert kind.state.digest() == then


def test_same_seed_same_bits_other_seed_other_bits(kind: Kind) -> None:
    again, different = (type(kind)(FLEETS[type(kind)], seed) for seed in (5, 6))
    again.warm(world(12 * HOUR_MS, 5))
    different.warm(world(12 * HOUR_MS, 6))
    assert same_bits(kind, again)
    assert not same_bits(kind, different)


def test_a_kind_without_devices_works() -> None:
    for sort, columns in FLEETS.items():
        empty = sort(Columns({k: v[:0] for k, v in columns.items()}, 0), 1)
        empty.warm(world(0))
        live(empty, 0, 1)
        assert empty.power_kw.shape == (0,)
        points(empty)


def test_warm_has_no_ledger_and_no_remote(kind: Kind) -> None:
    assert (kind.state["energy_kws"] == 0.0).all()
    assert not points(kind)["remote"].any()
    assert (kind.state["supplied"] == 1.0).all()


def test_warm_before_midnight_works(kind: Kind) -> None:
    early = type(kind)(FLEETS[type(kind)], 5)
    early.warm(world(-24 * HOUR_MS, 5))
    live(early, -24 * HOUR_MS, 30)
    live(early, -MINUTE_MS, 2)
    assert np.isfinite(early.state["energy_kws"]).all()


@pytest.mark.parametrize(
    "name", ["charging", "hydrogen", "industry", "shorepower", "solar", "swap"]
)
def test_every_parameter_names_source_and_grade(name: str) -> None:
    for key, entry in Datasheet(name).entries.items():
        assert entry["grade"] in GRADES, key
        assert len(str(entry["source"])) > 5, key


def test_a_datasheet_without_source_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    folder = files("twin.assets") / "data"
    assert (folder / "solar.toml").is_file()
    monkeypatch.setattr(tomllib, "loads", lambda _: {"x": {"value": 1.0, "unit": ""}})
    with pytest.raises(ValueError, match="lacks"):
        Datasheet("solar")
    bad = {"value": 1.0, "unit": "", "source": "somewhere", "grade": "sure"}
    monkeypatch.setattr(tomllib, "loads", lambda _: {"x": bad})
    with pytest.raises(ValueError, match="grade"):
        Datasheet("solar")
