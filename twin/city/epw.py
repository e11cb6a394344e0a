"""A strict reader of EnergyPlus weather files: every problem at once, no silent repair."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.city.humidity import saturation_hpa, wet_bulb
from twin.errors import InputProblems, Problem

HEADER_LINES = 8
COLUMNS = 35
HOURS = (8760, 8784)
LOCAL_OFFSET_H = 8.0
MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# EnergyPlus Auxiliary Programs, "EPW data dictionary": field, column, least, most, "missing".
FIELDS = (
    ("dry bulb [°C]", 6, -70.0, 70.0, 99.9),
    ("relative humidity [%]", 8, 0.0, 110.0, 999.0),
    ("global horizontal [Wh/m2]", 13, 0.0, 1500.0, 9999.0),
    ("direct normal [Wh/m2]", 14, 0.0, 1500.0, 9999.0),
    ("diffuse horizontal [Wh/m2]", 15, 0.0, 1500.0, 9999.0),
)


@dataclass(frozen=True, slots=True)
class EpwDays:
    """Days of an EPW file as minutes, index 0 is 00:00 of the first.

    Attributes
    ----------
    place, latitude_deg, longitude_deg : of the station
    month, day : the day that was taken
    temperature_c, wet_bulb_c : float64[minutes], two days: 2881
    irradiance_w_m2 : float64[3, minutes], global, direct normal, diffuse
    """

    place: str
    latitude_deg: float
    longitude_deg: float
    month: int
    day: int
    temperature_c: NDArray[np.float64]
    wet_bulb_c: NDArray[np.float64]
    irradiance_w_m2: NDArray[np.float64]


def read_epw_days(path: Path, chosen: tuple[int, int] | None = None, before: int = 1) -> EpwDays:
    """Return the chosen day (month, day) of an EPW file and `before` days before it.

    None takes the hottest day of the file. Hourly values become minutes by linear
    interpolation: temperatures stand at the end of their hour, irradiance at its middle.

    Raises InputProblems naming every line that is missing, repeated, malformed, marked as
    missing or out of range.
    """
    file = str(path)
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputProblems(
            [Problem(file, "file", error.strerror or str(error), "a readable EPW file")]
        ) from error
    place, latitude, longitude, problems = _location(file, lines)
    dates, values, more = _hours(file, lines)
    problems += more
    if problems:
        raise InputProblems(problems)
    keys = dates[::24]
    if chosen is None:
        row = int(np.argmax(values[0].reshape(-1, 24).max(axis=1)))
    elif chosen in keys:
        row = keys.index(chosen)
    else:
        text = f"{chosen[0]:02d}-{chosen[1]:02d}"
        raise InputProblems([Problem(file, "epw_day", text, "a day that is in the file")])
    # One hour more on each side, the year taken as a ring.
    around = np.arange(24 * (row - before) - 1, 24 * (row + 1) + 1) % values.shape[1]
    hourly = values[:, around]
    ends_min = np.arange(len(around)) * 60.0  # end of each hour, minutes since the first 00:00
    minutes = np.arange((before + 1) * 1440.0 + 1.0)
    temperature = np.interp(minutes, ends_min, hourly[0])
    humidity = np.interp(minutes, ends_min, np.minimum(hourly[1], 100.0))
    bulb = wet_bulb(temperature, saturation_hpa(temperature) * humidity / 100.0)
    sun = np.stack([np.interp(minutes, ends_min - 30.0, h) for h in hourly[2:]])
    return EpwDays(place, latitude, longitude, *keys[row], temperature, bulb, sun)


def _location(file: str, lines: list[str]) -> tuple[str, float, float, list[Problem]]:
    """Return place, latitude, longitude and problems of the header."""
    fields = lines[0].split(",") if lines else [""]
    allowed = "LOCATION,city,...,latitude,longitude,time zone,elevation"
    if fields[0].strip().upper() != "LOCATION" or len(fields) < 10:
        return "", 0.0, 0.0, [Problem(file, "line 1", fields[0][:40] or "empty", allowed)]
    try:
        latitude, longitude, zone = (float(fields[i]) for i in (6, 7, 8))
    except ValueError:
        return "", 0.0, 0.0, [Problem(file, "line 1", ",".join(fields[6:9]), allowed)]
    problems = []
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
        problems.append(
            Problem(file, "line 1", f"{latitude}, {longitude}", "latitude and longitude in degrees")
        )
    if zone != LOCAL_OFFSET_H:
        problems.append(Problem(file, "line 1: time zone", f"{zone:g}", "8 (Asia/Shanghai)"))
    return fields[1].strip(), latitude, longitude, problems


def _hours(
    file: str, lines: list[str]
) -> tuple[list[tuple[int, int]], NDArray[np.float64], list[Problem]]:
    """Return (month, day) and the five fields [5, hours] of each data line, and all problems."""
    problems: list[Problem] = []
    dates: list[tuple[int, int]] = []
    values: list[list[float]] = []
    before: tuple[int, int, int] | None = None
    data = [(n, line) for n, line in enumerate(lines[HEADER_LINES:], HEADER_LINES + 1) if line]
    for number, line in data:
        place = f"line {number}"
        fields = line.split(",")
        if len(fields) != COLUMNS:
            problems.append(Problem(file, place, f"{len(fields)} columns", f"{COLUMNS} columns"))
            before = None
            continue
        try:
            month, day, hour = (int(fields[i]) for i in (1, 2, 3))
        except ValueError:
            problems.append(
                Problem(file, place, ",".join(fields[1:4]), "whole numbers month, day, hour")
            )
            before = None
            continue
        now = (month, day, hour)
        if not (1 <= month <= 12 and 1 <= day <= MONTH_DAYS[month - 1] and 1 <= hour <= 24):
            given = f"{month}-{day} hour {hour}"
            problems.append(Problem(file, place, given, "a date and an hour 1 to 24"))
            before = None
        else:
            if before is not None and not _follows(before, now):
                given = f"{before[0]:02d}-{before[1]:02d} hour {before[2]} is followed by "
                given += f"{month:02d}-{day:02d} hour {hour}"
                problems.append(Problem(file, place, given, "the next hour (no hole, no repeat)"))
            before = now
        dates.append((month, day))
        values.append([_field(file, place, fields, spec, problems) for spec in FIELDS])
    if len(data) not in HOURS:
        problems.append(
            Problem(file, "data", f"{len(data)} hours", "8760 hours (8784 in a leap year)")
        )
    array = np.array(values, dtype=np.float64).reshape(-1, len(FIELDS)).T
    return dates, np.ascontiguousarray(array), problems


def _follows(before: tuple[int, int, int], now: tuple[int, int, int]) -> bool:
    """Whether `now` is the hour after `before`; 29 February may be left out."""
    month, day, hour = before
    if hour < 24:
        return now == (month, day, hour + 1)
    following = {(month, day + 1, 1), (month % 12 + 1, 1, 1)}
    last = {MONTH_DAYS[month - 1]} | ({28} if month == 2 else set())
    if day not in last:
        following.discard((month % 12 + 1, 1, 1))
    if day >= MONTH_DAYS[month - 1]:
        following.discard((month, day + 1, 1))
    return now in following


def _field(
    file: str,
    place: str,
    fields: list[str],
    spec: tuple[str, int, float, float, float],
    problems: list[Problem],
) -> float:
    """Return one value, or NaN after noting what is wrong with it."""
    name, column, least, most, missing = spec
    text = fields[column].strip()
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value == missing:
        problems.append(Problem(file, f"{place}: {name}", f"{text} (missing)", "a measured value"))
    elif not least <= value <= most:
        problems.append(
            Problem(file, f"{place}: {name}", text or "empty", f"{least:g} to {most:g}")
        )
    else:
        return value
    return float("nan")
