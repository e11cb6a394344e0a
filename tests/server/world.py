"""A small world on registers: rigs with every type, gaps, limits and a point of two halves."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hil.registers.bank import Group, KindValues, RegisterBank
from hil.registers.layout import Compiled, compile_maps
from hil.registers.schema import RegisterMap
from twin.record.columns import Columns
from twin.record.exchange import KindInventory, Point

RATED = 500.0
POINTS = (Point("power_kw", "kW", "", ""), Point("soc", "1", "", ""), Point("state", "1", "", ""))
SETPOINTS = (
    Point("power_kw", "kW", "", "", -1.0, 1.0, per_rating=True),
    Point("on", "1", "", "", 0.0, 1.0),
    Point("limit_kw", "kW", "", "", 0.0, 1.0, per_rating=True),
)


def _point(name: str, table: str, address: int, kind: str, **more: Any) -> dict[str, Any]:
    access = more.pop("access", "r")
    cls = more.pop("cls", "yt" if "w" in access else "yc")
    return {
        "name": name, "class": cls, "table": table, "address": address, "type": kind,
        "access": access, "meaning": name, "meaning_zh": name, **more,
    }  # fmt: skip


def points() -> list[dict[str, Any]]:
    """Return the table of a rig; registers 8, 9 and 25 are missing, bits 3 to 5 too."""
    reading = {"point": "power_kw"}
    return [
        _point("power", "input", 0, "i32", scale=0.1, source=reading),
        _point("soc", "input", 2, "u16", scale=0.001, source={"point": "soc"}),
        _point("state", "input", 3, "bits", bit=0, source={"point": "state"}),
        _point("spare", "input", 3, "bits", bit=9, source={"constant": 1}),
        _point("serial", "input", 4, "string", length=4, source={"text": "{serial}"}),
        _point("energy", "input", 10, "u64", source={"constant": 5_000_000_000}),
        _point("far", "input", 1000, "f32", source={"constant": 1.5}),
        _point("flag", "discrete", 0, "bit", source={"point": "state"}),
        _point("ready", "discrete", 1, "bit", source={"constant": 1}),
        _point("door", "discrete", 9, "bit", source={"constant": 1}),
        _point("on", "coil", 0, "bit", access="rw", cls="yk", source={"setpoint": "on"}),
        *(
            _point(f"way{i}", "coil", i, "bit", access="rw", cls="yk", source={"held": 0})
            for i in (1, 2, 6, 7, 8, 9)
        ),
        _point("setpoint", "holding", 0, "i32", scale=0.1, access="rw",
               source={"setpoint": "power_kw"}),
        _point("mode", "holding", 2, "u16", access="rw", low=0, high=7, source={"held": 3}),
        _point("mask", "holding", 3, "bits", access="rw", source={"held": 0x0F0F}),
        _point("share", "holding", 4, "u16", scale=0.01, access="rw",
               source={"setpoint": "limit_kw", "gain": 100, "per_rating": True}),
        _point("trim", "holding", 5, "f32", order="CDAB", access="rw", low=-5, high=5,
               source={"held": 1.25}),
        _point("total", "holding", 7, "u64", order="DCBA", access="rw", partial="latch",
               source={"held": 77}),
        _point("secret", "holding", 11, "u16", access="w", source={"held": 0}),
        _point("fixed", "holding", 12, "i16", source={"constant": -3}),
        *(
            _point(f"block{i}", "holding", i, "u16", access="rw", source={"held": i})
            for i in range(20, 145) if i != 25
        ),
        _point("far_set", "holding", 1000, "i16", access="rw", low=-10, high=10,
               source={"held": 0}),
        *(_point(f"bulk{i}", "coil", 1000 + i, "bit", access="rw", cls="yk", source={"held": 0})
          for i in range(2000)),
    ]  # fmt: skip


def rig_map(gaps: str = "any", unknown: str = "silence", bulk: bool = True) -> RegisterMap:
    """Return the map of a rig; without `bulk` it lacks its 2 000 coils."""
    rows = [p for p in points() if bulk or not p["name"].startswith("bulk")]
    return RegisterMap.model_validate(
        {
            "name": f"rig-{gaps}-{unknown}", "kind": "rig", "title": "Rig", "title_zh": "台架",
            "source": "test", "gaps": gaps, "unknown_unit": unknown, "points": rows,
            "identity": {"vendor": "suitwin", "product": "rig", "model": "R1"},
        }
    )  # fmt: skip


MAPS = (
    rig_map("any", "silence"),
    rig_map("all", "gateway", bulk=False),
    rig_map("zero", "silence", bulk=False),
)


@cache
def _compiled() -> Compiled:
    known = KindInventory("rig", POINTS, SETPOINTS, Columns({"rated_kw": np.ones(1)}))
    return compile_maps(MAPS, {"rig": known})


def rig_bank(
    per_map: int = 2, lanes: int = 2, queue_rows: int = 2048, units: object = None
) -> RegisterBank:
    """Return a bank of rigs, `per_map` of each map, one map after the other."""
    n = per_map * len(MAPS)
    columns = Columns({"rated_kw": np.full(n, RATED), "site": np.zeros(n, np.int64)})
    compiled = _compiled()
    rows = np.arange(n)
    groups = [Group(m, "rig", r, r) for m, r in enumerate(rows.reshape(len(MAPS), -1))]
    scale = np.array([RATED if p.per_rating else 1.0 for p in SETPOINTS])[:, None]
    low = np.array([[p.low] * n for p in SETPOINTS]) * scale
    high = np.array([[p.high] * n for p in SETPOINTS]) * scale
    values = KindValues(np.full(n, RATED), columns, low, high)
    unit = np.ones(n, np.uint8) if units is None else np.asarray(units, np.uint8)
    bank = RegisterBank(
        compiled, groups, {"rig": values}, [f"rig-{i}" for i in range(n)], unit, lanes, queue_rows
    )
    publish(bank, 1)
    return bank


def publish(bank: RegisterBank, tick: int, applied_ns: int = 0) -> None:
    """Show a tick: 100 kW more a device, state and charge by device."""
    n = len(bank.arrays.base)
    rows = np.arange(n)
    shown = np.array([100.0 * rows - 50.0 + tick, 0.01 * rows + 0.2, rows % 2])
    in_force = np.array([0.0 * rows, rows % 2, np.full(n, 400.0)])
    bank.write({"rig": shown}, {"rig": in_force}, applied_ns)
    bank.publish()
