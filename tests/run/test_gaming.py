"""`gaming`: the table shows which baseline falls for whom; every figure against its golden one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twin.control.baselines.customer import METHODS
from twin.run import run_scenario
from twin.scenario.files import find_scenario

# Bias of the groups honest, gaming.0 (the days before) and gaming.1 (the morning), seed 1 [%].
BIAS = {
    "guangzhou_2021": (-5.1, 8.0, -5.8),
    "mean_10": (-4.4, 9.0, -5.2),
    "high_4_of_5": (0.7, 16.1, 12.7),
    "regression": (-1.2, 13.3, -2.0),
}
WITHIN = 1.0  # percentage points: what the platform does beforehand moves today's meters


def silent(
    phase: str, fraction: float, now_ms: int | None = None, speed: float | None = None
) -> None:
    """Hear of progress and say nothing."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_who_falls_for_whom(tmp_path: Path) -> None:
    run = run_scenario(find_scenario("gaming"), tmp_path / "run", [], "en", silent)
    verdicts = {v["id"]: v for v in run.verdicts}
    summary = json.loads((run.directory / "summary.json").read_text("utf-8"))
    table = summary["figures"]["orders"]["dr-5"]["baselines"]
    assert set(table) == set(METHODS)
    for method, golden in BIAS.items():
        row = table[method]
        found = [row[group]["bias_pct"] for group in ("honest", "gaming.0", "gaming.1")]
        assert found == pytest.approx(golden, abs=WITHIN), method
        assert row["sites"] == row["honest"]["sites"] + row["gaming"]["sites"]
        assert verdicts[f"dr.baseline_bias_{method}"]["value"] == pytest.approx(row["bias_pct"])
        # Who raises the days is paid for more than he gives, by every method.
        assert row["gaming.0"]["overpaid_kwh"] > 0.0
    # Only the adjusted one looks at the morning.
    for method, row in table.items():
        bent = row["gaming.1"]["bias_pct"] - row["honest"]["bias_pct"]
        assert (bent > 8.0) if method == "high_4_of_5" else (abs(bent) < 2.0), method
    assert verdicts["dr.baseline_error"]["reason"].startswith("guangzhou_2021")
    assert verdicts["dr.network"]["passed"] is True
    assert (run.directory / "reports" / "baselines.parquet").is_file()
