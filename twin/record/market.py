"""Rules of the demand-response market, as the platform and the scenario know them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

OWN_BASELINE = "counterfactual"  # the platform's own, minute by minute
BASELINES = ("guangzhou_2021", "mean_10", "high_4_of_5", "regression", OWN_BASELINE)
PRICINGS = ("uniform", "pay_as_bid")
DAY_AHEAD, HOUR_AHEAD, DIRECT = 0, 1, 2  # type of a VPP: 日前响应型, 小时响应型, 直控型


@dataclass(frozen=True, slots=True)
class MarketRules:
    """Every rule of ``market.toml``; units, sources and grades stand there."""

    least_mw: float
    least_h: float
    day_ahead_h: float
    invited: bool
    hour_ahead_h: float
    invitation_cap_cny_kwh: float
    direct_cap_cny_kwh: float
    pricing: str
    reserve_margin: float
    district_bid_share: float
    district_order_share: float
    valid_from: float
    valid_to: float
    penalty_factor: float
    baseline: str


@cache
def market_rules() -> MarketRules:
    """Return the shipped rules.

    Raises TypeError where a rule is missing or unknown, ValueError where one has no source.
    """
    text = files("twin.record").joinpath("market.toml").read_text(encoding="utf-8")
    values: dict[str, Any] = {}
    for name, row in tomllib.loads(text).items():
        if set(row) != {"value", "unit", "source", "grade"}:
            raise ValueError(f"market.toml: {name} lacks a field")
        values[name] = row["value"]
    return MarketRules(**values)
