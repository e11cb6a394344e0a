"""Bringing stations in: what a scenario may say, and what is registered of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from twin.city.districts import read_districts
from twin.clock import HOUR_MS
from twin.errors import InputProblems
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory
from twin.record.onboarding import ALWAYS_MS, FOREVER_MS, Onboarding, live, state
from twin.scenario.build import build
from twin.scenario.dump import scenario_toml
from twin.scenario.files import find_scenario, load_scenario
from twin.scenario.onboarding import onboarded, onboarding_problems
from twin.scenario.onboarding_schema import OnboardingSection
from twin.scenario.schema import Scenario

DISTRICTS = read_districts()


def inventory(n: int = 400) -> Inventory:
    columns = Columns({"district": np.arange(n) % DISTRICTS.n, "rated_kw": np.ones(n)})
    kinds = {k: KindInventory(k, (), (), columns) for k in ("storage", "charging")}
    return Inventory(1.0, DISTRICTS.names, (), Columns({}, n), kinds)


def after(*sections: OnboardingSection, n: int = 400) -> Inventory:
    return onboarded(sections, inventory(n), DISTRICTS, 1)


def test_nobody_named_is_live_and_nothing_is_registered() -> None:
    given = inventory()
    assert onboarded((), given, DISTRICTS, 1) is given
    columns = given.kinds["storage"].columns
    assert live(columns, 0).all()
    assert (state(columns, 0) == Onboarding.LIVE).all()


def test_steps_of_the_day() -> None:
    section = OnboardingSection(
        kind="storage", rows=(3,), state="certified", live="10:00", suspended="15:00",
        resumed="16:00",
    )  # fmt: skip
    found = after(section)
    assert found.kinds["charging"] is not None
    assert "live_ms" not in found.kinds["charging"].columns
    columns = found.kinds["storage"].columns
    for hour, expected in ((0, 3), (9.99, 3), (10, 4), (15, 5), (15.5, 5), (16, 4), (24, 4)):
        now_ms = int(hour * HOUR_MS)
        assert state(columns, now_ms)[3] == expected, hour
        assert live(columns, now_ms)[3] == (expected == Onboarding.LIVE)
        assert live(columns, now_ms).sum() == 399 + live(columns, now_ms)[3]
    assert columns.i8("certified_ms")[3] == ALWAYS_MS
    assert columns.i8("suspended_ms")[4] == FOREVER_MS


def test_share_district_and_the_last_section_counts() -> None:
    half = OnboardingSection(kind="storage", share=0.5)
    name = DISTRICTS.names_en[2]
    columns = after(half, OnboardingSection(kind="storage", district=name, state="suspended"))
    now = state(columns.kinds["storage"].columns, 0)
    inside = np.arange(400) % DISTRICTS.n == 2
    assert (now[inside] == Onboarding.SUSPENDED).all()
    share = (now[~inside] == Onboarding.REGISTERED).mean()
    assert 0.4 < share < 0.6
    again = after(half, OnboardingSection(kind="storage", district=name, state="suspended"))
    assert np.array_equal(state(again.kinds["storage"].columns, 0), now)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"share": 0.5, "rows": (1,)}, "either share or rows"),
        ({"live": "10:00"}, "give point_table_checked, joint_tested, certified as well"),
        ({"state": "live", "certified": "10:00"}, "begins after certified"),
        ({"state": "live", "resumed": "10:00"}, "give suspended as well"),
        ({"state": "certified", "live": "10:00", "suspended": "09:00"}, "in the order"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OnboardingSection.model_validate({"kind": "storage", **given})


def test_what_is_not_there_is_named_at_once() -> None:
    sections = (
        OnboardingSection(kind="swap"),
        OnboardingSection(kind="storage", rows=(1, 7), district="Nansa"),
    )
    found = onboarding_problems(sections, "a.toml", inventory(5), DISTRICTS)
    assert [p.place for p in found] == [
        "onboarding.0.kind", "onboarding.1.district", "onboarding.1.rows.1",
    ]  # fmt: skip
    assert "did you mean Nansha" in found[1].allowed


def test_a_scenario_file_brings_stations_in(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    section = (
        '\n[[onboarding]]\nkind = "storage"\nrows = [1]\nstate = "certified"\nlive = 10:00:00\n'
    )
    path.write_text(find_scenario("tiny").read_text(encoding="utf-8") + section, encoding="utf-8")
    scenario = load_scenario(path)
    assert load_scenario_text(scenario_toml(scenario), tmp_path) == scenario
    inventory = build(scenario, path).world.inventory
    columns = inventory.kinds["storage"].columns
    assert columns.i8("live_ms").tolist() == [ALWAYS_MS, 10 * HOUR_MS] + [ALWAYS_MS] * (
        columns.n - 2
    )
    path.write_text(path.read_text(encoding="utf-8").replace("[1]", "[999]"), encoding="utf-8")
    with pytest.raises(InputProblems, match=r"onboarding\.0\.rows\.0: 999; allowed"):
        build(load_scenario(path), path)


def load_scenario_text(text: str, folder: Path) -> Scenario:
    path = folder / "again.toml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path)
