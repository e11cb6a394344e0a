"""The districts, and how each sector's demand is spread over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.city.tables import DataRows
from twin.errors import InputProblems, Problem

SECTORS = ("industry", "tertiary", "residential")
INDUSTRY, TERTIARY, RESIDENTIAL = range(3)


@dataclass(frozen=True, slots=True)
class Districts:
    """Districts as columns; arrays have one entry a district.

    Attributes
    ----------
    names, names_en : e.g. 南沙, Nansha
    share : of the maximum load, sums to 1
    sector_share : float64[sectors, districts], of the maximum load, sums to 1
    pv_share, charger_share : sum to 1
    x_km, y_km, radius_km : position east and north of 113.26 E 23.13 N, size of built-up land
    cable : whether 110 and 220 kV run in cables
    port : whether ships berth
    """

    names: tuple[str, ...]
    names_en: tuple[str, ...]
    share: NDArray[np.float64]
    sector_share: NDArray[np.float64]
    pv_share: NDArray[np.float64]
    charger_share: NDArray[np.float64]
    x_km: NDArray[np.float64]
    y_km: NDArray[np.float64]
    radius_km: NDArray[np.float64]
    cable: NDArray[np.bool_]
    port: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Number of districts."""
        return len(self.names)

    def row(self, name: str) -> int:
        """Return the row of a district by its Chinese or English name; ValueError otherwise."""
        return (self.names if name in self.names else self.names_en).index(name)


def fit_margins(
    seed: NDArray[np.float64],
    row_sums: NDArray[np.float64],
    column_sums: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return `seed` scaled by rows and columns until both sums hold (iterative fitting).

    Deming and Stephan 1940. Both sums must have the same total; converges to 1e-14.
    """
    fitted = seed.copy()
    for _ in range(1000):
        fitted *= (row_sums / fitted.sum(axis=1))[:, None]
        fitted *= column_sums / fitted.sum(axis=0)
        if np.abs(fitted.sum(axis=1) - row_sums).max() < 1e-14:
            return fitted
    raise ValueError("the margins cannot be fitted")


def read_districts(chosen: Sequence[str] | None = None) -> Districts:
    """Return the districts of ``districts.csv``, or only the `chosen` ones with shares rescaled.

    The sector split of each district is a prior, fitted so that the whole city has the sector
    shares of ``sectors.csv``; a chosen district keeps the split that it has in the whole city.

    Raises InputProblems naming every unknown district.
    """
    rows = DataRows("districts.csv")
    share = rows.f8("load_share")
    share = share / share.sum()
    prior = np.stack([rows.f8(sector) for sector in SECTORS]) * share
    sector_share = fit_margins(prior, DataRows("sectors.csv").f8("peak_share"), share)
    whole = Districts(
        names=rows.text("name_zh"),
        names_en=rows.text("name_en"),
        share=share,
        sector_share=sector_share,
        pv_share=rows.f8("pv_share") / rows.f8("pv_share").sum(),
        charger_share=rows.f8("charger_share") / rows.f8("charger_share").sum(),
        x_km=rows.f8("x_km"),
        y_km=rows.f8("y_km"),
        radius_km=rows.f8("radius_km"),
        cable=rows.i8("cable") == 1,
        port=rows.i8("port") == 1,
    )
    if chosen is None:
        return whole
    allowed = ", ".join(whole.names + whole.names_en)
    problems = [
        Problem("scenario", "city.districts", name, f"one of {allowed}")
        for name in chosen
        if name not in whole.names + whole.names_en
    ]
    if len(chosen) == 0:
        problems.append(Problem("scenario", "city.districts", "[]", "at least one district"))
    if problems:
        raise InputProblems(problems)
    keep = np.array(sorted({whole.row(name) for name in chosen}))

    def part(array: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(array[keep] / array[keep].sum(), dtype=np.float64)

    return Districts(
        names=tuple(whole.names[i] for i in keep),
        names_en=tuple(whole.names_en[i] for i in keep),
        share=part(whole.share),
        sector_share=whole.sector_share[:, keep] / whole.sector_share[:, keep].sum(),
        pv_share=part(whole.pv_share),
        charger_share=part(whole.charger_share),
        x_km=whole.x_km[keep],
        y_km=whole.y_km[keep],
        radius_km=whole.radius_km[keep],
        cable=whole.cable[keep],
        port=whole.port[keep],
    )
