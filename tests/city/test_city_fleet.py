from __future__ import annotations

import numpy as np
import pytest

from twin.city import KINDS, City, CitySpec, build_city
from twin.city.sites import SITE_COLUMNS, rounds_of
from twin.city.tables import DataRows, read_parameters
from twin.errors import InputProblems

CONTRACT = {
    "storage": {"capacity_kwh"},
    "aircon": {"floor_m2", "cooling_kw", "use", "setpoint_c", "comfort_max_c"},
    "icestore": {"cooling_kw", "tank_kwh", "peak_cooling_kw"},
    "charging": {"posts", "post_kw", "v2g_kw", "use"},
    "swap": {"packs", "pack_kwh", "slot_kw", "swaps_per_day", "v2g_kw"},
    "solar": {"tilt_deg", "azimuth_deg"},
    "industry": {"step_min", "stock_h", "min_run_min", "restart_min", "base_share"},
    "hydrogen": {"tank_kg", "kg_per_day", "fuelcell_kw", "min_load"},
    "shorepower": {"flexible_share"},
}
COMMON = {"site", "circuit", "district", "rated_kw", "enrolled", "offer_cny_kwh"}
FEWEST_2027 = {
    "storage": 1000,
    "aircon": 2000,
    "icestore": 3,
    "charging": 2000,
    "swap": 100,
    "solar": 2000,
    "industry": 500,
    "hydrogen": 20,
    "shorepower": 30,
}


def test_every_kind_has_the_columns_of_the_contract(city: City) -> None:
    assert tuple(city.nameplates) == KINDS
    for kind, columns in city.nameplates.items():
        assert set(columns) == CONTRACT[kind] | COMMON, kind
        for name in columns:
            assert np.isfinite(columns.f8(name)).all(), (kind, name)
        assert columns["circuit"].dtype == np.int8
        site = columns.i8("site")
        assert (np.diff(site) >= 0).all()
        assert np.array_equal(columns.i8("district"), city.sites.i8("district")[site])
        assert columns.f8("rated_kw").min() > 0.0


def test_site_columns(city: City) -> None:
    sites = city.sites
    assert set(sites) == set(SITE_COLUMNS)
    for name in sites:
        assert np.isfinite(sites.f8(name)).all(), name
    assert sites.f8("demand_kw").min() > 0.0
    assert (sites.f8("contracted_kw") >= sites.f8("demand_kw")).all()
    assert (sites.i8("busbar") == -1).all()


def test_counts_of_the_2027_city(city: City) -> None:
    for kind, fewest in FEWEST_2027.items():
        assert city.nameplates[kind].n >= fewest, kind
    terminals = int(city.sites.flag("terminal").sum())
    assert terminals >= 10_000
    assert terminals + sum(columns.n for columns in city.nameplates.values()) >= 20_000


@pytest.mark.parametrize("year", [2025, 2026, 2027])
def test_connected_power_is_the_plan_years(year: int) -> None:
    made = build_city(CitySpec(year=year, seed=5))
    rows = DataRows("flexible.csv").by("kind")
    for kind in KINDS:
        planned = float(rows[kind][f"mw_{year}"])
        assert made.connected_mw[kind] == pytest.approx(planned, rel=1e-9), kind
    v2g = made.nameplates["charging"].f8("v2g_kw").sum() / 1000.0
    assert v2g == pytest.approx(float(rows["v2g"][f"mw_{year}"]), rel=1e-9)
    flexible = sum(mw for kind, mw in made.connected_mw.items() if kind != "solar")
    assert flexible == pytest.approx({2025: 2000, 2026: 4000, 2027: 5000}[year], rel=1e-9)


@pytest.mark.parametrize("year", [2025, 2027])
def test_terminals_cover_what_the_year_says(year: int) -> None:
    made = build_city(CitySpec(year=year, seed=2))
    rows = DataRows("sectors.csv").by("sector")
    sites = made.sites
    demand_kw, terminal = sites.f8("demand_kw"), sites.flag("terminal")
    peak_kw = 1000.0 * made.target_demand_mw[:, :, int(np.argmax(made.load_shape))].sum(axis=1)
    for sector, name in enumerate(made.sectors):
        here = terminal & (sites.i8("sector") == sector)
        coverage = float(rows[name][f"coverage_{year}"])
        assert demand_kw[here].sum() == pytest.approx(coverage * peak_kw[sector], rel=1e-9)
        if coverage == 0.0:
            continue

        def mean(column: str, rows_of: np.ndarray = here) -> float:
            values = sites.f8(column)[rows_of]
            return float((values * demand_kw[rows_of]).sum() / demand_kw[rows_of].sum())

        assert mean("security_share") == pytest.approx(float(rows[name]["security_share"]), 1e-6)
        circuits = sum(mean(f"circuit_share_{k}") for k in range(1, 5))
        assert circuits == pytest.approx(float(rows[name]["circuit_share"]), rel=1e-6)
        assert mean("protected") == pytest.approx(float(rows[name]["protected_share"]), abs=2e-3)


