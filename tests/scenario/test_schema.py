"""What a scenario may say, its JSON Schema, and that what is written is read again."""

from __future__ import annotations

import datetime
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from twin.clock import format_time_of_day
from twin.scenario.dump import scenario_toml
from twin.scenario.fields import TIME_PATTERN
from twin.scenario.files import find_scenario, load_scenario, shipped_names
from twin.scenario.schema import Scenario, json_schema

KINDS = ("storage", "aircon", "charging", "solar", "industry")
FILES = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
MINUTES = st.integers(1, 200)


def times(*minutes: int) -> list[str]:
    return [format_time_of_day(m * 60_000) for m in minutes]


@st.composite
def orders(draw: st.DrawFn) -> dict[str, object]:
    notice, lead, ramp, hold = (
        draw(st.integers(0, 600)),
        draw(MINUTES),
        draw(MINUTES),
        draw(MINUTES),
    )
    when = (notice, notice + lead, notice + lead + ramp, notice + lead + ramp + hold)
    size = draw(st.sampled_from(("mw", "percent")))
    return {
        "kind": draw(st.sampled_from(("demand_response", "load_management"))),
        "form": draw(st.sampled_from(("reduction", "cap"))),
        size: draw(st.floats(1e-3, 100.0)),
        "level": draw(st.integers(0, 4)),
        "warning_min": draw(st.floats(0, lead)),
        **dict(zip(("notice", "start", "full_by", "end"), times(*when), strict=True)),
    }


@st.composite
def disturbances(draw: st.DrawFn) -> dict[str, object]:
    at, long = draw(st.integers(0, 1200)), draw(MINUTES)
    row: dict[str, object] = dict(zip(("at", "until"), times(at, at + long), strict=True))
    if draw(st.booleans()):
        del row["until"]
    if draw(st.booleans()):
        share = draw(st.floats(0, 1))
        return row | {"what": "contact_loss", "kind": draw(st.sampled_from(KINDS)), "share": share}
    return row | {"what": "branch_outage", "branch": draw(st.text(min_size=1, max_size=9))}


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    number = st.floats(1e-6, 1e6)
    asked = [{"id": f"o{i}", **row} for i, row in enumerate(draw(st.lists(orders(), max_size=3)))]
    data: dict[str, Any] = {
        "name": draw(st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)),
        "title": draw(st.text(max_size=20)),
        "title_zh": draw(st.text(max_size=20)),
        "year": draw(st.sampled_from((2025, 2026, 2027))),
        "date": draw(st.none() | st.dates(datetime.date(2025, 1, 1), datetime.date(2027, 12, 31))),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "city": {
            "districts": draw(st.lists(st.sampled_from(("南沙", "Yuexiu")), max_size=2)),
            "max_load_mw": draw(st.none() | number),
            "connected_mw": draw(st.dictionaries(st.sampled_from(KINDS), number)),
            "counts": draw(st.dictionaries(st.sampled_from(KINDS), st.integers(1, 99))),
            "network": draw(FILES),
            "load": draw(FILES),
        },
        "weather": {
            "day": draw(st.sampled_from(("design", "hot", "normal"))),
            "offset_c": draw(st.floats(-15, 15)),
            "epw": draw(FILES),
            "seed": draw(st.none() | st.integers(0, 99)),
        },
        "engine": {"control_period_s": draw(st.sampled_from((1, 10, 60, 300)))},
        "orders": asked,
        "disturbances": draw(st.lists(disturbances(), max_size=2)),
    }
    return Scenario.model_validate(data)


def test_every_control_character_is_escaped() -> None:
    text = "".join(chr(k) for k in (*range(32), 34, 92, 127, 128, 0x2028))
    scenario = Scenario(name="x", title=text)
    assert Scenario.model_validate(tomllib.loads(scenario_toml(scenario))) == scenario


