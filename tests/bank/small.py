"""A few devices of one kind on each of its maps, as registers."""

from __future__ import annotations

import numpy as np

from hil.registers.bank import Group, KindValues, RegisterBank
from hil.registers.files import load_map, maps_of
from hil.registers.layout import compile_maps
from twin.assets import KINDS
from twin.engine.inventory import METER_POINTS
from twin.record.columns import Columns
from twin.record.exchange import KindInventory

RATED = np.array([120.0, 500.0, 1_234.5])
EXTRA = {
    "capacity_kwh": 2.0 * RATED, "floor_m2": 10.0 * RATED, "cooling_kw": 3.0 * RATED,
    "use": np.zeros(3), "setpoint_c": np.full(3, 25.0), "comfort_max_c": np.full(3, 27.0),
    "posts": np.full(3, 4), "post_kw": np.full(3, 60.0), "v2g_kw": 0.5 * RATED,
}  # fmt: skip


def registered(kind: str) -> KindInventory:
    """Return three devices of a kind with every nameplate column that a map may show."""
    names = {
        p.source.nameplate
        for name in maps_of(kind)
        for p in load_map(name).points
        if p.source is not None and p.source.nameplate is not None
    }
    columns = {"rated_kw": RATED, "site": np.zeros(3, np.int64)}
    columns |= {n: EXTRA.get(n, np.full(3, 0.25)) for n in names if n != "rated_kw"}
    if kind == "meter":
        return KindInventory(kind, METER_POINTS, (), Columns(columns))
    return KindInventory(kind, KINDS[kind].points, KINDS[kind].setpoints, Columns(columns))


def bank_of(kind: str, lanes: int = 1, queue_rows: int = 64) -> RegisterBank:
    """Return a bank with three devices a map of `kind`; bounds are the set-points' own."""
    known = registered(kind)
    names = sorted(maps_of(kind))
    compiled = compile_maps([load_map(n) for n in names], {kind: known})
    groups = [Group(i, kind, np.arange(3), 3 * i + np.arange(3)) for i in range(len(names))]
    scale = np.array([[1.0] * 3 if not p.per_rating else RATED for p in known.setpoints])
    low = np.array([[p.low] * 3 for p in known.setpoints]).reshape(-1, 3) * scale.reshape(-1, 3)
    high = np.array([[p.high] * 3 for p in known.setpoints]).reshape(-1, 3) * scale.reshape(-1, 3)
    n = 3 * len(names)
    return RegisterBank(
        compiled,
        groups,
        {kind: KindValues(RATED, known.columns, low, high)},
        [f"{kind}-{i}" for i in range(n)],
        np.ones(n, np.uint8),
        lanes,
        queue_rows,
    )
