"""CO2 of two runs: what was spared, and the rows for the city's carbon platform."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from twin.clock import HOUR_MS
from twin.record.history import History
from twin.results.emissions import emission_figures, emission_rows, spared, write_emissions
from twin.results.store import RunDirectory

SCALARS = ("emission_t_h", "emission_loss_t_h", "import_mw", "plant_mw")
NAMES = {"zh": ["越秀", "海珠"], "en": ["Yuexiu", "Haizhu"]}
DAY = date(2027, 7, 15)
START_MS = 7 * HOUR_MS + 50 * 60_000  # ten minutes at night's margin, then the day's


def run(import_mw: float, solved: bool = True, minutes: int = 30) -> History:
    history = History(
        START_MS, minutes, SCALARS, {"district.load_mw": (2, "f8"), "district.factor": (2, "f8")}
    )
    for minute in range(minutes):
        quarter = (START_MS // 60_000 + minute) // 15
        history.row("district.load_mw")[:] = (60.0, 120.0)
        history.row("district.factor")[:] = (0.1 * (quarter - 30), 0.5)
        if solved:
            burnt = 0.4 * import_mw + 0.8 * 100.0
            history.put_scalars(dict(zip(SCALARS, (burnt, 1.0, import_mw, 100.0), strict=True)))
        history.close_minute()
    return history


def test_what_the_orders_spared() -> None:
    base, ordered = run(300.0), run(240.0)
    found = spared(base, ordered)
    assert found["import_mwh"] == pytest.approx(30.0)
    assert found["average_t"] == pytest.approx(0.4 * 30.0)
    night, day = 0.2 * 0.38 + 0.7 * 0.8325, 0.6 * 0.38 + 0.3 * 0.8325
    assert found["marginal_t"] == pytest.approx(night * 10.0 + day * 20.0)
    figures = emission_figures(base, ordered)
    assert figures["undisturbed_t"] == pytest.approx(0.5 * (0.4 * 300.0 + 80.0))
    assert figures["ordered_kg_kwh"] == pytest.approx((0.4 * 240.0 + 80.0) / 340.0)
    assert figures["ordered_losses_t"] == pytest.approx(0.5)
    assert figures["all_orders"] == found
    json.dumps(figures, allow_nan=False)


def test_a_run_that_is_shorter_is_compared_as_far_as_it_goes() -> None:
    assert spared(run(300.0), run(240.0, minutes=12))["import_mwh"] == pytest.approx(12.0)


def test_without_a_load_flow_there_is_nothing() -> None:
    assert emission_figures(run(300.0), run(300.0, solved=False)) == {}
    assert spared(run(300.0), run(300.0, solved=False))["average_t"] is None
    table = emission_rows("ordered", run(300.0, solved=False), DAY, NAMES)
    assert table["factor_kg_kwh"].null_count == table.num_rows == 6
    assert emission_rows("ordered", run(300.0, minutes=0), DAY, NAMES).num_rows == 0


def test_rows_for_the_carbon_platform(tmp_path: Path) -> None:
    store = RunDirectory(tmp_path / "run", "", {"scenario": "x"})
    write_emissions(store, {"ordered": run(240.0), "undisturbed": run(300.0)}, DAY, NAMES)
    table = pq.read_table(tmp_path / "run" / "emissions.parquet")
    with (tmp_path / "run" / "emissions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == table.num_rows == 2 * 3 * 2
    assert list(rows[0]) == table.column_names
    first, second = rows[0], rows[3]
    # Ten minutes of the quarter that begins at 07:45 are in the run.
    assert first["interval_start"] == "2027-07-15T07:45:00+08:00"
    assert (first["district_zh"], first["district_en"], first["run"]) == (
        "越秀",
        "Yuexiu",
        "ordered",
    )
    assert float(first["load_mwh"]) == pytest.approx(60.0 * 10 / 60)
    assert float(first["factor_kg_kwh"]) == pytest.approx(0.1)
    assert second["interval_start"] == "2027-07-15T08:00:00+08:00"
    assert float(second["emissions_t"]) == pytest.approx(0.5 * 120.0 / 4)
    assert np.isfinite(table["emissions_t"].to_numpy()).all()
