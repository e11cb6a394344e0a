"""The flexible fleet: how many devices of each kind, how large, and behind whose meter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator
from twin.city.districts import INDUSTRY, TERTIARY, Districts
from twin.city.fleet_buildings import add_aircon, add_icestore
from twin.city.fleet_mobility import add_charging, add_shorepower, add_swap
from twin.city.fleet_works import add_hydrogen, add_industry, add_solar, add_storage
from twin.city.order import DeviceColumns, FleetOrder
from twin.city.sites import SiteBook, rounds_of
from twin.city.tables import DataRows, Parameters
from twin.errors import InputProblems, Problem
from twin.record.columns import Columns

KINDS = (
    "storage",
    "aircon",
    "icestore",
    "charging",
    "swap",
    "solar",
    "industry",
    "hydrogen",
    "shorepower",
)
# A small part of a city still has a few of each of these, smaller ones then (assumed).
COMMON_KINDS = ("storage", "aircon", "charging", "solar", "industry")
FEWEST = 12
Adder = Callable[[SiteBook, FleetOrder], DeviceColumns]
# Kinds that need large customers choose first; those with own sites follow.
ADDERS: tuple[tuple[str, Adder], ...] = (
    ("industry", add_industry),
    ("storage", add_storage),
    ("aircon", add_aircon),
    ("solar", add_solar),
    ("charging", add_charging),
    ("swap", add_swap),
    ("hydrogen", add_hydrogen),
    ("shorepower", add_shorepower),
    ("icestore", add_icestore),
)


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What is to be connected.

    Attributes
    ----------
    connected_mw : by kind, and ``v2g`` (part of charging)
    counts : by kind, and ``terminal`` (as of 2027) and ``v2g`` (stations)
    """

    connected_mw: Mapping[str, float]
    counts: Mapping[str, int]


def plan_fleet(
    year: int,
    scale: Mapping[str, float],
    connected_mw: Mapping[str, float],
    counts: Mapping[str, int],
) -> tuple[FleetPlan, tuple[str, ...]]:
    """Return the connected MW and the device counts of a plan year, and notes.

    Counts follow the year's MW, so that the mean size stays; of the ice plants all that are open
    by then are connected. A kind of which less than half a
    device would be left is dropped, with a note.

    Parameters
    ----------
    scale : by kind, on MW and counts alike, e.g. a district's part of the city's fleet
    connected_mw, counts : overrides by kind; a lone override of one leaves the other as it is

    Raises InputProblems for an unknown kind or a negative number.
    """
    rows = DataRows("flexible.csv").by("kind")
    problems = [
        Problem("scenario", f"city.{table}.{kind}", str(value), "a kind: " + ", ".join(rows))
        for table, given in (("connected_mw", connected_mw), ("counts", counts))
        for kind, value in given.items()
        if kind not in rows
    ]
    problems += [
        Problem("scenario", f"city.{table}.{kind}", str(value), "0 or more")
        for table, given in (("connected_mw", connected_mw), ("counts", counts))
        for kind, value in given.items()
        if not 0 <= value < float("inf")
    ]
    if problems:
        raise InputProblems(problems)
    mw: dict[str, float] = {}
    number: dict[str, int] = {}
    notes: list[str] = []
    for kind, row in rows.items():
        part = scale[kind]
        year_mw, last_mw = float(row[f"mw_{year}"]), float(row["mw_2027"])
        wanted = float(row["count_2027"]) * part * (year_mw / last_mw if last_mw > 0.0 else 1.0)
        if kind == "icestore":
            opened = DataRows("ice_plants.csv").i8("from_year") <= year
            wanted = float(opened.sum()) * min(part, 1.0)
        mw[kind] = float(connected_mw.get(kind, year_mw * part))
        least = FEWEST if kind in COMMON_KINDS else 0
        number[kind] = int(counts.get(kind, max(round(wanted), least)))
        if mw[kind] == 0.0 and kind != "terminal":
            number[kind] = 0
        if number[kind] == 0 and mw[kind] > 0.0:
            notes.append(f"{kind}: {mw[kind]:.3g} MW are less than half a device, left out")
            mw[kind] = 0.0
    return FleetPlan(mw, number), tuple(notes)


