"""Parameters of a storage station's twin from power and state of charge over time.

Energy balance of the twin's station while it runs (twin/kernels/battery.py), power p at the
terminals positive into the grid, C the capacity at nominal cell voltage, G(s) the integral of the
open-circuit voltage over the nominal one from empty to s:

    C dG(s)/dt = -(p + a R + b |p| + c p^2 / R)                              (1)

R is the rating, a what is lost whatever the power (auxiliaries, no-load loss), b the PCS's linear
loss, taken from the twin's data sheet, c what grows with the square (PCS and cell resistance
together). While it stands by, the grid feeds the auxiliaries and the charge stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.bench.fit.figures import Figure, solve
from hil.bench.fit.quantities import Quantity
from twin.assets.datasheet import Datasheet
from twin.units import SECONDS_PER_HOUR

__all__ = ["StorageFit", "apart", "fit_storage", "together"]

F8 = NDArray[np.float64]
# Choices of this fit (assumed).
RUNNING = 0.02  # of the rating: from there on it runs
STRIDE = 10.0  # of the steps of the SOC register: its rounding is then independent from one to next
LEAST_SWING = 0.1  # of SOC, or nothing can be told of the capacity
LEAST_POINTS = 12
LEAST_DRAWN = 0.1  # of the samples at rest: what is drawn whatever the cooling does


@dataclass(frozen=True, slots=True)
class StorageFit:
    """What was told of a storage station.

    Attributes
    ----------
    figures : by name, in the order of the report
    soc_rms : root mean square of what equation (1) leaves, in SOC (0 to 1)
    points : moments of SOC that were used
    doubts : what the figures rest on
    """

    figures: tuple[Figure, ...]
    soc_rms: float
    points: int
    doubts: tuple[str, ...]

    def value(self, name: str) -> float:
        """Return a figure, NaN where it was not told."""
        return next((f.value for f in self.figures if f.name == name), math.nan)


def fit_storage(
    power: Quantity, soc_time_s: F8, soc: F8, rated_kw: float, resolution: float
) -> StorageFit:
    """Return the parameters that explain a recording.

    Parameters
    ----------
    power : reference or register, kW into the grid
    soc_time_s, soc : float64[n], the state of charge as the device shows it, 0 to 1
    rated_kw : rating
    resolution : step of the SOC register
    """
    standing = _standing(power, rated_kw)
    inside = (soc_time_s >= power.time_s[0]) & (soc_time_s <= power.time_s[-1])
    soc_time_s, soc = soc_time_s[inside], soc[inside]
    swing = float(np.ptp(soc)) if len(soc) > 0 else 0.0
    if swing < LEAST_SWING:
        why = f"SOC moved by {swing:.1%} only; {LEAST_SWING:.0%} are needed"
        return StorageFit((_untold("capacity_kwh", "kWh", why), standing), math.nan, 0, ())
    kept = apart(soc, resolution)
    time_s, soc = soc_time_s[kept], soc[kept]
    if len(soc) < LEAST_POINTS:
        why = f"{len(soc)} moments of SOC with power about them; {LEAST_POINTS} are needed"
        return StorageFit((_untold("capacity_kwh", "kWh", why), standing), math.nan, 0, ())
    return _solved(power, time_s, soc, rated_kw, standing)


def _solved(power: Quantity, time_s: F8, soc: F8, rated_kw: float, standing: Figure) -> StorageFit:
    sheet = Datasheet("storage")
    linear = sheet.number("pcs_linear")
    level = _energy_level(sheet, soc)
    p, running = power.value, np.abs(power.value) > RUNNING * rated_kw
    net = _integral(power.time_s, p + linear * np.abs(p), running, time_s)
    fixed = _integral(power.time_s, np.full(len(p), rated_kw), running, time_s)
    square = _integral(power.time_s, p * p / rated_kw, running, time_s)

    def residuals(x: F8) -> F8:
        capacity, a, c, first = x
        return np.asarray(first - (net + a * fixed + c * square) / capacity - level)

    nominal = rated_kw * 2.0
    found = solve(
        residuals, [(nominal, 0.02, 0.02, level[0]), (2 * nominal, 0.01, 0.0, level[0])],
        (1e-3 * rated_kw, 0.0, 0.0, -1.0), (1e3 * rated_kw, 0.5, 0.5, 2.0),
    )  # fmt: skip
    capacity, a, c, _ = found.values
    wide = found.plus_minus * together(residuals(found.values))
    both = float(net.max() - net[0]) > 0.1 * capacity and float(net[0] - net.min()) >= 0.0
    loss = a + linear + c
    efficiency = math.sqrt(max(1.0 - loss, 0.0) / (1.0 + loss))
    spread = float(wide[1] + wide[2]) * (1.0 / (1.0 + loss))
    figures = (
        Figure("capacity_kwh", "kWh", float(capacity), float(wide[0]),
               "at nominal cell voltage, by the device's own SOC"),
        Figure("one_way_efficiency", "1", efficiency, spread,
               "at rating, auxiliaries included; charging and discharging taken alike"),
        Figure("fixed_loss", "of rating", float(a), float(wide[1]),
               "while it runs: auxiliaries and no-load loss"),
        Figure("square_loss", "of rating", float(c), float(wide[2]),
               "at rating: PCS and cell resistance together"),
        standing,
    )  # fmt: skip
    doubts = [
        "an error of the device's own SOC goes wholly into the capacity",
        f"linear loss of the PCS {linear:g}: the twin's data sheet, not fitted",
        "the open-circuit voltage is the twin's (lithium iron phosphate)",
        *(f"{f.name}: no more than its own uncertainty" for f in figures[1:4] if not f.told),
    ]
    if not both:
        doubts.append("hardly charged and discharged: losses and capacity hang together")
    soc_rms = found.rms / float(np.mean(_slope(sheet, soc)))
    return StorageFit(figures, soc_rms, len(soc), tuple(doubts))


def _standing(power: Quantity, rated_kw: float) -> Figure:
    """Return the power that it always draws while nothing flows: the least that was seen.

    Cooling comes and goes on top of it.
    """
    idle = np.abs(power.value) <= RUNNING * rated_kw
    # The first moments of standing by belong to the ramp.
    idle &= np.concatenate([[False], idle[:-1]]) & np.concatenate([idle[1:], [False]])
    drawn = -power.value[idle]
    if len(drawn) < LEAST_POINTS:
        return _untold("standing_loss_kw", "kW", f"{len(drawn)} samples at rest only")
    least, low, most = np.quantile(drawn, [0.02, LEAST_DRAWN, 0.98])
    return Figure(
        "standing_loss_kw", "kW", float(low), float(low - least),
        f"{LEAST_DRAWN:.0%} quantile of {len(drawn)} samples at rest; up to {most:.3g} kW was "
        "drawn, cooling included",
    )  # fmt: skip


def _untold(name: str, unit: str, why: str) -> Figure:
    return Figure(name, unit, math.nan, math.nan, why)


def apart(soc: F8, resolution: float) -> NDArray[np.int64]:
    """Return rows between which SOC has moved so far that the register's rounding is chance."""
    stride, kept = max(STRIDE * resolution, 0.005), [0]
    for row in range(1, len(soc)):
        if abs(soc[row] - soc[kept[-1]]) >= stride:
            kept.append(row)
    return np.array(kept, np.int64)


