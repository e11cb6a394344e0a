"""A map is told from raw registers alone: places, types, order, scale, sign, and what is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from hil.bench.fit.candidates import FORMS, Form, decoded
from hil.bench.fit.mapping import FittedMap, fit_map
from hil.bench.fit.orders import observed_writes, orders_of
from hil.bench.fit.quantities import Quantity
from hil.bench.recording import Block, RecordedWrite, Recording
from hil.registers.codec import encode
from hil.registers.schema import RegisterMap, WirePoint
from tests.bench.fit_world import RATED_KW, recorded
from twin.errors import InputProblems

SHIPPED = ("storage-own", "storage-sunspec-1xx", "storage-sunspec-7xx")
READ = ("power_kw", "soc", "charged_today_kwh", "discharged_today_kwh", "setpoint_kw", "status")


@cache
def fitted(name: str) -> tuple[FittedMap, RegisterMap]:
    recording, one, _ = recorded(name)
    return fit_map(recording, "storage", "fitted", "a recording"), one


def twin_step(point: WirePoint) -> float:
    """Return what one raw step is of the twin's value, sign included."""
    source = point.source
    assert source is not None
    return point.scale / source.gain * (RATED_KW if source.per_rating else 1.0)


def same(found: WirePoint, found_order: str, truth: RegisterMap) -> bool:
    """Return whether the true map has this point just so."""
    for point in truth.points:
        if (point.table, point.address, point.type) != (found.table, found.address, found.type):
            continue
        orders = (found.order or found_order, point.order or truth.order)
        if point.type != "f32" or point.unit == found.unit:
            assert point.source is not None
            assert found.source is not None
            return (
                point.source.point == found.source.point
                and twin_step(point) == pytest.approx(twin_step(found))
                and (orders[0] == orders[1] or point.width == 1)
            )
    return False


@pytest.mark.parametrize("name", SHIPPED)
def test_every_reading_that_is_told_is_one_that_the_device_has(name: str) -> None:
    found, truth = fitted(name)
    told = [p for p in found.map.points if p.source is not None and p.source.point is not None]
    assert {p.source.point for p in told if p.source is not None} == set(READ)
    for point in told:
        assert same(point, found.map.order, truth), point.name


@pytest.mark.parametrize("name", [*SHIPPED, "backwards"])
def test_the_order_for_power_is_found_with_its_scale_and_switch(name: str) -> None:
    found, truth = fitted(name)
    own = next(c for c in [*truth.commands, None] if c is None or c.setpoint == "power_kw")
    wanted = truth.point(own.value if own is not None else
                         next(p.name for p in truth.points if p.source is not None
                              and p.source.setpoint == "power_kw"))  # fmt: skip
    point = found.map.point("set_power_kw")
    assert (point.address, point.type) == (wanted.address, wanted.type)
    assert twin_step(point) == pytest.approx(twin_step(wanted))
    if own is not None:
        command = found.map.commands[0]
        assert (command.on, command.off) == (own.on, own.off)
        assert command.enable is not None
        assert own.enable is not None
        assert found.map.point(command.enable).address == truth.point(own.enable).address
        lows = [None if c.low is None else m.point(c.low).address
                for c, m in ((command, found.map), (own, truth))]  # fmt: skip
        assert lows[0] == lows[1]
        assert len(command.also) == len(own.also)
    else:
        assert found.map.commands == ()


def test_a_table_with_everything_turned_round() -> None:
    """CDAB, swapped bytes, W and charge as positive, float counters, own codes, percent."""
    found, truth = fitted("backwards")
    power, soc = found.map.point("power_kw"), found.map.point("soc")
    assert found.map.order == "CDAB"
    assert (power.address, power.type, twin_step(power)) == (100, "i32", pytest.approx(-0.001))
    assert (soc.address, soc.order, soc.scale) == (103, "BADC", 0.01)
    assert same(found.map.point("charged_today_kwh"), "CDAB", truth)
    assert found.map.point("discharged_today_kwh").type == "f32"
    status = found.map.point("status")
    assert status.source is not None
    assert dict(status.source.values) == {0: 17, 1: 5, 2: 9}
    order = found.map.point("set_power_kw")
    assert (order.unit, order.scale) == ("%", 0.1)
    assert [found.map.point(n).address for n in ("rated_kw", "capacity_kwh")] == [110, 112]
    assert any("holding 102" in text for text in found.untold)  # temperature: no reference


def test_the_fitted_map_reads_what_the_true_one_reads() -> None:
    found, truth = fitted("storage-own")
    for name in ("power_kw", "soc"):
        words = encode(truth.point(name), truth.order, 12.3)
        assert words == encode(found.map.point(name), found.map.order, 12.3)


def test_what_cannot_be_told_is_said() -> None:
    found, _ = fitted("storage-own")
    assert "16 or 32 bits cannot be told" in " ".join(found.doubts["charged_today_kwh"])
    assert any("fault was not seen" in d for d in found.doubts["status"])
    assert any("no order beyond them was refused" in d for d in found.doubts["set_power_kw"])
    assert any("input 3: moved" in text for text in found.untold)
    assert any("holding 3 was written 1 times" in text for text in found.untold)


