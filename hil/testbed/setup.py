"""From a prepared scenario to devices on the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hil.server import Server
from hil.testbed.behave import WireManners
from hil.testbed.field import Field
from hil.testbed.places import Places, assign
from hil.testbed.session import TICK_MS
from twin.clock import SECOND_MS
from twin.engine.simulation import Simulation
from twin.run import Prepared

__all__ = ["Options", "Serving", "beats", "serving", "wired"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says about the wire; None takes the scenario's own.

    `limit` is the number of devices of a kind that are served at most.
    """

    rate: float = 1.0
    address: str | None = None
    kinds: Sequence[str] | None = None
    limit: int | None = None
    lanes: int = 1
    body: str = "auto"


@dataclass(frozen=True, slots=True)
class Serving:
    """Devices on the network: where they stand, their registers, what serves them."""

    field: Field
    server: Server
    manners: WireManners

    def change(self, now_ms: int) -> None:
        """Begin and end the manners of this moment."""
        changes = self.manners.changes(now_ms)
        for device, manner in changes.items():
            self.server.set_manner(device, manner)
        if changes:
            self.manners.scale(now_ms)


def wired(prepared: Prepared, options: Options, file: Path) -> tuple[Prepared, Places]:
    """Return the scenario with the beats of the wire, and where its devices will stand.

    Raises InputProblems with everything in it that the wire cannot do.
    """
    scenario, built = prepared.scenario, prepared.built
    wire = scenario.wire
    if options.address is not None:
        wire = wire.model_copy(update={"address": options.address, "by_kind": {}})
    places = assign(
        built.world.inventory, wire, scenario.seed, str(file), options.kinds, options.limit
    )
    return beats(prepared), places


def beats(prepared: Prepared) -> Prepared:
    """Return the scenario with the beats of the wire: ticks of a second, its grid period."""
    built, period_s = prepared.built, prepared.scenario.wire.grid_period_s
    world = built.world
    grid_ms = world.grid_period_ms if period_s is None else period_s * SECOND_MS
    world = replace(world, tick_ms=min(world.tick_ms, TICK_MS), grid_period_ms=grid_ms)
    return replace(prepared, built=replace(built, world=world))


@contextmanager
def serving(
    prepared: Prepared, run: Simulation, places: Places, options: Options
) -> Iterator[Serving]:
    """Serve the devices of `run` while inside."""
    field = Field(run, prepared.built.world.inventory, places, options.lanes)
    bank = field.bank
    manners = WireManners(prepared.scenario, places, bank)
    server = Server(
        bank.arrays,
        bank.compiled.layout,
        places.endpoints,
        lanes=options.lanes,
        body=options.body,
        manners=manners.at_start(),
    )
    with server:
        yield Serving(field, server, manners)
