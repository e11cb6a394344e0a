"""What a scenario file may say; `twin schema` prints it as JSON Schema for editors.

Units stand in the keys. Times of day are text such as "13:00"; percentages are of the
scenario's maximum load. The wire's part stands in `twin.scenario.wire_schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from twin.clock import parse_time_of_day
from twin.scenario.fields import (
    Count,
    CountName,
    Day,
    FileName,
    KindName,
    NotNegative,
    Positive,
    RatedName,
    Section,
    Seed,
    Share,
    TimeOfDay,
)
from twin.scenario.history_schema import GamingSection, HistorySection, gaming_rules
from twin.scenario.load_schema import LoadManagementSection
from twin.scenario.market_schema import MarketSection
from twin.scenario.onboarding_schema import OnboardingSection
from twin.scenario.wire_schema import MannerSection, WireSection


class CitySection(Section):
    """The city, its sites, its fleet and its network."""

    seed: Seed = Field(default=1, description="seed of the synthesis, not of the day")
    districts: tuple[str, ...] = Field(
        default=(),
        description="names of districts, Chinese or English; empty takes all eleven",
    )
    form: Literal["city", "district"] = Field(
        default="city", description="city, or one district behind one 220 kV infeed"
    )
    detail: tuple[str, ...] = Field(
        default=(), description="districts built down to 10 kV feeders and 10/0.4 kV transformers"
    )
    max_load_mw: Positive | None = Field(
        default=None,
        description="maximum sent-out load [MW], base of every percentage; default: that of the "
        "load CSV, else of the network's own loads, else of the plan year",
    )
    connected_mw: dict[RatedName, NotNegative] = Field(
        default_factory=dict,
        description="registered electrical rating by kind [MW] (v2g is part of charging); "
        "default: by plan year",
    )
    counts: dict[CountName, Count] = Field(
        default_factory=dict,
        description="number of devices by kind (terminals: as of 2027); default: by plan year",
    )
    network: FileName | None = Field(
        default=None,
        description="pandapower network saved as JSON, relative to the scenario file; the zone of "
        "a bus may name its district",
    )
    sites: FileName | None = Field(
        default=None, description="CSV of customer accounts, relative to the scenario file"
    )
    fleet: FileName | None = Field(
        default=None, description="CSV of devices, relative to the scenario file"
    )
    chain: FileName | None = Field(
        default=None,
        description="CSV of the supply graph between customers, columns supplier, customer, share "
        "and stock_h, relative to the scenario file",
    )
    stock_scale: Annotated[float, Field(strict=True, ge=0, le=100)] = Field(
        default=1.0, description="factor on the synthetic stocks of the supply graph, below 1: lean"
    )
    load: FileName | None = Field(
        default=None,
        description="CSV of the day's sent-out load [MW], columns time and load_mw, relative to "
        "the scenario file",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        if self.form == "district" and len(self.districts) != 1:
            wrong.append(f"form district needs one name in districts, not {len(self.districts)}")
        for kind, mw in self.connected_mw.items():
            number = self.counts.get(kind)
            if number is not None and (number == 0) != (mw == 0.0):
                wrong.append(
                    f"both 0 or both above 0: connected_mw.{kind} = {mw:g} and "
                    f"counts.{kind} = {number}"
                )
        for table in (self.connected_mw, self.counts):
            part, whole = table.get("v2g"), table.get("charging")
            if part is not None and whole is not None and part > whole:
                wrong.append(f"at most charging = {whole:g} for its part v2g = {part:g}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class WeatherSection(Section):
    """The day's weather."""

    day: Literal["design", "hot", "normal"] = Field(
        default="design", description="synthetic day, where no EPW file is given"
    )
    offset_c: Annotated[float, Field(strict=True, ge=-15, le=15)] = Field(
        default=0.0, description="added to the dry bulb at constant vapour pressure [°C]"
    )
    epw: FileName | None = Field(
        default=None,
        description="EPW file instead of the synthetic day, relative to the scenario file; its "
        "hottest day is taken",
    )
    seed: Seed | None = Field(
        default=None, description="seed of clouds and occupancy; default: the run's seed"
    )