@given(scenarios())
@settings(max_examples=150)
def test_what_is_written_is_read_again(scenario: Scenario) -> None:
    text = scenario_toml(scenario)
    assert Scenario.model_validate(tomllib.loads(text)) == scenario
    assert scenario_toml(Scenario.model_validate(tomllib.loads(text))) == text


@pytest.mark.parametrize("name", shipped_names())
def test_the_shipped_scenarios_are_read_again(name: str, tmp_path: Path) -> None:
    shipped = find_scenario(name)
    scenario = load_scenario(shipped)
    shutil.copytree(shipped.parent, tmp_path, dirs_exist_ok=True)  # files that it names
    path = tmp_path / "scenario.toml"
    path.write_text(scenario_toml(scenario), encoding="utf-8")
    assert load_scenario(path) == scenario


def properties(node: object, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, held in node.get("properties", {}).items():
            yield f"{place}.{name}", held
        for key, value in node.items():
            if isinstance(value, dict):
                yield from properties(value, f"{place}.{key}")


def test_every_key_of_the_schema_is_described() -> None:
    found = dict(properties(json_schema()))
    assert len(found) > 40
    bare = [place for place, held in found.items() if not held.get("description")]
    assert bare == []
    suffix = {"mw": "[MW]", "c": "[°C]", "s": "[s]", "min": "[min]"}
    for place, held in found.items():
        unit = suffix.get(place.rpartition("_")[2]) if "_" in place else None
        assert unit is None or unit in held["description"], place


def test_the_schema_holds_together() -> None:
    schema = json_schema()
    text = str(schema)
    for name in re.findall(r"'#/\$defs/(\w+)'", text):
        assert name in schema["$defs"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name"]
    for held in schema["$defs"].values():
        assert held["additionalProperties"] is False
    assert schema["properties"]["start"]["pattern"] == TIME_PATTERN
    assert schema["$defs"]["CitySection"]["properties"]["max_load_mw"]["anyOf"][0] == {
        "exclusiveMinimum": 0,
        "type": "number",
    }


@given(st.integers(0, 1440))
def test_the_pattern_of_times_is_that_of_the_clock(minute: int) -> None:
    text = format_time_of_day(minute * 60_000)
    assert re.match(TIME_PATTERN, text)
    assert Scenario(name="x", start="00:00", end=text).end == text if minute > 0 else True


@pytest.mark.parametrize("text", ["24:01", "9:00", "13.00", "25:00", "13:60", "noon", ""])
def test_what_is_no_time_is_refused_by_both(text: str) -> None:
    assert re.match(TIME_PATTERN, text) is None
    with pytest.raises(ValidationError, match="a time of day"):
        Scenario(name="x", start=text)


def test_times_and_dates_may_be_written_as_toml_has_them() -> None:
    data = tomllib.loads('name = "x"\nstart = 13:00:00\ndate = 2027-07-20\n')
    scenario = Scenario.model_validate(data)
    assert scenario.start == "13:00:00"
    assert scenario.date == datetime.date(2027, 7, 20)
    for wrong in (5, "20 July", "2027-13-01", datetime.datetime(2027, 7, 20, 1)):  # noqa: DTZ001
        with pytest.raises(ValidationError, match="a date such as"):
            Scenario.model_validate({"name": "x", "date": wrong})


@pytest.mark.parametrize(
    ("engine", "rule"),
    [
        ({"control_period_s": 90}, "multiple or a divisor"),
        ({"control_period_s": 7, "grid_period_s": 1}, "must divide a minute"),
        ({"control_period_s": 60, "grid_period_s": 20, "tick_s": 15}, "tick_s = 15 must divide"),
        ({"control_period_s": True}, "integer"),
    ],
)
def test_beats_that_do_not_fit(engine: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Scenario.model_validate({"name": "x", "engine": engine})
    fits = {"control_period_s": 120, "grid_period_s": 20, "tick_s": 10}
    Scenario.model_validate({"name": "x", "engine": fits})
