"""Same scenario and seed, same columns, bit for bit, whatever the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SERIES = ("city", "district", "kind")


def run(scenario: str, out: Path, threads: int) -> Path:
    command = [sys.executable, "-m", "twin.cli", "run", scenario, "--out", str(out)]
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return out / "timeseries"


def assert_equal(one: Path, two: Path) -> None:
    for name in SERIES:
        here, there = pq.read_table(one / f"{name}.parquet"), pq.read_table(two / f"{name}.parquet")
        assert here.num_rows > 0
        assert here.column_names == there.column_names
        for column in here.column_names:
            left, right = here.column(column).to_numpy(), there.column(column).to_numpy()
            # Floats through their bytes: NaN equals NaN, and 0.0 is not -0.0.
            same = left.tobytes() == right.tobytes() if left.dtype.kind == "f" else left == right
            assert same if isinstance(same, bool) else same.all(), f"{name}.{column}"


@pytest.mark.timeout(600)
def test_tiny_with_one_thread_and_with_two(tmp_path: Path) -> None:
    assert_equal(run("tiny", tmp_path / "one", 1), run("tiny", tmp_path / "two", 2))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_city_with_one_thread_and_with_two(tmp_path: Path) -> None:
    name = "summer-peak-2027"
    assert_equal(run(name, tmp_path / "one", 1), run(name, tmp_path / "two", 2))
