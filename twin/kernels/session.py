"""One charging session: taper, shortest time, urgency, and the sharing of a limited power.

Battery side: power is constant up to a knee in SOC and falls linearly from there,
``p(soc) = top * (1 - slope * (soc - knee))``. Time needed for a given energy is closed-form.

The *urgency* of a session is the shortest time in which its promise can be kept over the time
left. Drawing ``urgency * p(soc)`` keeps the urgency constant, so this is the least power with
which a promise is still kept exactly: a station that must save gives every session that much
first, and where even this is too much, the most urgent first.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Rows of the session table. `top`, `knee`, `slope`: see above; times in ms; `done_ms` is
# infinite until everything asked for is in.
SESSION_ROWS = (
    "number", "arrive_ms", "depart_ms", "battery_kwh", "soc", "asked_kwh", "got_kwh",
    "top_kw", "knee_soc", "slope", "willing", "touched", "done_ms",
)  # fmt: skip
NUMBER, ARRIVE, DEPART, BATTERY, SOC, ASKED, GOT = 0, 1, 2, 3, 4, 5, 6
TOP, KNEE, SLOPE, WILLING, TOUCHED, DONE = 7, 8, 9, 10, 11, 12

Curve = tuple[float, float, float]  # top_kw, knee, slope


@njit(cache=True)
def taper_power(soc: float, top_kw: float, knee: float, slope: float) -> float:
    """Return the power the battery accepts at `soc` [kW]."""
    if soc <= knee:
        return top_kw
    power_kw: float = max(top_kw * (1.0 - slope * (soc - knee)), 0.0)
    return power_kw


@njit(cache=True)
def shortest_h(soc: float, need_kwh: float, battery_kwh: float, curve: Curve) -> float:
    """Return the shortest time in which `need_kwh` goes in from `soc` [h].

    `curve` is (top_kw, knee, slope). Constant part plus the integral of 1/p over the taper,
    a logarithm; beyond the point where the taper reaches zero it is infinite.
    """
    top_kw, knee, slope = curve
    end = soc + need_kwh / battery_kwh
    hours = max(min(end, knee) - soc, 0.0) * battery_kwh / top_kw
    if end > knee:
        start_factor = 1.0 - slope * (max(soc, knee) - knee)
        end_factor = 1.0 - slope * (end - knee)
        if end_factor <= 0.0:
            return np.inf
        hours += battery_kwh / (top_kw * slope) * np.log(start_factor / end_factor)
    return float(hours)


@njit(cache=True)
def urgency_of(sessions: NDArray[np.float64], s: int, now_ms: float) -> float:
    """Return shortest time over time left of session `s`; 0 when it needs nothing."""
    need = sessions[ASKED, s] - sessions[GOT, s]
    if need <= 0.0:
        return 0.0
    left_h = (sessions[DEPART, s] - now_ms) / 3.6e6
    if left_h <= 0.0:
        return 1e9
    curve = (sessions[TOP, s], sessions[KNEE, s], sessions[SLOPE, s])
    hours = shortest_h(sessions[SOC, s], need, sessions[BATTERY, s], curve)
    return float(min(hours / left_h, 1e9))


@njit(cache=True)
def wish_of(sessions: NDArray[np.float64], s: int, per_h: float) -> float:
    """Return the battery power session `s` would draw without limit in the next step [kW].

    `per_h` is one over the step [1/h].
    """
    need = sessions[ASKED, s] - sessions[GOT, s]
    if need <= 0.0:
        return 0.0
    accepted = taper_power(
        sessions[SOC, s], sessions[TOP, s], sessions[KNEE, s], sessions[SLOPE, s]
    )
    return float(min(accepted, need * per_h))


@njit(cache=True)
def share_power(
    wish: NDArray[np.float64], urgency: NDArray[np.float64], m: int, cap_kw: float
) -> None:
    """Cut `wish` [kW] of `m` sessions in place until their sum keeps to `cap_kw`.

    First every session gets what its promise needs at the least, the most urgent first; what
    is left is shared in proportion to what is still wished.
    """
    total = 0.0
    least = 0.0
    for j in range(m):
        total += wish[j]
        least += wish[j] * min(urgency[j], 1.0)
    if total <= cap_kw:
        return
    if least <= cap_kw:
        part = (cap_kw - least) / (total - least)
        for j in range(m):
            base = wish[j] * min(urgency[j], 1.0)
            wish[j] = base + (wish[j] - base) * part
        return
    order = np.argsort(-urgency[:m], kind="mergesort")
    left = cap_kw
    for j in order:
        got = min(wish[j] * min(urgency[j], 1.0), left)
        wish[j] = got
        left -= got
