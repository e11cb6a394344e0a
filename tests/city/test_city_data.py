from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from twin.city.demand import read_day_shape
from twin.city.districts import SECTORS, fit_margins, read_districts
from twin.city.plants import build_supply
from twin.city.spec import plan_year_load
from twin.city.tables import GRADES, DataRows, periodic_minutes, read_parameters
from twin.errors import InputProblems

CSV_FILES = sorted(
    entry.name for entry in (files("twin.city") / "data").iterdir() if entry.name.endswith(".csv")
)


@pytest.mark.parametrize("name", CSV_FILES)
def test_every_row_has_a_source_and_a_grade(name: str) -> None:
    rows = DataRows(name)
    assert len(rows) > 0
    assert all(len(source) > 3 for source in rows.text("source"))
    assert set(rows.text("grade")) <= set(GRADES)


def test_every_single_figure_is_read_and_sourced() -> None:
    figures = read_parameters()
    assert set(figures.values) == set(figures.sources)
    assert figures["tariff.peak_ratio"] == 1.7
    with pytest.raises(KeyError):
        figures["tariff.no_such_figure"]


def test_district_shares_and_sector_margins_hold() -> None:
    districts = read_districts()
    assert districts.n == 11
    np.testing.assert_allclose(
        districts.share,
        np.array([5.0, 6.5, 5.5, 10.5, 14.0, 18.5, 13.0, 8.5, 7.5, 2.5, 8.5]) / 100,
        rtol=1e-12,
    )
    np.testing.assert_allclose(districts.sector_share.sum(axis=0), districts.share, atol=1e-12)
    np.testing.assert_allclose(districts.sector_share.sum(axis=1), [0.33, 0.42, 0.25], atol=1e-12)
    for shares in (districts.pv_share, districts.charger_share):
        assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    industry = districts.sector_share[0] / districts.share
    heavy = [districts.row(name) for name in ("黄埔", "南沙", "花都", "增城")]
    others = np.setdiff1d(np.arange(11), heavy)
    assert industry[heavy].min() > np.delete(industry, heavy).max() - 1e-12, industry[others]


def test_a_chosen_district_keeps_its_own_mix() -> None:
    whole, part = read_districts(), read_districts(["Nansha"])
    row = whole.row("南沙")
    assert part.names == ("南沙",)
    np.testing.assert_allclose(
        part.sector_share[:, 0], whole.sector_share[:, row] / whole.share[row], atol=1e-12
    )


def test_unknown_districts_are_all_named() -> None:
    with pytest.raises(InputProblems) as caught:
        read_districts(["南沙", "Kowloon", "Macao"])
    assert [p.value for p in caught.value.problems] == ["Kowloon", "Macao"]


def test_margins_that_contradict_are_refused() -> None:
    with pytest.raises(ValueError, match="margins"):
        fit_margins(np.ones((2, 2)), np.array([1.0, 1.0]), np.array([1.0, 3.0]))


def test_maximum_loads_of_the_plan_years() -> None:
    assert [plan_year_load(y) for y in (2024, 2025, 2026, 2027)] == [22489, 23390, 24320, 25300]
    for year in (2025, 2026, 2027):
        grown = 22489 * 1.04 ** (year - 2024)
        assert plan_year_load(year) == pytest.approx(grown, rel=1e-3)


@pytest.mark.parametrize(("year", "total"), [(2025, 2000), (2026, 4000), (2027, 5000)])
def test_connected_flexible_power_sums_to_the_plan(year: int, total: float) -> None:
    rows = DataRows("flexible.csv").by("kind")
    flexible = set(rows) - {"solar", "v2g", "terminal"}
    assert sum(float(rows[kind][f"mw_{year}"]) for kind in flexible) == total


def test_sector_rows_stand_in_the_order_of_the_code() -> None:
    assert DataRows("sectors.csv").text("sector") == SECTORS


def test_supply_runs_at_a_third_of_the_load_and_the_pumps_lose_energy() -> None:
    shape = read_day_shape()
    supply = build_supply(read_districts(), 25300.0, shape.load, whole_city=True)
    local_mw = supply.plant_schedule_mw.sum(axis=1)
    assert local_mw[840] == pytest.approx(25300 / 3, rel=0.005)
    assert np.corrcoef(local_mw, shape.load)[0, 1] > 0.999
    rated = np.array([plant.rated_mw for plant in supply.plants])
    assert (supply.plant_schedule_mw <= rated + 1e-9).all()
    assert sum(infeed.share for infeed in supply.infeeds) == pytest.approx(1.0)
    pumped = supply.pumped_schedule_mw
    assert pumped.max() <= 2400
    assert pumped.min() >= -2400
    assert pumped[:360].max() < 0 < pumped[16 * 60]
    made, used = pumped[pumped > 0].sum(), -pumped[pumped < 0].sum()
    assert 0.74 < made / used < 0.80


def test_periodic_curve_meets_its_nodes_and_closes() -> None:
    minutes = np.array([0, 300, 700, 1100])
    values = np.array([1.0, 3.0, 2.0, 4.0])
    curve = periodic_minutes(minutes, values)
    np.testing.assert_allclose(curve[minutes], values)
    assert abs(curve[-1] - curve[0]) < 0.02
    assert curve.max() <= 4.0
