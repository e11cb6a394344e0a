"""Which device stands where: address, port, unit and register map of each."""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hil.registers.files import load_map, maps_of
from hil.registers.schema import RegisterMap
from hil.server import Endpoint
from twin.chance import generator
from twin.errors import InputProblems, Problem
from twin.record.exchange import Inventory
from twin.scenario.wire_schema import WireSection

__all__ = [
    "COLUMNS",
    "DISPATCHER",
    "NOWHERE",
    "Place",
    "Places",
    "assign",
    "map_names",
    "write_inventory",
]

DISPATCHER = "dispatcher"
# Columns of the inventory that a platform imports.
COLUMNS = ("name", "kind", "district", "address", "port", "unit", "map")
PORT_MODE_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """One device on the network; `number` is its row in the bank, `row` that within its kind."""

    number: int
    name: str
    kind: str
    row: int
    district: str
    address: str
    port: int
    unit: int
    map: str

    def columns(self) -> dict[str, object]:
        """Return what the inventory file shows of it."""
        return {name: getattr(self, name) for name in COLUMNS}


@dataclass(frozen=True, slots=True)
class Places:
    """All devices that are served, in the order of their numbers.

    Attributes
    ----------
    devices : one a device
    endpoints : where something listens
    maps : register maps in use, by name
    """

    devices: tuple[Place, ...]
    endpoints: tuple[Endpoint, ...]
    maps: Mapping[str, RegisterMap]

    def rows(self, kind: str) -> NDArray[np.int64]:
        """Return the rows of `kind` that are served."""
        return np.array([d.row for d in self.devices if d.kind == kind], np.int64)


NOWHERE = Places((), (), {})


class _Counter:
    """Hands out addresses and ports in turn."""

    def __init__(self, wire: WireSection) -> None:
        self.next = int(ipaddress.IPv4Address(wire.network))
        self.port, self.next_port = wire.port, wire.port

    def address(self) -> tuple[str, int]:
        """Return the next address that ends neither in 0 nor in 255."""
        self.next += 1
        while self.next & 0xFF in (0, 0xFF):
            self.next += 1
        return str(ipaddress.IPv4Address(self.next)), self.port

    def own_port(self) -> tuple[str, int]:
        self.next_port += 1
        return PORT_MODE_ADDRESS, self.next_port - 1


def assign(
    inventory: Inventory,
    wire: WireSection,
    seed: int,
    file: str,
    kinds: Sequence[str] | None = None,
    limit: int | None = None,
) -> Places:
    """Return where each device stands, the dispatcher first.

    Parameters
    ----------
    inventory : what is registered
    wire : the scenario's section
    seed : of the draw by which maps are mixed
    file : of the scenario, for problems
    kinds : that are served; None takes all
    limit : devices of a kind that are served at most; None takes all

    Raises InputProblems with every map and kind that does not exist, and where addresses or
    ports run out.
    """
    found: list[Problem] = []
    known = [k for k in inventory.kinds if inventory.kinds[k].n > 0]
    for name in kinds or ():
        if name not in known:
            found.append(Problem("--kinds", name, "not in this scenario", ", ".join(known)))
    served = [k for k in known if kinds is None or k in kinds]
    maps: dict[str, RegisterMap] = {DISPATCHER: load_map(DISPATCHER)}
    names = {k: map_names(found, inventory, wire, seed, file, k) for k in served}
    if found:
        raise InputProblems(found)
    modes: dict[str, str] = {str(k): mode for k, mode in wire.by_kind.items()}
    counter = _Counter(wire)
    devices: list[Place] = []
    endpoints: list[Endpoint] = []
    _own(devices, endpoints, counter, wire.address, [(DISPATCHER, 0, "", DISPATCHER)], maps, 1)
    for kind in served:
        plate = inventory.kinds[kind].columns
        n = plate.n if limit is None else min(plate.n, limit)
        chosen = names[kind]
        for name in dict.fromkeys(chosen[:n]):
            maps[name] = load_map(name)
        where = plate.i8("district") if "district" in plate else np.full(n, -1)
        district = [inventory.districts[int(i)] if i >= 0 else "" for i in where[:n]]
        rows = [(kind, i, district[i], chosen[i]) for i in range(n)]
        mode = modes.get(kind, wire.address)
        _own(devices, endpoints, counter, mode, rows, maps, wire.units_per_gateway)
    if counter.next_port - 1 > 65535:
        need = f"{counter.next_port - wire.port} ports from wire.port on, at most 65535"
        found.append(Problem(file, "wire.port", str(wire.port), f"{need}; or address = 'ip'"))
    if counter.next >= int(ipaddress.IPv4Address("127.255.255.255")):
        need = f"a start that leaves room for {len(endpoints)} addresses in 127.0.0.0/8"
        found.append(Problem(file, "wire.network", wire.network, need))
    if found:
        raise InputProblems(found)
    return Places(tuple(devices), tuple(endpoints), maps)


def _own(
    devices: list[Place],
    endpoints: list[Endpoint],
    counter: _Counter,
    mode: str,
    rows: Sequence[tuple[str, int, str, str]],
    maps: Mapping[str, RegisterMap],
    units: int,
) -> None:
    """Place devices of one kind; behind a gateway their units count from 1."""
    together = units if mode == "unit" else 1
    for first in range(0, len(rows), together):
        part = rows[first : first + together]
        address, port = counter.own_port() if mode == "port" else counter.address()
        endpoints.append(Endpoint(address, port, len(devices), len(part)))
        for i, (kind, row, district, name) in enumerate(part):
            unit = i + 1 if mode == "unit" else maps[name].unit
            label = kind if kind == DISPATCHER else f"{kind}-{row:05d}"
            devices.append(
                Place(len(devices), label, kind, row, district, address, port, unit, name)
            )


def map_names(
    found: list[Problem], inventory: Inventory, wire: WireSection, seed: int, file: str, kind: str
) -> list[str]:
    """Return the map of each device of `kind`, mixed by the scenario's shares.

    Which devices have which map is drawn; how many is not, so that a small fleet keeps its shares
    to within a device.
    """
    known = sorted(maps_of(kind))
    mixes = {str(k): dict(mix) for k, mix in wire.maps.items()}
    shares = mixes.get(kind, {f"{kind}-own": 1.0})
    for name in shares:
        if name not in known:
            found.append(Problem(file, f"wire.maps.{kind}", name, "one of " + ", ".join(known)))
    n = inventory.kinds[kind].n
    rank = generator(seed, f"wire.maps.{kind}").permutation(n)
    edges = np.cumsum(list(shares.values()))
    chosen = np.searchsorted(edges, (rank + 0.5) / n, side="right")
    chosen = np.minimum(chosen, len(shares) - 1)
    names = list(shares)
    return [names[int(i)] for i in chosen]


def write_inventory(places: Places, path: Path) -> None:
    """Write what a platform imports, as CSV in UTF-8 with a byte order mark (for Excel)."""
    _write(path, COLUMNS, [d.columns() for d in places.devices])


def write_served(places: Places, counts: Mapping[str, NDArray[np.int64]], path: Path) -> None:
    """Write what each device served: columns of the inventory, then those of `counts`."""
    rows = [
        {**d.columns(), **{name: int(values[d.number]) for name, values in counts.items()}}
        for d in places.devices
    ]
    _write(path, (*COLUMNS, *counts), rows)


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    partial = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)