def _integral(time_s: F8, value: F8, running: NDArray[np.bool_], at_s: F8) -> F8:
    """Return float64[n], the integral of `value` while running up to moments [unit h].

    A sample holds for the time since the one before, as meters show what has been.
    """
    steps = np.where(running, value, 0.0)[1:] * np.diff(time_s)
    total = np.concatenate([[0.0], np.cumsum(steps)]) / SECONDS_PER_HOUR
    return np.interp(at_s, time_s, total)


def _energy_level(sheet: Datasheet, soc: F8) -> F8:
    """Return G(s), the energy above empty over the capacity at nominal voltage."""
    grid = np.linspace(0.0, 1.0, 1001)
    volts = np.interp(grid, sheet.array("ocv_soc_pct") / 100.0, sheet.array("ocv_v"))
    steps = 0.5 * (volts[1:] + volts[:-1]) * np.diff(grid) / sheet.number("cell_nominal_v")
    return np.asarray(np.interp(soc, grid, np.concatenate([[0.0], np.cumsum(steps)])))


def _slope(sheet: Datasheet, soc: F8) -> F8:
    """Return dG/ds."""
    volts = np.interp(soc, sheet.array("ocv_soc_pct") / 100.0, sheet.array("ocv_v"))
    return np.asarray(volts / sheet.number("cell_nominal_v"))


def together(residuals: F8) -> float:
    """Return the factor on standard errors by which residuals that hang together widen them.

    First-order autocorrelation r makes n moments worth n (1 - r) / (1 + r) independent ones.
    """
    own = residuals - residuals.mean()
    power = float(own @ own)
    if power <= 0.0:
        return 1.0
    r = min(max(float(own[1:] @ own[:-1]) / power, 0.0), 0.98)
    return math.sqrt((1.0 + r) / (1.0 - r))
