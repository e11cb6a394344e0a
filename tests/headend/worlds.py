"""Small inventories, and devices that hold known values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hil.registers.codec import encode
from hil.registers.files import reading_points
from hil.registers.kinds import catalogue
from hil.registers.schema import RegisterMap
from tests.headend.fakes import Device, Image
from twin.record.columns import Columns
from twin.record.exchange import KindInventory


def inventory(kind: str, n: int, rated_kw: float = 100.0) -> KindInventory:
    known = catalogue()[kind]
    columns = {
        "site": np.zeros(n, np.int64), "circuit": np.zeros(n, np.int64),
        "district": np.zeros(n, np.int64), "rated_kw": np.full(n, rated_kw),
        "enrolled": np.ones(n, np.bool_),
    }  # fmt: skip
    return KindInventory(
        kind, tuple(known.points.values()), tuple(known.setpoints.values()), Columns(columns)
    )


def value_in(one: RegisterMap, name: str, share: float) -> float:
    """Return a value that point `name` of the map's kind may have."""
    twin = catalogue()[one.kind].points[name]
    if twin.name in ("remote", "warning", "state") or twin.unit == "1":
        return float(round(share))
    low = max(twin.low, -50.0) if not twin.per_rating else -50.0
    high = min(twin.high, 50.0) if not twin.per_rating else 50.0
    return round(low + share * (high - low), 1)


def device_of(one: RegisterMap, values: dict[str, float], rated_kw: float = 100.0) -> Device:
    """Return a device that shows `values` (by twin point) through the plain codec."""
    image: Image = {"coil": {}, "discrete": {}, "holding": {}, "input": {}}
    for point in one.points:
        if point.bit is not None:
            image[point.table].setdefault(point.address, 0)
        for i in range(point.width):
            image[point.table].setdefault(point.address + i, 0)
    named = {wire: twin for twin, wire in reading_points(one).items()}
    for point in one.points:
        if point.name not in named or named[point.name] not in values:
            continue
        shown, source = values[named[point.name]], point.source
        assert source is not None
        codes = dict(source.values)
        if source.per_rating:
            shown /= rated_kw
        shown = codes.get(shown, source.gain * shown + source.offset)
        if point.bit is not None:
            image[point.table][point.address] |= round(shown) << point.bit
            continue
        for i, word in enumerate(encode(point, one.order, shown)):
            image[point.table][point.address + i] = word
    return Device(image)


def all_values(one: RegisterMap, draw: NDArray[np.float64]) -> dict[str, float]:
    names = reading_points(one)
    return {name: value_in(one, name, s) for name, s in zip(names, draw, strict=False)}
