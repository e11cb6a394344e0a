"""A city's fleet on the network, for a test of a platform.

The fleet stands on loopback addresses of one port, which is this test's own, so that any number
of workers serve fleets beside each other. Its time stands still and passes while the test waits
(`Fleet.wait`), or goes on by itself at a rate, for a platform that runs in another process.
"""

from __future__ import annotations

import math
import socket
import threading
import time
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
from hil.testbed.dispatcher import Dispatcher
from hil.testbed.places import Place, Places, assign, write_inventory
from hil.testbed.setup import Options, Serving, serving
from twin.clock import MINUTE_MS, SECOND_MS
from twin.errors import InputProblems
from twin.record.orders import Notice, NoticeKind
from twin.run import Prepared
from twin.scenario.timetable import notice_entry

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
    lateness_ms : how late each second was, where time goes on by itself
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
        self.lateness_ms: list[float] = []
        self._served, self._evidence, self._stack, self._rate = served, evidence, stack, rate
        self._city, self._orders = city.prepared, city.prepared.built.orders
        world = self._city.built.world
        self._dispatcher = Dispatcher(
            served.field.bank, world.inventory.max_load_mw, rate or 1.0, None
        )
        self._clock = _FleetClock(self, world.start_ms)
        write_inventory(served.field.places, self.inventory)

    @property
    def now_ms(self) -> int:
        """Simulated time since midnight [ms]."""
        return self._served.field.run.now_ms

    def of_kind(self, kind: str) -> list[Place]:
        """Return the devices of a kind."""
        return [d for d in self.devices if d.kind == kind]

    def wait(self, seconds: float) -> None:
        """Let so much simulated time pass [s]; what was written meanwhile comes into force."""
        self._clock.sleep(seconds)

    def connect(self, name: str) -> DeviceUnderTest:
        """Return a device of the fleet by name, to be read and ordered as any other."""
        place = next((d for d in self.devices if d.name == name), None)
        if place is None:
            raise KeyError(f"{name}: not served; there are {len(self.devices)} devices")
        one = self._served.field.places.maps[place.map]
        known = self._city.built.world.inventory.kinds.get(place.kind)
        rated_kw = 1.0
        if known is not None and "rated_kw" in known.columns:
            rated_kw = float(known.columns.f8("rated_kw")[place.row])
        spec = LineSpec(host=place.address, port=place.port, unit=place.unit)
        frames = FrameLog()
        line = Line(spec, frames)
        self._stack.callback(line.close)
        journal = self._stack.enter_context(Journal(self._evidence.folder / JOURNAL_FILE))
        device = BenchDevice(
            place.name, place.kind, one, line, FREE, journal, self._clock, rated_kw=rated_kw
        )
        subject = Subject(
            place.name, place.kind, one, device, self._clock, {}, "emulated",
            {"rated_kw": rated_kw}, spec, frames, compressed=self._rate is None,
        )  # fmt: skip
        return DeviceUnderTest(subject, self._evidence)

    # -- time ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Show the first moment."""
        self._dispatcher.tick(self.now_ms)
        self._served.field.write(time.monotonic_ns())
        self._served.field.publish()

    def advance(self, until_ms: int) -> None:
        """Step to a simulated time, second by second; at the scenario's end time stands still."""
        end_ms = self._city.built.world.end_ms
        while self.now_ms < min(until_ms, end_ms):
            self._second(end_ms)

    def _second(self, end_ms: int) -> None:
        served, field = self._served, self._served.field
        now_ms, applied_ns = self.now_ms, time.monotonic_ns()
        field.apply(applied_ns)
        served.change(now_ms)
        for order in self._orders:
            if order.notice_ms == now_ms:
                field.attach(field.run.fork(None, (notice_entry(order),)))
                self._dispatcher.announce(Notice(now_ms, NoticeKind.ORDER, order))
        field.run.run(min(now_ms - now_ms % SECOND_MS + SECOND_MS, end_ms))
        if self.now_ms % MINUTE_MS == 0:
            field.hear()
        self._dispatcher.tick(self.now_ms)
        field.write(applied_ns)
        field.publish()

    @contextmanager
    def going(self) -> Iterator[None]:
        """Have time go on by itself while inside, where there is a rate."""
        if self._rate is None:
            yield
            return
        stop, broken = threading.Event(), list[BaseException]()

        def keep_going(rate: float) -> None:
            begun_s, start_ms = time.monotonic(), self.now_ms
            try:
                while not stop.is_set():
                    due_s = begun_s + (self.now_ms + SECOND_MS - start_ms) / 1000.0 / rate
                    if stop.wait(max(due_s - time.monotonic(), 0.0)):
                        return
                    before_ms = self.now_ms
                    self.advance(before_ms + SECOND_MS)
                    if self.now_ms == before_ms:  # the scenario is over
                        return
                    self.lateness_ms.append(1000.0 * (time.monotonic() - due_s))
            except BaseException as error:
                broken.append(error)

        thread = threading.Thread(target=keep_going, args=(self._rate,), name="fleet", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if broken:
            raise broken[0]

    def passed(self, until_ms: int) -> None:
        """Return when simulated time is `until_ms`: step there, or wait for it."""
        if self._rate is None:
            self.advance(until_ms)
            return
        until_ms = min(until_ms, self._city.built.world.end_ms)
        while self.now_ms < until_ms:
            time.sleep(0.25 / self._rate)


class _FleetClock:
    """The fleet's time since the scenario's start [s]; parts of a second add up."""

    def __init__(self, fleet: Fleet, start_ms: int) -> None:
        self._fleet, self._start_ms = fleet, start_ms
        self._owed_ms = 0.0

    def now_s(self) -> float:
        """Return the fleet's time [s]."""
        return (self._fleet.now_ms - self._start_ms + self._owed_ms) / 1000.0

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self._owed_ms += max(seconds * 1000.0, 0.0)
        whole_ms = int(self._owed_ms // SECOND_MS) * SECOND_MS
        self._owed_ms -= whole_ms
        self._fleet.passed(self._fleet.now_ms + whole_ms)


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
        fleet.begin()
        evidence.say("devices", len(fleet.devices))
        evidence.file(INVENTORY_FILE)
        with fleet.going():
            yield fleet
        counts = served.field.counts()
        evidence.say_all({name: int(values.sum()) for name, values in counts.items()})
        if fleet.lateness_ms:
            evidence.say("lateness_max_ms", f"{max(fleet.lateness_ms):.1f}")


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
