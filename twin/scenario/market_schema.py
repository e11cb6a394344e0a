"""The market's part of a scenario file; defaults, sources and grades in record/market.toml."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from twin.record.market import MarketRules, market_rules
from twin.scenario.fields import NotNegative, Section, Share

_RULES: dict[str, Any] = asdict(market_rules())
Most = Annotated[float, Field(strict=True, gt=0, le=1)]


def _usual(name: str, description: str) -> Any:
    return Field(default=_RULES[name], description=description)


class MarketSection(Section):
    """Rules by which VPPs bid for a demand-response order, are cleared and paid."""

    least_mw: NotNegative = _usual("least_mw", "a VPP that can hold less is refused [MW]")
    least_h: NotNegative = _usual("least_h", "a VPP that holds for less is refused [h]")
    day_ahead_h: NotNegative = _usual(
        "day_ahead_h", "notice from which day-ahead VPPs (日前响应型) take part [h]"
    )
    invited: bool = _usual(
        "invited", "day-ahead VPPs were invited the day before and stand by, whatever the notice"
    )
    hour_ahead_h: NotNegative = _usual(
        "hour_ahead_h", "notice from which hour-ahead VPPs (小时响应型) take part [h]"
    )
    invitation_cap_cny_kwh: NotNegative = _usual(
        "invitation_cap_cny_kwh", "highest bid of day-ahead and hour-ahead VPPs [CNY/kWh]"
    )
    direct_cap_cny_kwh: NotNegative = _usual(
        "direct_cap_cny_kwh", "highest bid of VPPs under direct control (直控型) [CNY/kWh]"
    )
    pricing: Literal["uniform", "pay_as_bid"] = _usual(
        "pricing", "uniform: all get the dearest accepted bid; pay_as_bid: each its own"
    )
    reserve_margin: Share = _usual("reserve_margin", "awarded beyond the order, of the order")
    district_bid_share: Most = _usual(
        "district_bid_share", "most that is accepted of what a district bids; 1: no limit"
    )
    district_order_share: Most = _usual(
        "district_order_share", "most of an order that one district carries; 1: no limit"
    )
    valid_from: Share = _usual(
        "valid_from", "share of the call in a quarter of an hour from which a response is valid"
    )
    valid_to: Annotated[float, Field(strict=True, ge=1, le=10)] = _usual(
        "valid_to", "share of the call in a quarter of an hour up to which energy is paid"
    )
    penalty_factor: NotNegative = _usual(
        "penalty_factor", "of the price, for each kWh short in a quarter that is not valid"
    )
    baseline: Literal[
        "guangzhou_2021", "mean_10", "high_4_of_5", "regression", "counterfactual"
    ] = _usual("baseline", "of the settlement; counterfactual: the platform's own")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.day_ahead_h < self.hour_ahead_h:
            raise ValueError(
                f"day_ahead_h = {self.day_ahead_h:g} must not be below "
                f"hour_ahead_h = {self.hour_ahead_h:g}"
            )
        return self

    def rules(self) -> MarketRules:
        """Return the rules as the platform gets them."""
        return MarketRules(**self.model_dump())
