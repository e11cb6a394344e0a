"""What the network shows at one moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Divergence", "GridSnapshot"]

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Divergence:
    """A load flow without a solution.

    Attributes
    ----------
    mismatch_mw : largest power mismatch at the previous voltages [MW or Mvar]
    worst_bus : row of the bus where it is
    """

    now_ms: int
    mismatch_mw: float
    worst_bus: int


@dataclass(frozen=True, slots=True)
class GridSnapshot:
    """The network at one moment; every quantity is finite, also after a divergence.

    Attributes
    ----------
    vm_pu, va_rad : (buses,) voltage
    loading_pct : (branches,) larger current of both ends over the rating
    infeed_mw : (infeeds,) imports into the grid
    slack_mw : what the slack gives beyond its share of the imports
    plant_mw, pumped_mw : into the grid
    losses_mw : of lines, transformers
    load_mw : sent-out load: imports and local plants with losses, without pumped storage
        (pumping is no load)
    tap_moves, capacitor_moves : in this period
    converged : False repeats the previous voltages; `divergence` says more
    """

    now_ms: int
    vm_pu: F8
    va_rad: F8
    loading_pct: F8
    infeed_mw: F8
    slack_mw: float
    plant_mw: F8
    pumped_mw: float
    losses_mw: float
    load_mw: float
    tap_moves: int
    capacitor_moves: int
    converged: bool
    divergence: Divergence | None
