"""Same scenario and seed, same columns, bit for bit, whatever the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SERIES = ("city", "district", "kind")


def run_both(scenario: str, folder: Path) -> list[Path]:
    """Run a scenario with one thread and with two, side by side."""
    outs = [folder / "one", folder / "two"]
    running = []
    for threads, out in enumerate(outs, start=1):
        command = [sys.executable, "-m", "twin.cli", "run", scenario, "--out", str(out)]
        environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
        running.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
    for process in running:
        said, _ = process.communicate()
        assert process.returncode == 0, said.decode(errors="replace")
    return [out / "timeseries" for out in outs]


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
@pytest.mark.usefixtures("tiny")  # calibrated by now, so that neither run spends its time on it
def test_tiny_with_one_thread_and_with_two(tmp_path: Path) -> None:
    assert_equal(*run_both("tiny", tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_city_with_one_thread_and_with_two(tmp_path: Path) -> None:
    assert_equal(*run_both("summer-peak-2027", tmp_path))
