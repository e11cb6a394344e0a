"""Sensitivities of branch flows: what a logic may know of the network, from its arrays.

Linear (DC) flows about the network's own solved case: a branch between buses i and k carries
``b (angle_i - angle_k)`` with ``b = V_i V_k Im(-y)``, y its series admittance over the starting
tap. What is fed in at a busbar is taken out by the imports in their shares, which is how the
operation schedules them; a further bus that holds an angle takes what its angle makes it take,
and all such buses are taken to stand at one angle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from twin.grid.network import Network
from twin.record.network_view import NetworkView

__all__ = ["network_view"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

WATCHED_KV = 100.0  # lines and transformers with a high side from here on (110 kV and above)
LEAST_PTDF = 1e-3  # MW/MW; a branch that no busbar moves by more is left out
# Of a fully loaded branch: MW over MVA (assumed, that of the busbars). At nominal voltage: where
# it is higher, e.g. 1.05 at 500 kV, a branch carries more than it is said to.
POWER_FACTOR = 0.95
QUARTERS = 96
_SPLITS = 1e-6  # what is left beside a branch, of 1 MW sent through it


def network_view(network: Network, demand_mw: F8, plant_mw: F8, pumped_mw: F8) -> NetworkView:
    """Return PTDF, LODF, ratings and expected flows of the branches of 110 kV and above.

    Parameters
    ----------
    network : all its branches are in service
    demand_mw : float64[busbars, 96]  expected demand by quarter of an hour
    plant_mw : float64[plants, 96]; pumped_mw : float64[96]  schedules, positive into the grid

    Branches without a rating, or that no busbar moves, are left out. Losses are left out of the
    expected flows.
    """
    rows = _watched(network)
    flows = _Flows(network)
    sources = network.sources.bus
    through = flows.through(rows)
    ptdf = flows.balanced(through, network.busbars.bus)
    keep = np.abs(ptdf).max(axis=1, initial=0.0) > LEAST_PTDF
    rows, ptdf, through = rows[keep], ptdf[keep], through[:, keep]
    others = np.concatenate([network.plant_rows, network.pumped_rows])
    schedule = np.vstack([plant_mw, np.tile(pumped_mw, (len(network.pumped_rows), 1))])
    expected = flows.balanced(through, sources[others]) @ schedule - ptdf @ demand_mw
    fixed = network.fixed_mva.real
    expected += (fixed @ through - fixed.sum() * (flows.share @ through))[:, None]
    return NetworkView(
        branch=network.branches.name[rows],
        rating_mw=POWER_FACTOR * network.branches.rating_mva[rows],
        ptdf=np.ascontiguousarray(ptdf),
        lodf=flows.outage(rows, through),
        expected_mw=expected,
        expected_demand_mw=np.asarray(demand_mw, dtype=np.float64),
        infeed_share=network.sources.share[network.infeed_rows],
        infeed_ptdf=flows.balanced(through, sources[network.infeed_rows]),
        infeed_end=_at_infeed(network, rows),
    )


def _watched(network: Network) -> I8:
    b = network.branches
    rated = np.isfinite(b.rating_mva) & (b.rating_mva > 0.0)
    return np.flatnonzero((b.kv > WATCHED_KV) & rated)


def _at_infeed(network: Network, rows: I8) -> F8:
    """Return float64[rows, infeeds], 1 where a branch begins at the infeed, -1 where it ends.

    An infeed of which a branch is not among `rows` has none: nobody could see it lost. Nor has
    any where several hold an angle: what they give is not shared out.
    """
    bus = network.sources.bus[network.infeed_rows]
    f, t = network.branches.from_bus, network.branches.to_bus
    end = 1.0 * (f[:, None] == bus) - 1.0 * (t[:, None] == bus)
    seen = np.abs(end[rows]).sum(axis=0) == np.abs(end).sum(axis=0)
    seen &= np.count_nonzero(network.sources.slack) == 1
    return np.asarray(end[rows] * seen)


class _Flows:
    """Flows per MW injected, by one factorisation of the susceptance matrix."""

    def __init__(self, network: Network) -> None:
        self.network = network
        b, size = network.branches, np.abs(network.v_start)
        self.ends = np.vstack([b.from_bus, b.to_bus])
        # The phase shift of a vector group cancels in yft * ytf; the root with the series
        # admittance's own sign (inductive: negative imaginary part) is the one that counts.
        series = np.sqrt(b.yft * b.ytf)
        series = np.where(series.imag > 0.0, -series, series)
        self.b_mw = -series.imag * size[b.from_bus] * size[b.to_bus] * network.base_mva
        n, slack = network.n_bus, network.sources.bus[network.sources.slack]
        f, t = self.ends
        matrix = sparse.coo_array(
            (
                np.concatenate([self.b_mw, self.b_mw, -self.b_mw, -self.b_mw]),
                (np.concatenate([f, t, f, t]), np.concatenate([f, t, t, f])),
            ),
            shape=(n, n),
        ).tocsc()
        _, part = connected_components(matrix, directed=False)
        # What no slack reaches is left out with the slacks themselves: its angle is 0.
        inside = np.isin(part, part[slack])
        inside[slack] = False
        self.free = np.flatnonzero(inside)
        self.place = np.full(n, -1)
        self.place[self.free] = np.arange(len(self.free))
        inner = matrix[self.free][:, self.free].tocsc()
        self.factor = splu(inner) if len(self.free) > 0 else None
        self.share = np.zeros(n)
        infeeds = network.infeed_rows
        np.add.at(self.share, network.sources.bus[infeeds], network.sources.share[infeeds])

    def through(self, rows: I8) -> F8:
        """Return float64[buses, rows], flow of each branch by 1 MW fed in at each bus.

        The matrix is symmetric: one solution a branch, not one a bus.
        """
        right = np.zeros((len(self.free), len(rows)))
        column = np.arange(len(rows))
        for bus, sign in ((self.ends[0, rows], 1.0), (self.ends[1, rows], -1.0)):
            known = self.place[bus] >= 0
            right[self.place[bus[known]], column[known]] += sign * self.b_mw[rows[known]]
        out = np.zeros((self.network.n_bus, len(rows)))
        if self.factor is not None and len(rows) > 0:
            out[self.free] = self.factor.solve(right)
        return out

    def balanced(self, through: F8, bus: I8) -> F8:
        """Return float64[rows, bus], flow by 1 MW fed in at `bus` and taken out by the imports."""
        return np.asarray((through[bus] - self.share @ through).T)

    def outage(self, rows: I8, through: F8) -> F8:
        """Return float64[rows, rows], outage distribution factors, column by lost branch."""
        f, t = self.ends[:, rows]
        ptdf = (through[f] - through[t]).T
        left = 1.0 - np.diag(ptdf)
        splits = left < _SPLITS
        lodf = ptdf / np.where(splits, np.nan, left)
        np.fill_diagonal(lodf, np.where(splits, np.nan, -1.0))
        return np.asarray(lodf)
