"""What a bench file says of one real device."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hil.bench.envelope import Envelope
from hil.bench.line import LineSpec
from hil.registers.files import load_map
from hil.registers.schema import RegisterMap

__all__ = [
    "Declared",
    "DeviceEntry",
    "DeviceLimits",
    "Heartbeat",
    "Lease",
    "Name",
    "Number",
    "Part",
]

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Above0 = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
# Device names of the testbed: kind and row.
TwinName = Annotated[str, Field(pattern=r"^[a-z]+-[0-9]{5}$")]


class Part(BaseModel):
    """A part of the file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DeviceLimits(Part):
    """What the device may be told, positive into the grid; no logic can pass it.

    The numbers are the bench owner's: what the device, its wiring and its supply bear.
    """

    power_low_kw: Number = Field(description="least power that may be ordered [kW]")
    power_high_kw: Number = Field(description="greatest power that may be ordered [kW]")
    ramp_kw_s: Above0 = Field(description="fastest change of what is ordered [kW/s]")

    def envelope(self) -> Envelope:
        """Return the limits as the gate uses them."""
        return Envelope(self.power_low_kw, self.power_high_kw, self.ramp_kw_s)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.power_low_kw > self.power_high_kw:
            raise ValueError(
                f"power_low_kw {self.power_low_kw:g} above power_high_kw {self.power_high_kw:g}"
            )
        return self


class Heartbeat(Part):
    """A register that the device wants written again and again, or it falls back by itself."""

    point: str = Field(description="point of the map that is written, with a number that counts")
    every_s: Above0 = Field(description="time between two writes [s]")
    expires_s: Above0 = Field(description="time after which the device falls back by itself [s]")

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.every_s >= self.expires_s:
            raise ValueError(f"every_s {self.every_s:g} is not below expires_s {self.expires_s:g}")
        return self


class Lease(Part):
    """A timer in the device that ends what was ordered, unless it is ordered again."""

    point: str = Field(description="point of the map that holds the time")
    value: Number = Field(description="what is written to it, in the point's own unit")


Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Declared(Part):
    """What a device's maker, or its registration, states beside its ratings.

    A certification holds the device to it; what is not stated is not tested.
    """

    min_off_s: Above0 | None = Field(
        default=None, description="least time that a stopped machine stays off [s]"
    )
    protected: bool = Field(
        default=False, description="a terminal of a protected customer: rounds are locked out"
    )
    security_share: Share | None = Field(
        default=None, description="security load over the customer's load"
    )
    circuit_share_1: Share | None = Field(default=None, description="load of round 1 over it")
    circuit_share_2: Share | None = Field(default=None, description="load of round 2 over it")
    circuit_share_3: Share | None = Field(default=None, description="load of round 3 over it")
    circuit_share_4: Share | None = Field(default=None, description="load of round 4 over it")

    def values(self) -> dict[str, float]:
        """Return what is stated, by name."""
        return {name: float(v) for name, v in self.model_dump(exclude_none=True).items()}


