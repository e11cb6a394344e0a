"""Building, keeping and describing a network; what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.grid.cases import INFEEDS, PLANTS, city_spec, peak, tiny_spec
from twin.errors import InputProblems
from twin.grid import GridOperation, Network, NetworkSpec, build_network, network_key
from twin.grid.backbone import link_circuits
from twin.grid.build import draw
from twin.grid.equipment import read_table


def small_spec(**changes: object) -> NetworkSpec:
    """A city small enough to be built in a second."""
    made = city_spec(
        2_000.0, stations_500=3, stations_220=12, stations_110=24, detail=(8,), detail_busbars=1
    )
    small = replace(made, infeeds=INFEEDS[:3], plants=PLANTS[:2], pumped_storage=None)
    return replace(small, **changes)  # type: ignore[arg-type]


def test_same_seed_same_bits() -> None:
    one, again = build_network(small_spec()), build_network(small_spec())
    other = build_network(small_spec(seed=2))
    assert one.network_hash == again.network_hash
    assert one.network_hash != other.network_hash


def test_key_follows_the_specification() -> None:
    assert network_key(small_spec()) == network_key(small_spec())
    assert network_key(small_spec()) != network_key(small_spec(seed=2))


def test_circuits_stand_the_loss_of_one() -> None:
    """A triangle that carries 6 GW from one corner to another, 2.5 GW a circuit."""
    links, km = [(0, 1), (1, 2), (0, 2)], np.array([10.0, 10.0, 10.0])
    power = np.array([[6000.0], [0.0], [-6000.0]])
    count = link_circuits(links, km, power, np.zeros((3, 1)), 2500.0)
    # directly 4 GW over two of three circuits, the rest by way of the third corner
    assert count == [2, 2, 3]
    assert link_circuits(links, km, 0.1 * power, np.zeros((3, 1)), 2500.0) == [2, 2, 2]


def test_saved_and_loaded_without_pandapower(tiny: Network, tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    tiny.save(path)
    assert Network.load(path).network_hash == tiny.network_hash
    program = (
        "import sys; from twin.grid import Network, GridOperation;"
        f"n = Network.load({str(path)!r}); o = GridOperation(n);"
        "s = o.settle(0, n.design_mw, n.design_mvar, n.design_mw[:0], 0.0);"
        "assert s.converged; assert 'pandapower' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path.cwd())


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    path.write_bytes(b"no network")
    with pytest.raises(InputProblems, match=r"Network\.save"):
        Network.load(path)
    np.savez(path, format=np.array(1))
    with pytest.raises(InputProblems, match=r"Network\.save"):
        Network.load(path)


def test_detail_hangs_feeders_on_the_district() -> None:
    network = build_network(small_spec())
    busbars = network.busbars
    nodes = busbars.kind == "feeder"
    assert np.count_nonzero(nodes) == 3 * 20
    assert np.count_nonzero(busbars.kind == "low_voltage") == 3 * 20
    assert set(busbars.district[busbars.kind != "busbar"].tolist()) == {8}
    per_feeder = np.bincount(busbars.feeder[nodes])
    assert (per_feeder >= 20).all()
    sums = np.bincount(busbars.district, busbars.weight)
    np.testing.assert_allclose(sums, 1.0, rtol=1e-12)
    # a parent is the station's own busbar
    assert (busbars.kind[busbars.parent] == "busbar").all()
    assert (network.design_mw <= busbars.capacity_mw).all()
    shot = GridOperation(network).settle(0, *peak(network).arguments)
    assert shot.converged


def test_district_has_feeders_with_transformers(tiny: Network) -> None:
    busbars = tiny.busbars
    assert 4 <= len(np.unique(busbars.feeder[busbars.feeder >= 0])) <= 6
    assert np.bincount(busbars.feeder[busbars.kind == "feeder"]).min() >= 20
    low = tiny.buses.kv[busbars.bus[busbars.kind == "low_voltage"]]
    assert (low == 0.4).all()
    assert tiny.design_mw.sum() == pytest.approx(40.0)
    assert (tiny.design_mw <= busbars.capacity_mw).all()


@pytest.mark.parametrize("load_mw", [20.0, 40.0, 120.0])
def test_district_is_sized_for_its_load(load_mw: float) -> None:
    network = build_network(tiny_spec(load_mw))
    shot = GridOperation(network).settle(0, *peak(network).arguments)
    assert shot.converged
    assert 30.0 < shot.loading_pct.max() < 90.0
    low = shot.vm_pu[network.buses.kv == 10.0]
    assert low.min() >= 1.0
    assert low.max() <= 1.07


def test_names_tell_everything_apart(city: Network) -> None:
    for names in (city.buses.name, city.branches.name, city.sources.name):
        assert len(np.unique(names)) == len(names)
    stations = set(city.buses.station[city.buses.kv == 500].tolist())
    assert {"Chuting", "Guangnan"} <= stations
    assert city.bus_row(str(city.buses.name[7])) == 7
    with pytest.raises(InputProblems, match="name of one bus"):
        city.bus_row("nowhere")


def test_sources_stand_in_order(city: Network) -> None:
    names = [s.name for s in (*INFEEDS, *PLANTS)]
    assert city.sources.name.tolist() == [*names, "Guangzhou pumped storage"]
    assert city.sources.share[city.infeed_rows].sum() == pytest.approx(1.0)
    assert city.sources.slack.sum() == 1
    kv = city.buses.kv[city.sources.bus]
    assert (kv[city.infeed_rows] == 500.0).all()
    assert kv[city.plant_rows].tolist() == [p.voltage_kv for p in PLANTS]
    # imports reach four or more different 500 kV stations
    ends = np.concatenate([city.branches.to_bus, city.branches.from_bus])
    starts = np.concatenate([city.branches.from_bus, city.branches.to_bus])
    at = {int(ends[starts == b][0]) for b in city.sources.bus[city.infeed_rows]}
    assert len(at) == 6


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (small_spec(detail=(11,)), "detail: 11"),
        (small_spec(stations_220=2), "stations_220: 2"),
        (small_spec(infeeds=()), "infeeds: none"),
        (small_spec(infeeds=INFEEDS), "infeeds: 6"),
        (small_spec(plants=(replace(PLANTS[0], rated_mw=-1.0),)), r"plants\[0\]\.rated_mw: -1"),
        (small_spec(plants=(replace(PLANTS[0], voltage_kv=35.0),)), "voltage_kv: 35"),
        (replace(tiny_spec(), plants=PLANTS[:1]), "plants: 1"),
    ],
)
def test_wrong_specification(spec: NetworkSpec, said: str) -> None:
    with pytest.raises(InputProblems, match=said):
        draw(spec)


def test_every_problem_is_listed_at_once() -> None:
    spec = small_spec(detail=(11,), stations_220=2, infeeds=(), feeder_nodes=1)
    with pytest.raises(InputProblems) as caught:
        spec.check("network.toml")
    assert len(caught.value.problems) >= 4
    assert all(p.file == "network.toml" for p in caught.value.problems)


@pytest.mark.parametrize("table", ["equipment", "regulation", "limits", "stations"])
def test_every_row_names_source_and_grade(table: str) -> None:
    def rows(node: object) -> list[dict[str, object]]:
        if isinstance(node, list):
            return [r for part in node for r in rows(part)]
        if not isinstance(node, dict):
            return []
        if any(not isinstance(v, dict) for v in node.values()) and not isinstance(
            next(iter(node.values())), list
        ):
            return [node]
        return [r for part in node.values() for r in rows(part)]

    found = rows(read_table(table))
    assert len(found) >= 3
    for row in found:
        assert row.get("source"), row
        assert row.get("grade") in {"A", "B", "C", "D", "gk", "assumed"}, row
