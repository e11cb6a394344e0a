"""The world's order takes 50 MW from each of sites 0 and 1 for the seven quarters to 15:00.

That is 87.5 MWh a site, 175 MWh in all.
"""

from __future__ import annotations

import pytest

from tests.verify.world import by_id, dr_order, dr_run, evidence, ms
from twin.record.history import History
from twin.verify import Evidence
from twin.verify.settlement import SETTLEMENT_IDS, judge_settlement
from twin.verify.verdict import NO_REPORT, Sheet


def row(site: int, kwh: float, **more: object) -> dict[str, object]:
    return {
        "order": "five", "aggregator": 0, "site": site, "ordered_kwh": 87_500.0,
        "delivered_kwh": kwh, "valid_share": kwh / 87_500.0, "baseline": "mean_10",
        "paid_cny": kwh * 1.5, "penalty_cny": 10.0, **more,
    }  # fmt: skip


def found(rows: list[dict[str, object]], **more: object) -> dict:  # type: ignore[type-arg]
    given: Evidence = evidence(more.pop("order", dr_order()), dr_run(), **more)
    run: History = given.run
    run.settlement = rows
    sheet = Sheet("five")
    judge_settlement(sheet, given)
    return by_id(sheet.verdicts)


def test_money_and_errors_by_hand() -> None:
    rows = [row(-1, 180_000.0), row(0, 97_500.0), row(1, 82_500.0)]
    seen = found(rows)
    assert tuple(seen) == SETTLEMENT_IDS
    assert seen["dr.paid"].value == pytest.approx(270_000.0)
    assert "1.5 CNY/kWh" in seen["dr.paid"].reason
    assert seen["dr.penalty"].value == pytest.approx(20.0)
    assert seen["dr.settlement_error"].value == pytest.approx(100.0 * 5.0 / 175.0, abs=0.01)
    assert seen["dr.settlement_error_sites"].value == pytest.approx(100.0 * 15 / 175, abs=0.01)
    assert seen["dr.settlement_error"].reason == "settled by mean_10"
    assert seen["dr.settlement_error"].window_min == 105.0
    assert all(v.passed is None for v in seen.values())


def test_rows_of_another_order_and_odd_ones_do_not_count() -> None:
    rows = [row(0, 87_500.0), row(1, 87_500.0), row(0, 9e9, order="other"), row(99, 1.0)]
    assert found(rows)["dr.settlement_error"].value == pytest.approx(0.0, abs=0.01)
    assert found([{**row(0, 1.0), "paid_cny": "much"}])["dr.paid"].value is None


def test_nothing_settled() -> None:
    inside = found([])
    assert {v.reason for v in inside.values()} == {"the logic has settled nothing"}
    outside = found([], outside=True)
    assert {v.reason for v in outside.values()} == {NO_REPORT}


def test_no_whole_quarter() -> None:
    order = dr_order(full_by_ms=ms(13, 50), end_ms=ms(14, 10))
    seen = found([row(0, 1.0)], order=order)
    assert seen["dr.settlement_error"].value is None
    assert seen["dr.settlement_error"].window_min == 0.0
