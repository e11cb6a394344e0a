"""Columns of the user's CSV files: what each may hold, and the kinds' registered nameplates."""

from __future__ import annotations

import math
from dataclasses import dataclass

INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Field:
    """One numeric column.

    Attributes
    ----------
    name : as in the header, with its unit
    low, high : range, both included
    default : for an empty cell; None where a value is needed
    allowed : the range in words
    whole : whether only whole numbers are allowed
    """

    name: str
    low: float
    high: float
    default: float | None
    allowed: str
    whole: bool = False


def _above_0(name: str, unit: str, default: float | None = None) -> Field:
    return Field(name, 1e-9, 1e9, default, f"{unit} above 0")


def _from_0(name: str, unit: str, default: float | None = 0.0) -> Field:
    return Field(name, 0.0, 1e9, default, f"{unit}, 0 or more")


def _share(name: str, default: float | None = 0.0) -> Field:
    return Field(name, 0.0, 1.0, default, "a share, 0 to 1")


def _flag(name: str, default: float = 0.0) -> Field:
    return Field(name, 0.0, 1.0, default, "0 or 1", whole=True)


def _whole(name: str, low: float, high: float, default: float | None = None) -> Field:
    return Field(name, low, high, default, f"a whole number, {low:g} to {high:g}", whole=True)


def _between(name: str, low: float, high: float, default: float | None, unit: str) -> Field:
    return Field(name, low, high, default, f"{low:g} to {high:g} {unit}")


def _named(*fields: Field) -> dict[str, Field]:
    return {field.name: field for field in fields}


SITE_FIELDS = (
    _from_0("contracted_kw", "kW"),
    _from_0("export_limit_kw", "kW"),
    _share("security_share"),
    _share("circuit_share_1"),
    _share("circuit_share_2"),
    _share("circuit_share_3"),
    _share("circuit_share_4"),
    _flag("terminal"),
    _flag("protected"),
    _flag("public"),
    _flag("restricted"),
    Field("branch", -1.0, 16.0, -1.0, "row of a branch, or -1 to be drawn", whole=True),
    Field("value_cny_kwh", -1.0, 1e4, -1.0, "CNY/kWh lost when not served, or -1: the branch's"),
    Field("busbar", -1.0, 1e6, -1.0, "row of a busbar, or -1 to be attached", whole=True),
)
LOAD_FIELDS = _named(_above_0("load_mw", "MW"))

# Columns that each kind has beside site, circuit, district, rated_kw, enrolled,
# offer_cny_kwh.
KIND_FIELDS: dict[str, dict[str, Field]] = {
    "storage": _named(_above_0("capacity_kwh", "kWh")),
    "aircon": _named(
        _above_0("floor_m2", "m2"),
        _above_0("cooling_kw", "kW thermal"),
        _whole("use", 0, 4),
        _between("setpoint_c", 18.0, 30.0, 25.5, "°C"),
        _between("comfort_max_c", 20.0, 35.0, 28.0, "°C"),
    ),
    "icestore": _named(
        _above_0("cooling_kw", "kW thermal"),
        _above_0("tank_kwh", "kWh thermal"),
        _above_0("peak_cooling_kw", "kW thermal"),
    ),
    "charging": _named(
        _whole("posts", 1, 60),
        _above_0("post_kw", "kW"),
        _from_0("v2g_kw", "kW"),
        _whole("use", 0, 2),
    ),
    "swap": _named(
        _whole("packs", 1, 1000),
        _above_0("pack_kwh", "kWh"),
        _above_0("slot_kw", "kW"),
        _above_0("swaps_per_day", "swaps"),
        _from_0("v2g_kw", "kW"),
    ),
    "solar": _named(
        _between("tilt_deg", 0.0, 90.0, 10.0, "deg"),
        _between("azimuth_deg", 0.0, 360.0, 180.0, "deg from north"),
    ),
    "industry": _named(
        _above_0("step_min", "min"),
        _above_0("stock_h", "h"),
        _from_0("min_run_min", "min", None),
        _from_0("restart_min", "min", None),
        _share("base_share", None),
    ),
    "hydrogen": _named(
        _above_0("tank_kg", "kg"),
        _above_0("kg_per_day", "kg"),
        _from_0("fuelcell_kw", "kW"),
        _share("min_load", None),
    ),
    "shorepower": _named(_share("flexible_share", None)),
}


def fleet_fields() -> dict[str, Field]:
    """Return every numeric column that a fleet file may have, by name.

    ``v2g_kw`` and others that several kinds share appear once.
    """
    common = _named(
        _above_0("rated_kw", "kW"),
        _whole("circuit", 0, 4, 0.0),
        _flag("enrolled", 1.0),
        # NaN: the usual price of the kind.
        Field("offer_cny_kwh", 0.0, 1e3, math.nan, "CNY/kWh, 0 to 1000"),
    )
    for fields in KIND_FIELDS.values():
        common |= fields
    return common
