"""What a register map may say.

A map is data: one JSON file a device type, `maps/<name>.json`. A point is one value at one
place of one of the four Modbus tables, in one of the four classes of the trade: 遥测 (yc,
measured), 遥信 (yx, signalled), 遥控 (yk, controlled), 遥调 (yt, adjusted).

A register holds ``raw``; the point's value in its own unit is ``raw * scale``. What stands
behind it is named by its source, with ``value = gain * twin + offset`` (``per_rating``: the
twin's value over the device's rating, so that percentages of rating are written as gain 100).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Command", "PointClass", "RegisterMap", "Reserved", "Source", "TableName", "WirePoint"]

TableName = Literal["coil", "discrete", "input", "holding"]
PointClass = Literal["yc", "yx", "yk", "yt"]
TypeName = Literal["u16", "i16", "u32", "i32", "u64", "f32", "string", "bits", "bit"]
Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]

WIDTH: dict[str, int] = {
    "u16": 1, "i16": 1, "u32": 2, "i32": 2, "u64": 4, "f32": 2, "bits": 1, "bit": 1,
}  # fmt: skip
WHOLE: dict[str, tuple[float, float]] = {
    "u16": (0, 2**16 - 1), "i16": (-(2**15), 2**15 - 1), "u32": (0, 2**32 - 1),
    "i32": (-(2**31), 2**31 - 1), "u64": (0, 2**64 - 1), "bits": (0, 2**16 - 1), "bit": (0, 1),
}  # fmt: skip


class Part(BaseModel):
    """A part of the file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Part):
    """What stands behind a point; exactly one of the first six."""

    point: str | None = Field(default=None, description="a reading of the twin's device kind")
    setpoint: str | None = Field(default=None, description="a set-point in force in the twin")
    held: Number | None = Field(
        default=None, description="kept as written, from this value on (a setting of the device)"
    )
    nameplate: str | None = Field(default=None, description="a column of the registered nameplate")
    constant: Number | None = Field(default=None, description="this value for ever")
    text: str | None = Field(
        default=None, description="this text; {serial} is the device's own number"
    )
    gain: Number = Field(default=1.0, description="value = gain * twin + offset")
    offset: Number = Field(default=0.0, description="value = gain * twin + offset")
    per_rating: bool = Field(default=False, description="the twin's value over rated_kw first")
    values: tuple[tuple[Number, Number], ...] = Field(
        default=(), description="pairs (twin, register): a state's code; others are as they are"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [
            name
            for name in ("point", "setpoint", "held", "nameplate", "constant", "text")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(f"one source, not {given or 'none'}")
        if self.gain == 0.0:
            raise ValueError("gain must not be 0")
        return self


class WirePoint(Part):
    """One value at one place.

    `length` counts registers of a string. `bit` makes a point of type ``bits`` one bit of its
    register; such points share the register and are read-only. `na` is the raw value, over all
    registers of the point, that says 'not implemented'; default by type as SunSpec has it.
    """

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*$", description="unique within the map")
    cls: PointClass = Field(alias="class", description="yc, yx, yk or yt")
    table: TableName
    address: Annotated[int, Field(strict=True, ge=0, le=65535, description="as on the wire")]
    type: TypeName
    length: Annotated[int, Field(strict=True, ge=1, le=123)] | None = None
    bit: Annotated[int, Field(strict=True, ge=0, le=15)] | None = None
    scale: Number = 1.0
    order: Order | None = Field(default=None, description="byte order; default: the map's")
    unit: str = ""
    low: Number | None = Field(default=None, description="least value in the point's unit")
    high: Number | None = Field(default=None, description="greatest value in the point's unit")
    access: Literal["r", "w", "rw"] = "r"
    partial: Literal["refuse", "latch"] = Field(
        default="refuse", description="a write of a part of the point"
    )
    na: Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)] | None = None
    meaning: str = Field(min_length=1)
    meaning_zh: str = Field(min_length=1)
    source: Source | None = Field(default=None, description="none: not implemented")

    @property
    def width(self) -> int:
        """Registers (bits in a bit table) that the point takes."""
        if self.type == "string":
            return 1 if self.length is None else self.length
        return WIDTH[self.type]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        in_bits = self.table in ("coil", "discrete")
        if in_bits != (self.type == "bit"):
            wrong.append(f"table {self.table} does not hold type {self.type}")
        if self.table in ("discrete", "input") and "w" in self.access:
            wrong.append(f"table {self.table} cannot be written")
        if (self.type == "string") != (self.length is not None):
            wrong.append("length belongs to type string, and to no other")
        if self.bit is not None and (self.type != "bits" or "w" in self.access):
            wrong.append("bit belongs to a read-only point of type bits")
        if self.scale <= 0.0:
            wrong.append(f"scale must be above 0, not {self.scale:g}")
        if self.address + self.width > 65536:
            wrong.append(f"address {self.address} + {self.width} registers passes 65535")
        wrong += self._limits()
        if self.cls in ("yk", "yt") and "w" not in self.access:
            wrong.append(f"class {self.cls} is written, access says {self.access}")
        source = self.source
        if "w" in self.access and (source is None or (source.setpoint, source.held) == (None,) * 2):
            wrong.append("what is written needs a setpoint or held as its source")
        if source is not None and (source.text is not None) != (self.type == "string"):
            wrong.append("text belongs to type string, and to no other")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _limits(self) -> list[str]:
        wrong = []
        if self.low is not None and self.high is not None and self.low > self.high:
            wrong.append(f"low {self.low:g} above high {self.high:g}")
        if self.type in WHOLE:
            least, most = WHOLE[self.type]
            for name, value in (("low", self.low), ("high", self.high)):
                if value is not None and not least <= round(value / self.scale) <= most:
                    wrong.append(
                        f"{name} {value:g} does not fit type {self.type} with scale {self.scale:g}"
                    )
        elif self.type == "string" and (self.low is not None or self.high is not None):
            wrong.append("a string has no limits")
        return wrong


