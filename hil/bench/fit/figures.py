"""A fitted figure, how sure it is, and least squares that say both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

__all__ = ["Figure", "Solution", "solve"]

F8 = NDArray[np.float64]
CONFIDENCE = 1.96  # half width of a 95 % interval in standard errors


@dataclass(frozen=True, slots=True)
class Figure:
    """One fitted number.

    Attributes
    ----------
    name, unit : e.g. ``capacity_kwh``, ``kWh``
    value : NaN where it could not be told
    plus_minus : half width of the 95 % interval from the residuals; NaN: none
    note : how it was found, or why not
    """

    name: str
    unit: str
    value: float
    plus_minus: float
    note: str

    @property
    def told(self) -> bool:
        """Whether the recording says anything of it: more than nought, at 95 %."""
        sure = math.isnan(self.plus_minus) or abs(self.value) > self.plus_minus
        return math.isfinite(self.value) and bool(sure)

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return f"{self.name}: not told ({self.note})"
        spread = "" if math.isnan(self.plus_minus) else f" ± {self.plus_minus:.3g}"
        return f"{self.name} = {self.value:.5g}{spread} {self.unit} ({self.note})"


@dataclass(frozen=True, slots=True)
class Solution:
    """Parameters, their 95 % half widths, and what remains (root mean square)."""

    values: F8
    plus_minus: F8
    rms: float
    cost: float


def solve(
    residuals: Callable[[F8], F8],
    starts: Sequence[Sequence[float]],
    low: Sequence[float],
    high: Sequence[float],
    slopes: Callable[[F8], F8] | None = None,
) -> Solution:
    """Return the best least-squares solution from several starts, within bounds.

    The interval is that of a linear model about the solution with independent residuals of equal
    size; residuals that hang together make it too narrow, which is for the caller to say.
    `slopes` gives the Jacobian, float64[n, k]; None: by finite differences.
    """
    best = None
    for guess in starts:
        start = np.clip(guess, low, high)
        scale = [max(abs(s), 1e-6) for s in start]
        found = least_squares(
            residuals, start, "2-point" if slopes is None else slopes, (low, high), x_scale=scale
        )
        if best is None or found.cost < best.cost:
            best = found
    if best is None:
        raise ValueError("no start")
    jacobian = np.asarray(best.jac, np.float64)
    n, k = jacobian.shape
    normal = jacobian.T @ jacobian
    variance = 2.0 * best.cost / max(n - k, 1)
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(variance * np.diag(np.linalg.pinv(normal)))
    blind = np.diag(normal) <= 0.0
    spread[blind] = math.nan
    rms = math.sqrt(2.0 * best.cost / n)
    return Solution(np.asarray(best.x), CONFIDENCE * spread, rms, float(best.cost))
