"""Where devices stand: three addressings, maps by share, and what an inventory file says."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.registers.files import maps_of
from hil.testbed.places import COLUMNS, DISPATCHER, Places, assign, write_inventory
from tests.testbed.world import clients_of
from twin.errors import InputProblems
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory
from twin.scenario.wire_schema import WireSection

FILE = "scenario.toml"
MIX = {"storage": {"storage-own": 0.5, "storage-sunspec-7xx": 0.3, "storage-sunspec-1xx": 0.2}}


def fleet(**numbers: int) -> Inventory:
    """Return an inventory with so many devices of each kind, in two districts in turn."""
    kinds = {
        name: KindInventory(
            name, (), (), Columns({"district": np.arange(n) % 2, "n": np.arange(n)})
        )
        for name, n in numbers.items()
    }
    return Inventory(100.0, ("天河", "南沙"), (), Columns({"district": np.zeros(1, int)}), kinds)


def places(inventory: Inventory, seed: int = 1, **wire: object) -> Places:
    return assign(inventory, WireSection.model_validate(wire), seed, FILE)


def problems(inventory: Inventory, kinds: list[str] | None = None, **wire: object) -> list[str]:
    with pytest.raises(InputProblems) as caught:
        assign(inventory, WireSection.model_validate(wire), 1, FILE, kinds)
    return [str(p) for p in caught.value.problems]


def test_an_own_address_each() -> None:
    found = places(fleet(storage=600, meter=3), by_kind={}).devices
    assert [d.address for d in found[:3]] == ["127.16.0.1", "127.16.0.2", "127.16.0.3"]
    assert {d.port for d in found} == {1502}
    assert len({d.address for d in found}) == 604
    assert not any(d.address.endswith((".0", ".255")) for d in found)
    assert [d.unit for d in found] == [1] * 604


def test_an_own_port_each() -> None:
    found = places(fleet(storage=3, meter=2), address="port", by_kind={}, port=2000).devices
    assert clients_of(found) == [("127.0.0.1", 2000 + i, 1) for i in range(6)]


def test_units_behind_gateways() -> None:
    spec = {"address": "unit", "units_per_gateway": 4, "by_kind": {}}
    found = places(fleet(storage=10), **spec)
    assert clients_of(found.devices) == [
        ("127.16.0.1", 1502, 1),
        *(("127.16.0.2", 1502, u) for u in (1, 2, 3, 4)),
        *(("127.16.0.3", 1502, u) for u in (1, 2, 3, 4)),
        *(("127.16.0.4", 1502, u) for u in (1, 2)),
    ]
    assert [(e.first_device, e.count) for e in found.endpoints] == [(0, 1), (1, 4), (5, 4), (9, 2)]


def test_a_kind_may_have_an_addressing_of_its_own() -> None:
    spec = {"address": "ip", "by_kind": {"meter": "unit", "solar": "port"}}
    found = places(fleet(storage=2, meter=3, solar=2), **spec).devices
    assert clients_of(found) == [
        ("127.16.0.1", 1502, 1), ("127.16.0.2", 1502, 1), ("127.16.0.3", 1502, 1),
        ("127.16.0.4", 1502, 1), ("127.16.0.4", 1502, 2), ("127.16.0.4", 1502, 3),
        ("127.0.0.1", 1502, 1), ("127.0.0.1", 1503, 1),
    ]  # fmt: skip


@given(
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from(["ip", "port", "unit"]),
    st.sampled_from(["ip", "port", "unit"]),
    st.integers(1, 247),
)
def test_no_two_devices_stand_at_one_place(
    storage: int, meter: int, mode: str, other: str, units: int
) -> None:
    spec = {"address": mode, "by_kind": {"meter": other}, "units_per_gateway": units}
    found = places(fleet(storage=storage, meter=meter), **spec)
    where = clients_of(found.devices)
    assert len(set(where)) == len(where) == storage + meter + 1
    assert [d.number for d in found.devices] == list(range(len(where)))
    held = [(e.address, e.port) for e in found.endpoints for _ in range(e.count)]
    assert held == [(a, p) for a, p, _ in where]


@given(st.integers(1, 200), st.integers(0, 5))
def test_maps_keep_their_shares_to_within_a_device(n: int, seed: int) -> None:
    found = Counter(d.map for d in places(fleet(storage=n), seed, maps=MIX).devices)
    assert found.pop(DISPATCHER) == 1
    for name, share in MIX["storage"].items():
        assert abs(found[name] - share * n) <= 1.0


def test_maps_are_drawn_by_the_seed() -> None:
    def drawn(seed: int) -> list[str]:
        return [d.map for d in places(fleet(storage=40), seed, maps=MIX).devices]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_without_a_mix_a_kind_has_its_own_table() -> None:
    found = places(fleet(storage=2, charging=1))
    assert [d.map for d in found.devices] == [
        DISPATCHER, "storage-own", "storage-own", "charging-own",
    ]  # fmt: skip
    assert set(found.maps) == {DISPATCHER, "storage-own", "charging-own"}


def test_kinds_and_limit_choose() -> None:
    inventory = fleet(storage=9, solar=9, meter=2)
    found = assign(inventory, WireSection(maps=MIX), 1, FILE, ["meter", "storage"], 4)
    assert Counter(d.kind for d in found.devices) == {DISPATCHER: 1, "storage": 4, "meter": 2}
    assert found.rows("storage").tolist() == [0, 1, 2, 3]
    everything = places(inventory, maps=MIX).devices
    assert [d.map for d in found.devices[1:5]] == [d.map for d in everything[1:5]]


def test_everything_that_does_not_exist_is_told_at_once() -> None:
    wrong = {"storage": {"storage-own": 0.5, "charging-own": 0.5}, "solar": {"nope": 1.0}}
    told = problems(fleet(storage=2, solar=1), ["storage", "wind", "solar", "waves"], maps=wrong)
    assert told[:2] == [
        "--kinds: wind: not in this scenario; allowed: storage, solar",
        "--kinds: waves: not in this scenario; allowed: storage, solar",
    ]
    assert told[2].startswith("scenario.toml: wire.maps.storage: charging-own; allowed: one of ")
    assert told[3].startswith("scenario.toml: wire.maps.solar: nope; allowed: one of solar-own")
    assert len(told) == 4


def test_ports_that_run_out_are_told_with_the_number_needed() -> None:
    (told,) = problems(fleet(storage=40), address="port", port=65_500)
    assert told == (
        "scenario.toml: wire.port: 65500; allowed: 41 ports from wire.port on, at most 65535; "
        "or address = 'ip'"
    )
    last = places(fleet(storage=35), address="port", port=65_500).devices[-1]
    assert last.port == 65_535


def test_addresses_that_run_out_are_told() -> None:
    (told,) = problems(fleet(meter=65_200), by_kind={}, network="127.254.255.255")
    assert told.startswith("scenario.toml: wire.network: 127.254.255.255; allowed: a start that")
    found = places(fleet(meter=64_000), by_kind={}, network="127.254.255.255").devices
    assert found[-1].address.startswith("127.255.")


def test_the_inventory_file_is_what_a_platform_imports(tmp_path: Path) -> None:
    path = tmp_path / "new" / "devices.csv"
    found = places(fleet(storage=2, meter=2))
    write_inventory(found, path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfname,kind,district,address,port,unit,map\n")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [list(r.values()) for r in rows] == [
        ["dispatcher", "dispatcher", "", "127.16.0.1", "1502", "1", "dispatcher"],
        ["storage-00000", "storage", "天河", "127.16.0.2", "1502", "1", "storage-own"],
        ["storage-00001", "storage", "南沙", "127.16.0.3", "1502", "1", "storage-own"],
        ["meter-00000", "meter", "天河", "127.16.0.4", "1502", "1", "meter-own"],
        ["meter-00001", "meter", "南沙", "127.16.0.4", "1502", "2", "meter-own"],
    ]
    assert [p.name for p in path.parent.iterdir()] == ["devices.csv"]


def test_every_kind_has_a_table_of_its_own() -> None:
    kinds = ("storage", "aircon", "icestore", "charging", "swap", "solar", "industry", "hydrogen",
             "shorepower", "terminal", "meter", "busbar", "city")  # fmt: skip
    for kind in kinds:
        assert f"{kind}-own" in maps_of(kind)
    assert [len(maps_of(k)) for k in ("storage", "charging", "aircon")] == [3, 2, 2]
