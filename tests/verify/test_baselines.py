"""Baselines judged on two sites of 200 MW that give 50 MW each."""

from __future__ import annotations

import numpy as np
import pytest

from tests.verify.world import by_id, dr_order, dr_run, evidence, ms
from twin.verify.baselines import BASELINE_IDS, METHODS, baseline_figures, judge_baselines
from twin.verify.verdict import NO_REPORT, Sheet

SAID = {"guangzhou_2021": (190e3, 210e3), "mean_10": (190e3, 190e3), "high_4_of_5": (220e3, 200e3)}


def rows(said=SAID, order="five", quarters=8):
    columns = {"order": [], "method": [], "site": [], "quarter_ms": [], "kw": []}
    for method, values in said.items():
        for quarter in range(quarters):
            for site, kw in enumerate(values):
                for name, value in zip(
                    columns, (order, method, site, ms(13, 15 * quarter), kw), strict=True
                ):
                    columns[name].append(value)
    return {name: np.array(values) for name, values in columns.items()}


def given(table=None, **changes):
    fields = {"history_days": 10, **changes}
    found = evidence(dr_order(), dr_run(), **fields)
    if table is not None:
        found.run.add_events("report.baselines", table)
    return found


def verdicts(found):
    sheet = Sheet("five")
    judge_baselines(sheet, found)
    assert [v.id for v in sheet.verdicts] == list(BASELINE_IDS)
    return by_id(sheet.verdicts)


def test_bias_and_mean_absolute_error_of_the_sum() -> None:
    found = verdicts(given(rows()))
    assert found["dr.baseline_mae_guangzhou_2021"].value == pytest.approx(0.0, abs=1e-6)
    assert found["dr.baseline_bias_mean_10"].value == pytest.approx(-5.0, rel=1e-5)
    assert found["dr.baseline_mae_mean_10"].value == pytest.approx(5.0, rel=1e-5)
    assert found["dr.baseline_bias_high_4_of_5"].value == pytest.approx(5.0, rel=1e-5)
    assert found["dr.baseline_bias_regression"].value is None  # says nothing
    assert found["dr.baseline_bias_regression"].reason == NO_REPORT
    assert found["dr.baseline_error"].value == pytest.approx(0.0, abs=1e-6)
    assert found["dr.baseline_error"].base_mw == pytest.approx(400.0)


def test_the_settlements_method_is_the_headline() -> None:
    found = given(rows())
    found.run.settlement.append({"order": "five", "baseline": "mean_10"})
    headline = verdicts(found)["dr.baseline_error"]
    assert headline.value == pytest.approx(5.0, rel=1e-5)
    assert headline.reason == "mean_10, 20.0 % of the order"  # 20 MW of 100


def test_without_history_or_report_nothing_is_judged() -> None:
    assert {v.reason for v in verdicts(given(rows(), history_days=0)).values()} == {"no history"}
    for table in (None, rows(order="another"), {"order": np.array(["five"])}):
        found = given(table)
        assert {v.reason for v in verdicts(found).values()} == {NO_REPORT}
        assert baseline_figures(found) == {}


def test_the_table_splits_who_games_and_what_he_is_paid_for_nothing() -> None:
    table = baseline_figures(given(rows(), gaming=np.array([0, -1, -1, -1, -1, -1])))
    high, bent = table["high_4_of_5"], table["guangzhou_2021"]
    assert high["gaming"]["bias_pct"] == pytest.approx(10.0, rel=1e-5)
    assert high["gaming.0"] == high["gaming"]
    assert high["honest"]["bias_pct"] == pytest.approx(0.0, abs=1e-6)
    assert high["gaming"]["overpaid_kwh"] == pytest.approx(40e3, rel=1e-3)  # 20 MW, two hours
    # Two sites' errors cancel in the sum, not at the sites.
    assert bent["site_mae_pct"] == pytest.approx(5.0, rel=1e-5)
    assert bent["overpaid_kwh"] == pytest.approx(0.0, abs=1.0)
    assert set(table) == set(METHODS) - {"regression"}


def test_a_baseline_below_the_meter_takes_no_more_than_was_given() -> None:
    said = {"mean_10": (100e3, 200e3)}  # site 0 draws 150 MW: it looks as if it gave nothing
    row = baseline_figures(given(rows(said)))["mean_10"]
    # 50 MW from 13:05 on: of the first quarter two thirds.
    assert row["overpaid_kwh"] == pytest.approx(-50e3 * (2.0 - 5.0 / 60.0), rel=1e-3)


def test_rows_that_cannot_be_are_left_aside() -> None:
    table = rows()
    more = {
        "order": np.array(["five"] * 4), "method": np.array(["mean_10"] * 4),
        "site": np.array([-1, 99, 4, 0]), "kw": np.full(4, 1e9),
        "quarter_ms": np.array([ms(13), ms(13), ms(13), ms(30)]),
    }  # fmt: skip
    whole = {name: np.concatenate([table[name], more[name]]) for name in table}
    assert baseline_figures(given(whole)) == baseline_figures(given(table))
