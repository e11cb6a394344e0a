"""Customer accounts (户): the join of meter, devices, terminal, contract and circuits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator
from twin.city.districts import INDUSTRY, SECTORS, TERTIARY, Districts
from twin.city.sharing import near_share, share_out, to_mean, whole_shares
from twin.city.tables import DataRows, Parameters
from twin.record.columns import Columns

LARGEST_SITE_KW = 30_000.0  # above it a customer has its own 110 kV station (assumed)
ROUNDS = (2, 3, 4)  # controllable circuits of a customer
# Every column of `City.sites` with its default; see the table in `City`.
SITE_COLUMNS: dict[str, tuple[str, float]] = {
    "district": ("i8", 0),
    "sector": ("i8", 0),
    "busbar": ("i8", -1),
    "demand_kw": ("f8", 0.0),
    "host_kw": ("f8", 0.0),
    "contracted_kw": ("f8", 0.0),
    "export_limit_kw": ("f8", 0.0),
    "security_share": ("f8", 0.0),
    "circuit_share_1": ("f8", 0.0),
    "circuit_share_2": ("f8", 0.0),
    "circuit_share_3": ("f8", 0.0),
    "circuit_share_4": ("f8", 0.0),
    "terminal": ("?", 0),
    "protected": ("?", 0),
    "aggregator": ("i8", -1),
    "enrolled": ("?", 0),
    "public": ("?", 0),
    "restricted": ("?", 0),
    "branch": ("i8", -1),
    "value_cny_kwh": ("f8", -1.0),
}


class SiteBook:
    """Sites while the city is being made; `columns` holds one array a column."""

    def __init__(self) -> None:
        self.columns: dict[str, NDArray[np.generic]] = {
            name: np.empty(0, dtype) for name, (dtype, _) in SITE_COLUMNS.items()
        }

    @property
    def n(self) -> int:
        """Number of sites so far."""
        return len(self.columns["district"])

    def append(self, n: int, **given: object) -> NDArray[np.int64]:
        """Add `n` sites, columns not given take their default; return their rows."""
        unknown = given.keys() - SITE_COLUMNS.keys()
        if unknown:
            raise ValueError(f"no such site columns: {sorted(unknown)}")
        rows = np.arange(self.n, self.n + n)
        for name, (dtype, default) in SITE_COLUMNS.items():
            added = np.empty(n, dtype)
            added[:] = np.asarray(given.get(name, default))
            self.columns[name] = np.concatenate([self.columns[name], added])
        return rows

    def f8(self, name: str) -> NDArray[np.float64]:
        """Return a column as float64."""
        return np.asarray(self.columns[name], dtype=np.float64)

    def i8(self, name: str) -> NDArray[np.int64]:
        """Return a column as int64."""
        return np.asarray(self.columns[name], dtype=np.int64)

    def flag(self, name: str) -> NDArray[np.bool_]:
        """Return a column as bool."""
        return np.asarray(self.columns[name], dtype=np.bool_)

    def set(self, name: str, rows: NDArray[np.int64], values: object) -> None:
        """Overwrite a column at `rows`."""
        self.columns[name][rows] = np.asarray(values)

    def build(self) -> Columns:
        """Return the finished columns."""
        return Columns(self.columns)


def add_terminal_sites(
    book: SiteBook,
    districts: Districts,
    peak_mw: NDArray[np.float64],
    year: int,
    terminals: int,
    seed: int,
    figures: Parameters,
) -> None:
    """Add the customers behind a load-management terminal (industry and tertiary).

    Their registered demand sums, by sector and district, to the year's coverage of the demand
    at the city's maximum.

    Parameters
    ----------
    peak_mw : float64[sectors, districts], demand at the city's maximum
    terminals : their number in 2027; other years in proportion to their coverage
    """
    sectors = DataRows("sectors.csv").by("sector")
    industry_part = figures["sites.industry_terminals"]
    parts = (
        (INDUSTRY, industry_part, figures["sites.spread_industry"]),
        (TERTIARY, 1.0 - industry_part, figures["sites.spread_tertiary"]),
    )
    for sector, part, spread in parts:
        row = sectors[SECTORS[sector]]
        coverage = float(row[f"coverage_{year}"])
        number = round(terminals * part * coverage / float(row["coverage_2027"]))
        demand_kw = 1000.0 * coverage * peak_mw[sector]
        counts = np.maximum(whole_shares(number, demand_kw), 1)
        for district in range(districts.n):
            n, total_kw = int(counts[district]), float(demand_kw[district])
            draws = generator(seed, f"city.sites.{SECTORS[sector]}.{districts.names[district]}")
            size = np.exp(spread * np.clip(draws.standard_normal(n), -3.0, 3.0))
            cap_kw = min(LARGEST_SITE_KW, max(4.0 * total_kw / n, 0.05 * total_kw))
            cap_kw = max(cap_kw, 1.2 * total_kw / n)
            book.append(
                n,
                district=district,
                sector=sector,
                demand_kw=share_out("city sites", total_kw, size, np.full(n, cap_kw)),
                terminal=True,
            )
        rows = np.flatnonzero(book.i8("sector") == sector)
        _fill_sector(book, rows, row, sector, seed, figures)


def _fill_sector(
    book: SiteBook,
    rows: NDArray[np.int64],
    row: dict[str, str],
    sector: int,
    seed: int,
    figures: Parameters,
) -> None:
    """Draw contract, security load, rounds, protection and owner of one sector's sites."""
    draws = generator(seed, f"city.sites.rules.{SECTORS[sector]}")
    n, demand_kw = len(rows), book.f8("demand_kw")[rows]
    low, high = figures["sites.contract_low"], figures["sites.contract_high"]
    book.set("contracted_kw", rows, demand_kw * draws.uniform(low, high, n))
    security_mean, circuit_mean = float(row["security_share"]), float(row["circuit_share"])
    security = to_mean(
        security_mean * draws.uniform(0.6, 1.4, n),
        demand_kw,
        security_mean,
        np.full(n, 0.05),
        np.full(n, 0.55),
    )
    circuits = to_mean(
        circuit_mean * draws.uniform(0.75, 1.25, n),
        demand_kw,
        circuit_mean,
        np.full(n, 0.05),
        0.95 - security,
    )
    rounds = draws.choice(ROUNDS, n)
    split = draws.uniform(0.5, 1.5, (n, 4)) * (np.arange(4) < rounds[:, None])
    split *= (circuits / split.sum(axis=1))[:, None]
    book.set("security_share", rows, security)
    for k in range(4):
        book.set(f"circuit_share_{k + 1}", rows, split[:, k])
    protected = near_share(draws, demand_kw, float(row["protected_share"]))
    book.set("protected", rows, protected)
    if sector == TERTIARY:
        chance = np.where(
            protected, figures["sites.public_protected_share"], figures["sites.public_share"]
        )
        book.set("public", rows, draws.random(n) < chance)


def rounds_of(columns: Columns | SiteBook) -> NDArray[np.int64]:
    """Return int64[sites], the number of controllable circuits (0 where there is no terminal)."""
    shares = np.stack([columns.f8(f"circuit_share_{k}") for k in range(1, 5)])
    return np.asarray((shares > 0.0).sum(axis=0), dtype=np.int64)