def test_a_refused_order_tells_a_limit() -> None:
    recording, _, _ = recorded("storage-own")
    last = recording.writes[-1]
    beyond = dataclasses.replace(last, words=(0, 2600), code=3)
    state = dataclasses.replace(last, words=(0, 9000), code=4)
    more = dataclasses.replace(recording, writes=[*recording.writes, beyond, state])
    found = fit_map(more, "storage", "fitted", "a recording")
    point = found.map.point("set_power_kw")
    assert (point.low, point.high) == (None, 250.0)
    assert any("between 250 (accepted) and 260 (refused)" in d for d in found.doubts[point.name])


def test_orders_of_somebody_else_are_read_back() -> None:
    recording, _, _ = recorded("storage-own")
    watched = dataclasses.replace(recording, writes=[])
    assert len(observed_writes(watched)) > 5
    found = fit_map(watched, "storage", "fitted", "a recording")
    point = found.map.point("set_power_kw")
    assert (point.address, point.type, point.scale) == (0, "i32", 0.1)
    assert any("no writes were recorded" in d for d in found.doubts[point.name])


def test_without_any_reference_nothing_is_told() -> None:
    recording, _, _ = recorded("storage-own")
    bare = dataclasses.replace(recording, references={}, nameplate={})
    with pytest.raises(InputProblems, match="no reference at all"):
        fit_map(bare, "storage", "fitted", "a recording")


def test_noise_is_taken_for_nothing() -> None:
    """Registers that have nothing to do with the reference stay without a meaning."""
    chance = np.random.Generator(np.random.PCG64(7))
    time_s = np.arange(400.0)
    words = chance.integers(0, 65536, (400, 30))
    words[:, 10:20] //= 300
    power = 100.0 * np.sin(time_s / 30.0)
    recording = Recording(
        [Block("input", 0, time_s, words)], [], {"power_kw": (time_s, power)}, {"rated_kw": 100.0}
    )
    with pytest.raises(InputProblems, match="nothing found of power_kw"):
        fit_map(recording, "storage", "fitted", "noise")


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.type}-{f.order}")
def test_forms_are_those_of_the_codec(form: Form) -> None:
    values: Sequence[float] = (0.0, 1.0, 300.0, 40_000.0)
    if form.type in ("i16", "i32", "f32"):
        values = (-1.0, -300.0, 0.0, 20_000.0)
    point = WirePoint.model_validate({
        "name": "x", "class": "yc", "table": "input", "address": 0, "type": form.type,
        "meaning": "x", "meaning_zh": "x",
    })  # fmt: skip
    words = np.array([encode(point, form.order, v) for v in values], np.int64)
    assert decoded(words, form).tolist() == list(values)


def test_a_limit_is_told_by_what_is_never_passed() -> None:
    """A charger that wants 50 kW: limits above that are not met, those below are."""
    limits, every = np.array([80.0, 20.0, 35.0, 10.0, 100.0, 60.0]), 60.0
    moments = np.arange(len(limits)) * every
    time_s = np.arange(0.0, every * len(limits), 1.0)
    power = -np.minimum(limits[(time_s // every).astype(int)], 50.0)
    writes = [RecordedWrite(float(t), "holding", 3, (int(10 * v),))
              for t, v in zip(moments, limits, strict=True)]  # fmt: skip
    quantity = Quantity("power_kw", "kW", time_s, power, "reference")
    found = orders_of(Recording(writes=writes), quantity, 120.0, bounds=True)
    assert found is not None
    assert (found.address, found.factor) == (3, -0.1)
    assert found.followed == 0.5
    # A device that passes what it was told was not told that.
    beyond = dataclasses.replace(quantity, value=1.5 * power - 30.0)
    assert orders_of(Recording(writes=writes), beyond, 120.0, bounds=True) is None


def test_a_measured_power_is_not_taken_for_the_order_it_follows() -> None:
    """A meter of class 0.5 with noise and an offset, and registers that are two seconds late."""
    recording, _, _ = recorded("storage-own")
    time_s, power = recording.references["power_kw"]
    noise = np.random.Generator(np.random.PCG64(5)).normal(0.5, 0.5, len(power))
    late = dataclasses.replace(
        recording,
        references={"power_kw": (time_s, 0.995 * power + noise)},
        blocks=[dataclasses.replace(b, time_s=b.time_s + 2.0) for b in recording.blocks],
    )
    found = fit_map(late, "storage", "fitted", "a recording").map
    assert [found.point(n).address for n in ("power_kw", "setpoint_kw", "soc")] == [0, 12, 2]


def test_a_device_that_does_to_the_digit_what_it_is_told_has_a_power_all_the_same() -> None:
    time_s = np.arange(0.0, 400.0, 2.0)
    told = np.array([100.0, -50.0, 20.0, 0.0])[(time_s // 100.0).astype(int)]
    words = np.stack([np.zeros(len(time_s)), 10.0 * told], axis=1).astype(np.int64) % 65536
    writes = [RecordedWrite(100.0 * i, "holding", 7, (int(10.0 * v) % 65536,))
              for i, v in enumerate((100.0, -50.0, 20.0, 0.0))]  # fmt: skip
    recording = Recording(
        [Block("input", 0, time_s + 0.5, words)], writes, {"power_kw": (time_s + 0.5, told)},
        {"rated_kw": 100.0},
    )  # fmt: skip
    found = fit_map(recording, "storage", "fitted", "a simulator")
    assert found.map.point("power_kw").address == 1
    assert any(text.startswith("setpoint_kw") for text in found.untold)
