"""How a device answers an order: dead time and ramp, or dead time and a first-order lag."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.bench.fit.figures import Figure, Solution, solve
from hil.bench.fit.orders import Orders
from hil.bench.fit.quantities import Quantity

__all__ = ["Response", "response_of"]

F8 = NDArray[np.float64]
# Choices of this fit (assumed).
LEAST_STEP = 0.15  # of the largest power: smaller steps say little
WINDOW_S = 30.0  # after an order
LEAST_SAMPLES = 4
ON_THE_WAY = (0.03, 0.97)  # of a step: between these a sample lies on the ramp
LONGEST_DELAY_S = 20.0
THERE = 0.05  # of a step: what is further from the order in the end met the device's own limits


@dataclass(frozen=True, slots=True)
class _Step:
    """One order: samples of power from its moment on."""

    time_s: F8
    power_kw: F8
    from_kw: float
    to_kw: float


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to orders.

    Attributes
    ----------
    form : ``ramp`` or ``lag``, whichever leaves less; empty: not told
    figures : delay_s and ramp_kw_s or time_constant_s
    rms_kw : what the better form leaves
    other_rms_kw : what the other form leaves
    steps : orders that were looked at
    sampling_s : interval of the samples, which bounds what can be told
    """

    form: str
    figures: tuple[Figure, ...]
    rms_kw: float
    other_rms_kw: float
    steps: int
    sampling_s: float


def response_of(orders: Orders, power: Quantity) -> Response:
    """Return how power follows orders; says what the sampling could not show."""
    steps = list(_steps(orders, power))
    if not steps:
        why = f"no order of {LEAST_STEP:.0%} of the largest power or more with {LEAST_SAMPLES} "
        why += f"samples in the {WINDOW_S:g} s after it that was reached by then"
        none = (Figure("delay_s", "s", math.nan, math.nan, why),
                Figure("ramp_kw_s", "kW/s", math.nan, math.nan, why))  # fmt: skip
        return Response("", none, math.nan, math.nan, 0, math.nan)
    sampling = float(np.median([np.diff(np.unique(s.time_s))[0] for s in steps]))
    size = max(abs(s.to_kw - s.from_kw) for s in steps)
    under_way = sum(_under_way(s) for s in steps)
    ramp = _solve(steps, _ramped, (size / 2.0, size / 10.0, size / 60.0))
    lag = _solve(steps, _lagged, (sampling, 5.0 * sampling, 20.0 * sampling))
    better, worse, form = (ramp, lag, "ramp") if ramp.cost <= lag.cost else (lag, ramp, "lag")
    delay = Figure(
        "delay_s", "s", float(better.values[0]), max(float(better.plus_minus[0]), 0.5 * sampling),
        f"{len(steps)} steps, sampled every {sampling:g} s",
    )  # fmt: skip
    if under_way == 0:
        note = f"no sample lies on the way: it is at least {size / sampling:.4g} kW/s"
        figures = (delay, Figure("ramp_kw_s", "kW/s", math.nan, math.nan, note))
        return Response("ramp", figures, ramp.rms, lag.rms, len(steps), sampling)
    name, unit = ("ramp_kw_s", "kW/s") if form == "ramp" else ("time_constant_s", "s")
    speed = Figure(
        name, unit, float(better.values[1]), float(better.plus_minus[1]),
        f"{under_way} samples on the way; {form} leaves {better.rms:.3g} kW, the other form "
        f"{worse.rms:.3g} kW",
    )  # fmt: skip
    return Response(form, (delay, speed), better.rms, worse.rms, len(steps), sampling)


def _steps(orders: Orders, power: Quantity) -> Iterator[_Step]:
    time_s, value = power.time_s, power.value
    least = LEAST_STEP * float(np.abs(value).max())
    ends = np.append(orders.time_s[1:], math.inf)
    for start_s, end_s, ordered in zip(orders.time_s, ends, orders.power_kw, strict=True):
        before = np.flatnonzero(time_s <= start_s)
        after = np.flatnonzero(
            (time_s > start_s) & (time_s <= min(end_s, start_s + WINDOW_S))
        )  # fmt: skip
        if len(before) == 0 or len(np.unique(time_s[after])) < LEAST_SAMPLES:
            continue
        start_kw, reached_kw = float(value[before[-1]]), float(np.median(value[after[-3:]]))
        way = reached_kw - start_kw
        if abs(way) >= least and abs(reached_kw - ordered) <= THERE * abs(way):
            yield _Step(time_s[after] - start_s, value[after], start_kw, reached_kw)


def _under_way(step: _Step) -> int:
    part = (step.power_kw - step.from_kw) / (step.to_kw - step.from_kw)
    return int(((part > ON_THE_WAY[0]) & (part < ON_THE_WAY[1])).sum())


def _ramped(step: _Step, delay_s: float, ramp_kw_s: float) -> F8:
    gone = ramp_kw_s * np.maximum(step.time_s - delay_s, 0.0)
    way = step.to_kw - step.from_kw
    return step.from_kw + math.copysign(1.0, way) * np.minimum(gone, abs(way))


def _lagged(step: _Step, delay_s: float, time_constant_s: float) -> F8:
    left = np.exp(-np.maximum(step.time_s - delay_s, 0.0) / time_constant_s)
    return step.to_kw - (step.to_kw - step.from_kw) * left


def _solve(
    steps: list[_Step], model: Callable[[_Step, float, float], F8], speeds: tuple[float, ...]
) -> Solution:
    def residuals(x: F8) -> F8:
        return np.concatenate([model(s, float(x[0]), float(x[1])) - s.power_kw for s in steps])

    starts = [(delay, speed) for delay in (0.1, 1.0, 4.0) for speed in speeds]
    return solve(residuals, starts, (0.0, 1e-3), (LONGEST_DELAY_S, math.inf))
