"""What a logic may know of the network: sensitivities, as arrays.

Linear (DC) flows: ``flow = ptdf @ injection`` holds for any injection that is balanced at the
reference; a branch out of service moves its flow to the others by its outage distribution
factors, which follow from the same matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class NetworkView:
    """Branches worth watching and how each busbar loads them.

    Attributes
    ----------
    branch : str[branches]  names, as in outage notices
    rating_mw : float64[branches]
    ptdf : float64[branches, busbars]  MW on the branch (from its first to its second end) for
        1 MW fed in at a busbar and taken out at the reference; busbars as in ``site.busbar``
    lodf : float64[branches, branches]  part of branch j's flow before its outage that branch i
        takes over, in column j; NaN where the outage of j splits the network
    expected_mw : float64[branches, 96]  expected flow by quarter of an hour of the day
    expected_demand_mw : float64[busbars, 96]  busbar demand that goes with it
    infeed_share : float64[infeeds]  of the imports, which are the reference
    infeed_ptdf : float64[branches, infeeds]  as `ptdf`, for what an infeed gives
    infeed_end : float64[branches, infeeds]  1 where the branch begins at the infeed, -1 where it
        ends there, else 0; an infeed all of whose branches are out is lost, and the others
        take its imports over
    """

    branch: NDArray[np.str_]
    rating_mw: NDArray[np.float64]
    ptdf: NDArray[np.float64]
    lodf: NDArray[np.float64]
    expected_mw: NDArray[np.float64]
    expected_demand_mw: NDArray[np.float64]
    infeed_share: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    infeed_ptdf: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    infeed_end: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
