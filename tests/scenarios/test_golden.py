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
        "dr.capability": (True, 6.53),
        "dr.delivered": (True, 99.3),
        "dr.overdelivered": (True, 103.0),
        "dr.response_time": (True, 11.0),
        "dr.tracking": (True, 5.93),
        "dr.rebound": (True, 34.9),
        "dr.new_peak": (False, 1.02),
        "dr.comfort": (True, 0.0),
        "dr.comfort_drift": (True, 0.954),
        "dr.mobility": (True, 0.0),
        "dr.network": (True, 0.0),
        "dr.makeup": (True, 3.0),
        "dr.cost": (None, 483000.0),
        "dr.cost_discomfort": (None, 448000.0),
        "monitor.coverage": (True, 97.7),
        "monitor.alarms": (True, 97.9),
    },
    "heat-wave": {
        "dr.delivered": (False, 86.2),
        "dr.overdelivered": (False, 110.0),
        "dr.response_time": (False, 60.0),
        "dr.tracking": (False, 20.2),
        "dr.rebound": (False, 42.7),
        "dr.new_peak": (False, 1.02),
        "dr.comfort": (True, 0.0),
        "dr.comfort_drift": (True, 0.748),
        "dr.mobility": (True, 0.0),
        "dr.network": (True, 0.0),
        "dr.makeup": (True, 0.0),
        "dr.cost": (None, 387000.0),
        "dr.cost_discomfort": (None, 368000.0),
        "lm.connected": (False, 19.6),
        "lm.shed": (True, 102.0),
        "lm.overshed": (False, 118.0),
        "lm.time": (True, 13.0),
        "lm.protected": (True, 0.0),
        "lm.protected_load": (True, 0.0),
        "lm.restoration": (True, 44.0),
        "lm.restoration_peak": (True, 0.937),
        "lm.chain_loss": (None, 523000.0),
        "lm.fairness": (None, 0.51),
        "lm.cost": (None, 640000.0),
        "lm.cost_production": (None, 523000.0),
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
