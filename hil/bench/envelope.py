"""Limits of the bench itself, which no logic can pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Cut", "Envelope", "Rule"]

Rule = Literal["", "power", "ramp"]
# A ramp is walked in steps of at most this length [s], so that a long silence before an order is
# not taken for a long ramp.
STRIDE_S = 1.0


@dataclass(frozen=True, slots=True)
class Cut:
    """What may be ordered instead of what was wanted.

    Attributes
    ----------
    power_kw : positive into the grid
    rule : by which limit it was cut, empty where it was not
    low_kw, high_kw : between what power may be ordered now
    """

    power_kw: float
    rule: Rule
    low_kw: float
    high_kw: float


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a device on the bench may be told to do.

    Raises ValueError where the limits are none.

    Attributes
    ----------
    power_low_kw, power_high_kw : ends of the power that may be ordered, positive into the grid
    ramp_kw_s : fastest change of what is ordered; infinite: no limit
    """

    power_low_kw: float
    power_high_kw: float
    ramp_kw_s: float = math.inf

    def __post_init__(self) -> None:
        if not self.power_low_kw <= self.power_high_kw:
            raise ValueError(f"power {self.power_low_kw:g} to {self.power_high_kw:g} kW")
        if not self.ramp_kw_s > 0.0:
            raise ValueError(f"ramp {self.ramp_kw_s:g} kW/s")

    @property
    def free(self) -> bool:
        """Whether nothing is limited, as with an emulated device."""
        return self.power_low_kw == -math.inf and self.power_high_kw == math.inf and not self.ramped

    @property
    def ramped(self) -> bool:
        """Whether there is a ramp to keep to."""
        return math.isfinite(self.ramp_kw_s)

    def reach(self, last_kw: float, since_s: float) -> tuple[float, float]:
        """Return between what power may be ordered now; the power limits go before the ramp.

        Parameters
        ----------
        last_kw : what was ordered last, or flows where nothing was
        since_s : time since then; what is longer than `STRIDE_S` counts as that
        """
        low, high = self.power_low_kw, self.power_high_kw
        if not self.ramped:
            return low, high
        step_kw = self.ramp_kw_s * min(max(since_s, 0.0), STRIDE_S)
        # Whatever else has driven the device outside, it is led back at once.
        last_kw = min(max(last_kw, low), high)
        return max(last_kw - step_kw, low), min(last_kw + step_kw, high)

    def cut(self, wanted_kw: float, last_kw: float, since_s: float) -> Cut:
        """Return what may be ordered instead of `wanted_kw`; the others as `reach` has them.

        Raises ValueError for what is not a number.
        """
        if math.isnan(wanted_kw):
            raise ValueError("power is not a number")
        low, high = self.reach(last_kw, since_s)
        power_kw = min(max(wanted_kw, low), high)
        if power_kw == wanted_kw:
            return Cut(power_kw, "", low, high)
        by_power = power_kw in (self.power_low_kw, self.power_high_kw)
        return Cut(power_kw, "power" if by_power else "ramp", low, high)
