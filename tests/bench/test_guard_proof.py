"""What proves that a device is at its safe state, and what does not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from hil.bench.clock import Clock
from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.journal import Journal, read_journal
from hil.bench.line import Line, Speaking
from hil.bench.proof import prove, read_once, safe_power_kw
from hil.bench.provable import unprovable
from hil.registers.codec import encode
from hil.registers.files import shipped_maps
from hil.registers.schema import RegisterMap
from hil.testbed.stage import Stage
from tests.bench.sloppy import SloppyLine, TestClock

RATED_KW = 250.0


def device_of(
    one: RegisterMap, line: Speaking, folder: Path, clock: Clock,
    safe_state: Mapping[str, float] | None = None,
) -> BenchDevice:  # fmt: skip
    return BenchDevice(
        "one", one.kind, one, line, Envelope(-RATED_KW, RATED_KW), Journal(folder / "j.jsonl"),
        clock, rated_kw=RATED_KW, safe_state=safe_state,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["storage-own", "storage-sunspec-1xx", "storage-sunspec-7xx", "solar-sunspec-7xx",
     "charging-post", "aircon-chiller"],
)  # fmt: skip
def test_what_a_safe_state_does_is_proven(name: str, tmp_path: Path) -> None:
    with Stage(shipped_maps()[name].kind, name) as stage, Line(stage.spec) as line:
        device = device_of(stage.map, line, tmp_path, stage.clock)
        assert not unprovable(device.meanings, device.safe_state)
        ordered = "power_kw" if device.kind == "storage" else "limit_kw"
        if ordered in device.meanings.commands:
            assert all(w.accepted for w in device.command(ordered, 0.4 * RATED_KW))
            stage.clock.sleep(10.0)
            assert not read_once(device, math.inf).safe
        device.to_safe_state("test")
        proof = prove(device, stage.clock, math.inf, 60.0, 1.0)
        assert proof.safe, proof.why
    last = list(read_journal(tmp_path / "j.jsonl"))[-1]
    assert (last["entry"], last["proven"]) == ("read_back", True)
    assert last["values"] == dict(proof.values)


class Faked:
    """A battery in memory, at its safe state as far as its registers say."""

    def __init__(self, folder: Path, name: str = "storage-own", **safe_state: float) -> None:
        self.map = shipped_maps()[name]
        self.line = SloppyLine(self.map)
        self.clock = TestClock()
        self.device = device_of(
            self.map, self.line, folder, self.clock, safe_state or {"set_power_kw": 0.0}
        )

    def show(self, **values: float) -> None:
        for name, value in values.items():
            point = self.map.point(name)
            for i, word in enumerate(encode(point, self.map.order, value)):
                self.line.words[point.table, point.address + i] = word


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ({}, ""),
        ({"power_kw": 4.9}, ""),
        ({"power_kw": 5.1}, "it shows 5.1 kW, not 0 kW (+- 5)"),
        ({"power_kw": -80.0}, "it shows -80 kW"),
        ({"set_power_kw": 100.0}, "set_power_kw shows 100, not 0"),
    ],
)
def test_power_and_set_points_must_agree(tmp_path: Path, shown: dict[str, float], why: str) -> None:
    one = Faked(tmp_path)
    one.show(**shown)
    proof = read_once(one.device, math.inf)
    assert proof.safe == (why == "")
    assert proof.why.startswith(why)


def test_one_reading_proves_nothing(tmp_path: Path) -> None:
    one = Faked(tmp_path)
    one.show(power_kw=50.0)
    sleeps = []

    def sleep(seconds: float) -> None:
        """It swings: 50, 0, 50, 0, ... kW."""
        sleeps.append(seconds)
        one.clock.time_s += seconds
        one.show(power_kw=50.0 * (len(sleeps) % 2 == 0))

    clock = TestClock()
    clock.now_s, clock.sleep = one.clock.now_s, sleep  # type: ignore[method-assign]
    proof = prove(one.device, clock, math.inf, 3.0, 0.5)
    assert not proof.safe
    assert len(sleeps) == 6


def test_what_cannot_be_read_is_not_waited_for(tmp_path: Path) -> None:
    one = Faked(tmp_path)
    one.line.down = True
    proof = prove(one.device, one.clock, math.inf, 60.0, 1.0)
    assert not proof.safe
    assert "cut" in proof.why
    assert one.clock.time_s == 0.0


def test_a_device_given_back_must_say_so(tmp_path: Path) -> None:
    one = Faked(tmp_path, set_release=1.0)
    one.show(power_kw=-80.0)  # what its owner does is the owner's affair
    assert read_once(one.device, math.inf).safe
    one.show(remote=1.0)
    assert "owner's control" in read_once(one.device, math.inf).why


def test_a_cap_bounds_one_side(tmp_path: Path) -> None:
    one = Faked(tmp_path, "charging-own", set_limit_kw=100.0)
    assert safe_power_kw(one.device) == (-100.0, math.inf)
    one.show(set_limit_kw=100.0, power_kw=-60.0)
    assert read_once(one.device, math.inf).safe
    one.show(power_kw=-110.0)
    assert "-110 kW, not -100 or more kW" in read_once(one.device, math.inf).why


def test_what_nothing_shows_is_said_before(tmp_path: Path) -> None:
    one = shipped_maps()["storage-own"]
    blind = one.model_copy(
        update={"points": tuple(p for p in one.points if p.name not in ("remote", "flag_remote"))}
    )
    device = device_of(blind, SloppyLine(blind), tmp_path, TestClock(), {"set_release": 1.0})
    assert unprovable(device.meanings, device.safe_state) == ["set_release"]
