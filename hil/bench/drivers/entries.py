"""What a bench file says of its instruments: one model a driver, told apart by ``driver``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hil.bench.connecting import LineSpec
from hil.bench.drivers.reach import Reach
from hil.bench.drivers.source_scpi import ScpiWords
from hil.bench.roles import About

__all__ = [
    "InstrumentEntry", "MeterFakeEntry", "MeterManualEntry", "MeterModbusEntry",
    "PersonTerminalEntry", "RelayFakeEntry", "RelayManualEntry", "RelayModbusEntry",
    "SourceFakeEntry", "SourceManualEntry", "SourceScpiEntry",
]  # fmt: skip

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Above0 = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
From0 = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Unit = Annotated[int, Field(strict=True, ge=0, le=255)]
Address = Annotated[int, Field(strict=True, ge=0, le=65535)]
Word = Annotated[int, Field(strict=True, ge=0, le=65535)]


class Entry(BaseModel):
    """What every instrument has; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="unique on the bench")
    device: str = Field(default="", description="bench device at whose terminals it is; '': all")
    sampling_s: From0 = Field(default=0.0, description="interval of its own readings [s]")
    calibrated: date | None = Field(default=None, description="date of the last calibration")

    def about(self, class_pct: float | None = None) -> About:
        """Return what a report says of it before it was asked."""
        driver = str(getattr(self, "driver", ""))
        return About(self.name, driver, "", class_pct, self.sampling_s, self.calibrated)


