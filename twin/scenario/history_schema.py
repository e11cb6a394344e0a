"""The part of a scenario about the days before its own, and about owners who game them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from twin.clock import parse_time_of_day
from twin.scenario.fields import KindName, Section, TimeOfDay

__all__ = ["GamingSection", "HistorySection", "gaming_rules"]


class HistorySection(Section):
    """Days that are run before the scenario's day, for what meters showed on them."""

    days: Annotated[int, Field(strict=True, ge=0, le=30)] = Field(
        default=0,
        description="days whose meters are kept, 0 to 30; 0: one day is run to start warm and "
        "is like the scenario's",
    )
    tick_s: Literal[10, 15, 20, 30, 60] = Field(
        default=60,
        description="longest inner step of buildings, chargers, swap stations and batteries on "
        "these days [s]; batteries take 10 at most",
    )


class GamingSection(Section):
    """Owners who raise their load where a baseline looks, so that it comes out too high."""

    share: Annotated[float, Field(strict=True, gt=0, le=1)] = Field(
        default=0.1,
        description="share of the enrolled sites meant, above 0 to 1; none is in two groups",
    )
    kind: KindName | None = Field(
        default=None, description="only sites with an enrolled device of this kind"
    )
    sector: Literal["industry", "tertiary", "residential"] | None = Field(
        default=None, description="only sites of this sector"
    )
    uplift: Annotated[float, Field(strict=True, gt=0, le=1)] = Field(
        default=0.15, description="what they add to their host load, 0.15 is 15 %"
    )
    when: tuple[Literal["days", "same_day"], ...] = Field(
        default=("days",),
        description="days: on the workdays before, from at to until; same_day: before the start of "
        "a demand response order",
    )
    at: TimeOfDay = Field(default="00:00", description="days: from when, HH:MM")
    until: TimeOfDay = Field(default="24:00", description="days: until when, HH:MM")
    same_day_h: Annotated[float, Field(strict=True, gt=0, le=24)] = Field(
        default=4.0, description="same_day: how long before the order's start [h]"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        if len(self.when) == 0 or len(set(self.when)) != len(self.when):
            wrong.append("when must name days, same_day or both, once each")
        if parse_time_of_day(self.until) <= parse_time_of_day(self.at):
            wrong.append("until must come after at")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def gaming_rules(
    gaming: Sequence[GamingSection], history: HistorySection, order_kinds: Sequence[str]
) -> list[str]:
    """Return what keeps gaming from fitting the rest of its scenario."""
    wrong = []
    for i, row in enumerate(gaming):
        if "days" in row.when and history.days == 0:
            wrong.append(f"gaming.{i} needs days to game: history.days above 0")
        if "same_day" in row.when and "demand_response" not in order_kinds:
            wrong.append(f"gaming.{i} on the same_day needs a demand_response order")
    return wrong
