"""A relay on Modbus: one coil or register that switches, one that says whether it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hil.bench.clock import Clock
from hil.bench.drivers.modbus import heard, identified
from hil.bench.line import Speaking
from hil.bench.roles import About, InstrumentGarbage, InstrumentRefused
from hil.registers.schema import TableName

__all__ = ["Contact", "RelayModbus"]

LOOKS = 5  # times that the contact is looked at after it was told to move
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a contact stands, and what its two states are there."""

    table: TableName
    address: int
    on: int = 1
    off: int = 0


@dataclass(slots=True)
class RelayModbus:
    """A `Relay` behind a line.

    Attributes
    ----------
    line : to the relay
    order : coil or holding register that moves the contact
    shown : coil, input or register that shows it; the same as `order` where there is no other
    before : told each write before it is sent; what it raises keeps the write back
    """

    about_it: About
    clock: Clock
    line: Speaking
    order: Contact
    shown: Contact
    before: Callable[[str], None] = lambda command: None
    _said: About | None = None

    def about(self) -> About:
        """Return what a report says of it; asks who it is once, whatever comes of it."""
        if self._said is None:
            self._said = identified(self.about_it, self.line)
        return self._said

    def switch(self, on: bool) -> None:
        """Move the contact; InstrumentRefused with code 0 where it does not follow."""
        name, order = self.about_it.name, self.order
        word = order.on if on else order.off
        self.before(f"{order.table} {order.address} = {word}")
        with heard(name):
            self.line.write(order.table, order.address, [word])
        for _ in range(LOOKS):
            if self.is_on() == on:
                return
            self.clock.sleep(LOOK_S)
        raise InstrumentRefused(f"{name}: told to be {'on' if on else 'off'}, it is not", 0)

    def is_on(self) -> bool:
        """Return whether the contact shows that it is closed."""
        shown = self.shown
        with heard(self.about_it.name):
            word = self.line.read(shown.table, shown.address, 1)[0]
        if word not in (shown.on, shown.off):
            raise InstrumentGarbage(
                f"{self.about_it.name}: {shown.table} {shown.address} shows {word}, "
                f"neither on ({shown.on}) nor off ({shown.off})"
            )
        return word == shown.on

    def release(self) -> None:
        """End the connection; the contact stays as it is."""
        self.line.close()
