"""Registers against the channel behind them, and writes against what the simulation did."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from hil.registers.codec import encode
from hil.registers.schema import RegisterMap, WirePoint
from hil.testbed.places import DISPATCHER, Place
from tests.testbed.world import SILENT, Bench, bench, ready
from twin.record.exchange import Outcome, Quality, Refusal
from twin.scenario.branches import recorder_of

OWN = (
    "wire.maps.storage={ storage-own = 1.0 }",
    "wire.maps.charging={ charging-post = 1.0 }",
)


def expected_words(
    here: Bench, place: Place, one: RegisterMap, point: WirePoint, shown: NDArray[np.float64]
) -> list[int] | None:
    """Return a point's registers by the slow codec; None for what is not of the twin."""
    source, kind = point.source, here.run.kinds.get(place.kind)
    known = here.prepared.built.world.inventory.kinds[place.kind]
    if source is None or (source.point is None and source.setpoint is None):
        return None
    if source.point is not None:
        value = float(shown[known.point(source.point), place.row])
    else:
        assert kind is not None
        out = np.empty((len(kind.setpoints), kind.n))
        kind.in_force(out)
        names = [p.name for p in kind.setpoints]
        value = float(out[names.index(str(source.setpoint)), place.row])
    codes = dict(source.values)
    if value in codes:
        return encode(point, one.order, codes[value])
    if source.per_rating:
        value /= float(known.columns.f8("rated_kw")[place.row])
    return encode(point, one.order, source.gain * value + source.offset)


def test_every_register_shows_what_the_channel_gives() -> None:
    with bench(ready("tiny")) as here:
        here.advance(61)
        wrong: list[object] = []
        maps: set[str] = set()
        compared = 0
        for place in here.served.field.places.devices:
            if place.kind == DISPATCHER or (place.map in maps and place.row > 4):
                continue
            maps.add(place.map)
            run, one = here.run, here.map_of(place)
            shown = run.channels[place.kind].show(run.true_points(place.kind), run.now_ms)
            for point in one.points:
                words = expected_words(here, place, one, point, shown)
                if words is None or "r" not in point.access or point.bit is not None:
                    continue
                compared += 1
                if here.raw(place, point.name) != words:
                    wrong.append((place.name, point.name, here.raw(place, point.name), words))
    assert wrong == []
    assert compared > 500
    kinds = {"storage": 3, "charging": 2, "aircon": 2, "solar": 3}
    for kind, number in kinds.items():
        assert len([m for m in maps if m.startswith(kind)]) == number
    assert {"meter-own", "busbar-own", "city-own", "terminal-own"} <= maps


def test_silent_devices_do_not_answer_and_the_others_do() -> None:
    with bench(ready("tiny"), timeout_s=0.2, reliable=False) as here:
        here.advance(1)
        silent = here.run.channels["terminal"].silent(here.run.now_ms)
        assert silent.any()
        assert not silent.all()
        for quiet in (True, False):
            for row in np.flatnonzero(silent == quiet)[:4]:
                answer = here.read(here.place("terminal", int(row)), "power_kw")
                assert (answer is SILENT) == quiet


def test_a_reliable_bench_has_no_silent_device() -> None:
    with bench(ready("tiny"), timeout_s=0.2) as here:
        here.advance(1)
        silent = here.run.channels["terminal"].silent(here.run.now_ms)
        for row in np.flatnonzero(silent)[:4]:
            assert here.read(here.place("terminal", int(row)), "power_kw") is not SILENT


def test_local_mode_refuses_with_the_maps_own_code() -> None:
    manners = (
        'manners=[{ kind = "storage", rows = [0], local = true },'
        ' { kind = "charging", rows = [0], local = true }]'
    )
    with bench(ready("tiny", *OWN, manners)) as here:
        here.advance(2)
        places = [here.place(k, r) for k in ("storage", "charging") for r in (0, 1)]
        names = {"storage": "set_power_kw", "charging": "set_limit_kw"}
        codes = {(p.kind, p.row): here.write(p, names[p.kind], 0.0) for p in places}
        assert [here.map_of(p).refusal for p in places] == [4, 4, 6, 6]
        refused = here.served.field.counts()["refused"]
    assert codes == {("storage", 0): 4, ("storage", 1): 0, ("charging", 0): 6, ("charging", 1): 0}
    assert [int(refused[p.number]) for p in places] == [1, 0, 1, 0]


def test_a_fault_and_a_minimum_off_time_refuse() -> None:
    manners = 'manners=[{ kind = "aircon", rows = [0], min_off_s = 60 }]'
    maps = "wire.maps.aircon={ aircon-own = 1.0 }"
    with bench(ready("tiny", *OWN, maps, manners)) as here:
        here.advance(2)
        here.run.kinds["storage"].state["fault"][2] = 1.0
        plant = here.place("aircon")
        assert here.write(plant, "set_limit_kw", 0.0) == 0
        here.advance(2)
        assert here.run.kinds["storage"].refusal()[2] == Refusal.FAULT
        assert here.write(here.place("storage", 2), "set_power_kw", 1.0) == 4
        assert here.write(plant, "set_limit_kw", 10.0) == 6  # busy, whatever the map refuses with
        here.advance(61)
        assert here.write(plant, "set_limit_kw", 10.0) == 0


