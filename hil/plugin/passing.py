"""How time passes for a fleet: while a test waits for it, or by itself at a rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hil.testbed.dispatcher import Dispatcher
from hil.testbed.setup import Serving
from twin.clock import MINUTE_MS, SECOND_MS, format_time_of_day
from twin.errors import RunBroken
from twin.record.orders import Notice, NoticeKind
from twin.run import Prepared
from twin.scenario.timetable import notice_entry

__all__ = ["FleetTime"]

LOOKS = 4  # at the time, in a simulated second


class FleetTime:
    """The time of a fleet that is served; a bench's `Clock`.

    Parameters
    ----------
    prepared : scenario, with its orders
    served : what shows its moments
    rate : simulated seconds in a second of wall time; None: time passes in `sleep` only

    Attributes
    ----------
    lateness_ms : how late each second was shown, where time goes on by itself
    """

    def __init__(self, prepared: Prepared, served: Serving, rate: float | None) -> None:
        self.lateness_ms: list[float] = []
        self._served, self._rate = served, rate
        self._orders, self._world = prepared.built.orders, prepared.built.world
        self._dispatcher = Dispatcher(
            served.field.bank, self._world.inventory.max_load_mw, rate or 1.0, None
        )
        self._owed_ms = 0.0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._broken: BaseException | None = None
        self._dispatcher.tick(self.now_ms)
        served.field.write(time.monotonic_ns())
        served.field.publish()

    @property
    def now_ms(self) -> int:
        """Simulated time since midnight [ms]."""
        return self._served.field.run.now_ms

    def now_s(self) -> float:
        """Return the time since the scenario's start [s]."""
        return (self.now_ms - self._world.start_ms + self._owed_ms) / 1000.0

    def sleep(self, seconds: float) -> None:
        """Let time pass; parts of a second add up.

        Raises RunBroken where the scenario ends before, or time has stopped for a fault.
        """
        self._owed_ms += max(seconds * 1000.0, 0.0)
        whole_ms = int(self._owed_ms // SECOND_MS) * SECOND_MS
        self._owed_ms -= whole_ms
        until_ms = self.now_ms + whole_ms
        if until_ms > self._world.end_ms:
            end = format_time_of_day(self._world.end_ms)
            raise RunBroken(f"the scenario ends at {end}: no more time passes")
        if self._rate is None:
            while self.now_ms < until_ms:
                self._second()
            return
        while self.now_ms < until_ms:
            if self._thread is None or not self._thread.is_alive():
                raise RunBroken(f"the fleet's time has stopped: {self._broken}")
            time.sleep(1.0 / LOOKS / self._rate)

    def _second(self) -> None:
        """Let what was written come into force, and show what the devices are a second later."""
        served, field = self._served, self._served.field
        now_ms, applied_ns = self.now_ms, time.monotonic_ns()
        field.apply(applied_ns)
        served.change(now_ms)
        for order in self._orders:
            if order.notice_ms == now_ms:
                field.attach(field.run.fork(None, (notice_entry(order),)))
                self._dispatcher.announce(Notice(now_ms, NoticeKind.ORDER, order))
        field.run.run(min(now_ms - now_ms % SECOND_MS + SECOND_MS, self._world.end_ms))
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
        self._thread = threading.Thread(
            target=self._go, args=(self._rate,), name="fleet", daemon=True
        )
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
        if self._broken is not None:
            raise self._broken

    def _go(self, rate: float) -> None:
        begun_s, start_ms = time.monotonic(), self.now_ms
        try:
            while self.now_ms < self._world.end_ms:
                due_s = begun_s + (self.now_ms + SECOND_MS - start_ms) / 1000.0 / rate
                if self._stop.wait(max(due_s - time.monotonic(), 0.0)):
                    return
                self._second()
                self.lateness_ms.append(1000.0 * (time.monotonic() - due_s))
        except BaseException as error:
            self._broken = error
