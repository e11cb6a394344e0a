"""Parameters of the twin from a recording: near the truth, with residuals, honest about limits."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hil.bench.fit.figures import Figure, solve
from hil.bench.fit.orders import Orders, orders_of
from hil.bench.fit.outcome import Fit, fit_recording, report, write_fit
from hil.bench.fit.parameters import load_parameters
from hil.bench.fit.quantities import Quantity, longest_stretch
from hil.bench.fit.response import response_of
from hil.bench.recording import Block, RecordedWrite, Recording
from hil.registers.files import load_map
from hil.testbed.fitted import held_against, take
from hil.testbed.stage_world import alone
from tests.bench.fit_world import CAPACITY_KWH, RATED_KW, Truth, recorded
from twin.assets.storage import Storage
from twin.city.own_files import fleet_problems
from twin.errors import InputProblems
from twin.kernels import battery

# The device's own SOC may err by 2 % of its range (class of the twin's sensor): that goes into
# the capacity. Losses are fitted on what one recording of two hours shows of them.
CAPACITY, LOSS = 0.02, 0.006


@cache
def fitted() -> tuple[Fit, Recording, Truth]:
    recording, _, truth = recorded("storage-own")
    fit = fit_recording(recording, "storage", "fitted", "a recording")
    held_against(recording, fit)
    return fit, recording, truth


def figures() -> dict[str, Figure]:
    return {f.name: f for f in fitted()[0].figures()}


def test_capacity_and_losses_are_near_the_truth() -> None:
    found, (_, _, truth) = figures(), fitted()
    capacity = found["capacity_kwh"]
    assert capacity.told
    assert capacity.value == pytest.approx(truth.capacity_kwh, rel=CAPACITY)
    assert 0.0 < capacity.plus_minus < 0.02 * capacity.value
    # What is lost at rating, auxiliaries and cells included (twin/kernels/battery.py).
    cells = truth.resistance * RATED_KW / 3.28**2
    loss = 0.003 + 0.010 + truth.no_load + 0.0025 + truth.square + cells
    assert 1.0 - found["one_way_efficiency"].value == pytest.approx(loss, abs=LOSS)
    assert found["standing_loss_kw"].value == pytest.approx(0.003 * RATED_KW, rel=0.1)


def test_the_answer_to_orders_is_a_ramp_with_no_dead_time() -> None:
    fit, _, truth = fitted()
    assert fit.response is not None
    assert fit.response.form == "ramp"
    delay, ramp = fit.response.figures
    assert ramp.value == pytest.approx(truth.ramp_kw_s, rel=0.02)
    assert delay.value <= delay.plus_minus
    assert delay.plus_minus >= 0.5 * fit.response.sampling_s
    assert fit.response.rms_kw < 0.1 * fit.response.other_rms_kw


def test_residuals_are_in_the_output() -> None:
    fit, _, _ = fitted()
    assert fit.storage is not None
    assert 0.0 < fit.storage.soc_rms < 0.002
    left = fit.replay
    assert left["power_rms_kw"] < 0.01 * RATED_KW
    assert left["soc_rms"] < 0.002
    assert left["balance_soc_rms"] < 0.002
    # A new station by its nameplate is further off: this one has aged.
    assert left["soc_rms"] < 0.2 * left["plain_soc_rms"]
    told = {p: fit.parameters[p] for p in ("charge_kah", "no_load", "square")}
    assert all(p.plus_minus > 0.0 for p in told.values())


def test_files_load_where_they_are_meant_to(tmp_path: Path) -> None:
    fit, _, truth = fitted()
    files = {p.name: p for p in write_fit(fit, tmp_path / "out", "3")}
    assert set(files) == {"fitted.json", "fit.json", "fleet.csv", "parameters.toml"}
    assert load_map(files["fitted.json"]) == fit.map.map
    assert fleet_problems(files["fleet.csv"], None, 5) == []
    assert "storage,3,250,522" in files["fleet.csv"].read_text("utf-8")
    told = json.loads(files["fit.json"].read_text("utf-8"))
    assert told["residuals"]["soc_rms"] > 0.0
    assert told["not_told"]
    parameters = load_parameters(files["parameters.toml"])
    assert parameters["charge_kah"].value * 3.2 == pytest.approx(truth.capacity_kwh, rel=CAPACITY)
    assert all(p.grade == "D" and p.source for p in parameters.values())


def test_a_fleet_file_says_what_it_lacks(tmp_path: Path) -> None:
    recording, _, _ = recorded("storage-own")
    rated = {"rated_kw": RATED_KW, "heartbeat_s": 10.0}
    fit = fit_recording(dataclasses.replace(recording, nameplate=rated), "storage", "x", "r")
    held_against(recording, fit)
    write_fit(fit, tmp_path, "0")
    header, row = (tmp_path / "fleet.csv").read_text("utf-8").splitlines()
    assert any("its scale is a guess" in doubt for doubt in fit.map.doubts["soc"])
    assert header == "kind,site,rated_kw,capacity_kwh"
    assert fit.storage is not None
    assert float(row.split(",")[3]) == pytest.approx(fit.storage.value("capacity_kwh"), rel=1e-3)
    bare = fit_recording(dataclasses.replace(recording, nameplate={}), "storage", "x", "r")
    write_fit(bare, tmp_path, "0")
    told = json.loads((tmp_path / "fit.json").read_text("utf-8"))["not_told"]
    assert "fleet.csv is not whole: the nameplate lacks rated_kw, capacity_kwh" in told


def test_a_station_among_others_takes_what_is_its_own() -> None:
    fit = fitted()[0]
    plate = {"rated_kw": RATED_KW, "capacity_kwh": CAPACITY_KWH}
    kind = alone(Storage, plate, 1, 36_000_000).kinds["storage"]
    assert isinstance(kind, Storage)
    assert take(kind, 0, fit.parameters) == []
    assert kind.true_kwh[0] == pytest.approx(fit.parameters["charge_kah"].value * 3.2)
    assert kind.constants[battery.RAMP] == fit.parameters["pcs_ramp_per_s"].value
    kind.n = 2
    assert take(kind, 0, fit.parameters) == ["auxiliary_standby", "pcs_ramp_per_s"]


# -- what a recording does not show ----------------------------------------------------------------


def test_without_power_or_charge_the_physics_is_not_told() -> None:
    recording, _, _ = recorded("storage-own")
    fit = fit_recording(
        dataclasses.replace(recording, references={}), "storage", "x", "a recording"
    )
    assert fit.figures() == []
    assert any("no power was recorded" in text for text in fit.untold)
    held_against(recording, fit)
    assert fit.replay == {}
    short = dataclasses.replace(
        recording,
        blocks=[
            dataclasses.replace(b, time_s=b.time_s[:70], words=b.words[:70])
            for b in recording.blocks
        ],
    )
    found = fit_recording(short, "storage", "x", "a recording")
    capacity = next((f for f in found.figures() if f.name == "capacity_kwh"), None)
    assert capacity is None or not capacity.told
    assert "charge_kah" not in found.parameters


def _damaged(how: str, one: Recording) -> Recording:
    """Return a recording that no careful person would hand in."""
    time_s, power = one.references["power_kw"]
    change: dict[str, object] = {
        "no rating": {"nameplate": {"rated_kw": 0.0}},
        "milliwatts": {"references": {"power_kw": (time_s, 1e-6 * power)}},
        "times twice": {"references": {"power_kw": (np.floor(time_s / 7.0) * 7.0, power)}},
        "one sample": {"references": {"power_kw": (time_s[:1], power[:1])}},
        "dead meter": {"references": {"power_kw": (time_s, 0.0 * power)}},
        "turned meter": {"references": {"power_kw": (time_s, -power)}},
        "dead registers": {
            "blocks": [dataclasses.replace(b, words=0 * b.words) for b in one.blocks]
        },
        "three readings": {
            "blocks": [
                dataclasses.replace(b, time_s=b.time_s[:3], words=b.words[:3]) for b in one.blocks
            ]
        },
    }[how]
    assert isinstance(change, dict)
    return dataclasses.replace(one, **change)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("no rating", False), ("milliwatts", True), ("times twice", True), ("one sample", True),
        ("dead meter", True), ("turned meter", True), ("dead registers", True),
        ("three readings", True),
    ],
)  # fmt: skip
def test_a_recording_that_is_no_good_ends_in_words(how: str, told: bool) -> None:
    recording = _damaged(how, recorded("storage-own")[0])
    if not told:
        with pytest.raises(InputProblems):
            fit_recording(recording, "storage", "x", "a recording")
        return
    fit = fit_recording(recording, "storage", "x", "a recording")
    held_against(recording, fit)
    assert fit.untold
    text = json.dumps(report(fit), allow_nan=False)
    assert "not_told" in text
    if how in ("one sample", "dead meter", "three readings"):
        assert "charge_kah" not in fit.parameters
    if how == "turned meter":
        power = fit.map.map.point("power_kw").source
        assert power is not None
        assert power.gain == -1.0


def test_without_orders_the_answer_to_them_is_not_told() -> None:
    recording, _, _ = recorded("storage-own")
    blocks = [b for b in recording.blocks if b.table != "holding"]
    watched = dataclasses.replace(recording, writes=[], blocks=blocks)
    fit = fit_recording(watched, "storage", "x", "a recording")
    assert fit.response is None
    assert any("no orders that power followed" in text for text in fit.untold)
    assert fit.storage is not None
    assert math.isfinite(fit.storage.value("capacity_kwh"))


def _answer(shape: str, dead_s: float, speed: float, every_s: float) -> tuple[Orders, Quantity]:
    """Return orders of -80 .. 80 kW and a power that follows them."""
    chance = np.random.Generator(np.random.PCG64(3))
    moments = np.arange(0.0, 600.0, 60.0)
    levels = np.array([80.0, -80.0, 20.0, 60.0, -40.0, 0.0, 80.0, -60.0, 40.0, -80.0])
    time_s = np.arange(0.0, 600.0, every_s)
    power, here = np.zeros(len(time_s)), 0.0
    for start, level in zip(moments, levels, strict=True):
        mine = (time_s > start) & (time_s <= start + 60.0)
        gone = np.maximum(time_s[mine] - start - dead_s, 0.0)
        if shape == "lag":
            power[mine] = level - (level - here) * np.exp(-gone / speed)
        else:
            way = level - here
            power[mine] = here + np.sign(way) * np.minimum(speed * gone, abs(way))
        here = level
    power += chance.normal(0.0, 0.1, len(power))
    writes = [
        RecordedWrite(float(t), "holding", 7, (int(v) % 65536,))
        for t, v in zip(moments, levels, strict=True)
    ]
    quantity = Quantity("power_kw", "kW", time_s, power, "reference")
    orders = orders_of(Recording(writes=writes), quantity, 80.0)
    assert orders is not None
    return orders, quantity


@pytest.mark.parametrize(
    ("shape", "dead_s", "speed"), [("ramp", 1.5, 8.0), ("lag", 2.0, 3.0), ("ramp", 0.0, 20.0)]
)
def test_form_dead_time_and_speed_are_told_apart(shape: str, dead_s: float, speed: float) -> None:
    found = response_of(*_answer(shape, dead_s, speed, 0.5))
    assert found.form == shape
    assert found.figures[0].value == pytest.approx(dead_s, abs=found.figures[0].plus_minus)
    assert found.figures[1].value == pytest.approx(speed, rel=0.03)
    assert abs(found.figures[1].value - speed) <= 3.0 * found.figures[1].plus_minus


def test_samples_of_one_moment_are_no_finer_sampling() -> None:
    orders, power = _answer("ramp", 0.0, 1e4, 1.0)
    coarse = dataclasses.replace(power, time_s=np.floor(power.time_s / 7.0) * 7.0)
    found = response_of(orders, coarse)
    assert found.sampling_s == pytest.approx(7.0)
    assert not found.figures[1].told
    same = dataclasses.replace(power, time_s=np.zeros(len(power.time_s)))
    assert response_of(orders, same).form == ""


def test_a_ramp_faster_than_the_sampling_is_not_told() -> None:
    found = response_of(*_answer("ramp", 0.0, 1e4, 1.0))
    assert not found.figures[1].told
    told = re.search(r"at least (\S+) kW/s", found.figures[1].note)
    assert told is not None
    assert float(told[1]) == pytest.approx(160.0, abs=0.5)  # within one second, and noise
    slow = response_of(*_answer("ramp", 0.0, 10.0, 11.0))
    assert not slow.figures[0].told
    assert slow.steps == 0


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """95 % of 200 straight lines in noise, within what chance allows (binomial, 3 sigma)."""
    chance = np.random.Generator(np.random.PCG64(11))
    x = np.linspace(0.0, 1.0, 30)
    inside = 0
    for _ in range(200):
        y = 2.0 + 3.0 * x + chance.normal(0.0, 0.2, len(x))
        found = solve(lambda p, y=y: p[0] + p[1] * x - y, [(1.0, 1.0)], (-9.0, -9.0), (9.0, 9.0))
        inside += abs(found.values[1] - 3.0) <= found.plus_minus[1]
    assert 0.90 * 200 <= inside <= 200


def test_a_blind_parameter_has_no_interval() -> None:
    found = solve(lambda p: np.array([p[0] - 1.0, p[0] - 1.1]), [(0.5, 0.5)], (0, 0), (2, 2))
    assert math.isnan(found.plus_minus[1])
    assert not Figure("x", "", 1.0, 2.0, "").told
    assert "not told (why)" in str(Figure("x", "", math.nan, math.nan, "why"))


# -- parameter files -------------------------------------------------------------------------------


def test_everything_wrong_with_parameters_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(
        '[charge_kha]\nvalue = 1.0\nsource = "x"\ngrade = "D"\n'
        '[linear]\nvalue = -1.0\nsource = "x"\ngrade = "D"\n'
        '[square]\nvalue = 1.0\nsource = "x"\ngrade = "E"\n'
        "[no_load]\nvalue = 1.0\n",
        "utf-8",
    )
    with pytest.raises(InputProblems) as caught:
        load_parameters(path)
    said = str(caught.value)
    assert len(caught.value.problems) == 4
    for words in ("charge_kah", "0 or more", "grade 'E'", "value, source and grade"):
        assert words in said
    path.write_text("= 3", "utf-8")
    with pytest.raises(InputProblems, match="TOML"):
        load_parameters(path)
    with pytest.raises(InputProblems, match="No such file"):
        load_parameters(tmp_path / "none.toml")


def test_a_gap_is_not_counted_over() -> None:
    """Ten minutes that nobody recorded: counters and charge are held to the longer side of it."""
    recording, _, truth = recorded("storage-own")

    def cut(time_s: np.ndarray) -> np.ndarray:
        return (time_s < 500.0) | (time_s > 1100.0)

    time_s, power = recording.references["power_kw"]
    gapped = dataclasses.replace(
        recording,
        references={"power_kw": (time_s[cut(time_s)], power[cut(time_s)])},
        blocks=[
            dataclasses.replace(b, time_s=b.time_s[cut(b.time_s)], words=b.words[cut(b.time_s)])
            for b in recording.blocks
        ],
    )
    whole = longest_stretch(gapped.references["power_kw"][0])
    assert gapped.references["power_kw"][0][whole][0] > 1100.0
    fit = fit_recording(gapped, "storage", "x", "a recording")
    assert any("longest stretch" in text for text in fit.untold)
    assert {m.quantity.name for m in fit.map.matches} >= {"soc", "charged_today_kwh"}
    assert fit.storage is not None
    assert fit.storage.value("capacity_kwh") == pytest.approx(truth.capacity_kwh, rel=0.03)
    held_against(gapped, fit)
    assert fit.replay["seconds"] <= 5400.0 - 1100.0


def test_a_kind_without_a_fit_has_its_map_all_the_same() -> None:
    """An inverter in percent of its rating, in single registers."""
    time_s = np.arange(0.0, 600.0, 2.0)
    power = 125.0 + 100.0 * np.sin(time_s / 40.0)
    words = np.stack([np.round(power / 250.0 * 1000.0), np.full(len(time_s), 2500.0)], axis=1)
    recording = Recording(
        [Block("input", 30, time_s, words.astype(np.int64))],
        references={"power_kw": (time_s, power)},
        nameplate={"rated_kw": 250.0, "tilt_deg": 15.0},
    )
    fit = fit_recording(recording, "solar", "pv", "a recording")
    point = fit.map.map.point("power_kw")
    assert (point.unit, point.scale, point.address) == ("%", 0.1, 30)
    assert point.source is not None
    assert point.source.per_rating
    assert fit.map.map.point("rated_kw").scale == 0.1
    assert any("physics of kind solar" in text for text in fit.untold)
    assert any("no point takes more than one" in text for text in fit.untold)
    assert any("tilt_deg was not found" in text for text in fit.untold)
    assert "signed or not cannot be told" in " ".join(fit.map.doubts["power_kw"])
