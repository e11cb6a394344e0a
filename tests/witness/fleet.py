"""Every shipped map behind a server on loopback, for clients that are not ours.

                     own address    own port     a gateway, units 1 to 3
    each map         row 0          row 1        row 2, row 3, row 4

The rows of a map are different devices; the last one's sensors give nothing. Nobody simulates:
`Fleet.tick` takes what was written, lets it be in force, and publishes.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from hil.registers.bank import Group, KindValues, RegisterBank
from hil.registers.commands import Commands
from hil.registers.files import shipped_maps
from hil.registers.kinds import DISPATCHER, catalogue
from hil.registers.layout import compile_maps
from hil.registers.schema import RegisterMap
from hil.server import Endpoint, Server
from tests.registers.picture import Device, picture
from twin.chance import generator
from twin.errors import InputProblems
from twin.record.columns import Columns
from twin.record.exchange import KindInventory, SetPoint

OWN_ADDRESS, OWN_PORT, WITNESS, REFUSING, SILENT = range(5)
ROWS = 5
RATED = (120.0, 500.0, 1_234.5, 2_000.0, 75.0)
BY_UNIT = {"kw": 0.5, "kwh": 2.0, "m2": 10.0}  # of a nameplate column, times rated power
TRIES = 5
F8 = np.ndarray


@dataclass(frozen=True)
class Spot:
    """Where a device is, and which of its kind it is."""

    one: RegisterMap
    number: int
    row: int
    address: str
    port: int
    unit: int
    rated_kw: float


@dataclass
class Taken:
    """What came out of the bank: accepted writes, and what they amount to."""

    writes: list[tuple[int, str, int]] = field(default_factory=list)  # device, point, raw
    setpoints: list[SetPoint] = field(default_factory=list)


def known_kinds(maps: dict[str, RegisterMap]) -> dict[str, KindInventory]:
    """Return the inventory: for each kind five devices a map."""
    kinds = {}
    for kind in dict.fromkeys(one.kind for one in maps.values()):
        if kind == DISPATCHER:
            continue
        named = catalogue()[kind]
        rated = np.array(RATED * sum(one.kind == kind for one in maps.values()))
        columns: dict[str, F8] = {}
        for name in named.columns:
            by = BY_UNIT.get(name.rpartition("_")[2])
            columns[name] = np.full(len(rated), 4.0) if by is None else by * rated
        columns |= {"rated_kw": rated, "site": np.zeros(len(rated), np.int64)}
        kinds[kind] = KindInventory(
            kind, tuple(named.points.values()), tuple(named.setpoints.values()), Columns(columns)
        )
    return kinds


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


class Fleet:
    """The devices of all maps, served by one body.

    Attributes
    ----------
    spots : by map, five
    taken : since the last `reset`
    """

    def __init__(self, body: str) -> None:
        self.body, self.maps = body, shipped_maps()
        self.kinds = known_kinds(self.maps)
        first_row, seen = {}, Counter[str]()
        for name, one in self.maps.items():
            first_row[name] = ROWS * seen[one.kind]
            seen[one.kind] += 1
        compiled = compile_maps(list(self.maps.values()), self.kinds)
        groups = [
            Group(m, one.kind, first_row[n] + np.arange(ROWS), ROWS * m + np.arange(ROWS))
            for m, (n, one) in enumerate(self.maps.items())
        ]
        units = [u for one in self.maps.values() for u in (one.unit, one.unit, 1, 2, 3)]
        self.serials = [f"{name}-{i}" for name in self.maps for i in range(ROWS)]
        self.bank = RegisterBank(
            compiled, groups, {k: self._values(k) for k in self.kinds}, self.serials,
            np.array(units, np.uint8), lanes=2, queue_rows=4096,
        )  # fmt: skip
        self.first_row, self.units = first_row, units
        self.shown = {k: self._shown(k) for k in self.kinds}
        self.spots: dict[str, tuple[Spot, ...]] = self._spots()
        self.reset()

    def _values(self, kind: str) -> KindValues:
        known = self.kinds[kind]
        rated = known.columns.f8("rated_kw")
        bounds = np.array(
            [[p.low * (rated if p.per_rating else 1.0 + 0.0 * rated),
              p.high * (rated if p.per_rating else 1.0 + 0.0 * rated)] for p in known.setpoints]
        ).reshape(-1, 2, len(rated))  # fmt: skip
        return KindValues(rated, known.columns, bounds[:, 0], bounds[:, 1])

    def _shown(self, kind: str) -> F8:
        """Return float64[points, n], any values; the last device of each map shows nothing."""
        known = self.kinds[kind]
        rated = known.columns.f8("rated_kw")
        shown = np.empty((len(known.points), len(rated)))
        for i, p in enumerate(known.points):
            low = p.low if np.isfinite(p.low) else -250.0
            high = p.high if np.isfinite(p.high) else 250.0
            drawn = low + (high - low) * generator(1, f"witness.{kind}", i).random(len(rated))
            whole = p.unit == "1" and high - low >= 1.0
            shown[i] = np.round(drawn) if whole else drawn * (rated if p.per_rating else 1.0)
        shown[:, ROWS - 1 :: ROWS] = np.nan
        return shown

    # -- what is served ------------------------------------------------------------------------

    @contextmanager
    def serving(self) -> Iterator[Fleet]:
        """Serve on ports that are free now."""
        for attempt in range(TRIES):
            self.spots = self._spots()
            endpoints = [
                Endpoint(s.address, s.port, s.number, 3 if i == WITNESS else 1)
                for spots in self.spots.values()
                for i, s in enumerate(spots[: WITNESS + 1])
            ]
            self.server = Server(
                self.bank.arrays, self.bank.compiled.layout, endpoints, lanes=1, body=self.body
            )
            try:
                self.server.start()
            except InputProblems:  # somebody else was faster
                if attempt == TRIES - 1:
                    raise
                continue
            break
        try:
            yield self
        finally:
            self.server.stop()

    def _spots(self) -> dict[str, tuple[Spot, ...]]:
        shared, gateways = free_port(), free_port()
        found = {}
        for m, (name, one) in enumerate(self.maps.items()):
            own = f"127.{90 if self.body == 'compiled' else 91}.0.{m + 1}"
            where = [(own, shared), ("127.0.0.1", free_port()), *[(own, gateways)] * 3]
            found[name] = tuple(
                Spot(one, ROWS * m + i, self.first_row[name] + i, *where[i],
                     self.units[ROWS * m + i], RATED[i])
                for i in range(ROWS)
            )  # fmt: skip
        return found

    # -- what devices hold ---------------------------------------------------------------------

    def reset(self) -> None:
        """Let every device be as at first."""
        self.bank.reset()
        self.bank.arrays.refusal[:] = 0
        self.bank.arrays.silent[:] = 0
        self.in_force = {k: self._at_first(k) for k in self.kinds}
        self.commands = Commands(self.bank, self.kinds)
        self.taken = Taken()
        self.tick()
        self.tick()  # both buffers

    def _at_first(self, kind: str) -> F8:
        known, values = self.kinds[kind], self.bank.kinds[kind]
        n = len(values.rated_kw)
        in_force = np.zeros((len(known.setpoints), n))
        for i, p in enumerate(known.setpoints):
            high = np.where(np.isfinite(values.high[i]), values.high[i], 300.0)
            drawn = values.low[i] + (high - values.low[i]) * generator(
                2, f"witness.{kind}", i
            ).random(n)
            in_force[i] = np.round(drawn, 0 if p.unit in ("1", "s") else 1)
        return in_force

    def tick(self) -> None:
        """Let what was written be in force, and publish."""
        until_ns = time.monotonic_ns()
        writes = self.bank.take(until_ns)
        layout = self.bank.compiled.layout
        for device, point, raw in zip(writes.device, writes.point, writes.raw, strict=True):
            one = self.bank.compiled.maps[int(self.bank.arrays.map[device])]
            name = one.points[int(point - layout.point_first[self.bank.arrays.map[device]])].name
            self.taken.writes.append((int(device), name, int(raw)))
        for s in self.commands.setpoints(writes):
            names = [p.name for p in self.kinds[s.kind].setpoints]
            self.in_force[s.kind][names.index(s.point), s.rows] = s.values
            self.taken.setpoints.append(s)
        self.bank.write(self.shown, self.in_force, until_ns)
        self.bank.publish()

    def device(self, spot: Spot) -> Device:
        """Return what stands behind a device now; what it holds is as at first."""
        kind = spot.one.kind
        known = self.kinds.get(kind)
        if known is None:
            return Device(serial=self.serials[spot.number])
        setpoints = [p.name for p in known.setpoints]
        return Device(
            dict(zip((p.name for p in known.points), self._of(self.shown, spot), strict=True)),
            dict(zip(setpoints, self._of(self.in_force, spot), strict=True)),
            {n: float(known.columns[n][spot.row]) for n in catalogue()[kind].columns}
            | {"rated_kw": spot.rated_kw},
            serial=self.serials[spot.number],
        )

    @staticmethod
    def _of(values: dict[str, F8], spot: Spot) -> Sequence[float]:
        return [float(v) for v in values[spot.one.kind][:, spot.row]]

    def image(self, spot: Spot) -> dict[tuple[str, int], int]:
        """Return the registers of a device that nobody has written to, by table and address."""
        return picture(spot.one, self.device(spot))
