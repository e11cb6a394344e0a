"""A stage: one emulated device on a real socket or serial line, in virtual time.

Bytes go over sockets as they do to any device; simulated time passes only while somebody sleeps
on the stage's clock, second by second, so that two hours of charging take some wall seconds.
What was written meanwhile enters at the next second, and what the device then shows is served.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Literal, Self

from hil.bench.drivers.accuracy import Accuracy
from hil.bench.line import LineSpec
from hil.bench.roles import About, Energy, GridSource, Measured
from hil.registers.files import load_map, maps_of
from hil.registers.schema import RegisterMap
from hil.server import Endpoint, SerialLine, SerialServer, Server, WireManner
from hil.server.tls import make_identity, server_context
from hil.testbed.field import Field
from hil.testbed.places import Place, Places
from hil.testbed.stage_line import null_modem
from hil.testbed.stage_world import alone, default_nameplate, start_hour, start_state
from twin.assets import KINDS
from twin.assets.kind import Kind
from twin.assets.manners import Manner
from twin.clock import SECOND_MS
from twin.engine.simulation import Simulation
from twin.errors import InputProblems, Problem
from twin.units import SECONDS_PER_HOUR

__all__ = ["Stage", "StageClock", "StageMeter", "check_stage"]

HOUR_S = 3_600
ADDRESS = "127.0.0.1"
PORT_TRIES = 8
BAUD = 115_200
TIMEOUT_S = 1.0
LIVE_S = 0.02  # wall time between two looks at the clock
CLASS_PCT = 0.0  # the emulated meter shows the truth


class StageClock:
    """Device time [s] since the stage was set; `sleep` lets it pass."""

    compressed = True

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._now_ms = 0

    def now_s(self) -> float:
        """Return the device time [s]."""
        return self._now_ms / 1000.0

    def sleep(self, seconds: float) -> None:
        """Let device time pass; parts of a second add up."""
        self._now_ms += max(round(seconds * 1000.0), 0)
        self._stage.advance(self._now_ms // SECOND_MS)


class StageMeter:
    """A `Meter` on the device's true power, renewed every second, without error."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._accuracy = Accuracy(CLASS_PCT, float(stage.nameplate["rated_kw"]))
        self._about = About("stage", "meter_stage", "the emulated device's true power",
                            CLASS_PCT, 1.0)  # fmt: skip

    def about(self) -> About:
        """Return what a report says of it."""
        return self._about

    def power_kw(self) -> Measured:
        """Return the power of the last second [kW]."""
        return self._measured(float(self._stage.kind.power_kw[0]))

    def energy_kwh(self) -> Energy:
        """Return what went into the grid and came from it since the stage was set [kWh]."""
        into, out_of = self._stage.energy_kwh
        return Energy(self._measured(into), self._measured(out_of))

    def release(self) -> None:
        """There is no connection to end."""

    def _measured(self, value: float) -> Measured:
        now_s = self._stage.clock.now_s()
        return Measured(value, now_s, self._accuracy.at(value), 1.0)


