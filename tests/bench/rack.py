"""A storage device on loopback for tests of the bench: registers without a twin behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hil.bench.clock import WallClock
from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.journal import Journal, read_journal
from hil.bench.line import Line, LineSpec
from hil.registers.bank import Group, KindValues, RegisterBank
from hil.registers.files import shipped_maps
from hil.registers.layout import compile_maps
from hil.registers.schema import RegisterMap
from hil.server import Endpoint
from tests.server.serving import free_port, serving
from twin.assets import KINDS
from twin.record.columns import Columns
from twin.record.exchange import KindInventory

RATED_KW = 500.0
CAPACITY_KWH = 1000.0


def storage_map(name: str = "storage-own") -> RegisterMap:
    return shipped_maps()[name]


def storage_bank(
    one: RegisterMap, n: int = 1, power_kw: float = 0.0, units: tuple[int, ...] | None = None
) -> RegisterBank:
    """Return `n` storage devices that show a power and half a charge."""
    kind = KINDS["storage"]
    columns = Columns({
        "site": np.zeros(n, np.int64), "circuit": np.zeros(n, np.int64),
        "district": np.zeros(n, np.int64), "rated_kw": np.full(n, RATED_KW),
        "enrolled": np.ones(n, np.bool_), "capacity_kwh": np.full(n, CAPACITY_KWH),
    })  # fmt: skip
    inventory = KindInventory("storage", kind.points, kind.setpoints, columns)
    setpoints = len(kind.setpoints)
    low, high = np.full((setpoints, n), -np.inf), np.full((setpoints, n), np.inf)
    low[0], high[0] = -RATED_KW, RATED_KW
    plate = {"rated_kw": np.full(n, RATED_KW), "capacity_kwh": np.full(n, CAPACITY_KWH)}
    bank = RegisterBank(
        compile_maps([one], {"storage": inventory}),
        [Group(0, "storage", np.arange(n), np.arange(n))],
        {"storage": KindValues(np.full(n, RATED_KW), plate, low, high)},
        [f"rack-{i}" for i in range(n)],
        np.array(units if units is not None else (1,) * n, np.uint8),
        lanes=2,
    )
    show(bank, power_kw)
    return bank


def show(bank: RegisterBank, power_kw: float) -> None:
    """Let every device show a power."""
    kind, n = KINDS["storage"], len(bank.arrays.base)
    shown = np.zeros((len(kind.points), n))
    for i, point in enumerate(kind.points):
        shown[i] = {"power_kw": power_kw, "soc": 0.5, "remote": 1.0}.get(point.name, 0.0)
    bank.write({"storage": shown}, {"storage": np.zeros((len(kind.setpoints), n))}, 0)
    bank.publish()


@contextmanager
def served(
    one: RegisterMap | None = None, power_kw: float = 0.0, **more: Any
) -> Iterator[tuple[RegisterBank, Endpoint]]:
    """Serve one storage device on a free port."""
    bank = storage_bank(storage_map() if one is None else one, power_kw=power_kw)
    endpoint = Endpoint("127.0.0.1", free_port(), 0)
    with serving(bank, "portable", [endpoint], **more):
        yield bank, endpoint


def device(
    endpoint: Endpoint,
    journal: Journal,
    envelope: Envelope | None = None,
    one: RegisterMap | None = None,
    **more: Any,
) -> BenchDevice:
    """Return a device on a TCP line; its line is ended by the caller."""
    line = Line(
        LineSpec(host=endpoint.address, port=endpoint.port, timeout_s=more.pop("timeout_s", 3.0))
    )
    chosen = storage_map() if one is None else one
    limits = Envelope(-RATED_KW, RATED_KW) if envelope is None else envelope
    return BenchDevice(
        "bess", "storage", chosen, line, limits, journal, more.pop("clock", WallClock()),
        rated_kw=RATED_KW, **more,
    )  # fmt: skip


def entries(path: Path, kind: str) -> list[Mapping[str, Any]]:
    return [row for row in read_journal(path) if row["entry"] == kind]
