"""What a scenario says of the wire; `twin` itself knows none, `hil` reads it.

Times here are wall milliseconds.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

AddressMode = Literal["ip", "port", "unit"]
ServedName = Literal[
    "storage", "aircon", "icestore", "charging", "swap", "solar", "industry", "hydrogen",
    "shorepower", "terminal", "meter", "busbar", "city",
]  # fmt: skip
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


class WireSection(BaseModel):
    """Where devices stand on the network, and how they are polled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: AddressMode = Field(
        default="ip",
        description="ip: an own loopback address each; port: an own port each; unit: unit ids "
        "behind gateway addresses",
    )
    by_kind: dict[ServedName, AddressMode] = Field(
        default_factory=lambda: {"meter": "unit", "busbar": "unit"},
        description="kinds that are addressed otherwise",
    )
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = Field(
        default=1502, description="the port, or the first one where each device has its own"
    )
    network: str = Field(
        default="127.16.0.0", description="addresses are given out after this one; 127.0.0.0/8"
    )
    units_per_gateway: Annotated[int, Field(strict=True, ge=1, le=247)] = Field(
        default=100, description="devices behind a gateway address, 1 to 247"
    )
    maps: dict[ServedName, dict[str, Share]] = Field(
        default_factory=dict,
        description="register maps of a kind with their shares, 1 in sum; default: <kind>-own",
    )
    lateness_limit_ms: Positive = Field(
        default=50.0, description="99th percentile of a tick's lateness [ms]; our choice"
    )
    grid_period_s: Literal[1, 2, 5, 10, 15, 20, 30, 60] | None = Field(
        default=None, description="between two load flows on the wire [s]; default: the engine's"
    )
    poll_timeout_ms: Positive = Field(
        default=500.0, description="our head-end waits this long for an answer [ms]"
    )
    poll_retries: Annotated[int, Field(strict=True, ge=0, le=5)] = Field(
        default=1, description="our head-end asks again this often"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        try:
            first = ipaddress.IPv4Address(self.network)
        except ValueError:
            wrong.append(f"network must be an IPv4 address, not {self.network!r}")
        else:
            if first not in ipaddress.IPv4Network("127.0.0.0/8"):
                wrong.append(f"network must lie in 127.0.0.0/8, not {self.network}")
        for kind, shares in self.maps.items():
            if abs(sum(shares.values()) - 1.0) > 1e-6:
                wrong.append(f"maps.{kind}: shares must sum to 1, not {sum(shares.values()):g}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self
