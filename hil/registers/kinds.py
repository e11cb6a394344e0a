"""What each device kind of the twin shows and takes, as far as a register map can name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from twin.assets import KINDS
from twin.engine.busbars import BUSBAR_POINTS
from twin.engine.inventory import CITY_POINTS, METER_POINTS
from twin.record.exchange import Point

__all__ = ["DISPATCHER", "KindPoints", "catalogue", "unit_of_column"]

# The unit that carries orders and takes reports; the server fills it, no device stands behind.
DISPATCHER = "dispatcher"
COMMON_COLUMNS = ("site", "circuit", "district", "rated_kw", "enrolled")
# Units by the last part of a nameplate column's name.
COLUMN_UNITS = {
    "kw": "kW", "kwh": "kWh", "kv": "kV", "c": "C", "m2": "m2", "kg": "kg", "min": "min", "h": "h",
    "deg": "deg", "share": "1", "load": "1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KindPoints:
    """Names that a map of one kind may use.

    Attributes
    ----------
    points, setpoints : what can be read and written, by name
    columns : of the registered nameplate
    """

    points: Mapping[str, Point]
    setpoints: Mapping[str, Point]
    columns: tuple[str, ...]


@cache
def catalogue() -> Mapping[str, KindPoints]:
    """Return every kind that a map may be of: the twin's, its meters, and the dispatcher."""
    kinds = {
        name: KindPoints(
            _named(kind.points), _named(kind.setpoints), (*COMMON_COLUMNS, *kind.nameplate)
        )
        for name, kind in KINDS.items()
    }
    kinds["meter"] = KindPoints(_named(METER_POINTS), {}, COMMON_COLUMNS)
    kinds["busbar"] = KindPoints(_named(BUSBAR_POINTS), {}, (*COMMON_COLUMNS, "nominal_kv"))
    kinds["city"] = KindPoints(_named(CITY_POINTS), {}, ("site",))
    kinds[DISPATCHER] = KindPoints({}, {}, ())
    return kinds


def unit_of_column(column: str) -> str | None:
    """Return the unit of a nameplate column, None where its name carries none.

    >>> unit_of_column("capacity_kwh"), unit_of_column("posts")
    ('kWh', None)
    """
    return COLUMN_UNITS.get(column.rpartition("_")[2]) if "_" in column else None


def _named(points: tuple[Point, ...]) -> dict[str, Point]:
    return {point.name: point for point in points}
