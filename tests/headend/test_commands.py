from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from hil.headend import DeviceEntry, HeadEnd
from hil.headend.commands import ILLEGAL_VALUE, NO_REGISTER
from hil.registers.files import shipped_maps
from tests.headend.fakes import Device, FakeServer
from tests.headend.worlds import device_of, inventory
from twin.record.exchange import Outcome, SetPoint

ACCEPTED, REFUSED, LOST = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.LOST


@contextmanager
def fleet(
    *names: str, n: int = 1, rated_kw: float = 200.0
) -> Iterator[tuple[HeadEnd, list[Device]]]:
    """One server; `n` units of each map, rows in that order within their kind."""
    maps = [shipped_maps()[name] for name in names for _ in range(n)]
    devices = [device_of(one, {}) for one in maps]
    kinds = {one.kind: inventory(one.kind, len(maps), rated_kw) for one in maps}
    with FakeServer({1 + i: d for i, d in enumerate(devices)}) as server:
        entries = [
            DeviceEntry(one.kind, i, "127.0.0.1", server.port, 1 + i, one.name)
            for i, one in enumerate(maps)
        ]
        with HeadEnd(entries, kinds, timeout_s=0.2) as headend:
            yield headend, devices


def say(kind: str, point: str, *values: float) -> SetPoint:
    return SetPoint(kind, point, np.arange(len(values)), np.array(values))


def word(value: int) -> int:
    return value & 0xFFFF


def test_a_plain_value_goes_out_as_its_registers_say() -> None:
    with fleet("storage-own", n=2) as (headend, devices):
        outcome = headend.command([say("storage", "power_kw", -12.34, 8.0)], 2.0)
        assert [d.writes for d in devices] == [
            [(16, 0, [0xFFFF, word(-123)])],
            [(16, 0, [0, 80])],
        ]
        assert outcome.outcome[0].tolist() == [ACCEPTED, ACCEPTED]
        assert outcome.counts == {"accepted": 2, "refused": 0, "lost": 0}


def test_one_register_is_written_with_function_6_and_a_coil_with_5() -> None:
    with fleet("aircon-own") as (headend, (device,)):
        headend.command([say("aircon", "setpoint_offset_c", 1.5), say("aircon", "release", 1)], 2.0)
        assert [code for code, _, _ in device.writes] == [6, 5]


def test_value_and_enable_side_by_side_are_one_request() -> None:
    with fleet("storage-sunspec-7xx") as (headend, (device,)):
        headend.command([say("storage", "power_kw", 50.0)], 2.0)
        ((code, address, words),) = device.writes
        assert (code, address, words[:2]) == (16, 40318, [1, 1])
        assert words[2:] == [0, 500]  # tenths of a kilowatt


def test_enable_apart_follows_its_value() -> None:
    with fleet("solar-sunspec-1xx") as (headend, (device,)):
        headend.command([say("solar", "limit_kw", 50.0)], 2.0)
        assert [(code, at) for code, at, _ in device.writes] == [(6, 40233), (6, 40237)]
        assert device.writes[1][2] == [1]
        assert device.writes[0][2] == [2500]  # a quarter of the rating, in hundredths of a percent


@pytest.mark.parametrize("power_kw", [50.0, -80.0, 0.0])
def test_a_window_is_one_point_wide_and_then_switched_on(power_kw: float) -> None:
    with fleet("storage-sunspec-1xx") as (headend, (device,)):
        headend.command([say("storage", "power_kw", power_kw)], 2.0)
        share = round(power_kw / 200.0 * 10_000)
        assert device.writes == [(16, 40266, [word(share), word(-share)]), (6, 40259, [3])]


def test_a_refused_value_is_not_switched_on() -> None:
    with fleet("storage-sunspec-1xx", n=2) as (headend, devices):
        devices[0].refuse[40266] = 3
        outcome = headend.command([say("storage", "power_kw", 50.0, 50.0)], 2.0)
        assert outcome.outcome[0].tolist() == [REFUSED, ACCEPTED]
        assert outcome.code[0].tolist() == [3, 0]
        assert devices[0].writes == []
        assert headend.report()["refused"].tolist() == [1, 0]


@pytest.mark.parametrize("retries", [0, 1])
def test_enable_does_not_overtake_a_value_that_was_lost(retries: int) -> None:
    one = shipped_maps()["storage-sunspec-1xx"]
    device = device_of(one, {})
    server = FakeServer({1: device})
    server.reply = lambda session, q: None if server.requests == 1 else server.honest(session, q)
    entry = DeviceEntry("storage", 0, "127.0.0.1", 0, 1, one.name)
    with server:
        entry = replace(entry, port=server.port)
        kinds = {"storage": inventory("storage", 1)}
        with HeadEnd([entry], kinds, timeout_s=0.1, retries=retries) as headend:
            outcome = headend.command([say("storage", "power_kw", 50.0)], 2.0)
    assert outcome.outcome[0].tolist() == [ACCEPTED if retries == 1 else LOST]
    assert [at for _, at, _ in device.writes] == ([40266, 40259] if retries == 1 else [])