class Reached(BaseModel):
    """Where an instrument on Modbus is reached, as a device is."""

    transport: Literal["tcp", "tls", "rtu"] = "tcp"
    host: str = "127.0.0.1"
    port: Port = 502
    serial: str = ""
    baud: Annotated[int, Field(strict=True, ge=300, le=4_000_000)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    unit: Unit = 1
    timeout_s: Above0 = 1.0
    ca: str = ""
    certificate: str = ""
    key: str = ""

    def spec(self) -> LineSpec:
        """Return the line to it."""
        return LineSpec(**{name: getattr(self, name) for name in Reached.model_fields})

    def _line_faults(self) -> Iterator[str]:
        if (self.transport == "rtu") != (self.serial != ""):
            yield "serial belongs to transport rtu, and to no other"


class Classed(BaseModel):
    """A meter's accuracy: needed, since a measurement without error does not exist."""

    class_pct: Above0 = Field(description="accuracy class, e.g. 0.5 [%]")
    range_kw: Above0 = Field(description="nominal power of meter and transformers [kW]")
    auxiliary: bool = Field(
        default=False,
        description="counts auxiliaries of the device that are fed from elsewhere, not its power",
    )


class Driven(BaseModel):
    """How far and how fast a grid source may be told to go; every number is needed.

    What a bench may ask for is bounded here as well: 1.5 pu, 40 to 70 Hz (our choice).
    """

    nominal_v: Above0 = Field(description="what 1 pu is [V]")
    low_pu: From0
    high_pu: Annotated[float, Field(gt=0.0, le=1.5)]
    low_hz: Annotated[float, Field(ge=40.0, le=70.0)]
    high_hz: Annotated[float, Field(ge=40.0, le=70.0)]
    ramp_pu_s: Above0 = Field(description="fastest change of voltage [pu/s]")
    ramp_hz_s: Above0 = Field(description="fastest change of frequency [Hz/s]")
    class_pct: Above0 = Field(description="error of its voltage reading [% of nominal]")
    frequency_error_hz: Above0 = Field(description="error of its frequency reading [Hz]")

    def reach(self) -> Reach:
        """Return limits and ramps."""
        return Reach(
            self.low_pu, self.high_pu, self.low_hz, self.high_hz, self.ramp_pu_s, self.ramp_hz_s
        )

    def errors(self) -> tuple[float, float]:
        """Return the half widths of its readings' errors, (pu, Hz)."""
        return self.class_pct / 100.0, self.frequency_error_hz

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        found = [
            f"{low} {getattr(self, low):g} is not below {high} {getattr(self, high):g}"
            for low, high in (("low_pu", "high_pu"), ("low_hz", "high_hz"))
            if getattr(self, low) >= getattr(self, high)
        ]
        if found:
            raise ValueError("; ".join(found))
        return self


class MeterFakeEntry(Entry):
    """Shows one number for ever."""

    driver: Literal["meter_fake"]
    power_kw: Number = 0.0


class MeterManualEntry(Entry, Classed):
    """A person reads it."""

    driver: Literal["meter_manual"]
    resolution_kw: From0 = Field(default=0.0, description="last digit of the display [kW]")
    counters: bool = Field(default=False, description="whether it shows energy too")


class MeterModbusEntry(Entry, Reached, Classed):
    """A meter on Modbus."""

    driver: Literal["meter_modbus"]
    map: str = Field(description="a shipped map or a JSON file")
    point: str = Field(description="point of the map that shows the active power")
    positive: Literal["into_grid", "from_grid"] = Field(description="what it counts as positive")
    into_grid: str = Field(default="", description="point of the energy into the grid")
    from_grid: str = Field(default="", description="point of the energy from the grid")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = list(self._line_faults())
        if (self.into_grid == "") != (self.from_grid == ""):
            found.append("into_grid and from_grid belong together")
        if found:
            raise ValueError("; ".join(found))
        return self


class Words(BaseModel):
    """How a source's maker spells its commands; `{}` or `{:.3f}` takes the number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    set_voltage: str = ScpiWords().set_voltage
    set_frequency: str = ScpiWords().set_frequency
    voltage_set: str = ScpiWords().voltage_set
    frequency_set: str = ScpiWords().frequency_set
    voltage: str = ScpiWords().voltage
    frequency: str = ScpiWords().frequency
    identity: str = ScpiWords().identity

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        found = []
        for name in type(self).model_fields:
            text = getattr(self, name)
            if not text.isascii() or not text.isprintable() or text.strip() == "":
                found.append(f"{name} is one line of ASCII")
            elif name.startswith("set_") and not _takes_number(text):
                found.append(f"{name} needs one {{}} for the number")
        if found:
            raise ValueError("; ".join(found))
        return self


def _takes_number(text: str) -> bool:
    try:
        one, other = text.format(1.25), text.format(2.5)
    except (ValueError, LookupError):
        return False
    return one != other


class SourceScpiEntry(Entry, Driven):
    """A grid source that speaks SCPI over a raw TCP socket."""

    driver: Literal["source_scpi"]
    host: str
    port: Port = 5025
    timeout_s: Above0 = 2.0
    words: Words = Words()


class SourceManualEntry(Entry, Driven):
    """A grid source whose knobs a person turns."""

    driver: Literal["source_manual"]


class SourceFakeEntry(Entry):
    """Goes where it is told, with the limits of a fake (0.9 to 1.1 pu, 49 to 51 Hz)."""

    driver: Literal["source_fake"]


class RelayFakeEntry(Entry):
    """Switches at once."""

    driver: Literal["relay_fake"]


class RelayManualEntry(Entry):
    """A switch that a person operates."""

    driver: Literal["relay_manual"]


class RelayModbusEntry(Entry, Reached):
    """A relay on Modbus."""

    driver: Literal["relay_modbus"]
    table: Literal["coil", "holding"]
    address: Address
    on: Word = 1
    off: Word = 0
    shown_table: Literal["coil", "discrete", "input", "holding"] | None = None
    shown_address: Address | None = None
    shown_on: Word | None = None
    shown_off: Word | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = list(self._line_faults())
        if (self.shown_table is None) != (self.shown_address is None):
            found.append("shown_table and shown_address belong together")
        pairs: list[tuple[str, int, int]] = [(self.table, self.on, self.off)]
        if self.shown_table is not None:
            pairs.append((self.shown_table, *self.shown_words()))
        for table, on, off in pairs:
            if on == off:
                found.append(f"on and off are both {on}")
            if table in ("coil", "discrete") and max(on, off) > 1:
                found.append(f"a {table} is 0 or 1")
        if found:
            raise ValueError("; ".join(found))
        return self

    def shown_words(self) -> tuple[int, int]:
        """Return what the shown contact reads, (on, off); those of the order by default."""
        return (
            self.on if self.shown_on is None else self.shown_on,
            self.off if self.shown_off is None else self.shown_off,
        )


class PersonTerminalEntry(Entry):
    """Somebody at the terminal that the program runs in."""

    driver: Literal["person_terminal"]
    timeout_s: Above0 = 120.0


InstrumentEntry = Annotated[
    MeterFakeEntry
    | MeterManualEntry
    | MeterModbusEntry
    | PersonTerminalEntry
    | RelayFakeEntry
    | RelayManualEntry
    | RelayModbusEntry
    | SourceFakeEntry
    | SourceManualEntry
    | SourceScpiEntry,
    Field(discriminator="driver"),
]
