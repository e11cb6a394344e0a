"""A look at instruments that moves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hil.bench.clock import WallClock
from hil.bench.drivers.entries import InstrumentEntry
from hil.bench.drivers.opening import Means, open_instrument
from hil.bench.errors import BenchError, Forbidden
from hil.bench.roles import GridSource, Measured, Meter, Relay

__all__ = ["Seen", "look_at"]

# A person is not asked for the sake of a look.
BY_HAND = ("meter_manual", "source_manual", "relay_manual", "person_terminal")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at an instrument brought."""

    instrument: str
    well: bool
    text: str


def look_at(entries: Iterable[InstrumentEntry]) -> list[Seen]:
    """Return what each instrument shows, or why it does not."""
    return [_look(entry) for entry in entries]


def _look(entry: InstrumentEntry) -> Seen:
    if entry.driver in BY_HAND:
        return Seen(entry.name, True, "is a person's: not asked")
    try:
        instrument = open_instrument(entry, Means(WallClock(), before=_nothing_moves))
        try:
            about = instrument.about()
            who = f"{about.identity or entry.driver}: "
            if isinstance(instrument, Meter):
                return Seen(entry.name, True, who + _shown(instrument.power_kw(), "kW"))
            if isinstance(instrument, GridSource):
                volts = _shown(instrument.voltage_pu(), "pu")
                return Seen(
                    entry.name, True, f"{who}{volts}, {_shown(instrument.frequency_hz(), 'Hz')}"
                )
            if isinstance(instrument, Relay):
                return Seen(entry.name, True, who + ("closed" if instrument.is_on() else "open"))
            return Seen(entry.name, True, who + "is there")
        finally:
            instrument.release()
    except BenchError as error:
        return Seen(entry.name, False, str(error))


def _nothing_moves(name: str, command: str) -> None:
    raise Forbidden(f"{name}: {command!r} is not sent for a look")


def _shown(measured: Measured, unit: str) -> str:
    return f"{measured.value:g} {unit} ± {measured.accuracy:.2g}"
