"""Prices by which logics are compared, from ``costs.toml``: read by the judge and by logics."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.record.columns import Columns
from twin.record.exchange import Inventory

Floats = NDArray[np.float64]

OFFER = "offer_cny_kwh"  # nameplate column: the registered asking price of a device
VALUE = "value_cny_kwh"  # column of sites: value added that is lost with a kWh
ORIGIN = ("value", "unit", "source", "grade")


@dataclass(frozen=True, slots=True)
class Costs:
    """The table as numbers.

    Attributes
    ----------
    interruption : by sector, CNY/kWh not served
    dry_line : CNY/kWh of a line whose downstream stock is empty
    compensation : by kind, CNY/kWh of reduction
    comfort_from_c : zone temperature from which warmth counts
    discomfort : CNY per person and K·h
    persons_per_m2 : float64[uses] of a building
    missing_charge : CNY/kWh missing at departure
    """

    interruption: Mapping[str, float]
    dry_line: float
    compensation: Mapping[str, float]
    comfort_from_c: float
    discomfort: float
    persons_per_m2: Floats
    missing_charge: float

    def offers(self, kind: str, columns: Columns) -> Floats:
        """Return what each device of `kind` asks for a kWh, CNY, float64[n]."""
        if OFFER in columns:
            return columns.f8(OFFER)
        return np.full(columns.n, self.compensation.get(kind, 0.0))

    def site_values(self, inventory: Inventory) -> Floats:
        """Return what a kWh not served costs at each site, CNY, float64[sites]."""
        by_sector = np.array([self.interruption.get(s, 0.0) for s in inventory.sectors])
        values: Floats = np.zeros(inventory.sites.n)
        if len(by_sector) > 0 and "sector" in inventory.sites:
            values = by_sector[inventory.sites.i8("sector")]
        if VALUE in inventory.sites:
            own = inventory.sites.f8(VALUE)
            values = np.where(np.isfinite(own) & (own > 0.0), own, values)
        return values


@cache
def costs() -> Costs:
    """Return the shipped prices.

    Raises ValueError where a row lacks its unit, source or grade, or is below zero.
    """
    text = files("twin.record").joinpath("costs.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    discomfort = table["discomfort"]
    return Costs(
        interruption={k: _price(v, f"interruption.{k}") for k, v in table["interruption"].items()},
        dry_line=_price(table["dry_line"], "dry_line"),
        compensation={k: _price(v, f"compensation.{k}") for k, v in table["compensation"].items()},
        comfort_from_c=_price(discomfort["from_c"], "discomfort.from_c"),
        discomfort=_price(discomfort["price"], "discomfort.price"),
        persons_per_m2=np.array(_row(discomfort["persons_per_m2"], "discomfort.persons_per_m2")),
        missing_charge=_price(table["missing_charge"], "missing_charge"),
    )


def _price(row: Mapping[str, Any], place: str) -> float:
    return float(_row(row, place))


def _row(row: Mapping[str, Any], place: str) -> Any:
    missing = [name for name in ORIGIN if name not in row]
    if missing:
        raise ValueError(f"costs.toml: {place} has no {', '.join(missing)}")
    if np.any(np.asarray(row["value"], np.float64) < 0.0):
        raise ValueError(f"costs.toml: {place} is {row['value']}, below zero")
    return row["value"]


__all__ = ["OFFER", "VALUE", "Costs", "costs"]