class DeviceEntry(Part):
    """A real device."""

    name: Name = Field(description="unique on the bench")
    map: str = Field(description="a shipped register map or a JSON file")
    transport: Literal["tcp", "tls", "rtu"] = Field(description="how it is reached")
    host: str = Field(default="", description="IPv4 address or name, for tcp and tls")
    port: Annotated[Whole, Field(ge=1, le=65535)] | None = Field(
        default=None, description="default: 502, by TLS 802"
    )
    serial: str = Field(default="", description="serial line such as /dev/ttyUSB0, for rtu")
    baud: Annotated[Whole, Field(ge=300, le=4_000_000)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Annotated[Whole, Field(ge=1, le=2)] = 1
    unit: Annotated[Whole, Field(ge=0, le=255)] | None = Field(
        default=None, description="unit number; default: the map's"
    )
    timeout_s: Annotated[float, Field(gt=0.0, le=60.0)] = Field(
        default=1.0, description="for a connection and for each answer [s]"
    )
    gap_s: Annotated[float, Field(ge=0.0, le=10.0)] = Field(
        default=0.0, description="from an answer to the next request at least [s]"
    )
    settle_s: Annotated[float, Field(ge=0.0, le=60.0)] = Field(
        default=0.0, description="from a connection to the first request [s]"
    )
    multiple_only: bool = Field(
        default=False, description="writes one register by function 16 too, one coil by 15"
    )
    identity: dict[str, str] = Field(
        default_factory=dict,
        description="what the device must say of itself by function 43/14, such as vendor, "
        "product, revision",
    )
    ca: str = Field(default="", description="PEM file that vouches for the device, for tls")
    certificate: str = Field(default="", description="PEM file of our own certificate, for tls")
    key: str = Field(default="", description="PEM file of its private key")
    rated_kw: Above0 = Field(description="rated power of the real device [kW]")
    capacity_kwh: Above0 | None = Field(default=None, description="rated energy, of storage [kWh]")
    replaces: TwinName | None = Field(
        default=None, description="twin device whose place it takes, such as storage-00003"
    )
    parameters: str = Field(
        default="", description="parameters.toml of `hil fit` that its twin takes, of storage"
    )
    limits: DeviceLimits | None = Field(
        default=None, description="power and ramp; none: the device is only read"
    )
    safe_state: dict[str, Number] = Field(
        default_factory=dict, description="values by point, told in this order"
    )
    heartbeat: Heartbeat | None = None
    lease: Lease | None = None
    declared: Declared = Declared()
    single_client: bool = Field(
        default=False, description="takes one connection: the guard holds it"
    )

    def register_map(self) -> RegisterMap:
        """Return its register map; raises InputProblems."""
        return load_map(self.map)

    @property
    def place(self) -> str:
        """Where its connection leads, as `LineSpec.place`."""
        return self._spec(1).place

    def spec(self) -> LineSpec:
        """Return the line to it; raises InputProblems where the map's unit is needed."""
        return self._spec(self.register_map().unit if self.unit is None else self.unit)

    def _spec(self, unit: int) -> LineSpec:
        port = (802 if self.transport == "tls" else 502) if self.port is None else self.port
        return LineSpec(
            self.transport, self.host, port, self.serial, self.baud, self.parity,
            2 if self.stopbits == 2 else 1, unit, self.timeout_s, self.ca, self.certificate,
            self.key, self.gap_s, self.settle_s, self.multiple_only,
        )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = list(self.contradictions(()))
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def contradictions(self, lost: Collection[str]) -> Iterator[str]:
        """Yield what does not fit together, of an entry of which the fields `lost` are unknown."""
        known = set(type(self).model_fields) - set(lost)
        if {"transport", "serial", "host", "unit"} <= known:
            yield from self._reached()
        if {"transport", "ca", "certificate", "key"} <= known:
            yield from self._secret()
        if {"limits", "heartbeat", "lease"} <= known and self.limits is None:
            for name in ("heartbeat", "lease"):
                if getattr(self, name) is not None:
                    yield f"{name} is written to the device: give limits as well"
        if {"limits", "safe_state"} <= known and self.limits is not None and not self.safe_state:
            yield "a device with limits is written to: it needs safe_state"
        if {"parameters", "replaces"} <= known and self.parameters and self.replaces is None:
            yield "parameters are for the twin that it replaces: give replaces as well"

    def _reached(self) -> Iterator[str]:
        serial = self.transport == "rtu"
        if serial != (self.serial != ""):
            yield "serial belongs to transport rtu, and to no other"
        if serial == (self.host != ""):
            yield "host belongs to transports tcp and tls, and to no other"
        if serial and self.unit is not None and not 1 <= self.unit <= 247:
            yield f"unit {self.unit}: a serial line has units 1 to 247"

    def _secret(self) -> Iterator[str]:
        if self.transport == "tls" and self.ca == "":
            yield "transport tls needs ca, who vouches for the device"
        if self.transport != "tls" and (self.ca, self.certificate, self.key) != ("", "", ""):
            yield "ca, certificate and key belong to transport tls"
        if (self.certificate == "") != (self.key == ""):
            yield "certificate and key belong together"
