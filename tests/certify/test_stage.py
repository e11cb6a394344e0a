from __future__ import annotations

import socket
import time

import pytest

from hil.bench.errors import Refused
from hil.bench.line import Line
from hil.bench.meanings import to_twin
from hil.registers.codec import decode
from hil.testbed.stage import Stage
from twin.assets import KINDS
from twin.assets.manners import Manner
from twin.errors import InputProblems

HALF_KW, HALF_WORDS = 125.0, [0, 1250]


def shown_kw(stage: Stage, line: Line) -> float:
    point = next(
        p for p in stage.map.points if p.source is not None and p.source.point == "power_kw"
    )
    value = decode(point, stage.map.order, line.read(point.table, point.address, point.width))
    return to_twin(point, float(value), stage.nameplate["rated_kw"])


def test_two_hours_of_charging_take_some_wall_seconds() -> None:
    with Stage("storage", state={"soc": 0.1}) as stage, Line(stage.spec) as line:
        line.write("holding", 0, [0xFFFF, 0x10000 - 1250])
        begun_s, before = time.monotonic(), stage.meter.energy_kwh().from_grid.value
        stage.clock.sleep(7_200.0)
        assert time.monotonic() - begun_s < 5.0
        assert stage.clock.now_s() == 7_201.0  # one second to settle in
        drawn = stage.meter.energy_kwh().from_grid.value - before
        # An hour after the last write the owner has it back: what it draws then is his affair.
        assert drawn > HALF_KW
        charged = line.read("input", 4, 2)
        assert 0.1 * (charged[0] << 16 | charged[1]) == pytest.approx(drawn, abs=0.6)


def test_a_write_is_in_force_a_second_later_and_not_before() -> None:
    with Stage("storage") as stage, Line(stage.spec) as line:
        before = stage.meter.power_kw().value
        line.write("holding", 0, HALF_WORDS)
        assert line.read("holding", 0, 2) == HALF_WORDS
        assert stage.meter.power_kw().value == before
        stage.clock.sleep(0.4)
        stage.clock.sleep(0.4)
        assert stage.meter.power_kw().value == before
        stage.clock.sleep(0.4)  # parts of a second add up
        assert stage.meter.power_kw().value != before
        stage.clock.sleep(-5.0)
        assert stage.clock.now_s() == pytest.approx(2.2)
        stage.clock.sleep(10.0)
        assert stage.meter.power_kw().value == pytest.approx(HALF_KW)
        assert stage.meter.power_kw().at_s == stage.clock.now_s()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_what_its_meter_says(kind: str) -> None:
    with Stage(kind, seed=3) as stage, Line(stage.spec) as line:
        stage.clock.sleep(120.0)
        true_kw = stage.meter.power_kw().value
        slack = 0.01 * stage.nameplate["rated_kw"] + 0.1  # class error and the register's step
        assert shown_kw(stage, line) == pytest.approx(true_kw, abs=slack)
        assert stage.source is None


def test_a_device_is_the_same_on_every_line() -> None:
    seen = []
    for transport in ("tcp", "tls", "rtu"):
        with Stage("storage", seed=5, transport=transport) as stage, Line(stage.spec) as line:
            line.write("holding", 0, HALF_WORDS)
            stage.clock.sleep(90.0)
            seen.append(line.read("input", 0, 16))
            assert stage.spec.transport == transport
    assert seen[0] == seen[1] == seen[2]


def test_chance_is_the_seeds() -> None:
    def readings(seed: int) -> list[int]:
        with Stage("storage", seed=seed) as stage, Line(stage.spec) as line:
            stage.clock.sleep(300.0)
            return line.read("input", 0, 16)

    assert readings(1) == readings(1) != readings(2)


def test_it_behaves_as_its_manner_says() -> None:
    local = Stage("storage", manner=Manner(local=True))
    with local, Line(local.spec) as line, pytest.raises(Refused, match="exception 4"):
        line.write("holding", 0, HALF_WORDS)
    with Stage("storage", unit=9) as stage, Line(stage.spec) as line:
        assert stage.spec.unit == 9
        assert line.read("input", 256, 2) == [0, 2500]


def test_time_passes_by_itself_where_somebody_brings_a_clock() -> None:
    with Stage("storage") as stage, stage.live(200.0), Line(stage.spec) as line:
        line.write("holding", 0, HALF_WORDS)
        end_s = time.monotonic() + 5.0
        while stage.meter.power_kw().value != pytest.approx(HALF_KW):
            assert time.monotonic() < end_s
            time.sleep(0.02)


def test_nothing_listens_afterwards() -> None:
    with Stage("storage") as stage:
        spec = stage.spec
    with pytest.raises(RuntimeError, match="inside its with"):
        _ = stage.spec
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((spec.host, spec.port), 1.0)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: Stage("storag"), "storag.*allowed.*did you mean storage"),
        (lambda: Stage("storage", "storage-owm"), "storage-owm: map: not found"),
        (lambda: Stage("storage", "solar-own"), "solar-own is of solar.*storage-sunspec-7xx"),
        (lambda: Stage("storage", nameplate={"rated": 1.0}), "rated: unknown.*rated_kw"),
    ],
)  # fmt: skip
def test_a_stage_that_cannot_be_set(made: object, told: str) -> None:
    with pytest.raises(InputProblems, match=told):
        made()  # type: ignore[operator]
