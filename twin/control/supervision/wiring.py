"""Meters that are wired the wrong way round.

Nobody can feed more than his generators give: a customer's meter that shows more is reversed.
It is read so from then on, until the turned value is as impossible.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.record.exchange import Inventory

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# What may feed to the grid, with the column that bounds it.
GENERATORS = (
    ("storage", "rated_kw"), ("solar", "rated_kw"), ("charging", "v2g_kw"), ("swap", "v2g_kw"),
    ("hydrogen", "fuelcell_kw"),
)  # fmt: skip
FEED_BAND = 0.05  # of contracted demand and of rating that meters may disagree by (assumed)
FEED_CHANGE = 1.25  # of a generator's last reading: it may be minutes old (assumed)


class Wiring:
    """What may feed behind each customer's meter.

    Attributes
    ----------
    generators : by kind the site of each device and the most it feeds [kW]
    """

    def __init__(self, inventory: Inventory, sites: Mapping[str, Floats]) -> None:
        self.n = inventory.sites.n
        self.band_kw = FEED_BAND * sites.get("contracted_kw", np.zeros(self.n))
        self.generators: dict[str, tuple[NDArray[np.int64], Floats]] = {}
        for name, column in GENERATORS:
            if name in inventory.kinds:
                columns = inventory.kinds[name].columns
                if {"site", column} <= columns.keys():
                    self.generators[name] = columns.i8("site"), columns.f8(column)

    def turn(
        self, demand_kw: Floats, took: Flags, turned: Flags,
        feeds: Mapping[str, tuple[Floats, Flags]],
    ) -> None:  # fmt: skip
        """Turn `demand_kw` in place where it was read just now (`took`) and is wired wrongly.

        Parameters
        ----------
        turned : bool[sites], kept up to date
        feeds : by kind power as believed, positive into the grid, and where it is recent
        """
        np.negative(demand_kw, out=demand_kw, where=took & turned)
        able = self.band_kw
        for name, (site, most_kw) in self.generators.items():
            if name not in feeds:
                continue
            power, recent = feeds[name]
            now = FEED_CHANGE * np.maximum(power, 0.0) + FEED_BAND * most_kw
            able = able + np.bincount(site, np.where(recent, now, most_kw), self.n)
        wrong = np.flatnonzero(took & (-demand_kw > able))
        if len(wrong) > 0:
            demand_kw[wrong] *= -1.0
            turned[wrong] = ~turned[wrong]
