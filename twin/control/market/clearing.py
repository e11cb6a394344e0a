"""Clearing of bids: least cost under district and network limits.

Without a network limit that binds this is exact merit order: bids of one cost share what is
left in proportion to their size, and a district's limit takes its cheapest. With one it is a
linear program (HiGHS). Both are deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHORT_FACTOR = 10.0  # of the dearest bid: nothing is left away while there is a bid
NETWORK_FACTOR = 100.0  # a limit of the network goes before the order
KW_PER_MW = 1000.0


@dataclass(frozen=True, slots=True)
class Blocks:
    """Bids as arrays, float64[m] and int64[m].

    Attributes
    ----------
    cost : CNY/kWh by which bids are ranked
    most_kw : their size, 0 or more
    district, busbar : where they are; busbar -1 is not on the network's list
    """

    cost: Floats
    most_kw: Floats
    district: Ints
    busbar: Ints


@dataclass(frozen=True, slots=True)
class NetworkLimits:
    """Linear limits ``matrix @ reduction <= room``.

    Attributes
    ----------
    matrix : float64[rows, busbars]  MW on the branch for 1 MW taken off at a busbar
    room_mw : float64[rows]  may be negative: relief is then wanted
    """

    matrix: Floats
    room_mw: Floats

    def usable(self) -> NetworkLimits:
        """Return the rows that are numbers."""
        good = np.isfinite(self.matrix).all(axis=1) & np.isfinite(self.room_mw)
        return NetworkLimits(self.matrix[good], self.room_mw[good])

    def by_block(self, blocks: Blocks) -> Floats:
        """Return float64[rows, m], MW on each branch for 1 MW of each bid."""
        known = (blocks.busbar >= 0) & (blocks.busbar < self.matrix.shape[1])
        out = np.zeros((len(self.room_mw), len(blocks.cost)))
        out[:, known] = self.matrix[:, blocks.busbar[known]]
        return out


def cheapest(cost: Floats, most_kw: Floats, asked_kw: float) -> Floats:
    """Return the least costly split of `asked_kw`, equal costs in proportion to `most_kw`.

    Examples
    --------
    >>> cheapest(np.array([2.0, 1.0, 2.0]), np.array([10.0, 5.0, 30.0]), 9.0)
    array([1., 5., 3.])
    """
    level, inverse = np.unique(cost, return_inverse=True)
    size = np.bincount(inverse, most_kw, len(level))
    before = np.concatenate([[0.0], np.cumsum(size)[:-1]])
    taken = np.clip(asked_kw - before, 0.0, size)
    part = taken / np.maximum(size, 1e-300)
    return np.asarray(part[inverse] * most_kw)


def within_districts(blocks: Blocks, room_kw: Floats) -> Floats:
    """Return `most_kw` of each bid when no district may give more than its room.

    What a district may give is its cheapest; float64[districts] in, float64[m] out.
    """
    most = blocks.most_kw.copy()
    total = np.bincount(blocks.district, most, len(room_kw))
    for d in np.flatnonzero(total > room_kw):
        here = blocks.district == d
        most[here] = cheapest(blocks.cost[here], most[here], float(room_kw[d]))
    return most


def clear_blocks(
    blocks: Blocks, asked_kw: float, room_kw: Floats, network: NetworkLimits | None
) -> Floats:
    """Return what is accepted of each bid, float64[m] in kW.

    Parameters
    ----------
    asked_kw : in all; more than there is, or infinity, takes everything
    room_kw : float64[districts], most of each district
    network : limits of the network; kept as far as bids can keep them
    """
    most = within_districts(blocks, room_kw)
    given = cheapest(blocks.cost, most, asked_kw)
    if network is None or len(blocks.cost) == 0:
        return given
    limits = network.usable()
    rows = limits.by_block(blocks)
    if ((rows * given).sum(axis=1) <= limits.room_mw * KW_PER_MW + 1e-6).all():
        return given
    found = _program(blocks, asked_kw, room_kw, rows, limits.room_mw * KW_PER_MW)
    return given if found is None else found


def _program(
    blocks: Blocks, asked_kw: float, district_kw: Floats, rows: Floats, room_kw: Floats
) -> Floats | None:
    """Return the split by linear program, None where the solver finds none.

    Variables are bids, what stays short of `asked_kw`, and by how much each row is broken.
    """
    m, n_rows = len(blocks.cost), len(room_kw)
    asked_kw = min(asked_kw, float(blocks.most_kw.sum()))
    dear = max(float(np.max(blocks.cost)), 1.0)
    cost = np.concatenate(
        [blocks.cost, [SHORT_FACTOR * dear], np.full(n_rows, NETWORK_FACTOR * dear)]
    )
    total = np.bincount(blocks.district, blocks.most_kw, len(district_kw))
    limited = np.flatnonzero(total > district_kw)
    upper = np.zeros((len(limited) + n_rows, m + 1 + n_rows))
    upper[: len(limited), :m] = blocks.district[None, :] == limited[:, None]
    upper[len(limited) :, :m] = rows
    upper[len(limited) :, m + 1 :] = -np.eye(n_rows)
    whole = np.concatenate([np.ones(m + 1), np.zeros(n_rows)])
    most = np.concatenate([blocks.most_kw, np.full(1 + n_rows, np.inf)])
    found = milp(
        cost,
        bounds=Bounds(0.0, most),
        constraints=[
            LinearConstraint(upper, -np.inf, np.concatenate([district_kw[limited], room_kw])),
            LinearConstraint(whole[None, :], asked_kw, asked_kw),
        ],
    )
    if found.x is None:
        return None
    return np.clip(np.asarray(found.x[:m], np.float64), 0.0, blocks.most_kw)
