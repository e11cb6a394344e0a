"""A user's pandapower network under a city: which district a busbar belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twin.errors import InputProblems
from twin.grid import Network, from_pandapower, imported_load_mw
from twin.scenario.build import Built, build
from twin.scenario.files import load_scenario

NAMES = (("越秀", "Yuexiu"), ("南沙", "Nansha"))
SHARES = np.array([1.0, 3.0])


@pytest.fixture(scope="module")
def pp() -> Any:
    import pandapower

    return pandapower


def star(pp: Any, loads_mw: tuple[float, ...], zones: tuple[str | None, ...]) -> Any:
    """One source with a line to each load; the lines have no names."""
    net = pp.create_empty_network()
    source = pp.create_bus(net, 10.0)
    pp.create_ext_grid(net, source)
    for mw, zone in zip(loads_mw, zones, strict=True):
        bus = pp.create_bus(net, 10.0, zone=zone)
        pp.create_line_from_parameters(net, source, bus, 0.5, 0.1, 0.1, 200.0, 0.4)
        pp.create_load(net, bus, mw, 0.1 * mw)
    return net


def read(pp: Any, net: Any, folder: Path) -> Network:
    pp.to_json(net, str(folder / "net.json"))
    return from_pandapower(folder / "net.json", NAMES, SHARES)


def test_zones_name_districts(pp: Any, tmp_path: Path) -> None:
    net = star(pp, (1.0, 0.5, 1.5, 0.5), ("Nansha", "越秀", None, "南沙"))
    network = read(pp, net, tmp_path)
    assert network.busbars.district.tolist() == [1, 0, 1, 1]
    np.testing.assert_allclose(network.busbars.weight, [1 / 3, 1.0, 0.5, 1 / 6])
    assert network.buses.district.tolist() == [-1, 1, 0, 1, 1]
    assert network.branches.district.tolist() == [1, 0, 1, 1]
    assert network.branches.name.tolist() == [f"line {k}" for k in range(4)]


def test_without_zones_load_is_shared_out(pp: Any, tmp_path: Path) -> None:
    network = read(pp, star(pp, (2.0, 1.0, 0.6, 0.4), ("1", "1", "2", None)), tmp_path)
    given = np.bincount(network.busbars.district, network.design_mw)
    np.testing.assert_allclose(given, SHARES)
    for district in (0, 1):
        here = network.busbars.district == district
        assert network.busbars.weight[here].sum() == pytest.approx(1.0)


def test_a_slip_in_a_zone_is_told(pp: Any, tmp_path: Path) -> None:
    with pytest.raises(InputProblems, match=r"bus.zone: Nanscha; allowed: empty, or a district"):
        read(pp, star(pp, (1.0, 1.0, 1.0), ("Yuexiu", "Nansha", "Nanscha")), tmp_path)


def test_each_district_needs_a_place_for_load(pp: Any, tmp_path: Path) -> None:
    with pytest.raises(InputProblems, match="no load bus for Yuexiu"):
        read(pp, star(pp, (1.0, 1.0), ("Nansha", "南沙")), tmp_path)
    with pytest.raises(InputProblems, match="a load bus for each of the 2 districts"):
        read(pp, star(pp, (1.0,), (None,)), tmp_path)


def test_a_load_that_feeds_in_is_no_place_for_load(pp: Any, tmp_path: Path) -> None:
    network = read(pp, star(pp, (2.0, 1.0, -0.5), ("Nansha", "Yuexiu", None)), tmp_path)
    assert network.n_busbar == 2
    assert network.fixed_mva.real.sum() == pytest.approx(0.5)


def test_negative_ratings_are_told_together(pp: Any, tmp_path: Path) -> None:
    net = star(pp, (1.0, 1.0), (None, None))
    net.line.loc[0, "max_i_ka"] = -0.4
    net.line.loc[1, "length_km"] = 0.0
    with pytest.raises(InputProblems) as caught:
        read(pp, net, tmp_path)
    assert [p.place for p in caught.value.problems] == ["line[1].length_km", "line[0].max_i_ka"]


def built(folder: Path, city: str) -> Built:
    path = folder / "scenario.toml"
    path.write_text(f'name = "own"\n[city]\nnetwork = "net.json"\n{city}\n', encoding="utf-8")
    return build(load_scenario(path), path)


def test_a_published_feeder_under_a_city(pp: Any, tmp_path: Path) -> None:
    """Baran and Wu's 33 buses: one infeed, no plants, its own loads as the maximum."""
    import pandapower.networks as cases

    pp.to_json(cases.case33bw(), str(tmp_path / "net.json"))
    assert imported_load_mw(tmp_path / "net.json") == pytest.approx(3.715)
    none = ", ".join(f"{k} = 0" for k in ("icestore", "swap", "hydrogen", "shorepower", "v2g"))
    counts = "storage = 2, aircon = 3, charging = 2, solar = 2, industry = 1, terminal = 12"
    mw = "storage = 0.2, aircon = 0.2, charging = 0.2, solar = 0.2, industry = 0.1"
    city = f"connected_mw = {{ {mw}, {none} }}\ncounts = {{ {counts} }}\n"
    found = built(tmp_path, 'districts = ["Nansha"]\n' + city)
    assert found.city.max_load_mw == pytest.approx(3.715)
    assert found.network.n_busbar == 32
    assert found.world.plant_mw.shape == (1440, 0)
    assert (found.world.pumped_mw == 0.0).all()
    busbar = found.sites.i8("busbar")
    assert ((busbar >= 0) & (busbar < 32)).all()
    assert len(set(found.network.branches.name.tolist())) == found.network.n_branch


def test_the_whole_city_on_a_published_network(pp: Any, tmp_path: Path) -> None:
    """IEEE 118: eleven districts share its load buses; the city's plants are not in it."""
    import pandapower.networks as cases

    pp.to_json(cases.case118(), str(tmp_path / "net.json"))
    kinds = ("storage", "aircon", "charging", "solar", "industry", "swap", "hydrogen", "shorepower")
    mw = ", ".join(f"{kind} = 20.0" for kind in kinds)
    counts = ", ".join(f"{kind} = 20" for kind in kinds)
    found = built(
        tmp_path,
        f"max_load_mw = 4000.0\nconnected_mw = {{ {mw}, icestore = 0, v2g = 0 }}\n"
        f"counts = {{ {counts}, terminal = 500 }}",
    )
    network = found.network
    shared = np.bincount(network.busbars.district, network.design_mw, 11)
    expected = found.city.districts.share
    assert np.abs(shared / shared.sum() - expected).max() < 0.05
    sites = found.sites
    home = network.busbars.district[sites.i8("busbar")]
    np.testing.assert_array_equal(home, sites.i8("district"))
    assert found.world.plant_mw.shape == (1440, 0)
    assert (found.world.pumped_mw == 0.0).all()
