"""`hil run` over the wire against `twin run`: the same verdicts, the same energy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.wire.ports import free_port

HIL, TWIN = (Path(sys.executable).with_name(name) for name in ("hil", "twin"))
RATE = 60
ENERGY = 0.005  # of what was delivered (issue: 0.5 %)

pytestmark = [pytest.mark.paced, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Run both scenarios both ways; the two on the wire side by side, on ports of their own."""
    folder = tmp_path_factory.mktemp("closed")
    found = {
        (way, n): folder / f"{way}-{n}" for way in ("direct", "wire") for n in ("tiny", "district")
    }
    for name in ("tiny", "district"):
        done = subprocess.run(
            [str(TWIN), "run", name, "--out", str(found["direct", name])],
            cwd=folder, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    waiting = []
    for name in ("tiny", "district"):
        command = [
            str(HIL), "run", name, "--rate", str(RATE), "--out", str(found["wire", name]),
            "--set", f"wire.port={free_port()}",
        ]  # fmt: skip
        waiting.append(
            subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    try:
        for process in waiting:
            text, errors = process.communicate(timeout=350)
            assert process.returncode == 0, text + errors
    finally:
        for process in waiting:
            process.kill()
            process.wait()
    return found


def summary(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((path / "summary.json").read_text("utf-8"))
    return found


def delivered_mwh(path: Path) -> float:
    """Return what orders took off the load over the whole run [MWh]."""
    city = pq.read_table(path / "timeseries/city.parquet").to_pandas()
    demand = {
        str(n): rows["demand_mw"].to_numpy() for n, rows in city.groupby("run", observed=True)
    }
    taken = demand["undisturbed"] - demand["ordered"]
    return float(taken[taken > 0.0].sum()) / 60.0


@pytest.mark.parametrize("name", ["tiny", "district"])
def test_the_wire_reaches_the_verdicts_of_the_direct_run(
    runs: dict[tuple[str, str], Path], name: str
) -> None:
    direct, wire = (summary(runs[way, name]) for way in ("direct", "wire"))
    passed = [
        {(v["id"], v["order"]): v["passed"] for v in s["verdicts"]}  # type: ignore[attr-defined]
        for s in (direct, wire)
    ]
    differing = {k: (passed[0][k], passed[1][k]) for k in passed[0] if passed[0][k] != passed[1][k]}
    assert differing == {}
    assert wire["carrier"] == "wire"
    assert wire["wire"]["devices"] > 400  # type: ignore[index]


@pytest.mark.parametrize("name", ["tiny", "district"])
def test_the_wire_delivers_the_energy_of_the_direct_run(
    runs: dict[tuple[str, str], Path], name: str
) -> None:
    direct, wire = (delivered_mwh(runs[way, name]) for way in ("direct", "wire"))
    assert direct > 1.0
    assert wire == pytest.approx(direct, rel=ENERGY)


def test_the_command_log_replays_bit_for_bit(runs: dict[tuple[str, str], Path]) -> None:
    done = subprocess.run(
        [str(HIL), "replay", str(runs["wire", "tiny"])],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit for bit" in done.stdout
