"""An infeed trips: level I within minutes, and a cap is a cap."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.scenarios.golden import Golden, differences, found_verdicts, run_shipped

GOLDEN: Golden = {
    "lm.connected": (True, 26.08),
    "lm.shed": (True, 98.51),
    "lm.time": (True, 6.0),
    "lm.protected": (True, 0.0),
    "lm.protected_load": (True, 0.0),
    "lm.restoration": (True, 44.0),
    "lm.restoration_peak": (True, 0.956),
}


# The plan of a partial city's 500 kV ring weighs the loss of its only infeed.
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")
def test_the_load_goes_under_what_is_left_within_minutes(tmp_path: Path) -> None:
    summary = run_shipped("lost-infeed", tmp_path / "run")
    assert differences(summary, GOLDEN) == []
    found = found_verdicts(summary)
    assert found["lm.overshed"][0] is True
    assert 0.0 < found["lm.fairness_district"][1] < 0.1 < found["lm.fairness"][1] < 0.5
    city = pd.read_parquet(tmp_path / "run" / "timeseries" / "city.parquet").set_index("time")
    ordered, quiet = (
        city[city["run"] == name]["loading_500_max"] for name in ("ordered", "undisturbed")
    )
    assert quiet["15:00":"16:44"].min() > 110.0
    assert ordered["15:12":"16:44"].max() < 90.0
    plan = pd.read_parquet(tmp_path / "run" / "reports" / "cut_plan.parquet")
    assert (plan["how"] == "milp").all()
    assert (plan["gap"] <= 0.01).all()
    assert (plan["kw"] >= plan["need_kw"] - 1e-6).all()
