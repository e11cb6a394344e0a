"""What a scenario file says of the wire: addresses, register maps, and manners of devices.

Direct runs read the manners that change what a device does; everything else is for `hil`.
Seconds are simulated, milliseconds are wall time.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from twin.clock import parse_time_of_day
from twin.scenario.fields import Count, KindName, Positive, Real, Section, Share, TimeOfDay

Addressing = Literal["ip", "port", "unit"]
MeterName = Literal["meter", "busbar", "city"]
ServedName = KindName | MeterName
MapName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
# Longest delays and gaps are bounded, so that a typing error does not stop a device for good.
Milliseconds = Annotated[float, Field(strict=True, ge=0, le=600_000, allow_inf_nan=False)]
Seconds = Annotated[int, Field(strict=True, ge=1, le=86_400)]

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
ROOM = 2**16  # addresses that must be left between the first one and the end (assumed)
SHARE_SLACK = 1e-6


def _loopback(text: str) -> str:
    last = LOOPBACK.broadcast_address - ROOM
    try:
        good = LOOPBACK.network_address < ipaddress.IPv4Address(text) <= last
    except ipaddress.AddressValueError:
        good = False
    if not good:
        raise ValueError(f"an IPv4 address from 127.0.0.1 to {last}")
    return text


class WireSection(Section):
    """How the devices are reached over Modbus TCP, on the loopback network of this machine."""

    address: Addressing = Field(
        default="ip",
        description="what tells devices apart: an own address each, an own port each, or unit "
        "ids behind gateway addresses",
    )
    by_kind: dict[ServedName, Addressing] = Field(
        default={"meter": "unit", "busbar": "unit"},
        description="the same for single kinds; takes the place of the whole default",
    )
    port: Annotated[int, Field(strict=True, ge=1, le=65_535)] = Field(
        default=1502, description="port of every address; with address = port the first one"
    )
    network: Annotated[str, AfterValidator(_loopback)] = Field(
        default="127.16.0.0", description="addresses are given out from here on, within 127.0.0.0/8"
    )
    units_per_gateway: Annotated[int, Field(strict=True, ge=1, le=247)] = Field(
        default=100, description="devices behind one gateway address"
    )
    maps: dict[ServedName, dict[MapName, Share]] = Field(
        default_factory=dict,
        description="register maps by kind and the share of its devices that has each; default: "
        "the kind's own public table",
    )
    lateness_limit_ms: Positive = Field(
        default=50.0,
        description="limit of the ticks' lateness, 99th percentile, wall time [ms]; our choice",
    )
    grid_period_s: Literal[1, 2, 5, 10, 15, 20, 30, 60] | None = Field(
        default=None,
        description="between two load flows on the wire [s]; default: engine.grid_period_s",
    )
    poll_timeout_ms: Annotated[float, Field(strict=True, gt=0, le=60_000)] = Field(
        default=500.0, description="head-end: wait for an answer, wall time [ms]"
    )
    poll_retries: Annotated[int, Field(strict=True, ge=0, le=5)] = Field(
        default=1, description="head-end: attempts after the first one"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        for kind, shares in self.maps.items():
            total = sum(shares.values())
            if abs(total - 1.0) > SHARE_SLACK:
                wrong.append(f"shares of maps.{kind} must sum to 1, not {total:.6g}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class MannerSection(Section):
    """How some devices of a kind behave, always or for a time.

    The first part changes what a device does, in simulated seconds; the second concerns bytes
    only, in wall milliseconds, and is nothing to direct runs.
    """

    kind: ServedName = Field(description="kind of the devices")
    share: Share | None = Field(
        default=None, description="share of them, 0 to 1; default: all, or those of rows"
    )
    rows: tuple[Count, ...] | None = Field(
        default=None, description="numbers of devices within the kind, from 0; instead of share"
    )
    map: MapName | None = Field(
        default=None, description="only those with this register map; touches nobody without a wire"
    )
    at: TimeOfDay | None = Field(
        default=None, description="from when on, HH:MM; default: the start of the run"
    )
    until: TimeOfDay | None = Field(
        default=None, description="until when, HH:MM; default: the end of the run"
    )
    point: str | None = Field(
        default=None, description="name of the point that frozen, drift_per_h or wrong_scale means"
    )

    local: bool = Field(default=False, description="switched to local mode: refuses every write")
    heartbeat_s: Seconds | None = Field(
        default=None,
        description="back to the owner's control without a write or heartbeat for so long [s]",
    )
    revert_s: Seconds | None = Field(
        default=None, description="a command holds so long without another one [s]"
    )
    ignore_writes: bool = Field(default=False, description="says yes to a write and does nothing")
    readback_lag_s: Seconds | None = Field(
        default=None, description="shows commands in force as they were so long ago [s]"
    )
    frozen: bool = Field(
        default=False, description="a sensor stands still: that of point, else the first one"
    )
    drift_per_h: Real | None = Field(
        default=None, description="the sensor of point wanders by so much an hour, in its unit"
    )
    min_off_s: Seconds | None = Field(
        default=None, description="once stopped by command, no start for so long [s]"
    )
    wear_limit: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="writes that the memory bears; further ones do nothing"
    )

    delay_ms: Milliseconds | None = Field(
        default=None, description="median of the answer delay, wall time [ms]"
    )
    delay_sigma: Annotated[float, Field(strict=True, ge=0, le=3)] | None = Field(
        default=None, description="spread of the delay: sigma of a lognormal; default 0.5"
    )
    min_gap_ms: Milliseconds | None = Field(
        default=None, description="a frame sooner than this after the last one is lost [ms]"
    )
    max_clients: Annotated[int, Field(strict=True, ge=1, le=1_000)] | None = Field(
        default=None, description="connections at a time"
    )
    settle_ms: Milliseconds | None = Field(
        default=None, description="no answer for so long after a connection [ms]"
    )
    swallow_first: bool = Field(
        default=False, description="the first request of a connection gets no answer"
    )
    gaps: Literal["any", "all", "zero"] | None = Field(
        default=None,
        description="a read across undefined registers fails with any, only if all are undefined, "
        "or gives zero; default: as the register map says",
    )
    wrong_scale: Real | None = Field(
        default=None, description="point is shown times this factor; all points without a name"
    )
    drop_second: bool = Field(
        default=False, description="of two frames in one segment the second is lost"
    )
    no_answer_share: Share | None = Field(
        default=None, description="share of requests that get no answer"
    )
    late_ms: Milliseconds | None = Field(
        default=None, description="every answer comes so late, wall time [ms]"
    )
    exception: Annotated[int, Field(strict=True, ge=1, le=11)] | None = Field(
        default=None, description="requests are answered with this exception code"
    )
    exception_share: Share | None = Field(
        default=None, description="share of the requests that are; default: all"
    )
    disconnect_share: Share | None = Field(
        default=None, description="share of requests at which the device hangs up"
    )
    bad_crc_share: Share | None = Field(
        default=None, description="share of answers with a wrong checksum, on serial lines"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        if not any(self.given(name) for name in (*TWIN_SIDE, *WIRE_SIDE)):
            wrong.append("say how the devices behave: at least one of local, delay_ms, ...")
        if self.share is not None and self.rows is not None:
            wrong.append("give either share or rows")
        if self.point is None and self.drift_per_h is not None:
            wrong.append("drift_per_h needs point")
        if self.point is not None and not any(self.given(n) for n in OF_A_POINT):
            wrong.append("point needs frozen, drift_per_h or wrong_scale")
        for name, needed in (("delay_sigma", "delay_ms"), ("exception_share", "exception")):
            if self.given(name) and not self.given(needed):
                wrong.append(f"{name} needs {needed}")
        for name in TWIN_SIDE:
            if self.given(name) and name not in ABLE.get(self.kind, TWIN_SIDE):
                wrong.append(f"a {self.kind} has no {name}")
        begin = 0 if self.at is None else parse_time_of_day(self.at)
        if self.until is not None and parse_time_of_day(self.until) <= begin:
            wrong.append("until must come after at")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def given(self, name: str) -> bool:
        """Return whether the file says something by key `name`."""
        value = getattr(self, name)
        return value is not None and value is not False


OF_A_POINT = ("frozen", "drift_per_h", "wrong_scale")
TWIN_SIDE = (
    "local", "heartbeat_s", "revert_s", "ignore_writes", "readback_lag_s", "frozen", "drift_per_h",
    "min_off_s", "wear_limit",
)  # fmt: skip
WIRE_SIDE = (
    "delay_ms", "min_gap_ms", "max_clients", "settle_ms", "swallow_first", "gaps", "wrong_scale",
    "drop_second", "no_answer_share", "late_ms", "exception", "disconnect_share", "bad_crc_share",
)  # fmt: skip
# What kinds without a remote limit can do of the first part; the others can do all of it.
SENSORS_ONLY = ("frozen", "drift_per_h")
ABLE: dict[str, tuple[str, ...]] = {
    "terminal": ("local", "ignore_writes", "wear_limit", *SENSORS_ONLY),
    "meter": SENSORS_ONLY,
    "busbar": SENSORS_ONLY,
    "city": SENSORS_ONLY,
}