def fleet_scale(
    whole: Districts, districts: Districts, load_scale: float, factor: float
) -> dict[str, float]:
    """Return each kind's part of the city's fleet that the chosen districts have.

    Parameters
    ----------
    whole, districts : all districts and the chosen ones
    load_scale : the scenario's maximum load over the usual one of the chosen districts
    factor : on everything
    """
    rows = [whole.row(name) for name in districts.names]
    industry, tertiary = (
        float(whole.sector_share[sector, rows].sum() / whole.sector_share[sector].sum())
        for sector in (INDUSTRY, TERTIARY)
    )
    chargers = float(whole.charger_share[rows].sum())
    berths = whole.port * whole.sector_share[INDUSTRY]
    plants = DataRows("ice_plants.csv")
    chilled = np.isin(plants.text("district"), districts.names) * plants.f8("chiller_rt")
    part = {
        "storage": industry,
        "aircon": tertiary,
        "icestore": float(chilled.sum() / plants.f8("chiller_rt").sum()),
        "charging": chargers,
        "v2g": chargers,
        "swap": chargers,
        "industry": industry,
        "hydrogen": industry,
        "shorepower": float(berths[rows].sum() / berths.sum()),
        "solar": float(whole.pv_share[rows].sum()),
        "terminal": float(whole.share[rows].sum()),
    }
    return {kind: share * load_scale * factor for kind, share in part.items()}


def build_fleet(
    book: SiteBook,
    districts: Districts,
    year: int,
    plan: FleetPlan,
    seed: int,
    figures: Parameters,
) -> dict[str, Columns]:
    """Add every kind's devices to the sites of `book`; return registered nameplates by kind."""
    made: dict[str, DeviceColumns] = {}
    for kind, add in ADDERS:
        order = FleetOrder(
            year=year,
            kw=1000.0 * plan.connected_mw[kind],
            count=plan.counts[kind],
            v2g_kw=1000.0 * plan.connected_mw["v2g"] if kind == "charging" else 0.0,
            v2g_count=plan.counts["v2g"] if kind == "charging" else 0,
            districts=districts,
            seed=seed,
            figures=figures,
        )
        made[kind] = add(book, order)
    return {kind: finish_kind(kind, made[kind], book, seed, figures) for kind in KINDS}


def finish_kind(
    kind: str, columns: DeviceColumns, book: SiteBook, seed: int, figures: Parameters
) -> Columns:
    """Add the columns that every kind has, rows in order of their site."""
    order = np.argsort(columns["site"], kind="stable")
    done: DeviceColumns = {name: values[order] for name, values in columns.items()}
    site = np.asarray(done["site"], dtype=np.int64)
    n = len(site)
    draws = generator(seed, f"city.fleet.{kind}.circuit")
    rounds = rounds_of(book)[site]
    behind = (draws.random(n) < figures["fleet.behind_circuit"]) & (rounds > 0)
    circuit = np.floor(draws.random(n) * np.maximum(rounds, 1)).astype(np.int8)
    done["circuit"] = np.where(behind, circuit, -1).astype(np.int8)
    done["district"] = book.i8("district")[site]
    done["enrolled"] = np.full(n, kind != "solar")
    return Columns(done, n)


def expected_device_kw(nameplates: Mapping[str, Columns], sites: int) -> NDArray[np.float64]:
    """Return float64[sites]: an estimate of device demand at the city's maximum.

    Shares of the rating from ``peak_use.csv``. They only say which part of a customer's demand
    is host load; how much host load there is in all comes from the calibration.
    """
    share = DataRows("peak_use.csv").by("kind")
    demand_kw = np.zeros(sites)
    for kind, columns in nameplates.items():
        part = float(share[kind]["share_of_rated"])
        demand_kw += np.bincount(columns.i8("site"), part * columns.f8("rated_kw"), sites)
    return demand_kw