def test_release_switches_off_what_has_no_register_for_it() -> None:
    with fleet("storage-sunspec-7xx", "storage-own") as (headend, (sunspec, own)):
        headend.command([say("storage", "release", 1.0, 1.0)], 2.0)
        assert sunspec.writes == [(6, 40318, [0])]
        assert own.writes == [(5, 0, [1])]
        outcome = headend.command([say("storage", "release", 0.0, 0.0)], 2.0)
        assert outcome.outcome[0].tolist() == [ACCEPTED, ACCEPTED]
        assert len(sunspec.writes) == len(own.writes) == 1


def test_circuits_side_by_side_are_one_request() -> None:
    with fleet("terminal-own", n=3) as (headend, devices):
        circuits = [
            SetPoint("terminal", f"circuit_{i}", np.array(rows), np.array(values))
            for i, rows, values in (
                (1, [0, 1], [0.0, 1.0]), (2, [0, 2], [1.0, 1.0]), (3, [0], [1.0]), (4, [1], [0.0]),
            )
        ]  # fmt: skip
        outcome = headend.command(circuits, 2.0)
        assert devices[0].writes == [(15, 0, [0, 1, 1])]
        assert devices[1].writes == [(5, 0, [1]), (5, 3, [0])]
        assert devices[2].writes == [(5, 1, [1])]
        assert outcome.counts == {"accepted": 6, "refused": 0, "lost": 0}


def test_coils_said_against_their_order_stay_in_their_order() -> None:
    with fleet("terminal-own") as (headend, (device,)):
        headend.command([say("terminal", "circuit_2", 0.0), say("terminal", "circuit_1", 1.0)], 2.0)
        assert device.writes == [(5, 1, [0]), (5, 0, [1])]


def test_set_points_of_one_device_keep_their_order() -> None:
    with fleet("storage-own") as (headend, (device,)):
        headend.command([say("storage", "power_kw", v) for v in (1.0, 2.0, 3.0)], 2.0)
        assert [words[1] for _, _, words in device.writes] == [10, 20, 30]


@pytest.mark.parametrize("value", [1e9, np.nan, np.inf])
def test_what_no_register_holds_is_refused_and_not_sent(value: float) -> None:
    with fleet("storage-own", n=2) as (headend, devices):
        outcome = headend.command([say("storage", "power_kw", value, 5.0)], 2.0)
        assert outcome.outcome[0].tolist() == [REFUSED, ACCEPTED]
        assert outcome.code[0].tolist() == [ILLEGAL_VALUE, 0]
        assert devices[0].writes == []


def test_a_map_without_a_register_says_so() -> None:
    with fleet("terminal-own") as (headend, _):
        headend.fleet.recipes[0].pop("warning")
        outcome = headend.command([say("terminal", "warning", 1.0)], 2.0)
        assert (outcome.outcome[0][0], outcome.code[0][0]) == (REFUSED, NO_REGISTER)


def test_who_is_not_there_loses_the_set_point() -> None:
    with fleet("storage-own", n=2) as (headend, _):
        rows = np.array([0, 1])
        headend.fleet.at["storage"][1] = -1
        outcome = headend.command([SetPoint("storage", "power_kw", rows, np.ones(2))], 2.0)
        assert outcome.outcome[0].tolist() == [ACCEPTED, LOST]


def test_no_set_points_are_no_requests() -> None:
    with fleet("storage-own") as (headend, (device,)):
        assert headend.command([], 2.0).outcome == ()
        none = SetPoint("storage", "power_kw", np.zeros(0, np.int64), np.zeros(0))
        assert len(headend.command([none], 2.0).outcome[0]) == 0
        assert device.writes == []


def test_heartbeats_go_out_at_a_third_of_their_time() -> None:
    one = shipped_maps()["storage-own"]
    device = device_of(one, {})
    with FakeServer({1: device}) as server:
        entry = DeviceEntry("storage", 0, "127.0.0.1", server.port, 1, one.name)
        kinds = {"storage": inventory("storage", 1)}
        with HeadEnd([entry], kinds, heartbeat_s=60.0) as headend:
            for now_ms in range(0, 61_000, 5_000):
                headend.poll(["storage"], now_ms, 2.0)
    assert [words for _, _, words in device.writes] == [[1], [2], [3], [4]]
