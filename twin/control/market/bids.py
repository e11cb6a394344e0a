"""Price and quantity bids: what devices can hold at what price, and the table that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.control.market.aggregators import Aggregators, Answer
from twin.control.market.clearing import Blocks
from twin.control.market.discomfort import discomfort_steps
from twin.record.columns import Columns
from twin.units import KW_PER_MW

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOTHING_KW = 1e-3
LAST_CNY_KWH = 1e6  # puts a step behind all others; nobody is paid it


@dataclass(frozen=True, slots=True)
class Bidders:
    """What is registered of the devices of one kind that may bid, float64[n] and int64[n].

    Attributes
    ----------
    columns : nameplates
    offer : asking price [CNY/kWh]
    agent : VPP
    district, busbar : where they are; busbar -1 is not known
    """

    columns: Columns
    offer: Floats
    agent: Ints
    district: Ints
    busbar: Ints


@dataclass(frozen=True, slots=True)
class Offers:
    """One row a device that has something to offer, and one a step of a building's bid.

    Attributes
    ----------
    kind, row : which device, `kind` in the order in which kinds were given
    agent : its VPP
    price : asked [CNY/kWh]; `blocks.cost` has the cost to people on top
    capped : above the price cap
    blocks : as the clearing takes them
    """

    kind: Ints
    row: Ints
    agent: Ints
    price: Floats
    capped: NDArray[np.bool_]
    blocks: Blocks


def collect(
    bidders: Mapping[str, Bidders],
    usable_kw: Mapping[str, Floats],
    cap: Floats,
    hours: float,
    held_back: Mapping[str, float],
) -> Offers:
    """Return the offers of all devices that can sustain anything.

    Parameters
    ----------
    usable_kw : by kind, float64[n], numbers of 0 or more
    cap : float64[VPPs], highest bid of each [CNY/kWh]
    hours : length of the window
    held_back : by kind the part of each bid that is taken after all others and from all
        alike, 0 to 1
    """
    parts: list[Offers] = []
    for i, (kind, known) in enumerate(bidders.items()):
        rows = np.flatnonzero(usable_kw[kind] > NOTHING_KW)
        more, size = _steps(kind, known.columns, rows, hours, held_back.get(kind, 0.0))
        row = np.tile(rows, len(size))
        price, agent = known.offer[row], known.agent[row]
        kw = usable_kw[kind][row] * np.repeat(size, len(rows))
        # What is held back is shared in proportion, whatever it asks.
        cost = np.minimum(price + more.ravel(), LAST_CNY_KWH)
        blocks = Blocks(cost, kw, known.district[row], known.busbar[row])
        parts.append(Offers(np.full(len(row), i), row, agent, price, price > cap[agent], blocks))
    return _join(parts)


def _steps(
    kind: str, columns: Columns, rows: Ints, hours: float, held_back: float
) -> tuple[Floats, Floats]:
    """Return what each step of a bid costs beyond its price, and its part of the bid.

    float64[steps, rows] in CNY/kWh and float64[steps].
    """
    more, size = np.zeros((1, len(rows))), np.ones(1)
    if kind == "aircon":
        more = discomfort_steps(columns, rows, hours)
        size = np.full(len(more), 1.0 / len(more))
    held = float(np.clip(held_back, 0.0, 1.0)) if held_back == held_back else 0.0
    if held > 0.0:
        more = np.concatenate([more, more + LAST_CNY_KWH])
        size = np.concatenate([(1.0 - held) * size, held * size])
    return more, size


def _join(parts: list[Offers]) -> Offers:
    """Return all parts one after the other."""
    none, whole = np.zeros(0), np.zeros(0, np.int64)

    def floats(columns: list[Floats]) -> Floats:
        return np.concatenate([none, *columns])

    def ints(columns: list[Ints]) -> Ints:
        return np.concatenate([whole, *columns])

    blocks = Blocks(
        floats([p.blocks.cost for p in parts]),
        floats([p.blocks.most_kw for p in parts]),
        ints([p.blocks.district for p in parts]),
        ints([p.blocks.busbar for p in parts]),
    )
    return Offers(
        ints([p.kind for p in parts]),
        ints([p.row for p in parts]),
        ints([p.agent for p in parts]),
        floats([p.price for p in parts]),
        np.concatenate([np.zeros(0, np.bool_), *(p.capped for p in parts)]),
        blocks,
    )


def bid_table(
    offers: Offers,
    given_kw: Floats,
    kinds: tuple[str, ...],
    aggregators: Aggregators,
    refused: Mapping[int, Answer],
) -> dict[str, NDArray[np.generic]]:
    """Return bids by VPP, kind and price step, and a row for each VPP that is refused unheard.

    Columns: ``aggregator``, ``kind``, ``mw``, ``hours`` (registered), ``price_cny_kwh``,
    ``accepted_mw``, ``reason`` (an `Answer`).
    """
    cents = np.round(offers.price * 1e4).astype(np.int64)
    key = np.stack([offers.agent, offers.kind, cents], axis=1)
    steps, inverse = np.unique(key, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    m = len(steps)
    size = np.bincount(inverse, offers.blocks.most_kw, m)
    got = np.bincount(inverse, given_kw, m)
    capped = np.bincount(inverse, offers.capped, m) > 0.0
    least = np.full(m, np.inf)
    np.minimum.at(least, inverse, offers.blocks.cost)
    last = float(np.max(offers.blocks.cost[given_kw > NOTHING_KW], initial=-np.inf))
    answers: list[Answer] = []
    for j, agent in enumerate(steps[:, 0].tolist()):
        if agent in refused:
            answers.append(refused[agent])
        elif capped[j]:
            answers.append(Answer.CAPPED)
        elif got[j] >= size[j] * (1.0 - 1e-6):
            answers.append(Answer.ACCEPTED)
        elif got[j] > NOTHING_KW:
            answers.append(Answer.PARTLY)
        else:
            answers.append(Answer.DEARER if least[j] >= last else Answer.LIMITED)
    heard = set(steps[:, 0].tolist())
    silent = [a for a in refused if a not in heard]
    agents = np.concatenate([steps[:, 0], np.array(silent, np.int64)])
    blank = np.zeros(len(silent))
    names = [kinds[k] for k in steps[:, 1].tolist()] + ["none"] * len(silent)
    return {
        "aggregator": np.where(agents == aggregators.n, -1, agents),
        "kind": np.array(names, "U16"),
        "mw": np.concatenate([size, blank]) / KW_PER_MW,
        "hours": aggregators.hold_h[agents],
        "price_cny_kwh": np.concatenate([steps[:, 2] / 1e4, blank]),
        "accepted_mw": np.concatenate([got, blank]) / KW_PER_MW,
        "reason": np.array([str(a) for a in answers + [refused[a] for a in silent]], "U64"),
    }
