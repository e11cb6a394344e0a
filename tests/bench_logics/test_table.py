"""The table of compared logics: paired by seed, with intervals that are those of the textbook."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.comparison.table import BARE, TOTAL, markdown, mean_and_half, passed, summary
from benchmarks.logics import seeds_of


def row(seed: int, logic: str, cost: float, delivered: float = 99.0) -> dict[str, Any]:
    def verdict(id_, value, unit, comparison, ok, order="a"):  # type: ignore[no-untyped-def]
        return {
            "id": id_, "value": value, "unit": unit, "comparison": comparison, "passed": ok,
            "order": order,
        }  # fmt: skip

    return {
        "seed": seed,
        "logic": logic,
        "verdicts": [
            verdict("dr.cost", cost, "CNY", "figure", None),
            verdict("dr.cost_discomfort", 7.0, "CNY", "figure", None),
            verdict("dr.cost", 10.0, "CNY", "figure", None, "b"),  # two orders of a day
            verdict("lm.cost", 5.0, "CNY", "figure", None),
            verdict("dr.delivered", delivered, "%", ">=", delivered >= 95.0),
            verdict("dr.delivered", 120.0, "%", ">=", True, "b"),
            verdict("lm.shed", None, "%", ">=", None, None),  # no such order
            verdict("monitor.alarms", 1.0, "%", ">=", True, None),
        ],
    }


def test_interval_of_a_mean_is_student_s() -> None:
    """Hand-worked: 2, 4, 9 have mean 5 and s = 3.606; t(0.975, 2) = 4.3027."""
    mean, half = mean_and_half([2.0, 4.0, 9.0])
    assert mean == 5.0
    assert half == pytest.approx(4.3027 * math.sqrt(13.0) / math.sqrt(3.0), rel=1e-4)
    assert math.isnan(mean_and_half([1.0])[1])


def test_differences_are_paired_by_seed_and_costs_added_up() -> None:
    rows = [row(s, "a", 100.0 * s) for s in (1, 2, 3)]
    rows += [row(s, "b", 100.0 * s + 50.0 + s, delivered=90.0 + 3 * s) for s in (1, 2, 3)]
    found = summary(rows, ["a", "b"])
    total = found["figures"][TOTAL]
    assert total["a"]["mean"] == 215.0
    assert found["figures"][BARE]["a"]["mean"] == 208.0
    assert found["all"]["5 %"] == {"a": [3, 3], "b": [2, 3]}
    assert total["b"]["difference"] == pytest.approx(52.0)
    assert total["b"]["difference_half_95"] == pytest.approx(4.3027 / math.sqrt(3.0), rel=1e-4)
    assert found["figures"]["dr.delivered"]["a"]["mean"] == 99.0  # the worse order counts
    assert found["meets"] == {"5 %": {"a": [3, 3], "b": [2, 3]}, "20 %": {}}
    assert not any(id_.startswith("monitor") for id_ in found["figures"])
    text = markdown(found, ["a", "b"], "Compared")
    assert "| meets the 5 % order, seeds | 3 of 3 | 2 of 3 |" in text
    assert "(**+52 ± 2.5**)" in text


def test_what_is_not_applicable_is_neither_met_nor_missed() -> None:
    assert passed([row(1, "a", 1.0)], ["lm.shed"]) == {}
    assert passed([row(1, "a", 1.0, delivered=90.0)], ["dr.delivered"]) == {"a": [False]}


def test_seeds_are_ranges_and_single_ones() -> None:
    assert seeds_of("1-3,7") == [1, 2, 3, 7]
