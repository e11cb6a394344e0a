"""Shipped scenarios come to the verdicts that were seen and understood.

To renew a table: ``python -m tests.scenarios.golden comm-loss``, look at it, paste it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.golden import Golden, differences, run_shipped

# By scenario; what is not listed is judged as well, and free to move.
GOLDEN: dict[str, Golden] = {
    "comm-loss": {
        "dr.capability": (True, 7.18),
        "dr.delivered": (False, 92.8),
        "dr.overdelivered": (True, 105.0),
        "dr.response_time": (False, 57.0),
        "dr.tracking": (False, 11.3),
        "dr.rebound": (True, 33.9),
        "dr.new_peak": (False, 1.03),
        "dr.comfort": (True, 0.0),
        "dr.comfort_drift": (True, 0.958),
        "dr.mobility": (True, 0.0),
        "dr.network": (True, 0.0),
        "dr.makeup": (False, 6.0),
        "dr.cost": (None, 426000.0),
        "dr.cost_discomfort": (None, 391000.0),
        "monitor.coverage": (True, 97.7),
        "monitor.alarms": (True, 97.9),
    },
    "heat-wave": {
        "dr.delivered": (False, 86.2),
        "dr.overdelivered": (False, 111.0),
        "dr.response_time": (False, 62.0),
        "dr.tracking": (False, 29.4),
        "dr.rebound": (True, 35.6),
        "dr.new_peak": (False, 1.02),
        "dr.comfort": (True, 0.0),
        "dr.comfort_drift": (True, 0.797),
        "dr.mobility": (True, 0.0),
        "dr.network": (True, 0.0),
        "dr.makeup": (True, 0.0),
        "dr.cost": (None, 368000.0),
        "dr.cost_discomfort": (None, 349000.0),
        "lm.connected": (False, 19.6),
        "lm.shed": (True, 101.0),
        "lm.overshed": (False, 116.0),
        "lm.time": (True, 13.0),
        "lm.protected": (True, 0.0),
        "lm.protected_load": (True, 0.0),
        "lm.restoration": (True, 44.0),
        "lm.restoration_peak": (True, 0.942),
        "lm.chain_loss": (None, 502000.0),
        "lm.fairness": (None, 0.525),
        "lm.cost": (None, 626000.0),
        "lm.cost_production": (None, 502000.0),
    },
}


@pytest.mark.parametrize("name", ["comm-loss", pytest.param("heat-wave", marks=pytest.mark.slow)])
def test_a_scenario_comes_to_its_golden_verdicts(name: str, tmp_path: Path) -> None:
    golden = GOLDEN[name]
    assert len(golden) > 0
    assert differences(run_shipped(name, tmp_path / "run"), golden) == []


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
