"""The supply graph between customers: who makes what, and who cannot work without it.

Every site gets a branch of its sector and with it the value added that a kilowatt-hour not
served costs. Every site of a branch that needs inputs gets suppliers of the branches that make
them, nearer and larger ones rather. All of it is synthetic: no such data is public.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator
from twin.city.columns import Field
from twin.city.districts import SECTORS, Districts
from twin.city.own_files import OwnCsv, open_csv, site_row
from twin.city.tables import DataRows
from twin.errors import InputProblems, Problem
from twin.record.columns import Columns

__all__ = ["branch_figures", "branch_names", "build_chain", "chain_problems", "read_chain",
           "with_branches"]  # fmt: skip

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

NEAR_KM = 15.0  # suppliers thin out with distance by e on this length (assumed)
LEVELLINGS = 20  # until the branches have about their shares
LEAST_SHARE = 1e-6  # of a production; a smaller need is none

CHAIN_FIELDS = (
    Field("share", 1e-6, 1.0, None, "a share above 0, at most 1"),
    Field("stock_h", 0.0, 1e5, None, "h, 0 or more"),
)


def branch_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the branches, English and Chinese; ``sites["branch"]`` are rows."""
    rows = DataRows("branches.csv")
    return rows.text("name"), rows.text("name_zh")


def branch_figures(column: str, branch: Rows) -> Floats:
    """Return float64[sites], a column of ``branches.csv`` for each site; 0 without a branch."""
    values = DataRows("branches.csv").f8(column)
    return np.asarray(np.where(branch >= 0, values[np.maximum(branch, 0)], 0.0))


def with_branches(sites: Columns, seed: int) -> Columns:
    """Return `sites` with ``branch`` (int64) and ``value_cny_kwh`` (float64) filled in.

    Branches are drawn so that they have about their ``share`` of the sector's demand;
    ``size_bias`` draws a branch to large customers. What a user's file gives (branch from 0 on,
    value from 0 on) stays.
    """
    rows = DataRows("branches.csv")
    sector_of = np.array([SECTORS.index(name) for name in rows.text("sector")])
    share, bias = rows.f8("share"), rows.f8("size_bias")
    sector, demand_kw = sites.i8("sector"), sites.f8("demand_kw")
    branch = sites.i8("branch").copy()
    size = np.log(np.maximum(demand_kw, 1e-9))
    draws = generator(seed, "city.chain.branch").gumbel(size=(sites.n, len(rows)))
    for number in range(len(SECTORS)):
        here = np.flatnonzero(sector == number)
        if len(here) == 0:
            continue
        z = (size[here] - size[here].mean()) / max(float(size[here].std()), 1e-9)
        own = np.flatnonzero(sector_of == number)
        score = bias[own] * z[:, None] + draws[np.ix_(here, own)]
        drawn = own[_by_share(score, share[own], demand_kw[here])]
        # A station with an account of its own is no producer: the last branch of its sector.
        drawn = np.where(sites.flag("terminal")[here], drawn, own[-1])
        branch[here] = np.where(branch[here] >= 0, branch[here], drawn)
    value = sites.f8("value_cny_kwh")
    value = np.where(value >= 0.0, value, branch_figures("value_cny_kwh", branch))
    return Columns({**sites, "branch": branch, "value_cny_kwh": value}, sites.n)


def _by_share(score: Floats, share: Floats, demand_kw: Floats) -> Rows:
    """Return int64[sites], the branch with the highest score, levelled to shares of demand."""
    level = np.log(share)
    for _ in range(LEVELLINGS):
        drawn = np.argmax(score + level, axis=1)
        has = np.bincount(drawn, demand_kw, len(share)) / demand_kw.sum()
        level += 0.5 * np.log(share / np.maximum(has, 0.1 * share))
    return np.asarray(np.argmax(score + level, axis=1), np.int64)


