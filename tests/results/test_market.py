from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.verify.world import dr_order, dr_run, evidence
from twin.record.columns import Columns
from twin.results.market import market_figures
from twin.verify import Evidence

BIDS = {
    "cleared_ms": np.array([1, 2, 2, 2, 2]),
    "order": np.array(["five", "five", "five", "five", "other"]),
    "aggregator": np.array([0, 0, 0, 1, 1]),
    "mw": np.array([9.0, 2.0, 6.0, 4.0, 1.0]),
    "accepted_mw": np.array([0.0, 2.0, 5.0, 0.0, 1.0]),
    "reason": np.array(["-", "accepted", "partly accepted", "below the least size", "-"]),
}
CLEARING = {
    "cleared_ms": np.array([1, 2]), "order": np.array(["five", "five"]),
    "asked_mw": np.array([10.0, 10.0]), "awarded_mw": np.array([9.0, 7.0]),
    "short_mw": np.array([1.0, 3.0]), "price_cny_kwh": np.array([0.8, 0.9]),
}  # fmt: skip


def world(bids: dict[str, np.ndarray]) -> Evidence:
    given: Evidence = evidence(dr_order(), dr_run())
    agents = Columns({"name": np.array(["A", "B"]), "name_zh": np.array(["甲", "乙"])})
    given.run.add_events("report.bids", bids)
    given.run.add_events("report.clearing", CLEARING)
    given.run.settlement = [
        {"order": "five", "aggregator": 0, "site": -1, "ordered_kwh": 7.0, "paid_cny": 6.3},
        {"order": "five", "aggregator": 0, "site": 4, "ordered_kwh": 7.0, "paid_cny": 6.3},
    ]
    return replace(given, inventory=replace(given.inventory, aggregators=agents))


def test_vpps_at_the_last_clearing_with_what_they_are_paid() -> None:
    found = market_figures(world(BIDS))
    assert found is not None
    first, second = found["vpps"]  # type: ignore[misc]
    assert (first["name_zh"], second["name"]) == ("甲", "B")
    assert (first["bid_mw"], first["awarded_mw"]) == (8.0, pytest.approx(7.0))
    assert (first["answer"], first["paid_cny"]) == ("partly accepted", 6.3)
    assert (second["answer"], second["paid_cny"]) == ("below the least size", 0.0)
    assert [c["short_mw"] for c in found["clearings"]] == [1.0, 3.0]  # type: ignore[attr-defined]


def test_a_logic_without_a_market_or_with_a_table_of_its_own() -> None:
    assert market_figures(evidence(dr_order(), dr_run())) is None
    assert market_figures(world({"order": np.array(["five"]), "what": np.array([1.0])})) is None
