"""One pass of a simulation on wall time, with its devices on the network.

The state at a tick is worked out before the tick is due and shown when it is: registers turn
over on time however long a step takes, as long as it takes less than a tick. What clients wrote
enters at the first tick after it arrived.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hil.pacer import Pacer
from hil.registers.bank import Writes
from hil.testbed.dispatcher import Dispatcher
from hil.testbed.ending import Ending
from hil.testbed.field import Field
from twin.clock import MINUTE_MS, SECOND_MS

__all__ = ["TICK_MS", "Session", "WriteLog"]

TICK_MS = SECOND_MS  # the fleet's physics steps by as much


@dataclass(slots=True)
class WriteLog:
    """What clients wrote, as it came: one entry a tick."""

    now_ms: list[int] = field(default_factory=list)
    writes: list[Writes] = field(default_factory=list)

    def add(self, now_ms: int, writes: Writes) -> None:
        """Keep the writes that entered at `now_ms`."""
        if len(writes.device) > 0:
            self.now_ms.append(now_ms)
            self.writes.append(writes)


class Session:
    """Steps a simulation when its time has come.

    Parameters
    ----------
    field : the devices; `Field.attach` may put a fork in the simulation's place at any tick
    dispatcher : shows clock and orders
    pacer : says when a tick is due
    """

    def __init__(self, field: Field, dispatcher: Dispatcher, pacer: Pacer) -> None:
        self.field, self.dispatcher, self.pacer = field, dispatcher, pacer
        self.log = WriteLog()

    def run(
        self,
        until_ms: int,
        on_tick: Callable[[int], None],
        going: Callable[[], bool] = lambda: True,
    ) -> None:
        """Run to `until_ms` or as long as `going`; the clock begins when all is ready.

        Parameters
        ----------
        on_tick : called with the simulated time when a tick is shown and the writes before it
            are in, before anything of it has happened; announces orders, forks, hears partners

        Raises KeyboardInterrupt when the process is told to end.
        """
        with Ending() as ending:
            # What stands at the start is no garbage: looking through it would hold a tick up.
            gc.collect()
            gc.freeze()
            try:
                self._ticks(until_ms, on_tick, going, ending)
            finally:
                gc.unfreeze()

    def _ticks(
        self,
        until_ms: int,
        on_tick: Callable[[int], None],
        going: Callable[[], bool],
        ending: Ending,
    ) -> None:
        field, pacer = self.field, self.pacer
        applied_ns = time.monotonic_ns()
        self.dispatcher.tick(field.run.now_ms)
        field.write(applied_ns)
        pacer.begin()
        while going():
            now_ms = field.run.now_ms
            ending.resting = True
            ending.check()  # first resting, then looking: no signal falls between
            due_ns = pacer.wait(now_ms)
            ending.resting = False
            field.publish()
            pacer.mark(now_ms)
            if now_ms >= until_ms:
                break
            self.log.add(now_ms, field.apply(due_ns))
            on_tick(now_ms)
            field.run.run(min(now_ms - now_ms % TICK_MS + TICK_MS, until_ms))
            if field.run.now_ms % MINUTE_MS == 0:
                field.hear()
            self.dispatcher.tick(field.run.now_ms)
            field.write(due_ns)

    def columns(self) -> dict[str, list[object]]:
        """Return everything that was written, by column, for ``writes.parquet``."""
        places, layout = self.field.places, self.field.bank.compiled
        point_names = [f"{one.name}:{point.name}" for one in layout.maps for point in one.points]
        found: dict[str, list[object]] = {
            name: [] for name in ("now_ms", "device", "kind", "row", "point", "raw", "value")
        }
        for now_ms, writes in zip(self.log.now_ms, self.log.writes, strict=True):
            for device, point, raw, value in zip(
                writes.device.tolist(), writes.point.tolist(), writes.raw.tolist(),
                writes.value.tolist(), strict=True,
            ):  # fmt: skip
                place = places.devices[device]
                entry = (now_ms, place.name, place.kind, place.row,
                         point_names[point].partition(":")[2], raw, value)  # fmt: skip
                for column, cell in zip(found.values(), entry, strict=True):
                    column.append(cell)
        return found
