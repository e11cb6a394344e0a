"""From a prepared scenario to devices on the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hil.server import SerialLine, SerialServer, Server, WireManner
from hil.server.listen import open_listeners
from hil.testbed.behave import WireManners
from hil.testbed.field import Field
from hil.testbed.places import Places, assign, map_names
from hil.testbed.preflight import file_problems, port_problems
from hil.testbed.session import TICK_MS
from twin.clock import SECOND_MS
from twin.engine.simulation import Simulation
from twin.errors import InputProblems, Problem
from twin.run import Prepared

__all__ = ["Options", "Serving", "beats", "serving", "wired"]


MOST_UNITS = 247  # on a serial line


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says about the wire; None takes the scenario's own.

    `limit` is the number of devices of a kind that are served at most; with `reliable` every
    device answers, whatever the scenario's chance says of lost polls and lost contact. On a
    `serial` line the devices answer as units from 1 on, in the order of the inventory.
    """

    rate: float = 1.0
    address: str | None = None
    kinds: Sequence[str] | None = None
    limit: int | None = None
    lanes: int = 1
    body: str = "auto"
    reliable: bool = False
    serial: str | None = None
    baud: int = 9600


@dataclass(frozen=True, slots=True)
class Serving:
    """Devices on the network: where they stand, their registers, what serves them."""

    field: Field
    server: Server
    manners: WireManners
    serial: SerialServer | None = None

    def change(self, now_ms: int) -> None:
        """Begin and end the manners of this moment."""
        if self.manners.turns(now_ms):
            self._set(self.manners.changes(now_ms), now_ms)

    def restart(self, now_ms: int) -> None:
        """Take the manners of `now_ms` whatever was in force before: time has gone back."""
        self._set(self.manners.of_all(now_ms), now_ms)

    def _set(self, manners: Mapping[int, WireManner | None], now_ms: int) -> None:
        for device, manner in manners.items():
            self.server.set_manner(device, manner)
            if self.serial is not None:
                self.serial.set_manner(device, manner)
        self.manners.scale(now_ms)


def wired(prepared: Prepared, options: Options, file: Path) -> Places:
    """Return where a scenario's devices will stand.

    Raises InputProblems with everything in it that the wire cannot do.
    """
    scenario, built = prepared.scenario, prepared.built
    wire = scenario.wire
    if options.address is not None:
        wire = wire.model_copy(update={"address": options.address, "by_kind": {}})
    places = assign(
        built.world.inventory, wire, scenario.seed, str(file), options.kinds, options.limit
    )
    _check_machine(places)
    if options.serial is not None and len(places.devices) > MOST_UNITS:
        allowed = f"at most {MOST_UNITS} on a line: --kinds, --limit"
        problem = Problem("--serial", options.serial, f"{len(places.devices)} devices", allowed)
        raise InputProblems([problem])
    return places


def _check_machine(places: Places) -> None:
    """Try the listeners, and count the files; raises InputProblems with what cannot be had."""
    endpoints = places.endpoints
    found = file_problems(len({e.port for e in endpoints}), len(endpoints))
    if found:  # perhaps too few to open all listeners at once
        raise InputProblems([*found, *port_problems((e.address, e.port) for e in endpoints)])
    opened = open_listeners(endpoints)
    for one in opened:
        one.close()
    found = file_problems(len(opened), len(endpoints))
    if found:
        raise InputProblems(found)


def beats(prepared: Prepared) -> Prepared:
    """Return the scenario with the beats of the wire: ticks of a second, its grid period.

    The day before is run without them: a run on the wire starts where a direct one does.
    The world then knows the register map of each device, which manners may name.
    """
    built, period_s = prepared.built, prepared.scenario.wire.grid_period_s
    world = built.world
    grid_ms = world.grid_period_ms if period_s is None else period_s * SECOND_MS
    inventory, scenario = world.inventory, prepared.scenario
    maps = {
        kind: np.array(map_names([], inventory, scenario.wire, scenario.seed, "", kind))
        for kind in inventory.kinds
    }
    world = replace(world, tick_ms=min(world.tick_ms, TICK_MS), grid_period_ms=grid_ms, maps=maps)
    return replace(prepared, built=replace(built, world=world))


@contextmanager
def serving(
    prepared: Prepared, run: Simulation, places: Places, options: Options
) -> Iterator[Serving]:
    """Serve the devices of `run` while inside."""
    field = Field(
        run, prepared.built.world.inventory, places, options.lanes, reliable=options.reliable
    )
    bank = field.bank
    manners = WireManners(prepared.scenario, places, bank)
    server = Server(
        bank.arrays,
        bank.compiled.layout,
        places.endpoints,
        lanes=options.lanes,
        body=options.body,
        manners=manners.at_start(),
        seed=prepared.scenario.seed,
    )
    manners.scale(run.now_ms)
    with ExitStack() as stack:
        stack.enter_context(server)
        serial = None
        if options.serial is not None:
            serial = SerialServer(
                bank.arrays,
                bank.compiled.layout,
                SerialLine(options.serial, options.baud),
                {d.number + 1: d.number for d in places.devices},
                lane=options.lanes,  # the portable body has the last one
                manners=manners.at_start(),
                seed=prepared.scenario.seed,
            )
            stack.enter_context(serial)
        yield Serving(field, server, manners, serial)
