"""What a scenario file may say; `twin schema` prints it as JSON Schema for editors.

Units stand in the keys. Times of day are text such as "13:00"; percentages are of the
scenario's maximum load.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from twin.clock import parse_time_of_day

KindName = Literal[
    "storage", "aircon", "icestore", "charging", "swap", "solar", "industry", "hydrogen",
    "shorepower", "terminal",
]  # fmt: skip


def _time(text: str) -> str:
    parse_time_of_day(text)
    return text


TimeOfDay = Annotated[
    str,
    AfterValidator(_time),
    Field(description="local time of day, HH:MM or HH:MM:SS", examples=["13:00"]),
]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of the file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CitySection(Section):
    """The city, its sites and its fleet."""

    seed: int = Field(default=1, ge=0, description="seed of the synthesis, not of the day")
    districts: tuple[str, ...] = Field(default=(), description="names; empty takes all eleven")
    form: Literal["city", "district"] = "city"
    detail: tuple[str, ...] = Field(default=(), description="districts with 10 kV feeders")
    max_load_mw: Positive | None = Field(default=None, description="default: by plan year")
    connected_mw: dict[KindName, NotNegative] = Field(
        default_factory=dict, description="registered rating by kind; default: by plan year"
    )
    counts: dict[KindName, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    network: str | None = Field(default=None, description="pandapower network as JSON")
    sites: str | None = Field(default=None, description="CSV of customer accounts")
    fleet: str | None = Field(default=None, description="CSV of devices")
    load: str | None = Field(default=None, description="CSV of demand by sector and quarter hour")


class WeatherSection(Section):
    """The day's weather."""

    day: Literal["design", "hot", "normal"] = "design"
    offset_c: float = Field(default=0.0, ge=-15, le=15, description="added to the dry bulb")
    epw: str | None = Field(default=None, description="EPW file instead of the synthetic day")
    seed: int | None = Field(default=None, ge=0, description="clouds; default: the run's seed")


class EngineSection(Section):
    """Beats of the simulation."""

    control_period_s: int = Field(default=60, ge=1, le=900)
    grid_period_s: Literal[1, 2, 5, 10, 15, 20, 30, 60] = 60
    tick_s: Literal[1, 2, 5, 10, 15, 20, 30, 60] = 60


class OrderSection(Section):
    """One order of the dispatcher; size in MW or in percent of the maximum load."""

    id: str = Field(min_length=1)
    kind: Literal["demand_response", "load_management"]
    form: Literal["reduction", "cap"] = "reduction"
    mw: Positive | None = None
    percent: Annotated[float, Field(gt=0, le=100)] | None = None
    level: int = Field(default=0, ge=0, le=4)
    notice: TimeOfDay
    start: TimeOfDay
    full_by: TimeOfDay
    end: TimeOfDay
    warning_min: NotNegative = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mw is None) == (self.percent is None):
            raise ValueError("give either mw or percent")
        times = [parse_time_of_day(t) for t in (self.notice, self.start, self.full_by, self.end)]
        if not times[0] <= times[1] <= times[2] < times[3]:
            raise ValueError("times must satisfy notice <= start <= full_by < end")
        if times[0] + self.warning_min * 60_000 > times[1]:
            raise ValueError("the warning must fit between notice and start")
        return self


class DisturbanceSection(Section):
    """Something that goes wrong: devices out of contact, or a branch out of service."""

    what: Literal["contact_loss", "branch_outage"]
    at: TimeOfDay
    until: TimeOfDay | None = None
    kind: KindName | None = None
    share: Share = 0.1
    branch: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.what == "contact_loss" and self.kind is None:
            raise ValueError("contact_loss needs kind")
        if self.what == "branch_outage" and self.branch is None:
            raise ValueError("branch_outage needs branch")
        if self.until is not None and parse_time_of_day(self.until) <= parse_time_of_day(self.at):
            raise ValueError("until must come after at")
        return self


class Scenario(Section):
    """A day, a city and what is asked of it."""

    name: str = Field(min_length=1, pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = ""
    title_zh: str = ""
    year: Literal[2025, 2026, 2027] = 2027
    date: datetime.date | None = Field(default=None, description="default: 15 July of the year")
    start: TimeOfDay = "00:00"
    end: TimeOfDay = "24:00"
    seed: int = Field(default=1, ge=0)
    logic: str = Field(default="twin.control.platform:Platform", pattern=r"^[\w.]+:\w+$")
    city: CitySection = CitySection()
    weather: WeatherSection = WeatherSection()
    engine: EngineSection = EngineSection()
    orders: tuple[OrderSection, ...] = ()
    disturbances: tuple[DisturbanceSection, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        first, last = parse_time_of_day(self.start), parse_time_of_day(self.end)
        if first >= last:
            raise ValueError("start must come before end")
        if first % 60_000 or last % 60_000:
            raise ValueError("start and end must be whole minutes")
        ids = [order.id for order in self.orders]
        if len(set(ids)) != len(ids):
            raise ValueError(f"order ids must differ, not {ids}")
        for order in self.orders:
            notice, end = parse_time_of_day(order.notice), parse_time_of_day(order.end)
            if not first <= notice or not end <= last:
                raise ValueError(f"order {order.id} must lie within {self.start} to {self.end}")
        if self.city.form == "district" and len(self.city.districts) != 1:
            raise ValueError("form district needs exactly one name in city.districts")
        return self
