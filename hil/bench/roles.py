"""What instruments on a bench can do: roles of at most five methods, equal for every maker.

A procedure asks for a role, never for a maker. Drivers stand in `hil.bench.drivers`, named
role_vendor; a fake, a person and a real instrument pass one suite of contract tests.

Power is positive INTO the grid; time is the bench's clock (`hil.bench.clock`) [s].

::

    InstrumentError          every method of every role may raise it; a BenchError
    ├── InstrumentSilent     no connection, or no answer in time
    ├── InstrumentGarbage    an answer that says nothing
    ├── InstrumentRefused    it said no: an exception, an entry in its error queue
    └── NobodyAnswered       the person did not answer in time

What moves a source or a relay also raises `hil.bench.errors.Forbidden` on a bench that runs dry:
nothing was sent then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol, runtime_checkable

from hil.bench.errors import BenchError

__all__ = [
    "About", "Applied", "Energy", "GridSource", "Instrument", "InstrumentError",
    "InstrumentGarbage", "InstrumentRefused", "InstrumentSilent", "Measured", "Meter",
    "NobodyAnswered", "Person", "Relay",
]  # fmt: skip


class InstrumentError(BenchError):
    """An instrument did not do what its role asks; the text names it, and why."""


class InstrumentSilent(InstrumentError):
    """No connection to the instrument, or no answer in time."""


class InstrumentGarbage(InstrumentError):
    """The instrument answered what is no value."""


class InstrumentRefused(InstrumentError):
    """The instrument said no; `code` is the Modbus exception or the SCPI error number."""

    def __init__(self, text: str, code: int) -> None:
        self.code = code
        super().__init__(text)


class NobodyAnswered(InstrumentError):
    """The person who was asked did not answer in time."""


@dataclass(frozen=True, slots=True)
class About:
    """What a report says of an instrument.

    Attributes
    ----------
    name, driver : as in the bench file
    identity : as the instrument itself answers, empty where it cannot
    class_pct : accuracy class [%], None where it has none (a relay)
    sampling_s : interval at which it renews what it shows [s]
    calibrated : date of calibration, None where none is stated
    """

    name: str
    driver: str
    identity: str = ""
    class_pct: float | None = None
    sampling_s: float = 0.0
    calibrated: date | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One measured value.

    Attributes
    ----------
    value : in the unit that the method names
    at_s : when it was taken, on the bench's clock [s]
    accuracy : half width of the instrument's error at this value, in the value's unit; the
        resolution of its reading included
    sampling_s : age that the value may have had at `at_s` [s]
    """

    value: float
    at_s: float
    accuracy: float
    sampling_s: float


@dataclass(frozen=True, slots=True)
class Energy:
    """Counters of a meter [kWh]: what went into the grid and what came from it."""

    into_grid: Measured
    from_grid: Measured


@dataclass(frozen=True, slots=True)
class Applied:
    """Where a grid source was really told to go.

    Attributes
    ----------
    voltage_pu, frequency_hz : as sent
    limited : what was asked lies outside the source's stated limits and is never reached
    ramping : the stated ramp has not come there yet; the next call goes on
    """

    voltage_pu: float
    frequency_hz: float
    limited: bool = False
    ramping: bool = False


class Instrument(Protocol):
    """What every instrument has."""

    def about(self) -> About:
        """Return what a report says of it; asks nothing over the line after the first call."""
        ...

    def release(self) -> None:
        """End the connection; a source and a relay stay as they are. Twice is allowed."""
        ...


@runtime_checkable
class Meter(Instrument, Protocol):
    """Power and energy at a device's terminals."""

    def power_kw(self) -> Measured:
        """Return the active power, positive into the grid [kW]."""
        ...

    def energy_kwh(self) -> Energy | None:
        """Return the counters [kWh]; None where the meter has none."""
        ...


@runtime_checkable
class GridSource(Instrument, Protocol):
    """A grid that can be told what to be, inside limits and ramps that its bench file states."""

    def apply(self, voltage_pu: float, frequency_hz: float) -> Applied:
        """Go towards a voltage [pu of nominal] and a frequency [Hz]; return where it was sent.

        One call is one step of at most the stated ramp times the time since the last call;
        nothing outside the limits is ever sent. NaN and infinity raise ValueError.
        """
        ...

    def voltage_pu(self) -> Measured:
        """Return the measured voltage [pu]."""
        ...

    def frequency_hz(self) -> Measured:
        """Return the measured frequency [Hz]."""
        ...


@runtime_checkable
class Relay(Instrument, Protocol):
    """A contact between device and grid."""

    def switch(self, on: bool) -> None:
        """Close the contact (on) or open it; returns when the relay has confirmed."""
        ...

    def is_on(self) -> bool:
        """Return whether the contact is closed, as read back."""
        ...


@runtime_checkable
class Person(Instrument, Protocol):
    """Somebody at the bench."""

    def tell(self, text: str) -> None:
        """Show a sentence; no answer is waited for."""
        ...

    def confirm(self, question: str) -> bool:
        """Ask a question that is answered by yes or no."""
        ...

    def number(self, question: str, unit: str) -> float:
        """Ask for a finite number in `unit`."""
        ...
