"""Scenarios made ready for the wire once, and a bench on which clients speak between ticks."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from hil.pacer import Pacer
from hil.registers.codec import decode, encode
from hil.registers.schema import RegisterMap, WirePoint
from hil.testbed.dispatcher import Dispatcher
from hil.testbed.places import Place, Places, assign
from hil.testbed.session import Session
from hil.testbed.setup import Options, Serving, beats, serving
from twin.engine.simulation import Simulation
from twin.run import Prepared, prepare
from twin.scenario.build import calibrated
from twin.scenario.files import find_scenario
from twin.scenario.warm_start import warmed

RATE = 600.0
SILENT = object()  # what a device that does not answer says
BITS = ("coil", "discrete")
_PORTS = count(17_000 + os.getpid() % 100 * 50)


def new_port(room: int = 1) -> int:
    """Return a port from which on `room` ports are free, below those that clients get."""
    while True:
        first = next(_PORTS)
        if all(_free(first + i) for i in range(room)):
            for _ in range(room - 1):
                next(_PORTS)
            return first


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@cache
def ready(name: str, *assignments: str) -> Prepared:
    """Return a scenario calibrated and warm, with the beats of the wire."""
    found = prepare(find_scenario(name), assignments)
    return beats(replace(found, built=warmed(calibrated(found.built))))


def placed(prepared: Prepared, options: Options, port: int | None = None) -> Places:
    """Return where the devices stand, on a port of their own."""
    update: dict[str, object] = {"port": new_port() if port is None else port}
    if options.address is not None:
        update |= {"address": options.address, "by_kind": {}}
    wire = prepared.scenario.wire.model_copy(update=update)
    world = prepared.built.world
    return assign(world.inventory, wire, world.seed, "test", options.kinds, options.limit)


@dataclass(slots=True)
class Bench:
    """Devices on sockets; time moves when it is told to.

    Between two calls of `advance` the simulation stands still and the devices answer.
    """

    served: Serving
    session: Session
    prepared: Prepared
    clients: Callable[[Place], ModbusTcpClient]
    rate: float = RATE
    late: list[Pacer] = field(default_factory=list)

    @property
    def run(self) -> Simulation:
        return self.served.field.run

    def place(self, kind: str, row: int = 0) -> Place:
        places = self.served.field.places.devices
        return next(d for d in places if (d.kind, d.row) == (kind, row))

    def map_of(self, place: Place) -> RegisterMap:
        return self.served.field.places.maps[place.map]

    def point(self, place: Place, name: str) -> WirePoint:
        return next(p for p in self.map_of(place).points if p.name == name)

    def advance(self, seconds: float, on_tick: Callable[[int], None] | None = None) -> None:
        """Let simulated time pass."""
        now_ms, world = self.run.now_ms, self.prepared.built.world
        self.session.pacer = Pacer(now_ms, self.rate, 1e9, world.tick_ms)
        self.late.append(self.session.pacer)
        self.session.pacer.begin()

        def each(now_ms: int) -> None:
            self.served.change(now_ms)
            if on_tick is not None:
                on_tick(now_ms)

        self.session.run(now_ms + round(seconds * 1000.0), each)

    # -- the client's side ---------------------------------------------------------------------

    def words(self, place: Place, table: str, address: int, number: int) -> Any:
        """Return registers or bits, an exception code (negative), or `SILENT`."""
        client = self.clients(place)
        read = {
            "coil": client.read_coils, "discrete": client.read_discrete_inputs,
            "input": client.read_input_registers, "holding": client.read_holding_registers,
        }[table]  # fmt: skip
        try:
            answer = read(address, count=number, device_id=place.unit)
        except ModbusException:
            client.close()
            return SILENT
        if answer.isError():
            return -answer.exception_code
        found = answer.bits if table in BITS else answer.registers
        return [int(v) for v in found[:number]]

    def raw(self, place: Place, name: str) -> Any:
        """Return the registers of a point, or what `words` says instead."""
        point = self.point(place, name)
        return self.words(place, point.table, point.address, point.width)

    def read(self, place: Place, name: str) -> Any:
        """Return a point's value, or what `words` says instead."""
        found = self.raw(place, name)
        if not isinstance(found, list):
            return found
        return decode(self.point(place, name), self.map_of(place).order, found)

    def write(self, place: Place, name: str, value: float) -> Any:
        """Write a point; return 0 or the exception code, or `SILENT`."""
        point, client = self.point(place, name), self.clients(place)
        raw = encode(point, self.map_of(place).order, value)
        try:
            if point.table == "coil":
                answer = client.write_coil(point.address, bool(raw[0]), device_id=place.unit)
            else:
                answer = client.write_registers(point.address, raw, device_id=place.unit)
        except ModbusException:
            client.close()
            return SILENT
        return answer.exception_code if answer.isError() else 0


@contextmanager
def bench(
    prepared: Prepared,
    options: Options | None = None,
    log: Path | None = None,
    *,
    timeout_s: float = 1.0,
    reliable: bool = True,
) -> Iterator[Bench]:
    """Stand a scenario's devices on the network while inside, at its start."""
    options = replace(options or Options(), rate=RATE, reliable=reliable)
    places = placed(prepared, options)
    run = prepared.built.start(None)
    world = prepared.built.world
    with ExitStack() as stack:
        served = stack.enter_context(serving(prepared, run, places, options))
        dispatcher = Dispatcher(served.field.bank, world.inventory.max_load_mw, RATE, log)
        session = Session(served.field, dispatcher, Pacer(world.start_ms, RATE, 1e9))

        @cache
        def client(address: str, port: int) -> ModbusTcpClient:
            return stack.enter_context(
                ModbusTcpClient(address, port=port, timeout=timeout_s, retries=0)
            )

        found = Bench(served, session, prepared, lambda p: client(p.address, p.port))
        dispatcher.tick(run.now_ms)
        served.field.write(time.monotonic_ns())
        served.field.publish()
        yield found


def clients_of(places: Sequence[Place]) -> list[tuple[str, int, int]]:
    """Return address, port and unit of each place."""
    return [(d.address, d.port, d.unit) for d in places]
