"""How far a grid source may be told to go, and how fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hil.bench.roles import Applied

__all__ = ["Course", "Reach"]

# However long nothing was asked, one step is no larger than the ramp over this time (assumed).
LONGEST_STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Reach:
    """Limits of a source as its bench file states them; each is our user's choice for a bench.

    Attributes
    ----------
    low_pu, high_pu : voltage [pu of nominal]
    low_hz, high_hz : frequency [Hz]
    ramp_pu_s : fastest change of voltage [pu/s]
    ramp_hz_s : fastest change of frequency [Hz/s]
    """

    low_pu: float
    high_pu: float
    low_hz: float
    high_hz: float
    ramp_pu_s: float
    ramp_hz_s: float

    def holds(self, voltage_pu: float, frequency_hz: float) -> bool:
        """Return whether a voltage and a frequency are within the limits."""
        return (
            self.low_pu <= voltage_pu <= self.high_pu
            and self.low_hz <= frequency_hz <= self.high_hz
        )


class Course:
    """Where a source stands and where its next step may lead; every source driver has one."""

    def __init__(self, reach: Reach, voltage_pu: float, frequency_hz: float, now_s: float) -> None:
        self.reach = reach
        self.voltage_pu, self.frequency_hz = voltage_pu, frequency_hz
        self._moved_s = now_s - LONGEST_STEP_S

    def step(self, voltage_pu: float, frequency_hz: float, now_s: float) -> Applied:
        """Return the next step towards a voltage and a frequency; `moved` takes it as done.

        Raises ValueError where either is no finite number.
        """
        if not (math.isfinite(voltage_pu) and math.isfinite(frequency_hz)):
            raise ValueError(f"no voltage and frequency: {voltage_pu} pu, {frequency_hz} Hz")
        reach = self.reach
        goal_pu = min(max(voltage_pu, reach.low_pu), reach.high_pu)
        goal_hz = min(max(frequency_hz, reach.low_hz), reach.high_hz)
        dt_s = min(max(now_s - self._moved_s, 0.0), LONGEST_STEP_S)
        next_pu = _towards(self.voltage_pu, goal_pu, reach.ramp_pu_s * dt_s)
        next_hz = _towards(self.frequency_hz, goal_hz, reach.ramp_hz_s * dt_s)
        limited = (goal_pu, goal_hz) != (voltage_pu, frequency_hz)
        return Applied(next_pu, next_hz, limited, (next_pu, next_hz) != (goal_pu, goal_hz))

    def moved(self, applied: Applied, now_s: float) -> None:
        """Take a step as done."""
        self.voltage_pu, self.frequency_hz = applied.voltage_pu, applied.frequency_hz
        self._moved_s = now_s


def _towards(here: float, goal: float, most: float) -> float:
    return goal if abs(goal - here) <= most else here + math.copysign(most, goal - here)