def build_chain(
    sites: Columns, districts: Districts, seed: int, stock_scale: float = 1.0
) -> Columns:
    """Return the edges of the supply graph, sorted by supplier and customer.

    Columns: ``supplier``, ``customer`` (int64 rows of `sites`), ``share`` of the customer's
    production that needs this input, ``stock_h`` (registered hours of the customer's full use).
    `stock_scale` is a factor on the stocks. No site supplies itself; loops over several sites
    occur, as in industry.
    """
    names, links = branch_names()[0], DataRows("supply_links.csv")
    branch, district = sites.i8("branch"), sites.i8("district")
    weight = sites.f8("demand_kw")
    away = np.hypot(
        districts.x_km[:, None] - districts.x_km, districts.y_km[:, None] - districts.y_km
    )
    near = np.exp(-away / NEAR_KM)
    parts: list[tuple[Rows, Rows, Floats, Floats]] = []
    for number, row in enumerate(links.rows):
        makers = np.flatnonzero(branch == names.index(row["supplier"]))
        takers = np.flatnonzero(branch == names.index(row["customer"]))
        count = min(int(row["suppliers"]), len(makers))
        if count == 0 or len(takers) == 0:
            continue
        draws = generator(seed, "city.chain.links", number)
        chosen = _near_makers(draws, makers, district, weight, near, district[takers], count)
        split = draws.uniform(0.5, 1.5, chosen.shape)
        split *= float(row["share"]) / split.sum(axis=1, keepdims=True)
        low, high = float(row["stock_h_low"]), float(row["stock_h_high"])
        stock_h = np.round(stock_scale * draws.uniform(low, high, chosen.shape), 1)
        customer = np.repeat(takers, count)
        parts.append((chosen.ravel(), customer, split.ravel(), stock_h.ravel()))
    if not parts:
        return _edges(*(np.empty(0) for _ in range(4)))
    supplier, customer, share, stock_h = (np.concatenate(p) for p in zip(*parts, strict=True))
    other = supplier != customer
    return _edges(supplier[other], customer[other], share[other], stock_h[other])


def _near_makers(
    draws: np.random.Generator, makers: Rows, district: Rows, weight: Floats, near: Floats,
    where: Rows, count: int,
) -> Rows:  # fmt: skip
    """Return int64[takers, count] suppliers, drawn by demand and nearness; one may come twice."""
    makers = makers[np.argsort(district[makers], kind="stable")]
    n = len(near)
    has = np.bincount(district[makers], weight[makers], n)
    pull = np.cumsum(near[where] * has, axis=1)
    lots = draws.random((2, len(where), count))
    there = (lots[0][:, :, None] * pull[:, None, -1:] >= pull[:, None, :]).sum(axis=2)
    there = np.minimum(there, n - 1)
    total = np.cumsum(weight[makers])
    before = np.concatenate([[0.0], np.cumsum(has)])[:-1]
    spot = np.searchsorted(total, before[there] + lots[1] * has[there], side="right")
    return np.asarray(makers[np.minimum(spot, len(makers) - 1)], np.int64)


def _edges(
    supplier: NDArray[np.generic],
    customer: NDArray[np.generic],
    share: Floats,
    stock_h: Floats,
) -> Columns:
    """Return sorted edges; where one supplier comes twice for a customer, the shares add."""
    ends = np.stack([supplier, customer]).astype(np.int64)
    pairs, first, which = np.unique(ends, axis=1, return_index=True, return_inverse=True)
    which = which.ravel()
    return Columns(
        {
            "supplier": pairs[0],
            "customer": pairs[1],
            "share": np.bincount(which, share, pairs.shape[1]),
            "stock_h": np.asarray(stock_h[first], np.float64),
        },
        pairs.shape[1],
    )


# -- the user's own --------------------------------------------------------------------------


def read_chain(path: Path, sites: int, names: Mapping[str, int] | None) -> Columns:
    """Return the supply graph of a user's file; sites by name, or by row where they are synthetic.

    Required: supplier, customer, share, stock_h. Shares of a customer's inputs sum to at most
    one: they are different parts of its production.

    Raises InputProblems with every problem of the file.
    """
    own, found = _own_rows(path, names, sites)
    own.finish()
    return _edges(*found)


def chain_problems(path: Path, names: Mapping[str, int] | None) -> list[Problem]:
    """Return what is wrong with a file as far as can be said without the synthetic sites."""
    try:
        own, _ = _own_rows(path, names, None)
    except InputProblems as error:
        return list(error.problems)
    return own.problems


def _own_rows(
    path: Path, names: Mapping[str, int] | None, sites: int | None
) -> tuple[OwnCsv, tuple[Rows, Rows, Floats, Floats]]:
    own = open_csv(path, ("supplier", "customer", "share", "stock_h"), ())
    ends = np.full((2, len(own.rows)), -1, np.int64)
    for row, cells in enumerate(own.rows):
        place = f"line {own.lines[row]}"
        for end, column in enumerate(("supplier", "customer")):
            found = site_row(own, place, cells[column].strip(), sites, names, column)
            ends[end, row] = -1 if found is None else found
        if ends[0, row] >= 0 and ends[0, row] == ends[1, row]:
            own.add(place, f"{cells['customer'].strip()} supplies itself", "two different sites")
    share, stock_h = (own.column(spec) for spec in CHAIN_FIELDS)
    known = (ends[1] >= 0) & np.isfinite(share)
    needs = np.bincount(ends[1][known], share[known])
    for customer in np.flatnonzero(needs > 1.0 + LEAST_SHARE).tolist():
        row = int(np.flatnonzero(ends[1] == customer)[-1])
        place = f"line {own.lines[row]}, share"
        own.add(place, f"{needs[customer]:g} in sum over the customer's inputs", "at most 1")
    return own, (ends[0], ends[1], share, stock_h)
