"""A real device beside a city: emulated on a socket of its own, in step with the city's ticks.

city at rate 60 ── tick ──► stage (the "real" storage station, a Modbus server of its own)
     ▲                        ▲ TCP
     └──── BenchLoop ◄── Attendant (thread, every 10 ms)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hil.bench.clock import WallClock
from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.gate import Permit
from hil.bench.journal import Journal
from hil.bench.line import Line
from hil.bench.roles import Meter
from hil.testbed.attendant import Attendant
from hil.testbed.bench_loop import BenchLoop, Stand
from hil.testbed.stage import Stage
from tests.testbed.world import Bench

ROW = 1  # storage-00001 of first-contact: 750 kW, enrolled
RATED_KW = 75.0
SCALE = 10.0
POLL_S, LOST_AFTER_S = 0.01, 0.1
STORAGE = ("power_kw", "soc", "status", "setpoint_kw", "remote")


def bench_toml(stage: Stage, more: str, replaces: str = f"storage-{ROW:05d}") -> str:
    """Return a bench file with one device, that of a stage; `more` says the rest of it."""
    return f"""
name = "yard"
[[devices]]
name = "dut"
map = "{stage.map.name}"
transport = "tcp"
host = "{stage.spec.host}"
port = {stage.spec.port}
rated_kw = {RATED_KW}
replaces = "{replaces}"
{more}
"""


@dataclass(slots=True)
class Real:
    """One real device, and the loop that it is in."""

    here: Bench
    stage: Stage
    stand: Stand
    loop: BenchLoop
    journal: Path
    stepping: bool = True

    @property
    def power_kw(self) -> float:
        return float(self.stage.kind.power_kw[0])

    def advance(self, seconds: float) -> None:
        """Let city and device have so much time pass, in step."""

        def each(now_ms: int) -> None:
            self.loop.tick(now_ms, self.here.served.field)
            if self.stepping:
                self.stage.clock.sleep(1.0)

        self.here.advance(seconds, each)

    def order(self, value: float, point: str = "set_power_kw") -> None:
        """Order through the emulated register, as a platform does; it enters at the next tick."""
        assert self.here.write(self.here.place("storage", ROW), point, value) == 0


@contextmanager
def beside(
    here: Bench,
    folder: Path,
    stage: Stage,
    *,
    envelope: Envelope | None = None,
    meter: Meter | None = None,
    permit: Permit | None = None,
    safe_state: Mapping[str, float] | None = None,
    dry: bool = False,
    stop_on_lost: bool = False,
) -> Iterator[Real]:
    """Have a device stand in the place of storage-00001 while inside."""
    here.rate = 60.0
    path = folder / "bench.jsonl"
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(path))
        stack.enter_context(stage)
        line = Line(stage.spec)
        stack.callback(line.close)
        device = BenchDevice(
            "dut", "storage", stage.map, line, envelope or Envelope(-RATED_KW, RATED_KW), journal,
            WallClock(), SCALE, rated_kw=RATED_KW, safe_state=safe_state, permit=permit,
        )  # fmt: skip
        attendant = Attendant(device, STORAGE, meter, POLL_S, LOST_AFTER_S)
        path_of = "register" if meter is None else "meter"
        stand = Stand(attendant, "storage", ROW, SCALE, path_of, 0)
        world = here.prepared.built.world
        loop = BenchLoop(
            [stand], world.grid_period_ms, world.tick_ms, here.rate, dry=dry,
            stop_on_lost=stop_on_lost,
        )  # fmt: skip
        attendant.start(armed=not dry)
        here.served.field.ordered = loop.heard
        try:
            yield Real(here, stage, stand, loop, path)
        finally:
            attendant.end()
            limit = time.monotonic() + 5.0
            while loop.busy() and time.monotonic() < limit:
                time.sleep(0.005)
            assert not loop.busy()