class Stage:
    """One emulated device; serves while inside its ``with``.

    Raises InputProblems for a kind, map or nameplate that does not exist or does not fit.

    Parameters
    ----------
    kind : of the twin; a class of `Kind` stands in for it (a device of somebody else's physics)
    map : that it serves: a map's name, a file, or a map; default: the kind's own table
    nameplate : columns that replace the default ones (hil/testbed/stage.toml)
    seed : of its single spread, its meters' errors and the weather
    manner, wire : how it behaves, and how it treats bytes
    transport : ``tcp``, ``tls`` or ``rtu`` (a pseudo-terminal)
    unit : number at which it answers; default: the map's
    start_s : time of the day at which the stage is set [s]; default: by kind
    state : rows of the kind's state and what they hold at the start, e.g. ``{"soc": 0.9}``

    Attributes
    ----------
    clock, meter : device time, and true power
    source : grid source on its terminals, None: the twin's kinds have no voltage of their own
    spec : how it is reached, while it is served
    run, field : what is simulated, and its registers
    """

    def __init__(
        self,
        kind: str | type[Kind],
        map: str | RegisterMap | None = None,
        *,
        nameplate: Mapping[str, float] | None = None,
        seed: int = 0,
        manner: Manner | None = None,
        wire: WireManner | None = None,
        transport: Literal["tcp", "tls", "rtu"] = "tcp",
        unit: int | None = None,
        start_s: int | None = None,
        state: Mapping[str, float] | None = None,
    ) -> None:
        sort = _sort(kind)
        self.map = _map(sort.name, map)
        self.nameplate = {**default_nameplate(sort.name), **(nameplate or {})}
        self.seed, self.wire, self.transport = seed, wire, transport
        self.unit = self.map.unit if unit is None else unit
        self.start_s = start_hour(sort.name) * HOUR_S if start_s is None else start_s
        self.name = f"emulated-{sort.name}"
        start_ms = self.start_s * SECOND_MS
        self.run: Simulation = alone(sort, self.nameplate, seed, start_ms, manner)
        self.kind: Kind = self.run.kinds[sort.name]
        for row, value in {**start_state(sort.name), **(state or {})}.items():
            self.kind.state[row] = value
        self.energy_kwh = (0.0, 0.0)
        self.clock = StageClock(self)
        self.meter = StageMeter(self)
        self.source: GridSource | None = None
        self.field = self._field()
        self._spec: LineSpec | None = None
        self._stack = ExitStack()

    def _field(self) -> Field:
        name = self.kind.name
        place = Place(0, self.name, name, 0, "district", ADDRESS, 1, self.unit, self.map.name)
        places = Places((place,), (), {self.map.name: self.map})
        return Field(self.run, self.run.world.inventory, places, reliable=True)

    # -- begin and end -------------------------------------------------------------------------

    @property
    def spec(self) -> LineSpec:
        """How the device is reached."""
        if self._spec is None:
            raise RuntimeError("a stage is reached inside its with")
        return self._spec

    def __enter__(self) -> Self:
        self._show(time.monotonic_ns())
        self._settle()
        with ExitStack() as stack:
            self._spec = self._serve(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spec = None
        self._stack.close()

    def _settle(self) -> None:
        """Let manners begin and the first second pass, before anybody looks."""
        self.clock.sleep(1.0)

    def _serve(self, stack: ExitStack) -> LineSpec:
        bank = self.field.bank
        manners = {} if self.wire is None else {0: self.wire}
        if self.transport == "rtu":
            ours, theirs = stack.enter_context(null_modem())
            stack.enter_context(
                SerialServer(
                    bank.arrays, bank.compiled.layout, SerialLine(ours, BAUD), {self.unit: 0},
                    lane=1, manners=manners, seed=self.seed,
                )
            )  # fmt: skip
            return LineSpec(transport="rtu", serial=theirs, baud=BAUD, unit=self.unit,
                            timeout_s=TIMEOUT_S)  # fmt: skip
        if self.transport == "tls":
            made = make_identity(Path(stack.enter_context(TemporaryDirectory())), "stage")
            port = self._listen(stack, manners, server_context(made))
            return LineSpec(transport="tls", host=ADDRESS, port=port, unit=self.unit,
                            timeout_s=TIMEOUT_S, ca=str(made.certificate))  # fmt: skip
        port = self._listen(stack, manners)
        return LineSpec(transport="tcp", host=ADDRESS, port=port, unit=self.unit,
                        timeout_s=TIMEOUT_S)  # fmt: skip

    def _listen(
        self,
        stack: ExitStack,
        manners: Mapping[int, WireManner],
        tls: ssl.SSLContext | None = None,
    ) -> int:
        """Serve by TCP on a free port and return it; another one where it is taken meanwhile."""
        bank = self.field.bank
        for tries in range(PORT_TRIES):
            port = _free_port()
            server = Server(
                bank.arrays, bank.compiled.layout, [Endpoint(ADDRESS, port, 0)],
                body="portable", manners=manners, seed=self.seed, tls=tls,
            )  # fmt: skip
            try:
                stack.enter_context(server)
            except InputProblems:
                if tries == PORT_TRIES - 1:
                    raise
            else:
                return port
        raise RuntimeError("no port")

    # -- time ----------------------------------------------------------------------------------

    def advance(self, until_s: int) -> None:
        """Step the device to `until_s` of its own time, second by second."""
        start_ms, run = self.run.world.start_ms, self.run
        until_ms = start_ms + until_s * SECOND_MS
        if run.now_ms >= until_ms:
            return
        applied_ns = time.monotonic_ns()
        self.field.apply(applied_ns)
        into, out_of = self.energy_kwh
        while run.now_ms < until_ms:
            run.run(run.now_ms + SECOND_MS)
            power_kw = float(self.kind.power_kw[0])
            into += max(power_kw, 0.0) / SECONDS_PER_HOUR
            out_of += max(-power_kw, 0.0) / SECONDS_PER_HOUR
        self.energy_kwh = into, out_of
        self._show(applied_ns)

    @contextmanager
    def live(self, rate: float = 1.0) -> Iterator[Self]:
        """Let device time pass by itself while inside, `rate` times as fast as the wall's.

        For whoever brings a clock of his own, such as another process; nobody sleeps on the
        stage's clock meanwhile.
        """
        done = threading.Event()

        def run() -> None:
            last_s = time.monotonic()
            while not done.wait(LIVE_S):
                now_s = time.monotonic()
                self.clock.sleep(rate * (now_s - last_s))
                last_s = now_s

        thread = threading.Thread(target=run, name="stage", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            done.set()
            thread.join()

    def _show(self, applied_ns: int) -> None:
        self.field.write(applied_ns)
        self.field.publish()


def check_stage(kind: str, map: str | None = None) -> None:
    """Raise InputProblems where there is no such kind or map; nothing is made."""
    _map(_sort(kind).name, map)


def _sort(kind: str | type[Kind]) -> type[Kind]:
    if not isinstance(kind, str):
        return kind
    default_nameplate(kind)  # says which kinds there are
    return KINDS[kind]


def _map(kind: str, given: str | RegisterMap | None) -> RegisterMap:
    if given is None:
        return next(iter(maps_of(kind).values()))
    one = given if isinstance(given, RegisterMap) else load_map(given)
    if one.kind != kind:
        allowed = f"a map of {kind}: " + ", ".join(maps_of(kind))
        raise InputProblems([Problem("device", "map", f"{one.name} is of {one.kind}", allowed)])
    return one


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])