def test_rounds_and_shares_of_each_site(city: City) -> None:
    sites = city.sites
    shares = np.stack([sites.f8(f"circuit_share_{k}") for k in range(1, 5)])
    whole = shares.sum(axis=0) + sites.f8("security_share")
    assert whole.max() <= 0.95 + 1e-9
    assert shares.min() >= 0.0
    terminal = sites.flag("terminal")
    rounds = rounds_of(sites)
    assert set(np.unique(rounds[terminal])) == {2, 3, 4}
    assert (rounds[~terminal] == 0).all()
    # rounds are used from the first on, without a gap
    assert ((shares[1:] > 0) <= (shares[:-1] > 0)).all()


def test_devices_stand_behind_circuits_that_exist(city: City) -> None:
    rounds = rounds_of(city.sites)
    terminal = city.sites.flag("terminal")
    behind = total = 0
    for columns in city.nameplates.values():
        circuit, site = columns.i8("circuit"), columns.i8("site")
        assert circuit.min() >= -1
        assert (circuit < rounds[site]).all()
        behind += int((circuit >= 0).sum())
        total += int(terminal[site].sum())
    assert behind / total == pytest.approx(0.30, abs=0.02)


def test_sizes_fit_the_customers(city: City) -> None:
    figures = read_parameters()
    demand_kw = city.sites.f8("demand_kw")

    def most(kind: str, rows: np.ndarray | None = None) -> float:
        columns = city.nameplates[kind]
        ratio = columns.f8("rated_kw") / demand_kw[columns.i8("site")]
        return float(ratio.max() if rows is None else ratio[rows].max())

    assert most("aircon") <= figures["fleet.aircon_cap"] + 1e-9
    assert most("industry") <= figures["fleet.line_cap"] + 1e-9
    assert most("storage") <= 0.60
    solar = city.nameplates["solar"]
    silent = city.sites.f8("export_limit_kw")[solar.i8("site")] == 0.0
    assert most("solar", silent) <= figures["fleet.solar_cap"] + 1e-9
    charging = city.nameplates["charging"]
    guests = city.sites.flag("terminal")[charging.i8("site")]
    assert 0.2 < guests.mean() < 0.35
    assert most("charging", guests) <= figures["fleet.charging_cap"] + 1e-9


def test_places_and_protection(city: City) -> None:
    sites = city.sites

    def at(kind: str, column: str) -> np.ndarray:
        return sites[column][city.nameplates[kind].i8("site")]

    assert at("storage", "sector").mean() == pytest.approx(0.07, abs=0.001)  # tertiary is 1
    assert not at("industry", "protected").any()
    assert (at("industry", "sector") == 0).all()
    aircon = city.nameplates["aircon"]
    hospitals = aircon.i8("use") == 3
    assert hospitals.sum() > 50
    assert at("aircon", "protected")[hospitals].all()
    public = at("aircon", "public").astype(bool) & ~hospitals
    assert aircon.f8("setpoint_c")[public].min() >= 26.0
    assert (aircon.f8("comfort_max_c") - aircon.f8("setpoint_c")).min() >= 1.5
    assert city.districts.port[city.nameplates["shorepower"].i8("district")].all()


def test_devices_look_like_their_kind(city: City) -> None:
    storage = city.nameplates["storage"]
    hours = storage.f8("capacity_kwh") / storage.f8("rated_kw")
    assert ((hours > 2.0) & (hours < 2.2)).all()
    charging = city.nameplates["charging"]
    posts = charging.f8("posts")
    assert posts.min() >= 1
    assert posts.max() <= 60
    assert (charging.f8("rated_kw") <= posts * charging.f8("post_kw") + 1e-6).all()
    assert (charging.f8("v2g_kw") <= 0.5 * charging.f8("rated_kw") + 1e-6).all()
    swap = city.nameplates["swap"]
    np.testing.assert_allclose(swap.f8("packs") * swap.f8("slot_kw"), swap.f8("rated_kw"))
    daily_kwh = 0.6 * swap.f8("swaps_per_day") * swap.f8("pack_kwh")
    assert (daily_kwh < 0.7 * 24.0 * swap.f8("rated_kw")).all()
    aircon = city.nameplates["aircon"]
    w_m2 = 1000.0 * aircon.f8("cooling_kw") / aircon.f8("floor_m2")
    assert w_m2.min() > 80.0
    assert w_m2.max() < 200.0
    hydrogen = city.nameplates["hydrogen"]
    could_make_kg = 24.0 * hydrogen.f8("rated_kw") / 53.0
    assert (hydrogen.f8("kg_per_day") < 0.7 * could_make_kg).all()


