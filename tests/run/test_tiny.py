"""`tiny` from its file to its page: every verdict id, a complete summary, readable parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from twin.results.store import SUMMARY_KEYS
from twin.run import run_scenario
from twin.scenario.files import find_scenario, load_scenario, shipped_names
from twin.verify import rules

NAMES = (
    "comm-loss", "district", "first-contact", "gaming", "heat-wave", "industry-chain",
    "lost-infeed", "quiet-day", "summer-peak-2025", "summer-peak-2026", "summer-peak-2027", "tiny",
)  # fmt: skip


def silent(
    phase: str, fraction: float, now_ms: int | None = None, speed: float | None = None
) -> None:
    """Hear of progress and say nothing."""


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tiny") / "run"
    return run_scenario(find_scenario("tiny"), out, [], "en", silent).directory


@pytest.fixture(scope="session")
def summary(directory: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((directory / "summary.json").read_text("utf-8"))
    return found


def test_every_verdict_id_is_there(summary: dict[str, object]) -> None:
    ids = {v["id"] for v in summary["verdicts"]}  # type: ignore[attr-defined]
    assert ids == {name.partition("@")[0] for name in rules()}


def test_what_is_not_judged_says_why(summary: dict[str, object]) -> None:
    for v in summary["verdicts"]:  # type: ignore[attr-defined]
        if v["passed"] is None:
            assert v["comparison"] == "figure" or v["reason"] in (
                "no such order", "no history", "no graph", "not built yet"
            )  # fmt: skip
        elif v["value"] is None:
            assert v["passed"] is False
            assert v["reason"]


def test_summary_is_complete(summary: dict[str, object]) -> None:
    assert list(summary)[: len(SUMMARY_KEYS)] == list(SUMMARY_KEYS)
    assert summary["complete"] is True
    assert summary["carrier"] == "direct"
    devices = summary["devices"]
    assert isinstance(devices, dict)
    assert set(devices) == {
        "storage", "aircon", "icestore", "charging", "swap", "solar", "industry", "hydrogen",
        "shorepower", "terminal",
    }  # fmt: skip


def test_records_add_up(directory: Path) -> None:
    city = pq.read_table(directory / "timeseries" / "city.parquet").to_pandas()
    district = pq.read_table(directory / "timeseries" / "district.parquet").to_pandas()
    assert set(city["run"]) == {"ordered", "undisturbed"}
    assert (city["converged"] == 1.0).all()
    # Sent-out load is what the busbars draw and what is lost on the way.
    np.testing.assert_allclose(
        city["load_mw"], city["demand_mw"] + city["losses_mw"], rtol=2e-3, atol=0.0
    )
    summed = district.groupby(["run", "now_ms"], observed=True)["load_mw"].sum()
    own = city.set_index(["run", "now_ms"])["demand_mw"]
    np.testing.assert_allclose(summed.sort_index(), own.sort_index(), rtol=1e-12)


def test_runs_share_everything_before_the_first_notice(directory: Path) -> None:
    city = pq.read_table(directory / "timeseries" / "city.parquet").to_pandas()
    first = load_scenario(find_scenario("tiny")).orders[0]
    before = city[city["time"] < first.notice]
    ordered = before[before["run"] == "ordered"]["load_mw"].to_numpy()
    undisturbed = before[before["run"] == "undisturbed"]["load_mw"].to_numpy()
    assert len(ordered) == 5
    assert (ordered == undisturbed).all()


def test_the_page_stands(directory: Path) -> None:
    page = (directory / "report.html").read_text("utf-8")
    assert "dr.capability" in page
    assert (directory / "orders.parquet").exists()
    assert (directory / "settlement.csv").read_text("utf-8").count("\n") > 1


@pytest.mark.parametrize("name", NAMES)
def test_shipped_scenarios_are_sound(name: str) -> None:
    assert set(NAMES) == set(shipped_names())
    path = find_scenario(name)
    assert load_scenario(path).name == name
    assert (path.parent / "README.md").is_file()


def test_the_three_years_differ_in_their_data_only() -> None:
    one, two, three = (load_scenario(find_scenario(f"summer-peak-{y}")) for y in (2025, 2026, 2027))
    same = {"name": "x", "title": "", "title_zh": "", "year": 2027}
    assert one.model_copy(update=same) == two.model_copy(update=same)
    assert two.model_copy(update=same) == three.model_copy(update=same)
