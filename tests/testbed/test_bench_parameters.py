"""A bench device's twin takes what `hil fit` found, at its own size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hil.bench.files import load_bench
from hil.bench.fit.parameters import Parameter, new_station
from hil.bench.journal import read_journal
from hil.testbed.bench_setup import Bench as BenchPlan
from hil.testbed.bench_setup import standing
from hil.testbed.fitted import at_size, take
from hil.testbed.stage import Stage
from hil.testbed.stage_world import alone
from tests.testbed.real import RATED_KW, ROW, SCALE, bench_toml
from tests.testbed.world import Bench, bench, ready
from twin.assets.storage import Storage
from twin.engine.simulation import Simulation
from twin.errors import InputProblems
from twin.kernels import battery

DEVICE = f"storage-{ROW:05d}"
PLATE = {"rated_kw": RATED_KW, "capacity_kwh": 150.0}
FITTED = {
    "charge_kah": 50.0, "resistance_v_per_ka": 1.5, "no_load": 0.004, "linear": 0.002,
    "square": 0.02, "pcs_ramp_per_s": 1.0, "auxiliary_standby": 0.005,
}  # fmt: skip
SHARED = ("pcs_ramp_per_s", "auxiliary_standby")


def entries() -> dict[str, Parameter]:
    return {n: Parameter(v, "1", "a test", "D") for n, v in FITTED.items()}


@pytest.fixture(scope="module")
def here() -> Iterator[Bench]:
    with bench(ready("first-contact", "wire.maps={storage={storage-own=1.0}}")) as found:
        yield found


def plan(folder: Path, stage: Stage, here: Bench, fitted: str, replaces: str = DEVICE) -> BenchPlan:
    """Return a dry bench with one device, checked; `fitted` is what its parameters file says."""
    (folder / "fit").mkdir()
    (folder / "fit" / "parameters.toml").write_text(fitted)
    text = bench_toml(stage, 'parameters = "fit/parameters.toml"', replaces)
    (folder / "bench.toml").write_text(text)
    found = BenchPlan(load_bench(folder / "bench.toml"), dry=True, out=folder)
    found.check(here.prepared, 1.0, here.served.field.places)
    return found


def station_of(run: Simulation) -> Storage:
    kind = run.kinds["storage"]
    assert isinstance(kind, Storage)
    return kind


def test_the_twin_in_the_city_takes_them_and_the_others_stay(here: Bench, tmp_path: Path) -> None:
    toml = "\n".join(p.toml(n) for n, p in entries().items())
    kind = station_of(here.run)
    before, constants = kind.plate.copy(), kind.constants.copy()
    with Stage("storage", "storage-own", nameplate=PLATE) as stage:
        checked = plan(tmp_path, stage, here, toml)
        with standing(checked, here.prepared, here.served.field, 1.0):
            took = dict(zip(battery.PLATE_ROWS, kind.plate[:, ROW], strict=True))
    assert took["charge_kah"] == pytest.approx(SCALE * 50.0)
    assert took["resistance_v_per_ka"] == pytest.approx(1.5 / SCALE)
    assert (took["no_load"], took["linear"], took["square"]) == (0.004, 0.002, 0.02)
    assert kind.true_kwh[ROW] == pytest.approx(SCALE * 50.0 * 3.2)
    others = np.arange(kind.n) != ROW
    np.testing.assert_array_equal(kind.plate[:, others], before[:, others])
    np.testing.assert_array_equal(kind.constants, constants)  # which all stations share
    (note,) = (
        e for e in read_journal(tmp_path / "bench.jsonl")
        if e.get("text") == "its twin takes fitted parameters"
    )  # fmt: skip
    assert note["parameters"]["charge_kah"] == pytest.approx(SCALE * 50.0)
    assert sorted(note["left"]) == sorted(SHARED)


@pytest.mark.parametrize(
    ("fitted", "said"),
    [
        ("charge_kha = 3", "unknown parameter"),
        ("[no_load]\nvalue = -1.0\nsource = 's'\ngrade = 'D'", "0 or more"),
        ("no_load = = 3", "TOML"),
    ],
)
def test_a_file_that_is_none_is_told_before_anything_is_opened(
    here: Bench, tmp_path: Path, fitted: str, said: str
) -> None:
    with (
        Stage("storage", "storage-own", nameplate=PLATE) as stage,
        pytest.raises(InputProblems, match=said) as found,
    ):
        plan(tmp_path, stage, here, fitted)
    assert "parameters.toml" in str(found.value)


def test_physics_is_taken_by_storage_only(here: Bench, tmp_path: Path) -> None:
    with (
        Stage("terminal") as stage,
        pytest.raises(InputProblems, match="fitted for storage only"),
    ):
        plan(tmp_path, stage, here, "", "terminal-00000")


def test_at_another_size_a_station_does_the_same_for_its_rating() -> None:
    """Ten stations side by side: the same SOC and the tenfold power, hour for hour."""
    found = []
    for factor in (1.0, 10.0):
        plate = {"rated_kw": 100.0 * factor, "capacity_kwh": 200.0 * factor}
        run = alone(Storage, plate, 1, 0)
        kind = station_of(run)
        assert take(kind, 0, at_size(new_station(200.0), factor)) == []
        kind.state["soc"] = 0.8
        run.run(2 * 3_600_000)
        found.append((float(kind.state["soc"][0]), float(kind.power_kw[0]) / factor))
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert found[0][0] != 0.8
