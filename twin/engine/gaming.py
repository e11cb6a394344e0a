"""Owners who bend their baseline: more host load in the hours that baselines look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Gamers", "uplift"]


@dataclass(frozen=True, slots=True)
class Gamers:
    """Owners who game alike.

    Attributes
    ----------
    rows : int64[n]  their sites
    share : what they add to their host load, 0.15 is 15 %
    windows_ms : when, [from, to) since midnight of the scenario's day, negative before it
    """

    rows: NDArray[np.int64]
    share: float
    windows_ms: tuple[tuple[int, int], ...]

    def at_it(self, now_ms: int) -> bool:
        """Return whether they add load at `now_ms`."""
        return any(start <= now_ms < end for start, end in self.windows_ms)


def uplift(gaming: Sequence[Gamers], now_ms: int, sites: int) -> NDArray[np.float64] | None:
    """Return float64[sites], the factor on host load at `now_ms`; None where it is 1 for all."""
    found = [group for group in gaming if group.at_it(now_ms)]
    if not found:
        return None
    factor = np.ones(sites)
    for group in found:
        factor[group.rows] *= 1.0 + group.share
    return factor
