from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twin.city import City, CitySpec, build_city
from twin.city.tables import DataRows
from twin.errors import InputProblems
from twin.record.market import market_rules

SITES = """name,district,sector,demand_kw
works,Nansha,industry,4000
mall,Nansha,tertiary,3000
"""
FLEET = """kind,site,rated_kw,capacity_kwh,offer_cny_kwh
storage,works,1000,2000,0.55
storage,mall,1000,2000,
storage,mall,1000,2000,0
"""


def test_registered_vpps_lead_mostly_their_kind(city: City) -> None:
    agents, sites = city.aggregators, city.sites
    assert agents.n == 25
    assert set(agents.i8("type").tolist()) == {0, 1, 2}
    assert len(set(agents["name_zh"].tolist())) == agents.n
    assert (agents.f8("hold_h") >= market_rules().least_h).all()
    for kind in ("industry", "icestore", "shorepower"):
        columns = city.nameplates[kind]
        led = agents["kind"][sites.i8("aggregator")[columns.i8("site")]]
        assert (led == kind).mean() > 0.6, kind


def test_devices_ask_the_price_of_their_kind_by_the_factor_of_their_vpp(city: City) -> None:
    factor, sites = city.aggregators.f8("price_factor"), city.sites
    assert np.ptp(factor) > 0.05
    assert np.abs(factor - 1.0).max() <= 0.1
    prices = DataRows("offers.csv").by("kind")
    for kind, columns in city.nameplates.items():
        agent = sites.i8("aggregator")[columns.i8("site")]
        usual = float(prices[kind]["price_cny_kwh"])
        led = agent >= 0
        offer = columns.f8("offer_cny_kwh")
        np.testing.assert_allclose(offer[led], usual * factor[agent[led]], atol=1e-4)
        np.testing.assert_allclose(offer[~led], usual)


def test_a_users_fleet_may_bring_its_own_prices(tmp_path: Path) -> None:
    files = {"sites_csv": tmp_path / "sites.csv", "fleet_csv": tmp_path / "fleet.csv"}
    files["sites_csv"].write_text(SITES, encoding="utf-8")
    files["fleet_csv"].write_text(FLEET, encoding="utf-8")
    spec = CitySpec(districts=("Nansha",), max_load_mw=12.0, **files)
    offer = build_city(spec).nameplates["storage"].f8("offer_cny_kwh")
    assert offer[[0, 2]].tolist() == [0.55, 0.0]
    assert 0.72 <= offer[1] <= 0.88
    files["fleet_csv"].write_text(FLEET.replace("0.55", "-1"), encoding="utf-8")
    with pytest.raises(InputProblems, match="offer_cny_kwh: -1; allowed: CNY/kWh, 0 to 1000"):
        build_city(spec)