def test_a_write_enters_at_the_first_tick_after_it_came() -> None:
    with bench(ready("tiny", *OWN)) as here:
        place = here.place("storage")
        written: list[int] = []

        def on_tick(now_ms: int) -> None:
            if now_ms % 10_000 == 0 and len(written) < 3:
                before = time.monotonic_ns()
                assert here.write(place, "set_power_kw", float(now_ms % 7)) == 0
                written.append(before)

        here.rate = 100.0
        here.advance(90, on_tick)  # far beyond the last write, however slow the machine is
        base = here.session.pacer.base
        log = here.session.log
        commands = recorder_of(here.run).history.events("commands")
        entered = [
            (now_ms, int(stamp))
            for now_ms, writes in zip(log.now_ms, log.writes, strict=True)
            for stamp in writes.time_ns
        ]
        assert len(entered) == len(written) == 3
        for (now_ms, stamp), before in zip(entered, written, strict=True):
            assert before < stamp <= base.due_ns(now_ms)
            assert stamp > base.due_ns(now_ms - 1_000)
        assert commands["now_ms"].tolist() == [now_ms for now_ms, _ in entered]
        assert (commands["outcome"] == Outcome.ACCEPTED).all()
        columns = here.session.columns()
    assert columns["now_ms"] == [now_ms for now_ms, _ in entered]
    assert set(columns["point"]) == {"set_power_kw"}
    assert set(columns["device"]) == {"storage-00000"}


def test_what_was_written_between_two_runs_enters_before_the_first_tick_happens() -> None:
    with bench(ready("tiny", *OWN)) as here:
        rated = here.prepared.built.world.inventory.kinds["storage"].columns.f8("rated_kw")
        assert here.write(here.place("storage"), "set_power_kw", float(rated[0])) == 0
        begun_ms = here.run.now_ms
        here.advance(3)
        assert here.session.log.now_ms == [begun_ms]
        setpoint_kw = here.read(here.place("storage"), "setpoint_kw")
        assert setpoint_kw == pytest.approx(rated[0], abs=0.1)


@pytest.mark.parametrize(
    ("map_name", "kind", "value", "enable", "on", "revert"),
    [
        ("storage-sunspec-7xx", "storage", "m704.WSet", "m704.WSetEna", 1, "m704.WSetRvrtTms"),
        ("storage-sunspec-1xx", "storage", "m124.OutWRte", "m124.StorCtl_Mod", 3,
         "m124.InOutWRte_RvrtTms"),
        ("solar-sunspec-1xx", "solar", "m123.WMaxLimPct", "m123.WMaxLim_Ena", 1,
         "m123.WMaxLimPct_RvrtTms"),
        ("solar-sunspec-7xx", "solar", "m704.WMaxLimPct", "m704.WMaxLimPctEna", 1,
         "m704.WMaxLimPctRvrtTms"),
    ],
)  # fmt: skip
def test_enable_falls_back_when_the_revert_time_is_over(
    map_name: str, kind: str, value: str, enable: str, on: int, revert: str
) -> None:
    maps = f"wire.maps.{kind}={{ {map_name} = 1.0 }}"
    with bench(ready("tiny", maps)) as here:
        place = here.place(kind)
        here.advance(1)
        assert here.write(place, revert, 5) == 0
        assert here.write(place, value, 100) == 0
        assert here.write(place, enable, on) == 0
        here.advance(2)
        assert here.run.kinds[kind].state["remote"][0] == 1.0
        assert here.read(place, enable) == on
        here.advance(6)
        assert here.run.kinds[kind].state["remote"][0] == 0.0
        assert here.read(place, enable) == 0
        assert here.read(place, value) == 100


def test_what_was_heard_keeps_its_time_stamp() -> None:
    with bench(ready("tiny", *OWN)) as here:
        begun_ms = here.run.now_ms
        channel = here.run.channels["storage"]
        for _ in range(2):
            here.read(here.place("storage", 1), "power_kw")
        here.advance(61)
        reading = channel.reading()
        assert reading.time_ms[1] == begun_ms + 60_000
        assert reading.quality.tolist()[:3] == [Quality.MISSING, Quality.GOOD, Quality.MISSING]
        assert np.isfinite(reading.value[:, 1]).all()
        here.read(here.place("storage", 2), "power_kw")
        here.advance(60)
        again = channel.reading()
        assert again.time_ms[1] == begun_ms + 60_000
        assert again.time_ms[2] == begun_ms + 120_000
        assert again.quality.tolist()[:3] == [Quality.MISSING, Quality.STALE, Quality.GOOD]
        assert (again.value[:, 1] == reading.value[:, 1]).all()


def test_reset_forgets_what_was_written() -> None:
    maps = "wire.maps.storage={ storage-sunspec-7xx = 1.0 }"
    with bench(ready("tiny", maps)) as here:
        place, field = here.place("storage"), here.served.field
        start = here.run.fork(None)
        assert here.write(place, "m704.WSet", 1000) == 0
        assert here.write(place, "m704.WSetEna", 1) == 0
        here.advance(2)
        assert here.read(place, "m704.WSetEna") == 1
        assert here.write(place, "m704.WSet", 2000) == 0  # still in the queue
        field.attach(start)
        field.reset()
        here.advance(2)
        assert here.read(place, "m704.WSetEna") == 0
        assert here.read(place, "m704.WSet") == 0
        assert here.run.kinds["storage"].state["remote"][0] == 0.0
    assert len(here.session.log.now_ms) == 1


def test_a_fork_takes_the_place_of_the_run() -> None:
    with bench(ready("tiny", *OWN)) as here:
        here.advance(2)
        first = here.run
        here.served.field.attach(first.fork(None))
        assert here.write(here.place("storage"), "set_power_kw", 0.0) == 0
        here.advance(2)
        assert first.kinds["storage"].state["remote"][0] == 0.0
        assert here.run.kinds["storage"].state["remote"][0] == 1.0
        assert here.run.now_ms == first.now_ms + 2_000
