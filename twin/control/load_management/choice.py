"""Which circuits an order opens first: one small interface, and the reference's rounds.

A choice ranks every circuit once, when customers are warned, and again when the order changes;
what is opened and given back minute by minute follows the rank. Rivals put in their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twin.control.load_management.measures import BARRED

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a choice is made from; circuits are [4, n] over terminals.

    Attributes
    ----------
    may : bool[4, n]  exists, connected, not protected, not barred at this level, has load
    kw : float64[4, n]  demand expected behind it over the order
    step : int64[4, n]  step of the order of measures, see `twin.control.load_management.measures`
    late : bool[4, n]  enrolled devices stand behind it
    stay : bool[4, n]  is open and has not been for its least time off
    is_open : bool[4, n]  was told to open
    site, district, busbar : int64[n]
    lot : float64[n]  drawn order of customers
    contracted_kw, ledger_kwh : float64[n]  contracted demand; energy cut under earlier orders
    need_kw : cut that circuits have to give
    start_ms, end_ms : of the order
    """

    may: Flags
    kw: Floats
    step: Whole
    late: Flags
    stay: Flags
    is_open: Flags
    site: Whole
    district: Whole
    busbar: Whole
    lot: Floats
    contracted_kw: Floats
    ledger_kwh: Floats
    need_kw: float
    start_ms: int
    end_ms: int

    @property
    def hours(self) -> float:
        """Length of the order [h]."""
        return max((self.end_ms - self.start_ms) / 3_600_000.0, 1e-3)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The outcome of a choice.

    Attributes
    ----------
    rank : float64[4, n]  lowest is opened first; infinite: never
    by_rank : what is given back first has the highest rank; else it is what is open longest
    plan : what is worth reporting of it, e.g. how it was found, loss and gap
    """

    rank: Floats
    by_rank: bool = False
    plan: Mapping[str, float | str] = field(default_factory=dict)


class Choice(Protocol):
    """Ranks circuits."""

    def rank(self, offer: Offer) -> Ranking:
        """Return the order in which circuits are opened."""
        ...


class RoundsInOrder:
    """Measures in order, rounds first to last, districts alike, the least cut customer first.

    Within a round circuits come in the order of what their district has given by then, earlier
    orders included, in kWh over contracted kW; within a district those whose site has given
    least in the past are first, then a drawn order.
    """

    def rank(self, offer: Offer) -> Ranking:
        """Return the order of rounds."""
        rank = np.full(offer.kw.shape, np.inf)
        circuit, row = np.nonzero(offer.may & (offer.step < BARRED))
        if len(row) == 0:
            return Ranking(rank, plan={"how": "rounds"})
        kw, step = offer.kw[circuit, row], offer.step[circuit, row]
        late, district = offer.late[circuit, row], offer.district[row]
        stage = (step * 2 + late) * len(rank) + circuit
        past = offer.ledger_kwh / np.maximum(offer.contracted_kw, 1e-6)
        # What a district has given once a circuit is open: those before it are open as well.
        turn = np.lexsort((row, offer.lot[row], past[row], stage, district))
        cumulated = np.cumsum(kw[turn])
        first = np.concatenate([[True], np.diff(district[turn]) != 0])
        start = (cumulated - kw[turn])[first][np.cumsum(first) - 1]
        before = np.empty(len(row))
        before[turn] = cumulated - kw[turn] - start
        given = district_hours(offer)[district]
        given = given + before * offer.hours / district_contract_kw(offer)[district]
        order = np.lexsort((row, given, stage))
        rank[circuit[order], row[order]] = np.arange(len(order), dtype=np.float64)
        return Ranking(rank, plan={"how": "rounds"})


def district_contract_kw(offer: Offer) -> Floats:
    """Return float64[districts], contracted demand behind terminals, never 0."""
    width = int(offer.district.max(initial=0)) + 1
    held = np.bincount(offer.district, offer.contracted_kw, width)
    return np.asarray(np.maximum(held, 1e-6))


def district_hours(offer: Offer) -> Floats:
    """Return float64[districts], what each has given so far: kWh over contracted kW."""
    width = int(offer.district.max(initial=0)) + 1
    given = np.bincount(offer.district, offer.ledger_kwh, width)
    return np.asarray(given / district_contract_kw(offer))
