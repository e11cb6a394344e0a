from __future__ import annotations

import pytest

from twin.city import City, CitySpec, build_city


@pytest.fixture(scope="session")
def city() -> City:
    return build_city(CitySpec(year=2027, seed=1))


@pytest.fixture(scope="session")
def tiny_spec() -> CitySpec:
    counts = {
        "storage": 8,
        "aircon": 14,
        "charging": 14,
        "v2g": 2,
        "terminal": 50,
        "solar": 8,
        "industry": 5,
        "icestore": 0,
        "swap": 1,
        "hydrogen": 1,
        "shorepower": 1,
    }
    mw = {
        "storage": 1.5,
        "aircon": 3.0,
        "charging": 2.5,
        "v2g": 0.1,
        "solar": 3.0,
        "industry": 1.5,
        "swap": 0.4,
        "hydrogen": 0.3,
        "shorepower": 0.4,
    }
    return CitySpec(districts=("南沙",), max_load_mw=40.0, counts=counts, connected_mw=mw)
