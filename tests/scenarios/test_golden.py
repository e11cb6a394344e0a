"""Shipped scenarios come to the verdicts that were seen and understood."""

from __future__ import annotations

from tests.scenarios.golden import differences


def test_a_golden_table_sees_every_difference() -> None:
    rows = [
        {"id": "dr.delivered", "order": "a", "passed": True, "value": 98.04},
        {"id": "dr.rebound", "order": "a", "passed": False, "value": 61.2},
        {"id": "dr.network", "order": "a", "passed": True, "value": 0.0},
        {"id": "lm.chain_loss", "order": None, "passed": None, "value": None},
    ]
    summary = {"verdicts": rows}
    same = {
        "dr.delivered": (True, 98.0),
        "dr.rebound@a": (False, 61.2),
        "dr.network": (True, 0.0),
        "lm.chain_loss": (None, None),
    }
    assert differences(summary, same) == []
    other = {
        "dr.delivered": (True, 96.0),
        "dr.rebound": (True, 61.2),
        "dr.network": (True, 0.01),
        "lm.chain_loss": (None, 0.0),
        "dr.makeup": (True, 1.0),
    }
    assert [line.split(":")[0] for line in differences(summary, other)] == list(other)
