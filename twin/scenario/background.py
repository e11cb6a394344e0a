"""Calibrates the city's background demand, once per city, by running the engine.

What sectors and districts draw on the design day is data; what the modelled devices draw of
it is a result of their physics. The rest is the background: host loads of the sites and
demand that stands at no site. It is found with expected weather (no cloud or occupancy
chance), split into a weather-driven and a weather-free part, and frozen: other days, seeds and
weathers use it as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twin.clock import DAY_MS, minute_of_day
from twin.engine.simulation import Period, Simulation
from twin.engine.world import Demand
from twin.errors import RunBroken
from twin.record.exchange import Reports, SetPoint

# Kinds whose owners follow the tariff: their steps at its edges are real and stay in the
# expectation. The power of the others is smoothed over SMOOTH_MIN minutes, which takes out the
# chance of single devices.
SHARP = ("storage", "icestore", "swap", "industry", "hydrogen")
SMOOTH_MIN = 31
NEGATIVE_SHARE = 0.01  # of the sector-district's maximum; beyond it a city is refused
PASSES = 2

Floats = NDArray[np.float64]


class CurveSink:
    """Collects what modelled devices draw, by sector and district, minute by minute.

    Attributes
    ----------
    smooth_kw, sharp_kw, aircon_kw : float64[sectors * districts, 1440], positive consumption
    losses_mw : float64[1440]
    """

    def __init__(self, sectors: int, districts: int) -> None:
        cells = sectors * districts
        self.districts = districts
        self.smooth_kw: Floats = np.zeros((cells, 1440))
        self.sharp_kw: Floats = np.zeros((cells, 1440))
        self.aircon_kw: Floats = np.zeros((cells, 1440))
        self.losses_mw: Floats = np.zeros(1440)

    def believe(self, run: Simulation, reports: Reports) -> None:
        """Nothing is believed here."""

    def wrote(
        self, now_ms: int, write: SetPoint, point: int, outcome: NDArray[np.uint8], number: int
    ) -> None:
        """Nothing is written here."""

    def fork(self) -> CurveSink:
        """Calibration does not fork."""
        raise RunBroken("a calibration run cannot be forked")

    def period(self, run: Simulation, period: Period) -> None:
        """Add one minute's device demand."""
        minute, sites = minute_of_day(period.start_ms), run.sites
        cell = sites.sector * self.districts + sites.district
        cells = len(self.smooth_kw)
        for target in (self.smooth_kw, self.sharp_kw, self.aircon_kw):
            target[:, minute] = 0.0
        for name, mean in period.mean_kw.items():
            if name == "terminal":
                continue
            by_cell = np.bincount(cell[sites.device_site[name]], weights=-mean, minlength=cells)
            (self.sharp_kw if name in SHARP else self.smooth_kw)[:, minute] += by_cell
            if name in ("aircon", "icestore"):
                self.aircon_kw[:, minute] += by_cell
        if run.snapshot is not None:
            self.losses_mw[minute] = run.snapshot.losses_mw


def smooth_day(values: Floats) -> Floats:
    """Return the moving mean over `SMOOTH_MIN` minutes of a day that repeats itself."""
    half = SMOOTH_MIN // 2
    wrapped = np.concatenate([values[..., -half:], values, values[..., :half]], axis=-1)
    total = np.cumsum(np.insert(wrapped, 0, 0.0, axis=-1), axis=-1)
    return np.asarray((total[..., SMOOTH_MIN:] - total[..., :-SMOOTH_MIN]) / SMOOTH_MIN)


def residual(
    target_kw: Floats, aircon_share: Floats, sink: CurveSink | None
) -> tuple[Floats, Floats]:
    """Return the weather-free and the weather-driven background, float64[S, D, 1440] kW.

    Parameters
    ----------
    target_kw : float64[sectors, districts, 1440]  demand of everything on the design day
    aircon_share : float64[sectors, 1440]  weather-driven share of it
    sink : what the modelled devices draw, None for nothing

    Raises RunBroken when devices draw more than a sector-district's demand by over 1 %.
    """
    if sink is None:
        devices, modelled = np.zeros_like(target_kw), np.zeros_like(target_kw)
    else:
        shape = target_kw.shape
        devices = (smooth_day(sink.smooth_kw) + sink.sharp_kw).reshape(shape)
        modelled = smooth_day(sink.aircon_kw).reshape(shape)
    rest = target_kw - devices
    lowest = (rest / np.maximum(target_kw.max(axis=2, keepdims=True), 1e-9)).min(axis=2)
    if lowest.min() < -NEGATIVE_SHARE:
        sector, district = np.unravel_index(int(lowest.argmin()), lowest.shape)
        raise RunBroken(
            f"modelled devices draw {-100 * lowest.min():.1f} % more than sector {sector} in "
            f"district {district} has (at most {100 * NEGATIVE_SHARE:.0f} % is taken)"
        )
    aircon = np.clip(target_kw * aircon_share[:, None, :] - modelled, 0.0, np.maximum(rest, 0.0))
    return rest - aircon, aircon


def calibrate(
    start: Callable[[Demand, bool], Simulation],
    blank: Demand,
    sent_out_mw: Floats,
    mix: Floats,
    aircon_share: Floats,
    loss_share: float,
) -> Demand:
    """Return the calibrated demand.

    Parameters
    ----------
    start : makes a simulation of the design day in expected weather from a demand; the flag
        asks for the load flow and for a warm start a day before
    blank : a demand with everything but the curves
    sent_out_mw : float64[1440]  sent-out load that the design day shall have
    mix : float64[sectors, districts, 1440]  share of each in the demand, sums to 1
    aircon_share : float64[sectors, 1440]
    loss_share : first guess of the losses over the sent-out load
    """
    sectors, districts, _ = mix.shape
    sink: CurveSink | None = None
    losses = loss_share * sent_out_mw**2 / sent_out_mw.max()
    demand = blank
    for number in range(PASSES + 1):
        target_kw = 1_000.0 * mix * (sent_out_mw - losses)
        free, aircon = residual(target_kw, aircon_share, sink)
        demand = replace(blank, free_kw=free, aircon_kw=aircon)
        if number == PASSES:
            break
        last = number == PASSES - 1
        run = start(demand, last)
        run.run(0)
        sink = CurveSink(sectors, districts)
        run.recorder = sink
        run.run(DAY_MS)
        if last and run.grid is not None:
            losses = smooth_day(sink.losses_mw)
    return demand
