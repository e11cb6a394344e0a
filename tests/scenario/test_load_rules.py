"""A scenario's own order of measures and an earlier ledger: taken, or refused as a whole."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twin.control.load_management.measures import default_rules
from twin.errors import InputProblems
from twin.record.exchange import Calendar
from twin.record.orders import Order, OrderForm, OrderKind
from twin.scenario.load_schema import (
    LoadManagementSection,
    level_notes,
    load_rules,
    read_ledger,
    read_measures,
)

SHIPPED = files("twin.control.load_management").joinpath("measures.toml").read_text("utf-8")


def places(error: pytest.ExceptionInfo[InputProblems]) -> list[str]:
    return [p.place for p in error.value.problems]


def test_the_shipped_table_keeps_its_own_rules(tmp_path: Path) -> None:
    path = tmp_path / "measures.toml"
    path.write_text(SHIPPED, "utf-8")
    assert read_measures(path) == default_rules()
    assert [m.title_zh for m in default_rules().measures] == ["错峰", "避峰", "限电", "拉闸"]


def test_everything_wrong_in_a_table_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "measures.toml"
    text = SHIPPED.replace("[20.0, 10.0, 5.0]", "[20.0, 30.0, 500.0]")
    text = text.replace("level = 2", "level = 7").replace('"icestore"', '"kettle"')
    text = text.replace("min_on_min = 30.0", "min_on_min = -1.0\nmost = 3")
    path.write_text(text, "utf-8")
    with pytest.raises(InputProblems) as error:
        read_measures(path)
    assert set(places(error)) == {
        "level_pct.2", "measure.0.kinds.1", "measure.3.level", "switching.min_on_min",
        "switching.most",
    }  # fmt: skip
    assert all(p.file == str(path) for p in error.value.problems)


def test_measures_must_fit_together(tmp_path: Path) -> None:
    path = tmp_path / "measures.toml"
    text = SHIPPED.replace('name = "avoid"', 'name = "shift"').replace(
        "rounds = [4]", "rounds = [3]"
    )
    text = text.replace("[20.0, 10.0, 5.0]", "[5.0, 10.0, 20.0]")
    path.write_text(text, "utf-8")
    with pytest.raises(InputProblems) as error:
        read_measures(path)
    told = " ".join(p.allowed for p in error.value.problems)
    assert "shift stands twice" in told
    assert "rounds: 3 stands twice" in told
    assert "level_pct must fall" in told


def test_a_ledger_of_a_run_continues_with_its_last_entries(tmp_path: Path) -> None:
    path = tmp_path / "ledger.parquet"
    rows = {"now_ms": [9, 5, 9, 5], "site": [1, 1, 3, 3], "cut_kwh": [20.0, 10.0, 7.0, 8.0]}
    pq.write_table(pa.table(rows), path)
    assert read_ledger(path, 5).tolist() == [0.0, 20.0, 0.0, 7.0, 0.0]


def test_a_bad_ledger_and_a_bad_table_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("site,cut_kwh\n0,1\n9,2\n1,-3\n0,4\n", "utf-8")
    (tmp_path / "m.toml").write_text("level_pct = [20.0, 10.0, 5.0]\n", "utf-8")
    section = LoadManagementSection(measures="m.toml", ledger="l.csv")
    with pytest.raises(InputProblems) as error:
        load_rules(section, tmp_path, sites=3)
    assert places(error) == [
        "measure", "switching", "fairness", "line 3, site", "line 4, cut_kwh", "line 5, site",
    ]  # fmt: skip
    (tmp_path / "l.csv").write_text("site,cut_kwh\n0,many\n", "utf-8")
    with pytest.raises(InputProblems) as error:
        read_ledger(tmp_path / "l.csv", 3)
    assert places(error) == ["line 2, cut_kwh"]
    (tmp_path / "l.parquet").write_text("no parquet", "utf-8")
    with pytest.raises(InputProblems, match="columns now_ms, site, cut_kwh"):
        read_ledger(tmp_path / "l.parquet", 3)


@pytest.mark.parametrize(
    ("mw", "level"), [(200.0, 1), (199.0, 2), (100.0, 2), (99.0, 3), (50.0, 3), (49.0, 4)]
)
def test_level_follows_the_gap(mw: float, level: int) -> None:
    assert default_rules().level_of(mw, 1000.0) == level


def test_a_cap_has_the_level_of_what_it_takes_away() -> None:
    load = np.full(1440, 700.0)
    load[16 * 60] = 950.0
    kind = OrderKind.LOAD_MANAGEMENT
    times = (0, 15 * 3_600_000, 15 * 3_600_000, 17 * 3_600_000)
    order = Order("o", 0, kind, OrderForm.CAP, 800.0, 0, *times)
    assert default_rules().gap_mw(order, load) == 150.0
    assert default_rules().level(order, 1000.0, load) == 2
    stated = Order("o", 0, kind, OrderForm.CAP, 800.0, 1, *times)
    assert default_rules().level(stated, 1000.0, load) == 1
    none = np.zeros(1440)
    calendar = Calendar(0, 0, 1, none.astype(np.int64), none, none, load)
    assert level_notes([order], calendar, 1000.0) == []
    (note,) = level_notes([stated], calendar, 1000.0)
    assert "level I holds; its gap of 150 MW (15.0 %) is one of level II" in note
