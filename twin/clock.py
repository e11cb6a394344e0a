"""Time conversions; nobody here reads a clock.

Simulated time is an integer number of milliseconds since midnight (Asia/Shanghai) of the
scenario's day. Guangzhou keeps UTC+8 all year, so local time needs no table.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")


def parse_time_of_day(text: str) -> int:
    """Return milliseconds since midnight for ``HH:MM`` or ``HH:MM:SS`` (24:00 is allowed).

    Raises ValueError when the text is no time of day.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(p.isdigit() and len(p) == 2 for p in parts):
        raise ValueError(f"{text!r} is not a time of day such as 13:00 or 13:00:30")
    hour, minute, second = (*(int(p) for p in parts), 0)[:3]
    if minute > 59 or second > 59 or hour * HOUR_MS + minute * MINUTE_MS > DAY_MS:
        raise ValueError(f"{text!r} is not between 00:00 and 24:00")
    return hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS


def format_time_of_day(now_ms: int) -> str:
    """Return ``HH:MM`` (``HH:MM:SS`` off the minute) for milliseconds since midnight."""
    hour, rest = divmod(now_ms, HOUR_MS)
    minute, rest = divmod(rest, MINUTE_MS)
    second = rest // SECOND_MS
    return f"{hour:02d}:{minute:02d}" + (f":{second:02d}" if second else "")


def local_time(day: date, now_ms: int) -> datetime:
    """Return the local date and time of `now_ms` on scenario day `day`."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
    return midnight + timedelta(milliseconds=now_ms)


def minute_of_day(now_ms: int) -> int:
    """Return the minute of the day, 0..1439; times before midnight wrap to the day before."""
    return (now_ms // MINUTE_MS) % 1440
