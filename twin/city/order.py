"""What each kind's synthesis is told, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator
from twin.city.districts import Districts
from twin.city.sites import SiteBook
from twin.city.tables import Parameters

DeviceColumns = dict[str, NDArray[np.generic]]
OWN_HOST_SHARE = 0.02  # lighting and offices of a station with its own account (assumed)
OWN_CONTRACT = 1.05  # contracted over rated power of a station with its own account (assumed)


@dataclass(frozen=True, slots=True)
class FleetOrder:
    """One kind's share of the fleet.

    Attributes
    ----------
    year : plan year
    kw : registered electrical rating in all
    count : number of devices
    v2g_kw, v2g_count : feed-back power and number of stations that have it (charging)
    """

    year: int
    kw: float
    count: int
    v2g_kw: float
    v2g_count: int
    districts: Districts
    seed: int
    figures: Parameters

    def draws(self, purpose: str) -> np.random.Generator:
        """Return keyed draws for one purpose."""
        return generator(self.seed, f"city.fleet.{purpose}")


def no_devices(*columns: str) -> DeviceColumns:
    """Return empty columns of a kind that has no device."""
    made: DeviceColumns = {name: np.empty(0) for name in columns}
    made["site"] = np.empty(0, dtype=np.int64)
    made["rated_kw"] = np.empty(0)
    return made


def own_sites(
    book: SiteBook,
    district: NDArray[np.int64],
    sector: int,
    rated_kw: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Add one site for each device that has an account of its own; return their rows."""
    host_kw = OWN_HOST_SHARE * rated_kw
    return book.append(
        len(rated_kw),
        district=district,
        sector=sector,
        demand_kw=rated_kw + host_kw,
        host_kw=host_kw,
        contracted_kw=OWN_CONTRACT * (rated_kw + host_kw),
    )


def pick_rows(draws: np.random.Generator, shares: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Return int64[n] rows drawn with probability `shares`."""
    edges = np.cumsum(shares) / shares.sum()
    return np.minimum(np.searchsorted(edges, draws.random(n), side="right"), len(shares) - 1)
