from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from twin.record.market import BASELINES, PRICINGS, market_rules
from twin.scenario.files import find_scenario, load_scenario
from twin.scenario.market_schema import MarketSection


def test_a_scenario_that_says_nothing_has_the_shipped_rules() -> None:
    assert MarketSection().rules() == market_rules()
    assert market_rules().least_mw == 5.0
    assert (market_rules().valid_from, market_rules().valid_to) == (0.8, 1.2)


def test_choices_are_those_of_the_rules() -> None:
    schema = MarketSection.model_json_schema()["properties"]
    assert tuple(schema["baseline"]["enum"]) == BASELINES
    assert tuple(schema["pricing"]["enum"]) == PRICINGS


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = {"least_mw": -1.0, "pricing": "free", "valid_to": 0.5, "district_bid_share": 0.0}
    with pytest.raises(ValidationError) as caught:
        MarketSection(**wrong)  # type: ignore[arg-type]
    assert {e["loc"][0] for e in caught.value.errors()} == set(wrong)
    with pytest.raises(ValidationError, match="day_ahead_h = 1 must not be below"):
        MarketSection(day_ahead_h=1.0, hour_ahead_h=2.0)


@pytest.mark.parametrize("name", ["tiny", "district", "first-contact"])
def test_short_scenarios_scale_the_least_size_by_their_load(name: str) -> None:
    scenario = load_scenario(find_scenario(name))
    load_mw = scenario.city.max_load_mw
    assert load_mw is not None
    assert scenario.market.least_mw == pytest.approx(5.0 * load_mw / 25_300.0, rel=0.02)
    assert re.search("scaled", find_scenario(name).read_text(encoding="utf-8"))
