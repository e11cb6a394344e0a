"""Six devices of two kinds led by four VPPs in two districts.

::

    device       storage 0   1      2      3     icestore 0   1
    VPP                  0   0      1      2              3   3
    type            direct          hour   day-ahead      direct
    CNY/kWh            0.8   0.8    0.9    0.7          2.0   6.0
    can give, MW         6   4      10     20            8    2
    district             a   b      a      b             a    b
"""

from __future__ import annotations

import numpy as np

from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.columns import Columns
from twin.record.exchange import Calendar, Inventory, KindInventory
from twin.record.orders import Order, OrderForm, OrderKind

CAPABILITY = {
    "storage": np.array([6000.0, 4000.0, 10_000.0, 20_000.0]),
    "icestore": np.array([8000.0, 2000.0]),
}
HOLD_H = np.array([2.0, 2.0, 2.0, 2.0])


def inventory(hold_h: np.ndarray = HOLD_H) -> Inventory:
    site = {"storage": np.arange(4), "icestore": np.array([4, 5])}
    district = np.array([0, 1, 0, 1, 0, 1])
    offer = {"storage": [0.8, 0.8, 0.9, 0.7], "icestore": [2.0, 6.0]}
    kinds = {
        kind: KindInventory(
            kind, (), (),
            Columns({
                "site": rows, "district": district[rows], "rated_kw": np.full(len(rows), 2e4),
                "enrolled": np.ones(len(rows), bool), "offer_cny_kwh": np.array(offer[kind]),
            }),
        )
        for kind, rows in site.items()
    }  # fmt: skip
    sites = {"aggregator": np.array([0, 0, 1, 2, 3, 3]), "busbar": district}
    agents = {
        "type": np.array([2, 1, 0, 2]), "response_min": np.array([2.0, 5.0, 15.0, 5.0]),
        "hold_h": hold_h,
    }  # fmt: skip
    return Inventory(1000.0, ("a", "b"), (), Columns(sites), kinds, Columns(agents))


def calendar(load_mw: float = 1000.0) -> Calendar:
    day = np.full(1440, load_mw)
    return Calendar(0, 24 * HOUR_MS, MINUTE_MS, np.ones(1440, np.int64), day, day, day)


def order(mw: float | None = 20.0, notice_h: float = 2.0, **changes: object) -> Order:
    start = 13 * HOUR_MS
    fields: dict[str, object] = {
        "id": "five", "revision": 0, "kind": OrderKind.DEMAND_RESPONSE,
        "form": OrderForm.REDUCTION, "mw": mw, "level": 0,
        "notice_ms": start - round(notice_h * HOUR_MS), "start_ms": start,
        "full_by_ms": start + 15 * MINUTE_MS, "end_ms": start + 2 * HOUR_MS,
    }  # fmt: skip
    return Order(**{**fields, **changes})  # type: ignore[arg-type]
