"""A city's fleet on the network, for a test of a platform.

The fleet stands on loopback addresses of one port, which is this test's own, so that any number
of workers serve fleets beside each other. Its time stands still and passes while the test waits
(`Fleet.wait`), or goes on by itself at a rate, for a platform that runs in another process.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.frames import FrameLog
from hil.bench.journal import Journal
from hil.bench.line import Line, LineSpec
from hil.certify.subject import Subject
from hil.plugin.cities import City
from hil.plugin.devices import JOURNAL_FILE, DeviceUnderTest
from hil.plugin.evidence import TestEvidence
from hil.plugin.passing import FleetTime
from hil.testbed.places import Place, Places, assign, write_inventory
from hil.testbed.setup import Options, Serving, serving
from twin.errors import InputProblems
from twin.run import Prepared

__all__ = ["Fleet", "fleet_of"]

INVENTORY_FILE = "inventory.csv"
PORT_TRIES = 8
FREE = Envelope(-math.inf, math.inf)


class Fleet:
    """The devices of a city on the network; the dispatcher's unit, which shows orders, is first.

    Attributes
    ----------
    devices : where each stands: name, kind, address, port, unit, map
    inventory : CSV file that a platform imports
    frames : what went over connections of this test
    time : a `Clock`; how late it was, where it goes on by itself
    """

    def __init__(
        self,
        city: City,
        served: Serving,
        evidence: TestEvidence,
        stack: ExitStack,
        rate: float | None,
    ) -> None:
        self.devices: tuple[Place, ...] = served.field.places.devices
        self.inventory = evidence.folder / INVENTORY_FILE
        self.frames = FrameLog()
        self.time = FleetTime(city.prepared, served, rate)
        self._served, self._evidence, self._stack = served, evidence, stack
        self._kinds, self._stepped = city.inventory.kinds, rate is None
        write_inventory(served.field.places, self.inventory)

    @property
    def now_ms(self) -> int:
        """Simulated time since midnight [ms]."""
        return self.time.now_ms

    def of_kind(self, kind: str) -> list[Place]:
        """Return the devices of a kind."""
        return [d for d in self.devices if d.kind == kind]

    def wait(self, seconds: float) -> None:
        """Let so much simulated time pass [s]; what was written meanwhile comes into force.

        Raises RunBroken where the scenario ends before.
        """
        self.time.sleep(seconds)

    def connect(self, name: str) -> DeviceUnderTest:
        """Return a device of the fleet by name, to be read and ordered as any other."""
        place = next((d for d in self.devices if d.name == name), None)
        if place is None:
            raise KeyError(f"{name}: not served; there are {len(self.devices)} devices")
        one = self._served.field.places.maps[place.map]
        known = self._kinds.get(place.kind)
        rated_kw = 1.0
        if known is not None and "rated_kw" in known.columns:
            rated_kw = float(known.columns.f8("rated_kw")[place.row])
        spec = LineSpec(host=place.address, port=place.port, unit=place.unit)
        line = Line(spec, self.frames)
        self._stack.callback(line.close)
        journal = self._stack.enter_context(Journal(self._evidence.folder / JOURNAL_FILE))
        device = BenchDevice(
            place.name, place.kind, one, line, FREE, journal, self.time, rated_kw=rated_kw
        )
        subject = Subject(
            place.name, place.kind, one, device, self.time, {}, "emulated",
            {"rated_kw": rated_kw}, spec, self.frames, compressed=self._stepped,
        )  # fmt: skip
        return DeviceUnderTest(subject, self._evidence)


@contextmanager
def fleet_of(
    request: pytest.FixtureRequest, city: City, factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """Yield the fleet of a city on the network; see `Fleet`."""
    marker = request.node.get_closest_marker("fleet")
    said = {} if marker is None else dict(marker.kwargs)
    unknown = sorted(set(said) - {"kinds", "limit", "rate", "address"})
    if unknown or (marker is not None and marker.args):
        pytest.fail("marker fleet takes kinds=, limit=, rate= and address= only", pytrace=False)
    rate, address = said.get("rate"), str(said.get("address", "ip"))
    if rate is not None and not float(rate) > 0.0:
        pytest.fail(f"marker fleet: rate {rate}; allowed: above 0", pytrace=False)
    if address not in ("ip", "unit"):
        pytest.fail(f"marker fleet: address {address!r}; allowed: ip, unit", pytrace=False)
    evidence = TestEvidence(request, factory, "fleet")
    with ExitStack() as stack:
        try:
            served = _served(stack, city.prepared, said.get("kinds"), said.get("limit"), address)
        except InputProblems as error:
            pytest.fail("\n".join(str(p) for p in error.problems), pytrace=False)
        inner = stack.enter_context(ExitStack())  # connections end before what they lead to
        fleet = Fleet(city, served, evidence, inner, None if rate is None else float(rate))
        evidence.say("devices", len(fleet.devices))
        evidence.file(INVENTORY_FILE)
        with fleet.time.going():
            yield fleet
        counts = served.field.counts()
        evidence.say_all({name: int(values.sum()) for name, values in counts.items()})
        if fleet.time.lateness_ms:
            evidence.say("lateness_max_ms", f"{max(fleet.time.lateness_ms):.1f}")
        if len(fleet.frames) > 0:
            evidence.frames(fleet.frames.take(), fleet.frames.dropped)
            evidence.file(JOURNAL_FILE)


def _served(
    stack: ExitStack,
    prepared: Prepared,
    kinds: Sequence[str] | None,
    limit: int | None,
    address: str,
) -> Serving:
    """Serve a fleet on a free port; raises InputProblems."""
    options = Options(address=address, kinds=kinds, limit=limit, reliable=True)
    run = prepared.built.start(None)
    run.recorder = None  # nobody judges
    for tries in range(PORT_TRIES):
        places = _placed(prepared, options, _free_port())
        try:
            return stack.enter_context(serving(prepared, run, places, options))
        except InputProblems:  # somebody else took the port meanwhile
            if tries == PORT_TRIES - 1:
                raise
    raise AssertionError("one of the tries returns or raises")


def _placed(prepared: Prepared, options: Options, port: int) -> Places:
    update: dict[str, object] = {"port": port, "address": options.address, "by_kind": {}}
    wire = prepared.scenario.wire.model_copy(update=update)
    world = prepared.built.world
    return assign(
        world.inventory, wire, prepared.scenario.seed, "fleet", options.kinds, options.limit
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