def test_aggregators(city: City) -> None:
    sites = city.sites
    enrolled, aggregator = sites.flag("enrolled"), sites.i8("aggregator")
    assert np.array_equal(enrolled, aggregator >= 0)
    assert 20 <= len(np.unique(aggregator[enrolled])) <= 30
    for kind, columns in city.nameplates.items():
        assert columns.flag("enrolled").all() == (kind != "solar"), kind
        if kind != "solar":
            assert enrolled[columns.i8("site")].all()


def test_districts_have_their_chargers_and_roofs(city: City) -> None:
    for kind, share in (
        ("solar", city.districts.pv_share),
        ("charging", city.districts.charger_share),
    ):
        columns = city.nameplates[kind]
        part = np.bincount(columns.i8("district"), columns.f8("rated_kw"), 11)
        part /= part.sum()
        assert np.abs(part - share).max() < 0.04, kind
        assert np.corrcoef(part, share)[0, 1] > 0.9, kind


def same(a: City, b: City) -> bool:
    columns = [(a.sites, b.sites), *((a.nameplates[k], b.nameplates[k]) for k in KINDS)]
    return all(
        x.n == y.n and all(np.array_equal(x[name], y[name]) for name in x) for x, y in columns
    )


def test_the_same_seed_gives_the_same_city(city: City) -> None:
    assert same(city, build_city(CitySpec(year=2027, seed=1)))
    assert not same(city, build_city(CitySpec(year=2027, seed=2)))


def test_another_day_leaves_the_customers_alone(city: City) -> None:
    hot = build_city(CitySpec(year=2027, seed=1, day="hot", weather_offset_c=1.0))
    assert same(city, hot)
    assert np.array_equal(city.target_demand_mw, hot.target_demand_mw)
    assert np.array_equal(city.site_weight, hot.site_weight)
    assert hot.weather_factor[-600:].min() > 1.1


def test_fleet_scale_and_overrides() -> None:
    half = build_city(CitySpec(fleet_scale=0.5, connected_mw={"aircon": 300.0, "hydrogen": 0.0}))
    assert half.connected_mw["storage"] == pytest.approx(400.0)
    assert half.nameplates["storage"].n == 600
    assert half.connected_mw["aircon"] == pytest.approx(300.0)
    assert half.nameplates["hydrogen"].n == 0
    assert set(half.nameplates["hydrogen"]) == CONTRACT["hydrogen"] | COMMON
    assert int(half.sites.flag("terminal").sum()) == 11_500


@pytest.mark.parametrize("seed", range(1, 6))
def test_one_district_alone(tiny_spec: CitySpec, seed: int) -> None:
    from dataclasses import replace

    tiny = build_city(replace(tiny_spec, seed=seed))
    assert {kind: columns.n for kind, columns in tiny.nameplates.items() if columns.n > 0} == {
        kind: n for kind, n in tiny_spec.counts.items() if kind in KINDS and n > 0
    }
    for kind, mw in tiny_spec.connected_mw.items():
        if kind in KINDS:
            assert tiny.connected_mw[kind] == pytest.approx(mw, rel=1e-9)
    assert int(tiny.sites.flag("terminal").sum()) == 50
    assert tiny.load_shape.max() == pytest.approx(1.0)
    assert tiny.network.form == "district"
    assert tiny.supply.plants == ()
    assert tiny.target_demand_mw.shape == (3, 1, 1440)


def test_one_district_without_overrides_and_three_together() -> None:
    small = build_city(CitySpec(districts=("Nansha",), max_load_mw=40.0))
    assert small.nameplates["storage"].n >= 10
    three = build_city(CitySpec(districts=("天河", "黄埔", "南沙"), detail=("Nansha",)))
    assert three.max_load_mw == pytest.approx(25300 * (0.105 + 0.185 + 0.075))
    assert three.network.form == "city"
    assert [three.network.districts[i].name for i in three.network.detail] == ["Nansha"]
    three.network.check()


def test_too_much_for_the_customers_is_bad_input() -> None:
    with pytest.raises(InputProblems, match="storage"):
        build_city(CitySpec(connected_mw={"storage": 90_000.0}))
    with pytest.raises(InputProblems, match="industry"):
        build_city(CitySpec(counts={"industry": 90_000}))


def test_every_wrong_figure_is_listed() -> None:
    with pytest.raises(InputProblems) as caught:
        build_city(CitySpec(year=2031, max_load_mw=-1.0, fleet_scale=-2.0, epw_day=(2, 30)))
    assert len(caught.value.problems) == 4
    with pytest.raises(InputProblems) as caught:
        build_city(CitySpec(counts={"storages": 3, "swap": -1}, connected_mw={"solar": -5.0}))
    assert len(caught.value.problems) == 3
    with pytest.raises(InputProblems, match="Macao"):
        build_city(CitySpec(detail=("Macao",)))
