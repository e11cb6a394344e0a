"""What a bench file may say.

The bench file names real devices and instruments, how they are reached, what they may be told,
and what they are told when something goes wrong. It does not replace a hardware emergency stop:
it says where that one is.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from hil.bench.drivers.entries import InstrumentEntry
from hil.bench.entries import (
    DeviceEntry,
    DeviceLimits,
    Heartbeat,
    Lease,
    Name,
    Number,
    Part,
)  # fmt: skip

__all__ = [
    "BenchFile", "DeviceEntry", "DeviceLimits", "GuardSection", "Heartbeat", "Interlock", "Lease",
    "RunSection",
]  # fmt: skip

NO_STOP = ("", ".", "...", "none", "no", "todo", "tbd", "n/a", "-", "无", "没有", "待定")


class Interlock(Part):
    """A condition under which nothing more may be ordered: the guard brings the safe state.

    Of a device the value of a point, in the point's unit; of an instrument ``power_kw``
    (meter), ``voltage_pu`` or ``frequency_hz`` (source), ``is_on`` (relay: 1, 0).
    """

    name: Name
    device: str = Field(default="", description="bench device that shows the value")
    instrument: str = Field(default="", description="instrument that shows the value")
    point: str = Field(description="point of the device's map, or quantity of the instrument")
    low: Number | None = Field(default=None, description="least value that is well")
    high: Number | None = Field(default=None, description="greatest value that is well")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        if (self.device == "") == (self.instrument == ""):
            wrong.append("one of device and instrument")
        if self.low is None and self.high is None:
            wrong.append("low or high, or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            wrong.append(f"low {self.low:g} above high {self.high:g}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class GuardSection(Part):
    """How long the process waits that acts when the runner does not; the project's choice."""

    heartbeat_s: Annotated[float, Field(ge=0.2, le=60.0)] = Field(
        default=5.0, description="silence of the runner after which it acts [s]"
    )
    watch_s: Annotated[float, Field(ge=0.1, le=60.0)] = Field(
        default=1.0, description="time between two looks at devices and interlock [s]"
    )
    blind_s: Annotated[float, Field(ge=0.2, le=600.0)] = Field(
        default=5.0, description="time without a value after which it acts [s]"
    )
    settle_s: Annotated[float, Field(ge=0.1, le=600.0)] = Field(
        default=10.0, description="time for a device to show its safe state [s]"
    )
    retry_s: Annotated[float, Field(ge=1.0, le=86_400.0)] = Field(
        default=600.0, description="how long a device that does not obey is told again [s]"
    )

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.blind_s < self.watch_s:
            raise ValueError(f"blind_s {self.blind_s:g} is below watch_s {self.watch_s:g}")
        return self


class RunSection(Part):
    """A closed loop with the city. Defaults are the project's choice."""

    poll_s: Annotated[float, Field(ge=0.05, le=3600.0)] = Field(
        default=1.0, description="wall time between two readings of a device [s]"
    )
    lost_after_s: Annotated[float, Field(ge=0.1, le=3600.0)] = Field(
        default=5.0, description="wall time without an answer after which contact is lost [s]"
    )
    when_lost: Literal["twin", "stop"] = Field(
        default="twin", description="the run goes on with the twin's power, or stops"
    )


class BenchFile(Part):
    """A bench.

    Attributes
    ----------
    path : the file it was read from
    sha256 : of that file
    """

    name: Name
    title: str = ""
    emergency_stop: str | None = Field(
        default=None,
        description="where the hardware emergency stop is, and when and by whom it was tested; "
        "without it the bench runs dry only",
    )
    devices: tuple[DeviceEntry, ...] = Field(min_length=1, description="[[devices]]")
    instruments: tuple[InstrumentEntry, ...] = ()
    interlock: tuple[Interlock, ...] = ()
    guard: GuardSection = GuardSection()
    run: RunSection = RunSection()

    _path: str = PrivateAttr(default="bench.toml")
    _sha256: str = PrivateAttr(default="")

    @property
    def path(self) -> str:
        """The file it was read from."""
        return self._path

    @property
    def sha256(self) -> str:
        """SHA-256 of that file, in hexadecimal."""
        return self._sha256

    @property
    def dry_only(self) -> bool:
        """Whether nothing may be written, for want of an emergency stop."""
        return self.emergency_stop is None

    def device(self, name: str) -> DeviceEntry:
        """Return a device by name; KeyError where there is none."""
        for entry in self.devices:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def of_file(self, path: str, sha256: str) -> BenchFile:
        """Return it as read from a file."""
        self._path, self._sha256 = path, sha256
        return self

    @field_validator("emergency_stop")
    @classmethod
    def _confirmed(cls, stop: str | None) -> str | None:
        if stop is not None and stop.strip().lower() in NO_STOP:
            raise ValueError(
                "where it is and when it was tested; or no such key, and the bench runs dry only"
            )
        return stop
