"""Runs from the command line: a city of the user's own, and runs that break off."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

LOGIC = """
import os
import signal

from twin.clock import parse_time_of_day
from twin.control.platform import Platform


class Broken(Platform):
    def digest(self, now_ms, readings, notices):
        if now_ms >= parse_time_of_day("13:20"):
            raise ValueError("no such mood")
        return super().digest(now_ms, readings, notices)


class Tired(Platform):
    def digest(self, now_ms, readings, notices):
        if now_ms >= parse_time_of_day("13:03"):
            os.kill(os.getpid(), signal.SIGTERM)
        return super().digest(now_ms, readings, notices)


class Stopped(Platform):
    def digest(self, now_ms, readings, notices):
        if now_ms >= parse_time_of_day("13:15"):
            raise KeyboardInterrupt
        return super().digest(now_ms, readings, notices)
"""


def summary(directory: Path) -> dict[str, Any]:
    found = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@pytest.fixture
def logic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's, in the folder in which the command is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "moods", raising=False)
    (tmp_path / "moods.py").write_text(LOGIC, encoding="utf-8")
    return "moods"


def test_a_city_of_the_users_own_runs_to_its_page(twin: Any, own_city: Path) -> None:
    out = own_city.parent / "run"
    said = twin("run", own_city, "--out", out)
    assert said.status == 0, said.err
    found = summary(out)
    assert found["complete"] is True
    assert found["max_load_mw"] == pytest.approx(3.0, rel=1e-3)
    assert (found["sites"], found["buses"], found["branches"]) == (3, 4, 3)
    assert found["devices"]["storage"] == 1
    notes = "\n".join(found["warnings"])
    for name in ("sites.csv", "fleet.csv", "load.csv", "net.json", "weather.epw, 01-01"):
        assert name in notes
    table = pq.read_table(out / "timeseries" / "city.parquet").to_pandas()
    ordered = table[table["run"] == "ordered"]
    assert len(ordered) == 30
    assert (ordered["converged"] == 1.0).all()
    assert (ordered["plant_mw"] == 0.0).all()  # the network has none, whatever the city's supply
    np.testing.assert_allclose(ordered["import_mw"], ordered["load_mw"])
    # 13:00 to 13:30 of the file's day: 30 + 4 cos(pi (t - 15 h) / 12 h)
    assert ordered["temperature_c"].between(33.4, 33.8).all()
    assert ordered["v10_min"].min() > 0.95
    assert (out / "report.html").stat().st_size > 100_000
    assert max(len(line) for line in said.out.splitlines() if "page:" not in line) <= 80
    for verdict in found["verdicts"]:
        assert f" {verdict['id']} " in said.out
    failed = any(v["passed"] is False for v in found["verdicts"])
    strict = twin("run", own_city, "--out", out, "--strict", "--lang", "zh")
    assert strict.status == (1 if failed else 0)


def test_an_error_in_the_logic_names_its_line(twin: Any, own_city: Path, logic: str) -> None:
    out = own_city.parent / "broken"
    line = 1 + LOGIC.splitlines().index('            raise ValueError("no such mood")')
    said = twin("run", own_city, "--out", out, "--logic", f"{logic}:Broken")
    assert said.status == 3
    assert f"moods.py, line {line}, in digest" in said.err
    assert "ValueError: no such mood" in said.err
    assert "Traceback" not in said.err
    found = summary(out)
    assert found["complete"] is False
    assert "no such mood" in found["reason"]
    debug = twin("run", own_city, "--out", out, "--logic", f"{logic}:Broken", "--debug")
    assert debug.status == 3
    assert "Traceback (most recent call last)" in debug.err
    assert "simulation.py" in debug.err


@pytest.mark.parametrize(
    ("name", "last", "minutes"), [("Tired", "undisturbed", 3), ("Stopped", "ordered", 15)]
)
def test_an_interrupted_run_keeps_its_part(
    twin: Any, own_city: Path, logic: str, name: str, last: str, minutes: int
) -> None:
    out = own_city.parent / name
    said = twin("run", own_city, "--out", out, "--logic", f"{logic}:{name}")
    assert said.status == 3
    assert "interrupted" in said.err
    found = summary(out)
    assert found["complete"] is False
    assert found["reason"].startswith("interrupted")
    table = pq.read_table(out / "timeseries" / "city.parquet").to_pandas()
    assert (table["run"] == last).sum() == minutes
    assert table["load_mw"].between(1.0, 4.0).all()
    assert not list(out.rglob("*.part"))
    assert not (out / "report.html").exists()


def test_an_interruption_of_the_calibration_is_told(
    twin: Any, own_city: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(built: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("twin.run.calibrated", stop)
    out = own_city.parent / "early"
    said = twin("run", own_city, "--out", out)
    assert said.status == 3
    assert summary(out)["reason"] == "interrupted"
    assert (out / "scenario.toml").is_file()


def test_an_interruption_before_the_run_leaves_nothing(
    twin: Any, own_city: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(scenario: object, path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("twin.run.build", stop)
    out = own_city.parent / "never"
    said = twin("run", own_city, "--out", out)
    assert said.status == 3
    assert "before the run began" in said.err
    assert not out.exists()
