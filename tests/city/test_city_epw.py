from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from twin.city.epw import read_epw_days
from twin.city.weather import build_weather
from twin.errors import InputProblems

DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
HEAD = [
    "LOCATION,Guangzhou,Guangdong,CHN,CSWD,592870,23.17,113.33,8.0,41.0",
    *["FILLER"] * 7,
]


def year() -> list[list[str]]:
    """Return 8760 rows; the hottest hour is 3 August, 15 h."""
    rows = []
    for month, days in enumerate(DAYS, 1):
        for day in range(1, days + 1):
            for hour in range(1, 25):
                dry = 20.0 + 10.0 * np.exp(-(((month - 7.5) / 3) ** 2))
                dry += 4.0 * np.cos((hour - 15) / 24 * 2 * np.pi) + (
                    2.0 if (month, day) == (8, 3) else 0.0
                )
                sun = max(0.0, 800.0 * np.sin((hour - 6.5) / 12 * np.pi)) if 6 < hour < 19 else 0.0
                fields = ["0"] * 35
                fields[:5] = ["2000", str(month), str(day), str(hour), "60"]
                fields[6], fields[8] = f"{dry:.1f}", "70"
                fields[13], fields[14], fields[15] = (
                    f"{sun:.0f}",
                    f"{0.6 * sun:.0f}",
                    f"{0.4 * sun:.0f}",
                )
                rows.append(fields)
    return rows


def write(path: Path, rows: list[list[str]], head: list[str] = HEAD) -> Path:
    path.write_text("\n".join([*head, *(",".join(r) for r in rows)]) + "\n", encoding="utf-8")
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(InputProblems) as caught:
        read_epw_days(path)
    return [str(p) for p in caught.value.problems]


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    return year()


def test_the_hottest_day_is_taken(tmp_path: Path, rows: list[list[str]]) -> None:
    days = read_epw_days(write(tmp_path / "g.epw", rows))
    assert (days.month, days.day) == (8, 3)
    assert days.place == "Guangzhou"
    index = (sum(DAYS[:7]) + 2) * 24
    # values stand at the end of their hour
    for hour in (1, 12, 15, 24):
        assert days.temperature_c[1440 + 60 * hour] == float(rows[index + hour - 1][6])
    assert (days.wet_bulb_c <= days.temperature_c).all()
    assert days.irradiance_w_m2[0].max() > 700.0


def test_a_day_can_be_chosen_and_january_follows_december(
    tmp_path: Path, rows: list[list[str]]
) -> None:
    path = write(tmp_path / "g.epw", rows)
    days = read_epw_days(path, (1, 1))
    assert days.temperature_c[0 + 60 * 15] == float(rows[-24 + 14][6])
    with pytest.raises(InputProblems, match="02-29"):
        read_epw_days(path, (2, 29))


def test_weather_from_a_file_by_one_argument(tmp_path: Path, rows: list[list[str]]) -> None:
    path = write(tmp_path / "g.epw", rows)
    weather = build_weather(date(2027, 7, 15), "design", 1, 2, epw=path)
    days = read_epw_days(path)
    assert np.array_equal(weather.temperature_c, days.temperature_c)
    assert weather.ghi_w_m2[weather.zenith_deg > 90.0].max() == 0.0
    assert "g.epw" in weather.source


def test_every_hole_is_listed(tmp_path: Path, rows: list[list[str]]) -> None:
    bad = [list(r) for r in rows]
    bad[100][6] = "99.9"  # missing
    bad[200][8] = "-5"  # out of range
    bad[300][13] = "abc"  # no number
    bad[400] = bad[400][:30]  # columns
    bad[500][1] = "13"  # no such month
    del bad[1000]  # a missing hour
    text = problems(write(tmp_path / "bad.epw", bad))
    # The line after a malformed one is not judged against it.
    assert len(text) == 7, text
    for line, what in (
        (109, "missing"),
        (209, "relative humidity"),
        (309, "global horizontal"),
        (409, "35 columns"),
        (509, "13-"),
        (1009, "hole"),
    ):
        assert any(f"line {line}" in t and what in t for t in text), (line, what, text)
    assert any("8759 hours" in t for t in text)


def test_a_wrong_head_is_refused(tmp_path: Path, rows: list[list[str]]) -> None:
    no_head = problems(write(tmp_path / "a.epw", rows, ["PLACE", *HEAD[1:]]))
    assert any("LOCATION" in t for t in no_head)
    zone = problems(write(tmp_path / "b.epw", rows, [HEAD[0].replace(",8.0,", ",1.0,"), *HEAD[1:]]))
    assert zone == [f"{tmp_path / 'b.epw'}: line 1: time zone: 1; allowed: 8 (Asia/Shanghai)"]


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    assert "readable EPW file" in problems(tmp_path / "none.epw")[0]
    (tmp_path / "empty.epw").write_text("", encoding="utf-8")
    assert len(problems(tmp_path / "empty.epw")) == 2