class Reserved(Part):
    """Addresses that the device keeps for itself: no point may lie there."""

    table: TableName
    first: Annotated[int, Field(strict=True, ge=0, le=65535)]
    last: Annotated[int, Field(strict=True, ge=0, le=65535)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.first > self.last:
            raise ValueError(f"first {self.first} above last {self.last}")
        return self


class Command(Part):
    """How registers become a set-point of the twin, and how a head-end asks for it.

    Without `enable` a write of the `value` point is the set-point. With it the set-point is in
    force while the `enable` point holds `on`; another value releases the device. Both ends know
    a third form, the window of SunSpec 124: `value` bounds discharge and `low` charge, both in
    percent of rating, and the set-point is the power in that window that lies nearest to zero.
    """

    setpoint: str
    value: str
    low: str | None = None
    enable: str | None = None
    on: int = 1
    off: int = 0
    also: dict[str, Number] = Field(
        default_factory=dict, description="points that a head-end writes before the value"
    )


class Identity(Part):
    """What function 43/14 answers."""

    vendor: str
    product: str
    revision: str = "1.0"
    model: str = ""


class RegisterMap(Part):
    """A device type's register map."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    kind: str
    title: str
    title_zh: str
    source: str = Field(description="where the table comes from")
    identity: Identity
    unit: Annotated[int, Field(strict=True, ge=1, le=247)] = 1
    order: Order = "ABCD"
    gaps: Literal["any", "all", "zero"] = Field(
        default="any",
        description="a block read over missing registers: refused when any is missing, when all "
        "are, or missing ones read 0",
    )
    unknown_unit: Literal["silence", "gateway"] = Field(
        default="silence", description="for a unit that is not there: nothing, or exception 11"
    )
    refusal: Annotated[int, Field(strict=True, ge=1, le=11)] = Field(
        default=4, description="exception for a write that the device's state forbids"
    )
    longest_read: Annotated[int, Field(strict=True, ge=1, le=125)] = 125
    points: tuple[WirePoint, ...]
    reserved: tuple[Reserved, ...] = ()
    commands: tuple[Command, ...] = ()

    def point(self, name: str) -> WirePoint:
        """Return a point by name; KeyError where there is none."""
        for point in self.points:
            if point.name == name:
                return point
        raise KeyError(name)