def beats_apart(control_s: int, grid_s: int) -> list[str]:
    """Return what keeps control and grid periods from falling together."""
    if control_s % grid_s != 0 and grid_s % control_s != 0:
        return [
            f"control_period_s = {control_s} must be a multiple or a divisor of "
            f"grid_period_s = {grid_s}"
        ]
    if control_s < 60 and 60 % control_s != 0:
        return [f"control_period_s = {control_s} must divide a minute"]
    return []


class EngineSection(Section):
    """Beats of the simulation [s]; the fleet's physics steps by 1 s inside them."""

    control_period_s: Annotated[int, Field(strict=True, ge=1, le=900)] = Field(
        default=60, description="between two calls of the control logic [s]"
    )
    grid_period_s: Literal[1, 2, 5, 10, 15, 20, 30, 60] = Field(
        default=60, description="between two load flows [s]"
    )
    tick_s: Literal[1, 2, 5, 10, 15, 20, 30, 60] = Field(
        default=60, description="longest stretch that the fleet steps at once [s]"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        control, grid, tick = self.control_period_s, self.grid_period_s, self.tick_s
        wrong = beats_apart(control, grid)
        if tick < grid and grid % tick != 0:
            wrong.append(f"tick_s = {tick} must divide grid_period_s = {grid}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class OrderSection(Section):
    """One order of the dispatcher; size in MW or in percent of the maximum load."""

    id: str = Field(min_length=1, max_length=24, description="name of the order")
    kind: Literal["demand_response", "load_management"] = Field(
        description="demand_response: flexible means; load_management: rigid control as well"
    )
    form: Literal["reduction", "cap"] = Field(
        default="reduction",
        description="reduction: against what would have been; cap: on the sent-out load",
    )
    mw: Positive | None = Field(default=None, description="size [MW]; or give percent")
    percent: Annotated[float, Field(strict=True, gt=0, le=100)] | None = Field(
        default=None, description="size [% of the maximum load]; or give mw"
    )
    level: Annotated[int, Field(strict=True, ge=0, le=4)] = Field(
        default=0, description="warning level of load management: 1 red to 4 blue, 0 none"
    )
    notice: TimeOfDay = Field(description="when it becomes known, HH:MM")
    start: TimeOfDay = Field(description="when it begins and the warning ends, HH:MM")
    full_by: TimeOfDay = Field(description="by when all of it must be there, HH:MM")
    end: TimeOfDay = Field(description="when it ends, HH:MM")
    warning_min: NotNegative = Field(
        default=0.0, description="warning before the start [min]; no trip is allowed earlier"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        if (self.mw is None) == (self.percent is None):
            wrong.append("give either mw or percent")
        times = [parse_time_of_day(t) for t in (self.notice, self.start, self.full_by, self.end)]
        if not times[0] <= times[1] <= times[2] < times[3]:
            wrong.append("times must satisfy notice <= start <= full_by < end")
        if times[0] + self.warning_min * 60_000 > times[1]:
            wrong.append("the warning must fit between notice and start")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class DisturbanceSection(Section):
    """Something that goes wrong: devices out of contact, or a branch out of service."""

    what: Literal["contact_loss", "branch_outage"] = Field(description="what happens")
    at: TimeOfDay = Field(description="when it happens, HH:MM")
    until: TimeOfDay | None = Field(
        default=None, description="when it is over, HH:MM; default: not in this run"
    )
    kind: KindName | None = Field(default=None, description="contact_loss: kind of the devices")
    share: Share = Field(default=0.1, description="contact_loss: share of the devices, 0 to 1")
    branch: FileName | None = Field(
        default=None, description="branch_outage: name of the branch in the network"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        if self.what == "contact_loss" and self.kind is None:
            wrong.append("contact_loss needs kind")
        if self.what == "contact_loss" and self.branch is not None:
            wrong.append("contact_loss takes no branch")
        if self.what == "branch_outage" and self.branch is None:
            wrong.append("branch_outage needs branch")
        if self.what == "branch_outage" and self.kind is not None:
            wrong.append("branch_outage takes no kind")
        if self.until is not None and parse_time_of_day(self.until) <= parse_time_of_day(self.at):
            wrong.append("until must come after at")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class Scenario(Section):
    """A day, a city and what is asked of it."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="lower case letters, digits and hyphens"
    )
    title: str = Field(default="", description="one line in English")
    title_zh: str = Field(default="", description="the same in Chinese")
    year: Literal[2025, 2026, 2027] = Field(
        default=2027, description="plan year: maximum load and connected resources"
    )
    date: Day | None = Field(default=None, description="the day; default: 15 July of the year")
    start: TimeOfDay = Field(default="00:00", description="begin of the run, a whole minute, HH:MM")
    end: TimeOfDay = Field(default="24:00", description="end of the run, a whole minute, HH:MM")
    seed: Seed = Field(default=1, description="seed of the day's chance")
    logic: str = Field(
        default="twin.control.platform:Platform",
        pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$",
        description="control logic under test, package.module:Class",
    )
    city: CitySection = Field(
        default=CitySection(), description="the city, its sites, fleet and network"
    )
    weather: WeatherSection = Field(default=WeatherSection(), description="the day's weather")
    history: HistorySection = Field(
        default=HistorySection(), description="the days before, for customer baselines"
    )
    gaming: tuple[GamingSection, ...] = Field(
        default=(), description="owners who bend their own baseline"
    )
    engine: EngineSection = Field(default=EngineSection(), description="beats of the simulation")
    orders: tuple[OrderSection, ...] = Field(default=(), description="what the dispatcher asks")
    disturbances: tuple[DisturbanceSection, ...] = Field(
        default=(), description="what goes wrong by itself"
    )
    wire: WireSection = Field(
        default=WireSection(), description="how devices are reached over Modbus; hil only"
    )
    manners: tuple[MannerSection, ...] = Field(
        default=(), description="how devices in the field behave, other than well"
    )
    load_management: LoadManagementSection = Field(
        default=LoadManagementSection(), description="rules of orderly use and an earlier ledger"
    )
    market: MarketSection = Field(
        default=MarketSection(), description="rules of the demand-response market"
    )
    onboarding: tuple[OnboardingSection, ...] = Field(
        default=(), description="who is not live all day (有序接入), and their steps"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        first, last = parse_time_of_day(self.start), parse_time_of_day(self.end)
        if first >= last:
            wrong.append("start must come before end")
        if first % 60_000 or last % 60_000:
            wrong.append("start and end must be whole minutes")
        ids = [order.id for order in self.orders]
        if len(set(ids)) != len(ids):
            wrong.append(f"order ids must differ, not {ids}")
        for order in self.orders:
            notice, end = parse_time_of_day(order.notice), parse_time_of_day(order.end)
            if not first <= notice or not end <= last:
                wrong.append(f"order {order.id} must lie within {self.start} to {self.end}")
        wrong += gaming_rules(self.gaming, self.history, [o.kind for o in self.orders])
        for i, row in enumerate(self.disturbances):
            if not first <= parse_time_of_day(row.at) < last:
                wrong.append(f"disturbances.{i}.at must lie within {self.start} to {self.end}")
        for i, manner in enumerate(self.manners):
            if manner.at is not None and not first <= parse_time_of_day(manner.at) < last:
                wrong.append(f"manners.{i}.at must lie within {self.start} to {self.end}")
            if manner.until is not None and parse_time_of_day(manner.until) <= first:
                wrong.append(f"manners.{i}.until must come after {self.start}")
        if self.wire.grid_period_s is not None:
            for rule in beats_apart(self.engine.control_period_s, self.wire.grid_period_s):
                wrong.append(f"wire: {rule}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def json_schema() -> Mapping[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario file."""
    found = Scenario.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **{**found, "title": "suitwin scenario"},
    }
