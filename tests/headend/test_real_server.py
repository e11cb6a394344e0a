"""Our head-end against our server: what the bank holds is read, what is commanded arrives."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from hil.headend import DeviceEntry, HeadEnd
from hil.registers.bank import Group, KindValues, RegisterBank
from hil.registers.commands import Commands
from hil.registers.files import commands_of, reading_points, shipped_maps
from hil.registers.kinds import catalogue
from hil.registers.layout import compile_maps
from hil.server import Endpoint, Server
from tests.headend.worlds import inventory, value_in
from twin.record.exchange import Outcome, SetPoint

RATED_KW = 100.0
N = 5
POLLED = sorted(n for n, one in shipped_maps().items() if reading_points(one))
COMMANDED = sorted(n for n, one in shipped_maps().items() if commands_of(one))


@contextmanager
def served(name: str) -> Iterator[tuple[RegisterBank, HeadEnd]]:
    """Five devices with map `name`, each with an address of its own."""
    one = shipped_maps()[name]
    kind = inventory(one.kind, N, RATED_KW)
    scale = [RATED_KW if p.per_rating else 1.0 for p in kind.setpoints]
    known = KindValues(
        np.full(N, RATED_KW),
        {column: np.full(N, 50.0) for column in catalogue()[one.kind].columns},
        np.stack([np.full(N, p.low * s) for p, s in zip(kind.setpoints, scale, strict=True)])
        if scale else np.zeros((0, N)),
        np.stack([np.full(N, p.high * s) for p, s in zip(kind.setpoints, scale, strict=True)])
        if scale else np.zeros((0, N)),
    )  # fmt: skip
    compiled = compile_maps([one], {one.kind: kind})
    group = Group(0, one.kind, np.arange(N), np.arange(N))
    serials = [f"S{i}" for i in range(N)]
    bank = RegisterBank(
        compiled, [group], {one.kind: known}, serials, np.full(N, one.unit, np.uint8), 2
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoints = [Endpoint(f"127.9.0.{1 + i}", port, i) for i in range(N)]
    entries = [DeviceEntry(one.kind, i, e.address, port, one.unit, name) for i, e in
               enumerate(endpoints)]  # fmt: skip
    with Server(bank.arrays, compiled.layout, endpoints), HeadEnd(entries, {one.kind: kind}) as end:
        yield bank, end


def shown(name: str, shift: float) -> np.ndarray:
    one = shipped_maps()[name]
    points = catalogue()[one.kind].points
    share = (np.arange(len(points))[:, None] / 20.0 + np.arange(N) / 7.0 + shift) % 1.0
    return np.array(
        [[value_in(one, p, s) for s in row] for p, row in zip(points, share, strict=True)]
    )


def write(bank: RegisterBank, kind: str, values: np.ndarray) -> None:
    setpoints = len(catalogue()[kind].setpoints)
    bank.write({kind: values}, {kind: np.zeros((setpoints, N))}, time.monotonic_ns())
    bank.publish()


@pytest.mark.parametrize("name", POLLED)
def test_every_map_is_read_as_the_bank_holds_it(name: str) -> None:
    one = shipped_maps()[name]
    names = reading_points(one)
    with served(name) as (bank, headend):
        for tick in range(3):
            values = shown(name, tick / 5.0)
            write(bank, one.kind, values)
            reading = headend.poll([one.kind], 1000 * tick, 2.0)[one.kind]
            assert reading.time_ms.tolist() == [1000 * tick] * N
            for i, point in enumerate(catalogue()[one.kind].points):
                wire = one.point(names[point])
                step = wire.scale / abs(wire.source.gain)
                step *= RATED_KW if wire.source.per_rating else 1.0
                np.testing.assert_allclose(reading.value[i], values[i], atol=0.51 * step, rtol=1e-6)


@pytest.mark.parametrize("name", COMMANDED)
def test_every_set_point_arrives_as_it_was_said(name: str) -> None:
    one = shipped_maps()[name]
    with served(name) as (bank, headend):
        write(bank, one.kind, shown(name, 0.0))
        arrived = Commands(bank, {one.kind: inventory(one.kind, N, RATED_KW)})
        for point in catalogue()[one.kind].setpoints.values():
            top = point.high * (RATED_KW if point.per_rating else 1.0)
            top = top if np.isfinite(top) else RATED_KW
            low = max(point.low * (RATED_KW if point.per_rating else 1.0), -top)
            values = np.round(low + (top - low) * np.array([0.0, 0.31, 0.5, 0.77, 1.0]))
            if point.name == "heartbeat":
                values[-1] = 65534.0  # the next one says 'not implemented'
            if point.name == "release":
                values[:] = 1.0
            if point.name == "revert_s":
                values = np.array([60.0, 120.0, 600.0, 3600.0, 7200.0])
            outcome = headend.command([SetPoint(one.kind, point.name, np.arange(N), values)], 2.0)
            assert outcome.outcome[0].tolist() == [Outcome.ACCEPTED] * N, (point, outcome)
            found = arrived.setpoints(bank.take(time.monotonic_ns()))
            got = np.full(N, np.nan)
            for setpoint in found:
                assert setpoint.point == point.name
                got[setpoint.rows] = setpoint.values
            np.testing.assert_allclose(got, values, atol=0.06)


def test_a_value_out_of_bounds_is_refused_by_the_device_with_its_code() -> None:
    with served("storage-own") as (bank, headend):
        write(bank, "storage", shown("storage-own", 0.0))
        values = np.array([10.0, 500.0, -500.0, 20.0, 30.0])
        outcome = headend.command([SetPoint("storage", "power_kw", np.arange(N), values)], 2.0)
        assert outcome.outcome[0].tolist() == [0, 1, 1, 0, 0]
        assert outcome.code[0].tolist() == [0, 3, 3, 0, 0]
        bank.arrays.refusal[0] = 4
        outcome = headend.command([SetPoint("storage", "power_kw", np.arange(1), np.ones(1))], 2.0)
        assert outcome.code[0].tolist() == [4]


def test_silent_devices_are_stale_and_cost_the_others_nothing() -> None:
    with served("meter-own") as (bank, headend):
        write(bank, "meter", np.arange(N, dtype=np.float64)[None])
        headend.poll(["meter"], 0, 2.0)
        bank.arrays.silent[2] = 1
        write(bank, "meter", 10.0 + np.arange(N, dtype=np.float64)[None])
        reading = headend.poll(["meter"], 1000, 2.0)["meter"]
        assert reading.value[0].tolist() == [10.0, 11.0, 2.0, 13.0, 14.0]
        assert reading.quality.tolist() == [0, 0, 1, 0, 0]
        bank.arrays.silent[2] = 0
        reading = headend.poll(["meter"], 2000, 2.0)["meter"]
        assert reading.value[0, 2] == 12.0
