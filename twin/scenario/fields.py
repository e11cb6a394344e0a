"""What the keys of a scenario file are made of: names, times, numbers, sections.

Numbers are numbers: text such as "5 kW" is refused.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from twin.clock import parse_time_of_day

KindName = Literal[
    "storage", "aircon", "icestore", "charging", "swap", "solar", "industry", "hydrogen",
    "shorepower", "terminal",
]  # fmt: skip
# What can be connected: every kind but terminals, and the part of charging that can discharge.
RatedName = Literal[
    "storage", "aircon", "icestore", "charging", "swap", "solar", "industry", "hydrogen",
    "shorepower", "v2g",
]  # fmt: skip
CountName = Literal[
    "storage", "aircon", "icestore", "charging", "swap", "solar", "industry", "hydrogen",
    "shorepower", "v2g", "terminal",
]  # fmt: skip
TIME_PATTERN = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$|^24:00(:00)?$"


def _time_text(given: object) -> object:
    """Return TOML's own local time (``13:00:00``) as text, anything else as it is."""
    if isinstance(given, datetime.time) and given.microsecond == 0 and given.tzinfo is None:
        return given.isoformat()
    return given


def _time(text: str) -> str:
    try:
        parse_time_of_day(text)
    except ValueError:
        raise ValueError("a time of day from 00:00 to 24:00, such as 13:00") from None
    return text


def _date(given: object) -> object:
    """Return a date; numbers are no dates."""
    if isinstance(given, str):
        try:
            return datetime.date.fromisoformat(given)
        except ValueError:
            given = None
    if isinstance(given, datetime.datetime) or not isinstance(given, datetime.date | None):
        given = None
    if given is None:
        raise ValueError("a date such as 2027-07-15")
    return given


TimeOfDay = Annotated[
    str,
    BeforeValidator(_time_text),
    AfterValidator(_time),
    Field(
        strict=True,
        examples=["13:00"],
        json_schema_extra={"pattern": TIME_PATTERN},
    ),
]
Day = Annotated[datetime.date, BeforeValidator(_date)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
FileName = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A part of the file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
