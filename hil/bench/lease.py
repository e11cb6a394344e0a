"""A device's own timers: what makes it safe when nobody speaks to it any more.

A time after which an order lapses, or a heartbeat that must change, works where runner, guard
and line are all gone. What the device does then is its own way (ours goes back to its owner's
control), so that it stands behind the guard and does not replace it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from hil.bench.clock import Clock
from hil.bench.device import BenchDevice
from hil.bench.errors import BenchError
from hil.bench.schema import DeviceEntry, Heartbeat
from hil.bench.schema import Lease as LeaseEntry
from hil.registers.schema import TableName

__all__ = ["KeepingClock", "LeaseRefused", "Timers"]

# How long a device may take to show what it took, and between two looks (ours) [s].
SHOWN_S, PAUSE_S = 3.0, 0.1
LONGEST_NUMBER = 255  # a heartbeat counts up to this and begins again; every register holds it


class LeaseRefused(BenchError):
    """The device does not take its timer; the text says which."""


class Timers:
    """The timers of one device: set before its first order, kept running while the runner is.

    What is written goes the device's own way: permitted, journalled, within its limits. So the
    heartbeat ends with the permission to write.

    Parameters
    ----------
    device : whose timers
    heartbeat, lease : as the bench file names them, None where there is none
    now_s : monotonic wall time [s]
    """

    def __init__(
        self,
        device: BenchDevice,
        heartbeat: Heartbeat | None = None,
        lease: LeaseEntry | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device, self.heartbeat, self.lease, self._now_s = device, heartbeat, lease, now_s
        self._found: float | None = None
        self._number = 0
        self._due_s: float | None = None

    @classmethod
    def of(cls, device: BenchDevice, entry: DeviceEntry) -> Timers:
        """Return the timers that a bench file names."""
        return cls(device, entry.heartbeat, entry.lease)

    def arm(self) -> None:
        """Set the lease and tell the first heartbeat; raises LeaseRefused and LineError."""
        if self.lease is not None:
            self._found = self._shown(self.lease.point)
            self._write(self.lease.point, self.lease.value)
            self._await(self.lease.point, self.lease.value)
        self._due_s = self._now_s()
        self.refresh()

    def refresh(self) -> None:
        """Tell a new heartbeat where one is due; raises LeaseRefused and LineError."""
        now_s = self._now_s()
        if self.heartbeat is None or self._due_s is None or now_s < self._due_s:
            return
        self._due_s = now_s + self.heartbeat.every_s
        self._number = self._number % LONGEST_NUMBER + 1
        self._write(self.heartbeat.point, float(self._number))

    def wrote(self, table: TableName, address: int, count: int) -> None:
        """Take note of a write to the device: by whomever it was, a heartbeat is one."""
        if self.heartbeat is None or self._due_s is None:
            return
        point = self.device.map.point(self.heartbeat.point)
        if point.table == table and address <= point.address < address + count:
            self._due_s = self._now_s() + self.heartbeat.every_s

    def restore(self) -> None:
        """Give the lease the value back that it had; what fails is noted in the journal.

        The next order then lasts as long as it did before the bench came; called when the device
        is at its safe state.
        """
        if self.lease is None or self._found is None:
            return
        found, self._found = self._found, None
        try:
            self._write(self.lease.point, found)
        except BenchError as error:
            text = f"{self.lease.point} keeps {self.lease.value:g}"
            self.device.journal.record("note", self.device.name, text=text, why=str(error))

    def _await(self, point: str, value: float) -> None:
        """Wait until a point shows a value, where it can be read at all."""
        clock, scale = self.device.clock, self.device.map.point(point).scale
        limit_s = clock.now_s() + SHOWN_S
        while (shown := self._shown(point)) is not None and abs(shown - value) > 0.501 * scale:
            if clock.now_s() >= limit_s:
                text = f"{point} shows {shown:g} and not {value:g}, {SHOWN_S:g} s after it took it"
                raise LeaseRefused(f"{self.device.name}: {text}")
            clock.sleep(PAUSE_S)

    def _shown(self, point: str) -> float | None:
        if "r" not in self.device.map.point(point).access:
            return None
        value = self.device.read([point])[point].value
        return value if isinstance(value, float) else None

    def _write(self, point: str, value: float) -> None:
        written = self.device.write(point, value)
        if not written.accepted:
            raise LeaseRefused(
                f"{self.device.name}: {point} was refused with exception {written.code}"
            )


class KeepingClock:
    """A clock that keeps a device's heartbeat while it sleeps, as well as that goes.

    A device that is to be proven at its safe state must not fall back in the middle of that; what
    it does when the last heartbeat is over is its own way.
    """

    def __init__(self, inner: Clock, device: BenchDevice, heartbeat: Heartbeat | None) -> None:
        self._inner, self._timers = inner, Timers(device, heartbeat, None, inner.now_s)
        self._begun = False

    def now_s(self) -> float:
        """Return the inner clock's time [s]."""
        return self._inner.now_s()

    def sleep(self, seconds: float) -> None:
        """Let time pass [s]; a heartbeat that is not taken is no reason to stop."""
        with suppress(BenchError):
            if self._begun:
                self._timers.refresh()
            else:
                self._begun = True
                self._timers.arm()
        self._inner.sleep(seconds)
