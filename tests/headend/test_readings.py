from __future__ import annotations

import numpy as np
import pytest

from hil.headend import DeviceEntry, HeadEnd
from hil.registers.files import reading_points, shipped_maps
from tests.headend.fakes import Device, FakeServer
from tests.headend.worlds import all_values, device_of, inventory
from twin.engine.telemetry import NEVER_MS
from twin.record.exchange import Quality

READABLE = sorted(name for name, one in shipped_maps().items() if reading_points(one))


@pytest.mark.parametrize("name", READABLE)
def test_readings_are_what_the_devices_hold(name: str) -> None:
    one = shipped_maps()[name]
    kinds = {one.kind: inventory(one.kind, 3)}
    values = [all_values(one, np.linspace(a, 1.0 - a, 12)) for a in (0.0, 0.3)]
    devices = {1 + i: device_of(one, held) for i, held in enumerate(values)}
    with FakeServer(devices) as server:
        entries = [
            DeviceEntry(one.kind, row, "127.0.0.1", server.port, unit, name)
            for row, unit in ((2, 1), (0, 2))
        ]
        with HeadEnd(entries, kinds) as headend:
            reading = headend.poll([one.kind], 60_000, 2.0)[one.kind]
    steps = {twin: abs(one.point(wire).scale / (one.point(wire).source.gain or 1.0))
             for twin, wire in reading_points(one).items()}  # fmt: skip
    for i, point in enumerate(kinds[one.kind].points):
        for row, held in ((2, values[0]), (0, values[1])):
            if point.name not in held:
                assert np.isnan(reading.value[i, row])
                continue
            per = 100.0 if one.point(reading_points(one)[point.name]).source.per_rating else 1.0
            assert reading.value[i, row] == pytest.approx(
                held[point.name], abs=0.5001 * per * steps[point.name], rel=1e-6
            )
    assert reading.time_ms.tolist() == [60_000, NEVER_MS, 60_000]
    assert reading.quality.tolist() == [Quality.GOOD, Quality.MISSING, Quality.GOOD]
    assert np.isnan(reading.value[:, 1]).all()


def test_a_device_that_falls_silent_keeps_its_value_and_its_time() -> None:
    one = shipped_maps()["meter-own"]
    device = device_of(one, {"demand_kw": 12.0})
    with FakeServer({1: device, 2: device_of(one, {"demand_kw": 5.0})}) as server:
        entries = [
            DeviceEntry("meter", i, "127.0.0.1", server.port, 1 + i, one.name) for i in (0, 1)
        ]
        with HeadEnd(entries, {"meter": inventory("meter", 2)}, timeout_s=0.1) as headend:
            headend.poll(["meter"], 0, 2.0)
            device.image["input"] = device_of(one, {"demand_kw": 13.0}).image["input"]
            del server.devices[2]
            reading = headend.poll(["meter"], 60_000, 2.0)["meter"]
            assert reading.value.tolist() == [[13.0, 5.0]]
            assert reading.time_ms.tolist() == [60_000, 0]
            assert reading.quality.tolist() == [Quality.GOOD, Quality.STALE]
            server.devices[2] = device_of(one, {"demand_kw": 6.0})
            reading = headend.poll(["meter"], 120_000, 2.0)["meter"]
            assert reading.value.tolist() == [[13.0, 6.0]]
            assert reading.quality.tolist() == [Quality.GOOD, Quality.GOOD]


def test_kinds_are_polled_apart() -> None:
    meter, busbar = shipped_maps()["meter-own"], shipped_maps()["busbar-own"]
    kinds = {"meter": inventory("meter", 1), "busbar": inventory("busbar", 1)}
    devices = {1: device_of(meter, {"demand_kw": 1.0}), 2: device_of(busbar, {"voltage_kv": 10.1})}
    with FakeServer(devices) as server:
        entries = [
            DeviceEntry("meter", 0, "127.0.0.1", server.port, 1, meter.name),
            DeviceEntry("busbar", 0, "127.0.0.1", server.port, 2, busbar.name),
        ]
        with HeadEnd(entries, kinds) as headend:
            assert list(headend.poll(["busbar"], 0, 2.0)) == ["busbar"]
            assert server.requests == 1
            both = headend.poll(["meter", "busbar"], 1000, 2.0)
            assert server.requests == 3
            assert both["meter"].value[0, 0] == 1.0
            assert both["busbar"].value[0, 0] == pytest.approx(10.1)


def test_an_exception_leaves_the_value_old_and_is_counted_with_its_code() -> None:
    one = shipped_maps()["meter-own"]
    with FakeServer({1: Device()}) as server:
        entries = [DeviceEntry("meter", 0, "127.0.0.1", server.port, 1, one.name)]
        with HeadEnd(entries, {"meter": inventory("meter", 1)}) as headend:
            reading = headend.poll(["meter"], 0, 2.0)["meter"]
            assert reading.quality[0] == Quality.MISSING
            assert headend.figures()["last_round"]["exception"] == 1
            assert headend.report()["code"].tolist() == [2]
            assert headend.report()["silent_in_a_row"].tolist() == [0]
