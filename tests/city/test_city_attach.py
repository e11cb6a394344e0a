from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.chance import generator
from twin.city import City, attach_sites, background_weights, host_weights
from twin.city.sharing import choose, near_share, share_out, whole_shares
from twin.errors import InputProblems


def busbars(districts: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    district = np.repeat(np.arange(districts), each)
    weight = np.concatenate(
        [generator(1, "test", d).uniform(0.75, 1.25, each) for d in range(districts)]
    )
    return district, weight / np.bincount(district, weight)[district]


def test_sites_fill_the_busbars_of_their_district_evenly(city: City) -> None:
    district, weight = busbars(11, 20)
    sites = city.sites
    demand_kw = sites.f8("demand_kw")
    busbar = attach_sites(sites.i8("district"), demand_kw, district, weight, seed=1)
    assert np.array_equal(district[busbar], sites.i8("district"))
    total_kw = np.bincount(sites.i8("district"), demand_kw, 11)
    fill = np.bincount(busbar, demand_kw, len(weight)) / (weight * total_kw[district])
    assert fill.min() > 0.7
    assert fill.max() < 1.25
    again = attach_sites(sites.i8("district"), demand_kw, district, weight, seed=1)
    other = attach_sites(sites.i8("district"), demand_kw, district, weight, seed=2)
    assert np.array_equal(busbar, again)
    assert not np.array_equal(busbar, other)


def test_busbars_that_the_user_names_are_kept() -> None:
    district, weight = busbars(2, 4)
    site_district = np.array([0, 0, 1, 1, 0])
    named = np.array([3, -1, 5, -1, -1])
    demand_kw = np.full(5, 100.0)
    busbar = attach_sites(site_district, demand_kw, district, weight, 1, given=named)
    assert busbar[0] == 3
    assert busbar[2] == 5
    assert np.array_equal(district[busbar], site_district)
    assert (named == [3, -1, 5, -1, -1]).all()


def test_large_sites_stay_off_small_transformers_and_feeders_fill_evenly() -> None:
    # two feeders of one 10 kV node that carries anything and four 0.4 kV places of 0.5 MW
    group = np.repeat([0, 1], 5)
    capacity_mw = np.tile([8.0, 0.5, 0.5, 0.5, 0.5], 2)
    weight = np.full(10, 0.1)
    demand_kw = np.exp(generator(1, "t").normal(4.5, 1.2, 120))
    zeros = np.zeros(120, dtype=np.int64)
    busbar = attach_sites(
        zeros,
        demand_kw,
        np.zeros(10, dtype=np.int64),
        weight,
        1,
        capacity_mw=capacity_mw,
        group=group,
    )
    assert (demand_kw > 150.0).any()
    assert set(busbar[demand_kw > 150.0]) == {0, 5}
    assert {1, 2, 3, 4, 6, 7, 8, 9} <= set(busbar[demand_kw <= 150.0])
    fed_kw = np.bincount(group[busbar], demand_kw)
    assert abs(fed_kw[0] - fed_kw[1]) < 0.1 * fed_kw.sum()


def test_a_site_too_large_for_every_place_takes_the_strongest() -> None:
    busbar = attach_sites(
        np.array([0]),
        np.array([9000.0]),
        np.array([0, 0]),
        np.array([0.5, 0.5]),
        1,
        capacity_mw=np.array([1.0, 4.0]),
    )
    assert busbar.tolist() == [1]


def test_a_district_without_a_busbar_is_refused() -> None:
    with pytest.raises(ValueError, match="no busbar"):
        attach_sites(np.array([0, 1]), np.ones(2), np.array([0]), np.ones(1), 1)


def test_background_goes_where_sites_leave_room(city: City) -> None:
    district, weight = busbars(11, 20)
    sites = city.sites
    demand_kw = sites.f8("demand_kw")
    busbar = attach_sites(sites.i8("district"), demand_kw, district, weight, seed=1)
    peak_kw = 1000.0 * city.target_demand_mw[:, :, 840].sum(axis=0)
    share = background_weights(busbar, demand_kw, district, weight, peak_kw)
    np.testing.assert_allclose(np.bincount(district, share), 1.0)
    assert share.min() >= 0.0
    # sites and background together are the busbar's part of the district
    site_kw = np.bincount(busbar, demand_kw, len(weight))
    left_kw = peak_kw - np.bincount(district, site_kw)
    np.testing.assert_allclose(
        site_kw + share * left_kw[district], weight * peak_kw[district], rtol=1e-9
    )


def test_a_full_busbar_gets_no_background() -> None:
    share = background_weights(
        np.array([0, 1]),
        np.array([90.0, 10.0]),
        np.array([0, 0]),
        np.array([0.5, 0.5]),
        np.array([100.0]),
    )
    assert share.tolist() == [0.0, 1.0]


def test_host_weights_give_the_expected_host_load_back(city: City) -> None:
    sites = city.sites
    weight, sector, district = city.site_weight, sites.i8("sector"), sites.i8("district")
    cell = np.bincount(sector * 11 + district, weight, 33)
    assert cell.max() <= 0.98 + 1e-12
    assert weight.min() > 0.0
    peak_mw = np.full((3, 11), 1e6)
    wide = host_weights(sites.f8("host_kw"), sector, district, peak_mw)
    np.testing.assert_allclose(wide * 1e9, sites.f8("host_kw"))


@given(
    total=st.integers(0, 500),
    weights=st.lists(st.floats(0.01, 100.0), min_size=1, max_size=20),
)
def test_whole_shares_sum_and_stay_within_one(total: int, weights: list[float]) -> None:
    array = np.array(weights)
    counts = whole_shares(total, array)
    assert counts.sum() == total
    assert (np.abs(counts - total * array / array.sum()) < 1.0 + 1e-9).all()


@settings(deadline=None)
@given(
    caps=st.lists(st.floats(1.0, 100.0), min_size=1, max_size=30),
    part=st.floats(0.01, 1.0),
    seed=st.integers(0, 1000),
)
def test_share_out_keeps_total_and_caps(caps: list[float], part: float, seed: int) -> None:
    cap = np.array(caps)
    weights = generator(seed, "test.weights").uniform(0.1, 10.0, len(cap))
    sizes = share_out("test", part * float(cap.sum()), weights, cap)
    assert sizes.sum() == pytest.approx(part * cap.sum(), rel=1e-9)
    assert (sizes <= cap * (1 + 1e-9)).all()
    assert (sizes > 0).all()
    with pytest.raises(InputProblems):
        share_out("test", 1.01 * float(cap.sum()), weights, cap)


def test_choice_is_by_weight_and_grows_where_room_is_short() -> None:
    rows, weights = np.arange(100), np.where(np.arange(100) < 50, 9.0, 1.0)
    picked = choose(generator(1, "t"), "test", rows, weights, 40)
    assert len(np.unique(picked)) == 40
    assert (picked < 50).sum() > 28
    caps = np.arange(100.0)
    wide = choose(generator(1, "t"), "test", rows, weights, 10, caps, 800.0)
    assert caps[wide].sum() >= 880.0
    with pytest.raises(InputProblems):
        choose(generator(1, "t"), "test", rows, weights, 101)


@given(share=st.floats(0.0, 1.0), seed=st.integers(0, 100))
def test_near_share_is_never_more(share: float, seed: int) -> None:
    sizes = generator(seed, "t").uniform(1.0, 2.0, 300)
    chosen = near_share(generator(seed, "u"), sizes, share)
    assert sizes[chosen].sum() <= share * sizes.sum() + 1e-9
    assert sizes[chosen].sum() >= share * sizes.sum() - 2.0
