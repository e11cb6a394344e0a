"""Lies of a hostile server reach no value of our head-end, and cost the healthy nothing."""

from __future__ import annotations

import numpy as np
import pytest

from hil.certify import LIES, HostileServer, Lie
from hil.headend import DeviceEntry, Habits, HeadEnd
from hil.registers.files import load_map
from tests.headend.fakes import FakeServer
from tests.headend.worlds import device_of, inventory
from twin.record.exchange import Quality

METER = load_map("meter-own")


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_reaches_no_value(lie: Lie) -> None:
    honest = FakeServer({1: device_of(METER, {"demand_kw": 7.5})})
    with honest, HostileServer(lie, lambda q: honest.honest(None, q)) as liar:  # type: ignore[arg-type]
        entries = [
            DeviceEntry("meter", 0, "127.0.0.1", liar.port, 1, METER.name),
            DeviceEntry("meter", 1, honest.address, honest.port, 1, METER.name),
        ]
        kinds = {"meter": inventory("meter", 2)}
        with HeadEnd(entries, kinds, habits=Habits(timeout_s=0.2)) as headend:
            for now_ms in (0, 1000):
                reading = headend.poll(["meter"], now_ms, 1.0)["meter"]
                assert np.isnan(reading.value[0, 0])
                assert reading.quality[0] == Quality.MISSING
                assert reading.value[0, 1] == 7.5
                assert reading.time_ms[1] == now_ms


def test_without_a_lie_the_value_is_read() -> None:
    honest = FakeServer({1: device_of(METER, {"demand_kw": 7.5})})
    truth = Lie("none", "", lambda _, answer: answer)
    with honest, HostileServer(truth, lambda q: honest.honest(None, q)) as server:  # type: ignore[arg-type]
        entries = [DeviceEntry("meter", 0, "127.0.0.1", server.port, 1, METER.name)]
        with HeadEnd(entries, {"meter": inventory("meter", 1)}) as headend:
            assert headend.poll(["meter"], 0, 1.0)["meter"].value[0, 0] == 7.5
